"""A dataset's columns, conditions and values as SQL that means the same on every engine.

Null and NaN are missing, text is compared by its characters' codes, times with a zone are times in
UTC, a number of a suite is exact where its column is.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from ctypes import c_float
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from sys import float_info
from typing import Any

from dslp.core.errors import DslpError, nearest
from dslp.core.text import error_line
from dslp.data import reading
from dslp.data.reading import quote_identifier, quote_literal
from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.errors import UnsupportedError

BATCH = "batch"  # the table in a statement that is the dataset
Kind = exp.DType
FAMILIES = {
    "boolean": {Kind.BOOLEAN, Kind.BIT},
    "integer": exp.DataType.INTEGER_TYPES,
    "decimal": {Kind.DECIMAL, Kind.MONEY},
    "float": {Kind.FLOAT, Kind.DOUBLE},
    "text": {*exp.DataType.TEXT_TYPES, Kind.ENUM, Kind.UUID},
    "date": {Kind.DATE},
    "instant": {Kind.TIMESTAMPTZ, Kind.TIMESTAMPLTZ},
    "timestamp": exp.DataType.TEMPORAL_TYPES - {Kind.TIME, Kind.TIMETZ},
}
NUMBERS = ("boolean", "integer", "decimal", "float")
TIMES = ("date", "timestamp", "instant")
SPARK = ("spark", "databricks")
LARGEST = 10**38  # of integers and decimals, which have 38 digits at most
BEYOND = 1e39  # infinite in single precision
COLLATIONS = {"postgres": '"C"', "tsql": "Latin1_General_100_BIN2_UTF8"}
# A column of floats with null in place of NaN; SQL Server has no NaN.
WITHOUT_NAN = {
    "duckdb": reading.WITHOUT_NAN,
    **dict.fromkeys(SPARK, "nanvl({0}, NULL)"),
    "tsql": "{0}",
}
# Parts of a regular expression, and what all engines read alike: flags at its beginning, escapes.
PART = re.compile(r"\\.|\(\?:|\(\?|\{,|&&|.", re.DOTALL)
FLAGS = re.compile(r"(?:\(\?([ims]+)\))?(.*)", re.DOTALL)
ESCAPE = re.compile(r"\\[^a-zA-Z0-9]|\\[dDwWsSbBAznrtfv]")
IN_CLASS = re.compile(r"\\[^a-zA-Z0-9]|\\[dwsnrtfv]")
# What classes of characters and signs mean to DuckDB, as PostgreSQL writes them.
CLASSES = {r"\d": "0-9", r"\w": "0-9A-Za-z_", r"\s": r"\t\n\f\r "}
SIGNS = {name: f"[{members}]" for name, members in CLASSES.items()}
SIGNS |= {name.upper(): f"[^{members}]" for name, members in CLASSES.items()}
SIGNS |= {r"\b": r"\y", r"\B": r"\Y", r"\z": r"\Z"}
CONDITION = re.compile(
    r"""col\("(?P<column>[^"]+)"\)\s*(?:(?P<present>\.notnull\(\))|(?P<operator>[!=]=|[<>]=?)\s*"""
    r"""(?:(?P<number>[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?:date\()?(?P<text>"[^"]*"|'[^']*')\)?))""",
    re.IGNORECASE,
)
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


class Unreadable(DslpError):
    """What is wrong with an expectation; the suite adds its file and its number."""


class NotCompiled(Unreadable):
    """The reason why SQL, or that of this engine, cannot say an expectation."""


class MissingColumn(Unreadable):
    """The data has no column of that name."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self.name = name
        alike = [each for each in columns if each.casefold() == name.casefold()]
        hint = nearest(alike[0] if alike else name, columns)
        super().__init__(f"the data has no column {name!r}{hint}")


@dataclass(frozen=True)
class Batch:
    """The rows that an expectation is about, in DuckDB's SQL.

    Attributes:
        types: of the columns, by their names.
        dialect: of the engine, such as `duckdb`.
        condition: which rows; all without it.
    """

    types: dict[str, exp.DataType]
    dialect: str
    condition: str = field(default="", kw_only=True)

    def family(self, name: str) -> str:
        """The family of a column's type, or `other`.

        Raises:
            MissingColumn: there is no such column.
        """
        if name not in self.types:
            raise MissingColumn(name, list(self.types))
        return family_of(self.types[name])

    def column(self, name: str, *families: str) -> str:
        """A column, whose type is of one of these families.

        Raises:
            Unreadable: it is of another one.
        """
        family = self.family(name)
        if families and family not in families:
            raise Unreadable(f"column {name!r} is {family}; it must be {' or '.join(families)}")
        return quote_identifier(name)

    def literal(self, value: Any, name: str) -> str:
        """A value of a suite as a value of that column.

        Raises:
            Unreadable: no value of the column can be equal to it.
        """
        family, value, moment = self.family(name), self.stored(value, name), as_moment(value)
        if family == "boolean" and value in (0, 1):
            return str(bool(value)).upper()
        if family in NUMBERS and isinstance(value, int | float) and not is_missing(value):
            return number(value, family)
        if family == "text" and isinstance(value, str):
            return quote_literal(value)
        if family in TIMES and moment and (family == "instant" or moment.tzinfo is None):
            return f"CAST('{in_utc(moment)}' AS TIMESTAMP)"
        raise Unreadable(f"{value!r:.40} is no value of column {name!r}, which is {family}")

    def stored(self, value: Any, name: str) -> Any:
        """A value of a suite; of a column in single precision, the nearest number that it holds."""
        single = self.types[name].this == Kind.FLOAT and self.dialect != "tsql"  # double there
        if single and isinstance(value, int | float):
            return c_float(min(max(value, -BEYOND), BEYOND)).value
        return value

    def inside(self, name: str, values: Sequence[Any]) -> str:
        """Whether a column's value is one of these; null is none of them."""
        literals = [self.literal(value, name) for value in values if not is_missing(value)]
        return f"({self.column(name)} IN ({', '.join(literals)}))" if literals else "FALSE"


def family_of(kind: exp.DataType) -> str:
    """The family of a type, or `other`."""
    return next((family for family, kinds in FAMILIES.items() if kind.this in kinds), "other")


def normalized_columns(types: Mapping[str, exp.DataType], dialect: str) -> list[str]:
    """The columns as they are in the batch, under their own names, in the dialect.

    The time zone of the engine's session is UTC.
    """
    return [_normalized(name, kind, dialect) for name, kind in types.items()]


def _normalized(name: str, kind: exp.DataType, dialect: str) -> str:
    own = column = exp.to_identifier(name, quoted=True).sql(dialect)
    family = family_of(kind)
    if family == "float":
        column = WITHOUT_NAN.get(dialect, "nullif({0}, CAST('NaN' AS {1}))").format(
            own, kind.sql(dialect)
        )
    elif family == "instant":
        column = own if dialect in SPARK else f"{own} AT TIME ZONE 'UTC'"
        column = f"CAST({column} AS {exp.DataType.build(Kind.TIMESTAMPNTZ).sql(dialect)})"
    elif kind.this in (Kind.ENUM, Kind.UUID):
        column = f"CAST({own} AS {exp.DataType.build('text').sql(dialect)})"
    if family == "text" and dialect in COLLATIONS:
        column += f" COLLATE {COLLATIONS[dialect]}"
    return f"{column} AS {own}"


def written(statement: str, dialect: str) -> str:
    """A statement in a dialect, where SQLGlot would write another function than is meant."""
    if dialect == "duckdb":
        return statement
    tree = parse_one(statement, read="duckdb")
    for node in list(tree.find_all(exp.PercentileCont, exp.PercentileDisc)):
        order = f"WITHIN GROUP (ORDER BY {node.this.sql(dialect)})"
        node.replace(exp.Var(this=f"{node.sql_name()}({node.expression}) {order}"))
    for node in list(tree.find_all(exp.StddevSamp) if dialect == "tsql" else ()):
        node.replace(exp.func("STDEV", node.this))
    return write(tree, dialect)


def write(tree: exp.Expr, dialect: str) -> str:
    """A statement in a dialect.

    Raises:
        Unreadable: the dialect has no word for a part of it, which SQLGlot would leave out.
    """
    try:
        return tree.sql(dialect, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        reason = error_line(error, 160)
        raise Unreadable(f"SQLGlot cannot write it for {dialect}: {reason}") from None


def number(value: Any, family: str) -> str:
    """A number as a literal: exact, or a float where the column is one."""
    if abs(value) == float("inf"):
        return f"CAST('{'-' * (value < 0)}Infinity' AS DOUBLE)"
    if abs(value) >= LARGEST:  # no decimal number is larger
        return f"CAST('{float(min(max(value, -float_info.max), float_info.max))!r}' AS DOUBLE)"
    if isinstance(value, float) and family == "float":
        return f"{value!r}{'' if 'e' in repr(value) else 'e0'}"
    return format(Decimal(repr(value + 0)), "f")


def as_moment(value: Any) -> datetime | None:
    """The time that a value of a suite or of the data is, where it is one."""
    if not isinstance(value, date | str):
        return None
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


def in_utc(value: Any) -> Any:
    """A time in UTC, without its zone; one without a zone is in UTC. Another value as it is."""
    moment = as_moment(value)
    return (
        moment.astimezone(UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment or value
    )


def is_missing(value: Any) -> bool:
    """Whether a value is null or NaN, which is unequal to itself."""
    return value is None or value != value


def regular_expression(pattern: str, dialect: str) -> str:
    """A regular expression of RE2, as DuckDB reads it, in the words of another dialect.

    Raises:
        Unreadable: it is none, or uses what not all engines have, such as looking ahead.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is refused below
            re.compile(pattern)
    except re.error as error:
        raise Unreadable(f"{pattern!r} is no regular expression: {error}") from None
    flags, body = FLAGS.fullmatch(pattern).groups("")  # type: ignore[union-attr]
    if "i" in flags and not body.isascii():
        raise Unreadable(f"{pattern!r}: without regard to case, only ASCII is one on every engine")
    single, lines = "s" in flags, "m" in flags
    signs = {"duckdb": {}, "postgres": SIGNS}.get(dialect, {} if lines else {"$": r"\z"})
    members = CLASSES if dialect == "postgres" else {}
    text, before, within = "", "", False
    for part in PART.findall(body):
        allowed = not part.startswith("\\") or (IN_CLASS if within else ESCAPE).fullmatch(part)
        outside = part in ("{,", "(?") or (part == "+" and before in ("*", "+", "?", "}"))
        if not allowed or (part in ("[", "&&") if within else outside):
            what = f"{before if part == '+' else ''}{part}"
            raise Unreadable(f"{pattern!r} uses {what}, which not every engine reads alike")
        within = (within or part == "[") and part != "]"
        text += (members if within else signs).get(part, part)
        before = part
    if dialect == "duckdb":
        return pattern
    if dialect == "postgres":  # p: a dot matches no line break; w: ^ and $ match at line breaks
        flags = {(False, False): "p", (False, True): "s", (True, False): "n", (True, True): "w"}[
            lines, single
        ] + "i" * ("i" in flags)
    else:  # d: the one line break is \n
        flags += "d"
    return f"(?{flags}){text}"


def row_condition(value: Any, batch: Batch) -> str:
    """A `row_condition` as SQL: null is neither equal nor unequal.

    Raises:
        Unreadable: it is not in Great Expectations' own syntax.
    """
    condition = value if isinstance(value, dict) else {}
    if isinstance(value, str) and (match := CONDITION.fullmatch(value.strip())):
        digits, condition = match["number"], match.groupdict()
        condition["type"] = "nullity" if match["present"] else "comparison"
        parse = float if digits and re.search("[.e]", digits, re.IGNORECASE) else int
        condition["parameter"] = parse(digits) if digits else (match["text"] or "")[1:-1]
    kind, name, operator, parameter = map(
        condition.get, ("type", "column", "operator", "parameter")
    )
    name = name.get("name") if isinstance(name, dict) else name
    if kind in ("and", "or"):
        parts = [f"({row_condition(each, batch)})" for each in condition.get("conditions") or ()]
        return f" {kind} ".join(parts) or "TRUE"
    if isinstance(name, str) and kind == "nullity":
        return f"{batch.column(name)} IS {'' if condition.get('is_null') else 'NOT '}NULL"
    if isinstance(name, str) and kind == "comparison" and operator in OPERATORS:
        operator = {"==": "=", "!=": "<>"}.get(operator, operator)
        return f"{batch.column(name)} {operator} {batch.literal(parameter, name)}"
    if isinstance(name, str) and operator in ("IN", "NOT_IN") and isinstance(parameter, list):
        inside = batch.inside(name, parameter)
        return inside if operator == "IN" else f"{batch.column(name)} IS NOT NULL AND NOT {inside}"
    raise Unreadable(
        f"row_condition {value!r:.60} is not in Great Expectations' own syntax; write it as "
        """col("visits") > 3 or col("kind").notNull(), without the syntax of pandas or Spark"""
    )
