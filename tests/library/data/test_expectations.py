"""Every expectation of the catalogue: the compiler, plain Great Expectations, and plain Python."""

import math
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
import yaml
from dslp.core.errors import DslpError
from dslp.data import suite
from dslp.data.batch import NotCompiled
from dslp.data.engines import Engine, open_files
from dslp.data.expectations import EXPECTATIONS, NO_SQL, compile_expectation
from dslp.data.sql_tables import load_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library.data import suites
from tests.library.toy import Toy

Row = dict[str, Any]
Truth = Callable[[list[Row]], int | bool]  # the rows that break it, or whether it holds


def each(test: Callable[[Row], bool], *names: str, ignore: Any = any) -> Truth:
    """How many rows break a test, of those in which not `any` or not `all` values are missing."""
    return lambda rows: sum(
        not test(row) for row in rows if not ignore([row[name] is None for name in names])
    )


def mostly(share: float, test: Callable[[Row], bool], *names: str) -> Truth:
    def holds(rows: list[Row]) -> bool:
        tests = [test(row) for row in rows if None not in [row[name] for name in names]]
        return sum(tests) >= Decimal(str(share)) * len(tests)

    return holds


def repeated(*names: str) -> Truth:
    def count(rows: list[Row]) -> int:
        keys = [tuple(row[name] for name in names) for row in rows]
        times = Counter(key for key in keys if set(key) != {None})
        return sum(n for n in times.values() if n > 1)

    return count


def value(of: Callable[[list[Any]], Any], name: str, low: float, high: float) -> Truth:
    def holds(rows: list[Row]) -> bool:
        values = [row[name] for row in rows if row[name] is not None]
        try:
            return bool(low <= of(values) <= high)
        except (statistics.StatisticsError, ZeroDivisionError, ValueError, IndexError):
            return False

    return holds


def chosen(name: str, test: Callable[[set[Any]], bool]) -> Truth:
    return lambda rows: test({row[name] for row in rows} - {None})


def near(multiplier: float, name: str) -> Truth:
    def count(rows: list[Row]) -> int:
        values = [row[name] for row in rows if row[name] is not None]
        if len(values) < 2:
            return 0
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        reach = multiplier * (high - low)
        return sum(not low - reach <= value <= high + reach for value in values)

    return count


def never(row: Row) -> bool:
    return None not in (row["n"], row["k"]) and row["n"] > row["k"]


def disc(share: float) -> Callable[[list[Any]], Any]:
    return lambda values: sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


A_B = "column_A: n, column_B: k"
N_K = "column_list: [n, k]"
TERNARY = {"a", "b", "é_1"}
CASES: list[tuple[str, str, Truth]] = [
    ("column_values_to_not_be_null", "column: n", lambda rows: sum(r["n"] is None for r in rows)),
    ("column_values_to_be_null", "column: n", lambda rows: sum(r["n"] is not None for r in rows)),
    ("column_values_to_not_be_null", "column: f", lambda rows: sum(r["f"] is None for r in rows)),
    ("column_values_to_be_unique", "column: n", repeated("n")),
    ("column_values_to_be_unique", 'column: qu"o.te', repeated('qu"o.te')),
    ("column_values_to_be_between", "column: n, min_value: 2", each(lambda r: r["n"] >= 2, "n")),
    (
        "column_values_to_be_between",
        "column: n, min_value: 9007199254740993",
        each(lambda r: r["n"] >= 2**53 + 1, "n"),
    ),
    (
        "column_values_to_be_between",
        "column: m, min_value: 0.1, max_value: 0.3",
        each(lambda r: Decimal("0.1") <= r["m"] <= Decimal("0.3"), "m"),
    ),
    ("column_values_to_be_between", "column: b, min_value: 1", each(lambda r: r["b"], "b")),
    (
        "column_values_to_be_between",
        'column: f, min_value: 0.5, strict_min: true, row_condition: \'col("t") != "a"\'',
        lambda rows: each(lambda r: r["f"] > 0.5, "f")(
            [r for r in rows if r["t"] not in ("a", None)]
        ),
    ),
    (
        "column_values_to_be_between",
        "column: n, max_value: 2, mostly: 0.5",
        mostly(0.5, lambda r: r["n"] <= 2, "n"),
    ),
    (
        "column_values_to_be_in_set",
        "column: t, value_set: [a, b, null]",
        each(lambda r: r["t"] in "ab", "t"),
    ),
    (
        "column_values_to_not_be_in_set",
        "column: n, value_set: [1, 3]",
        each(lambda r: r["n"] not in (1, 3), "n"),
    ),
    (
        "column_values_to_be_in_set",
        "column: m, value_set: [0.1]",
        each(lambda r: r["m"] == Decimal("0.1"), "m"),
    ),
    ("column_value_lengths_to_equal", "column: t, value: 1", each(lambda r: len(r["t"]) == 1, "t")),
    (
        "column_value_lengths_to_be_between",
        "column: t, min_value: 2",
        each(lambda r: len(r["t"]) >= 2, "t"),
    ),
    (
        "column_values_to_match_regex",
        "column: t, regex: '^[ab]$'",
        each(lambda r: r["t"] in "ab", "t"),
    ),
    (
        "column_values_to_not_match_regex",
        "column: t, regex: b",
        each(lambda r: "b" not in r["t"], "t"),
    ),
    (
        "column_values_to_match_regex_list",
        "column: t, regex_list: [a, b]",
        each(lambda r: r["t"] in "ab", "t"),
    ),
    (
        "column_values_to_not_match_regex_list",
        "column: t, regex_list: [a, b]",
        each(lambda r: r["t"] not in "ab", "t"),
    ),
    (
        "column_values_to_match_like_pattern",
        "column: t, like_pattern: _",
        each(lambda r: len(r["t"]) == 1, "t"),
    ),
    (
        "column_values_to_not_match_like_pattern",
        'column: t, like_pattern: "%!_1", escape: "!"',
        each(lambda r: not r["t"].endswith("_1"), "t"),
    ),
    (
        "column_values_to_match_like_pattern_list",
        "column: t, like_pattern_list: [a, b]",
        each(lambda r: r["t"] in "ab", "t"),
    ),
    (
        "column_values_to_not_match_like_pattern_list",
        "column: t, like_pattern_list: [a, b]",
        each(lambda r: r["t"] not in "ab", "t"),
    ),
    ("column_values_to_be_of_type", "column: n, type_: int64", lambda rows: True),
    ("column_values_to_be_in_type_list", "column: t, type_list: [BIGINT, str]", lambda rows: True),
    ("column_type_to_be", "column: f, type_: DOUBLE", lambda rows: True),
    (
        "column_value_z_scores_to_be_less_than",
        "column: k, threshold: 9, double_sided: true",
        lambda rows: True,
    ),
    ("column_values_to_not_be_outliers", "column: k, multiplier: 0.5", near(0.5, "k")),
    (
        "column_values_to_not_be_outliers",
        "column: k, method: std, multiplier: 9",
        lambda rows: True,
    ),
    ("column_pair_values_to_be_equal", A_B, each(lambda r: r["n"] == r["k"], "n", "k", ignore=all)),
    ("column_pair_values_a_to_be_greater_than_b", f"{A_B}, ignore_row_if: neither", each(never)),
    (
        "column_pair_values_a_to_be_greater_than_b",
        f"{A_B}, ignore_row_if: either_value_is_missing",
        each(lambda r: r["n"] > r["k"], "n", "k"),
    ),
    (
        "column_pair_values_to_be_in_set",
        f"{A_B}, value_pairs_set: [[1, 1], [2, null]]",
        each(lambda r: (r["n"], r["k"]) in ((1, 1), (2, None)), "n", "k", ignore=all),
    ),
    ("compound_columns_to_be_unique", "column_list: [n, t]", repeated("n", "t")),
    (
        "multicolumn_sum_to_equal",
        f"{N_K}, sum_total: 4, ignore_row_if: never",
        each(lambda r: None not in (r["n"], r["k"]) and r["n"] + r["k"] == 4),
    ),
    ("multicolumn_values_to_be_equal", N_K, each(lambda r: r["n"] == r["k"], "n", "k", ignore=all)),
    (
        "select_column_values_to_be_unique_within_record",
        N_K,
        each(lambda r: r["n"] != r["k"], "n", "k", ignore=all),
    ),
    ("column_min_to_be_between", "column: n, min_value: 1", value(min, "n", 1, math.inf)),
    ("column_max_to_be_between", "column: n, max_value: 3", value(max, "n", -math.inf, 3)),
    (
        "column_sum_to_be_between",
        "column: n, max_value: 20",
        value(lambda v: sum(v) if v else math.nan, "n", -math.inf, 20),
    ),
    (
        "column_mean_to_be_between",
        "column: b, min_value: 0.5, max_value: 1",
        value(statistics.mean, "b", 0.5, 1),
    ),
    (
        "column_median_to_be_between",
        "column: k, min_value: 2, max_value: 3",
        value(statistics.median, "k", 2, 3),
    ),
    ("column_stdev_to_be_between", "column: k, max_value: 2", value(statistics.stdev, "k", 0, 2)),
    (
        "column_unique_value_count_to_be_between",
        "column: t, max_value: 2",
        value(lambda v: len({*v}), "t", 0, 2),
    ),
    (
        "column_proportion_of_unique_values_to_be_between",
        "column: k, max_value: 0.5",
        value(lambda v: len({*v}) / len(v) if v else 0, "k", 0, 0.5),
    ),
    (
        "column_proportion_of_non_null_values_to_be_between",
        "column: n, min_value: 0.5",
        lambda rows: sum(r["n"] is not None for r in rows) / max(len(rows), 1) >= 0.5,
    ),
    (
        "column_quantile_values_to_be_between",
        "column: k, quantile_ranges: {quantiles: [0.25], value_ranges: [[1, 1]]}",
        value(disc(0.25), "k", 1, 1),
    ),
    (
        "column_distinct_values_to_be_in_set",
        "column: t, value_set: [a]",
        chosen("t", lambda s: s <= {"a"}),
    ),
    (
        "column_distinct_values_to_contain_set",
        "column: t, value_set: [a]",
        chosen("t", lambda s: "a" in s),
    ),
    (
        "column_distinct_values_to_equal_set",
        "column: t, value_set: [a, b, é_1]",
        chosen("t", lambda s: s == TERNARY),
    ),
    (
        "column_most_common_value_to_be_in_set",
        "column: t, value_set: [a], ties_okay: true",
        lambda rows: (
            ((c := Counter(r["t"] for r in rows if r["t"])) and c["a"] == max(c.values())) or False
        ),
    ),
    ("column_to_exist", "column: n, column_index: 0", lambda rows: True),
    ("table_columns_to_match_ordered_list", "column_list: [n, k]", lambda rows: False),
    ("table_columns_to_match_set", "column_set: [n, k], exact_match: false", lambda rows: True),
    ("table_column_count_to_equal", "value: 8", lambda rows: True),
    ("table_column_count_to_be_between", "max_value: 3", lambda rows: False),
    ("table_row_count_to_equal", "value: 0", lambda rows: not rows),
    ("table_row_count_to_be_between", "min_value: 1", lambda rows: len(rows) >= 1),
    ("table_row_count_to_equal_other_table", "other_table_name: visits", lambda rows: True),
    (
        "query_results_to_match_comparison",
        "base_query: 'SELECT k FROM {batch}', comparison_data_source_name: visits, "
        "comparison_query: SELECT k FROM visits",
        lambda rows: True,
    ),
    (
        "unexpected_rows_expectation",
        "unexpected_rows_query: SELECT * FROM {batch} WHERE n = 1",
        lambda rows: sum(r["n"] == 1 for r in rows),
    ),
]
# Where plain Great Expectations on pandas says something else than the truth, or nothing.
WRONG_THERE = {
    **dict.fromkeys([kind for kind, *_ in CASES if "like_pattern" in kind], "it has no LIKE there"),
    "column_values_to_be_in_type_list": "it knows the names of pandas only",
    "column_type_to_be": "it knows the names of pandas only",
    "column_value_z_scores_to_be_less_than": "it fails on integers without a spread",
    "column_values_to_not_be_outliers": "it fails on integers without values",
    "column_pair_values_to_be_equal": "it fails on integers with nulls",
    "column_pair_values_a_to_be_greater_than_b": "it fails on integers with nulls",
    "multicolumn_sum_to_equal": "it fails on integers with nulls",
    "multicolumn_values_to_be_equal": "it fails on integers with nulls",
    "column_values_to_be_between": "0.1 is no decimal 0.1 there",
    "column_sum_to_be_between": "the sum of no values is 0 there",
    "column_quantile_values_to_be_between": "it takes the nearest value, or fails without values",
    "table_row_count_to_equal_other_table": "there is one table",
    "query_results_to_match_comparison": "there is no SQL",
    "unexpected_rows_expectation": "there is no SQL",
}
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
    return pd.DataFrame(
        {
            "n": pd.array(n, dtype="Int64"),
            "k": pd.array(k, dtype="Int64"),
            "f": pd.array(f, dtype="float64"),
            "t": pd.Series(t, dtype="str"),
            "b": pd.array(b, dtype="boolean"),
            "m": pd.Series([v and Decimal(v) for v in m], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
            'qu"o.te': pd.array(n, dtype="Int64"),
            "id": range(len(n)),
        }
    )


def plain(rows: list[Any]) -> list[Row]:
    names = ("n", "k", "f", "t", "b", "m", 'qu"o.te')
    cleaned = [[None if v != v else v for v in row] for row in rows]
    return [dict(zip(names, (*r[:5], r[5] and Decimal(r[5]), r[0]), strict=True)) for r in cleaned]


def items() -> list[dict[str, Any]]:
    """The cases as a suite, each described by its number."""
    texts = ["{" + each[1].replace('qu"o.te', "'qu\"o.te'") + "}" for each in CASES]
    texts = [text.replace("{batch}", "BATCH") for text in texts]
    return [
        {
            "type": kind if kind.startswith("unexpected") else f"expect_{kind}",
            "kwargs": yaml.safe_load(text),
            "description": str(number),
        }
        for number, ((kind, *_), text) in enumerate(zip(CASES, texts, strict=True))
    ]


def write(toy: Toy) -> None:
    text = yaml.safe_dump({"expectations": items()}, allow_unicode=True)
    (toy.dataset / "suite.yml").write_text(text.replace("BATCH", "{batch}"), encoding="utf-8")


def differences(toy: Toy, rows: list[Any], engine: str = "embedded") -> list[Any]:
    """The cases in which the compiler does not say what is true."""
    findings = {f.why: f.count for f in toy.validated(engine).findings if f.rule != "schema"}
    wrong = []
    for number, (kind, _, truth) in enumerate(CASES):
        true, fails = truth(plain(rows)), str(number) in findings
        count = findings.get(str(number), 0)
        right = (
            fails is not true if isinstance(true, bool) else (fails, count or 0) == (true > 0, true)
        )
        wrong += [] if right else [(number, kind, true, fails, count)]
    return wrong


TABLES: list[list[Any]] = [SAMPLE, SAMPLE[:0], [(None,) * 6] * 2, SAMPLE[:1], SAMPLE[:2] * 2]


def test_the_catalogue_is_whole(built: Toy) -> None:
    assert {kind for kind, *_ in CASES} | set(NO_SQL) == set(EXPECTATIONS)
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


def test_nan_of_arrow_and_times_with_a_zone(built: Toy) -> None:
    moments = [datetime(2024, 1, 1, hour, tzinfo=timezone(timedelta(hours=2))) for hour in (1, 3)]
    table = pa.table({"f": [0.1, math.nan], "at": pa.array(moments), "id": [1, 2]})
    pq.write_table(table, built.processed)
    cases = (
        "column_values_to_not_be_null | column: f | 1",
        'column_values_to_be_between | column: at, min_value: "2024-01-01" | 1',
        'column_max_to_be_between | column: at, max_value: "2024-01-01T03:00:00+02:00"',
        "column_mean_to_be_between | column: f, min_value: 0.1, max_value: 0.1",
    )
    assert suites.write_suite(built, *cases) == suites.found(built)


ROW = st.tuples(
    *(st.none() | st.integers(0, 4) | st.just(2**53 + 1), st.none() | st.integers(0, 4)),
    st.floats(-2, 2, width=32) | st.just(math.nan) | st.just(math.inf),
    st.none() | st.sampled_from(sorted(TERNARY)),
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
    for item in items():
        kwargs = item["kwargs"]
        if "row_condition" in kwargs:
            kwargs["condition_parser"] = "great_expectations"
        name = "".join(part.capitalize() for part in item["type"].split("_"))
        result = batch.validate(getattr(gx.expectations, name)(**kwargs)).to_json_dict()
        raised = "exception_message" in str(result["exception_info"]).replace("message': None", "")
        count = result["result"].get("unexpected_count")
        results.append(None if raised else (bool(result["success"]), count))
    return results


@pytest.mark.slow
def test_great_expectations_on_pandas_says_the_same_or_is_wrong() -> None:
    wrong = set()
    for rows in TABLES:
        for (kind, _, truth), result in zip(CASES, on_pandas(rows), strict=True):
            true = truth(plain(rows))
            same = result is not None and result[0] == (
                true if isinstance(true, bool) else not true
            )
            if not same or (not isinstance(true, bool) and result[1] not in (None, true)):
                wrong.add(kind)
    assert wrong == set(WRONG_THERE)


@pytest.mark.parametrize("dialect", ["tsql", "snowflake", "databricks", "bigquery"])
def test_other_dialects_are_written_and_can_be_parsed(built: Toy, dialect: str) -> None:
    write(built)
    built.with_rows(frame(SAMPLE))
    statements = []

    def run(statement: str) -> Any:
        statements.append(statement)
        raise DslpError("not sent")

    with open_files(built_dataset(built)) as real:
        engine = Engine(real.types, dialect, real.dataset, "visits", run, lambda _: True)
        for item in suite.read_suite(built.dataset / "suite.yml").values():
            try:
                check = compile_expectation(item.kind, item.kwargs, engine)
            except NotCompiled:
                continue
            for figure in check.figures:
                with pytest.raises(DslpError):
                    suite._values([figure], engine)
    for statement in statements:
        sqlglot.parse_one(statement, read=dialect)
    assert len(statements) > 60


def built_dataset(toy: Toy) -> Any:
    from dslp.data.dataset import Dataset

    return Dataset(toy.project, "visits")
