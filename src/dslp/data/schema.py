"""`schema.yml`: the columns that a dataset has, and how the data differs from them.

The file is what reviewers see when a schema changes (D4); the suite says what the values mean.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from dslp.core.errors import DslpError
from dslp.core.files import read_text
from dslp.core.formats import without_format
from dslp.core.text import UNWRITTEN
from dslp.data.dataset import Dataset
from dslp.data.reading import (
    arrow_types,
    open_rows,
    quote_identifier,
    quote_literal,
    reading_errors,
    without_nan,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    import duckdb

# The beginnings of type names, here and in databases, of each family; the first match counts.
FAMILIES = {
    "int": ("int", "uint", "bigint", "smallint", "tinyint", "long", "short"),
    "float": ("double", "float", "halffloat", "real", "numeric", "decimal"),
    "string": ("string", "large_string", "varchar", "nvarchar", "char", "text"),
    "bool": ("bool",),
    "timestamp": ("timestamp", "datetime"),
    "date": ("date",),
    "time": ("time",),
    "binary": ("binary", "varbinary", "fixed_size_binary"),
}
KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "string": (str,)}
EXAMPLES = 3


class Column(BaseModel):
    """One column in `schema.yml`; `type` is Arrow's name, such as `int64` or `string`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: str = Field(min_length=1)
    unit: str | None = None
    description: str | None = None
    nullable: bool = False
    categories: list[bool | int | float | str | date] | None = Field(None, min_length=1)


class Schema(BaseModel):
    """The content of `schema.yml`; `population` says what one row is, and of whom.

    `proposed` names what was written from the data and nobody has confirmed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    population: str | None = None
    proposed: list[Literal["key", "columns"]] = []
    key: list[str] = []
    columns: dict[str, Column] = Field(min_length=1)


def read_schema(dataset: Dataset) -> Schema:
    """The content of `schema.yml`.

    Raises:
        DslpError: it is missing, or one line for all invalid fields.
    """
    path = dataset.folder / "schema.yml"
    if path.is_file() and not read_text(path).strip():
        raise DslpError(
            f"{path} is empty; write it: uv run dslp data schema {dataset.name} --write"
        )
    return parse_schema(dataset.yaml("schema.yml"), str(path))


def parse_schema(content: object, where: str) -> Schema:
    """The schema in parsed YAML; `where` is what an error calls it.

    Raises:
        DslpError: one line for all invalid fields.
    """
    if isinstance(content, dict):
        content = without_format(content, "schema.yml", where)
    try:
        schema = Schema.model_validate(content)
    except ValidationError as error:
        problems = {
            ".".join(show_column(str(part)) for part in each["loc"][:3]): each
            for each in error.errors()
        }
        texts = [f"{at}: {p['msg']}, not {p['input']!r:.40}" for at, p in problems.items()]
        raise DslpError(f"{where}: {'; '.join(texts)}") from None
    for name, column in schema.columns.items():
        kinds = KINDS.get(type_family(column.type), (object,))
        for value in column.categories or ():
            if not isinstance(value, kinds) or (isinstance(value, bool) and kinds != (object,)):
                raise DslpError(
                    f"{where}: columns.{show_column(name)}: the category {value!r} is no "
                    f"{column.type}; put text in quotes, and numbers in none"
                )
    return schema


def key_columns(dataset: Dataset) -> list[str]:
    """Names of the columns that identify a row."""
    return read_schema(dataset).key


def type_family(kind: str) -> str:
    """The family of a type, so that a database's BIGINT is an `int64`."""
    plain = kind.lower()
    return next((name for name, begins in FAMILIES.items() if plain.startswith(begins)), plain)


def show_column(name: str) -> str:
    """A column's name, escaped as in Python where it would break the line."""
    return name if name and name.isprintable() else repr(name)


def unwritten_columns(dataset: Dataset) -> list[str]:
    """Names of the columns whose description is still to be written."""
    columns = read_schema(dataset).columns.items()
    return [name for name, column in columns if column.description == UNWRITTEN]


def differences(dataset: Dataset, table: dict[str, str] | None = None) -> list[str]:
    """How the data differs from the schema: columns, types, nulls, categories, the key.

    With `table`, the types of a database's columns, only names and families of types are compared.

    Raises:
        DslpError: the schema or the data cannot be read.
    """
    schema = read_schema(dataset)
    lines = [
        f"the key {show_column(k)} is no column" for k in schema.key if k not in schema.columns
    ]
    if table is not None:
        return sorted([*lines, *_column_lines(schema.columns, table, by_family=True)])
    with open_rows(dataset) as connection, reading_errors(dataset):
        actual = column_types(dataset, connection)
        lines += _column_lines(schema.columns, actual, by_family=False)
        if schema.key and set(schema.key) <= actual.keys():
            names = ", ".join(map(quote_identifier, schema.key))
            whole = " AND ".join(f"{quote_identifier(name)} IS NOT NULL" for name in schema.key)
            groups = f"SELECT 1 FROM rows WHERE {whole} GROUP BY {names} HAVING count(*) > 1"
            if (count := fetch_row(connection, f"SELECT count(*) FROM ({groups})")[0]) > 0:
                key = ", ".join(map(show_column, schema.key))
                lines.append(f"the key {key} is not unique: {count:,} of its values are repeated")
        personal = dataset.sheet.personal_data
        return sorted([*lines, *_value_lines(connection, schema.columns, actual, personal)])


def column_types(dataset: Dataset, connection: "duckdb.DuckDBPyConnection") -> dict[str, str]:
    """Types of the columns, in order, as Parquet files have them, or as DuckDB reads CSV.

    Raises:
        DslpError: the data cannot be read.
    """
    from pyarrow.parquet import read_schema

    path = dataset.built
    with reading_errors(dataset):
        rows = connection.sql("FROM rows LIMIT 0").to_arrow_table().schema
        types = arrow_types(rows, path)
        if path.suffix != ".csv":  # DuckDB has fewer types than Arrow
            types |= arrow_types(read_schema(dataset.files[0]), path)
        return types


def unknown_categories(
    connection: "duckdb.DuckDBPyConnection", columns: dict[str, Column], most: int
) -> dict[str, list[Any]]:
    """Values that are not among the categories, at most `most` of each column that has some."""
    tests = {
        name: f"{quote_identifier(name)} NOT IN ({', '.join(map(_literal, column.categories))})"
        for name, column in columns.items()
        if column.categories
    }
    if not tests:
        return {}
    any_of = ", ".join(f"coalesce(bool_or({test}), false)" for test in tests.values())
    failures = fetch_row(connection, f"SELECT {any_of} FROM rows")
    return {
        name: fetch_distinct(connection, name, f"{test} ORDER BY 1 LIMIT {most}")
        for (name, test), fails in zip(tests.items(), failures, strict=True)
        if fails
    }


def count_nulls(connection: "duckdb.DuckDBPyConnection", names: Iterable[str]) -> dict[str, int]:
    """The number of nulls, or NaN, in each of the columns that has any."""
    names, kinds = list(names), sql_types(connection)
    values = [without_nan(quote_identifier(name), kinds[name]) for name in names]
    counts = ", ".join(f"count(*) - count({value})" for value in values)
    numbers = fetch_row(connection, f"SELECT {counts} FROM rows") if names else ()
    return {name: int(count) for name, count in zip(names, numbers, strict=True) if count}


def sql_types(connection: "duckdb.DuckDBPyConnection") -> dict[str, str]:
    """DuckDB's types of the columns, by name."""
    rows = connection.sql("FROM rows")
    return dict(zip(rows.columns, map(str, rows.types), strict=True))


def fetch_row(connection: "duckdb.DuckDBPyConnection", query: str) -> Sequence[Any]:
    """The first row of a query's result."""
    return connection.execute(query).fetchone() or ()


def fetch_distinct(connection: "duckdb.DuckDBPyConnection", name: str, condition: str) -> list[Any]:
    """The different values of a column, of the rows that meet a condition of SQL."""
    query = f"SELECT DISTINCT {quote_identifier(name)} FROM rows WHERE {condition}"
    return [value for (value,) in connection.execute(query).fetchall()]


def _column_lines(
    expected: dict[str, Column], actual: dict[str, str], by_family: bool
) -> Iterator[str]:
    """Differences in the names of the columns, and in their types."""
    added = [name for name in actual if name not in expected]
    gone = [name for name in expected if name not in actual]
    for name in list(added):
        near = {other.strip().casefold(): other for other in gone}
        for match in get_close_matches(name.strip().casefold(), near, n=1):
            added.remove(name)
            gone.remove(near[match])
            yield (
                f"column {show_column(name)} is not in schema.yml; {show_column(near[match])} is "
                "missing: renamed?"
            )
    yield from (f"column {show_column(name)} is not in schema.yml" for name in added)
    yield from (f"column {show_column(name)} of schema.yml is missing" for name in gone)
    for name, column in expected.items():
        kind = actual.get(name, column.type)
        same_family = by_family and type_family(kind) == type_family(column.type)
        if kind != column.type and not same_family:
            yield f"column {show_column(name)} is {kind}, not {column.type}"


def _value_lines(
    connection: "duckdb.DuckDBPyConnection",
    expected: dict[str, Column],
    actual: dict[str, str],
    personal: bool,
) -> Iterator[str]:
    """Nulls in columns without, and values that are not among the categories."""
    present = {name: column for name, column in expected.items() if name in actual}
    required = [name for name, column in present.items() if not column.nullable]
    for name, count in count_nulls(connection, required).items():
        yield f"column {show_column(name)} may not be null, and is {count:,} times"
    same = {name: column for name, column in present.items() if column.type == actual[name]}
    for name, values in unknown_categories(connection, same, most=EXAMPLES + 1).items():
        more = ", ..." if len(values) > EXAMPLES else ""
        shown = ": " + ", ".join(f"{value!r:.40}" for value in values[:EXAMPLES]) + more
        line = f"column {show_column(name)} has values outside its categories"
        yield line + ("" if personal else shown)


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int | float) else quote_literal(str(value))
