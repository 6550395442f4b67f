"""Building datasets: inputs by name, raw data kept, and no half file whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from dslp.core.errors import DslpError
from dslp.core.files import written_aside
from dslp.data.build import ensure_built
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from dslp.data.reading import read_frame

from tests.library.toy import Toy


def value(toy: Toy, name: str = "visits", stage: str = "processed") -> object:
    """The first value of what was built."""
    return pd.read_parquet(toy.root / "data" / stage / f"{name}.parquet").iloc[0, 0]


def extracts(number: int) -> str:
    return (
        f"def extract():\n    return pd.DataFrame({{'id': [{number}]}})\n\n\n"
        "def build(raw):\n    return raw + 1"
    )


@pytest.mark.rule("D1")
def test_raw_data_is_extracted_and_processed_data_built(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    outcome = toy.done("data", "build")
    folders = {folder.name for folder in (toy.root / "data").iterdir()}
    assert folders == {"raw", "interim", "processed"}
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


def test_raw_data_may_be_put_there_as_csv(toy: Toy) -> None:
    toy.pipeline("def build(raw):\n    return raw[['größe']] * 2")
    raw = toy.root / "data" / "raw"
    raw.mkdir(parents=True)
    (raw / "visits.csv").write_text("\ufeffgröße;b\n4;x\n", encoding="utf-8")
    toy.done("data", "build")
    assert value(toy) == 8


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty; its first line must name the columns"),
        ("größe,b\n1,2\n".encode("latin-1"), "is not UTF-8 text"),
        (b"a,b\n1,2\n3,4,5,6\n", "cannot be read"),
        (b"a,a\n1,2\n", "does not name the columns, each once"),
        (b"a," * 2_000_000 + b"\n", "more than 10,000 columns in its first line"),
        (b'a,b\n"1,2\n', "cannot be read"),
        (b"a,b\n1,2,9\n3,4,8\n", "cannot be read"),
    ],
    ids=["empty", "encoding", "ragged", "twice", "wide", "cut", "longer"],
)
def test_a_csv_file_that_is_no_table_is_said_to_be_none(
    toy: Toy, content: bytes, problem: str
) -> None:
    toy.pipeline("def build(raw):\n    return raw")
    raw = toy.root / "data" / "raw"
    raw.mkdir(parents=True)
    (raw / "visits.csv").write_bytes(content)
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "raw/visits.csv" in outcome.error
    assert problem in outcome.error
    assert not toy.processed.exists()


def test_any_data_frame_that_speaks_arrow_is_one(toy: Toy) -> None:
    toy.pipeline("def build():\n    import pyarrow\n    return pyarrow.table({'id': [7]})")
    toy.done("data", "build")
    assert value(toy) == 7


FULL = """
import resource, sys
from dslp.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))  # bytes: the disk is full
sys.dont_write_bytecode = True  # or half of a module's would stay, for everybody
sys.argv = ["dslp", "data", "build"]
main()
"""


def test_a_full_disk_leaves_the_earlier_file_and_says_so(built: Toy) -> None:
    before = built.processed.read_bytes()
    built.pipeline("def build():\n    return pd.DataFrame({'id': range(100_000)})")
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=built.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "processed/visits.parquet cannot be written" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert built.processed.read_bytes() == before
    assert [path.name for path in built.processed.parent.iterdir()] == ["visits.parquet"]


def test_what_a_killed_build_left_is_swept_away(built: Toy) -> None:
    left = built.processed.with_name(".visits.parquet.1")
    left.write_bytes(b"PAR1 and half of it")
    os.utime(left, (0, 0))
    built.done("data", "build")
    assert not left.exists()


def test_what_a_killed_build_had_put_aside_is_there_again(built: Toy) -> None:
    """Killed between the two steps of a replacement, a day ago; and now the disk is full."""
    left = built.processed.with_name(".visits.parquet.1.old")
    built.processed.rename(left)
    os.utime(left, (0, 0))
    with pytest.raises(DslpError, match="cannot be written"), written_aside(built.processed):
        raise OSError("no room")
    assert built.processed.is_file()
    assert not left.exists()


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


def test_a_build_that_is_somebody_else_s_has_its_place_in_the_order_too(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    (toy.source / "shared.py").write_text("def build(visits):\n    return visits * 10\n")
    toy.pipeline(f"from {toy.package}.shared import build", "a_summary")
    toy.done("data", "build")
    assert value(toy, "a_summary") == 20


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
    command = [sys.executable, "-m", "dslp", "data", "build"]
    with subprocess.Popen(
        command, cwd=built.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "writing\n", running.stderr.read()
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
    toy.done("data", "build", DSLP_DATA_DIR=str(tmp_path / "prod"))
    for stage in ("test", "prod"):
        assert (tmp_path / stage / "raw" / "visits.parquet").is_file()
        assert (tmp_path / stage / "processed" / "visits.parquet").is_file()
        toy.done("data", "validate", "--data", str(tmp_path / stage))
    assert not (toy.root / "data").exists()


@pytest.mark.rule("D7")
def test_the_option_wins_over_the_variable(toy: Toy, tmp_path: Path) -> None:
    toy.done("data", "build", "--data", str(tmp_path / "a"), DSLP_DATA_DIR=str(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir() if path.name in "ab"] == ["a"]


def test_the_digest_is_the_one_that_runs_will_record(toy: Toy) -> None:
    toy.pipeline("def build():\n    return pd.DataFrame({'a': pd.Series(['x'], dtype=object)})")
    outcome = toy.done("data", "build")
    assert digest(Dataset(toy.project, "visits"))[:12] in outcome.out


def test_progress_is_shown_beside_the_result(toy: Toy) -> None:
    outcome = toy.done("data", "build")
    assert "building visits ..." in outcome.err
    assert "building" not in outcome.out


def test_a_delimiter_at_the_end_of_each_line_moves_no_column(toy: Toy) -> None:
    toy.pipeline("def build(raw):\n    return raw")
    (toy.root / "data" / "raw").mkdir(parents=True)
    (toy.root / "data" / "raw" / "visits.csv").write_text("a,b\n1,2,\n3,4,\n")
    toy.done("data", "build")
    assert toy.rows().to_dict("list") == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize("way", ["groupby('kind').sum()", "set_index(['id', 'kind'])"])
def test_an_index_with_a_name_is_never_lost(toy: Toy, way: str) -> None:
    frame = "pd.DataFrame({'id': [1, 2], 'kind': ['a', 'b'], 'n': [1, 2]})"
    toy.pipeline(f"def build():\n    return {frame}.{way}")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "kind in its index; use reset_index()" in outcome.error
    toy.pipeline(f"def build():\n    return {frame}.query('id > 1')")
    toy.done("data", "build")


def test_what_is_built_from_what_changed_is_built_again(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    toy.pipeline("def build(visits):\n    return visits * 10", "a_summary")
    summary = Dataset(toy.project, "a_summary")
    later = time.time() + 3600
    os.utime(summary.folder / "pipeline.py", (later, later))
    toy.done("data", "build")
    assert not summary.stale
    toy.pipeline("def build(raw):\n    return raw + 2")
    later += 60
    os.utime(toy.dataset / "pipeline.py", (later, later))
    assert not summary.stale
    toy.done("data", "build", "visits")
    assert summary.stale
    toy.forget()
    sys.path.insert(0, str(toy.root / "src"))
    ensure_built(summary)
    assert value(toy, "a_summary") == 30
    assert not summary.stale


@pytest.mark.parametrize(("time", "unit"), [("12:00", "us"), ("12:00:00.123456789", "ns")])
def test_a_time_is_written_as_every_engine_reads_it_where_nothing_is_lost(
    toy: Toy, time: str, unit: str
) -> None:
    toy.pipeline(
        "def build():\n"
        f"    return pd.DataFrame({{'at': pd.to_datetime(['2024-01-01 {time}']).as_unit('ns')}})"
    )
    toy.done("data", "build")
    assert str(pq.read_schema(toy.processed).field("at").type) == f"timestamp[{unit}]"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_built_from_raw_data_that_changed_is_built_again(toy: Toy, suffix: str) -> None:
    toy.pipeline("def build(raw):\n    return raw")
    raw = (toy.root / "data" / "raw" / "visits").with_suffix(suffix)
    raw.parent.mkdir(parents=True)
    for number in (1, 2):
        rows = pd.DataFrame({"id": [number]})
        rows.to_csv(raw, index=False) if suffix == ".csv" else rows.to_parquet(raw)
        os.utime(raw, (time.time() + number, time.time() + number))
        dataset = Dataset(toy.project, "visits")
        assert not dataset.is_built or dataset.stale
        toy.done("data", "build")
        assert not dataset.stale


def test_a_build_takes_the_place_of_a_folder_of_parts(built: Toy) -> None:
    rows = built.rows()
    built.processed.unlink()
    built.processed.mkdir()
    rows.to_parquet(built.processed / "part-0.parquet")
    built.done("data", "build")
    assert built.processed.is_file()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_column_that_is_not_there_is_named(built: Toy, suffix: str) -> None:
    rows = built.rows()
    built.processed.unlink()
    path = built.processed.with_suffix(suffix)
    rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
    dataset = Dataset(built.project, "visits")
    assert list(read_frame(dataset, ["kind", "id"])) == ["kind", "id"]
    with pytest.raises(DslpError, match="has no column nope; it has id, person"):
        read_frame(dataset, ["id", "nope"])
