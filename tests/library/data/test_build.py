"""Building datasets: inputs by name, raw data kept, and no half file whatever happens."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dslp.data.build import ensure_built
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest

from tests.library.data.suites import fails
from tests.library.toy import Toy

BUILD = ("data", "build")
IDENTITY = "def build(raw):\n    return raw"


def value(toy: Toy, name: str = "visits", stage: str = "processed") -> object:
    """The first value of what was built."""
    return pd.read_parquet(toy.root / "data" / stage / f"{name}.parquet").iloc[0, 0]


def put_raw(toy: Toy, content: bytes | pd.DataFrame, name: str = "visits") -> Path:
    """Put raw data there by hand, as text in CSV or as a Parquet file."""
    raw = toy.root / "data" / "raw" / f"{name}.{'csv' if isinstance(content, bytes) else 'parquet'}"
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_bytes(content) if isinstance(content, bytes) else content.to_parquet(raw)
    return raw


def extracts(number: int) -> str:
    frame = f"pd.DataFrame({{'id': [{number}]}})"
    return f"def extract():\n    return {frame}\n\n\ndef build(raw):\n    return raw + 1"


@pytest.mark.rule("D1")
def test_raw_data_is_extracted_once_and_kept_until_it_is_to_be_refreshed(toy: Toy) -> None:
    toy.pipeline(f"CALLS = 0\n\n\n{extracts(1)}")
    outcome = toy.done(*BUILD)
    folders = {folder.name for folder in (toy.root / "data").iterdir()}
    assert folders == {"raw", "interim", "processed"}
    assert (value(toy, stage="raw"), value(toy)) == (1, 2)
    for shown in (f"written: {toy.processed}", digest(Dataset(toy.project, "visits"))[:12]):
        assert shown in outcome.out
    assert ("building visits ..." in outcome.err, "building" in outcome.out) == (True, False)
    raw = toy.root / "data" / "raw" / "visits.parquet"
    before = raw.stat().st_mtime_ns
    toy.pipeline(f"CALLS = 1  # which extract() does not read\n\n\n{extracts(1)} + 1")
    toy.done(*BUILD)
    assert (value(toy), raw.stat().st_mtime_ns) == (3, before)
    toy.done(*BUILD, "--refresh")
    assert raw.stat().st_mtime_ns > before
    toy.pipeline("def extract():\n    raise OSError('offline')\n\n\ndef build(raw): ...")
    assert "visits: extract: OSError: offline" in toy.run(*BUILD).error
    assert (value(toy, stage="raw"), value(toy)) == (1, 3)
    raw.write_bytes(raw.read_bytes()[:500])
    error = fails(toy, *BUILD, code=1)
    assert ("is not from extract()" in error, "build visits --refresh" in error) == (True, True)


ROWS = [f"{number}\n" for number in ["id", *range(1, 201)]]
SOURCES = {
    "by its path": "pd.read_csv(Path(__file__).parents[4] / 'inputs' / 'rows.csv')",
    "by another reader": "csv.read_csv('inputs/rows.csv').to_pandas()",
    "by a helper": "helper.rows()",
}


@pytest.mark.rule("D6", "D8")
@pytest.mark.parametrize("source", SOURCES)
def test_what_a_build_is_from_counts_by_its_content(tracked: Toy, source: str) -> None:
    """A source file, the code of `extract` or of a helper: nobody publishes other rows than these.

    The times of files do not count, and neither does where a dataset stands among its parents.
    """
    toy, file = tracked, tracked.root / "inputs" / "rows.csv"
    file.parent.mkdir()
    file.write_text("".join(ROWS))
    times = file.stat()
    helper = toy.source / "helper.py"
    helper.write_text(
        "import pandas as pd\n\ndef rows():\n    return pd.DataFrame({'id': range(1, 201)})"
    )
    imports = f"from pathlib import Path\nfrom pyarrow import csv\nfrom {toy.package} import helper"
    toy.pipeline(f"{imports}\n\n\ndef extract():\n    return {SOURCES[source]}\n\n\n{IDENTITY}")
    toy.pipeline("def build(visits):\n    return visits", "child")
    (toy.dataset / "suite.yml").write_text(
        "expectations: [{type: expect_table_row_count_to_be_between, kwargs: {min_value: 1}}]"
    )
    (toy.dataset / "schema.yml").write_text("key: [id]\ncolumns: {id: {type: int64}}")
    toy.edit(toy.dataset / "datasheet.md", "1.2.0", "2.0.0")
    toy.done(*BUILD, cwd=toy.root)
    toy.done("data", "register", "visits")
    child, before = Dataset(toy.project, "child"), digest(Dataset(toy.project, "visits"))
    os.utime(file)
    assert not child.stale
    file.write_text("".join(ROWS[:51]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    helper.write_text(helper.read_text().replace("201", "51"))
    toy.edit(toy.dataset / "datasheet.md", "version: 2.0.0", "version: 2.0.1")
    toy.edit(toy.dataset / "datasheet.md", "made up |\n", "made up |\n| 2.0.1 | | less |\n")
    for command in (
        ("register", "visits"),
        ("push", "visits"),
        ("build", "child"),
    ):
        assert "is not from the present pipeline.py and inputs" in fails(
            toy, "data", *command, code=1
        )
    assert child.stale
    toy.done(*BUILD, "visits")
    assert (len(toy.rows()), digest(Dataset(toy.project, "visits")) == before) == (50, False)
    assert (Dataset(toy.project, "visits").stale, child.stale) == (False, True)
    toy.forget()
    sys.path.insert(0, str(toy.root / "src"))
    ensure_built(child)
    assert (len(pd.read_parquet(child.processed)), child.stale) == (50, False)


NAMED = {
    "a file": "pd.read_parquet(ROOT / 'source' / 'parts' / 'a.parquet')",
    "a pattern in SQL": """duckdb.sql(f"FROM '{ROOT}/source/parts/*.parquet'").df()""",
    "a folder": "pq.read_table(os.path.join(ROOT, 'source', 'parts'))",
    "a part of a name": "pd.read_parquet(f'source/parts/{chr(97)}.parquet')",
}


@pytest.mark.rule("D6")
@pytest.mark.parametrize("function", ["build", "extract"])
@pytest.mark.parametrize("source", NAMED)
def test_files_that_other_than_python_opens_count_by_their_names(
    toy: Toy, source: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed, new and missing files; who has not their folder has another machine."""
    monkeypatch.chdir(toy.root)
    (folder := toy.root / "source" / "parts").mkdir(parents=True)
    codes = (folder if source == "a part of a name" else folder.parent) / "codes.txt"
    imports = "from pathlib import Path\nimport os, duckdb\nfrom pyarrow import parquet as pq"
    code = f"{imports}\n\nROOT = Path(__file__).parents[4]\n\n\ndef {function}():"
    code += f"\n    open({str(codes)!r}).read()\n    return {NAMED[source]}"
    toy.pipeline(f"{code}\n\n\n{IDENTITY if function == 'extract' else ''}")
    file, dataset = folder / "a.parquet", Dataset(toy.project, "visits")
    codes.write_text("1")
    for rows in (200, 50):
        # An earlier origin, which is replaced.
        table = pa.table({"id": range(rows)}).replace_schema_metadata({"dslp": '{"code": {}}'})
        pq.write_table(table, file)
        assert dataset.stale == dataset.is_built
        toy.done(*BUILD)
        assert (len(toy.rows()), dataset.stale) == (rows, False)
    codes.write_text("2")
    assert dataset.stale
    codes.write_text("1")
    assert not dataset.stale
    shutil.copy(file, folder / "c.parquet")
    assert dataset.stale == (source != "a file")
    file.unlink()
    assert dataset.stale
    folder.rename(toy.root / "elsewhere")
    assert not dataset.stale


@pytest.mark.parametrize("stage", ["raw", "processed"])
def test_types_that_a_csv_file_is_read_by_count_as_its_content(toy: Toy, stage: str) -> None:
    schema = toy.dataset / "schema.yml"
    schema.write_text("columns: {zip: {type: string, description: a}, n: {type: int64}}")
    put_raw(toy, b"zip,other\n01234,1\n")
    toy.pipeline(IDENTITY)
    toy.pipeline("def build(visits):\n    return visits", "child")
    if stage == "processed":
        (toy.root / "data" / "raw").rename(toy.root / "data" / "processed")
        toy.done(*BUILD, "child")
    else:
        toy.done(*BUILD)
    child = Dataset(toy.project, "child")
    toy.edit(schema, "description: a", "description: b")
    toy.edit(schema, "n: {type: int64}", "n: {type: double}")  # which the file has not
    assert not child.stale
    toy.edit(schema, "string", "int64")
    assert child.stale


def test_raw_data_without_extract_is_put_there_by_hand(toy: Toy) -> None:
    toy.pipeline("def build(raw):\n    return raw[['größe']].astype('int64') * 2")
    missing = toy.run(*BUILD).error
    assert re.search(r"raw/visits\.parquet is missing, and .* has no extract\(\)", missing)
    raw = put_raw(toy, pd.DataFrame({"größe": [4]}))
    toy.done(*BUILD, "--refresh")
    assert value(toy) == 8
    raw.unlink()
    put_raw(toy, "\ufeffgröße;b\n5;x;\n".encode())  # with a delimiter at the end of each row
    toy.done(*BUILD)
    assert value(toy) == 10


FRAME = "def build():\n    return pd.DataFrame({'id': [1, 2], 'kind': ['a', 'b'], 'n': [1, 2]})"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def build():\n    return [1]", "pipeline.py: build returned list, not a data frame"),
        ("build = 3", "has no function build(raw)"),
        ("def build(:", "SyntaxError"),
        (
            "def build():\n    raise ValueError('two\\nlines')",
            "visits: build: ValueError: two lines",
        ),
        ("def build():\n    return pd.DataFrame({'a': ['x', 1]})", "cannot be written"),
        ("def build():\n    return pd.DataFrame([[1, 2]], columns=['a', 'a'])", "['a', 'a']"),
        (f"{FRAME}.groupby('kind').sum()", "kind in its index; use reset"),
        (f"{FRAME}.set_index(['id', 'kind'])", "kind in its index; use reset"),
        ("def build(visit):\n    return visit", "; do you mean visits? Known are other, visits)"),
        ("def build(other):\n    return other", "datasets/other has no"),
        ("def build(visits):\n    return visits", "datasets are built from each other: "),
    ],
)
def test_what_is_wrong_with_a_pipeline_is_said_in_a_line(
    built: Toy, code: str, problem: str
) -> None:
    before = built.processed.read_bytes()
    built.pipeline(code)
    built.dataset.with_name("other").mkdir()
    error = fails(built, *BUILD, "visits")
    assert problem in error
    assert "two" not in problem or error.endswith("/datasets/visits/pipeline.py:5)")
    assert built.processed.read_bytes() == before
    assert [path.name for path in built.processed.parent.iterdir()] == ["visits.parquet"]


FULL = """
import resource
from dslp.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))  # bytes: the disk is full
main()
"""
STUCK = """
import pyarrow.parquet


def stuck(table, path, **options):
    path.write_bytes(b"PAR1 and half of it")
    print("writing", flush=True)
    __import__("time").sleep(60)


def build():
    pyarrow.parquet.write_table = stuck
    return pd.DataFrame({"id": [1]})
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, None])
def test_what_stops_a_build_leaves_the_earlier_file(built: Toy, end: signal.Signals | None) -> None:
    before = built.processed.read_bytes()
    built.pipeline(
        STUCK if end else "def build():\n    return pd.DataFrame({'id': range(100_000)})"
    )
    # Half of a module's bytecode would stay, for everybody.
    command = [sys.executable, *(["-m", "dslp"] if end else ["-B", "-c", FULL]), *BUILD]
    with subprocess.Popen(command, cwd=built.root, stdout=-1, stderr=-1, text=True) as running:
        if end:
            assert running.stdout
            assert running.stdout.readline() == "writing\n"
            running.send_signal(end)
        _, errors = running.communicate(timeout=60)
    assert running.returncode != 0
    assert "Traceback" not in errors
    assert end or "processed/visits.parquet cannot be written" in errors.splitlines()[-1]
    assert built.processed.read_bytes() == before
    if end != signal.SIGKILL:
        assert [path.name for path in built.processed.parent.iterdir()] == ["visits.parquet"]


def test_datasets_are_inputs_by_name_and_built_in_their_order(toy: Toy) -> None:
    toy.pipeline(extracts(1))
    (toy.source / "shared.py").write_text("def build(visits):\n    return visits * 10\n")
    toy.pipeline(f"from {toy.package}.shared import build", "a_summary")
    toy.pipeline("def build(a_summary, raw):\n    return a_summary + raw", "a_first")
    put_raw(toy, pd.DataFrame({"id": [40]}), "a_first")
    assert "uv run dslp data build a_summary" in toy.run(*BUILD, "a_first").error
    toy.done(*BUILD)
    assert value(toy, "a_first") == 60
    toy.pipeline(extracts(4))
    toy.done(*BUILD, "--refresh")
    assert value(toy, "a_first") == 90, "built from what visits was before"


@pytest.mark.rule("D7")
def test_where_data_lies_is_a_parameter(toy: Toy, tmp_path: Path) -> None:
    toy.done(*BUILD, "--data", str(tmp_path / "a"), DSLP_DATA_DIR=str(tmp_path / "b"))
    assert (tmp_path / "a" / "raw" / "visits.parquet").is_file()
    assert not (tmp_path / "b").exists()
    toy.done(*BUILD, DSLP_DATA_DIR=str(tmp_path / "b"))
    toy.done("data", "validate", "--data", str(tmp_path / "b"))
    assert not (toy.root / "data").exists()


@pytest.mark.parametrize(("time", "unit"), [("12:00", "us"), ("12:00:00.123456789", "ns")])
def test_a_time_is_written_as_every_engine_reads_it(built: Toy, time: str, unit: str) -> None:
    """Without loss; and a build takes the place of a folder of parts."""
    times = f"pd.to_datetime(['2024-01-01 {time}']).as_unit('ns')"
    built.pipeline(f"def build():\n    return pd.DataFrame({{'at': {times}}})")
    built.processed.unlink()
    built.processed.mkdir()
    (built.processed / "part-0.parquet").touch()
    built.done(*BUILD)
    assert str(pq.read_schema(built.processed).field("at").type) == f"timestamp[{unit}]"


@pytest.mark.rule("D2")
def test_a_folder_that_is_no_dataset_says_what_one_is(toy: Toy) -> None:
    files = ["pipeline.py", "schema.yml", "suite.yml", "datasheet.md"]
    for file in files:
        (toy.dataset / file).rename(toy.root / file)
        for command in ("build", "validate"):
            assert f"{toy.dataset} has no {file} (D2)" in fails(toy, "data", command)
        (toy.root / file).rename(toy.dataset / file)
    shutil.rmtree(toy.dataset)
    assert "make one: uv run dslp new dataset NAME" in toy.run(*BUILD).error
