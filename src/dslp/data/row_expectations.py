"""Expectations of single rows: a row that is considered breaks one unless it is true of it."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

from dslp.data.batch import (
    BATCH,
    NUMBERS,
    OTHERS,
    Batch,
    NotCompiled,
    Sql,
    Unreadable,
    matches,
    number,
    present,
)
from dslp.data.checks import (
    ALL,
    ANY,
    BOTH,
    EITHER,
    RANGE,
    TIMES,
    Check,
    Figure,
    Outcome,
    check_bounds,
    count_rows,
    deviation,
    groups,
    quantile,
)
from sqlglot import exp
from sqlglot.errors import SqlglotError

PAIR, LIST = "column_A column_B ignore_row_if/pair", "column_list ignore_row_if"
# Types by their names in pandas, Arrow and Spark.
TYPES = {
    **{"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "int": "bigint"},
    **{"float32": "real", "float64": "double", "bool": "boolean", "str": "text", "object": "text"},
    **{"long": "bigint", "short": "smallint", "byte": "tinyint", "integer": "int"},
    **{"datetime64[ns]": "timestamp", "datetime64[us]": "timestamp", "double_precision": "double"},
}
TIMESTAMPS = {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMP_NS}


def check_rows(
    batch: Batch, holds: Any, mostly: float, considered: list[Sql], whole: bool
) -> Check:
    """A check that something holds for `mostly` of the considered rows."""
    of = count_rows(batch.where(*considered))
    if isinstance(holds, Check):  # of groups
        bad, failing = holds.figures[0], holds.failing
    else:
        breaks = exp.not_(exp.Coalesce(this=holds, expressions=[exp.false()]))
        failing = batch.where(*considered, breaks)
        bad = count_rows(failing)
    if mostly == 1:
        return Check([bad], lambda n: Outcome(not n, int(n or 0)), failing, whole=whole)
    least = Fraction(str(mostly))
    return Check(
        [bad, of],
        lambda n, all_: Outcome(all_ - int(n or 0) >= least * all_, int(n or 0)),
        failing,
        whole=True,
    )


def considered_rows(batch: Batch, k: Any) -> list[Sql]:
    """The conditions of the rows that an expectation does not ignore."""
    if hasattr(k, "column"):
        return [present(batch.column(k.column))]
    names = k.column_list if hasattr(k, "column_list") else [k.column_A, k.column_B]
    values = [present(batch.column(name)) for name in names]
    if k.ignore_row_if in (EITHER, ANY):
        return values
    return [exp.or_(*values)] if k.ignore_row_if in (BOTH, ALL) else []


def _range(value: Sql, k: Any, literal: Callable[[Any], Any]) -> Sql:
    """Whether a value lies between the bounds."""
    low, high = exp.GT if k.strict_min else exp.GTE, exp.LT if k.strict_max else exp.LTE
    bounds = [(low, k.min_value), (high, k.max_value)]
    if all(bound is None for _, bound in bounds):
        raise Unreadable("min_value and max_value are both missing; write one of them")
    return exp.and_(
        *(each(this=value.copy(), expression=literal(b)) for each, b in bounds if b is not None)
    )


def _values_between(batch: Batch, k: Any) -> Sql:
    check_bounds(batch, k, "column_min_to_be_between")
    batch.ordered(k.column)
    return _range(batch.column(k.column), k, lambda value: batch.literal(value, k.column))


def _in_set(batch: Batch, k: Any) -> Sql:
    return batch.inside(k.column, k.value_set)


def _lengths(batch: Batch, k: Any) -> Sql:
    check_bounds(batch, k, "")
    return _range(exp.Length(this=batch.column(k.column, "text")), k, exp.convert)


def _length(batch: Batch, k: Any) -> Sql:
    return exp.Length(this=batch.column(k.column, "text")).eq(k.value)


def _regex(batch: Batch, k: Any) -> Sql:
    patterns = k.regex_list if hasattr(k, "regex_list") else [k.regex]
    tests = [matches(batch.column(k.column, "text"), each, batch.dialect) for each in patterns]
    return exp.and_(*tests) if getattr(k, "match_on", "any") == "all" else exp.or_(*tests)


def _like(batch: Batch, k: Any) -> Sql:
    patterns = k.like_pattern_list if hasattr(k, "like_pattern_list") else [k.like_pattern]
    escape = exp.convert(k.escape or "\\")  # engines differ in their default
    likes = [
        exp.Like(this=batch.column(k.column, "text"), expression=exp.convert(each))
        for each in patterns
    ]
    tests = [exp.Escape(this=like, expression=escape.copy()) for like in likes]
    return exp.and_(*tests) if getattr(k, "match_on", "any") == "all" else exp.or_(*tests)


def _none(of: Callable[[Batch, Any], Sql]) -> Callable[[Batch, Any], Sql]:
    return lambda batch, k: exp.not_(of(batch, k))


def _type(batch: Batch, k: Any) -> Sql:
    """Whether the column has one of the types, whichever library's name it has."""
    names = k.type_list if hasattr(k, "type_list") else [k.type_]
    return exp.true() if has_type(batch, k.column, names) else exp.false()


def has_type(batch: Batch, column: str, names: Sequence[str] | None) -> bool:
    """Whether a column has one of the types, by their names in SQL, pandas, Arrow or Spark."""
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


def _alike(batch: Batch, names: Sequence[str]) -> list[Sql]:
    """Columns whose values can be compared with each other.

    Raises:
        Unreadable: they cannot.
    """
    families = [batch.family(name) for name in names]
    for group in (NUMBERS[1:], OTHERS[1:], *([family] for family in families)):
        if set(families) <= set(group):
            return [batch.column(name) for name in names]
    raise Unreadable(f"columns {', '.join(names)} cannot be compared: {', '.join(families)}")


def _equal(batch: Batch, k: Any) -> Sql:
    one, other = _alike(batch, [k.column_A, k.column_B])
    return one.eq(other)


def _greater(batch: Batch, k: Any) -> Sql:
    one, other = _alike(batch, [k.column_A, k.column_B])
    return one >= other if k.or_equal else one > other


def _pairs(batch: Batch, k: Any) -> Sql:
    a, b = k.column_A, k.column_B
    return exp.or_(
        exp.false(), *(batch.equal(a, v).and_(batch.equal(b, w)) for v, w in k.value_pairs_set)
    )


def _all_equal(batch: Batch, k: Any) -> Sql:
    first, *others = _alike(batch, k.column_list)
    same = (exp.NullSafeEQ(this=first.copy(), expression=each) for each in others)
    return exp.and_(exp.true(), *same)


def _all_different(batch: Batch, k: Any) -> Sql:
    pairs = combinations(_alike(batch, k.column_list), 2)
    other = (exp.NullSafeNEQ(this=one.copy(), expression=two.copy()) for one, two in pairs)
    return exp.and_(exp.true(), *other)


def _row_sum(batch: Batch, k: Any) -> Sql:
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
    where = batch.where(*considered_rows(batch, k))
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


def _near(batch: Batch, k: Any, most: float, absolute: bool, strict: bool = True) -> Sql:
    """Whether a value is near the mean, in standard deviations; true where there is no spread."""
    value = exp.cast(batch.number(k.column), "double")
    mean = _of_all(batch, exp.Avg(this=batch.only(value.copy())))
    spread = _of_all(batch, deviation(batch, value.copy()))
    distance: Sql = exp.paren(value - mean)
    distance = exp.Abs(this=distance) if absolute else distance
    reach = exp.Mul(
        this=exp.Nullif(this=spread, expression=exp.convert(0)), expression=number(most, "float")
    )
    near = (exp.LT if strict else exp.LTE)(this=distance, expression=reach)
    return exp.Coalesce(this=near, expressions=[exp.true()])


def _z_scores(batch: Batch, k: Any) -> Sql:
    return _near(batch, k, abs(k.threshold) if k.double_sided else k.threshold, k.double_sided)


def _no_outliers(batch: Batch, k: Any) -> Sql:
    if k.method == "std":
        return _near(batch, k, k.multiplier, absolute=True, strict=k.multiplier > 0)
    value = exp.cast(batch.number(k.column), "double")
    low, high = (_of_all(batch, quantile(batch, value.copy(), q, "cont")) for q in (0.25, 0.75))
    reach = exp.Mul(this=exp.paren(high - low), expression=number(k.multiplier, "float"))
    above = value.copy() >= exp.Sub(this=low.copy(), expression=reach)
    return above.and_(value <= exp.Add(this=high.copy(), expression=reach.copy()))


def _of_all(batch: Batch, value: Sql) -> Sql:
    """An aggregate of all rows, for each of them to be compared with.

    Raises:
        NotCompiled: the engine cannot.
    """
    if batch.dialect == "tsql":
        raise NotCompiled("SQL Server counts no rows by a condition with a query in it")
    return exp.select(value).from_(exp.to_table(BATCH)).subquery()


WHOLE = ("column_value_z_scores_to_be_less_than", "column_values_to_not_be_outliers")
NULLS = ("column_values_to_not_be_null", "column_values_to_be_null")  # null is considered
ROWS: dict[str, tuple[str, Callable[[Batch, Any], Any]]] = {
    "column_values_to_not_be_null": ("column", lambda b, k: present(b.column(k.column))),
    "column_values_to_be_null": ("column", lambda b, k: b.equal(k.column, None)),
    "column_values_to_be_unique": ("column", _unique),
    "column_values_to_be_between": (f"column {RANGE}", _values_between),
    "column_values_to_be_in_set": ("column value_set", _in_set),
    "column_values_to_not_be_in_set": ("column value_set", _none(_in_set)),
    "column_value_lengths_to_be_between": (f"column {RANGE}", _lengths),
    "column_value_lengths_to_equal": ("column value", _length),
    "column_value_z_scores_to_be_less_than": ("column threshold double_sided", _z_scores),
    "column_values_to_not_be_outliers": ("column method multiplier", _no_outliers),
    "column_values_to_match_regex": ("column regex", _regex),
    "column_values_to_not_match_regex": ("column regex", _none(_regex)),
    "column_values_to_match_regex_list": ("column regex_list match_on", _regex),
    "column_values_to_not_match_regex_list": ("column regex_list", _none(_regex)),
    "column_values_to_match_like_pattern": ("column like_pattern escape", _like),
    "column_values_to_not_match_like_pattern": ("column like_pattern escape", _none(_like)),
    "column_values_to_match_like_pattern_list": ("column like_pattern_list match_on escape", _like),
    "column_values_to_not_match_like_pattern_list": (
        "column like_pattern_list escape",
        _none(_like),
    ),
    "column_values_to_be_of_type": ("column type_", _type),
    "column_values_to_be_in_type_list": ("column type_list", _type),
    "column_pair_values_to_be_equal": (PAIR, _equal),
    "column_pair_values_a_to_be_greater_than_b": (f"{PAIR} or_equal", _greater),
    "column_pair_values_to_be_in_set": (f"{PAIR} value_pairs_set", _pairs),
    "compound_columns_to_be_unique": (LIST, _unique),
    "multicolumn_sum_to_equal": (f"{LIST} sum_total", _row_sum),
    "multicolumn_values_to_be_equal": (LIST, _all_equal),
    "select_column_values_to_be_unique_within_record": (LIST, _all_different),
}
