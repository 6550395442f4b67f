"""The table of expectations (`expectations.toml`) compiled: figures of SQL, and a verdict on them.

Names are Great Expectations' types without `expect_`, parameters its `kwargs` with its defaults.
"""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from dslp.core.errors import nearest
from dslp.data.batch import (
    BATCH,
    NUMBERS,
    TIMES,
    NotCompiled,
    Unreadable,
    in_utc,
    is_missing,
    regular_expression,
    row_condition,
)
from dslp.data.engines import Engine
from dslp.data.reading import quote_literal
from jinja2 import Environment, StrictUndefined, Template
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlglot import exp
from sqlglot.errors import SqlglotError

TABLE = tomllib.loads(files("dslp.data").joinpath("expectations.toml").read_text(encoding="utf-8"))
ROWS, NO_SQL = TABLE["rows"], TABLE["pandas"]
CATALOGUE: dict[str, list[str]] = ROWS | TABLE["figures"] | TABLE["others"]
EXPECTATIONS = (*CATALOGUE, *NO_SQL)
NULLS = ("column_values_to_not_be_null", "column_values_to_be_null")  # null is not ignored
# Expectations of which a sample says as much as the whole.
OF_A_SAMPLE = ("column_distinct_values_to_be_in_set", "column_to_exist", "column_type_to_be")
WITHOUT_CONDITION = (*OF_A_SAMPLE[1:], "unexpected_rows_expectation")
WITHOUT_MEANING = ("condition_parser", "result_format", "catch_exceptions")  # for a verdict
TIMESTAMPS = {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMP_NS}

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
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
    "value": int,
    "column_index": Annotated[int, Field(ge=0)],
    **{"allow_relative_error": bool | str, "threshold": float, "sum_total": float | int},
    **{"mostly": Share, "multiplier": Annotated[float, Field(ge=0)], "value_set": list[Any]},
    **{"value_pairs_set": list[Pair], "quantile_ranges": Quantiles},
}


@dataclass(frozen=True)
class Figure:
    """One value of the statement: an aggregate of the rows of the batch, or of a table."""

    value: str
    rows: str = BATCH


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
    failing: str = ""
    whole: bool = False


def compile_expectation(kind: str, kwargs: Mapping[str, Any], batch: Engine) -> Check:
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
    values = {name: value for name, value in kwargs.items() if name not in WITHOUT_MEANING}
    condition = None if kind in WITHOUT_CONDITION else values.pop("row_condition", None)
    if condition is not None:
        batch = replace(batch, condition=row_condition(condition, batch))
    words, *templates = CATALOGUE[kind]
    k = read_kwargs(_parameters(words), values)
    if hasattr(k, "min_value"):
        ordered = "ordered(column)" in "".join(templates)
        _check_range(batch, k, k.column if ordered else "")
    if not templates:
        outcome = VERDICTS[kind](k, batch)
        return Check([], lambda: outcome)
    render = _renderer(batch, k, kind in NULLS)
    if kind in ROWS:
        return _check_rows(kind, templates[0], batch, k, render)
    figures = [
        _figure(render, template, each=each)
        for template in templates
        for each in (_alternatives(batch, k) if "each" in template else [None])
    ]
    verdict: Callable[..., Outcome] = VERDICTS.get(kind, _compare_value)
    failing = render(TABLE["failing"].get(kind, ""))
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
        where = ": ".join(filter(None, (what, name)))
        raise Unreadable(f"{where}: {first['msg']}{problem}") from None


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
def _template(text: str) -> Template:
    return Environment(undefined=StrictUndefined).from_string(text.strip())


def _renderer(batch: Engine, k: Any, nulls: bool) -> Callable[..., str]:
    """What writes the SQL of the expectation's templates, for which it holds names."""
    present = [f"{batch.column(name)} IS NOT NULL" for name in _names(k)]
    ignored = "" if nulls else getattr(k, "ignore_row_if", "any").partition("_")[0]
    considered = [batch.condition] if batch.condition else []
    considered += present if ignored in ("any", "either") else []
    considered += [" OR ".join(present)] if ignored in ("all", "both") else []
    names = dict(k) | {
        **{"col": batch.column, "family": batch.family, "literal": batch.literal},
        **{"inside": batch.inside, "table": batch.table, "query": batch.query},
        **{"condition": batch.condition, "dialect": batch.dialect, "quote": quote_literal},
        "regex_of": lambda pattern: regular_expression(pattern, batch.dialect),
        "pairs": lambda: _comparable_pairs(batch, _names(k)),
        **{"present": present, "ignored": ignored},
        "where": " AND ".join(f"({test})" for test in considered) or "TRUE",
        "columns": ", ".join(map(batch.column, _names(k))),
    }
    names |= vars(_template(TABLE["macros"]).make_module(names))
    return lambda text, **more: _template(text).render(names | more)


def _figure(render: Callable[..., str], template: str, **more: Any) -> Figure:
    """The figure of a template, which is a value, or a query of one value."""
    value, _, rows = template.removeprefix("SELECT ").partition(" FROM ")
    if not template.startswith("SELECT "):
        return Figure(render(template, **more))
    return Figure(render(value, **more), render(rows, **more))


def _check_rows(
    kind: str, template: str, batch: Engine, k: Any, render: Callable[..., str]
) -> Check:
    """A check that something holds for `mostly` of the rows that are not ignored."""
    failing = render(TABLE["failing"].get(kind, ""))
    of_all = f"FROM {BATCH}" in template  # each row is compared with a value of all of them
    if of_all and batch.dialect == "tsql":
        raise NotCompiled("SQL Server counts no rows by a condition with a query in it")
    least = Fraction(str(getattr(k, "mostly", 1)))
    if failing:
        figures = [_figure(render, template)]
    else:  # DuckDB counts rows that pass faster than those that fail
        test = render(template)
        figures = [_figure(render, "{{ considered() }} - {{ passing(test) }}", test=test)]
        of_failing = "SELECT * FROM batch WHERE {{ where }} AND NOT coalesce({{ test }}, FALSE)"
        failing = render(of_failing, test=test)
    if least < 1:
        figures.append(_figure(render, "{{ considered() }}"))

    def verdict(number_of: int | None, considered: int = 0) -> Outcome:
        count = int(number_of or 0)
        return Outcome(count <= (1 - least) * considered, count)

    return Check(figures, verdict, failing, whole=of_all or least < 1)


def _names(k: Any) -> list[str]:
    """The columns that an expectation is about."""
    names = getattr(k, "column_list", None)
    single = [getattr(k, name, None) for name in ("column", "column_A", "column_B")]
    return list(names or filter(None, single))


def _comparable_pairs(batch: Engine, names: Sequence[str]) -> Iterable[tuple[str, str]]:
    """The pairs of columns.

    Raises:
        Unreadable: their values cannot be compared with each other.
    """
    families = [batch.family(name) for name in names]
    if not any({*families} <= {*group} for group in (NUMBERS[1:], TIMES, families[:1])):
        raise Unreadable(f"columns {', '.join(names)} cannot be compared: {', '.join(families)}")
    return combinations(map(batch.column, names), 2)


def _check_range(batch: Engine, k: Any, name: str) -> None:
    """Check that bounds are numbers, or values of the column, and in order; write them as it does.

    Raises:
        Unreadable: they are not.
    """
    bounds = [each for each in (k.min_value, k.max_value) if each is not None]
    if not bounds:
        raise Unreadable("min_value and max_value are both missing; write one of them")
    for bound in bounds:
        if name:
            batch.literal(bound, name)
        elif isinstance(bound, bool) or not isinstance(bound, int | float) or is_missing(bound):
            raise Unreadable(f"{bound!r:.40} is no number")
    if name:
        k.min_value, k.max_value = (batch.stored(each, name) for each in (k.min_value, k.max_value))
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


def _alternatives(batch: Engine, k: Any) -> list[Any]:
    """The values for which a template with `:each` stands."""
    if not hasattr(k, "quantile_ranges"):
        return [value for value in k.value_set if not is_missing(value)]
    if k.allow_relative_error:
        raise NotCompiled("allow_relative_error is for approximations; quantiles are exact here")
    shares, ranges = k.quantile_ranges.quantiles, _ranges(k)
    if len(shares) != len(ranges):
        raise Unreadable("quantile_ranges needs as many pairs in value_ranges as quantiles")
    for each in ranges:
        _check_range(batch, each, k.column)
    k.quantile_ranges.value_ranges = [[each.min_value, each.max_value] for each in ranges]
    return list(shares)


def _ranges(k: Any) -> list[Any]:
    """The bounds of each quantile."""
    pairs = k.quantile_ranges.value_ranges
    words = {"column": k.column, "strict_min": False, "strict_max": False}
    return [SimpleNamespace(**words, min_value=low, max_value=high) for low, high in pairs]


def _compare_type(batch: Engine, column: str, names: Sequence[str] | None) -> Outcome:
    """Whether a column has one of the types, by their names in SQL, pandas, Arrow or Spark."""
    batch.column(column)
    actual = batch.types[column]
    kinds = [kind for name in names or () for kind in _kinds(name, batch.dialect)]
    if names and not kinds:
        raise Unreadable(f"{', '.join(names)} is no type{nearest(names[0], list(TABLE['types']))}")
    ok = any(
        kind == actual if kind.expressions else {kind.this, actual.this} <= alike
        for kind in kinds
        for alike in (exp.DataType.TEXT_TYPES, TIMESTAMPS, {actual.this})
    )
    return Outcome(ok or not names, text=actual.sql(batch.dialect))


def _kinds(name: str, dialect: str) -> Iterator[exp.DataType]:
    """What a type may be that a suite names: several libraries call others by the same name."""
    plain = name.lower().removeprefix("np.").removesuffix("type").removesuffix("()")
    for text in TABLE["types"].get(plain, plain).split("|"):
        for each in (dialect, "duckdb", "spark", "postgres"):
            with suppress(SqlglotError):
                yield exp.DataType.build(text, dialect=each)
                break


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


def _compare_column_set(k: Any, batch: Engine) -> Outcome:
    expected = k.column_set or list(batch.types)
    missing = [name for name in expected if name not in batch.types]
    extra = [name for name in batch.types if name not in expected] if k.exact_match else []
    parts = [f"missing {', '.join(missing)}"] * bool(missing)
    parts += [f"unexpected {', '.join(extra)}"] * bool(extra)
    return Outcome(not parts, text=", ".join(parts))


def _compare_names(ok: Callable[[Any, list[str]], bool]) -> Callable[[Any, Engine], Outcome]:
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
        lambda k, names: (
            k.column in (names if k.column_index is None else names[k.column_index :][:1])
        )
    ),
    "column_type_to_be": lambda k, batch: _compare_type(batch, k.column, [k.type_]),
    "column_values_to_be_of_type": lambda k, batch: _compare_type(batch, k.column, [k.type_]),
    "column_values_to_be_in_type_list": lambda k, batch: _compare_type(
        batch, k.column, k.type_list
    ),
    "table_columns_to_match_ordered_list": _compare_names(
        lambda k, names: k.column_list in (None, names)
    ),
    "table_columns_to_match_set": _compare_column_set,
    "table_column_count_to_equal": lambda k, batch: _compare_value(k, len(batch.types)),
    "table_column_count_to_be_between": lambda k, batch: _compare_value(k, len(batch.types)),
}
