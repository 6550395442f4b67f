"""Great Expectations' SQL engine, but duplicates are counted by groups.

That takes a third of the time of its windows, and finds duplicates of several columns of which one
is null, which its join loses. Only `duckdb_engine` and `sql_tables` import this module.
"""

from typing import Any

import sqlalchemy as sa
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.metrics import ColumnValuesUnique, CompoundColumnsUnique
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value
from great_expectations.util import get_sqlalchemy_selectable


class SqlEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
    """The SQL engine by another name, by which Great Expectations finds the metrics below."""


def use_sql_engine(source: Any) -> Any:
    """Give a data source this engine in place of its own, for which it takes no other class."""
    engine = source.get_execution_engine()
    engine.__class__ = SqlEngine
    return engine


class Duplicates(MetricProvider):  # type: ignore[misc]
    """How many rows have a value that another has."""

    metric_name = "column_values.unique.unexpected_count"
    domain_keys = ColumnValuesUnique.condition_domain_keys
    value_keys = ColumnValuesUnique.condition_value_keys

    @metric_value(engine=SqlEngine)  # type: ignore[untyped-decorator]
    def _count(cls, execution_engine: Any, metric_domain_kwargs: Any, **_: Any) -> int:  # noqa: N805
        domain = metric_domain_kwargs
        names = domain.get("column_list") or [domain["column"]]
        columns: list[Any] = [sa.column(name) for name in names]
        rows = get_sqlalchemy_selectable(execution_engine.get_domain_records(domain))
        groups = sa.select(sa.func.count().label("rows")).select_from(rows).group_by(*columns)
        if "column" in domain:
            groups = groups.where(columns[0].is_not(None))
        many = groups.having(sa.func.count() > 1).subquery()
        total = sa.select(sa.func.coalesce(sa.func.sum(many.c.rows), 0))
        return int(execution_engine.execute_query(total).scalar())


class CompoundDuplicates(Duplicates):
    """The same of several columns together."""

    metric_name = "compound_columns.unique.unexpected_count"
    domain_keys = CompoundColumnsUnique.condition_domain_keys
    value_keys = CompoundColumnsUnique.condition_value_keys
