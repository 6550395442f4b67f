"""Great Expectations' pandas engine, but sums and quantiles are what SQL and Spark call so."""

import math
from typing import Any

from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.metrics import ColumnQuantileValues, ColumnSum
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    column_aggregate_value,
)


class PandasEngine(PandasExecutionEngine):  # type: ignore[misc]
    """The pandas engine by another name, by which Great Expectations finds the metrics below."""


class Quantiles(ColumnQuantileValues):  # type: ignore[misc]
    """The first value that so large a part of the values does not exceed: `percentile_disc`."""

    @column_aggregate_value(engine=PandasEngine)  # type: ignore[untyped-decorator]
    def _discrete(cls, column: Any, quantiles: list[float], **_: Any) -> list[Any]:  # noqa: N805
        values = column.dropna().sort_values().tolist()
        places = [max(math.ceil(each * len(values)) - 1, 0) for each in quantiles]
        return [values[place] for place in places] if values else [None] * len(places)


class Sum(ColumnSum):  # type: ignore[misc]
    """The sum of the values; none of no values."""

    @column_aggregate_value(engine=PandasEngine)  # type: ignore[untyped-decorator]
    def _of_some(cls, column: Any, **_: Any) -> Any:  # noqa: N805
        return column.sum() if column.notna().any() else None
