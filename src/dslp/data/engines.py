"""An engine runs SQL and knows the types of the columns; here it is DuckDB on files (G3)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dslp.core.errors import DslpError, nearest
from dslp.core.text import error_line
from dslp.data.batch import BATCH, Batch, Unreadable, normalized, written
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.reading import quote_identifier, reading_errors, table_expression
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

Rows = tuple[Sequence[str], Sequence[Sequence[Any]]]  # names of the columns, and the rows


@dataclass(frozen=True)
class Engine(Batch):
    """A connection to the rows of one dataset.

    Attributes:
        source: the table with the dataset's rows.
        run: runs a statement.
        find: whether there is a table of that name, apart from the dataset's own.
        queries: of the suite, in the engine's dialect, and what a statement calls each.
    """

    dataset: Dataset
    source: str
    run: Callable[[str], Rows]
    find: Callable[[str], bool]
    queries: dict[str, str] = field(default_factory=dict)

    def fetch(self, statement: str) -> Rows:
        """The result of a statement of DuckDB's SQL, in which the table `batch` is the dataset."""
        columns = [normalized(name, kind, self.dialect) for name, kind in self.types.items()]
        source = exp.to_identifier(self.source, quoted=True).sql(self.dialect)
        once = self.dialect in ("duckdb", "postgres")  # they would copy all rows
        tables = [
            f"{BATCH} AS {'NOT MATERIALIZED ' * once}(SELECT {', '.join(columns)} FROM {source})",
            *(f"{name} AS ({text})" for text, name in self.queries.items() if name in statement),
        ]
        return self.run(f"WITH {', '.join(tables)} {written(statement, self.dialect)}")

    def table(self, name: str) -> str:
        """DuckDB's name of another table, or of the dataset by its own name.

        Raises:
            Unreadable: there is none of that name.
        """
        if name == self.dataset.name:
            return BATCH
        if self.find(name):
            return quote_identifier(name)
        if name in (names := dataset_names(self.dataset.project)):
            raise Unreadable(f"{name} is not built; build it: uv run dslp data build {name}")
        raise Unreadable(f"there is no table {name!r}{nearest(name, names)}")

    def query(self, text: str) -> str:
        """The name of the result of a query of a suite, in which `{batch}` is the dataset.

        Raises:
            Unreadable: it is no query, or reads a table that is missing.
        """
        try:
            query = parse_one(text.replace("{batch}", BATCH).rstrip("; \n"), read=self.dialect)
        except SqlglotError as error:
            raise Unreadable(f"the query cannot be read: {error_line(error, 160)}") from None
        if not isinstance(query, exp.Query):
            raise Unreadable("the query is not one SELECT")
        own = {BATCH, *(cte.alias for cte in query.find_all(exp.CTE))}
        for table in list(query.find_all(exp.Table)):
            if isinstance(table.this, exp.Identifier) and table.name not in own and not table.db:
                alias = exp.to_identifier(table.alias_or_name, quoted=True)
                # The dataset itself is the batch.
                table.set("this", exp.to_table(self.table(table.name), dialect="duckdb").this)
                table.set("alias", exp.TableAlias(this=alias))
        return self.queries.setdefault(query.sql(self.dialect), f"dslp_query{len(self.queries)}_")


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
                try:
                    result = connection.execute(statement)
                except (duckdb.BinderException, duckdb.CatalogException) as error:  # of a query
                    raise DslpError(error_line(error, 160)) from None
                return [each[0] for each in result.description or ()], result.fetchall()

        create(dataset)
        described = run(f"DESCRIBE {quote_identifier(dataset.name)}")[1]
        types = {name: exp.DataType.build(kind, dialect="duckdb") for name, kind, *_ in described}
        find = partial(find_built, dataset, create)
        yield Engine(types, "duckdb", dataset, dataset.name, run, find)
