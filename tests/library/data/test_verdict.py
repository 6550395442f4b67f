"""A verdict is kept beside the data while nothing that it has read changes, and no longer."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.library.data.suites import write_suite
from tests.library.toy import Toy

VALIDATE = ("data", "validate", "visits")
OTHER = "table_row_count_to_equal_other_table | other_table_name: people"
OWN = """from great_expectations.expectations import ExpectColumnValuesToNotBeNull

class ExpectColumnValuesToBeHomely(ExpectColumnValuesToNotBeNull):
    expectation_type = "expect_column_values_to_be_homely"
"""


def kept_file(toy: Toy) -> Path:
    """Where the verdict is kept."""
    return toy.processed.with_suffix(".verdict.json")


def mark(toy: Toy) -> None:
    """Change the number of checks in the kept verdict, so that using it shows."""
    content = json.loads(kept_file(toy).read_text())
    content["report"]["checks"] = 99
    kept_file(toy).write_text(json.dumps(content))


def from_kept(toy: Toy, *more: str, **variables: Any) -> bool:
    """Whether validating says what the kept verdict says."""
    return "99 checks" in toy.run(*VALIDATE, *more, **variables).out


@pytest.fixture
def kept(built: Toy) -> Toy:
    """A toy project with a second dataset, which its suite reads, and a marked verdict."""
    built.pipeline("def build(raw):\n    return raw", "people")
    built.with_rows(built.rows(), "people")
    write_suite(built, "column_values_to_not_be_null | column: visits", OTHER)
    built.done(*VALIDATE)
    mark(built)
    return built


def add(file: str) -> Callable[[Toy], object]:
    """A line more in a file."""
    return lambda toy: (toy.root / file.format(toy.package)).open("a").write("\n# changed\n")


@pytest.mark.parametrize(
    ("change", "used"),
    [
        (lambda toy: toy.processed.touch(), True),
        (lambda toy: toy.with_rows(toy.rows().assign(amount=1.0)), False),
        (lambda toy: toy.with_rows(toy.rows().head(9), "people"), False),
        (add("src/{}/datasets/visits/suite.yml"), False),
        (add("src/{}/datasets/visits/schema.yml"), False),
        (add("src/{}/datasets/visits/datasheet.md"), False),
        (add("src/{}/datasets/people/schema.yml"), False),
        (lambda toy: kept_file(toy).write_text("{"), False),
        (lambda toy: kept_file(toy).unlink(), False),
    ],
)
def test_a_verdict_is_used_until_something_that_it_read_changes(
    kept: Toy, change: Callable[[Toy], object], used: bool
) -> None:
    assert from_kept(kept)
    change(kept)
    assert from_kept(kept) is used


def test_ci_fresh_and_another_version_ask_anew(kept: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (from_kept(kept, CI="true"), from_kept(kept)) == (False, False)
    mark(kept)
    assert (from_kept(kept), from_kept(kept, "--fresh"), from_kept(kept)) == (True, False, False)
    mark(kept)
    monkeypatch.setattr("dslp.data.verdict.version", lambda _: "99")
    assert not from_kept(kept)


def test_another_dataset_that_is_gone_or_incomplete_locks_nobody_out(kept: Toy) -> None:
    shutil.rmtree(kept.dataset.with_name("people"))
    write_suite(kept, "column_values_to_not_be_null | column: visits")
    kept.done(*VALIDATE)


def test_other_datasets_are_read_as_the_dataset_is(built: Toy) -> None:
    """A time with a zone is the same moment, and NaN is missing, wherever the program runs."""
    rows = pd.DataFrame({"id": [1, 2], "at": pd.to_datetime([0, 1], utc=True), "f": [1.0, None]})
    built.with_rows(rows)
    built.pipeline("def build(raw):\n    return raw", "people")
    built.with_rows(rows, "people")
    query = "FROM people p JOIN {batch} b USING (id)"
    query = f"SELECT * {query} WHERE p.at <> b.at OR p.f IS DISTINCT FROM b.f"
    write_suite(built, f'unexpected_rows | unexpected_rows_query: "{query}"')
    assert "unexpected_rows" not in built.shell(*VALIDATE, TZ="America/New_York").out


@pytest.mark.parametrize(
    "case",
    [
        'unexpected_rows | unexpected_rows_query: "SELECT * FROM {batch} WHERE day > now()"',
        'unexpected_rows | unexpected_rows_query: "SELECT * FROM {batch} WHERE day > current_date"',
        'unexpected_rows | unexpected_rows_query: "SELECT * FROM {batch} WHERE random() > 2"',
        "unexpected_rows | unexpected_rows_query: "
        "\"SELECT * FROM read_csv('here.csv') WHERE id < 0\"",
        "column_values_to_be_homely | column: id",
    ],
)
def test_what_reads_a_clock_a_file_or_own_code_is_never_kept(built: Toy, case: str) -> None:
    (built.root / "here.csv").write_text("id\n1\n")
    (built.dataset / "expectations.py").write_text(OWN)
    write_suite(built, case)
    built.done(*VALIDATE)
    assert not kept_file(built).exists()


def test_a_failing_verdict_is_kept_too_and_reads_the_same(built: Toy) -> None:
    rows = built.rows()
    rows.loc[20, "visits"] = -3
    built.with_rows(rows)
    first, second = (built.run(*VALIDATE) for _ in range(2))
    assert (first.code, first.out, second.code) == (1, second.out, 1)
    assert "nothing has changed since" in second.err
    assert str(built.validated()) in first.out


def test_only_what_is_built_by_the_present_pipeline_is_checked_before_a_commit(built: Toy) -> None:
    write_suite(built, "column_values_to_be_null | column: id")
    assert built.run(*VALIDATE, "--built").code == 1
    built.edit(built.dataset / "pipeline.py", "def build(raw", "def build(raw, unused=0")
    outcome = built.done(*VALIDATE, "--built")
    assert (outcome.out, "visits is not checked; build it" in outcome.err) == ("", True)
    built.processed.unlink()
    built.done(*VALIDATE, "--built")


@pytest.mark.parametrize("again", [False, True])
def test_a_suite_that_holds_imports_nothing_heavy(built: Toy, again: bool) -> None:
    code = "import sys; from dslp.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    command, heavy = [sys.executable, "-c", code, *VALIDATE], {"great_expectations", "pandas"}
    heavy |= {"sqlglot", "numpy", "pyarrow"} if again else {"pyarrow.dataset"}
    for _ in range(1 + again):
        done = subprocess.run(command, cwd=built.root, capture_output=True, text=True, check=True)
    assert ("visits holds" in done.stdout, heavy & {*done.stdout.split()}) == (True, set())
