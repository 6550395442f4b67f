"""What an expectation becomes: figures that one statement computes, and a verdict on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from dslp.core.errors import nearest
from dslp.data.batch import (
    BATCH,
    Batch,
    Sql,
    Unreadable,
    as_moment,
    in_utc,
    is_missing,
)
from pydantic import ConfigDict, Field, ValidationError, create_model
from sqlglot import exp

TIMES = exp.column("times")  # how often a key occurs, in a figure with keys
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[list[str], Field(min_length=1)]
BOTH, EITHER = "both_values_are_missing", "either_value_is_missing"
ALL, ANY = "all_values_are_missing", "any_value_is_missing"
Pair = Literal["both_values_are_missing", "either_value_is_missing", "neither"]
Several = Literal["all_values_are_missing", "any_value_is_missing", "never"]
# Types and defaults of parameters; what the same name means elsewhere stands after a slash.
PARAMETERS: dict[str, Any] = {
    **dict.fromkeys(["column", "column_A", "column_B", "regex", "like_pattern"], (str, ...)),
    **dict.fromkeys(["type_", "other_table_name", "unexpected_rows_query"], (str, ...)),
    **dict.fromkeys(["base_query", "comparison_query"], (str, ...)),
    **dict.fromkeys(["column_list", "regex_list", "like_pattern_list"], (Names, ...)),
    **dict.fromkeys(["min_value", "max_value"], (Any, None)),
    **dict.fromkeys(["strict_min", "strict_max"], (bool, False)),
    **dict.fromkeys(["or_equal", "ties_okay"], (bool | None, None)),
    **dict.fromkeys(["column_list/optional", "column_set", "type_list"], (Names | None, None)),
    "allow_relative_error": (bool | str, False),
    "column_index": (int | None, None),
    "comparison_data_source_name": (str, ...),
    "double_sided": (bool, ...),
    "escape": (str | None, None),
    "exact_match": (bool | None, True),
    "ignore_row_if": (Several, ALL),
    "ignore_row_if/pair": (Pair, BOTH),
    "match_on": (Literal["any", "all"], "any"),
    "method": (Literal["iqr", "std"], "iqr"),
    "mostly": (Share, 1),
    "multiplier": (Annotated[float, Field(ge=0)], 1.5),
    "quantile_ranges": (dict[str, Any], ...),
    "sum_total": (float | int, ...),
    "threshold": (float, ...),
    "value": (int, ...),
    "value_pairs_set": (list[Annotated[list[Any], Field(min_length=2, max_length=2)]], ...),
    "value_set": (list[Any], ...),
}
RANGE = "min_value max_value strict_min strict_max"


@dataclass(frozen=True)
class Figure:
    """One value of the statement: an aggregate of rows, or of groups where it has `keys`.

    A group has the different values `key0`, `key1`... and how many rows have them, `times`.
    """

    value: Sql
    keys: tuple[str, ...] = ()
    where: Sql = None
    table: Sql = None  # in place of the batch


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
    failing: Sql = None
    query: Sql = None
    whole: bool = False


def read_parameters(names: str, values: Mapping[str, Any]) -> Any:
    """The parameters of an expectation as attributes.

    Raises:
        Unreadable: one is unknown, missing, or of the wrong type.
    """
    expected = {name.partition("/")[0]: PARAMETERS[name] for name in names.split()}
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


def count_rows(test: Sql) -> Figure:
    """The number of rows that meet a test."""
    if test is None:
        return Figure(exp.Count(this=exp.Star()))
    return Figure(exp.Count(this=exp.case().when(test.copy(), exp.convert(1))))


def groups(names: Sequence[str], where: Sql) -> exp.Select:
    """A query of the different values of columns, and how many rows have each."""
    columns = [exp.column(name, quoted=True) for name in names]
    keys = [column.as_(f"key{i}") for i, column in enumerate(columns)]
    query = exp.select(*keys, exp.Count(this=exp.Star()).as_("times")).from_(exp.to_table(BATCH))
    query = query if where is None else query.where(where.copy())
    return query.group_by(*(column.copy() for column in columns))


def check_bounds(batch: Batch, k: Any, kind: str) -> None:
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


def lies_between(value: Any, k: Any) -> Outcome:
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


def quantile(batch: Batch, value: Sql, share: float, kind: str) -> Sql:
    """The value below which that share of the values lies; `cont` interpolates."""
    value = batch.only(exp.cast(value, "double") if kind == "cont" else value)
    if batch.dialect == "duckdb":
        return exp.func(f"quantile_{kind}", value, exp.convert(share))
    order = value.sql(batch.dialect)  # SQLGlot would write an approximation for Spark
    return exp.Var(this=f"percentile_{kind}({share}) WITHIN GROUP (ORDER BY {order})")


def deviation(batch: Batch, value: Sql) -> Sql:
    """The standard deviation, as that of a sample."""
    value = exp.cast(batch.only(value), "double")
    return exp.func("STDEV", value) if batch.dialect == "tsql" else exp.StddevSamp(this=value)
