"""A dataset's columns, conditions and values as SQL that means the same on every engine.

Null and NaN are missing, text is compared by its characters' codes, times with a zone are times in
UTC, a number of a suite is exact where its column is.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from dslp.core.errors import DslpError, nearest
from sqlglot import exp, parse_one

Sql = Any  # SQLGlot has no type of an expression that can be compared, called and negated
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
COLLATIONS = {"postgres": '"C"', "tsql": "Latin1_General_100_BIN2_UTF8"}
# A column of floats with null in place of NaN. DuckDB folds other tests by the statistics of the
# file, which lack NaN; SQL Server has no NaN.
WITHOUT_NAN = {
    "duckdb": "CASE WHEN isfinite({0}) OR abs({0}) = CAST('Infinity' AS DOUBLE) THEN {0} END",
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
OPERATORS: dict[Any, type[exp.Binary]] = {
    **{"==": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}
}


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
    """The rows that an expectation is about.

    Attributes:
        types: of the columns, by their names.
        dialect: of SQLGlot, such as `duckdb`.
        table: SQL's name of another dataset; it raises an error where that is not built.
        condition: which rows; all without it.
    """

    types: dict[str, exp.DataType]
    dialect: str
    table: Callable[[str], exp.Table]
    condition: Sql = None

    def family(self, name: str) -> str:
        """The family of a column's type, or `other`.

        Raises:
            MissingColumn: there is no such column.
        """
        if name not in self.types:
            raise MissingColumn(name, list(self.types))
        return family_of(self.types[name])

    def column(self, name: str, *families: str) -> Sql:
        """A column, whose type is of one of these families.

        Raises:
            Unreadable: it is of another one.
        """
        family = self.family(name)
        if families and family not in families:
            raise Unreadable(f"column {name!r} is {family}; it must be {' or '.join(families)}")
        return exp.column(name, quoted=True)

    def ordered(self, name: str, *families: str) -> Sql:
        """Numbers, or values of these families; a boolean is 1 or 0: its mean is the share."""
        column = self.column(name, *NUMBERS, *families)
        if self.family(name) != "boolean":
            return column
        yes, no = (column.copy().eq(value) for value in (exp.true(), exp.false()))
        return exp.case().when(yes, exp.convert(1)).when(no, exp.convert(0))

    def literal(self, value: Any, name: str) -> Sql:
        """A value of a suite as a value of that column.

        Raises:
            Unreadable: no value of the column can be equal to it.
        """
        family, moment = self.family(name), as_moment(value)
        if family == "boolean" and value in (0, 1):
            return exp.convert(bool(value))
        if family in NUMBERS and isinstance(value, int | float):
            return number(value, family)
        if family == "text" and isinstance(value, str):
            return exp.convert(value)
        if family in TIMES and moment and (family == "instant" or moment.tzinfo is None):
            return exp.cast(exp.convert(in_utc(moment).isoformat(sep=" ")), Kind.TIMESTAMPNTZ)
        raise Unreadable(f"{value!r:.40} is no value of column {name!r}, which is {family}")

    def inside(self, name: str, values: Sequence[Any]) -> Sql:
        """Whether a column's value is one of these; null is none of them."""
        literals = [self.literal(value, name) for value in values if not is_missing(value)]
        return self.column(name).isin(*literals) if literals else exp.false()

    def where(self, *tests: Sql) -> list[Sql]:
        """The condition of the rows and these tests."""
        return [*([] if self.condition is None else [self.condition.copy()]), *tests]


def family_of(kind: exp.DataType) -> str:
    """The family of a type, or `other`."""
    return next((family for family, kinds in FAMILIES.items() if kind.this in kinds), "other")


def normalized(name: str, kind: exp.DataType, dialect: str) -> Sql:
    """A column as it is in the batch, under its own name."""
    column: Sql = exp.column(name, quoted=True)
    family, quoted = family_of(kind), column.sql(dialect)
    if family == "float":
        without = WITHOUT_NAN.get(dialect, "nullif({0}, CAST('NaN' AS DOUBLE PRECISION))")
        column = parse_one(without.format(quoted), read=dialect)
    elif family == "instant":
        zone = (
            "to_utc_timestamp({}, current_timezone())"
            if dialect in SPARK
            else "{} AT TIME ZONE 'UTC'"
        )
        column = exp.cast(parse_one(zone.format(quoted), read=dialect), Kind.TIMESTAMPNTZ)
    elif kind.this in (Kind.ENUM, Kind.UUID):
        column = exp.cast(column, "text")
    if family == "text" and dialect in COLLATIONS:
        column = exp.Collate(this=column, expression=exp.Var(this=COLLATIONS[dialect]))
    return column.as_(name, quoted=True)


def written(query: exp.Query, dialect: str) -> str:
    """A query in a dialect, where SQLGlot would write another function than is meant."""
    for node in list(query.find_all(exp.PercentileCont, exp.PercentileDisc, exp.StddevSamp)):
        if isinstance(node, exp.StddevSamp) and dialect == "tsql":
            node.replace(exp.func("STDEV", node.this))
        elif not isinstance(node, exp.StddevSamp) and dialect != "duckdb":
            order = f"WITHIN GROUP (ORDER BY {node.this.sql(dialect)})"
            node.replace(exp.Var(this=f"{node.sql_name()}({node.expression}) {order}"))
    return query.sql(dialect)


def number(value: Any, family: str) -> Sql:
    """A number as a literal: exact, or a float where the column is one."""
    if abs(value) == float("inf"):
        return exp.cast(exp.convert(f"{'-' * (value < 0)}Infinity"), "double")
    if isinstance(value, float) and family == "float":
        return exp.Literal.number(f"{value!r}{'' if 'e' in repr(value) else 'e0'}")
    return exp.Literal.number(format(Decimal(repr(value + 0)), "f"))


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


def present(column: Sql) -> Sql:
    """Whether a column has a value."""
    return exp.not_(column.is_(exp.null()))


def matches(column: Sql, pattern: str, dialect: str) -> Sql:
    """Whether text has a part that matches a regular expression, as DuckDB reads it (RE2).

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
    return exp.RegexpLike(this=column, expression=exp.convert(text))


def row_condition(value: Any, batch: Batch) -> Sql:
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
        parts = [row_condition(each, batch) for each in condition.get("conditions") or ()]
        return exp.and_(*parts) if kind == "and" else exp.or_(*parts)
    if isinstance(name, str) and kind == "nullity":
        column = batch.column(name)
        return column.is_(exp.null()) if condition.get("is_null") else present(column)
    if isinstance(name, str) and kind == "comparison" and operator in OPERATORS:
        literal = batch.literal(parameter, name)
        return OPERATORS[operator](this=batch.column(name), expression=literal)
    if isinstance(name, str) and operator in ("IN", "NOT_IN") and isinstance(parameter, list):
        inside = batch.inside(name, parameter)
        return inside if operator == "IN" else present(batch.column(name)).and_(exp.not_(inside))
    raise Unreadable(
        f"row_condition {value!r:.60} is not in Great Expectations' own syntax; write it as "
        """col("visits") > 3 or col("kind").notNull(), without the syntax of pandas or Spark"""
    )
