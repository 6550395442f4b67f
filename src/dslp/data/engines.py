"""An engine runs SQL and knows the types of the columns; here it is DuckDB on files (G3)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dslp.core.errors import nearest
from dslp.data.batch import BATCH, Unreadable, normalized
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.reading import quote_identifier, reading_errors, table_expression
from sqlglot import exp


@dataclass(frozen=True)
class Engine:
    """A connection to the rows of one dataset.

    Attributes:
        dialect: SQLGlot's name of its SQL.
        types: of the columns, by their names.
        source: the table with the dataset's rows.
        run: runs a statement; names of the result's columns, and its rows.
        find: whether there is a table of that name, apart from the dataset's own.
    """

    dialect: str
    types: dict[str, exp.DataType]
    source: str
    run: Callable[[str], tuple[list[str], list[Sequence[Any]]]]
    find: Callable[[str], bool]
    dataset: Dataset

    def fetch(self, query: exp.Query) -> list[dict[str, Any]]:
        """The rows of a query, in which the table `batch` is the dataset."""
        source = exp.to_identifier(self.source, quoted=True)
        columns = [normalized(name, kind, self.dialect) for name, kind in self.types.items()]
        rows = exp.select(*columns).from_(exp.Table(this=source))
        hint = False if self.dialect in ("duckdb", "postgres") else None  # they would copy all rows
        names, values = self.run(query.with_(BATCH, as_=rows, materialized=hint).sql(self.dialect))
        return [dict(zip(names, each, strict=True)) for each in values]

    def table(self, name: str) -> exp.Table:
        """Another table, or the dataset by its own name.

        Raises:
            Unreadable: there is none of that name.
        """
        if name == self.dataset.name:
            return exp.to_table(BATCH)
        if not self.find(name):
            names = dataset_names(self.dataset.project)
            if name in names:
                todo = f"uv run dslp data build {name}"
                raise Unreadable(f"{name} is not built; build it: {todo}")
            raise Unreadable(f"there is no table {name!r}{nearest(name, names)}")
        return exp.Table(this=exp.to_identifier(name, quoted=True))


@contextmanager
def open_files(dataset: Dataset) -> Iterator[Engine]:
    """The dataset's files, open in DuckDB.

    Raises:
        DslpError: the data is not built, or cannot be read.
    """
    import duckdb

    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as connection:
        connection.execute("SET temp_directory = ?", [spill])
        connection.execute("SET preserve_insertion_order = false")

        def create(each: Dataset) -> None:
            with reading_errors(each):
                # A view reads the columns that are needed; CSV is read once, into a table.
                kind = "TABLE" if each.built.suffix == ".csv" else "VIEW"
                rows = f"SELECT * FROM {table_expression(each)}"
                connection.execute(
                    f"CREATE OR REPLACE {kind} {quote_identifier(each.name)} AS {rows}"
                )

        def run(statement: str) -> tuple[list[str], list[Sequence[Any]]]:
            with reading_errors(dataset):
                result = connection.execute(statement)
                return [each[0] for each in result.description or ()], result.fetchall()

        def find(name: str) -> bool:
            other = Dataset(dataset.project, name)
            exists = name in dataset_names(dataset.project) and other.is_built
            if exists:
                create(other)
            return exists

        create(dataset)
        described = run(f"DESCRIBE {quote_identifier(dataset.name)}")[1]
        types = {name: exp.DataType.build(kind, dialect="duckdb") for name, kind, *_ in described}
        yield Engine("duckdb", types, dataset.name, run, find, dataset)
