"""Tables of a SQL database: datasets that are loaded into one, and read from there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.data.dataset import Dataset
from dslp.data.engines import Engine, Rows, as_type

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy

# SQLGlot's names of SQLAlchemy's dialects; PostgreSQL is proven, the others are not.
DIALECTS = {name: name for name in ("snowflake", "databricks", "bigquery")}
DIALECTS |= {"postgresql": "postgres", "mssql": "tsql"}


@contextmanager
def open_database(dataset: Dataset) -> Iterator[Engine]:
    """The dataset's table, open in the database.

    Raises:
        DslpError: the table cannot be reached.
    """
    import sqlalchemy

    todo = f"load it: uv run dslp data build {dataset.name}"
    with _connected(f"table {dataset.name} cannot be read", todo) as engine:
        dialect = DIALECTS[engine.url.get_backend_name()]
        with engine.connect().execution_options(no_parameters=True) as connection:
            if dialect in ("postgres", "databricks"):
                connection.exec_driver_sql("SET TIME ZONE 'UTC'")
            inspector = sqlalchemy.inspect(connection)
            types = {
                str(each["name"]): as_type(each["type"].compile(dialect=engine.dialect), dialect)
                for each in inspector.get_columns(dataset.name)
            }

            def run(statement: str) -> Rows:
                try:
                    result = connection.exec_driver_sql(statement)
                    return list(result.keys()), result.all()
                except sqlalchemy.exc.SQLAlchemyError as error:
                    connection.rollback()
                    cause = error.__cause__ or error
                    if dataset.sheet.personal_data:  # the message may show a value
                        raise DslpError(type(cause).__name__) from None
                    raise DslpError(error_line(cause, 160)) from None

            yield Engine(
                types,
                dialect,
                dataset,
                dataset.name,
                run,
                None,
                inspector.has_table,
                changing={dataset.name},
            )


def database_url() -> str:
    """The address of the database, in DSLP_DATABASE_URL.

    Raises:
        DslpError: it is missing, or of a database that suites cannot run on.
    """
    url = os.environ.get("DSLP_DATABASE_URL", "")
    kind = url.partition(":")[0].partition("+")[0]
    if kind not in DIALECTS:
        wrong = f"is {redact(url)!r}, which is no database that is known" if url else "is missing"
        wrong = "is sqlite: it loses time zones and decimals" if kind == "sqlite" else wrong
        names = f"the address of one of {', '.join(DIALECTS)}"
        raise DslpError(f"DSLP_DATABASE_URL {wrong}; write in .env {names}, or choose embedded")
    return url


@contextmanager
def _connected(problem: str, todo: str) -> "Iterator[sqlalchemy.Engine]":
    """The database at `database_url()`.

    Raises:
        DslpError: it cannot be reached or refuses.
    """
    import sqlalchemy

    url = database_url()
    try:
        engine = sqlalchemy.create_engine(url, hide_parameters=True)
        yield engine
        engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, OSError, ImportError) as error:
        reason = error_line(error.__cause__ or error)
        raise DslpError(f"{redact(url)}: {problem}: {reason}; {todo}") from None


def load_table(frame: "pd.DataFrame", name: str, project: Project) -> None:
    """Replace the table `name` by `frame`, in one transaction where the database has them.

    A trial or a test in another data folder than the usual one loads nothing, so that it never
    replaces a table that others read (D7); its suite runs on the files.

    Raises:
        DslpError: the database cannot be reached or refuses, or cannot hold the values.
    """
    if project.usual:
        types = _column_types(frame, name)
        todo = "correct the values, or the rights of the user"
        with (
            _connected(f"table {name} cannot be written", todo) as engine,
            engine.begin() as connection,
        ):
            options: Any = {"if_exists": "replace", "index": False, "chunksize": 10_000}
            frame.to_sql(name, connection, **options, dtype=types)


def _column_types(frame: "pd.DataFrame", name: str) -> dict[str, Any]:
    """SQL's types of the columns for which pandas would choose one that changes values.

    Raises:
        DslpError: the values of a column have no such type.
    """
    import pyarrow as pa
    import sqlalchemy

    types: dict[str, Any] = {}
    for field in pa.Schema.from_pandas(frame, preserve_index=False):
        kind = field.type
        tests = (pa.types.is_nested, pa.types.is_duration, pa.types.is_uint64)
        if any(test(kind) for test in tests) or getattr(kind, "unit", "") == "ns":
            raise DslpError(
                f"table {name}: column {field.name} is {kind}, which a database cannot hold as it "
                "is; let the pipeline make another type of it, or choose embedded"
            )
        if pa.types.is_decimal(kind):
            types[field.name] = sqlalchemy.Numeric(kind.precision, kind.scale)
        elif pa.types.is_binary(kind):
            types[field.name] = sqlalchemy.LargeBinary()
    return types
