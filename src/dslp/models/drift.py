"""How far a column has moved: the population stability index of new values (M9).

With the share e of the reference and the share a of the new values in each bin, the index is
Σ (a - e) ln(a / e): below 0.1 little has changed, from 0.25 on much has (N. Siddiqi, Credit Risk
Scorecards, Wiley 2006, ch. 9). Where nothing has changed, the index of B bins, n reference and m
new values is about (1/n + 1/m) times a chi-square of B - 1 degrees of freedom (B. Yurdakul and
J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model
Validation 14(4), 2020): its mean is subtracted. Whether chance explains an index is asked of a
permutation test (P. Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005), which
is right for few values too.

Bins are the values of a column that has few, or the tenths of its range with a bin below it and one
above it. A value that is not common, and a missing value, have a bin each. Of text without common
values, the lengths are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from dslp.experiments.params import Split
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_numeric_dtype
from scipy.special import rel_entr

BINS = 10  # of a range, and values of a column of numbers that have a bin each
FEW = 10  # rows that a value must have for a bin of its own
VALUES = 30  # of a column of text that have a bin of their own; all others share one
TIMES = ("datetime64", "datetime", "date")  # by what pandas infers, as are NUMBERS
NUMBERS = ("integer", "floating", "decimal", "mixed-integer-float")
LATER = 0.01  # share of new times after the last one in training, from which time has gone on
CHANCE = "more than the limit, but chance alone may explain it"
ALARMS = 0.01  # the share of reports that may say "moved" where nothing has


class Bins(TypedDict):
    """The bins of a reference column, and how many of its values are in each.

    The kind is number, time (in seconds), text, or length (of text, in letters). With `edges`, the
    first bin is below the first of them, the others end at one each, and one more is above the
    last. Without, each of `values` is a bin, and after them all others. The last bin is for missing
    values.
    """

    kind: str
    edges: list[float]
    values: list[Any]
    counts: list[int]


@dataclass(frozen=True)
class Signal:
    """One comparison of new rows with what was recorded of the training.

    Attributes:
        source: where the rows come from.
        subject: a feature, a prediction, a metric, or columns of the suite.
        measure: what was measured.
        figure: the measured value.
        threshold: of the figure.
        moved: whether the figure is beyond the threshold, and chance does not explain that; None
            where it is not known.
        note: an explanation.
        shares: of each bin, its name and its shares in training and in the new rows.
    """

    source: str
    subject: str
    measure: str
    figure: str
    threshold: str
    moved: bool | None
    note: str = ""
    shares: tuple[tuple[str, float, float], ...] = ()

    @property
    def status(self) -> str:
        """Whether it moved, in words."""
        return "not known" if self.moved is None else "moved" if self.moved else "holds"


def reference_bins(column: "pd.Series[Any]", personal: bool = False) -> Bins:
    """The bins of a reference column; of personal data, no end of a range is one person's value.

    Common values are chosen on one half of the rows and counted on the other where not all are
    common: values that are common by chance would else be rarer among all new rows.
    """
    inferred, counted, values = infer_dtype(column, skipna=True), column, np.array([])
    kind = "time" if inferred in TIMES else "number" if inferred in NUMBERS else "text"
    distinct, counts = np.unique(plain_values(column, kind), return_counts=True)
    most = {"text": VALUES, "number": BINS, "time": 0}[kind]
    if len(distinct) <= most and counts.min(initial=FEW) >= FEW:
        values = distinct
    elif kind == "text":
        half = np.random.default_rng(71_993).random(len(column)) < 0.5
        distinct, counts = np.unique(plain_values(column[half], kind), return_counts=True)
        common = np.argsort(-counts, kind="stable")[: np.sum(counts >= FEW / 2)][:VALUES]
        if 2 * counts[common].sum() >= counts.sum():
            counted, values = column[~half], distinct[common]
        else:
            kind = "length"
    ends = [] if len(values) else _tenths(plain_values(column, kind), FEW if personal else 1)
    bins: Bins = {"kind": kind, "edges": ends, "values": values.tolist(), "counts": []}
    return {**bins, "counts": count_values(counted, bins).tolist()}


def _tenths(values: NDArray[Any], outside: int) -> list[float]:
    """The ends of the tenths; fewer than `outside` values are below them, and above them."""
    finite = np.sort(values[np.isfinite(values.astype(float))])
    if len(finite) < 2 * outside:
        return []
    ranks = np.ceil(len(finite) * np.arange(1, BINS + 1) / BINS).astype(int) - 1
    inner = finite[np.clip(ranks, outside - 1, len(finite) - outside)]
    ends: list[float] = [finite[outside - 1].item(), *np.unique(inner).tolist()]
    return ends


def compare(
    source: str,
    subject: str,
    bins: Bins,
    column: "pd.Series[Any]",
    limits: tuple[float, float],
    comparisons: int,
    sizes: tuple[float, float] = (1, 1),
) -> Iterator[Signal]:
    """Compare a column that is not empty with the reference.

    Args:
        source: of the column.
        subject: its name.
        bins: of the reference.
        column: the new values.
        limits: of the index, and of the difference in the share of missing values.
        comparisons: how many columns are compared in the report.
        sizes: how many rows count as one, in the reference and in the column (`rows_per_unit`).
    """
    counts = np.array(bins["counts"]), count_values(column, bins)
    before, after = (side / side.sum() for side in counts)
    expected, actual = (
        np.rint(n / size).astype(int) for n, size in zip(counts, sizes, strict=True)
    )
    gaps = [np.array([side[:-1].sum(), side[-1]]) for side in (expected, actual)]
    names, most = bin_names(bins), int(np.argmax(np.abs(after - before)))
    note = f"{names[most]}: {before[most]:.1%} in training, {after[most]:.1%} now"
    measure, unknown, moved = "drift", "", False
    if bins["kind"] == "length":
        measure, unknown = "drift of lengths", "no text is common, so only lengths are compared"
    elif bins["kind"] == "time" and after[-2] > LATER:
        measure, unknown = "drift to earlier", "time has gone on, which is not judged"
        expected, actual = (np.array([n[0], n[1:-1].sum(), n[-1]]) for n in (expected, actual))
    elif len(names) == 2 and before[0]:
        unknown = "the training data has too few values to compare with"
    if (index := excess_stability(expected, actual)) > limits[0]:
        moved, unknown = (
            is_beyond_chance(expected, actual, 2 * comparisons, bool(bins["edges"])),
            CHANCE,
        )
    state, note = moved or (None if unknown else False), note if moved else f"{note}; {unknown}"
    shares = tuple(zip(names, before.tolist(), after.tolist(), strict=True))
    figures = f"{index:.3f}", f"{limits[0]:g}"
    yield Signal(source, subject, measure, *figures, state, note.removesuffix("; "), shares)
    if abs(after[-1] - before[-1]) > limits[1]:
        moved = is_beyond_chance(gaps[0], gaps[1], 2 * comparisons)
        figures = f"{before[-1]:.1%}, now {after[-1]:.1%}", f"± {limits[1]:.1%}"
        yield Signal(source, subject, "missing", *figures, moved or None, "" if moved else CHANCE)


def plain_values(column: "pd.Series[Any]", kind: str) -> NDArray[Any]:
    """The values that are not missing, as numbers or text, whatever the column's type.

    A value that is no number, or no time, is missing where the reference has these.
    """
    if kind == "time":
        moments = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601").dropna()
        return moments.dt.as_unit("us").astype("int64").to_numpy() / 1e6
    if kind == "number":
        numeric = is_numeric_dtype(column)  # to_numeric fails on decimals with nulls
        numbers = (column if numeric else pd.to_numeric(column, errors="coerce")).dropna()
        # Integers stay exact beyond 2⁵³.
        values = numbers.to_numpy("int64" if numbers.dtype.kind == "i" else "float64")
        present: NDArray[Any] = values[~np.isnan(values)]
        return present
    objects = column.dropna().astype("object")
    text = objects.map(lambda one: str(one).lower() if isinstance(one, bool) else str(one))
    return (text.str.len() if kind == "length" else text).to_numpy()


def count_values(column: "pd.Series[Any]", bins: Bins) -> NDArray[np.int64]:
    """How many values of a column are in each bin."""
    values, ends = plain_values(column, bins["kind"]), np.array(bins["edges"])
    if len(ends):
        places = np.maximum(np.searchsorted(ends, values, side="left"), values >= ends[0])
    else:
        places = pd.Index(bins["values"]).get_indexer(pd.Index(values))
        places = np.where(places < 0, len(bins["values"]), places)
    size = len(bins["edges"] or bins["values"]) + 1
    return np.append(np.bincount(places, minlength=size), len(column) - len(values))


def stability(expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.float64]:
    """The index of counts in the same bins, which are along the last axis.

    Half a value is added to each bin that is not empty in both, which keeps the index finite.
    """
    used = (expected + actual) > 0
    before, after = (np.where(used, counts + 0.5, 0) for counts in (expected, actual))
    before, after = (side / side.sum(axis=-1, keepdims=True) for side in (before, after))
    index: NDArray[np.float64] = (rel_entr(after, before) + rel_entr(before, after)).sum(axis=-1)
    return index


def excess_stability(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """The index less its mean where nothing has changed; 0 where it is less than that."""
    degrees = ((expected + actual) > 0).sum() - 1
    mean = degrees * (1 / max(expected.sum(), 1) + 1 / max(actual.sum(), 1))
    return max(0.0, float(stability(expected, actual) - mean))


def is_beyond_chance(
    expected: NDArray[Any], actual: NDArray[Any], comparisons: int, fixed: bool = False
) -> bool:
    """Whether chance does not explain the index, in a report that has so many comparisons.

    The new values are drawn by chance as if nothing had changed, again and again. An index that is
    reached so seldom that at most one of 100 reports without a change has such a one (Bonferroni)
    is beyond chance. Rows count as independent.

    Where the bins end at values of the reference, its counts are `fixed`, and the share of new
    values in each is Dirichlet-distributed (S. Wilks, Mathematical Statistics, 1962, section 8.7).
    """
    random, total, reached = np.random.default_rng(0), expected + actual, 0
    draws = round(2 * comparisons / ALARMS)  # twice as many as the smallest share needs
    for first in range(0, draws, 10_000):
        size, before = min(10_000, draws - first), expected
        if fixed:
            shares = random.dirichlet(np.maximum(expected, 1), size)
            after = random.multinomial(actual.sum(), shares)
        else:
            after = random.multivariate_hypergeometric(total, actual.sum(), size)
            before = total - after
        reached += int(np.sum(stability(before, after) >= stability(expected, actual)))
    return (1 + reached) / (1 + draws) < ALARMS / comparisons


def rows_per_unit(rows: pd.DataFrame, split: Split, default: float = 1) -> float:
    """How many rows count as one where the rows of a group may all be alike.

    This is the largest design effect that groups of these sizes can have (L. Kish, Survey Sampling,
    1965). `default` is taken where the column of the group is missing.
    """
    if split.policy != "group":
        return 1
    if split.by not in rows:
        return default
    sizes = rows[split.by].value_counts(dropna=False)
    return float((sizes**2).sum() / max(len(rows), 1))


def bin_names(bins: Bins) -> list[str]:
    """The bins in words."""
    if not bins["edges"]:
        return [*map(str, bins["values"]), "other", "missing"]
    formats = [f".{digits}g" for digits in range(4, 18)]
    ends: list[Any] = list(bins["edges"])
    if bins["kind"] == "time":
        formats = ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S.%f"]
        ends = [pd.Timestamp(round(end * 1e6), unit="us") for end in ends]
    texts = [[format(end, shape) for end in ends] for shape in formats]
    names = next((text for text in texts if len(set(text)) == len(set(ends))), texts[-1])
    ranges = [one if one == two else f"{one} to {two}" for one, two in pairwise(names)]
    return [f"below {names[0]}", *ranges, f"over {names[-1]}", "missing"]
