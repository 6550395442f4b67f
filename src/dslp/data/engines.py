"""What a suite runs on: DuckDB on files, a SQL database, or Spark (G3).

Each engine turns a dataset into a batch of Great Expectations, and nothing else differs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.data import sql_tables
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.reading import open_rows, quote_identifier, reading_errors, table_expression

if TYPE_CHECKING:
    pass

SEED = 1
# Great Expectations' own engines, and those of ours that are one.
KINDS = {"SparkDFExecutionEngine": ("spark",), "SqlAlchemyExecutionEngine": ("embedded", "sql")}


@contextmanager
def open_batch(dataset: Dataset, engine: str, sample: int | None = None) -> Iterator[Any]:
    """The dataset, or `sample` of its rows, as a batch that `engine` can validate.

    A sample is drawn with a fixed seed: the same rows each time.

    Raises:
        DslpError: the engine is not installed, or the data cannot be reached.
    """
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    if engine == "spark":
        from dslp.data import spark

        yield from spark.spark_batch(context, dataset, sample)
    else:
        make = {"embedded": _embedded, "sql": sql_tables.table_batch}[engine]
        yield from make(context, dataset, sample)


def count_rows(dataset: Dataset, engine: str) -> int:
    """How many rows the dataset has where `engine` reads it."""
    if engine == "sql":
        return sql_tables.count_rows(dataset)
    with open_rows(dataset) as connection, reading_errors(dataset):
        ((rows,),) = connection.execute("SELECT count(*) FROM rows").fetchall()
    return int(rows)


def unsupported(data: Any, expectations: Sequence[Any]) -> dict[str, list[str]]:
    """Types of the expectations that the engine of this batch cannot run, with those that can."""
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.execution_engine import (
        SparkDFExecutionEngine,
        SqlAlchemyExecutionEngine,
    )
    from great_expectations.expectations.registry import get_metric_provider

    def runs(metrics: Sequence[str], engine: Any) -> bool:
        try:
            return all(get_metric_provider(metric, engine) for metric in metrics)
        except GreatExpectationsError:
            return False

    others = [SqlAlchemyExecutionEngine, SparkDFExecutionEngine]
    found = {}
    engine = data.data.execution_engine
    for expectation in expectations:
        with suppress(Exception):  # what it needs is wrong: the run says so better
            metrics = expectation.get_validation_dependencies(engine).get_metric_configurations()
            needs = [metric.metric_name for metric in metrics]
            if not runs(needs, engine):
                found[expectation.expectation_type] = [
                    name
                    for kind in others
                    if runs(needs, kind.__new__(kind))
                    for name in KINDS[kind.__name__]
                ]
    return found


def column_names(data: Any) -> list[str]:
    """Names of a batch's columns, without the progress bar that its own method shows."""
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    found: list[str] = MetricsCalculator(data.data.execution_engine).columns({"batch_id": data.id})
    return found


def _embedded(context: Any, dataset: Dataset, sample: int | None) -> Iterator[Any]:
    import tempfile
    from uuid import uuid4

    import duckdb
    from dslp.data import duckdb_engine

    database = f":memory:{uuid4()}"  # a name shares it with the dialect's own connection
    view = quote_identifier(dataset.name)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect(database) as connection:
        connection.execute("SET temp_directory = ?", [spill])
        connection.execute("SET preserve_insertion_order = false")
        _others(connection, dataset)
        with reading_errors(dataset):
            rows = f"SELECT {_without_nan(connection, dataset)} FROM {table_expression(dataset)}"
            if sample is not None:
                connection.execute("SET threads = 1")  # the same rows each time
                rows += f" USING SAMPLE reservoir({sample} ROWS) REPEATABLE ({SEED})"
            # A view reads what each expectation needs; what is not Parquet is read but once.
            whole = sample is None and dataset.built.suffix == ".parquet"
            kind = "VIEW" if whole else "TABLE"
            connection.execute(f"CREATE OR REPLACE {kind} {view} AS {rows}")
            connection.execute("RESET threads")
        source = duckdb_engine.source(context, dataset.name, database)
        try:
            yield sql_tables.whole_table(source, dataset.name)
        finally:
            source.get_execution_engine().close()


def _without_nan(connection: Any, dataset: Dataset) -> str:
    """All columns, in which NaN is null, as it is to pandas and in a database."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {table_expression(dataset)}").fetchall()
    floats = [quote_identifier(name) for name, kind, *_ in described if kind in ("FLOAT", "DOUBLE")]
    if floats:  # few have any, and every expectation would pay for asking
        asked = ", ".join(f"bool_or(isnan({name}))" for name in floats)
        (found,) = connection.execute(f"SELECT {asked} FROM {table_expression(dataset)}").fetchall()
        floats = [name for name, some in zip(floats, found, strict=True) if some]
    put = ", ".join(f"CASE WHEN NOT isnan({name}) THEN {name} END AS {name}" for name in floats)
    return f"* REPLACE ({put})" if put else "*"


def _others(connection: Any, dataset: Dataset) -> None:
    """The project's other built datasets, for SQL that looks something up in them."""
    for name in dataset_names(dataset.project):
        other = Dataset(dataset.project, name)
        # If it cannot be read, it is the suite of that one that says so.
        with suppress(DslpError), reading_errors(other):
            if name != dataset.name and other.is_built:
                view = f"CREATE OR REPLACE VIEW {quote_identifier(name)}"
                connection.execute(f"{view} AS SELECT * FROM {table_expression(other)}")
