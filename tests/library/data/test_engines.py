"""Engines: the same suite says the same of a file and of a table."""

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from dslp.core.errors import DslpError
from dslp.data.sql_tables import load_table

from tests.library.data.suites import (
    EDGES,
    EVERYTHING,
    FOUND,
    FOUND_AT_EDGES,
    FOUND_BY_OWN_SQL,
    LAYOUTS,
    OWN_SQL,
    at_edges,
    found,
    laid_out,
    with_faults,
)
from tests.library.toy import Toy

Write = Callable[[Toy, str], None]

ENGINES = ["embedded", "sqlite", "postgres"]


@pytest.fixture
def on(
    request: pytest.FixtureRequest, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Make a place for tables where the test asks for one, and say what the engine is called."""

    def place(name: str) -> str:
        if name in ("sqlite", "postgres"):
            toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
        if name == "postgres":
            url = request.getfixturevalue("postgres")
            monkeypatch.setenv("DSLP_DATABASE_URL", url)
        return "sql" if name in ("sqlite", "postgres") else name

    return place


@pytest.mark.rule("G3")
@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree_on_each_expectation(
    toy: Toy, write_suite: Write, on: Callable[[str], str], name: str
) -> None:
    engine = on(name)
    toy.done("data", "build")
    write_suite(toy, EVERYTHING + OWN_SQL)
    outcome = toy.run("data", "validate", "--engine", engine)
    assert outcome.code == 0, outcome.out
    bad = with_faults(toy.rows())
    toy.with_rows(bad)
    if engine == "sql":
        load_table(bad, "visits", toy.project)
    assert found(toy, engine) == FOUND | FOUND_BY_OWN_SQL


@pytest.mark.rule("G3")
@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree_where_they_would_not_by_themselves(
    toy: Toy, write_suite: Write, on: Callable[[str], str], name: str
) -> None:
    engine = on(name)
    toy.done("data", "build")
    toy.with_rows(at_edges())
    if engine == "sql":
        load_table(at_edges(), "visits", toy.project)
    write_suite(toy, EDGES)
    assert found(toy, engine) == FOUND_AT_EDGES


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_and_csv_are_read_like_one_file(built: Toy, write_suite: Write, layout: str) -> None:
    laid_out(built, layout)
    write_suite(built, EVERYTHING)
    assert found(built, "embedded") == FOUND


def test_what_an_engine_cannot_run_is_said_and_never_passed(built: Toy, write_suite: Write) -> None:
    increasing = "- {type: expect_column_values_to_be_increasing, kwargs: {column: id}}\n"
    write_suite(built, EVERYTHING + increasing)
    outcome = built.run("data", "validate")
    assert outcome.code == 2
    wrong = "engine embedded cannot run expect_column_values_to_be_increasing (on spark)"
    assert f"{wrong}; choose with --engine" in outcome.error


def test_what_a_dialect_turns_out_not_to_run_is_said_too(built: Toy, write_suite: Write) -> None:
    write_suite(
        built,
        "- type: expect_column_values_to_not_be_outliers\n"
        "  kwargs: {column: amount, method: iqr, multiplier: 9}\n",
    )
    outcome = built.run("data", "validate")
    assert outcome.code == 2
    assert "expect_column_values_to_not_be_outliers" in outcome.error
    assert "not implemented" in outcome.error


@pytest.mark.parametrize("name", ["embedded", "sqlite"])
def test_sql_of_a_suite_reaches_the_other_datasets(
    toy: Toy, write_suite: Write, on: Callable[[str], str], name: str
) -> None:
    engine = on(name)
    toy.pipeline(
        "def build() -> pd.DataFrame:\n    return pd.DataFrame({'person': range(1, 99)})", "people"
    )
    write_suite(
        toy,
        "- type: unexpected_rows_expectation\n"
        "  description: Visits are paid to people that are known.\n"
        "  kwargs:\n"
        "    unexpected_rows_query: >-\n"
        "      SELECT b.* FROM {batch} b LEFT JOIN people p ON b.person = p.person\n"
        "      WHERE p.person IS NULL\n",
    )
    toy.done("data", "build")
    (finding,) = toy.validated(engine).findings
    assert (finding.rule, finding.count) == ("unexpected_rows_expectation", 6)
    assert "id 295" in finding.examples[0]


@pytest.mark.parametrize("name", ENGINES)
def test_a_sample_is_the_same_each_time_and_leaves_out_what_it_cannot_say(
    toy: Toy, write_suite: Write, on: Callable[[str], str], name: str
) -> None:
    engine = on(name)
    toy.done("data", "build")
    write_suite(
        toy,
        f"{EVERYTHING}"
        "- {type: expect_column_values_to_be_null, kwargs: {column: id}}\n"
        "- type: expect_column_proportion_of_non_null_values_to_be_between\n"
        "  kwargs: {column: id, min_value: 1}\n"
        "- type: expect_column_value_z_scores_to_be_less_than\n"
        "  kwargs: {column: amount, threshold: 9, double_sided: true}\n",
    )
    once, again = toy.validated(engine, sample=250), toy.validated(engine, sample=250)
    assert str(once) == str(again)
    (finding,) = once.findings
    assert finding.count == 250
    assert len(once.skipped) == 17
    assert once.checks + 17 == toy.validated(engine).checks
    assert "id: expect_column_sum_to_be_between" in once.skipped
    outcome = toy.run("data", "validate", "--engine", engine, "--sample", "250")
    assert "not judged on a sample: table: expect_table_row_count_to_equal; " in outcome.out
    whole = toy.validated(engine, sample=300)
    assert (whole.skipped, whole.findings[0].count) == ([], 300)


def test_a_sample_is_of_whole_rows_though_a_column_is_called_like_the_table(
    toy: Toy, write_suite: Write, on: Callable[[str], str]
) -> None:
    on("postgres")
    toy.done("data", "build")
    write_suite(toy, "- {type: expect_column_values_to_be_null, kwargs: {column: id}}")
    rows = toy.rows().assign(visits=1)
    load_table(rows, "visits", toy.project)
    once = toy.validated("sql", sample=3).findings[0].examples
    load_table(rows[::-1], "visits", toy.project)
    assert sorted(toy.validated("sql", sample=3).findings[0].examples) == sorted(once)


def test_a_sample_needs_a_row(built: Toy) -> None:
    assert built.run("data", "validate", "--sample", "0").code == 2


@pytest.mark.rule("G3")
def test_the_engine_is_the_option_else_the_variable_else_the_answer(toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    toy.done("data", "build", DSLP_ENGINE="embedded")
    assert "table visits" in toy.run("data", "validate").error
    toy.done("data", "validate", DSLP_ENGINE="embedded")
    toy.done("data", "validate", "--engine", "embedded", DSLP_ENGINE="sql")


@pytest.mark.rule("D4")
@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_a_table_without_its_file_is_compared_with_the_schema(
    toy: Toy, on: Callable[[str], str], name: str
) -> None:
    on(name)
    toy.done("data", "build")
    toy.processed.unlink()
    toy.done("data", "validate")
    toy.edit(toy.dataset / "schema.yml", "amount: {type: double}", "amount: {type: string}")
    toy.edit(toy.dataset / "schema.yml", "kind: {type: string}", "sort: {type: string}")
    outcome = toy.run("data", "validate")
    assert outcome.code == 1
    assert "column amount is" in outcome.out
    assert "column kind is not in schema.yml" in outcome.out


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_a_table_is_replaced_whole_or_not_at_all(
    toy: Toy, on: Callable[[str], str], name: str
) -> None:
    on(name)
    toy.done("data", "build")
    broken = pd.DataFrame({"id": [1, 2, 3], "what": [1, {"a": 1}, {2}]}, dtype="object")
    with pytest.raises(DslpError, match="cannot be written"):
        load_table(broken, "visits", toy.project)
    assert toy.validated("sql").ok


def test_types_that_pandas_keeps_apart_make_no_difference(built: Toy, write_suite: Write) -> None:
    rows = built.rows().convert_dtypes(dtype_backend="pyarrow")
    rows = rows.astype({"kind": "category", "amount": "float32", "visits": "int32"})
    rows["kind"] = rows["kind"].cat.add_categories("never")
    built.with_rows(rows)
    write_suite(built, EVERYTHING)
    assert found(built, "embedded") == {}


def test_a_table_that_is_not_there_says_how_to_load_it(built: Toy) -> None:
    outcome = built.run("data", "validate", "--engine", "sql")
    assert outcome.code == 2
    assert "load it: uv run dslp data build visits" in outcome.error


@pytest.mark.rule("D7")
def test_a_trial_in_another_folder_never_replaces_a_shared_table(toy: Toy, tmp_path: Path) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    shared = tmp_path / "shared.db"
    with contextlib.closing(sqlite3.connect(shared)) as database:
        database.execute("CREATE TABLE visits (precious INTEGER)")
        url = f"sqlite:///{shared}"
        toy.done("data", "build", "--data", str(tmp_path / "trial"), DSLP_DATABASE_URL=url)
        toy.done("data", "validate", "--data", str(tmp_path / "trial"), DSLP_DATABASE_URL=url)
        assert database.execute("SELECT * FROM visits").description[0][0] == "precious"
        toy.done("data", "build", DSLP_DATABASE_URL=url)
        assert database.execute("SELECT count(*) FROM visits").fetchone() == (300,)


@pytest.mark.parametrize("command", ["build", "validate"])
@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "nosuch://u:hunter2@h/x",
        "nosuch://u:a@b/c hunter2@h/x",
        "sqlite:////nonexistent/folder/x.db",
    ],
)
def test_a_database_that_cannot_be_reached_is_named_without_password(
    toy: Toy, command: str, url: str
) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    toy.done("data", "build")
    outcome = toy.run("data", command, DSLP_DATABASE_URL=url)
    assert outcome.code == 2
    assert url.split("/")[0] in outcome.error
    assert "hunter2" not in outcome.err


@pytest.mark.parametrize("way", ["--engine", "DSLP_ENGINE"])
def test_an_engine_that_is_not_known_is_refused(built: Toy, way: str) -> None:
    if way == "--engine":
        outcome = built.run("data", "validate", "--engine", "abacus")
    else:
        outcome = built.run("data", "validate", DSLP_ENGINE="abacus")
    assert outcome.code == 2
    assert "'abacus' is not one of embedded, sql, spark" in outcome.error


def test_the_table_is_what_is_compared_where_there_is_a_file_too(toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', '"sql"')
    toy.done("data", "build")
    load_table(toy.rows().assign(extra=1), "visits", toy.project)
    assert "column extra is not in schema.yml" in str(toy.validated())
    load_table(toy.rows(), "visits", toy.project)
    toy.with_rows(toy.rows().assign(other=1))
    assert "column other is not in schema.yml" in str(toy.validated())


def test_a_password_may_hold_any_character(
    toy: Toy, on: Callable[[str], str], postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("postgres")
    user = sqlalchemy.make_url(postgres).set(password="pa$Word${x}")
    monkeypatch.setenv("DSLP_DATABASE_URL", user.render_as_string(hide_password=False))
    toy.done("data", "build")
    monkeypatch.setenv(
        "DSLP_DATABASE_URL",
        user.render_as_string(hide_password=False).replace("%24", "$").replace("%7B", "{"),
    )
    toy.done("data", "validate")


def test_values_mean_the_same_at_the_edges_of_their_types(built: Toy, write_suite: Write) -> None:
    table = pa.table(
        {
            "id": pa.array([2**53, 2**53 + 1, None, 4, 5], pa.int64()),
            "large": pa.array([2**63 + n for n in range(5)], pa.uint64()),
            "day": [date(2024, 1, n) for n in range(1, 6)],
            "share": [0.5, float("nan"), None, 0.1, 0.2],
        }
    )
    pq.write_table(table, built.processed)
    write_suite(
        built,
        "- {type: expect_column_values_to_be_unique, kwargs: {column: id}}\n"
        "- {type: expect_column_values_to_be_between, kwargs: {column: large, min_value: 0}}\n"
        "- type: expect_column_values_to_be_between\n"
        "  kwargs: {column: day, min_value: 2024-01-02, max_value: 2024-12-31}\n"
        "- type: expect_column_values_to_be_in_set\n"
        "  kwargs: {column: day, value_set: [2024-01-01]}\n"
        "- {type: expect_column_values_to_not_be_null, kwargs: {column: share}}\n"
        "- {type: expect_column_values_to_be_between, kwargs: {column: share, max_value: 1}}\n",
    )
    assert found(built, "embedded") == {
        ("day", "expect_column_values_to_be_between"): 1,
        ("day", "expect_column_values_to_be_in_set"): 4,
        ("share", "expect_column_values_to_not_be_null"): 2,
    }
