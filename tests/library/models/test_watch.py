"""What the scheduled workflow runs: on a machine that has nothing but the newest data."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.library.models.test_monitor import log
from tests.library.toy import Outcome, Toy


def grown(toy: Toy, store: Path | None = None) -> Path:
    """Add rows that are not like the others, as the next version, and return the built file."""
    rows = toy.rows()
    if store:
        toy.done("data", "push", "visits", DSLP_DATA_STORE=str(store))
    later = rows.assign(id=rows["id"] + 10_000, amount=rows["amount"] / 2 + 9)
    toy.with_rows(pd.concat([rows, later]))
    toy.edit(toy.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    if store:
        toy.done("data", "push", "visits", DSLP_DATA_STORE=str(store))
    return toy.processed


def seen(toy: Toy, folder: Path, **variables: str) -> Outcome:
    return toy.run("model", "watch", str(folder), cwd=None, **variables)


@pytest.mark.rule("M9", "M10")
def test_new_rows_are_told_from_old_ones_where_only_the_store_has_those(
    champion: Toy, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for file in (grown(champion, store), *champion.processed.parent.glob("visits-*")):
        file.unlink()
    outcome = seen(champion, tmp_path / "reports", DSLP_DATA_STORE=str(store))
    assert outcome.code == 0, outcome
    assert "300 rows (visits): moved: amount" in outcome.out
    facts = json.loads((tmp_path / "reports" / "frequency.json").read_text())
    assert (facts["stated"], facts["newest"]) == ("1.2.0", "1.3.0")


@pytest.mark.rule("M9")
def test_without_the_old_rows_nothing_is_said_of_the_mixture(champion: Toy, tmp_path: Path) -> None:
    grown(champion)
    outcome = seen(champion, tmp_path / "reports")
    assert outcome.code == 2
    assert "which rows of visits are new is not known without visits 1.2.0" in outcome.out
    assert "DSLP_DATA_STORE" in outcome.out
    assert [file.name for file in (tmp_path / "reports").iterdir()] == ["watched.md"]


@pytest.mark.rule("M9")
def test_a_week_with_few_predictions_is_no_failure(champion: Toy, tmp_path: Path) -> None:
    log(champion, 20)
    outcome = seen(champion, tmp_path)
    assert outcome.code == 0, outcome
    assert "served: 20 rows are too few" in outcome.out


@pytest.mark.rule("M9")
@pytest.mark.parametrize("address", ["folder", "memory://truth"])
def test_what_came_true_is_met_each_week(champion: Toy, tmp_path: Path, address: str) -> None:
    log(champion)
    known = [{"request_id": f"champion-{number}", "visits": 50} for number in range(80)]
    text = "\n".join(map(json.dumps, known))
    if address == "folder":
        address = str(tmp_path / "truth")
        (tmp_path / "truth").mkdir()
        (tmp_path / "truth" / "frequency.jsonl").write_text(text)
    else:
        MemoryFileSystem().pipe_file("/truth/frequency.jsonl", text.encode())
    outcome = seen(champion, tmp_path / "reports", DSLP_TRUTH=address)
    assert outcome.code == 0, outcome
    assert "moved: absolute_error" in outcome.out
    assert "80 outcomes are observed" in (tmp_path / "reports" / "frequency.md").read_text()


@pytest.mark.rule("M9")
def test_what_has_come_true_of_nothing_yet_is_no_failure(champion: Toy, tmp_path: Path) -> None:
    log(champion)
    folder = champion.root / "data" / "interim" / "truth"
    folder.mkdir()
    (folder / "frequency.csv").write_text("request_id,visits\n1,2\n")
    outcome = seen(champion, tmp_path)
    assert outcome.code == 0, outcome
    assert "too few outcomes are observed yet" in (tmp_path / "frequency.md").read_text()


@pytest.mark.rule("M9")
def test_a_model_that_cannot_be_looked_at_hides_no_other(champion: Toy, tmp_path: Path) -> None:
    broken = champion.model_folder.with_name("aborted")
    shutil.copytree(champion.model_folder, broken)
    champion.edit(broken / "params.yml", "target: visits", "aim: visits")
    log(champion, amount=9.5)
    outcome = seen(champion, tmp_path)
    assert outcome.code == 2
    assert "aborted: " in outcome.out
    assert "moved: amount" in outcome.out
    assert (tmp_path / "frequency.json").is_file()
