"""The table of expectations (`expectations.toml`) compiled: figures of SQL, and a verdict on them.

Names are Great Expectations' types without `expect_`, parameters its `kwargs` with its defaults.
"""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache, reduce
from importlib.resources import files
from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from dslp.core.errors import nearest
from dslp.core.text import error_line
from dslp.data.batch import (
    BATCH,
    NUMBERS,
    TIMES,
    Batch,
    NotCompiled,
    Sql,
    Unreadable,
    in_utc,
    is_missing,
    matches,
    number,
    present,
    row_condition,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

TABLE = tomllib.loads(files("dslp.data").joinpath("expectations.toml").read_text(encoding="utf-8"))
ROWS, NO_SQL = TABLE["rows"], TABLE["pandas"]
CATALOGUE: dict[str, list[str]] = ROWS | TABLE["figures"] | TABLE["others"]
EXPECTATIONS = (*CATALOGUE, *NO_SQL)
NULLS = ("column_values_to_not_be_null", "column_values_to_be_null")  # null is not ignored
# Expectations of which a sample says as much as the whole.
OF_A_SAMPLE = ("column_distinct_values_to_be_in_set", "column_to_exist", "column_type_to_be")
WITHOUT_CONDITION = (*OF_A_SAMPLE[1:], "unexpected_rows_expectation")
TIMESTAMPS = {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMP_NS}

STRICT = ConfigDict(strict=True, extra="forbid", protected_namespaces=())
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[list[str], Field(min_length=1)]
Pair = Annotated[list[Any], Field(min_length=2, max_length=2)]


class Quantiles(BaseModel):
    """Shares of the rows, and the range of the value below which each lies."""

    model_config = STRICT

    quantiles: list[Share]
    value_ranges: list[Pair]


# Types of parameters; the others are text.
TYPES: dict[str, Any] = {
    **dict.fromkeys(["column_list", "column_set", "regex_list"], Names),
    **dict.fromkeys(["like_pattern_list", "type_list"], Names),
    **dict.fromkeys(["strict_min", "strict_max", "or_equal", "ties_okay"], bool),
    **dict.fromkeys(["double_sided", "exact_match"], bool),
    **dict.fromkeys(["min_value", "max_value"], Any),
    **dict.fromkeys(["column_index", "value"], int),
    **{"allow_relative_error": bool | str, "threshold": float, "sum_total": float | int},
    **{"mostly": Share, "multiplier": Annotated[float, Field(ge=0)], "value_set": list[Any]},
    **{"value_pairs_set": list[Pair], "quantile_ranges": Quantiles},
}


@dataclass(frozen=True)
class Figure:
    """One value of the statement: an aggregate of the batch's rows, or of those of a query."""

    value: Sql
    query: Sql = None


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation holds, how many rows break it, and what was observed."""

    ok: bool
    count: int | None = None
    observed: Any = None  # of the data
    text: str = ""  # in words, without values of the data


@dataclass(frozen=True)
class Check:
    """One compiled expectation.

    Attributes:
        figures: what the statement computes for it.
        verdict: takes the values of the figures.
        failing: a query of the rows that break it.
        whole: whether a part of the rows says nothing about all of them.
    """

    figures: Sequence[Figure]
    verdict: Callable[..., Outcome]
    failing: exp.Select | None = None
    whole: bool = False


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
    values = dict(kwargs)
    if kind not in WITHOUT_CONDITION and values.get("row_condition") is not None:
        batch = replace(batch, condition=row_condition(values.pop("row_condition"), batch))
        values.pop("condition_parser", None)
    words, *templates = CATALOGUE[kind]
    k = read_kwargs(_parameters(words), values)
    if kind in ROWS:
        return _check_rows(kind, templates[0], batch, k)
    if hasattr(k, "min_value"):
        _check_range(batch, k, ":ordered" in "".join(templates))
    if not templates:
        outcome = VERDICTS[kind](k, batch)
        return Check([], lambda: outcome)
    figures = [
        Figure(_restricted(sql, batch.condition), query)
        for template in templates
        for each in (_alternatives(batch, k) if ":each" in template else [None])
        for sql, query in [_filled(template, batch, k, each)]
    ]
    verdict: Callable[..., Outcome] = VERDICTS.get(kind, _compare_value)
    failing = None
    if hasattr(k, "value_set") and ":inside" in templates[0]:
        failing = _select(
            batch.where(present(HOLES["column"](batch, k)), exp.not_(HOLES["inside"](batch, k)))
        )
    return Check(figures, lambda *n: verdict(k, *n), failing, kind not in OF_A_SAMPLE)


def read_kwargs(model: type[BaseModel], values: Mapping[str, Any], what: str = "kwargs") -> Any:
    """Values from YAML as a model with attributes.

    Raises:
        Unreadable: one is unknown, missing, or of the wrong type.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise Unreadable(
                f"{what} has {name!r}{nearest(name, list(model.model_fields))}"
            ) from None
        problem = f", not {first['input']!r:.40}" if first["type"] != "missing" else ""
        raise Unreadable(f"{what}: {name}: {first['msg']}{problem}") from None


@cache
def _parameters(words: str) -> type[BaseModel]:
    """The model of parameters, from the words of the table."""
    fields: dict[str, Any] = {}
    for word in " ".join(TABLE["parameters"].get(word, word) for word in words.split()).split():
        name, _, default = word.rstrip("?").partition("=")
        kind, choices = TYPES.get(name, str), default.split("|")
        if word.endswith("?"):
            fields[name] = (kind | None, None)
        elif len(choices) > 1:
            fields[name] = (Literal[*choices], choices[0])
        else:
            fields[name] = (kind, json.loads(default) if default else ...)
    return create_model("Parameters", __config__=STRICT, **fields)


@cache
def _template(text: str) -> Sql:
    return parse_one(text, read="duckdb")


def _filled(text: str, batch: Batch, k: Any, each: Any = None) -> tuple[Sql, Sql]:
    """A template's SQL with its holes filled, and the query that it reads in place of the batch."""

    def fill(node: exp.Expr) -> Sql:
        if not isinstance(node, exp.Placeholder):
            return node
        if node.name in HOLES:
            return HOLES[node.name](batch, k)
        if node.name == "each":
            return (
                exp.convert(each)
                if hasattr(k, "quantile_ranges")
                else batch.literal(each, k.column)
            )
        value = getattr(k, node.name)
        return number(value, "float") if isinstance(value, float) else exp.convert(value)

    sql = _template(text).transform(fill)
    if not isinstance(sql, exp.Select):
        return sql, None
    return sql.expressions[0], QUERIES[sql.args["from_"].this.name](batch, k)


def _restricted(value: Sql, condition: Sql) -> Sql:
    """An aggregate of the rows that meet a condition."""
    for node in value.find_all(exp.AggFunc) if condition is not None else ():
        inner = exp.convert(1) if isinstance(node.this, exp.Star) else node.this
        node.set("this", exp.case().when(condition.copy(), inner.copy()))
    return value


def _check_rows(kind: str, template: str, batch: Batch, k: Any) -> Check:
    """A check that something holds for `mostly` of the rows that are not ignored."""
    considered = [] if kind in NULLS else _considered(batch, k)
    holds, query = _filled(template, batch, k)
    if query is not None:
        bad = Figure(holds, query)
        failing = (
            _repeated_rows(batch, k)
            if hasattr(k, "ignore_row_if") or hasattr(k, "column")
            else query
        )
    else:
        holds = _restricted(holds, batch.condition)
        if hasattr(k, "min_value"):
            holds = _range(batch, holds, k, ":ordered" in template)
        if batch.dialect == "tsql" and holds.find(exp.Subquery):
            raise NotCompiled("SQL Server counts no rows by a condition with a query in it")
        tests = batch.where(*considered, exp.not_(exp.func("coalesce", holds, exp.false())))
        bad, failing = _count(tests), _select(tests)
    least = Fraction(str(getattr(k, "mostly", 1)))
    if least == 1:
        whole = query is None and holds.find(exp.Subquery) is not None
        return Check([bad], lambda n: Outcome(not n, int(n or 0)), failing, whole)

    def verdict(n: int | None, of: int) -> Outcome:
        return Outcome(of - int(n or 0) >= least * of, int(n or 0))

    return Check([bad, _count(batch.where(*considered))], verdict, failing, whole=True)


def _considered(batch: Batch, k: Any) -> list[Sql]:
    """The conditions of the rows that an expectation does not ignore."""
    values = [present(batch.column(name)) for name in _names(k)]
    ignored = getattr(k, "ignore_row_if", "any").partition("_")[0]
    if ignored in ("any", "either"):
        return values
    return [exp.or_(*values)] if ignored in ("all", "both") else []


def _names(k: Any) -> list[str]:
    """The columns that an expectation is about."""
    if hasattr(k, "column_list"):
        return list(k.column_list)
    return [getattr(k, name) for name in ("column", "column_A", "column_B") if hasattr(k, name)]


def _count(tests: list[Sql]) -> Figure:
    """The number of rows that meet tests."""
    one = exp.case().when(exp.and_(*tests), exp.convert(1)) if tests else exp.Star()
    return Figure(exp.Count(this=one))


def _select(tests: list[Sql]) -> exp.Select:
    """A query of the rows that meet tests."""
    return exp.select("*").from_(BATCH).where(*(each.copy() for each in tests))


def _keys(batch: Batch, k: Any) -> exp.Select:
    """A query of the different values of columns, and how many rows have each."""
    columns = [batch.column(name) for name in _names(k)]
    query = exp.select(*columns, "count(*) AS dslp_times").from_(BATCH)
    return query.where(*batch.where(*_considered(batch, k))).group_by(*(c.copy() for c in columns))


def _repeated_rows(batch: Batch, k: Any) -> exp.Select:
    """A query of the rows whose values of columns are in another row, too."""
    columns = [batch.column(name) for name in _names(k)]
    times = exp.Window(this=exp.Count(this=exp.Star()), partition_by=columns).as_("dslp_times")
    rows = exp.select("*", times).from_(BATCH).where(*batch.where(*_considered(batch, k)))
    return exp.select("*").from_(rows.subquery("counted")).where("dslp_times > 1")


def _most_common(batch: Batch, k: Any) -> exp.Select:
    keys = _keys(batch, k)
    most = exp.select("max(dslp_times)").from_(keys.subquery("counts")).subquery()
    query = exp.select(batch.column(k.column)).from_(keys.copy().subquery("counts"))
    return query.where(exp.column("dslp_times").eq(most))


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


def _common_rows(batch: Batch, k: Any) -> Sql:
    batch.table(k.comparison_data_source_name)
    queries = [_query(each, batch).subquery() for each in (k.base_query, k.comparison_query)]
    return exp.Intersect(this=queries[0], expression=queries[1], distinct=False)


# What a template reads with FROM.
QUERIES: dict[str, Callable[[Batch, Any], Sql]] = {
    "keys": _keys,
    "most_common": _most_common,
    "common_rows": _common_rows,
    "other_table_name": lambda batch, k: batch.table(k.other_table_name),
    "unexpected_rows_query": lambda batch, k: _query(k.unexpected_rows_query, batch),
    "base_query": lambda batch, k: _query(k.base_query, batch),
    "comparison_query": lambda batch, k: _query(k.comparison_query, batch),
}


def _range(batch: Batch, value: Sql, k: Any, ordered: bool) -> Sql:
    """Whether a value lies between the bounds."""
    _check_range(batch, k, ordered)
    operators = (exp.GT if k.strict_min else exp.GTE, exp.LT if k.strict_max else exp.LTE)
    return exp.and_(
        *(
            each(
                this=value.copy(),
                expression=batch.literal(b, k.column) if ordered else exp.convert(b),
            )
            for each, b in zip(operators, (k.min_value, k.max_value), strict=True)
            if b is not None
        )
    )


def _check_range(batch: Batch, k: Any, ordered: bool) -> None:
    """Check that bounds are numbers, or values of the column, and in order.

    Raises:
        Unreadable: they are not.
    """
    bounds = [each for each in (k.min_value, k.max_value) if each is not None]
    if not bounds:
        raise Unreadable("min_value and max_value are both missing; write one of them")
    for bound in bounds:
        if ordered:
            batch.ordered(k.column, *TIMES, "text")
            batch.literal(bound, k.column)
        elif isinstance(bound, bool) or not isinstance(bound, int | float):
            raise Unreadable(f"{bound!r:.40} is no number")
    for low, high in pairwise(in_utc(bound) for bound in bounds):
        if isinstance(low, str) == isinstance(high, str) and low > high:
            raise Unreadable(
                f"min_value {bounds[0]!s:.40} is greater than max_value {bounds[1]!s:.40}"
            )


def lies_between(value: Any, k: Any) -> Outcome:
    """Whether a value lies between the bounds; a missing one does not."""
    if is_missing(value):
        return Outcome(False)
    low, high = k.min_value, k.max_value
    if isinstance(value, date):
        value, low, high = map(in_utc, (value, low, high))
    elif isinstance(value, Decimal):  # 0.1 in a suite is 0.1 to a decimal column
        low, high = (
            Decimal(repr(each)) if isinstance(each, float) else each for each in (low, high)
        )
    ok = low is None or value > low or (value == low and not k.strict_min)
    ok = ok and (high is None or value < high or (value == high and not k.strict_max))
    return Outcome(ok, observed=value)


def _alternatives(batch: Batch, k: Any) -> list[Any]:
    """The values for which a template with `:each` stands."""
    if not hasattr(k, "quantile_ranges"):
        return [value for value in k.value_set if not is_missing(value)]
    if k.allow_relative_error:
        raise NotCompiled("allow_relative_error is for approximations; quantiles are exact here")
    shares, ranges = k.quantile_ranges.quantiles, _ranges(k)
    if len(shares) != len(ranges):
        raise Unreadable("quantile_ranges needs as many pairs in value_ranges as quantiles")
    for each in ranges:
        _check_range(batch, each, ordered=True)
    return list(shares)


def _ranges(k: Any) -> list[Any]:
    """The bounds of each quantile."""
    pairs = k.quantile_ranges.value_ranges
    words = {"column": k.column, "strict_min": False, "strict_max": False}
    return [SimpleNamespace(**words, min_value=low, max_value=high) for low, high in pairs]


def has_type(batch: Batch, k: Any) -> bool:
    """Whether a column has one of the types, by their names in SQL, pandas, Arrow or Spark."""
    batch.column(k.column)
    names = k.type_list if hasattr(k, "type_list") else [k.type_]
    actual = batch.types[k.column].this
    for name in names or ():
        plain = name.lower().removesuffix("type").removesuffix("()")
        try:
            kind = exp.DataType.build(TABLE["types"].get(plain, plain), dialect=batch.dialect).this
        except SqlglotError:
            continue  # a name of another engine
        alike = (exp.DataType.TEXT_TYPES, TIMESTAMPS, {actual})
        if any({kind, actual} <= group for group in alike):
            return True
    return names is None


def _alike(batch: Batch, k: Any) -> Iterator[tuple[Sql, Sql]]:
    """Pairs of columns, whose values can be compared with each other.

    Raises:
        Unreadable: they cannot.
    """
    names = _names(k)
    families = [batch.family(name) for name in names]
    if not any({*families} <= {*group} for group in (NUMBERS[1:], TIMES, families[:1])):
        raise Unreadable(f"columns {', '.join(names)} cannot be compared: {', '.join(families)}")
    for pair in combinations(names, 2):
        yield batch.column(pair[0]), batch.column(pair[1])


def _compared(operator: type[exp.Binary]) -> Callable[[Batch, Any], Sql]:
    return lambda batch, k: exp.and_(
        exp.true(), *(operator(this=one, expression=two) for one, two in _alike(batch, k))
    )


def _pairs(batch: Batch, k: Any) -> Sql:
    names = (k.column_A, k.column_B)
    rows = [
        [
            batch.column(name).is_(exp.null())
            if is_missing(value)
            else batch.column(name).eq(batch.literal(value, name))
            for name, value in zip(names, pair, strict=True)
        ]
        for pair in k.value_pairs_set
    ]
    return exp.or_(exp.false(), *(exp.and_(*row) for row in rows))


def _total(batch: Batch, k: Any) -> Sql:
    """Whether the sum of the columns is that number; integers of their own types overflow."""
    families = {name: batch.family(name) for name in k.column_list}
    values = [
        batch.ordered(name)
        if family in ("float", "decimal")
        else exp.cast(batch.ordered(name), "decimal(38, 0)")
        for name, family in families.items()
    ]
    total = reduce(lambda one, two: exp.Add(this=one, expression=two), values)
    return total.eq(number(k.sum_total, "float" if "float" in families.values() else "decimal"))


def _addend(batch: Batch, k: Any) -> Sql:
    """A number to be added to others, exact where that is."""
    value, exact = batch.ordered(k.column), batch.dialect in ("duckdb", "postgres")
    integer = batch.family(k.column) == "integer" and not exact  # else the sum overflows
    return exp.cast(value, "decimal(38, 0)") if integer else value


def _matching(
    parameter: str, test: Callable[[Batch, Any, str], Sql]
) -> Callable[[Batch, Any], Sql]:
    """Whether text matches a pattern, or any or all of several."""

    def hole(batch: Batch, k: Any) -> Sql:
        patterns = getattr(k, f"{parameter}_list", None) or [getattr(k, parameter)]
        tests = [test(batch, k, each) for each in patterns]
        return exp.and_(*tests) if getattr(k, "match_on", "any") == "all" else exp.or_(*tests)

    return hole


def _like(batch: Batch, k: Any, pattern: str) -> Sql:
    like = exp.Like(this=batch.column(k.column, "text"), expression=exp.convert(pattern))
    return exp.Escape(this=like, expression=exp.convert(k.escape or "\\"))  # defaults differ


# What a template calls by `:name`, besides the parameters.
HOLES: dict[str, Callable[[Batch, Any], Sql]] = {
    "column": lambda batch, k: batch.column(k.column),
    "ordered": lambda batch, k: batch.ordered(k.column, *TIMES, "text"),
    "double": lambda batch, k: exp.cast(batch.ordered(k.column), "double"),
    "addend": _addend,
    "text": lambda batch, k: batch.column(k.column, "text"),
    "inside": lambda batch, k: batch.inside(k.column, k.value_set),
    "matches": _matching(
        "regex", lambda batch, k, each: matches(batch.column(k.column, "text"), each, batch.dialect)
    ),
    "fits": _matching("like_pattern", _like),
    "has_type": lambda batch, k: exp.convert(has_type(batch, k)),
    "equal": _compared(exp.EQ),
    "same": _compared(exp.NullSafeEQ),
    "different": _compared(exp.NullSafeNEQ),
    "greater": lambda batch, k: _compared(exp.GTE if k.or_equal else exp.GT)(batch, k),
    "pairs": _pairs,
    "total": _total,
    "near": lambda batch, k: _filled(TABLE["near"][k.method], batch, k)[0],
}


def _compare_value(k: Any, value: Any, whole: Any = None) -> Outcome:
    value = value / whole if whole else value
    return (
        Outcome(value == k.value, observed=value) if hasattr(k, "value") else lies_between(value, k)
    )


def _compare_quantiles(k: Any, *values: Any) -> Outcome:
    ok = all(lies_between(value, k).ok for value, k in zip(values, _ranges(k), strict=True))
    return Outcome(ok, observed=dict(zip(k.quantile_ranges.quantiles, values, strict=True)))


def _contains(k: Any, *counts: int, outside: int | None = None) -> Outcome:
    values = [value for value in k.value_set if not is_missing(value)]
    absent = [str(value) for value, n in zip(values, counts, strict=True) if not n]
    text = f"without {', '.join(absent)}" if absent else ""
    return Outcome(not absent and not outside, outside, text=text)


def _compare_most_common(k: Any, number_of: int, within: int) -> Outcome:
    ok = within > 0 if k.ties_okay else number_of == within == 1
    return Outcome(ok, text=f"{number_of} most common values, {within} of them in the set")


def _compare_results(k: Any, first: int, second: int, same: int) -> Outcome:
    most = max(first, second)
    return Outcome(same >= Fraction(str(k.mostly)) * most, most - same)


def _compare_column_set(k: Any, batch: Batch) -> Outcome:
    expected = k.column_set or list(batch.types)
    missing = [name for name in expected if name not in batch.types]
    extra = [name for name in batch.types if name not in expected] if k.exact_match else []
    parts = [f"missing {', '.join(missing)}"] * bool(missing)
    parts += [f"unexpected {', '.join(extra)}"] * bool(extra)
    return Outcome(not parts, text=", ".join(parts))


def _compare_names(ok: Callable[[Any, list[str]], bool]) -> Callable[[Any, Batch], Outcome]:
    return lambda k, batch: Outcome(
        ok(k, list(batch.types)), text=f"the columns {', '.join(batch.types)}"
    )


VERDICTS: dict[str, Callable[..., Outcome]] = {
    "column_quantile_values_to_be_between": _compare_quantiles,
    "column_distinct_values_to_be_in_set": lambda _, outside: Outcome(not outside, outside),
    "column_distinct_values_to_contain_set": _contains,
    "column_distinct_values_to_equal_set": lambda k, n, *counts: _contains(k, *counts, outside=n),
    "column_most_common_value_to_be_in_set": _compare_most_common,
    "table_row_count_to_equal_other_table": lambda k, rows, others: Outcome(
        rows == others, text=f"{rows:,} rows, and {others:,} in {k.other_table_name}"
    ),
    "query_results_to_match_comparison": _compare_results,
    "column_to_exist": _compare_names(
        lambda k, names: k.column in (names[k.column_index :][:1] if k.column_index else names)
    ),
    "column_type_to_be": lambda k, batch: Outcome(
        has_type(batch, k), text=batch.types[k.column].sql(batch.dialect)
    ),
    "table_columns_to_match_ordered_list": _compare_names(
        lambda k, names: k.column_list in (None, names)
    ),
    "table_columns_to_match_set": _compare_column_set,
    "table_column_count_to_equal": lambda k, batch: _compare_value(k, len(batch.types)),
    "table_column_count_to_be_between": lambda k, batch: _compare_value(k, len(batch.types)),
}
