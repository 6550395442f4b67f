"""Engines: the same suite says the same of a file and of a table."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lifecycle.toy import Toy

Write = Callable[[Toy, str], None]

EVERYTHING = """\
- {type: expect_column_values_to_not_be_null, kwargs: {column: id}}
- {type: expect_column_values_to_be_unique, kwargs: {column: id}}
- {type: expect_column_values_to_be_in_set, kwargs: {column: kind, value_set: [home, office]}}
- {type: expect_column_values_to_not_be_in_set, kwargs: {column: kind, value_set: [home]}}
- {type: expect_column_values_to_be_between, kwargs: {column: visits, min_value: 0}}
- {type: expect_column_value_lengths_to_be_between, kwargs: {column: kind, min_value: 5}}
- {type: expect_column_mean_to_be_between, kwargs: {column: amount, min_value: 6}}
- {type: expect_column_max_to_be_between, kwargs: {column: visits, max_value: 100}}
- {type: expect_column_sum_to_be_between, kwargs: {column: visits, max_value: 1}}
- {type: expect_column_unique_value_count_to_be_between, kwargs: {column: kind, max_value: 2}}
- {type: expect_column_distinct_values_to_equal_set, kwargs: {column: kind, value_set: [home]}}
- {type: expect_table_row_count_to_equal, kwargs: {value: 300}}
- {type: expect_table_columns_to_match_set, kwargs: {column_set: [id]}}
- {type: expect_compound_columns_to_be_unique, kwargs: {column_list: [person, kind]}}
- type: expect_column_pair_values_a_to_be_greater_than_b
  kwargs: {column_A: id, column_B: person, or_equal: true, ignore_row_if: either_value_is_missing}
- type: expect_column_pair_values_to_be_equal
  kwargs: {column_A: id, column_B: person, ignore_row_if: either_value_is_missing}
"""


def test_engines_agree_on_each_expectation(toy: Toy, write_suite: Write) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    write_suite(toy, EVERYTHING)
    toy.done("data", "build")
    files, table = toy.validated("embedded"), toy.validated("sql")
    assert files.checks == table.checks == 17
    assert len(files.findings) == 8
    for one, other in zip(files.findings, table.findings, strict=True):
        assert (one.subject, one.expectation, one.count) == (
            other.subject,
            other.expectation,
            other.count,
        )
        assert "could not be run" not in one.observed + other.observed


def test_a_table_that_is_not_there_says_how_to_load_it(built: Toy) -> None:
    outcome = built.run("data", "validate", "--engine", "sql")
    assert outcome.code == 2
    assert "load it: uv run lifecycle data build visits" in outcome.error


@pytest.mark.rule("D7")
def test_a_trial_in_another_folder_never_replaces_a_shared_table(toy: Toy, tmp_path: Path) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    shared = tmp_path / "shared.db"
    with contextlib.closing(sqlite3.connect(shared)) as database:
        database.execute("CREATE TABLE visits (precious INTEGER)")
        url = f"sqlite:///{shared}"
        toy.done("data", "build", "--data", str(tmp_path / "trial"), LIFECYCLE_DATABASE_URL=url)
        toy.done("data", "validate", "--data", str(tmp_path / "trial"), LIFECYCLE_DATABASE_URL=url)
        assert database.execute("SELECT * FROM visits").description[0][0] == "precious"
        toy.done("data", "build", LIFECYCLE_DATABASE_URL=url)
        assert database.execute("SELECT count(*) FROM visits").fetchone() == (300,)


@pytest.mark.parametrize("command", ["build", "validate"])
@pytest.mark.parametrize(
    "url", ["nonsense", "nosuch://u:hunter2@h/x", "sqlite:////nonexistent/folder/x.db"]
)
def test_a_database_that_cannot_be_reached_is_named_without_password(
    toy: Toy, command: str, url: str
) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    toy.done("data", "build")
    outcome = toy.run("data", command, LIFECYCLE_DATABASE_URL=url)
    assert outcome.code == 2
    assert url.split("/")[0] in outcome.error
    assert "hunter2" not in outcome.err


def test_an_engine_that_is_not_known_is_refused(built: Toy) -> None:
    outcome = built.run("data", "validate", "--engine", "abacus")
    assert outcome.code == 2
    assert "abacus" in outcome.err
