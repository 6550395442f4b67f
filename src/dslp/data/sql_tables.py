"""Tables of a SQL database: datasets that are loaded into one, and read from there."""

import os
import warnings
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.data.dataset import Dataset

if TYPE_CHECKING:
    import pandas as pd


def table_batch(context: Any, dataset: Dataset) -> Any:
    """The table as a batch of Great Expectations.

    Raises:
        DslpError: the table cannot be reached.
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
                create_temp_table=False,
            )
        use_sql_engine(source)
        return whole_table(source, dataset.name)
    except (SQLAlchemyError, GreatExpectationsError, ConnectionError, ImportError) as error:
        raise _unreachable(dataset, url, error) from None


def table_columns(dataset: Dataset) -> dict[str, str]:
    """Names of the table's columns, and their types as the database calls them.

    Raises:
        DslpError: the table cannot be reached.
    """
    import sqlalchemy

    url = database_url(dataset.project)
    try:
        engine = sqlalchemy.create_engine(url)
        try:
            columns = sqlalchemy.inspect(engine).get_columns(dataset.name)
        finally:
            engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise _unreachable(dataset, url, error) from None
    return {str(column["name"]): str(column["type"]) for column in columns}


def whole_table(source: Any, name: str) -> Any:
    """All rows of a table or view of Great Expectations' data source, as a batch."""
    asset = source.add_table_asset(name, table_name=name)
    return asset.add_batch_definition_whole_table("whole").get_batch()


def database_url(project: Project) -> str:
    """The database of the tables: `DSLP_DATABASE_URL`, else a SQLite file in `processed/`.

    Another data folder than the usual one always has its own file, so that a trial or a test
    never replaces a table that others read (D7).
    """
    own = f"sqlite:///{project.data / 'processed' / 'warehouse.db'}"
    return (os.environ.get("DSLP_DATABASE_URL") or own) if project.usual else own


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
        raise DslpError(f"{redact(url)} cannot be written: {error_line(error)}") from None


def _unreachable(dataset: Dataset, url: str, error: Exception) -> DslpError:
    return DslpError(
        f"table {dataset.name} in {redact(url)} cannot be read: "
        f"{error_line(error.__cause__ or error)}; "
        f"load it: uv run dslp data build {dataset.name}"
    )
