"""Data that is not what it should be: one clear line, or a finding, and never a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.library.toy import Toy


def gone(toy: Toy) -> None:
    toy.processed.unlink()


def empty(toy: Toy) -> None:
    toy.processed.write_bytes(b"")


def truncated(toy: Toy) -> None:
    toy.processed.write_bytes(toy.processed.read_bytes()[:-200])


def folder(toy: Toy) -> None:
    toy.processed.unlink()
    toy.processed.mkdir()


def csv_folder(toy: Toy) -> None:
    toy.processed.unlink()
    toy.processed.with_suffix(".csv").mkdir()


def csv(toy: Toy, text: bytes) -> None:
    toy.processed.unlink()
    toy.processed.with_suffix(".csv").write_bytes(text)


HEADER = b"id,person,day,amount,kind,visits\n"
ROW = b"1,1,2024-01-01 00:00:00,1.5,home,2\n"

CASES: dict[str, tuple[Callable[[Toy], None], int, str]] = {
    "missing": (gone, 2, "is missing; build it"),
    "empty": (empty, 2, "visits.parquet cannot be read"),
    "truncated": (truncated, 2, "visits.parquet cannot be read"),
    "folder": (folder, 2, "is a folder without Parquet files"),
    "csv folder": (
        csv_folder,
        2,
        "is a folder; put the CSV file itself there",
    ),
    "csv without a line": (lambda toy: csv(toy, b""), 2, "visits.csv is empty"),
    "csv in another encoding": (
        lambda toy: csv(toy, HEADER + ROW * 3000 + "2,1,2024-01-02,1,größe,1\n".encode("latin-1")),
        2,
        "visits.csv cannot be read",
    ),
    "csv with a header in another encoding": (
        lambda toy: csv(toy, HEADER.replace(b"kind", "größe".encode("latin-1")) + ROW),
        2,
        "visits.csv is not UTF-8 text",
    ),
    "csv with another delimiter": (
        lambda toy: csv(toy, (HEADER + ROW).replace(b",", b"^")),
        2,
        "and schema.yml 6; the delimiter must be",
    ),
    "csv with mixed types": (
        lambda toy: csv(toy, HEADER + ROW * 3000 + b"2,1,2024-01-02 00:00:00,much,home,1\n"),
        2,
        "visits.csv cannot be read",
    ),
    "csv with a short line": (
        lambda toy: csv(toy, HEADER + ROW * 3000 + b"2,1\n"),
        2,
        "visits.csv cannot be read",
    ),
    "csv of two million columns": (
        lambda toy: csv(toy, b",".join(b"c%d" % n for n in range(2_000_000)) + b"\n1\n"),
        2,
        "more than 10,000 columns",
    ),
    "csv with line ends of old": (
        lambda toy: csv(toy, (HEADER + ROW).replace(b"\n", b"\r")),
        2,
        "has no header in its first line",
    ),
    "csv with a long first line": (
        lambda toy: csv(toy, b"x" * 200_000 + b"\n1\n"),
        2,
        "has no header in its first line",
    ),
    "csv with a number that is not whole": (
        lambda toy: csv(toy, HEADER + ROW * 3000 + ROW.replace(b"home,2", b"home,2.5")),
        2,
        "column visits has 2.5, which is no whole number",
    ),
    "csv without rows": (lambda toy: csv(toy, HEADER), 1, "table: expect_table_row_count"),
    "a column renamed": (
        lambda toy: toy.with_rows(toy.rows().rename(columns={"kind": "sort"})),
        1,
        "sort is not in schema.yml",
    ),
    "all null": (
        lambda toy: toy.with_rows(toy.rows().assign(kind=None, id=None)),
        1,
        "id: expect_column_values_to_not_be_null",
    ),
    "no rows": (
        lambda toy: toy.with_rows(toy.rows().head(0)),
        1,
        "table: expect_table_row_count_to_be_between",
    ),
}


@pytest.mark.rule("D3")
@pytest.mark.parametrize("case", CASES)
def test_bad_data_is_named(built: Toy, case: str) -> None:
    spoil, code, text = CASES[case]
    spoil(built)
    outcome = built.run("data", "validate")
    assert outcome.code == code, outcome.out + outcome.err
    assert text in (outcome.out if code == 1 else outcome.error), outcome.out + outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    if code == 2:
        assert len(outcome.error) < 600


def test_a_file_that_breaks_while_it_is_read_never_passes(built: Toy) -> None:
    content, start = built.processed.read_bytes(), 1500  # its end is whole, its first column not
    built.processed.write_bytes(content[:4] + bytes(start) + content[4 + start :])
    outcome = built.run("data", "validate")
    assert outcome.code in (1, 2)
    assert "Invalid data" in (outcome.out if outcome.code == 1 else outcome.error)
    assert "Traceback" not in outcome.out + outcome.err


def test_a_file_without_the_right_to_read_it(built: Toy) -> None:
    built.processed.chmod(0)
    command = [sys.executable, "-m", "dslp", "data", "validate"]
    if os.geteuid() == 0:  # root has rights that others have not, until it gives them up
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, cwd=built.root, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "visits.parquet cannot be read" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
