"""A dataset's columns, conditions and values as SQL that means the same on every engine.

Null and NaN are missing, text is compared by its characters' codes, times with a zone are times in
UTC, a number of a suite is exact where its column is.
"""

import json
import re
from collections.abc import Sequence
from ctypes import c_float
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from dslp.core.errors import DslpError, nearest
from dslp.data import reading
from dslp.data.reading import quote_identifier, quote_literal
from sqlglot import exp, parse_one

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
BEYOND = 1e39  # infinite in single precision
COLLATIONS = {"postgres": '"C"', "tsql": "Latin1_General_100_BIN2_UTF8"}
# A column of floats with null in place of NaN; SQL Server has no NaN.
WITHOUT_NAN = {
    "duckdb": reading.WITHOUT_NAN,
    **dict.fromkeys(SPARK, "nanvl({0}, NULL)"),
    "tsql": "{0}",
}
# Looking around, references, possessive repetition and classes that not all engines have.
FOREIGN = re.compile(r"\(\?(?:[=!>(]|<[=!]|P[=>])|\\[1-9kGKRXpP]|[*+?}]\+")
# What classes of characters and signs mean to DuckDB, as PostgreSQL writes them.
CLASSES = {r"\d": "0-9", r"\w": "0-9A-Za-z_", r"\s": r"\t\n\f\r "}
SIGNS = {name: f"[{members}]" for name, members in CLASSES.items()} | {r"\b": r"\y", r"\z": r"\Z"}
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


def normalized(name: str, kind: exp.DataType, dialect: str) -> str:
    """A column as it is in the batch, under its own name, in the dialect."""
    own = column = exp.to_identifier(name, quoted=True).sql(dialect)
    family = family_of(kind)
    if family == "float":
        column = WITHOUT_NAN.get(dialect, "nullif({0}, CAST('NaN' AS {1}))").format(
            own, kind.sql(dialect)
        )
    elif family == "instant":
        column = (
            f"to_utc_timestamp({own}, current_timezone())"
            if dialect in SPARK
            else f"{own} AT TIME ZONE 'UTC'"
        )
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
    return tree.sql(dialect)


def number(value: Any, family: str) -> str:
    """A number as a literal: exact, or a float where the column is one."""
    if abs(value) == float("inf"):
        return f"CAST('{'-' * (value < 0)}Infinity' AS DOUBLE)"
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
        re.compile(pattern)
    except re.error as error:
        raise Unreadable(f"{pattern!r} is no regular expression: {error}") from None
    if foreign := FOREIGN.search(pattern.replace(r"\\", "")):
        todo = "RE2 has no looking around, no references and no possessive repetition"
        raise Unreadable(f"{pattern!r} uses {foreign[0]}, which not every engine reads: {todo}")
    # Else it matches before a last line break, too.
    signs = {"duckdb": {}, "postgres": SIGNS}.get(dialect, {"$": r"\z"})
    members = CLASSES if dialect == "postgres" else {}
    text, within = "", False
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        within = (within or part == "[") and part != "]"
        text += (members if within else signs).get(part, part)
    if dialect == "postgres":  # there a dot matches a line break, but for (?p)
        flags = re.match(r"\(\?([a-z]+)\)", text)
        if not flags or "s" not in flags[1]:
            text = f"(?p{text[2:] if flags else ')' + text}"
    return text


def row_condition(value: Any, batch: Batch) -> str:
    """A `row_condition` as SQL: null is neither equal nor unequal.

    Raises:
        Unreadable: it is not in Great Expectations' own syntax.
    """
    condition = value if isinstance(value, dict) else {}
    if isinstance(value, str) and (match := CONDITION.fullmatch(value.strip())):
        digits, condition = match["number"], match.groupdict()
        condition["type"] = "nullity" if match["present"] else "comparison"
        condition["parameter"] = (
            json.loads(digits.lstrip("+")) if digits else (match["text"] or "")[1:-1]
        )
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
