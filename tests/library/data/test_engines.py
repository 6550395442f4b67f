"""Where the rows are: files in any layout, or a table of PostgreSQL (Spark: `test_spark`)."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy
from dslp.core.errors import DslpError
from dslp.data.reading import to_frame
from dslp.data.sql_tables import load_table

from tests.library.data import suites
from tests.library.data.suites import fails, write_suite
from tests.library.toy import Toy

VALIDATE = ("data", "validate")


@pytest.fixture
def table(built: Toy, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's dataset is a table of PostgreSQL, too."""
    built.edit(built.root / "pyproject.toml", '"embedded"', '"sql"')
    monkeypatch.setenv("DSLP_DATABASE_URL", postgres)
    load_table(built.rows(), "visits", built.project)


@pytest.mark.parametrize("layout", suites.LAYOUTS)
def test_parts_and_csv_are_read_like_one_file(built: Toy, layout: str) -> None:
    rows = suites.with_faults(built.rows())
    rows["person"] = rows.pop("person")  # last, as a column of the folders' names is
    built.with_rows(rows)
    findings = suites.shown(built)
    assert len(findings) == 6
    suites.lay_out(built, layout, rows)
    assert suites.shown(built) == findings


OWN = """from great_expectations.expectations.core import ExpectColumnValuesToBeInSet
class ExpectColumnValuesToBeHomely(ExpectColumnValuesToBeInSet):
    expectation_type = "expect_column_values_to_be_homely"
"""


@pytest.mark.usefixtures("table")
def test_what_sql_cannot_say_runs_on_pandas_where_the_data_is(built: Toy) -> None:
    (built.dataset / "expectations.py").write_text(OWN)
    write_suite(
        built,
        "column_values_to_be_decreasing | column: id",
        "column_values_to_be_homely | column: kind, value_set: [home]",
    )
    outcome = built.run(*VALIDATE, "--engine", "embedded")
    assert (outcome.code, outcome.out.count("\n  found: ")) == (1, 2)
    assert "expectation 1 (expect_column_values_to_be_decreasing): runs in Great" in outcome.err
    assert "have no order; choose --engine embedded" in fails(built, *VALIDATE)


def test_sql_of_a_suite_reaches_the_other_datasets(built: Toy) -> None:
    built.pipeline("def build():\n    return pd.DataFrame({'person': range(1, 99)})", "people")
    query = "SELECT b.* FROM {batch} b LEFT JOIN people p USING (person) WHERE p.person IS NULL"
    write_suite(built, f'unexpected_rows | unexpected_rows_query: "{query}"')
    unbuilt = fails(built, *VALIDATE, "visits")
    assert "people is not built; build it: uv run dslp data build people" in unbuilt
    built.done("data", "build", "people")
    (finding,) = built.validated().findings
    assert (finding.count, "id 295" in finding.examples[0]) == (6, True)


@pytest.mark.rule("G3")
def test_the_engine_is_the_option_else_the_variable_else_the_setting(built: Toy) -> None:
    built.edit(built.root / "pyproject.toml", '"embedded"', '"sql"')
    assert "DSLP_DATABASE_URL is missing" in built.run(*VALIDATE).error
    built.done(*VALIDATE, DSLP_ENGINE="embedded")
    built.done(*VALIDATE, "--engine", "embedded", DSLP_ENGINE="sql")
    assert "abacus" in fails(built, *VALIDATE, "--engine", "abacus")
    assert "abacus" in fails(built, *VALIDATE, DSLP_ENGINE="abacus")


@pytest.mark.rule("D4")
@pytest.mark.usefixtures("table")
def test_a_table_is_compared_with_the_schema_and_replaced_whole(built: Toy) -> None:
    rows = built.rows()
    load_table(rows.assign(extra=1), "visits", built.project)
    assert "column extra is not in schema.yml" in str(built.validated())
    load_table(rows, "visits", built.project)
    built.with_rows(rows.assign(other=1))
    assert "column other is not in schema.yml" in str(built.validated()), "of the file"
    built.processed.unlink()
    for wrong, problem in (("a\0", "cannot be written"), ([2**53], "what is list<.*>, which a")):
        with pytest.raises(DslpError, match=problem) as error:
            load_table(pd.DataFrame({"id": [1], "what": [wrong]}), "visits", built.project)
        assert "parameters: " not in str(error.value)
    assert built.validated().ok, "without a file too"
    table = pa.table({"bytes": [b"\0", None], "at": pa.array([1, None], pa.time64("us"))})
    load_table(to_frame(table), "visits", built.project)
    schema = "columns: {bytes: {type: binary, nullable: true}, at: {type: 'time64[us]'}}"
    (built.dataset / "schema.yml").write_text(schema)
    write_suite(built, "column_values_to_be_null | column: bytes | 1")
    assert [finding.count for finding in built.validated().findings] == [1]


@pytest.mark.rule("D7")
@pytest.mark.usefixtures("table")
def test_a_trial_in_another_folder_never_replaces_a_shared_table(
    built: Toy, tmp_path: Path
) -> None:
    trial = ("--data", str(tmp_path / "trial"))
    load_table(pd.DataFrame({"precious": [1]}), "visits", built.project)
    built.done("data", "build", *trial)
    built.done(*VALIDATE, *trial)
    assert "precious is not in schema.yml" in str(built.validated())
    built.done("data", "build")
    assert built.validated().ok


def test_a_password_may_hold_any_character_and_is_never_shown(built: Toy, postgres: str) -> None:
    built.edit(built.root / "pyproject.toml", '"embedded"', '"sql"')
    user = sqlalchemy.make_url(postgres).set(password="pa$Word${x}")
    quoted = user.render_as_string(hide_password=False)
    built.done("data", "build", DSLP_DATABASE_URL=quoted)
    plain = quoted.replace("%24", "$").replace("%7B", "{")
    built.done(*VALIDATE, DSLP_DATABASE_URL=plain)
    for url in ("nonsense", "nosuch://u:a@b/c hunter2@h/x", "sqlite:////nonexistent/folder/x.db"):
        for command in ("build", "validate"):
            error = fails(built, "data", command, DSLP_DATABASE_URL=url)
            assert (url.split("/")[0] in error, "hunter2" in error) == (True, False)
