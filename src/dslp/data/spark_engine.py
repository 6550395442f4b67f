"""Great Expectations' Spark engine, but a suite's figures are computed together, in one job.

Left to itself, it asks Spark once or more per expectation: by window functions for what is unique,
and with every row multiplied for each column whose distinct values are counted. Here each figure is
an aggregate over the rows, or over how often each key occurs, and all of them are one query. What
is no such figure, or fails, is left to Great Expectations. Only `spark.py` imports this module.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from great_expectations.constants import MAX_DISTINCT_VALUES
from great_expectations.core.id_dict import IDDict
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.util import convert_to_json_serializable
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as sql

UNIQUE = ("column_values.unique.unexpected_count", "compound_columns.unique.unexpected_count")
DISTINCT = "column.distinct_values"
KEY, TIMES = "key", "times"  # columns of a table that says how often each key occurs


class Figure(NamedTuple):
    """One figure of a suite.

    Attributes:
        rows: which rows it is about, as Great Expectations says it.
        keys: the columns that the rows are counted by; none for a figure about the rows themselves.
        aggregate: what is computed of them.
        finish: what makes Great Expectations' value of it.
        apart: whether it would slow down others that are computed with it.
    """

    rows: dict[str, Any]
    keys: Sequence[str]
    aggregate: Column
    finish: Callable[[Any], Any] = convert_to_json_serializable
    apart: bool = False


class Engine(SparkDFExecutionEngine):  # type: ignore[misc]
    """Resolves metrics as Great Expectations does, but those that read rows last and together."""

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark=spark, persist=False)
        self._left: set[Any] = set()  # metrics that turned out to be no figure

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[Any],
        metrics: dict[Any, Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> dict[Any, Any]:
        """Values of the metrics that can be resolved; the caller repeats the call for the rest.

        Figures wait until all other metrics are resolved, so that one query computes all of them.
        """
        values, figures, others = metrics or {}, {}, []
        for metric in metrics_to_resolve:
            figure = None if metric.id in self._left else self._figure(metric, values)
            if figure is None:
                others.append(metric)
            else:
                figures[metric] = figure
        if others or not figures:
            return dict(super().resolve_metrics(others, metrics, runtime_configuration))
        try:
            return self._computed({metric.id: figure for metric, figure in figures.items()})
        except Exception:  # it tells which one of them fails, and computes the others
            return dict(super().resolve_metrics(figures, metrics, runtime_configuration))

    def _figure(self, metric: Any, values: dict[Any, Any]) -> Figure | None:
        """How to compute a metric that reads rows; None for any other."""
        name = metric.metric_name
        parts = metric.metric_dependencies or {}
        condition = parts.get("unexpected_condition")
        aggregate = parts.get("metric_partial_fn")
        try:
            if name.startswith(DISTINCT):
                figure = _distinct(name, metric.metric_domain_kwargs, metric.metric_value_kwargs)
            elif aggregate is not None:
                column, rows, _ = values[aggregate.id]
                figure = Figure(rows, (), column)
            elif condition is not None:
                failing, rows, columns = values[condition.id]
                figure = _counted(name, failing, {**rows, **columns})
            else:
                figure = _ranked(name, metric.metric_domain_kwargs, metric.metric_value_kwargs)
            if figure is not None:
                self._table(figure).agg(figure.aggregate)  # does Spark understand it?
        except (PySparkException, KeyError):  # such as a condition with a window in it
            return None
        return figure

    def _computed(self, figures: dict[Any, Figure]) -> dict[Any, Any]:
        """Values of the figures: one row for each set of rows and keys, all in one query."""
        together: dict[Any, list[Any]] = defaultdict(list)
        names = {metric: f"figure{number}" for number, metric in enumerate(figures)}
        for metric, figure in figures.items():
            together[IDDict(figure.rows).to_id(), *figure.keys, figure.apart].append(metric)
        tables = []
        for group in together.values():
            columns = [figures[metric].aggregate.alias(names[metric]) for metric in group]
            tables.append(self._table(figures[group[0]]).agg(*columns))
        query = tables[0]
        for table in tables[1:]:
            query = query.unionByName(table, allowMissingColumns=True)
        collected = query.collect()
        values = {
            metric: figure.finish(_only_value(collected, names[metric]))
            for metric, figure in figures.items()
        }
        self._left |= {metric for metric, value in values.items() if value is NotImplemented}
        return {metric: value for metric, value in values.items() if metric not in self._left}

    def _table(self, figure: Figure) -> DataFrame:
        frame: DataFrame = self.get_domain_records(domain_kwargs=figure.rows)
        if not figure.keys:
            return frame
        keys = [sql.col(name).alias(f"{KEY}{number}") for number, name in enumerate(figure.keys)]
        frame = frame.select(*keys)
        if figure.apart:  # most occur once, so counting them before they are sent saves nothing
            frame = frame.repartition(*frame.columns)
        return frame.groupBy(*frame.columns).agg(sql.count(sql.lit(1)).alias(TIMES))


def _counted(name: str, failing: Column, rows: dict[str, Any]) -> Figure | None:
    """A number of rows: those that fail a condition, or all to which it applies."""
    if name in UNIQUE:
        repeated = sql.sum(sql.when(sql.col(TIMES) > 1, sql.col(TIMES)))
        keys = rows.get("column_list") or [rows["column"]]
        return Figure(rows, keys, sql.coalesce(repeated, sql.lit(0)), apart=True)
    if name.endswith(".unexpected_count"):
        return Figure(rows, (), sql.count_if(failing))
    if name.endswith(".filtered_row_count"):
        return Figure(rows, (), sql.count(sql.lit(1)))
    return None


def _distinct(name: str, rows: dict[str, Any], arguments: dict[str, Any]) -> Figure | None:
    """Something about the distinct values of a column, which nulls are none of."""
    key, keys = sql.col(f"{KEY}0"), [rows["column"]]
    rows = {part: value for part, value in rows.items() if part != "column"}
    value_set = arguments.get("value_set") or []
    inside = key.isin(value_set)
    if name == DISTINCT:
        return Figure(rows, keys, sql.collect_list(key), set)
    if name == f"{DISTINCT}.count":
        return Figure(rows, keys, sql.count(key))
    if name == f"{DISTINCT}.not_in_set.count":
        return Figure(rows, keys, sql.count_if(~inside) if value_set else sql.count(key))
    matches = sql.collect_list(sql.when(inside, key))
    if name == f"{DISTINCT}.missing_from_column.count":
        return Figure(rows, keys, sql.size(matches), lambda number: len(value_set) - number)
    limit = arguments.get("limit") or MAX_DISTINCT_VALUES
    if name == f"{DISTINCT}.missing_from_column":
        return Figure(
            rows,
            keys,
            matches,
            lambda some: [each for each in value_set if each not in some][:limit],
        )
    if (
        name == f"{DISTINCT}.not_in_set" and value_set
    ):  # they may be millions: listed here only if none
        return Figure(
            rows, keys, sql.count_if(~inside), lambda number: NotImplemented if number else []
        )
    return None


def _ranked(name: str, rows: dict[str, Any], arguments: dict[str, Any]) -> Figure | None:
    """Quantiles and the median, exact as on the other engines."""
    if name == "column.median":
        return Figure(rows, (), sql.median(sql.col(rows["column"])), apart=True)
    if name == "column.quantile_values" and not arguments.get("allow_relative_error"):
        column = f"`{rows['column'].replace('`', '``')}`"
        exact = "percentile_disc({}) WITHIN GROUP (ORDER BY {})"
        quantiles = [sql.expr(exact.format(float(each), column)) for each in arguments["quantiles"]]
        return Figure(rows, (), sql.array(*quantiles), apart=True)
    return None


def _only_value(rows: list[Row], name: str) -> Any:
    """The value of that column, which only one row has."""
    return next((row[name] for row in rows if row[name] is not None), None)
