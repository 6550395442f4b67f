"""The table of expectations: what each one asks in SQL, or the reason why SQL cannot say it.

Names are Great Expectations' types without `expect_`, parameters its `kwargs` with its defaults. A
suite is a list of checks: figures that one statement computes, and verdicts on their values.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from dslp.core.text import error_line
from dslp.data.batch import (
    BATCH,
    Batch,
    NotCompiled,
    Sql,
    Unreadable,
    is_missing,
    present,
    row_condition,
)
from dslp.data.checks import (
    RANGE,
    TIMES,
    Check,
    Figure,
    Outcome,
    check_bounds,
    count_rows,
    deviation,
    groups,
    lies_between,
    quantile,
    read_parameters,
)
from dslp.data.row_expectations import NULLS, ROWS, WHOLE, check_rows, considered_rows, has_type
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError


def compile_expectation(kind: str, kwargs: Mapping[str, Any], batch: Batch) -> Check:
    """The check of an expectation.

    Args:
        kind: its type, without `expect_`.
        kwargs: its parameters.
        batch: the columns, and the engine's dialect.

    Raises:
        Unreadable: a parameter is wrong; NotCompiled, MissingColumn: as they say.
    """
    if kind in NO_SQL:
        raise NotCompiled(NO_SQL[kind])
    values, condition = dict(kwargs), None
    if kind not in TABLES and values.get("row_condition") is not None:
        condition = row_condition(values.pop("row_condition"), batch)
        values.pop("condition_parser", None)
    batch = replace(batch, condition=condition)
    if kind in ROWS:
        parameters, holds = ROWS[kind]
        k = read_parameters(f"{parameters} mostly", values)
        considered = [] if kind in NULLS else considered_rows(batch, k)
        return check_rows(batch, holds(batch, k), k.mostly, considered, kind in WHOLE)
    if kind in FIGURES:
        value, figures = FIGURES[kind]
        k = read_parameters(f"column {RANGE}", values)
        check_bounds(batch, k, kind)
        return Check(figures(batch, k.column), lambda *v: lies_between(value(*v), k), whole=True)
    parameters, check = CHECKS[kind]
    return check(batch, read_parameters(parameters, values))


NO_SQL = {
    **dict.fromkeys(
        ["column_values_to_be_increasing", "column_values_to_be_decreasing"],
        "the rows of a table have no order",
    ),
    **dict.fromkeys(
        [
            *("column_values_to_be_dateutil_parseable", "column_values_to_match_strftime_format"),
            *("column_values_to_be_json_parseable", "column_values_to_match_json_schema"),
            "column_kl_divergence_to_be_less_than",
        ],
        "SQL has no function for it",
    ),
}


def _sum(batch: Batch, column: str) -> list[Figure]:
    """The sum of a column, exact where that is, and the number of its values."""
    value = batch.only(batch.number(column))
    if batch.family(column) == "integer" and batch.dialect not in ("duckdb", "postgres"):
        value = exp.cast(value, "decimal(38, 0)")  # else the sum overflows
    return [Figure(exp.Sum(this=value)), count_rows(batch.where(present(batch.column(column))))]


def _one(value: Callable[[Batch, str], Sql]) -> Callable[[Batch, str], list[Figure]]:
    return lambda batch, column: [Figure(value(batch, column))]


def _distinct(batch: Batch, column: str) -> list[Figure]:
    where = batch.where(present(batch.column(column)))
    return [Figure(exp.Count(this=exp.Star()), (column,), where), count_rows(where)]


def _present(batch: Batch, column: str) -> list[Figure]:
    return [count_rows(batch.where(present(batch.column(column)))), count_rows(batch.where())]


def _same(value: Any, *_: Any) -> Any:
    return value


def _mean(total: Any, number_of: int) -> Any:
    return total / number_of if number_of else None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0


FIGURES: dict[str, tuple[Any, Callable[[Batch, str], list[Figure]]]] = {
    f"column_{name}_to_be_between": entry
    for name, entry in {
        "min": (_same, _one(lambda b, c: exp.Min(this=b.only(b.ordered(c))))),
        "max": (_same, _one(lambda b, c: exp.Max(this=b.only(b.ordered(c))))),
        "sum": (_same, _sum),
        "mean": (_mean, _sum),
        "median": (_same, _one(lambda b, c: quantile(b, b.number(c), 0.5, "cont"))),
        "stdev": (_same, _one(lambda b, c: deviation(b, b.number(c)))),
        "unique_value_count": (_same, _distinct),
        "proportion_of_unique_values": (_share, _distinct),
        "proportion_of_non_null_values": (_share, _present),
    }.items()
}


def _quantiles(batch: Batch, k: Any) -> Check:
    shares, ranges = k.quantile_ranges.get("quantiles"), k.quantile_ranges.get("value_ranges")
    if not isinstance(shares, list) or not isinstance(ranges, list) or len(shares) != len(ranges):
        raise Unreadable("quantile_ranges needs quantiles, and as many pairs in value_ranges")
    if k.allow_relative_error:
        raise NotCompiled("allow_relative_error is for approximations; quantiles are exact here")
    bounds = []
    for share, pair in zip(shares, ranges, strict=True):
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise Unreadable(f"{share!r:.40} in quantiles is not between 0 and 1")
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unreadable(f"{pair!r:.40} in value_ranges is no pair")
        bounds.append(
            read_parameters(
                f"column {RANGE}", {"min_value": pair[0], "max_value": pair[1], "column": k.column}
            )
        )
        if any(each is not None for each in pair):
            check_bounds(batch, bounds[-1], "column_min_to_be_between")
    value = batch.ordered(k.column)
    figures = [Figure(quantile(batch, value.copy(), float(share), "disc")) for share in shares]

    def verdict(*values: Any) -> Outcome:
        ok = all(lies_between(v, bound).ok for v, bound in zip(values, bounds, strict=True))
        return Outcome(ok, observed=dict(zip(shares, values, strict=True)))

    return Check(figures, verdict, whole=True)


def _set_of_values(others: bool = True, missing: bool = True) -> Callable[[Batch, Any], Check]:
    """A check that no value is outside a set, or that none of the set is missing, or both."""

    def check(batch: Batch, k: Any) -> Check:
        values = [value for value in k.value_set if not is_missing(value)]
        figures = [count_rows(batch.where(batch.equal(k.column, v))) for v in values if missing]
        inside = batch.inside(k.column, values)
        failing = batch.where(present(batch.column(k.column)), exp.not_(inside))
        figures += [count_rows(failing)] if others else []

        def verdict(*counts: int) -> Outcome:
            absent = [v for v, n in zip(values, counts, strict=False) if missing and not n]
            outside = counts[-1] if others else None
            text = f"without {', '.join(map(str, absent))}" if absent else ""
            return Outcome(not absent and not outside, outside, text=text)

        return Check(figures, verdict, failing if others else None, whole=missing)

    return check


def _most_common(batch: Batch, k: Any) -> Check:
    where = batch.where(present(batch.column(k.column)))
    literals = [batch.literal(v, k.column) for v in k.value_set if not is_missing(v)]
    inside = exp.column("key0").isin(*literals) if literals else exp.false()
    counted = groups([k.column], where)
    most = (
        exp.select(exp.Max(this=TIMES.copy())).from_(counted.copy().subquery("counts")).subquery()
    )
    query = exp.select("key0").from_(counted.subquery("counts")).where(TIMES.eq(most))
    ties = Figure(exp.Count(this=exp.Star()), table=query)
    common = Figure(exp.Count(this=exp.case().when(inside, exp.convert(1))), table=query)

    def verdict(all_: int, within: int) -> Outcome:
        ok = within > 0 if k.ties_okay else all_ == within == 1
        return Outcome(ok, text=f"{all_} most common values, {within} of them in the set")

    return Check([ties, common], verdict, whole=True)


def _columns(verdict: Callable[[list[str], Any], Outcome]) -> Callable[[Batch, Any], Check]:
    """A check of the names of the columns."""
    return lambda batch, k: Check([], lambda: verdict(list(batch.types), k))


def _exists(names: list[str], k: Any) -> Outcome:
    position = k.column_index
    inside = k.column in names if not position else k.column in names[position:][:1]
    return Outcome(inside, text=f"the columns {', '.join(names)}")


def _ordered_list(names: list[str], k: Any) -> Outcome:
    return Outcome(k.column_list in (None, names), text=f"the columns {', '.join(names)}")


def _column_set(names: list[str], k: Any) -> Outcome:
    expected = k.column_set or []
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected] if k.exact_match else []
    parts = [
        f"{kind} {', '.join(some)}"
        for kind, some in (("missing", missing), ("unexpected", extra))
        if some
    ]
    return Outcome(k.column_set is None or not parts, text=", ".join(parts))


def _column_type(batch: Batch, k: Any) -> Check:
    kind = batch.types[k.column].sql(batch.dialect) if k.column in batch.types else ""
    ok = has_type(batch, k.column, [k.type_])
    return Check([], lambda: Outcome(ok, text=kind))


def _row_count(batch: Batch, k: Any) -> Check:
    if hasattr(k, "value"):
        return Check(
            [count_rows(batch.where())], lambda n: Outcome(n == k.value, observed=n), whole=True
        )
    check_bounds(batch, k, "")
    return Check([count_rows(batch.where())], lambda n: lies_between(n, k), whole=True)


def _column_count(batch: Batch, k: Any) -> Check:
    if hasattr(k, "value"):
        return Check([], lambda: Outcome(len(batch.types) == k.value, observed=len(batch.types)))
    check_bounds(batch, k, "")
    return Check([], lambda: lies_between(len(batch.types), k))


def _other_table(batch: Batch, k: Any) -> Check:
    other = Figure(exp.Count(this=exp.Star()), table=batch.table(k.other_table_name))

    def verdict(rows: int, others: int) -> Outcome:
        return Outcome(
            rows == others, text=f"{rows:,} rows, and {others:,} in {k.other_table_name}"
        )

    return Check([count_rows(batch.where()), other], verdict, whole=True)


def _query(text: str, batch: Batch) -> Sql:
    """A query of a suite, in which `{batch}` is the dataset.

    Raises:
        Unreadable: it is no query, or reads a table that is not there.
    """
    try:
        query = parse_one(text.replace("{batch}", BATCH).rstrip("; \n"), read=batch.dialect)
    except SqlglotError as error:
        raise Unreadable(f"the query cannot be read: {error_line(error, 160)}") from None
    if not isinstance(query, exp.Query):
        raise Unreadable("the query does not begin with SELECT")
    own = {BATCH, *(cte.alias for cte in query.find_all(exp.CTE))}
    for table in list(query.find_all(exp.Table)):
        if isinstance(table.this, exp.Identifier) and table.name not in own and not table.db:
            own_name = table.alias_or_name  # of the dataset itself, which is the batch
            table.set("this", batch.table(table.name).this)
            table.set("alias", exp.TableAlias(this=exp.to_identifier(own_name, quoted=True)))
    return query


def _unexpected_rows(batch: Batch, k: Any) -> Check:
    query = _query(k.unexpected_rows_query, batch)
    count = Figure(exp.Count(this=exp.Star()), table=query)
    return Check([count], lambda n: Outcome(not n, n), query=query)


def _same_results(batch: Batch, k: Any) -> Check:
    batch.table(k.comparison_data_source_name)
    one, other = _query(k.base_query, batch), _query(k.comparison_query, batch)
    both = exp.Intersect(
        this=one.copy().subquery(), expression=other.copy().subquery(), distinct=False
    )
    figures = [Figure(exp.Count(this=exp.Star()), table=each) for each in (one, other, both)]

    def verdict(first: int, second: int, same: int) -> Outcome:
        most = max(first, second)
        return Outcome(same >= Fraction(str(k.mostly)) * most, most - same)

    return Check(figures, verdict, whole=True)


CHECKS: dict[str, tuple[str, Callable[[Batch, Any], Check]]] = {
    "column_quantile_values_to_be_between": (
        "column quantile_ranges allow_relative_error",
        _quantiles,
    ),
    "column_distinct_values_to_be_in_set": ("column value_set", _set_of_values(missing=False)),
    "column_distinct_values_to_contain_set": ("column value_set", _set_of_values(others=False)),
    "column_distinct_values_to_equal_set": ("column value_set", _set_of_values()),
    "column_most_common_value_to_be_in_set": ("column value_set ties_okay", _most_common),
    "column_to_exist": ("column column_index", _columns(_exists)),
    "column_type_to_be": ("column type_", _column_type),
    "table_columns_to_match_ordered_list": ("column_list/optional", _columns(_ordered_list)),
    "table_columns_to_match_set": ("column_set exact_match", _columns(_column_set)),
    "table_column_count_to_equal": ("value", _column_count),
    "table_column_count_to_be_between": (RANGE, _column_count),
    "table_row_count_to_equal": ("value", _row_count),
    "table_row_count_to_be_between": (RANGE, _row_count),
    "table_row_count_to_equal_other_table": ("other_table_name", _other_table),
    "unexpected_rows_expectation": ("unexpected_rows_query", _unexpected_rows),
    "query_results_to_match_comparison": (
        "base_query comparison_data_source_name comparison_query mostly",
        _same_results,
    ),
}
TABLES = (
    "column_to_exist",
    "column_type_to_be",
    "unexpected_rows_expectation",
    "query_results_to_match_comparison",
)
EXPECTATIONS = (*ROWS, *FIGURES, *CHECKS, *NO_SQL)
