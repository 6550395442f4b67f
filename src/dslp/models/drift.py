"""How far a column has moved: the population stability index of new values (M9).

With the share e of the reference and the share a of the new values in each bin, the index is
Σ (a - e) ln(a / e): below 0.1 little has changed, from 0.25 on much has (N. Siddiqi, Credit Risk
Scorecards, Wiley 2006, ch. 9; its distribution: B. Yurdakul, Statistical Properties of Population
Stability Index, 2018).
The bins are the reference's deciles, or its most common values; a missing value is a bin too.
"""

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

BINS = 10
FEW = 10  # rows that a value of text must have for a bin of its own
VALUES = 30  # of a column of text that have a bin of their own; all others share one


class Bins(TypedDict):
    """The bins of a reference column, and how many of its values are in each.

    Numbers have `edges`, the upper ends of all bins but the last; a time is a number of seconds.
    Text has `values`, and after them a bin for all others. The last bin is for missing values.
    """

    kind: Literal["number", "time", "text"]
    edges: list[float]
    values: list[str]
    counts: list[int]


def reference_bins(column: "pd.Series[Any]") -> Bins:
    """The bins of a reference column."""
    import numpy as np
    from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

    bins: Bins = {"kind": "text", "edges": [], "values": [], "counts": []}
    if is_datetime64_any_dtype(column):
        bins["kind"] = "time"
    elif is_numeric_dtype(column) and not is_bool_dtype(column):
        bins["kind"] = "number"
    values = plain_values(column, bins["kind"])
    if bins["kind"] == "text":
        common = values.dropna().value_counts()
        often = sorted(common[common >= FEW].index, key=lambda text: (-common[text], text))
        bins["values"] = often[:VALUES]
    else:
        edges = np.unique(values.dropna())[:-1]
        if len(edges) >= BINS:
            shares = np.arange(1, BINS) / BINS
            edges = np.unique(np.quantile(values.dropna(), shares, method="lower"))
        bins["edges"] = edges.tolist()
    bins["counts"] = count_values(column, bins).tolist()
    return bins


def plain_values(column: "pd.Series[Any]", kind: str) -> "pd.Series[Any]":
    """The column as numbers or text, whatever its type; a value that is neither is missing."""
    import pandas as pd

    if kind == "time":
        moments = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
        return (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(1, "s")
    if kind == "number":
        numbers = pd.api.types.is_numeric_dtype(column)  # to_numeric fails on decimals with nulls
        return (column if numbers else pd.to_numeric(column, errors="coerce")).astype("float64")
    text = column.map(lambda value: str(value).lower() if isinstance(value, bool) else value)
    return text.map(str, na_action="ignore").astype("object")


def count_values(column: "pd.Series[Any]", bins: Bins) -> "NDArray[np.int64]":
    """How many values of a column are in each bin."""
    import numpy as np
    import pandas as pd

    present = plain_values(column, bins["kind"]).dropna()
    if bins["kind"] == "text":
        places = pd.Index(bins["values"]).get_indexer(pd.Index(present, dtype="object"))
        places = np.where(places < 0, len(bins["values"]), places)
    else:
        places = np.searchsorted(bins["edges"], present.to_numpy(), side="left")
    size = len(bins["values"] or bins["edges"]) + 1
    return np.append(np.bincount(places, minlength=size), len(column) - len(present))


def stability(expected: "NDArray[np.int64]", actual: "NDArray[np.int64]") -> float:
    """The index of two counts in the same bins; half a value is added to each to keep it finite."""
    import numpy as np

    used = (expected + actual) > 0
    before, after = expected[used] + 0.5, actual[used] + 0.5
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def bin_names(bins: Bins) -> list[str]:
    """The bins in words."""
    if bins["kind"] == "text":
        return [*bins["values"], "other", "missing"]
    edges = [_format_edge(edge, bins["kind"]) for edge in bins["edges"]]
    last = f"over {edges[-1]}" if edges else "any"
    return [*(f"to {edge}" for edge in edges), last, "missing"]


def _format_edge(edge: float, kind: str) -> str:
    import pandas as pd

    return f"{pd.Timestamp(edge, unit='s'):%Y-%m-%d}" if kind == "time" else f"{edge:.4g}"
