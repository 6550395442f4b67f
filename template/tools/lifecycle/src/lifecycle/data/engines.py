"""What a suite runs on: DuckDB on the Parquet file, a SQL database, or Spark (G3).

Each engine turns a dataset into a batch of Great Expectations, and nothing else differs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lifecycle.data.catalogue import Dataset
from lifecycle.errors import LifecycleError
from lifecycle.project import CHOICES, Project, redacted

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def batch(dataset: Dataset, engine: str) -> Iterator[Any]:
    """The dataset as a batch that `engine` can validate; closed when the block ends.

    Raises:
        LifecycleError: the engine is unknown or not installed, or the data cannot be reached.
    """
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    if engine == "embedded":
        yield from _embedded(context, dataset)
    elif engine == "sql":
        yield from _sql(context, dataset)
    elif engine == "spark":
        yield from _spark(context, dataset)
    else:
        known = ", ".join(CHOICES["engine"])
        raise LifecycleError(f"engine {engine!r} is not one of {known}")


def _embedded(context: Any, dataset: Dataset) -> Iterator[Any]:
    import duckdb
    from sqlalchemy.dialects import postgresql, registry

    registry.register("duckdb", "lifecycle.data.duck", "Dialect")
    database = f":memory:{dataset.name}"  # a name shares it with the dialect's own connection
    path = str(dataset.built).replace("'", "''")
    table = dataset.name.replace('"', '""')
    with duckdb.connect(database) as connection:
        try:
            connection.execute(
                f"CREATE OR REPLACE VIEW \"{table}\" AS SELECT * FROM read_parquet('{path}')"
            )
        except duckdb.Error as error:
            reason = " ".join(str(error).split())[:120]
            raise LifecycleError(f"{dataset.processed} cannot be read: {reason}") from None
        source = context.data_sources.add_sql(
            dataset.name, connection_string=f"duckdb:///{database}", create_temp_table=False
        )
        source.get_execution_engine().dialect_module = postgresql
        yield _whole_table(source, dataset.name)


def _sql(context: Any, dataset: Dataset) -> Iterator[Any]:
    from great_expectations.exceptions import GreatExpectationsError
    from sqlalchemy.exc import SQLAlchemyError

    url = database_url(dataset.project)
    try:
        kind = "add_sqlite" if url.startswith("sqlite") else "add_sql"
        source = getattr(context.data_sources, kind)(
            dataset.name, connection_string=url, create_temp_table=False
        )
        found = _whole_table(source, dataset.name)
    except (SQLAlchemyError, GreatExpectationsError, ConnectionError, ImportError) as error:
        reason = redacted(" ".join(str(error.__cause__ or error).split()))[:160]
        raise LifecycleError(
            f"table {dataset.name} in {redacted(url)} cannot be read: {reason}; "
            f"load it: uv run lifecycle data build {dataset.name}"
        ) from None
    yield found


def _spark(context: Any, dataset: Dataset) -> Iterator[Any]:
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise LifecycleError(
            "Spark is not installed; answer it: copier update --defaults -d engine=spark"
        ) from None
    builder = SparkSession.builder.appName("lifecycle").master(
        os.environ.get("SPARK_MASTER") or "local[*]"
    )
    session = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    source = context.data_sources.add_spark(dataset.name)
    asset = source.add_dataframe_asset(dataset.name)
    whole = asset.add_batch_definition_whole_dataframe("whole")
    yield whole.get_batch({"dataframe": session.read.parquet(str(dataset.built))})


def _whole_table(source: Any, table: str) -> Any:
    asset = source.add_table_asset(table, table_name=table)
    return asset.add_batch_definition_whole_table("whole").get_batch()


def database_url(project: Project) -> str:
    """Where tables are: `LIFECYCLE_DATABASE_URL`, else a SQLite file among the processed data.

    A data folder that was named for once has its own file always, so that a trial or a test
    never replaces a table that others read (D7).
    """
    beside = f"sqlite:///{project.data / 'processed' / 'warehouse.db'}"
    return (os.environ.get("LIFECYCLE_DATABASE_URL") or beside) if project.usual else beside


def load_table(frame: "pd.DataFrame", name: str, project: Project) -> None:
    """Replace the table `name` by `frame`, in one transaction where the database has them.

    Raises:
        LifecycleError: the database cannot be reached or refuses.
    """
    import sqlalchemy

    url = database_url(project)
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            frame.to_sql(name, connection, if_exists="replace", index=False, chunksize=10_000)
        engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        reason = redacted(" ".join(str(error).split()))[:160]
        raise LifecycleError(f"{redacted(url)} cannot be written: {reason}") from None
