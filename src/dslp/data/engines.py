"""An engine runs SQL and knows the types of the columns; here it is DuckDB on files (G3)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dslp.core.errors import DslpError, nearest
from dslp.core.text import error_line
from dslp.data.batch import BATCH, Batch, Unreadable, normalized_columns, write, written
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.reading import quote_identifier, reading_errors, table_expression
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

# Classes of SQLGlot for functions that say something else each time.
CHANGING = ("Current", "Local", "Utc", "Sys", "Session", "Rand", "Uuid", "Next", "Seq", "Gen", "AI")
Rows = tuple[Sequence[str], Sequence[Sequence[Any]]]  # names of the columns, and the rows


@dataclass(frozen=True)
class Engine(Batch):
    """A connection to the rows of one dataset.

    Attributes:
        source: the table with the dataset's rows.
        run: runs a statement.
        create: makes a table of another dataset's files; None where datasets are tables already.
        find: whether the engine itself has a table of that name.
        queries: of the suite, in the engine's dialect, and what a statement calls each.
        reads: the other datasets whose files the suite reads, and digests of their content.
        changing: what it reads that may change at any time: a clock, a table, a function.
    """

    dataset: Dataset
    source: str
    run: Callable[[str], Rows]
    create: Callable[[Dataset], object] | None
    find: Callable[[str], bool]
    queries: dict[str, str] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)
    changing: set[str] = field(default_factory=set)

    def fetch(self, statement: str) -> Rows:
        """The result of a statement of DuckDB's SQL, in which the table `batch` is the dataset."""
        columns = normalized_columns(self.types, self.dialect)
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
        other, names = Dataset(self.dataset.project, name), dataset_names(self.dataset.project)
        if self.create and name in names and other.is_built:
            self.reads[name] = other.content
            self.create(other)
            return quote_identifier(name)
        if self.find(name):
            self.changing.add(name)
            return quote_identifier(name)
        if name in names:
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
        self.changing.update(n.sql(self.dialect) for n in query.walk() if may_change(n))
        own = {BATCH, *(cte.alias.lower() for cte in query.find_all(exp.CTE))}
        for table in list(query.find_all(exp.Table)):
            other = isinstance(table.this, exp.Identifier) and table.name.lower() not in own
            if other and not table.db:
                alias = exp.to_identifier(table.alias_or_name, quoted=True)
                # The dataset itself is the batch.
                table.set("this", exp.to_table(self.table(table.name), dialect="duckdb").this)
                table.set("alias", exp.TableAlias(this=alias))
        statement = write(query, self.dialect)
        return self.queries.setdefault(statement, f"dslp_query{len(self.queries)}_")


def may_change(node: exp.Expr) -> bool:
    """Whether a part of a query may say something else at another time, of the same rows.

    So may a clock, a random number, a function that SQLGlot does not know, and a table that is
    not a dataset of the project.
    """
    table = isinstance(node, exp.Table) and (node.db or not isinstance(node.this, exp.Identifier))
    unknown = isinstance(node, exp.Anonymous | exp.TableSample)
    return unknown or bool(table) or type(node).__name__.startswith(CHANGING)


def as_type(name: str, dialect: str) -> exp.DataType:
    """A type by its name in a dialect; one that SQLGlot does not know is of the family `other`."""
    return exp.DataType.build(name, dialect=dialect, udt=True)


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
        connection.execute("SET TimeZone = 'UTC'")

        def create(each: Dataset) -> dict[str, exp.DataType]:
            with reading_errors(each):
                # A view reads the columns that are needed; CSV is read once, into a table.
                kind = "TABLE" if each.built.suffix == ".csv" else "VIEW"
                name, rows = quote_identifier(each.name), table_expression(each)
                described = connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
                types = {name: as_type(kind, "duckdb") for name, kind, *_ in described}
                columns = ["*"] if each == dataset else normalized_columns(types, "duckdb")
                select = f"SELECT {', '.join(columns)} FROM {rows}"
                connection.execute(f"CREATE OR REPLACE {kind} {name} AS {select}")
            return types

        def run(statement: str) -> Rows:
            with reading_errors(dataset):
                try:
                    result = connection.execute(statement)
                except (duckdb.BinderException, duckdb.CatalogException) as error:  # of a query
                    raise DslpError(error_line(error, 160)) from None
                return [each[0] for each in result.description or ()], result.fetchall()

        types = create(dataset)
        yield Engine(types, "duckdb", dataset, dataset.name, run, create, lambda _: False)
