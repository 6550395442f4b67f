"""The table of expectations: what each one asks in SQL, or the reason why SQL cannot say it.

Names are Great Expectations' types without `expect_`, parameters its `kwargs` with its defaults. A
suite is a list of checks: figures that one statement computes, and verdicts on their values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Annotated, Any, Literal

from dslp.core.errors import nearest
from dslp.core.text import error_line
from dslp.data.batch import (
    BATCH,
    NUMBERS,
    OTHERS,
    Batch,
    NotCompiled,
    Unreadable,
    as_moment,
    in_utc,
    is_missing,
    matches,
    number,
    present,
    row_condition,
)
from pydantic import ConfigDict, Field, ValidationError, create_model
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

TIMES = exp.column("times")  # how often a key occurs, in a figure with keys


@dataclass(frozen=True)
class Figure:
    """One value of the statement: an aggregate of rows, or of groups where it has `keys`.

    A group has the different values `key0`, `key1`... and how many rows have them, `times`.
    """

    value: exp.Expression
    keys: tuple[str, ...] = ()
    where: exp.Expression | None = None
    table: exp.Expression | None = None  # in place of the batch


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
        failing: the condition of the rows that break it.
        query: a query of the rows that break it, in place of a condition.
        whole: whether a part of the rows says nothing about all of them.
    """

    figures: Sequence[Figure]
    verdict: Callable[..., Outcome]
    failing: exp.Expression | None = None
    query: exp.Expression | None = None
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
    values, condition = dict(kwargs), None
    if kind not in TABLES and values.get("row_condition") is not None:
        condition = row_condition(values.pop("row_condition"), batch)
        values.pop("condition_parser", None)
    batch = replace(batch, condition=condition)
    if kind in ROWS:
        parameters, holds = ROWS[kind]
        k = _parameters(parameters | {"mostly": (Share, 1)}, values)
        considered = [] if kind in NULLS else _considered(batch, k)
        return _check_rows(batch, holds(batch, k), k.mostly, considered, kind in WHOLE)
    if kind in FIGURES:
        value, figures = FIGURES[kind]
        k = _parameters(COLUMN | RANGE, values)
        _check_bounds(batch, k, kind)
        return Check(figures(batch, k.column), lambda *v: _lies(value(*v), k), whole=True)
    parameters, check = CHECKS[kind]
    return check(batch, _parameters(parameters, values))


def _parameters(expected: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """The parameters of an expectation as attributes.

    Raises:
        Unreadable: one is unknown, missing, or of the wrong type.
    """
    for name in values:
        if name not in expected:
            raise Unreadable(f"kwargs has {name!r}{nearest(str(name), list(expected))}")
    config = ConfigDict(strict=True, protected_namespaces=())
    try:
        return create_model("kwargs", __config__=config, **expected)(**values)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f", not {first['input']!r:.40}" if first["type"] != "missing" else ""
        raise Unreadable(f"kwargs: {first['loc'][0]}: {first['msg']}{problem}") from None


Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[list[str], Field(min_length=1)]
COLUMN = {"column": (str, ...)}
RANGE = {
    **{"min_value": (Any, None), "max_value": (Any, None)},
    **{"strict_min": (bool, False), "strict_max": (bool, False)},
}
SET = {"value_set": (list[Any], ...)}
BOTH, EITHER, ALL, ANY = (
    f"{it}_missing"
    for it in ("both_values_are", "either_value_is", "all_values_are", "any_value_is")
)
PAIR = {
    **{"column_A": (str, ...), "column_B": (str, ...)},
    "ignore_row_if": (
        Literal["both_values_are_missing", "either_value_is_missing", "neither"],
        BOTH,
    ),
}
LIST = {
    "column_list": (Names, ...),
    "ignore_row_if": (Literal["all_values_are_missing", "any_value_is_missing", "never"], ALL),
}
MATCH = {"match_on": (Literal["any", "all"], "any")}
LIKE, ESCAPE = {"like_pattern": (str, ...)}, {"escape": (str | None, None)}
LIKES = {"like_pattern_list": (Names, ...)}
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
# Types by their names in pandas, Arrow and Spark.
TYPES = {
    **{"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "int": "bigint"},
    **{"float32": "real", "float64": "double", "bool": "boolean", "str": "text", "object": "text"},
    **{"long": "bigint", "short": "smallint", "byte": "tinyint", "integer": "int"},
    **{"datetime64[ns]": "timestamp", "datetime64[us]": "timestamp", "double_precision": "double"},
}


# --- Rows: a row that is considered breaks the expectation unless this is true of it.


def _check_rows(
    batch: Batch, holds: Any, mostly: float, considered: list[exp.Expression], whole: bool
) -> Check:
    """A check that something holds for `mostly` of the considered rows."""
    of = _count(batch.where(*considered))
    if isinstance(holds, Check):  # of groups
        bad, failing = holds.figures[0], holds.failing
    else:
        breaks = exp.not_(exp.Coalesce(this=holds, expressions=[exp.false()]))
        failing = batch.where(*considered, breaks)
        bad = _count(failing)
    if mostly == 1:
        return Check([bad], lambda n: Outcome(not n, int(n or 0)), failing, whole=whole)
    least = Fraction(str(mostly))
    return Check(
        [bad, of],
        lambda n, all_: Outcome(all_ - int(n or 0) >= least * all_, int(n or 0)),
        failing,
        whole=True,
    )


def _considered(batch: Batch, k: Any) -> list[exp.Expression]:
    """The conditions of the rows that an expectation does not ignore."""
    if hasattr(k, "column"):
        return [present(batch.column(k.column))]
    names = k.column_list if hasattr(k, "column_list") else [k.column_A, k.column_B]
    values = [present(batch.column(name)) for name in names]
    if k.ignore_row_if in (EITHER, ANY):
        return values
    return [exp.or_(*values)] if k.ignore_row_if in (BOTH, ALL) else []


def _count(test: exp.Expression | None) -> Figure:
    """The number of rows that meet a test."""
    if test is None:
        return Figure(exp.Count(this=exp.Star()))
    return Figure(exp.Count(this=exp.case().when(test.copy(), exp.convert(1))))


def _range(value: exp.Expression, k: Any, literal: Callable[[Any], Any]) -> exp.Expression:
    """Whether a value lies between the bounds."""
    low, high = exp.GT if k.strict_min else exp.GTE, exp.LT if k.strict_max else exp.LTE
    bounds = [(low, k.min_value), (high, k.max_value)]
    if all(bound is None for _, bound in bounds):
        raise Unreadable("min_value and max_value are both missing; write one of them")
    return exp.and_(
        *(each(this=value.copy(), expression=literal(b)) for each, b in bounds if b is not None)
    )


def _values_between(batch: Batch, k: Any) -> exp.Expression:
    _check_bounds(batch, k, "column_min_to_be_between")
    batch.ordered(k.column)
    return _range(batch.column(k.column), k, lambda value: batch.literal(value, k.column))


def _lengths(batch: Batch, k: Any) -> exp.Expression:
    _check_bounds(batch, k, "")
    return _range(exp.Length(this=batch.column(k.column, "text")), k, exp.convert)


def _length(batch: Batch, k: Any) -> exp.Expression:
    return exp.Length(this=batch.column(k.column, "text")).eq(k.value)


def _regex(batch: Batch, k: Any) -> exp.Expression:
    patterns = k.regex_list if hasattr(k, "regex_list") else [k.regex]
    tests = [matches(batch.column(k.column, "text"), each, batch.dialect) for each in patterns]
    return exp.and_(*tests) if getattr(k, "match_on", "any") == "all" else exp.or_(*tests)


def _like(batch: Batch, k: Any) -> exp.Expression:
    patterns = k.like_pattern_list if hasattr(k, "like_pattern_list") else [k.like_pattern]
    escape = exp.convert(k.escape or "\\")  # engines differ in their default
    likes = [
        exp.Like(this=batch.column(k.column, "text"), expression=exp.convert(each))
        for each in patterns
    ]
    tests = [exp.Escape(this=like, expression=escape.copy()) for like in likes]
    return exp.and_(*tests) if getattr(k, "match_on", "any") == "all" else exp.or_(*tests)


def _none(of: Callable[[Batch, Any], exp.Expression]) -> Callable[[Batch, Any], exp.Expression]:
    return lambda batch, k: exp.not_(of(batch, k))


def _type(batch: Batch, k: Any) -> exp.Expression:
    """Whether the column has one of the types, whichever library's name it has."""
    names = k.type_list if hasattr(k, "type_list") else [k.type_]
    return exp.true() if _has_type(batch, k.column, names) else exp.false()


def _has_type(batch: Batch, column: str, names: Sequence[str] | None) -> bool:
    batch.column(column)
    actual = batch.types[column]
    for name in names or ():
        plain = name.lower().removesuffix("type").removesuffix("()")
        try:
            kind = exp.DataType.build(TYPES.get(plain, plain), dialect=batch.dialect)
        except SqlglotError:
            continue  # a name of another engine
        texts = {kind.this, actual.this} <= exp.DataType.TEXT_TYPES
        times = {kind.this, actual.this} <= TIMESTAMPS
        if texts or times or kind.this == actual.this:
            return True
    return names is None


TIMESTAMPS = {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMP_NS}


def _alike(batch: Batch, names: Sequence[str]) -> list[exp.Expression]:
    """Columns whose values can be compared with each other.

    Raises:
        Unreadable: they cannot.
    """
    families = [batch.family(name) for name in names]
    for group in (NUMBERS[1:], OTHERS[1:], *([family] for family in families)):
        if set(families) <= set(group):
            return [batch.column(name) for name in names]
    raise Unreadable(f"columns {', '.join(names)} cannot be compared: {', '.join(families)}")


def _greater(batch: Batch, k: Any) -> exp.Expression:
    one, other = _alike(batch, [k.column_A, k.column_B])
    return one >= other if k.or_equal else one > other


def _pairs(batch: Batch, k: Any) -> exp.Expression:
    a, b = k.column_A, k.column_B
    return exp.or_(
        exp.false(), *(batch.equal(a, v).and_(batch.equal(b, w)) for v, w in k.value_pairs_set)
    )


def _all_equal(batch: Batch, k: Any) -> exp.Expression:
    first, *others = _alike(batch, k.column_list)
    same = (exp.NullSafeEQ(this=first.copy(), expression=each) for each in others)
    return exp.and_(exp.true(), *same)


def _all_different(batch: Batch, k: Any) -> exp.Expression:
    pairs = combinations(_alike(batch, k.column_list), 2)
    other = (exp.NullSafeNEQ(this=one.copy(), expression=two.copy()) for one, two in pairs)
    return exp.and_(exp.true(), *other)


def _row_sum(batch: Batch, k: Any) -> exp.Expression:
    families = {name: batch.family(name) for name in k.column_list}
    kind = "float" if "float" in families.values() else "decimal"
    values = [batch.number(name) for name in families]
    for position, family in enumerate(families.values()):
        if family not in ("float", "decimal"):  # integers of their own types overflow
            values[position] = exp.cast(values[position], "decimal(38, 0)")
    total = values[0]
    for value in values[1:]:
        total = exp.Add(this=total, expression=value)
    return total.eq(number(k.sum_total, kind))


def _unique(batch: Batch, k: Any) -> Check:
    """A check that the values of columns, together, are in one row only."""
    names = k.column_list if hasattr(k, "column_list") else [k.column]
    where = batch.where(*_considered(batch, k))
    repeated = exp.Sum(this=exp.case().when(TIMES > 1, TIMES.copy()))
    keys = groups(names, where).having(exp.Count(this=exp.Star()) > 1)
    same = [
        exp.NullSafeEQ(
            this=exp.column(f"key{i}", "repeated"), expression=exp.column(name, BATCH, quoted=True)
        )
        for i, name in enumerate(names)
    ]
    inside = exp.Exists(this=exp.select("1").from_(keys.subquery("repeated")).where(*same))
    failing = exp.and_(*([where] if where is not None else []), inside)
    return Check([Figure(repeated, tuple(names), where)], Outcome, failing)


def groups(names: Sequence[str], where: exp.Expression | None, table: Any = None) -> exp.Select:
    """A query of the different values of columns, and how many rows have each."""
    columns = [exp.column(name, quoted=True) for name in names]
    keys = [column.as_(f"key{i}") for i, column in enumerate(columns)]
    query = exp.select(*keys, exp.Count(this=exp.Star()).as_("times")).from_(exp.to_table(BATCH))
    query = query if where is None else query.where(where.copy())
    return query.group_by(*(column.copy() for column in columns))


def _near(batch: Batch, k: Any, most: float, absolute: bool, strict: bool = True) -> exp.Expression:
    """Whether a value is near the mean, in standard deviations; true where there is no spread."""
    value = exp.cast(batch.number(k.column), "double")
    mean = _of_all(batch, exp.Avg(this=batch.only(value.copy())))
    spread = _of_all(batch, _deviation(batch, value.copy()))
    distance: exp.Expression = exp.paren(value - mean)
    distance = exp.Abs(this=distance) if absolute else distance
    reach = exp.Mul(
        this=exp.Nullif(this=spread, expression=exp.convert(0)), expression=number(most, "float")
    )
    near = (exp.LT if strict else exp.LTE)(this=distance, expression=reach)
    return exp.Coalesce(this=near, expressions=[exp.true()])


def _z_scores(batch: Batch, k: Any) -> exp.Expression:
    return _near(batch, k, abs(k.threshold) if k.double_sided else k.threshold, k.double_sided)


def _no_outliers(batch: Batch, k: Any) -> exp.Expression:
    if k.method == "std":
        return _near(batch, k, k.multiplier, absolute=True, strict=k.multiplier > 0)
    value = exp.cast(batch.number(k.column), "double")
    low, high = (_of_all(batch, _quantile(batch, value.copy(), q, "cont")) for q in (0.25, 0.75))
    reach = exp.Mul(this=exp.paren(high - low), expression=number(k.multiplier, "float"))
    above = value.copy() >= exp.Sub(this=low.copy(), expression=reach)
    return above.and_(value <= exp.Add(this=high.copy(), expression=reach.copy()))


def _of_all(batch: Batch, value: exp.Expression) -> exp.Expression:
    """An aggregate of all rows, for each of them to be compared with.

    Raises:
        NotCompiled: the engine cannot.
    """
    if batch.dialect == "tsql":
        raise NotCompiled("SQL Server counts no rows by a condition with a query in it")
    return exp.select(value).from_(exp.to_table(BATCH)).subquery()


WHOLE = ("column_value_z_scores_to_be_less_than", "column_values_to_not_be_outliers")
NULLS = ("column_values_to_not_be_null", "column_values_to_be_null")  # null is considered
ROWS: dict[str, tuple[dict[str, Any], Callable[[Batch, Any], Any]]] = {
    "column_values_to_not_be_null": (COLUMN, lambda b, k: present(b.column(k.column))),
    "column_values_to_be_null": (COLUMN, lambda b, k: b.equal(k.column, None)),
    "column_values_to_be_unique": (COLUMN, _unique),
    "column_values_to_be_between": (COLUMN | RANGE, _values_between),
    "column_values_to_be_in_set": (COLUMN | SET, lambda b, k: b.inside(k.column, k.value_set)),
    "column_values_to_not_be_in_set": (
        COLUMN | SET,
        lambda b, k: exp.not_(b.inside(k.column, k.value_set)),
    ),
    "column_value_lengths_to_be_between": (COLUMN | RANGE, _lengths),
    "column_value_lengths_to_equal": (COLUMN | {"value": (int, ...)}, _length),
    "column_value_z_scores_to_be_less_than": (
        COLUMN | {"threshold": (float, ...), "double_sided": (bool, ...)},
        _z_scores,
    ),
    "column_values_to_not_be_outliers": (
        COLUMN
        | {"method": (Literal["iqr", "std"], "iqr")}
        | {"multiplier": (Annotated[float, Field(ge=0)], 1.5)},
        _no_outliers,
    ),
    "column_values_to_match_regex": (COLUMN | {"regex": (str, "(?s).*")}, _regex),
    "column_values_to_not_match_regex": (COLUMN | {"regex": (str, ...)}, _none(_regex)),
    "column_values_to_match_regex_list": (COLUMN | {"regex_list": (Names, ...)} | MATCH, _regex),
    "column_values_to_not_match_regex_list": (
        COLUMN | {"regex_list": (Names, ...)},
        _none(_regex),
    ),
    "column_values_to_match_like_pattern": (COLUMN | LIKE | ESCAPE, _like),
    "column_values_to_not_match_like_pattern": (COLUMN | LIKE | ESCAPE, _none(_like)),
    "column_values_to_match_like_pattern_list": (COLUMN | LIKES | MATCH | ESCAPE, _like),
    "column_values_to_not_match_like_pattern_list": (COLUMN | LIKES | ESCAPE, _none(_like)),
    "column_values_to_be_of_type": (COLUMN | {"type_": (str, ...)}, _type),
    "column_values_to_be_in_type_list": (COLUMN | {"type_list": (Names | None, None)}, _type),
    "column_pair_values_to_be_equal": (
        PAIR,
        lambda b, k: _alike(b, [k.column_A, k.column_B])[0].eq(b.column(k.column_B)),
    ),
    "column_pair_values_a_to_be_greater_than_b": (
        PAIR | {"or_equal": (bool | None, None)},
        _greater,
    ),
    "column_pair_values_to_be_in_set": (
        PAIR
        | {"value_pairs_set": (list[Annotated[list[Any], Field(min_length=2, max_length=2)]], ...)},
        _pairs,
    ),
    "compound_columns_to_be_unique": (LIST, _unique),
    "multicolumn_sum_to_equal": (LIST | {"sum_total": (float | int, ...)}, _row_sum),
    "multicolumn_values_to_be_equal": (LIST, _all_equal),
    "select_column_values_to_be_unique_within_record": (LIST, _all_different),
}


# --- Figures: one value of a column, which must lie between two bounds.


def _check_bounds(batch: Batch, k: Any, kind: str) -> None:
    """Check that bounds are values of the column, or numbers, and in order.

    Raises:
        Unreadable: they are not.
    """
    bounds = [each for each in (k.min_value, k.max_value) if each is not None]
    if not bounds:
        raise Unreadable("min_value and max_value are both missing; write one of them")
    for bound in bounds:
        if kind in ("column_min_to_be_between", "column_max_to_be_between"):
            batch.literal(bound, k.column)
        elif isinstance(bound, bool) or not isinstance(bound, int | float):
            raise Unreadable(f"{bound!r:.40} is no number")
    low, high = (as_moment(each) or each for each in (k.min_value, k.max_value))
    if len(bounds) > 1 and (type(low) is type(high) or not isinstance(low, str)) and low > high:
        raise Unreadable(
            f"min_value {k.min_value!s:.40} is greater than max_value {k.max_value!s:.40}"
        )


def _lies(value: Any, k: Any) -> Outcome:
    """Whether a value lies between the bounds; a missing one does not."""
    ok = not is_missing(value)
    for bound, sign, strict in ((k.min_value, 1, k.strict_min), (k.max_value, -1, k.strict_max)):
        if not ok or bound is None:
            continue
        one, other = value, bound
        if isinstance(value, Decimal) and isinstance(bound, float):
            other = Decimal(repr(bound))  # 0.1 in a suite is 0.1 to a decimal column
        elif not isinstance(value, str | int | float | Decimal):
            one, other = (in_utc(each) for each in (as_moment(value), as_moment(bound)) if each)
        ok = (one > other if sign > 0 else one < other) or (one == other and not strict)
    return Outcome(ok, observed=None if is_missing(value) else value)


def _sum(batch: Batch, column: str) -> list[Figure]:
    """The sum of a column, exact where that is, and the number of its values."""
    value = batch.only(batch.number(column))
    if batch.family(column) == "integer" and batch.dialect not in ("duckdb", "postgres"):
        value = exp.cast(value, "decimal(38, 0)")  # else the sum overflows
    return [Figure(exp.Sum(this=value)), _count(batch.where(present(batch.column(column))))]


def _deviation(batch: Batch, value: exp.Expression) -> exp.Expression:
    value = exp.cast(batch.only(value), "double")
    return exp.func("STDEV", value) if batch.dialect == "tsql" else exp.StddevSamp(this=value)


def _quantile(batch: Batch, value: exp.Expression, share: float, kind: str) -> exp.Expression:
    """The value below which that share of the values lies; `cont` interpolates."""
    value = batch.only(exp.cast(value, "double") if kind == "cont" else value)
    if batch.dialect == "duckdb":
        return exp.func(f"quantile_{kind}", value, exp.convert(share))
    order = value.sql(batch.dialect)  # SQLGlot would write an approximation for Spark
    return exp.Var(this=f"percentile_{kind}({share}) WITHIN GROUP (ORDER BY {order})")


def _one(value: Callable[[Batch, str], exp.Expression]) -> Callable[[Batch, str], list[Figure]]:
    return lambda batch, column: [Figure(value(batch, column))]


def _distinct(batch: Batch, column: str) -> list[Figure]:
    where = batch.where(present(batch.column(column)))
    return [Figure(exp.Count(this=exp.Star()), (column,), where), _count(where)]


def _present(batch: Batch, column: str) -> list[Figure]:
    return [_count(batch.where(present(batch.column(column)))), _count(batch.where())]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0


FIGURES: dict[str, tuple[Callable[..., Any], Callable[[Batch, str], list[Figure]]]] = {
    f"column_{name}_to_be_between": entry
    for name, entry in {
        "min": (lambda v: v, _one(lambda b, c: exp.Min(this=b.only(b.ordered(c))))),
        "max": (lambda v: v, _one(lambda b, c: exp.Max(this=b.only(b.ordered(c))))),
        "sum": (lambda total, _: total, _sum),
        "mean": (lambda total, of: total / of if of else None, _sum),
        "median": (lambda v: v, _one(lambda b, c: _quantile(b, b.number(c), 0.5, "cont"))),
        "stdev": (lambda v: v, _one(lambda b, c: _deviation(b, b.number(c)))),
        "unique_value_count": (lambda different, _: different, _distinct),
        "proportion_of_unique_values": (_share, _distinct),
        "proportion_of_non_null_values": (_share, _present),
    }.items()
}


# --- Checks: of sets of values, of the table, and of other tables.


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
            _parameters(
                RANGE | COLUMN, {"min_value": pair[0], "max_value": pair[1], "column": k.column}
            )
        )
        if any(each is not None for each in pair):
            _check_bounds(batch, bounds[-1], "column_min_to_be_between")
    value = batch.ordered(k.column)
    figures = [Figure(_quantile(batch, value.copy(), float(share), "disc")) for share in shares]

    def verdict(*values: Any) -> Outcome:
        ok = all(_lies(v, bound).ok for v, bound in zip(values, bounds, strict=True))
        return Outcome(ok, observed=dict(zip(shares, values, strict=True)))

    return Check(figures, verdict, whole=True)


def _values_of_set(batch: Batch, k: Any, others: bool, missing: bool) -> Check:
    """A check that no value is outside a set, or that none of the set is missing, or both."""
    values = [value for value in k.value_set if not is_missing(value)]
    figures = [_count(batch.where(batch.equal(k.column, v))) for v in values if missing]
    column, inside = batch.column(k.column), batch.inside(k.column, values)
    failing = batch.where(present(column), exp.not_(inside)) if others else None
    figures += [_count(failing)] if others else []

    def verdict(*counts: int) -> Outcome:
        absent = [v for v, n in zip(values, counts, strict=False) if missing and not n]
        outside = counts[-1] if others else None
        text = f"without {', '.join(map(str, absent))}" if absent else ""
        return Outcome(not absent and not outside, outside, text=text)

    return Check(figures, verdict, failing, whole=missing)


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
    ok = _has_type(batch, k.column, [k.type_])
    return Check([], lambda: Outcome(ok, text=kind))


def _row_count(batch: Batch, k: Any) -> Check:
    if hasattr(k, "value"):
        return Check(
            [_count(batch.where())], lambda n: Outcome(n == k.value, observed=n), whole=True
        )
    _check_bounds(batch, k, "")
    return Check([_count(batch.where())], lambda n: _lies(n, k), whole=True)


def _column_count(batch: Batch, k: Any) -> Check:
    if hasattr(k, "value"):
        return Check([], lambda: Outcome(len(batch.types) == k.value, observed=len(batch.types)))
    _check_bounds(batch, k, "")
    return Check([], lambda: _lies(len(batch.types), k))


def _other_table(batch: Batch, k: Any) -> Check:
    other = Figure(exp.Count(this=exp.Star()), table=batch.table(k.other_table_name))

    def verdict(rows: int, others: int) -> Outcome:
        return Outcome(
            rows == others, text=f"{rows:,} rows, and {others:,} in {k.other_table_name}"
        )

    return Check([_count(batch.where()), other], verdict, whole=True)


def _query(text: str, batch: Batch) -> exp.Expression:
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
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and table.name not in own and not table.db:
            batch.table(table.name)
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


NUMBER = {"value": (int, ...)}
QUERY = {"unexpected_rows_query": (str, ...)}
CHECKS: dict[str, tuple[dict[str, Any], Callable[[Batch, Any], Check]]] = {
    "column_quantile_values_to_be_between": (
        COLUMN
        | {"quantile_ranges": (dict[str, Any], ...), "allow_relative_error": (bool | str, False)},
        _quantiles,
    ),
    "column_distinct_values_to_be_in_set": (
        COLUMN | SET,
        lambda b, k: _values_of_set(b, k, True, False),
    ),
    "column_distinct_values_to_contain_set": (
        COLUMN | SET,
        lambda b, k: _values_of_set(b, k, False, True),
    ),
    "column_distinct_values_to_equal_set": (
        COLUMN | SET,
        lambda b, k: _values_of_set(b, k, True, True),
    ),
    "column_most_common_value_to_be_in_set": (
        COLUMN | SET | {"ties_okay": (bool | None, None)},
        _most_common,
    ),
    "column_to_exist": (COLUMN | {"column_index": (int | None, None)}, _columns(_exists)),
    "column_type_to_be": (COLUMN | {"type_": (str, ...)}, _column_type),
    "table_columns_to_match_ordered_list": (
        {"column_list": (Names | None, None)},
        _columns(_ordered_list),
    ),
    "table_columns_to_match_set": (
        {"column_set": (Names | None, None), "exact_match": (bool | None, True)},
        _columns(_column_set),
    ),
    "table_column_count_to_equal": (NUMBER, _column_count),
    "table_column_count_to_be_between": (RANGE, _column_count),
    "table_row_count_to_equal": (NUMBER, _row_count),
    "table_row_count_to_be_between": (RANGE, _row_count),
    "table_row_count_to_equal_other_table": ({"other_table_name": (str, ...)}, _other_table),
    "unexpected_rows_expectation": (QUERY, _unexpected_rows),
    "query_results_to_match_comparison": (
        dict.fromkeys(("base_query", "comparison_data_source_name", "comparison_query"), (str, ...))
        | {"mostly": (Share, 1)},
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
