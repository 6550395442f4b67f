"""Reading a dataset's rows with DuckDB, out of core: a Parquet file, a folder of parts, or CSV."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.data.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pandas as pd

HEADER = 1_000_000  # bytes of a CSV file's first line; more than this is no header
WIDTH = 10_000  # columns; more than this is a wrong delimiter or a matrix, and no table
ROWS = "rows"
# What the types of schema.yml are in DuckDB: CSV does not say what its columns are.
TYPES = {
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "double": "DOUBLE",
    "float": "FLOAT",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "string": "VARCHAR",
    "timestamp[us]": "TIMESTAMP",
}

WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


def read_frame(dataset: Dataset, columns: "Sequence[str] | None" = None) -> "pd.DataFrame":
    """The processed data as a data frame: all columns, or these.

    Raises:
        DslpError: it is not built, cannot be read, or has no such column.
    """
    if isinstance(columns, str):
        raise DslpError(f"columns is a list of names, such as [{columns!r}]")
    import pandas as pd
    import pyarrow as pa

    path = dataset.built
    if columns is not None or path.suffix == ".csv":
        with open_rows(dataset) as connection, reading_errors(dataset):
            here = connection.sql("FROM rows").columns
        if gone := [name for name in columns or () if name not in here]:
            raise DslpError(f"{path} has no column {', '.join(gone)}; it has {', '.join(here)}")
    if path.suffix == ".csv":
        chosen = ", ".join(map(quote_identifier, columns)) if columns is not None else "*"
        with open_rows(dataset) as connection, reading_errors(dataset):
            frame: pd.DataFrame = connection.execute(f"SELECT {chosen} FROM rows").df()
            return frame
    try:
        return pd.read_parquet(
            path,
            columns=None if columns is None else list(columns),
            partitioning="hive" if path.is_dir() else None,
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DslpError(
            f"{path} cannot be read ({error_line(error)}); "
            f"build it again: uv run dslp data build {dataset.name}"
        ) from None


@contextmanager
def open_rows(
    dataset: Dataset, database: str = ":memory:"
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection in which the view `rows` is the dataset; a name shares it: `:memory:name`.

    Raises:
        DslpError: the data is not built, or cannot be read.
    """
    import duckdb

    with duckdb.connect(database) as connection:
        with reading_errors(dataset):
            connection.execute(
                f"CREATE OR REPLACE VIEW {ROWS} AS SELECT * FROM {table_expression(dataset)}"
            )
        yield connection


@contextmanager
def reading_errors(dataset: Dataset) -> Iterator[None]:
    """Turn what DuckDB says of a file that it cannot read into one line.

    Raises:
        DslpError: in place of DuckDB's own error.
    """
    import duckdb
    import pyarrow as pa
    from dslp.core.text import visible

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        # DuckDB adds the statement, which is ours, and after a file's line how its reader was set.
        said = re.split(r"\s+LINE 1: |\nPossible ", str(error))[0]
        reason = visible(" ".join(said.split()), 240)
        personal, columns = True, None
        with suppress(DslpError):  # where nothing is stated, no value is shown either
            personal = dataset.sheet.personal_data
            columns = dataset.yaml("schema.yml").get("columns")
        if personal:
            named = [
                f"column {name}"
                for name in (columns if isinstance(columns, dict) else ())
                if re.search(rf'[Cc]olumn "?{re.escape(str(name))}"?[ .]', said)
            ]
            reason = " in ".join([type(error).__name__, *named[:1]])
        path = dataset.built
        todo = f"build it again: uv run dslp data build {dataset.name}"
        if path.suffix == ".csv":
            todo = "mend the file: UTF-8, one delimiter, and in each column what schema.yml states"
        raise DslpError(f"{path} cannot be read ({reason}); {todo}") from None


def table_expression(dataset: Dataset) -> str:
    """The dataset as a table expression of DuckDB's SQL.

    Raises:
        DslpError: the data is not built, or is no table, or its parts are of several.
    """
    path, files = dataset.built, dataset.files
    if path.suffix == ".csv":
        stated = dataset.yaml("schema.yml").get("columns")
        stated = stated if isinstance(stated, dict) else {}
        types = {
            name: TYPES[str(column.get("type"))]
            for name, column in stated.items()
            if isinstance(column, dict) and column.get("type") in TYPES
        }
        return _csv(path, types)
    _alike(files, dataset)
    listed = f"[{', '.join(map(_literally, files))}]"
    within = partition_columns(dataset)
    above = [quote_identifier(name) for name in _hive(path) if name not in within]
    chosen = f"* EXCLUDE ({', '.join(above)})" if within and above else "*"
    hive = str(bool(within)).lower()
    return f"(SELECT {chosen} FROM read_parquet({listed}, hive_partitioning = {hive}))"


def partition_columns(dataset: Dataset) -> set[str]:
    """Columns whose values are in the names of the dataset's folders, as in `year=2024/`."""
    return {name for file in dataset.files for name in _hive(file.relative_to(dataset.built))}


def quote_literal(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def quote_identifier(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def arrow_types(schema: Any, where: object) -> dict[str, str]:
    """Names and types of an Arrow schema's columns, whatever way text and categories are stored.

    Raises:
        DslpError: two have one name.
    """
    found = {field.name: _type(field.type) for field in schema}
    if len({name.casefold() for name in found}) < len(schema):  # SQL cannot tell them apart
        raise DslpError(f"{where} has two columns of one name, upper and lower case alike")
    return found


def _type(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    return str(kind)


def _alike(files: list[Path], dataset: Dataset) -> None:
    """See that part files have the same columns, which DuckDB takes by place or casts in silence.

    Raises:
        DslpError: they have not.
    """
    from pyarrow.parquet import read_schema

    parts = (
        (file, arrow_types(read_schema(file), file)) for file in (files if len(files) > 1 else ())
    )
    first = next(parts, (None, {}))[1]
    for file, own in parts:
        if own != first:
            raise DslpError(
                f"{file} does not have the columns and types of the other parts; build it again: "
                f"uv run dslp data build {dataset.name}"
            )


def _literally(path: Path) -> str:
    """A path as a literal of SQL, in which no character stands for others."""
    return quote_literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def _hive(path: Path) -> list[str]:
    return [part.split("=")[0] for part in path.parts[:-1] if "=" in part]


def _csv(path: Path, types: dict[str, str]) -> str:
    delimiter, names = read_header(path)
    if len(names) == 1 < len(types):
        raise DslpError(
            f"{path} has the one column {names[0]!r:.60}, and schema.yml {len(types)}; "
            "the delimiter must be a comma, semicolon, tab or |"
        )
    options = f"header = true, strict_mode = true, delim = {quote_literal(delimiter)}"
    read = {name: "VARCHAR" if types[name] in WHOLE else types[name] for name in types}
    stated = [
        f"{quote_literal(name)}: {quote_literal(read[name])}" for name in names if name in read
    ]
    kinds = f", types = {{{', '.join(stated)}}}" if stated else ""
    whole = [_whole(name, types[name]) for name in names if types.get(name) in WHOLE]
    chosen = f"* REPLACE ({', '.join(whole)})" if whole else "*"
    return f"(SELECT {chosen} FROM read_csv({_literally(path)}, {options}{kinds}))"


def _whole(name: str, kind: str) -> str:
    """A column of text as whole numbers, without rounding what is none, as a cast would."""
    column, problem = quote_identifier(name), quote_literal(f"column {name} has ")
    return (
        f"CASE WHEN {column} IS NULL OR regexp_full_match({column}, '[+-]?\\d+(\\.0*)?') "
        f"THEN {column}::{kind} "
        f"ELSE error({problem} || {column} || ', which is no whole number')::{kind} END AS {column}"
    )


def read_header(path: Path) -> tuple[str, list[str]]:
    """What separates the columns of a CSV file, and the names in its first line.

    Raises:
        DslpError: it has none, is no text, or is no table of a reasonable width.
    """
    import csv

    try:
        with path.open("rb") as file:
            line = file.readline(HEADER + 1)
        text = line.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise DslpError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise DslpError(f"{path} cannot be read: {error.strerror}") from None
    if not text:
        raise DslpError(f"{path} is empty; its first line must name the columns")
    delimiter = max(",;\t|", key=text.count)
    if len(line) > HEADER or text.count(delimiter) >= WIDTH:
        raise DslpError(
            f"{path} has more than {WIDTH:,} columns in its first line: no table with a header"
        )
    try:
        return delimiter, next(csv.reader([text], delimiter=delimiter))
    except csv.Error as error:
        raise DslpError(
            f"{path} has no header in its first line ({error}); name the columns there, and end "
            "each line as Windows or Unix does"
        ) from None
