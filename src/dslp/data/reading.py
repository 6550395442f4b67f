"""Reading a dataset's rows without loss: a Parquet file, a folder of parts, or CSV.

A CSV file does not say what its columns are. A column is text unless schema.yml (or `TYPES` in
pipeline.py, for raw data) says a type; then each value must be one of it. Only an empty field is
missing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line, visible
from dslp.data.csv_types import csv_type, read_header, typed_columns
from dslp.data.dataset import Dataset

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

SUFFIXES = (".parquet", ".csv")  # of files with rows
ROWS = "rows"  # the view that is the dataset
# Makes a table of the view, where that is faster than to open its files again.
COPY = "CREATE TABLE copy AS FROM rows; DROP VIEW rows; ALTER TABLE copy RENAME TO rows"
# A column of floats with null in place of NaN, in DuckDB's SQL. DuckDB folds other tests by the
# statistics of the file, which lack NaN.
WITHOUT_NAN = "CASE WHEN isfinite({0}) OR abs({0}) = CAST('Infinity' AS DOUBLE) THEN {0} END"
# What DuckDB says of a line that is not as the others are; the line itself may be personal.
FAULT = r"^(Expected Number of Columns.*|(Value with|Invalid unicode|Maximum line)[^.\n]*)"


def read_frame(dataset: Dataset, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """The processed data as a data frame (`to_frame`): all columns, or these.

    Raises:
        DslpError: it is not built, cannot be read, or has no such column.
    """
    if isinstance(columns, str):
        raise DslpError(f"columns is a list of names, such as [{columns!r}]")
    import pyarrow.parquet as pq

    path, hive = dataset.built, "hive" if dataset.built.is_dir() else None
    with open_rows(dataset) as connection, reading_errors(dataset):
        existing = connection.sql(f"FROM {ROWS}").columns
        names = existing if columns is None else list(columns)
        if missing := [name for name in names if name not in existing]:
            raise DslpError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(existing)}"
            )
        if path.suffix.lower() != ".csv":  # DuckDB has fewer types than Arrow
            return to_frame(pq.read_table(path, columns=names, partitioning=hive))
        listed = ", ".join(map(quote_identifier, names))
        return to_frame(connection.sql(f"SELECT {listed} FROM {ROWS}").to_arrow_table())


def read_raw(dataset: Dataset, path: Path, types: Mapping[str, str], todo: str) -> "pd.DataFrame":
    """A file of raw data as a data frame (`to_frame`).

    Args:
        dataset: that the raw data is of.
        path: a Parquet or CSV file.
        types: Arrow's names of the types of columns in CSV, before those in schema.yml.
        todo: what to do about a file that cannot be read.

    Raises:
        DslpError: it cannot be read, or a value is not of its column's type.
    """
    import duckdb
    import pyarrow.parquet as pq

    types = {**dataset.types, **types}
    with reading_errors(dataset, path, types, todo):
        if path.suffix.lower() == ".parquet":
            return to_frame(pq.read_table(path, partitioning=None))
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return to_frame(connection.sql(_csv_query(path, types)).to_arrow_table())


def to_frame(table: "pa.Table") -> "pd.DataFrame":
    """An Arrow table as a data frame in which each value is what it was.

    Integers with missing values become pandas' Int64 (or Int32, ...), where pandas itself makes
    them float64, which is exact up to 2⁵³ only. Decimals, nested values and times in nanoseconds
    keep Arrow's types.
    """
    import pandas as pd
    import pyarrow as pa

    def exact(kind: Any) -> Any:
        keep = pa.types.is_nested(kind) or pa.types.is_decimal(kind) or kind == pa.time64("ns")
        return pd.ArrowDtype(kind) if keep else None

    def nullable(kind: Any) -> Any:
        return pd.api.types.pandas_dtype(str(kind).replace("int", "Int").replace("u", "U"))

    frame: pd.DataFrame = table.to_pandas(types_mapper=exact, ignore_metadata=True)
    for number, column in enumerate(table.columns):
        if column.null_count and pa.types.is_integer(column.type):
            frame.isetitem(number, column.to_pandas(types_mapper=nullable))
    return frame


@contextmanager
def open_rows(
    dataset: Dataset, types: Mapping[str, str] | None = None
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection in which the view `rows` is the dataset.

    `types` are those of columns in CSV, by Arrow's names; by default those in schema.yml.

    Raises:
        DslpError: the data is not built, or cannot be read.
    """
    import duckdb

    with duckdb.connect() as connection:
        with reading_errors(dataset):
            connection.execute("SET TimeZone = 'UTC'")
            source = table_expression(dataset, types)
            connection.execute(f"CREATE OR REPLACE VIEW {ROWS} AS SELECT * FROM {source}")
        yield connection


@contextmanager
def reading_errors(
    dataset: Dataset,
    path: Path | None = None,
    types: Mapping[str, str] | None = None,
    todo: str = "",
) -> Iterator[None]:
    """Turn an error of DuckDB or Arrow about the data into one line.

    Args:
        dataset: that the data is of.
        path: the file that is read; by default the processed data.
        types: of the columns in CSV; by default those in schema.yml.
        todo: what to do about it; by default to correct the file, or to build it again.

    Raises:
        DslpError: in place of that error; of personal data, it shows no value.
    """
    import duckdb

    try:
        yield
    # Arrow's errors are among Python's, and pandas has fewer dates than both.
    except (duckdb.Error, OSError, ValueError, NotImplementedError) as error:
        # DuckDB adds the statement, which is not the user's, and the options of its CSV reader.
        message = re.split(r"\s+LINE 1: |\nPossible ", str(error))[0]
        reason = visible(error_line(message, 240), 240)
        path, personal = path or dataset.built, True
        with suppress(DslpError):  # an unreadable datasheet says nothing of personal data
            personal = dataset.sheet.personal_data
            types = dataset.types if types is None else types
        reason = type(error).__name__ if personal else reason
        if path.suffix.lower() == ".csv":
            reason = _csv_problem(path, types or {}, str(error), personal) or reason
            todo = todo or "correct the file: UTF-8, one delimiter, and the types of schema.yml"
        todo = todo or f"build it again: uv run dslp data build {dataset.name}"
        raise DslpError(f"{path} cannot be read ({reason}); {todo}") from None


def table_expression(dataset: Dataset, types: Mapping[str, str] | None = None) -> str:
    """The dataset as a table expression of DuckDB's SQL.

    Raises:
        DslpError: the data is not built, is no table, or its files have different columns.
    """
    path, files = dataset.built, dataset.files
    if path.suffix.lower() == ".csv":
        names, types = read_header(path)[1], dataset.types if types is None else types
        if len(names) == 1 < len(types):
            raise DslpError(
                f"{path} has the one column {names[0]!r:.60}, and schema.yml {len(types)}; "
                "the delimiter must be a comma, semicolon, tab or |"
            )
        if len({name.casefold() for name in names}) < len(names):  # SQL ignores the case
            raise DslpError(f"{path} has two columns of one name, upper and lower case alike")
        return f"({_csv_query(path, types)})"
    if len(files) > 1:
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


def without_nan(column: str, kind: str) -> str:
    """SQL of a column of that type of DuckDB, with null in place of NaN: both are missing."""
    return WITHOUT_NAN.format(column) if kind in ("FLOAT", "DOUBLE") else column


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


def propose_types(path: Path) -> dict[str, str]:
    """Types that columns of a CSV file may have, by Arrow's names; a person must review them.

    Columns that may well be text are left out: with a leading zero, or more than 15 digits.
    """
    import duckdb

    names, proposals = read_header(path)[1], ("int64", "double", "bool", "timestamp[us]")
    tests = []
    for number in range(len(names)):
        kinds = [csv_type(kind) for kind in proposals]
        fits = [f"bool_and({kind.test(f'c{number}', canonical=True)})" for kind in kinds if kind]
        tests.append(f"[{', '.join(fits)}]")
    with duckdb.connect() as connection:
        query = f"SELECT {', '.join(tests)} FROM {_csv_source(path)}"
        results = connection.execute(query).fetchone() or ()
    return {
        name: proposals[result.index(True)]
        for name, result in zip(names, results, strict=True)
        if True in result
    }


def _check_same_columns(files: list[Path], dataset: Dataset) -> None:
    """Check that part files have the same columns: DuckDB takes them by place or casts them.

    Raises:
        DslpError: they have not.
    """
    from pyarrow.parquet import read_schema

    types = [arrow_types(read_schema(file), file) for file in files]
    for file, kinds in zip(files, types, strict=True):
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


def _csv_source(path: Path) -> str:
    """A CSV file as a table of texts, c0, c1, ..., whose names are in any case and language."""
    delimiter, names = read_header(path)
    columns = ", ".join(f"c{number}: 'VARCHAR'" for number in range(len(names)))
    source = (
        f"read_csv({_quote_path(path)}, auto_detect = false, header = true, strict_mode = true, "
        f"delim = {quote_literal(delimiter)}, quote = '\"', escape = '\"', "
        f"allow_quoted_nulls = {len(names) > 1}, columns = {{{columns}}})"
    )
    if len(names) > 1:
        return source
    # DuckDB makes a row of each blank line in one column, and of `""` an empty text.
    return f"(SELECT nullif(c0, '') AS c0 FROM {source} WHERE c0 IS NOT NULL)"


def _csv_query(path: Path, types: Mapping[str, str]) -> str:
    """A query of a CSV file's rows that fails where a value is not of its column's type."""
    columns = [
        f"{kind.cast(column) if kind else column} AS {quote_identifier(name)}"
        for column, name, kind in typed_columns(path, types)
    ]
    return f"SELECT {', '.join(columns)} FROM {_csv_source(path)}"


def _csv_problem(path: Path, types: Mapping[str, str], message: str, personal: bool) -> str:
    """The line or the row of a CSV file that cannot be read, and why; empty where unknown."""
    import duckdb

    if line := re.search(r"CSV Error on Line: (\d+)", message):
        fault = re.search(FAULT, message, re.MULTILINE)
        return f"line {line[1]}: {fault[1] if fault else 'it is not valid CSV'}"
    if "state machine reached an invalid state" in message:
        return "its lines end in different ways; end each as Unix does, or each as Windows does"
    typed = [(c, name, kind) for c, name, kind in typed_columns(path, types) if kind]
    if not typed:
        return ""
    faults = [(column, f"FILTER (WHERE NOT {kind.test(column)})") for column, _, kind in typed]
    firsts = ", ".join(f"min(row) {fault}, arg_min({c}, row) {fault}" for c, fault in faults)
    source = f"(SELECT row_number() OVER () AS row, * FROM {_csv_source(path)})"
    with suppress(duckdb.Error), duckdb.connect() as connection:
        values = connection.execute(f"SELECT {firsts} FROM {source}").fetchone() or ()
        places = zip(values[::2], values[1::2], typed, strict=True)
        for row, value, (_, name, kind) in sorted((p for p in places if p[0]), key=lambda p: p[0]):
            shown = "a value" if personal else visible(value)
            return f"row {row}: column {name} has {shown}, which is no {kind.word}"
    return ""
