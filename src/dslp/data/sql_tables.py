"""Tables of a SQL database: datasets that are loaded into one, and read from there."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.data.dataset import Dataset

if TYPE_CHECKING:
    import pandas as pd

# The rows of a sample, the same each time, in the SQL of each database that can say it.
SAMPLES = {
    "postgresql": "SELECT * FROM {table} AS t ORDER BY md5(CAST(t.* AS text)) LIMIT {rows}",
    "sqlite": "SELECT * FROM {table} ORDER BY (rowid * 2654435761) % 4294967291 LIMIT {rows}",
}


def table_batch(context: Any, dataset: Dataset, sample: int | None = None) -> Iterator[Any]:
    """The table, or so many of its rows, as a batch of Great Expectations.

    Raises:
        DslpError: the table cannot be reached, or no sample drawn from such a database.
    """
    from dslp.data.sql_engine import use_sql_engine
    from great_expectations.exceptions import GreatExpectationsError
    from sqlalchemy.exc import SQLAlchemyError

    url = database_url(dataset.project)
    try:
        kind = "add_sqlite" if url.startswith("sqlite") else "add_sql"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class for PostgreSQL that takes fewer addresses
            source = getattr(context.data_sources, kind)(
                dataset.name,
                # What begins with $ is a variable to Great Expectations, in a password too.
                connection_string=url if kind == "add_sqlite" else url.replace("$", "%24"),
                create_temp_table=sample is not None,
            )
        use_sql_engine(source)
        if sample is None:
            found = whole_table(source, dataset.name)
        else:
            asset = source.add_query_asset(dataset.name, query=_sampled(dataset, sample))
            found = asset.add_batch_definition_whole_table("whole").get_batch()
    except (SQLAlchemyError, GreatExpectationsError, ConnectionError, ImportError) as error:
        raise _unreachable(dataset, url, error) from None
    yield found


def count_rows(dataset: Dataset) -> int:
    """How many rows the table has."""
    with _connected(dataset) as connection:
        query = f"SELECT count(*) FROM {_quoted(connection, dataset.name)}"
        return int(connection.exec_driver_sql(query).scalar_one())


def table_columns(dataset: Dataset) -> dict[str, str]:
    """Names of the table's columns, and their types as the database calls them.

    Raises:
        DslpError: the table cannot be reached.
    """
    import sqlalchemy

    with _connected(dataset) as connection:
        columns = sqlalchemy.inspect(connection).get_columns(dataset.name)
    return {str(column["name"]): str(column["type"]) for column in columns}


def whole_table(source: Any, name: str) -> Any:
    """All rows of a table or view of Great Expectations' data source, as a batch."""
    asset = source.add_table_asset(name, table_name=name)
    return asset.add_batch_definition_whole_table("whole").get_batch()


def database_url(project: Project) -> str:
    """Where tables are: `DSLP_DATABASE_URL`, else a SQLite file among the processed data.

    A data folder that was named for once has its own file always, so that a trial or a test
    never replaces a table that others read (D7).
    """
    beside = f"sqlite:///{project.data / 'processed' / 'warehouse.db'}"
    return (os.environ.get("DSLP_DATABASE_URL") or beside) if project.usual else beside


def load_table(frame: "pd.DataFrame", name: str, project: Project) -> None:
    """Replace the table `name` by `frame`, in one transaction where the database has them.

    Raises:
        DslpError: the database cannot be reached or refuses.
    """
    import sqlalchemy

    url = database_url(project)
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":  # Python begins only before it writes rows
                connection.exec_driver_sql("BEGIN")
            frame.to_sql(name, connection, if_exists="replace", index=False, chunksize=10_000)
        engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, OSError, ImportError) as error:
        reason = error_line(error)
        raise DslpError(f"{redact(url)} cannot be written: {reason}") from None


def _sampled(dataset: Dataset, sample: int) -> str:
    with _connected(dataset) as connection:
        dialect = connection.dialect.name
        if dialect not in SAMPLES:
            raise DslpError(
                f"no sample can be drawn from {dialect}, only from {', '.join(SAMPLES)}; "
                "leave --sample out"
            )
        return SAMPLES[dialect].format(table=_quoted(connection, dataset.name), rows=sample)


@contextmanager
def _connected(dataset: Dataset) -> Iterator[Any]:
    import sqlalchemy

    url = database_url(dataset.project)
    try:
        engine = sqlalchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise _unreachable(dataset, url, error) from None


def _unreachable(dataset: Dataset, url: str, error: Exception) -> DslpError:
    reason = error_line(error.__cause__ or error)
    return DslpError(
        f"table {dataset.name} in {redact(url)} cannot be read: {reason}; "
        f"load it: uv run dslp data build {dataset.name}"
    )


def _quoted(connection: Any, name: str) -> str:
    return str(connection.dialect.identifier_preparer.quote_identifier(name))
