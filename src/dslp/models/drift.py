"""How far a column has moved: the population stability index between then and now (M9).

With the share e of the reference and a of the new values in each bin, it is Σ (a - e) ln(a / e):
below 0.1 little has changed, from 0.25 on much has (N. Siddiqi, Credit Risk Scorecards, Wiley 2006,
ch. 9; its distribution: B. Yurdakul, Statistical Properties of Population Stability Index, 2018).
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
    """A column of the reference: its bins, and how many values are in each.

    Numbers have `edges`, the upper ends of all bins but the last; a time is a number of seconds.
    Text has `values`, and behind them a bin for all others. The last bin is the missing values'.
    """

    kind: Literal["number", "time", "text"]
    edges: list[float]
    values: list[str]
    counts: list[int]


def bins(column: "pd.Series[Any]") -> Bins:
    """The bins of a reference column."""
    import numpy as np
    from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

    made: Bins = {"kind": "text", "edges": [], "values": [], "counts": []}
    if is_datetime64_any_dtype(column):
        made["kind"] = "time"
    elif is_numeric_dtype(column) and not is_bool_dtype(column):
        made["kind"] = "number"
    found = plain_values(column, made["kind"])
    if made["kind"] == "text":
        common = found.dropna().value_counts()
        made["values"] = sorted(
            common[common >= FEW].index, key=lambda text: (-common[text], text)
        )[:VALUES]
    else:
        known = np.unique(found.dropna())
        if len(known) > BINS:
            shares = np.arange(1, BINS) / BINS
            known = np.unique(np.quantile(found.dropna(), shares, method="lower"))
        else:
            known = known[:-1]
        made["edges"] = known.tolist()
    made["counts"] = count_values(column, made).tolist()
    return made


def plain_values(column: "pd.Series[Any]", kind: str) -> "pd.Series[Any]":
    """The column as numbers or text, whatever type it was read as; what is neither is missing."""
    import pandas as pd

    if kind == "time":
        moments = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
        return (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(1, "s")
    if kind == "number":
        return pd.to_numeric(column, errors="coerce").astype("float64")
    named = {True: "true", False: "false"}  # as JSON has them
    told = column.map(lambda value: named.get(value, value) if isinstance(value, bool) else value)
    return told.map(str, na_action="ignore").astype("object")


def count_values(column: "pd.Series[Any]", into: Bins) -> "NDArray[np.int64]":
    """How many values of a column are in each bin."""
    import numpy as np
    import pandas as pd

    found = plain_values(column, into["kind"])
    there = found.dropna()
    if into["kind"] == "text":
        places = pd.Index(into["values"]).get_indexer(pd.Index(there, dtype="object"))
        places = np.where(places < 0, len(into["values"]), places)
        size = len(into["values"]) + 1
    else:
        places = np.searchsorted(into["edges"], there.to_numpy(), side="left")
        size = len(into["edges"]) + 1
    return np.append(np.bincount(places, minlength=size), len(found) - len(there))


def stability(expected: "NDArray[np.int64]", actual: "NDArray[np.int64]") -> float:
    """The index of two counts of the same bins; half a value more in each keeps it finite."""
    import numpy as np

    used = (expected + actual) > 0
    then, now = expected[used] + 0.5, actual[used] + 0.5
    then, now = then / then.sum(), now / now.sum()
    return float(((now - then) * np.log(now / then)).sum())


def bin_names(into: Bins) -> list[str]:
    """The bins in words."""
    if into["kind"] == "text":
        return [*into["values"], "other", "missing"]
    edges = [_shown(edge, into["kind"]) for edge in into["edges"]]
    if not edges:
        return ["any", "missing"]
    inner = [f"to {edge}" for edge in edges]
    return [*inner, f"over {edges[-1]}", "missing"]


def _shown(edge: float, kind: str) -> str:
    import pandas as pd

    return f"{pd.Timestamp(edge, unit='s'):%Y-%m-%d}" if kind == "time" else f"{edge:.4g}"
