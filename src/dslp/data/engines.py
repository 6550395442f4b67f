"""What a suite runs on: DuckDB on files, a SQL database, or Spark (G3).

Each engine turns a dataset into a batch of Great Expectations, and nothing else differs.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dslp.core.errors import DslpError
from dslp.data import sql_tables
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.reading import quote_identifier, reading_errors, table_expression


@contextmanager
def open_batch(dataset: Dataset, engine: str) -> Iterator[Any]:
    """The dataset as a batch that `engine` can validate.

    Raises:
        DslpError: the engine is not installed, or the data cannot be reached.
    """
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    if engine == "spark":
        from dslp.data import spark

        yield spark.spark_batch(context, dataset)
    elif engine == "sql":
        yield sql_tables.table_batch(context, dataset)
    else:
        yield from _embedded(context, dataset)


def column_names(data: Any) -> list[str]:
    """Names of a batch's columns, without the progress bar that its own method shows."""
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    names: list[str] = MetricsCalculator(data.data.execution_engine).columns({"batch_id": data.id})
    return names


def _embedded(context: Any, dataset: Dataset) -> Iterator[Any]:
    import tempfile
    from uuid import uuid4

    import duckdb
    from dslp.data import duckdb_engine

    database = f":memory:{uuid4()}"  # a name shares it with the dialect's own connection
    view = quote_identifier(dataset.name)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect(database) as connection:
        connection.execute("SET temp_directory = ?", [spill])
        connection.execute("SET preserve_insertion_order = false")
        _create_other_views(connection, dataset)
        with reading_errors(dataset):
            rows = f"SELECT {_without_nan(connection, dataset)} FROM {table_expression(dataset)}"
            # A view reads the columns that an expectation needs; CSV is read once, into a table.
            kind = "TABLE" if dataset.built.suffix == ".csv" else "VIEW"
            connection.execute(f"CREATE OR REPLACE {kind} {view} AS {rows}")
        source = duckdb_engine.source(context, dataset.name, database)
        try:
            yield sql_tables.whole_table(source, dataset.name)
        finally:
            source.get_execution_engine().close()


def _without_nan(connection: Any, dataset: Dataset) -> str:
    """All columns, with null in place of NaN, as in pandas and in a database."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {table_expression(dataset)}").fetchall()
    floats = [quote_identifier(name) for name, kind, *_ in described if kind in ("FLOAT", "DOUBLE")]
    if floats:  # few columns have any, and the replacement slows down every expectation
        tests = ", ".join(f"bool_or(isnan({name}))" for name in floats)
        (some,) = connection.execute(f"SELECT {tests} FROM {table_expression(dataset)}").fetchall()
        floats = [name for name, has_nan in zip(floats, some, strict=True) if has_nan]
    replaced = ", ".join(
        f"CASE WHEN NOT isnan({name}) THEN {name} END AS {name}" for name in floats
    )
    return f"* REPLACE ({replaced})" if replaced else "*"


def _create_other_views(connection: Any, dataset: Dataset) -> None:
    """Create views of the project's other built datasets, for SQL that joins them."""
    for name in dataset_names(dataset.project):
        other = Dataset(dataset.project, name)
        # An unreadable dataset is an error of its own suite.
        with suppress(DslpError), reading_errors(other):
            if name != dataset.name and other.is_built:
                view = f"CREATE OR REPLACE VIEW {quote_identifier(name)}"
                connection.execute(f"{view} AS SELECT * FROM {table_expression(other)}")
