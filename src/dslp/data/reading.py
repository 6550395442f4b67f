"""Reading a dataset's rows with DuckDB, out of core: a Parquet file, a folder of parts, or CSV."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line, visible
from dslp.data.dataset import Dataset

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

HEADER = 1_000_000  # bytes of a CSV file's first line, at most
WIDTH = 10_000  # columns, at most: more are a wrong delimiter, or no table
ROWS = "rows"  # the view that is the dataset
# DuckDB's names of the types in schema.yml: CSV does not say what its columns are.
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
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


def read_frame(dataset: Dataset, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """The processed data as a data frame: all columns, or these.

    Raises:
        DslpError: it is not built, cannot be read, or has no such column.
    """
    if isinstance(columns, str):
        raise DslpError(f"columns is a list of names, such as [{columns!r}]")
    import pandas as pd

    path, names = dataset.built, None if columns is None else list(columns)
    if names is not None or path.suffix == ".csv":
        with open_rows(dataset) as connection, reading_errors(dataset):
            existing = connection.sql(f"FROM {ROWS}").columns
            if missing := [name for name in names or () if name not in existing]:
                raise DslpError(
                    f"{path} has no column {', '.join(missing)}; it has {', '.join(existing)}"
                )
            if path.suffix == ".csv":
                listed = ", ".join(map(quote_identifier, existing if names is None else names))
                frame: pd.DataFrame = connection.execute(f"SELECT {listed} FROM {ROWS}").df()
                return frame
    hive = "hive" if path.is_dir() else None
    with reading_errors(dataset):
        return pd.read_parquet(path, columns=names, partitioning=hive)


@contextmanager
def open_rows(dataset: Dataset) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection in which the view `rows` is the dataset.

    Raises:
        DslpError: the data is not built, or cannot be read.
    """
    import duckdb

    with duckdb.connect() as connection:
        with reading_errors(dataset):
            source = table_expression(dataset)
            connection.execute(f"CREATE OR REPLACE VIEW {ROWS} AS SELECT * FROM {source}")
        yield connection


@contextmanager
def reading_errors(dataset: Dataset) -> Iterator[None]:
    """Turn an error of DuckDB or Arrow about the data into one line.

    Raises:
        DslpError: in place of that error; of personal data, it shows no value.
    """
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        # DuckDB adds the statement, which is not the user's, and the options of its CSV reader.
        message = re.split(r"\s+LINE 1: |\nPossible ", str(error))[0]
        reason = visible(error_line(message, 240), 240)
        personal, columns = True, dict[str, str]()
        with suppress(DslpError):  # an unreadable datasheet says nothing of personal data
            personal = dataset.sheet.personal_data
            columns = _schema_types(dataset)
        if personal:
            named = [
                f"column {name}"
                for name in columns
                if re.search(rf'[Cc]olumn "?{re.escape(name)}"?[ .]', message)
            ]
            reason = " in ".join([type(error).__name__, *named[:1]])
        path = dataset.built
        todo = f"build it again: uv run dslp data build {dataset.name}"
        if path.suffix == ".csv":
            todo = "correct the file: UTF-8, one delimiter, and the column types of schema.yml"
        raise DslpError(f"{path} cannot be read ({reason}); {todo}") from None


def table_expression(dataset: Dataset) -> str:
    """The dataset as a table expression of DuckDB's SQL.

    Raises:
        DslpError: the data is not built, is no table, or its files have different columns.
    """
    path, files = dataset.built, dataset.files
    if path.suffix == ".csv":
        return _csv_expression(path, _schema_types(dataset))
    _check_same_columns(files, dataset)
    within = partition_columns(dataset)
    outside = [quote_identifier(name) for name in _hive_keys(path) if name not in within]
    chosen = f"* EXCLUDE ({', '.join(outside)})" if within and outside else "*"
    source = f"[{', '.join(map(_quote_path, files))}], hive_partitioning = {bool(within)}"
    return f"(SELECT {chosen} FROM read_parquet({source}))"


def partition_columns(dataset: Dataset) -> set[str]:
    """Columns whose values are in the names of the dataset's folders, as in `year=2024/`."""
    return {name for file in dataset.files for name in _hive_keys(file.relative_to(dataset.built))}


def quote_literal(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def quote_identifier(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def arrow_types(schema: Any, where: object) -> dict[str, str]:
    """Names and types of an Arrow schema's columns; every encoding of text is `string`.

    Raises:
        DslpError: two columns have the same name, upper and lower case alike.
    """
    import pyarrow as pa

    types = {}
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        types[field.name] = "string" if text else str(kind)
    if len({name.casefold() for name in types}) < len(schema):  # SQL ignores the case
        raise DslpError(f"{where} has two columns of one name, upper and lower case alike")
    return types


def read_header(path: Path) -> tuple[str, list[str]]:
    """The delimiter of a CSV file, and the names in its first line.

    Raises:
        DslpError: the file is no text, or its first line is no header.
    """
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


def _schema_types(dataset: Dataset) -> dict[str, str]:
    """DuckDB's types of the columns in schema.yml, as far as that can be read."""
    columns = dataset.yaml("schema.yml").get("columns")
    return {
        str(name): TYPES[str(column.get("type"))]
        for name, column in (columns.items() if isinstance(columns, dict) else ())
        if isinstance(column, dict) and column.get("type") in TYPES
    }


def _check_same_columns(files: list[Path], dataset: Dataset) -> None:
    """Check that part files have the same columns: DuckDB takes them by place or casts them.

    Raises:
        DslpError: they have not.
    """
    from pyarrow.parquet import read_schema

    types = [arrow_types(read_schema(file), file) for file in files] if len(files) > 1 else []
    for file, kinds in zip(files, types, strict=False):
        if kinds != types[0]:
            raise DslpError(
                f"{file} does not have the columns and types of the other parts; build it "
                f"again: uv run dslp data build {dataset.name}"
            )


def _quote_path(path: Path) -> str:
    """A path as a literal of SQL, with the characters of a pattern escaped."""
    return quote_literal(re.sub(r"([*?\[])", r"[\1]", str(path)))


def _hive_keys(path: Path) -> list[str]:
    return [part.split("=")[0] for part in path.parts[:-1] if "=" in part]


def _csv_expression(path: Path, types: dict[str, str]) -> str:
    """A CSV file as a table expression; integers are read as text and checked."""
    delimiter, names = read_header(path)
    if len(names) == 1 < len(types):
        raise DslpError(
            f"{path} has the one column {names[0]!r:.60}, and schema.yml {len(types)}; "
            "the delimiter must be a comma, semicolon, tab or |"
        )
    options = f"header = true, strict_mode = true, delim = {quote_literal(delimiter)}"
    read_as = ", ".join(
        f"{quote_literal(name)}: '{'VARCHAR' if types[name] in INTEGERS else types[name]}'"
        for name in names
        if name in types
    )
    options += f", types = {{{read_as}}}" if read_as else ""
    integers = [_integer(name, types[name]) for name in names if types.get(name) in INTEGERS]
    chosen = f"* REPLACE ({', '.join(integers)})" if integers else "*"
    return f"(SELECT {chosen} FROM read_csv({_quote_path(path)}, {options}))"


def _integer(name: str, kind: str) -> str:
    """A column of text as integers; a cast alone would round 2.5."""
    column, problem = quote_identifier(name), quote_literal(f"column {name} has ")
    return (
        f"CASE WHEN {column} IS NULL OR regexp_full_match({column}, '[+-]?\\d+(\\.0*)?') "
        f"THEN {column}::{kind} "
        f"ELSE error({problem} || {column} || ', which is no whole number')::{kind} END AS {column}"
    )
