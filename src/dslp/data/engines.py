"""An engine runs SQL and knows the types of the columns; here it is DuckDB on files (G3)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from dslp.core.errors import nearest
from dslp.data.batch import BATCH, Unreadable, normalized, written
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.reading import quote_identifier, reading_errors, table_expression
from sqlglot import exp

Rows = tuple[Sequence[str], Sequence[Sequence[Any]]]  # names of the columns, and the rows


@dataclass(frozen=True)
class Engine:
    """A connection to the rows of one dataset.

    Attributes:
        dialect: SQLGlot's name of its SQL.
        types: of the columns, by their names.
        source: the table with the dataset's rows.
        run: runs a statement.
        find: whether there is a table of that name, apart from the dataset's own.
    """

    dataset: Dataset
    dialect: str
    types: dict[str, exp.DataType]
    source: str
    run: Callable[[str], Rows]
    find: Callable[[str], bool]

    def fetch(self, query: exp.Query) -> Rows:
        """The result of a query, in which the table `batch` is the dataset."""
        columns = [normalized(name, kind, self.dialect) for name, kind in self.types.items()]
        rows = exp.select(*columns).from_(exp.to_identifier(self.source, quoted=True))
        hint = False if self.dialect in ("duckdb", "postgres") else None  # they would copy all rows
        return self.run(written(query.with_(BATCH, as_=rows, materialized=hint), self.dialect))

    def table(self, name: str) -> exp.Table:
        """Another table, or the dataset by its own name.

        Raises:
            Unreadable: there is none of that name.
        """
        if name == self.dataset.name:
            return exp.to_table(BATCH)
        if self.find(name):
            return exp.Table(this=exp.to_identifier(name, quoted=True))
        if name in (names := dataset_names(self.dataset.project)):
            raise Unreadable(f"{name} is not built; build it: uv run dslp data build {name}")
        raise Unreadable(f"there is no table {name!r}{nearest(name, names)}")


def find_built(dataset: Dataset, create: Callable[[Dataset], object], name: str) -> bool:
    """Whether the project has a built dataset of that name; if so, `create` a table of it."""
    other = Dataset(dataset.project, name)
    exists = name in dataset_names(dataset.project) and other.is_built
    if exists:
        create(other)
    return exists


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
                name, rows = quote_identifier(each.name), table_expression(each)
                connection.execute(f"CREATE OR REPLACE {kind} {name} AS SELECT * FROM {rows}")

        def run(statement: str) -> Rows:
            with reading_errors(dataset):
                result = connection.execute(statement)
                return [each[0] for each in result.description or ()], result.fetchall()

        create(dataset)
        described = run(f"DESCRIBE {quote_identifier(dataset.name)}")[1]
        types = {name: exp.DataType.build(kind, dialect="duckdb") for name, kind, *_ in described}
        find = partial(find_built, dataset, create)
        yield Engine(dataset, "duckdb", types, dataset.name, run, find)
