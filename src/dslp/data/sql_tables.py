"""Tables of a SQL database: datasets that are loaded into one, and read from there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.data.dataset import Dataset
from dslp.data.engines import Engine

if TYPE_CHECKING:
    import pandas as pd

# SQLGlot's names of SQLAlchemy's dialects; PostgreSQL is proven, the others are not.
DIALECTS = {
    **{"postgresql": "postgres", "mssql": "tsql", "snowflake": "snowflake"},
    **{"databricks": "databricks", "bigquery": "bigquery"},
}


@contextmanager
def open_database(dataset: Dataset) -> Iterator[Engine]:
    """The dataset's table, open in the database.

    Raises:
        DslpError: the table cannot be reached.
    """
    import sqlalchemy
    from sqlglot import exp

    url = database_url()
    try:
        engine = sqlalchemy.create_engine(url)
        dialect = DIALECTS[sqlalchemy.make_url(url).get_backend_name()]
        with engine.connect().execution_options(no_parameters=True) as connection:
            if dialect == "postgres":
                connection.exec_driver_sql("SET TIME ZONE 'UTC'")
            inspector = sqlalchemy.inspect(connection)
            columns = inspector.get_columns(dataset.name)
            types = {
                str(each["name"]): exp.DataType.build(
                    each["type"].compile(dialect=engine.dialect), dialect=dialect
                )
                for each in columns
            }

            def run(statement: str) -> tuple[list[str], list[Sequence[Any]]]:
                try:
                    result = connection.exec_driver_sql(statement)
                    return list(result.keys()), [tuple(row) for row in result]
                except sqlalchemy.exc.SQLAlchemyError as error:
                    connection.rollback()
                    reason = error_line(error.__cause__ or error, 160)
                    if dataset.sheet.personal_data:  # it may show a value
                        reason = type(error.__cause__ or error).__name__
                    raise DslpError(f"{redact(url)}: {reason}") from None

            yield Engine(dialect, types, dataset.name, run, inspector.has_table, dataset)
        engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise DslpError(
            f"table {dataset.name} in {redact(url)} cannot be read: "
            f"{error_line(error.__cause__ or error)}; "
            f"load it: uv run dslp data build {dataset.name}"
        ) from None


def database_url() -> str:
    """The address of the database: DSLP_DATABASE_URL.

    Raises:
        DslpError: it is missing, or of a database that suites cannot run on.
    """
    url = os.environ.get("DSLP_DATABASE_URL", "")
    kind = url.partition(":")[0].partition("+")[0]
    if kind in DIALECTS:
        return url
    todo = f"set it to the address of one of {', '.join(DIALECTS)}, or choose the engine embedded"
    if kind == "sqlite":
        raise DslpError(f"DSLP_DATABASE_URL: sqlite: it loses time zones and decimals; {todo}")
    problem = f"is {redact(url)!r}, which is no database that is known" if url else "is missing"
    raise DslpError(f"DSLP_DATABASE_URL {problem}; {todo}")


def load_table(frame: "pd.DataFrame", name: str, project: Project) -> None:
    """Replace the table `name` by `frame`, in one transaction where the database has them.

    A trial or a test in another data folder than the usual one loads nothing, so that it never
    replaces a table that others read (D7); its suite runs on the files.

    Raises:
        DslpError: the database cannot be reached or refuses.
    """
    import sqlalchemy

    if not project.usual:
        return
    url = database_url()
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            frame.to_sql(name, connection, if_exists="replace", index=False, chunksize=10_000)
        engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise DslpError(f"{redact(url)} cannot be written: {error_line(error)}") from None
