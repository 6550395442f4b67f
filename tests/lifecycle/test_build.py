"""Building datasets: inputs by name, raw data kept, and no half file whatever happens."""

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.lifecycle.toy import Toy


def value(toy: Toy, name: str = "visits", stage: str = "processed") -> object:
    """The first value of what was built."""
    return pd.read_parquet(toy.root / "data" / stage / f"{name}.parquet").iloc[0, 0]


def extracts(number: int) -> str:
    return (
        f"def extract():\n    return pd.DataFrame({{'id': [{number}]}})\n\n\n"
        "def build(raw):\n    return raw + 1"
    )


def test_raw_data_is_extracted_and_processed_data_built(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    outcome = toy.done("data", "build")
    assert (value(toy, stage="raw"), value(toy)) == (1, 2)
    assert f"written: {toy.processed}" in outcome.out


def test_raw_data_is_kept_until_it_is_to_be_refreshed(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    toy.done("data", "build")
    toy.pipeline(extracts(10))
    toy.done("data", "build")
    assert value(toy) == 2
    toy.done("data", "build", "--refresh")
    assert value(toy) == 11


def test_a_refresh_that_fails_keeps_the_raw_data(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    toy.done("data", "build")
    toy.pipeline(
        "def extract():\n    raise OSError('offline')\n\n\ndef build(raw):\n    return raw"
    )
    outcome = toy.run("data", "build", "--refresh")
    assert outcome.code == 2
    assert "visits: extract: OSError: offline" in outcome.error
    assert (value(toy, stage="raw"), value(toy)) == (1, 2)


def test_raw_data_without_extract_is_put_there_by_hand(toy: Toy) -> None:
    toy.pipeline("def build(raw):\n    return raw * 2")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "raw/visits.parquet is missing" in outcome.error
    assert "has no extract()" in outcome.error
    (toy.root / "data" / "raw").mkdir(parents=True)
    pd.DataFrame({"id": [4]}).to_parquet(toy.root / "data" / "raw" / "visits.parquet")
    toy.done("data", "build", "--refresh")
    assert value(toy) == 8


def test_other_datasets_are_inputs_by_the_names_of_the_parameters(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    toy.pipeline("def build(visits, raw):\n    return visits + raw", "both")
    (toy.root / "data" / "raw").mkdir(parents=True)
    pd.DataFrame({"id": [40]}).to_parquet(toy.root / "data" / "raw" / "both.parquet")
    toy.done("data", "build", "visits")
    toy.done("data", "build", "both")
    assert value(toy, "both") == 42


def test_a_dataset_is_built_after_those_that_it_is_built_from(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    toy.pipeline("def build(visits):\n    return visits * 10", "a_summary")
    toy.done("data", "build")
    assert value(toy, "a_summary") == 20
    toy.pipeline(extracts(4))
    toy.done("data", "build", "--refresh")
    assert value(toy, "a_summary") == 50, "built from what visits was before"


def test_a_folder_that_cannot_be_written_is_named(toy: Toy) -> None:
    (toy.root / "data").mkdir()
    (toy.root / "data" / "processed").write_text("a file where the folder should be")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "processed/visits.parquet cannot be written" in outcome.error
    assert (toy.root / "data" / "raw" / "visits.parquet").is_file()


STUCK = """
class Stuck(pd.DataFrame):
    def to_parquet(self, path, **options):
        path.write_bytes(b"PAR1 and half of it")
        print("writing", flush=True)
        __import__("time").sleep(60)


def build():
    return Stuck({"id": [1]})
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_is_stopped_while_it_writes_leaves_the_earlier_file(
    built: Toy, end: signal.Signals
) -> None:
    before = built.processed.read_bytes()
    built.pipeline(STUCK)
    command = [sys.executable, "-m", "lifecycle", "data", "build"]
    with subprocess.Popen(
        command, cwd=built.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "writing\n"
        running.send_signal(end)
        said = running.stderr.read()
        assert running.wait(10) != 0
    assert "Traceback" not in said
    assert built.processed.read_bytes() == before
    if end == signal.SIGINT:
        assert [path.name for path in built.processed.parent.iterdir()] == ["visits.parquet"]


@pytest.mark.rule("D7")
def test_where_data_lies_is_a_parameter(toy: Toy, tmp_path: Path) -> None:
    toy.done("data", "build", "--data", str(tmp_path / "test"))
    toy.done("data", "build", LIFECYCLE_DATA_DIR=str(tmp_path / "prod"))
    for stage in ("test", "prod"):
        assert (tmp_path / stage / "raw" / "visits.parquet").is_file()
        assert (tmp_path / stage / "processed" / "visits.parquet").is_file()
        toy.done("data", "validate", "--data", str(tmp_path / stage))
    assert not (toy.root / "data").exists()


@pytest.mark.rule("D7")
def test_the_option_wins_over_the_variable(toy: Toy, tmp_path: Path) -> None:
    toy.done("data", "build", "--data", str(tmp_path / "a"), LIFECYCLE_DATA_DIR=str(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir() if path.name in "ab"] == ["a"]


def test_the_digest_is_the_one_that_runs_will_record(toy: Toy) -> None:
    toy.pipeline("def build():\n    return pd.DataFrame({'a': pd.Series(['x'], dtype=object)})")
    outcome = toy.done("data", "build")
    from lifecycle.data.catalogue import Dataset, digest

    assert digest(Dataset(toy.project, "visits").read())[:12] in outcome.out


def test_the_digest_follows_what_is_held_and_not_the_order() -> None:
    from lifecycle.data.catalogue import digest

    rows = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    assert digest(rows) == digest(rows.iloc[::-1].reset_index(drop=True))
    others = [
        rows.assign(a=[1, 2, 4]),
        rows.rename(columns={"a": "c"}),
        rows.astype({"a": "float64"}),
        rows.iloc[:2],
        pd.concat([rows, rows.iloc[:1]]),
        rows.assign(b=["x", "", "z"]),
    ]
    assert len({digest(other) for other in [rows, *others]}) == 7


def test_progress_is_shown_beside_the_result(toy: Toy) -> None:
    outcome = toy.done("data", "build")
    assert "building visits ..." in outcome.err
    assert "building" not in outcome.out
