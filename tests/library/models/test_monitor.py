"""What is requested, what is predicted and how well: somebody is told when it moves."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dslp.models import drift
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from tests.library.toy import Outcome, Toy


def month(toy: Toy, **changes: float) -> Path:
    """A file with the rows of another month, which is like the first but for the changes."""
    rows = toy.rows().assign(**changes)
    rows["id"] += 10_000
    path = toy.root / "month.parquet"
    rows.to_parquet(path, index=False)
    return path


def log(toy: Toy, count: int = 100, role: str = "champion", **inputs: object) -> Path:
    """A log of so many predictions of a version, as the server writes it."""
    folder = toy.root / "data" / "interim" / "predictions" / "frequency"
    folder.mkdir(parents=True, exist_ok=True)
    draw, now = np.random.default_rng(2), pd.Timestamp.now("UTC").isoformat()
    lines = []
    for number in range(count):
        amount = float(inputs.get("amount", draw.uniform(0, 10)))  # type: ignore[arg-type]
        line = {"request_id": f"{role}-{number}", "time": now, "role": role, "row": 0}
        line |= {"version": "1" if role == "champion" else "2"}
        line |= {"inputs": {"amount": amount, "kind": draw.choice(["home", "office"])} | inputs}
        line |= {"prediction": {"visits": 1 + amount if role == "champion" else 2 + amount}}
        lines.append(json.dumps(line))
    (folder / f"{role}.jsonl").write_text("\n".join([*lines, '{"half": ']))
    return folder


def write_lines(file: Path, lines: Iterable[Any]) -> Path:
    """Write JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def outcomes(count: int, visits: int, role: str = "champion") -> list[dict[str, Any]]:
    """The observed outcomes of so many logged predictions."""
    return [{"request_id": f"{role}-{number}", "visits": visits} for number in range(count)]


def monitored(toy: Toy, *arguments: object) -> Outcome:
    return toy.run("model", "monitor", *map(str, arguments))


@pytest.mark.rule("M9")
def test_what_moved_in_a_month_is_named_by_feature_prediction_and_quality(
    champion: Toy, tmp_path: Path
) -> None:
    outcome = monitored(champion, "--data", month(champion))
    assert outcome.code == 0, outcome
    assert "nothing moved beyond its limit" in outcome.out
    for word in ("amount", "kind", "predicted visits", "absolute_error", "suite and schema"):
        assert word in outcome.out
    path = month(champion, amount=9.5, visits=300)
    page, proposal = tmp_path / "report.md", tmp_path / "proposal.json"
    outcome = monitored(champion, "--data", path, "--report", page, "--proposal", proposal)
    assert outcome.code == 1
    for word in ("amount", "predicted visits", "absolute_error"):
        assert word in outcome.error
    assert "kind" not in outcome.error
    assert "column values to be between" in page.read_text()
    assert "| over 8.95 | 10.1 % | 100.0 % |" in page.read_text()
    assert "](report/drift-1.svg)" in page.read_text()
    assert "in training" in (tmp_path / "report" / "drift-1.svg").read_text()
    facts = json.loads(proposal.read_text())
    assert facts["params"] == f"src/{champion.package}/models/frequency/params.yml"
    assert (facts["stated"], facts["newest"], facts["ask"]) == ("1.2.0", "1.2.0", 7)


@pytest.mark.rule("M9")
def test_logged_predictions_are_compared_with_training_and_with_outcomes(champion: Toy) -> None:
    log(champion)
    outcome = monitored(champion)
    assert outcome.code == 0, outcome
    truth = write_lines(champion.root / "truth.jsonl", outcomes(80, 50))
    outcome = monitored(champion, "--truth", truth)
    assert outcome.code == 1
    assert "80 outcomes are observed" in outcome.out
    log(champion, kind="boat")
    outcome = monitored(champion)
    assert outcome.code == 1
    assert "moved: kind" in outcome.error
    assert "other: 0.0% in training, 100.0% now" in outcome.out


@pytest.mark.rule("M9")
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_an_outcome_belongs_to_its_request_however_that_is_called(
    champion: Toy, suffix: str
) -> None:
    file, truth = log(champion) / "champion.jsonl", champion.root / f"truth.{suffix}"
    before = file.read_text()
    for number in range(100):
        before = before.replace(f'"champion-{number}"', f'"#{number:03}#"')
    for name in ("{}-0000-4000-8000-00000000000A", "{}"):  # like a UUID, like a number
        names = [name.format(f"{number:08}") for number in range(100)]
        text = before
        for number, request in enumerate(names):
            text = text.replace(f"#{number:03}#", request)
        file.write_text(text)
        observed = pd.DataFrame({"request_id": names, "visits": 50})
        if suffix == "csv":
            observed.to_csv(truth, index=False)
        else:
            observed.to_json(truth, orient="records", lines=True)
        assert "100 outcomes are observed" in monitored(champion, "--truth", truth).out


def test_a_prediction_that_may_be_missing_is_read_as_missing(champion: Toy) -> None:
    champion.edit(champion.model_folder / "schema.py", "visits: float", "visits: int | None")
    file = log(champion) / "champion.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()[:-1]]
    for line in lines[::4]:
        line["prediction"]["visits"] = line["inputs"]["amount"] = None
    write_lines(file, lines)
    outcome = monitored(champion)
    assert outcome.code == 1
    assert "0.0%, now 25.0%" in outcome.out


@pytest.mark.rule("M12")
def test_champion_and_challenger_are_compared_by_share_and_outcome(champion: Toy) -> None:
    champion.train_and_register()
    log(champion, 150)
    folder = log(champion, 50, "challenger")
    observed = [*outcomes(150, 6), *outcomes(50, 6, "challenger")]
    truth = write_lines(champion.root / "truth.jsonl", observed)
    champion.edit(champion.model_folder / "monitor.yml", "quality: 0.1", "quality: 9")
    champion.edit(champion.model_folder / "monitor.yml", "prediction: 0.25", "prediction: 9")
    outcome = monitored(champion, "--predictions", folder, "--truth", truth)
    assert outcome.code == 0, outcome
    assert "champion 1.0.0 (version 1): 150 rows (75.0%), absolute_error" in outcome.out
    assert "challenger 1.0.1 (version 2): 50 rows (25.0%), absolute_error" in outcome.out
    assert "the challenger against the champion in absolute_error: " in outcome.out


@pytest.mark.rule("M9")
def test_too_few_predictions_do_not_hide_what_moved_in_the_data(champion: Toy) -> None:
    folder, page = log(champion, 20), champion.root / "page.md"
    data = month(champion, amount=9.5)
    outcome = monitored(champion, "--data", data, "--predictions", folder, "--report", page)
    assert outcome.code == 1
    assert "moved: amount" in outcome.error
    assert "nothing can be said of served" in outcome.error
    assert "not known" in page.read_text()


def test_what_cannot_be_monitored_is_said(champion: Toy) -> None:
    def refused(reason: str, *arguments: object) -> None:
        outcome = monitored(champion, *arguments)
        assert outcome.code == 2
        assert reason in outcome.error

    refused("no predictions are logged in ")
    file = log(champion) / "champion.jsonl"
    file.write_text(file.read_text().replace('"time": "20', '"time": "19'))
    refused("no prediction of the last 30 days is in ")
    log(champion, 20)
    refused("served: 20 rows are too few to say anything; monitor.yml asks for 50")
    refused("nothing is new in visits since 1.0.0 (version 1) was trained", "--data", "visits")
    log(champion)
    truth, key = champion.root / "truth.csv", champion.root / "key.csv"
    truth.write_text("request,visits\n1,2\n")
    refused("must have visits, and request_id (and row) of the log or the key", "--truth", truth)
    truth.write_text("request_id,visits\n7,2\n")
    refused("truth.csv has no row with the request_id, row of one", "--truth", truth)
    key.write_text("id,visits\n123,2\nb,3\n")
    refused("key.csv: id is not as in the rows", "--data", month(champion), "--truth", key)
    (champion.root / "folder").mkdir()
    for name in ("folder", "folder/", "[1].csv"):
        refused(
            f"{name} is not one file of the kind .parquet", "--truth", f"{champion.root}/{name}"
        )
    for record in champion.root.rglob("record.json"):
        record.unlink()
    refused("train, register and promote frequency again", "--data", month(champion))
    champion.edit(champion.model_folder / "monitor.yml", "features", "featurs")
    refused("monitor.yml: featurs: Extra inputs are not permitted")
    champion.edit(champion.model_folder / "monitor.yml", "featurs", "features")
    champion.client.delete_registered_model("frequency")
    refused("frequency has no champion to watch")


def test_the_index_is_the_published_one() -> None:
    """Siddiqi's formula: 0 for the same shares, and by hand for two bins of 50/50 and 80/20."""
    half, other = np.array([500_000, 500_000]), np.array([800_000, 200_000])
    assert drift.stability(half, half) == 0
    expected = 0.3 * np.log(1.6) + -0.3 * np.log(0.4)
    assert drift.stability(half, other) == pytest.approx(expected, abs=1e-4)


@given(st.lists(st.floats(allow_nan=True, width=32), min_size=1), st.lists(st.floats(width=32)))
def test_every_value_is_in_one_bin(before: list[float], now: list[float]) -> None:
    bins = drift.bins(pd.Series(before, dtype=float))
    assert sum(bins["counts"]) == len(before)
    counts = drift.count_values(pd.Series(now, dtype=float), bins)
    assert counts.sum() == len(now)
    assert len(drift.bin_names(bins)) == len(counts) == len(bins["counts"])
    assert drift.stability(np.array(bins["counts"]), counts) >= 0


def test_a_log_reads_as_the_training_did() -> None:
    for values in (
        pd.Series([True, False, None] * 20, dtype="object"),
        pd.Series(pd.date_range("2024-01-01", periods=60, freq="D")),
        pd.Series(["a", "b", None] * 20),
        pd.Series(["a", "b", "a"] * 20, dtype="category"),
        pd.Series([1, 2, 3] * 20, dtype="Int64"),
    ):
        bins = drift.bins(values)
        written = json.loads(values.to_json(orient="records", date_format="iso"))
        logged = [v if v is None else json.dumps(v).strip('"') for v in written]
        counts = drift.count_values(pd.Series(logged, dtype="object"), bins)
        assert counts.tolist() == bins["counts"]


# What the scheduled workflow runs, on a machine that has nothing but the newest data.


def watched(toy: Toy, folder: Path, **variables: str) -> Outcome:
    return toy.run("model", "watch", str(folder), cwd=None, **variables)


def grow(toy: Toy, store: Path | None = None) -> None:
    """Add rows that are not like the others, as the next version."""
    rows = toy.rows()
    if store:
        toy.done("data", "push", "visits", DSLP_DATA_STORE=str(store))
    later = rows.assign(id=rows["id"] + 10_000, amount=rows["amount"] / 2 + 9)
    toy.with_rows(pd.concat([rows, later]))
    toy.edit(toy.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    if store:
        toy.done("data", "push", "visits", DSLP_DATA_STORE=str(store))


@pytest.mark.rule("M9", "M10")
def test_new_rows_are_compared_where_only_the_store_has_the_old_ones(
    champion: Toy, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    grow(champion, store)
    for file in (champion.processed, *champion.processed.parent.glob("visits-*")):
        file.unlink()
    outcome = watched(champion, tmp_path / "reports", DSLP_DATA_STORE=str(store))
    assert outcome.code == 0, outcome
    assert "300 rows (visits): moved: amount" in outcome.out
    facts = json.loads((tmp_path / "reports" / "frequency.json").read_text())
    assert (facts["stated"], facts["newest"]) == ("1.2.0", "1.3.0")


@pytest.mark.rule("M9")
def test_without_the_old_rows_nothing_is_said_of_the_mixture(champion: Toy, tmp_path: Path) -> None:
    grow(champion)
    outcome = watched(champion, tmp_path / "reports")
    assert outcome.code == 2
    assert "which rows of visits are new is not known without visits 1.2.0" in outcome.out
    assert "DSLP_DATA_STORE" in outcome.out
    assert [file.name for file in (tmp_path / "reports").iterdir()] == ["watched.md"]


@pytest.mark.rule("M9")
def test_outcomes_at_an_address_are_looked_up_each_week(champion: Toy, tmp_path: Path) -> None:
    log(champion)
    file = write_lines(tmp_path / "frequency.jsonl", outcomes(80, 50))
    MemoryFileSystem().pipe_file("/truth/frequency.jsonl", file.read_bytes())
    outcome = watched(champion, tmp_path / "reports", DSLP_TRUTH="memory://truth")
    assert outcome.code == 0, outcome
    assert "moved: absolute_error" in outcome.out
    assert "80 outcomes are observed" in (tmp_path / "reports" / "frequency.md").read_text()


@pytest.mark.rule("M9")
def test_few_predictions_or_outcomes_are_no_failure(champion: Toy, tmp_path: Path) -> None:
    log(champion, 20)
    outcome = watched(champion, tmp_path)
    assert outcome.code == 0, outcome
    assert "served: 20 rows are too few" in outcome.out
    log(champion)
    write_lines(champion.root / "data/interim/truth/frequency.jsonl", outcomes(1, 2, "other"))
    outcome = watched(champion, tmp_path)
    assert outcome.code == 0, outcome
    assert "too few outcomes are observed yet" in (tmp_path / "frequency.md").read_text()


@pytest.mark.rule("M9")
def test_a_model_that_cannot_be_monitored_hides_no_other(champion: Toy, tmp_path: Path) -> None:
    broken = champion.model_folder.with_name("aborted")
    shutil.copytree(champion.model_folder, broken)
    champion.edit(broken / "params.yml", "target: visits", "aim: visits")
    log(champion, amount=9.5)
    outcome = watched(champion, tmp_path)
    assert outcome.code == 2
    assert "aborted: " in outcome.out
    assert "moved: amount" in outcome.out
    assert (tmp_path / "frequency.json").is_file()
