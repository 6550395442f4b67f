"""`schema.yml`: the columns that a dataset has, compared with the data and brought in line with it.

The file is what reviewers see when a schema changes (D4); the suite says what the values mean.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import UNWRITTEN
from dslp.data import reading
from dslp.data.dataset import Dataset
from dslp.data.reading import open_rows, quote_identifier, quote_literal, reading_errors
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    import duckdb

# What a type's name begins with, here and in databases, for each family; the first match counts.
FAMILIES = {
    "int": ("int", "uint", "bigint", "smallint", "tinyint", "long", "short"),
    "float": ("double", "float", "halffloat", "real", "numeric", "decimal"),
    "string": ("string", "large_string", "varchar", "nvarchar", "char", "text"),
    "bool": ("bool",),
    "timestamp": ("timestamp", "datetime"),
    "date": ("date",),
}
KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "string": (str,)}
EXAMPLES = 3


class Column(BaseModel):
    """What is stated of a column; `type` is Arrow's name, such as `int64` or `string`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: str = Field(min_length=1)
    unit: str | None = None
    description: str | None = None
    nullable: bool = False
    categories: list[bool | int | float | str | date] | None = Field(None, min_length=1)


class Schema(BaseModel):
    """What stands in `schema.yml`; `population` says what one row is, and of whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    population: str | None = None
    key: list[str] = []
    columns: dict[str, Column] = Field(min_length=1)


def read_schema(dataset: Dataset) -> Schema:
    """The content of `schema.yml`.

    Raises:
        DslpError: it is missing, or one line for all that is not what it should be.
    """
    return parse_schema(dataset.yaml("schema.yml"), f"{dataset.folder / 'schema.yml'}")


def parse_schema(content: object, where: str) -> Schema:
    """What was read from YAML, as a schema; `where` is what an error calls it."""
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
    """What a type is by and large, so that a database's BIGINT is an `int64`."""
    plain = kind.lower()
    return next((name for name, begins in FAMILIES.items() if plain.startswith(begins)), plain)


def show_column(name: str) -> str:
    """A column's name, or how Python spells it where it would break the line."""
    return name if name and name.isprintable() else ascii(name)


def differences(dataset: Dataset, found: dict[str, str] | None = None) -> list[str]:
    """How the processed data differs from the schema: added, removed, retyped, null, new values.

    `found` has the types of the columns where they were read elsewhere, such as from a database's
    table: names and types are compared then, and types by family.

    Raises:
        DslpError: the schema or the data cannot be read.
    """
    schema = read_schema(dataset)
    wrong = [
        f"the key {show_column(n)} is no column" for n in schema.key if n not in schema.columns
    ]
    if found is not None:
        return sorted([*wrong, *_named(schema.columns, found, by_family=True)])
    with open_rows(dataset) as connection, reading_errors(dataset):
        actual = column_types(dataset, connection)
        wrong += _named(schema.columns, actual, by_family=False)
        if schema.key and set(schema.key) <= actual.keys():
            listed = ", ".join(map(quote_identifier, schema.key))
            whole = " AND ".join(f"{quote_identifier(name)} IS NOT NULL" for name in schema.key)
            groups = f"SELECT 1 FROM rows WHERE {whole} GROUP BY {listed} HAVING count(*) > 1"
            if (count := _row(connection, f"SELECT count(*) FROM ({groups})")[0]) > 0:
                named = ", ".join(map(show_column, schema.key))
                wrong.append(f"the key {named} is not unique: {count:,} of its values are repeated")
        personal = dataset.sheet.personal_data
        return sorted([*wrong, *_content(connection, schema.columns, actual, personal)])


def unwritten_parts(dataset: Dataset) -> list[str]:
    """Names of the columns whose description waits for a person to write it."""
    columns = read_schema(dataset).columns.items()
    return [name for name, column in columns if column.description == UNWRITTEN]


def column_types(dataset: Dataset, connection: "duckdb.DuckDBPyConnection") -> dict[str, str]:
    """Types of the columns, in order, as the files state them, or as DuckDB reads CSV.

    Raises:
        DslpError: the data cannot be read.
    """
    import pyarrow.dataset as files

    path = dataset.built
    with reading_errors(dataset):
        if path.suffix == ".csv":
            found = connection.sql("FROM rows LIMIT 0").to_arrow_table().schema
        else:
            hive = "hive" if path.is_dir() else None
            found = files.dataset(path, format="parquet", partitioning=hive).schema
        return reading.arrow_types(found, path)


def unknown_categories(
    connection: "duckdb.DuckDBPyConnection", columns: dict[str, Column], most: int
) -> dict[str, list[Any]]:
    """Values that are not among the categories, at most so many of each column that has some."""
    tests = {
        name: f"{quote_identifier(name)} NOT IN ({', '.join(map(_literal, column.categories))})"
        for name, column in columns.items()
        if column.categories
    }
    if not tests:
        return {}
    any_of = ", ".join(f"coalesce(bool_or({test}), false)" for test in tests.values())
    verdicts = _row(connection, f"SELECT {any_of} FROM rows")
    found = {}
    for (name, test), fails in zip(tests.items(), verdicts, strict=True):
        if fails:
            column = quote_identifier(name)
            some = f"SELECT DISTINCT {column} FROM rows WHERE {test} ORDER BY 1 LIMIT {most}"
            found[name] = [value for (value,) in connection.execute(some).fetchall()]
    return found


def count_nulls(connection: "duckdb.DuckDBPyConnection", names: Iterable[str]) -> dict[str, int]:
    """How many values of each of the columns are null, where any are."""
    names = list(names)  # DuckDB counts by the statistics of Parquet files where they have any
    counts = ", ".join(f"count(*) - count({quote_identifier(name)})" for name in names)
    found = _row(connection, f"SELECT {counts} FROM rows") if names else ()
    return {name: int(count) for name, count in zip(names, found, strict=True) if count}


def _named(stated: dict[str, Column], actual: dict[str, str], by_family: bool) -> Iterator[str]:
    """Differences in the names of the columns, and in their types."""
    added = [name for name in actual if name not in stated]
    gone = [name for name in stated if name not in actual]
    for name in list(added):
        near = {other.strip().casefold(): other for other in gone}
        for alike in get_close_matches(name.strip().casefold(), near, n=1):
            yield (
                f"column {show_column(name)} is not in schema.yml; {show_column(near[alike])} is "
                "missing: renamed?"
            )
            added.remove(name)
            gone.remove(near[alike])
    yield from (f"column {show_column(name)} is not in schema.yml" for name in added)
    yield from (f"column {show_column(name)} of schema.yml is missing" for name in gone)
    for name, column in stated.items():
        kind = actual.get(name, column.type)
        if kind != column.type and not (
            by_family and type_family(kind) == type_family(column.type)
        ):
            yield f"column {show_column(name)} is {kind}, not {column.type}"


def _content(
    connection: "duckdb.DuckDBPyConnection",
    stated: dict[str, Column],
    actual: dict[str, str],
    personal: bool,
) -> Iterator[str]:
    """Nulls where there may be none, and values that are not among the categories."""
    here = {name: column for name, column in stated.items() if name in actual}
    for name, count in count_nulls(
        connection, [n for n, c in here.items() if not c.nullable]
    ).items():
        yield f"column {show_column(name)} may not be null, and is {count:,} times"
    same = {name: column for name, column in here.items() if column.type == actual[name]}
    for name, values in unknown_categories(connection, same, most=EXAMPLES + 1).items():
        more = ", ..." if len(values) > EXAMPLES else ""
        listed = ": " + ", ".join(f"{value!r:.40}" for value in values[:EXAMPLES]) + more
        listed = "" if personal else listed
        yield f"column {show_column(name)} has values outside its categories{listed}"


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int | float) else quote_literal(str(value))


def _row(connection: "duckdb.DuckDBPyConnection", query: str) -> Sequence[Any]:
    return connection.execute(query).fetchone() or ()
