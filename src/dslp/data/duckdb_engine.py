"""DuckDB as a SQLAlchemy dialect for Great Expectations: suites run out of core on Parquet files.

Great Expectations has no DuckDB engine yet (one is proposed upstream), and the published dialects
fail under it, since it fetches a result after the connection was handed back. The day a library
serves, this module can go: nothing but `engines.py` knows it.
"""

from typing import Any

import duckdb
from dslp.data.sql_engine import use_sql_engine
from sqlalchemy import pool
from sqlalchemy.dialects import postgresql, registry
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect, PGIdentifierPreparer
from sqlalchemy.types import NullType


def source(context: Any, name: str, database: str) -> Any:
    """A data source of Great Expectations on this database."""
    registry.register("duckdb", __name__, "Dialect")
    data_source = context.data_sources.add_sql(
        name, connection_string=f"duckdb:///{database}", create_temp_table=False
    )
    use_sql_engine(data_source).dialect_module = postgresql
    return data_source


class Connection:
    """A connection whose statements have a cursor each and nothing to commit or roll back."""

    def __init__(self, database: str) -> None:
        self._connection = duckdb.connect(database)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own, which outlives the statement until its result is fetched."""
        return self._connection.cursor()

    def commit(self) -> None:
        """Nothing to do: suites only read."""

    def rollback(self) -> None:
        """Nothing to do; a real one would discard results that are still to be fetched."""

    def close(self) -> None:
        """Close the database once nothing uses it any more."""
        self._connection.close()


class Compiler(PGCompiler):
    """PostgreSQL's SQL, but for the regular expression operator, which DuckDB matches whole."""

    def visit_custom_op_binary(self, element: Any, operator: Any, **kw: Any) -> str:  # noqa: D102
        if operator.opstring not in ("~", "!~"):
            base: Any = super()
            return str(base.visit_custom_op_binary(element, operator, **kw))
        left, right = self.process(element.left, **kw), self.process(element.right, **kw)
        matches = f"regexp_matches({left}, {right})"
        return matches if operator.opstring == "~" else f"NOT {matches}"


class Preparer(PGIdentifierPreparer):
    """Every name in quotes: DuckDB keeps other words for itself than PostgreSQL."""

    def _requires_quotes(self, value: str) -> bool:
        return True


class Dialect(PGDialect):
    """Enough of a dialect for Great Expectations to read tables and views."""

    name = "duckdb"
    driver = "duckdb"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    statement_compiler = Compiler
    preparer = Preparer

    @classmethod
    def import_dbapi(cls) -> Any:  # noqa: D102
        return duckdb

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:  # noqa: D102
        return pool.StaticPool

    def create_connect_args(self, url: Any) -> Any:  # noqa: D102
        return (url.database,), {}

    def connect(self, *arguments: Any, **_: Any) -> Any:  # noqa: D102
        return Connection(*arguments)

    def initialize(self, connection: Any) -> None:  # noqa: D102
        self.default_schema_name = "main"
        self.server_version_info = (15,)  # of PostgreSQL, whose SQL this is

    def on_connect(self) -> Any:  # noqa: D102
        return None

    def get_columns(self, connection: Any, table_name: str, schema: Any = None, **_: Any) -> Any:  # noqa: D102
        quoted = self.identifier_preparer.quote(table_name)
        return [
            {"name": name, "type": self._type(kind), "nullable": True, "default": None}
            for name, kind, *_ in connection.exec_driver_sql(f"DESCRIBE {quoted}")
        ]

    def _type(self, kind: str) -> Any:
        return self.ischema_names.get(kind.lower().split("(")[0], NullType)()

    def has_table(self, connection: Any, table_name: str, schema: Any = None, **_: Any) -> bool:  # noqa: D102
        return table_name in self.get_table_names(connection)

    def get_table_names(self, connection: Any, schema: Any = None, **_: Any) -> list[str]:  # noqa: D102
        query = "SELECT table_name FROM information_schema.tables"
        return [name for (name,) in connection.exec_driver_sql(query)]

    def get_view_names(self, connection: Any, schema: Any = None, **_: Any) -> list[str]:  # noqa: D102
        return []

    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:  # noqa: D102
        return ["main"]
