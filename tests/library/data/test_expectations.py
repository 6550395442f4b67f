"""Every expectation of the catalogue: the compiler, plain Great Expectations, and plain Python."""

import math
import statistics
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
import yaml
from dslp.data.batch import Unreadable
from dslp.data.dataset import Dataset
from dslp.data.engines import Engine, Rows, open_files
from dslp.data.expectations import EXPECTATIONS, NO_SQL, compile_expectation
from dslp.data.sql_tables import load_table
from dslp.data.suite import read_suite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library.data import suites
from tests.library.toy import Toy
from tests.template_copy import ROOT

Row = dict[str, Any]
NAMES = ("n", "k", "f", "t", "b", "m")
CATALOGUE: list[Row] = [
    item | {"description": str(number)}
    for number, item in enumerate(
        yaml.safe_load(Path(__file__).with_name("catalogue.yml").read_text("utf-8"))["expectations"]
    )
]
IGNORED: dict[str, Callable[[list[bool]], bool]] = {  # by which of a row's values are missing
    "row": any,
    "row_unless_all_missing": all,
    "every_row": lambda missing: False,
}


def repeated(values: list[Any]) -> int:
    """How many of the values occur more than once."""
    return sum(times for times in Counter(values).values() if times > 1)


def outliers(values: list[Any], multiplier: float) -> int:
    """How many values are far from the quartiles."""
    if len(values) < 2:
        return 0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    reach = multiplier * (high - low)
    return sum(not low - reach <= value <= high + reach for value in values)


FUNCTIONS = {"Decimal": Decimal, "ceil": math.ceil, "outliers": outliers, "repeated": repeated}
FUNCTIONS |= {name: getattr(statistics, name) for name in ("mean", "median", "stdev")}


def truth(item: Row, rows: list[Row]) -> int | bool:
    """How many rows break an expectation of the catalogue, or whether it holds."""
    ((kind, text),) = item["meta"].items()
    code = compile(str(text), "catalogue.yml", "eval")
    if kind in IGNORED:
        names = [name for name in NAMES if name in code.co_names]
        considered = [row for row in rows if not IGNORED[kind]([row[n] is None for n in names])]
        return sum(not eval(code, FUNCTIONS | row) for row in considered)
    values = {name: [row[name] for row in rows if row[name] is not None] for name in NAMES}
    try:
        result = eval(code, FUNCTIONS | values | {"rows": len(rows), "table": rows})
    except (statistics.StatisticsError, ValueError, IndexError):  # of no values
        return False
    return int(result) if kind == "count" else bool(result)


FIRST = datetime(2024, 1, 1)
SAMPLE = [
    (1, 1, 0.5, "a", True, "0.1"),
    (2, None, math.nan, "b", False, "0.3"),
    (2**53 + 1, 3, 0.7, None, True, "0.31"),
    (None, 3, math.inf, "é_1", None, None),
    (2, 2, 0.1, "a", True, "0.2"),
]


def frame(rows: list[Any]) -> pd.DataFrame:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 6
    n, k, f, t, b, m = columns
    days = [None if each is None else FIRST + timedelta(days=each) for each in k]
    return pd.DataFrame(
        {
            "n": pd.array(n, dtype="Int64"),
            "k": pd.array(k, dtype="Int64"),
            "f": pd.array(f, dtype="float64"),
            "t": pd.Series(t, dtype="str"),
            "b": pd.array(b, dtype="boolean"),
            "m": pd.Series([v and Decimal(v) for v in m], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
            'qu"o.te': pd.array(n, dtype="Int64"),
            "lambda": pd.Series(days, dtype="datetime64[us]"),
            "id": range(len(n)),
        }
    )


def plain(rows: list[Any]) -> list[Row]:
    cleaned = [[None if v != v else v for v in row] for row in rows]
    return [dict(zip(NAMES, (*r[:5], r[5] and Decimal(r[5])), strict=True)) for r in cleaned]


def write(toy: Toy) -> None:
    text = yaml.safe_dump({"expectations": CATALOGUE}, allow_unicode=True)
    (toy.dataset / "suite.yml").write_text(text, encoding="utf-8")


def differences(toy: Toy, rows: list[Any], engine: str = "embedded") -> list[Any]:
    """The cases in which the compiler does not say what is true."""
    findings = {f.why: f.count for f in toy.validated(engine).findings if f.rule != "schema"}
    wrong = []
    for item in CATALOGUE:
        true, name = truth(item, plain(rows)), item["description"]
        count = findings.get(name, 0) or 0
        fails = (name in findings) if isinstance(true, bool) else (name in findings, count)
        if fails != (not true if isinstance(true, bool) else (true > 0, true)):
            wrong.append((item, true, fails))
    return wrong


TABLES: list[list[Any]] = [SAMPLE, SAMPLE[:0], [(None,) * 6] * 2, SAMPLE[:1], SAMPLE[:2] * 2]


def test_the_catalogue_is_whole(built: Toy) -> None:
    kinds = {item["type"].removeprefix("expect_") for item in CATALOGUE}
    assert kinds | set(NO_SQL) == set(EXPECTATIONS)
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert [kind for kind in NO_SQL if f"`expect_{kind}`" not in page] == []
    registry = pytest.importorskip("great_expectations.expectations.registry")
    names = registry.list_registered_expectation_implementations()
    assert {name.removeprefix("expect_") for name in names} <= set(EXPECTATIONS) | {
        "column_values_to_be_homely"
    }


@pytest.mark.parametrize("rows", TABLES, ids=range(len(TABLES)))
def test_each_expectation_says_what_plain_python_says(built: Toy, rows: list[Any]) -> None:
    write(built)
    built.with_rows(frame(rows))
    assert differences(built, rows) == []


@pytest.mark.rule("G3")
@pytest.mark.parametrize("engine", ["sql", pytest.param("spark", marks=pytest.mark.campaign)])
def test_each_engine_says_so(
    built: Toy, engine: str, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSLP_DATABASE_URL", postgres)
    monkeypatch.setenv("SPARK_MASTER", "local[2]")
    write(built)
    for rows in TABLES:
        built.with_rows(frame(rows))
        load_table(frame(rows), "visits", built.project)
        assert differences(built, rows, engine) == []


def test_nan_single_precision_columns_without_a_type_and_times_with_a_zone(built: Toy) -> None:
    moments = [datetime(2024, 1, 1, hour, tzinfo=timezone(timedelta(hours=2))) for hour in (1, 3)]
    table = pa.table({"f": [0.1, math.nan], "at": moments, "id": [1, 2], "none": pa.nulls(2)})
    table = table.append_column("single", pa.array([0.1, 0.7], pa.float32()))
    pq.write_table(table, built.processed)
    cases = (
        "column_values_to_not_be_null | column: f | 1",
        "column_values_to_be_null | column: none",
        'column_values_to_be_between | column: at, min_value: "2024-01-01" | 1',
        'column_max_to_be_between | column: at, max_value: "2024-01-01T03:00:00+02:00"',
        "column_mean_to_be_between | column: f, min_value: 0.1, max_value: 0.1",
        "column_values_to_not_be_in_set | column: single, value_set: [0.1] | 1",
        "column_max_to_be_between | column: single, min_value: 0.7, max_value: 0.7",
    )
    assert suites.write_suite(built, *cases) == suites.found(built)


ROW = st.tuples(
    *(st.none() | st.integers(0, 4) | st.just(2**53 + 1), st.none() | st.integers(0, 4)),
    st.floats(-2, 2, width=32) | st.just(math.nan) | st.just(math.inf),
    st.none() | st.sampled_from(["a", "b", "é_1"]),
    *(st.none() | st.booleans(), st.none() | st.sampled_from(["0.1", "0.3", "0.31"])),
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(ROW, max_size=6))
def test_any_table_is_judged_as_plain_python_does(built: Toy, rows: list[Any]) -> None:
    write(built)
    built.with_rows(frame(rows))
    assert differences(built, rows) == []


def on_pandas(rows: list[Any]) -> list[Any]:
    """What Great Expectations says: success and count, or None where it fails."""
    gx = pytest.importorskip("great_expectations")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("rows")
    whole = asset.add_batch_definition_whole_dataframe("whole")
    batch, results = whole.get_batch({"dataframe": frame(rows)}), []
    for item in CATALOGUE:
        name = "".join(part.capitalize() for part in item["type"].split("_"))
        result = batch.validate(getattr(gx.expectations, name)(**item["kwargs"])).to_json_dict()
        raised = "exception_message" in str(result["exception_info"]).replace("message': None", "")
        count = result["result"].get("unexpected_count")
        results.append(None if raised else (bool(result["success"]), count))
    return results


@pytest.mark.slow
def test_great_expectations_on_pandas_says_the_same_or_is_wrong() -> None:
    wrong = set()
    for rows in TABLES:
        for item, result in zip(CATALOGUE, on_pandas(rows), strict=True):
            true = truth(item, plain(rows))
            whole = isinstance(true, bool)
            holds = true if whole else not true
            if result is None or result[0] != holds or not (whole or result[1] in (None, true)):
                wrong.add(item["description"])
    noted = {item["description"] for item in CATALOGUE if "notes" in item}
    assert wrong == noted, [CATALOGUE[int(number)] for number in sorted(wrong ^ noted)]


@pytest.mark.parametrize("dialect", ["tsql", "snowflake", "databricks", "bigquery"])
def test_other_dialects_are_written_and_can_be_parsed(built: Toy, dialect: str) -> None:
    write(built)
    built.with_rows(frame(SAMPLE))
    statements: list[str] = []

    def run(statement: str) -> Rows:
        statements.append(statement)
        return [], []

    with open_files(Dataset(built.project, "visits")) as real:
        engine = Engine(real.types, dialect, real.dataset, "visits", run, None, lambda _: True)
        for item in read_suite(built.dataset / "suite.yml").values():
            with suppress(Unreadable):
                for figure in compile_expectation(item.kind, item.kwargs, engine).figures:
                    engine.fetch(f"SELECT {figure.value} FROM {figure.rows}")
    for statement in statements:
        sqlglot.parse_one(statement, read=dialect)
    assert len(statements) > 60
