"""A dataset's columns, conditions and values as SQL that means the same on every engine.

Null and NaN are missing, text is compared by its characters' codes, times with a zone are times in
UTC, a number of a suite is exact where its column is.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from dslp.core.errors import DslpError, nearest
from sqlglot import exp

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
OTHERS = ("text", "date", "timestamp", "instant")  # families of values with an order
COLLATIONS = {"postgres": "C", "tsql": "Latin1_General_100_BIN2_UTF8"}
# Looking around, references, possessive repetition and classes that not all engines have.
FOREIGN = re.compile(r"\(\?(?:[=!>(]|<[=!]|P[=>])|\\[1-9kGKRXpP]|[*+?}]\+")
# What a class of characters means to DuckDB, and a sign that PostgreSQL spells otherwise.
CLASSES = {r"\d": "0-9", r"\w": "0-9A-Za-z_", r"\s": r"\t\n\f\r "}
SIGNS = {r"\b": r"\y", r"\z": r"\Z"}
CONDITION = re.compile(
    r"""col\("([^"]+)"\)\s*(?:(\.notnull\(\))|([!=]=|[<>]=?)\s*"""
    r"""(?:([+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)|(?:date\()?(?:"([^"]*)"|'([^']*)')\)?))""",
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
    table: Callable[[str], exp.Table] = exp.to_table
    condition: Sql = field(default=None, compare=False)

    def family(self, name: str) -> str:
        """The family of a column's type, or `other`.

        Raises:
            MissingColumn: there is no such column.
        """
        if name not in self.types:
            raise MissingColumn(name, list(self.types))
        kind = self.types[name].this
        return next((family for family, kinds in FAMILIES.items() if kind in kinds), "other")

    def column(self, name: str, *families: str) -> Sql:
        """A column, whose type is of one of these families.

        Raises:
            Unreadable: it is of another one.
        """
        family = self.family(name)
        if families and family not in families:
            raise Unreadable(f"column {name!r} is {family}; it must be {' or '.join(families)}")
        return exp.column(name, quoted=True)

    def number(self, name: str) -> Sql:
        """A column as numbers; a boolean is 1 or 0, so that its mean is the share of true."""
        column = self.column(name, *NUMBERS)
        if self.family(name) != "boolean":
            return column
        yes, no = (column.copy().eq(value) for value in (exp.true(), exp.false()))
        return exp.case().when(yes, exp.convert(1)).when(no, exp.convert(0))

    def ordered(self, name: str) -> Sql:
        """A column of values that have an order."""
        return self.column(name, *OTHERS) if self.family(name) in OTHERS else self.number(name)

    def literal(self, value: Any, name: str) -> Sql:
        """A value of a suite as a value of that column.

        Raises:
            Unreadable: no value of the column can be equal to it.
        """
        family, moment = self.family(name), as_moment(value)
        if family == "boolean" and value in (0, 1):
            return exp.convert(bool(value))
        if family in NUMBERS and isinstance(value, int | float | Decimal):
            return number(value, family)
        if family == "text" and isinstance(value, str):
            return exp.convert(value)
        if family in ("date", "timestamp", "instant") and moment:
            if family == "instant":
                moment = in_utc(moment)
            if moment.tzinfo is None:
                return exp.cast(exp.convert(moment.isoformat(sep=" ")), Kind.TIMESTAMPNTZ)
        raise Unreadable(f"{value!r:.40} is no value of column {name!r}, which is {family}")

    def equal(self, name: str, value: Any) -> Sql:
        """Whether a column has this value; none is equal to none."""
        column = self.column(name)
        return column.is_(exp.null()) if is_missing(value) else column.eq(self.literal(value, name))

    def inside(self, name: str, values: Sequence[Any]) -> Sql:
        """Whether a column's value is one of these; null is none of them."""
        literals = [self.literal(value, name) for value in values if not is_missing(value)]
        return self.column(name).isin(*literals) if literals else exp.false()

    def where(self, *tests: Sql) -> Sql:
        """The condition of the rows and these tests, together."""
        tests = (self.condition.copy(), *tests) if self.condition is not None else tests
        return exp.and_(*tests) if tests else None

    def only(self, value: Sql) -> Sql:
        """The value, in the rows that this is about; null in others."""
        return value if self.condition is None else exp.case().when(self.condition.copy(), value)


def normalized(name: str, kind: exp.DataType, dialect: str) -> Sql:
    """A column as it is in the batch, under its own name."""
    column: Sql = exp.column(name, quoted=True)
    if kind.this in FAMILIES["float"]:
        column = _without_nan(column, dialect)
    elif kind.this in FAMILIES["instant"]:
        zone: Sql = exp.AtTimeZone(this=column, zone=exp.convert("UTC"))
        if dialect in ("spark", "databricks"):
            zone = exp.func("to_utc_timestamp", column, exp.func("current_timezone"))
        column = exp.cast(zone, Kind.TIMESTAMPNTZ)
    elif kind.this in FAMILIES["text"]:
        column = exp.cast(column, "text") if kind.this in (Kind.ENUM, Kind.UUID) else column
        if dialect in COLLATIONS:
            collation = exp.to_identifier(COLLATIONS[dialect], quoted=dialect == "postgres")
            column = exp.Collate(this=column, expression=collation)
    return column.as_(name, quoted=True)


def _without_nan(column: Sql, dialect: str) -> Sql:
    """A column of floats with null in place of NaN."""
    if dialect == "duckdb":  # it folds other tests by the statistics of the file, which lack NaN
        finite = exp.func("isfinite", column).or_(
            exp.Abs(this=column.copy()).eq(number(float("inf"), "float"))
        )
        return exp.case().when(finite, column.copy())
    if dialect in ("spark", "databricks"):
        return exp.func("nanvl", column, exp.null())
    if dialect == "tsql":  # it has no NaN
        return column
    return exp.Nullif(this=column, expression=exp.cast(exp.convert("NaN"), "double"))


def number(value: Any, family: str) -> Sql:
    """A number as a literal: exact, or a float where the column is one."""
    if isinstance(value, float) and abs(value) == float("inf"):
        return exp.cast(exp.convert(f"{'-' * (value < 0)}Infinity"), "double")
    if isinstance(value, float) and family == "float":
        return exp.Literal.number(f"{value!r}{'' if 'e' in repr(value) else 'e0'}")
    return exp.Literal.number(
        format(Decimal(repr(value) if isinstance(value, float) else value), "f")
    )


def as_moment(value: Any) -> datetime | None:
    """The time that a value of a suite or of the data is, where it is one."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value if isinstance(value, datetime) else None


def in_utc(moment: datetime) -> datetime:
    """A time in UTC, without its zone; one without a zone is in UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def is_missing(value: Any) -> bool:
    """Whether a value is null or NaN, which is unequal to itself."""
    return value is None or value != value


def present(*columns: Sql) -> Sql:
    """Whether all of them have a value."""
    return exp.and_(*(exp.not_(column.copy().is_(exp.null())) for column in columns))


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
    parts, within = [], False
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        within = (within or part == "[") and part != "]"
        if dialect == "postgres":
            members = CLASSES.get(part)
            part = (
                members
                if members and within
                else f"[{members}]"
                if members
                else SIGNS.get(part, part)
            )
        elif part == "$" and not within and dialect != "duckdb":
            part = r"\z"  # else it matches before a last line break, too
        parts.append(part)
    text = "".join(parts)
    if dialect == "postgres" and not text.startswith("(?s)"):  # else a dot matches a line break
        text = re.sub(r"^(\(\?)?", lambda found: "(?p" if found[1] else "(?p)", text, count=1)
    return exp.RegexpLike(
        this=column,
        expression=exp.convert(text.removeprefix("(?s)" if dialect == "postgres" else "")),
    )


def row_condition(value: Any, batch: Batch) -> Sql:
    """A `row_condition` as SQL: null is neither equal nor unequal.

    Raises:
        Unreadable: it is not in Great Expectations' own syntax.
    """
    problem = Unreadable(
        f"row_condition {value!r:.60} is not in Great Expectations' own syntax; write it as "
        """col("visits") > 3 or col("kind").notNull(), without the syntax of pandas or Spark"""
    )
    if isinstance(value, str):
        match = CONDITION.fullmatch(value.strip())
        if not match:
            raise problem
        name, not_null, operator, digits, *texts = match.groups()
        text = next((each for each in texts if each is not None), None)
        parameter = (
            text
            if digits is None
            else float(digits)
            if re.search(r"[.e]", digits, re.I)
            else int(digits)
        )
        value = {"type": "nullity" if not_null else "comparison", "is_null": False, "column": name}
        value |= {"operator": operator, "parameter": parameter}
    if not isinstance(value, dict):
        raise problem
    kind, name = value.get("type"), value.get("column")
    if kind in ("and", "or"):
        parts = [row_condition(each, batch) for each in value.get("conditions") or ()]
        return exp.and_(*parts) if kind == "and" else exp.or_(*parts)
    name = name.get("name") if isinstance(name, dict) else name
    operator, parameter = value.get("operator"), value.get("parameter")
    if not isinstance(name, str):
        raise problem
    column = batch.column(name)
    if kind == "nullity":
        return column.is_(exp.null()) if value.get("is_null") else present(column)
    if kind == "comparison" and operator in OPERATORS:
        return OPERATORS[operator](this=column, expression=batch.literal(parameter, name))
    if kind == "comparison" and operator in ("IN", "NOT_IN") and isinstance(parameter, list):
        inside = batch.inside(name, parameter)
        return inside if operator == "IN" else exp.and_(present(column), exp.not_(inside))
    raise problem
