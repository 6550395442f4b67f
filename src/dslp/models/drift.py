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
above it. Missing values have a bin. Of text that has many values, the common ones have a bin each,
the rarer ones share one, and so do values that training did not have; if less than half of it has a
common value, its lengths are compared too.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict
from zlib import crc32

import numpy as np
import pandas as pd
from dslp.core.text import format_share
from dslp.experiments.params import Split
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_numeric_dtype
from scipy.special import rel_entr

BINS = 10  # of a range, and values of a column of numbers that have a bin each
FEW = 10  # rows that a value must have for a bin of its own
VALUES = 30  # of a column of text that have a bin of their own
RARER = 1_000  # other values of text that are known to occur, by their hashes
TIMES = ("datetime64", "datetime", "date")  # by what pandas infers, as are NUMBERS
NUMBERS = ("integer", "floating", "decimal", "mixed-integer-float")
CHANCE = "more than the limit, but chance alone may explain it"
NOISE = "there are too few independent rows to tell a change as large as the limit from chance"
ALARMS = 0.01  # the share of reports that may say "moved" where nothing has


class Bins(TypedDict):
    """The bins of a reference column, and how many of its values are in each.

    The kind is number, time (in seconds), text, or length (of text, in letters). With `edges`, the
    first bin is below the first of them, the others end at one each, and one more is above the
    last. Without, each of `values` is a bin, values whose hash is in `rarer` share one if there are
    any, and all others share the next. The last bin is for missing values. `lengths` are the bins
    of the lengths of text that has few common values.
    """

    kind: str
    edges: list[float]
    values: list[Any]
    rarer: list[int]
    counts: list[int]
    lengths: "Bins | None"


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


def reference_bins(
    column: "pd.Series[Any]", personal: bool = False, units: "pd.Series[Any] | None" = None
) -> Bins:
    """The bins of a reference column.

    The values of text that has many are chosen on one half of the units and counted on the other:
    among all new rows, values that are common by chance would be rarer, and unseen ones occur.

    Args:
        column: the reference.
        personal: whether no bin may end at, or be known by the hash of, the value of fewer than
            ten rows.
        units: the group or the moment of each row, which stays in one half.
    """
    inferred = infer_dtype(column, skipna=True)
    kind = "time" if inferred in TIMES else "number" if inferred in NUMBERS else "text"
    distinct, counts = np.unique(plain_values(column, kind), return_counts=True)
    least, most = FEW if personal else 1, {"text": VALUES, "number": BINS, "time": 0}[kind]
    if len(distinct) <= most and counts.min(initial=FEW) >= FEW:
        return _count_reference(kind, column, values=distinct.tolist())
    if kind != "text":
        return _count_reference(kind, column, edges=_tenths(plain_values(column, kind), least))
    codes = np.arange(len(column)) if units is None else pd.factorize(units)[0]
    half = np.random.default_rng(71_993).random(len(column) + 1)[codes] < 0.5
    distinct, counts = np.unique(plain_values(column[half], kind), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    common = order[: min(VALUES, np.sum(counts >= FEW))]
    rarer = order[len(common) : min(len(common) + RARER, np.sum(counts >= least))]
    hashes, lengths = sorted(set(_hashes(distinct[rarer]))), None
    if 2 * counts[common].sum() < counts.sum() or not len(counts):
        ends = _tenths(plain_values(column, "length"), least)
        lengths = _count_reference("length", column, edges=ends)
    values = distinct[common].tolist()
    return _count_reference(kind, column[~half], values=values, rarer=hashes, lengths=lengths)


def _count_reference(kind: str, column: "pd.Series[Any]", **parts: Any) -> Bins:
    empty = Bins(kind=kind, edges=[], values=[], rarer=[], counts=[], lengths=None)
    bins: Bins = {**empty, **parts}  # type: ignore[typeddict-item]
    return {**bins, "counts": count_values(column, bins).tolist()}


def _hashes(texts: NDArray[Any]) -> list[int]:
    return [crc32(text.encode("utf-8", "surrogatepass")) for text in texts]


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
    goes_on: bool = False,
) -> Iterator[Signal]:
    """Compare a column that is not empty with the reference.

    Values that training did not have are compared with all others as well: many bins would hide
    them. There are up to four tests of chance then, with those of lengths and of missing values.

    Args:
        source: of the column.
        subject: its name.
        bins: of the reference.
        column: the new values.
        limits: of the index, and of the difference in the share of missing values.
        comparisons: how many columns are compared in the report.
        sizes: how many rows count as one, in the reference and in the column (`rows_per_unit`).
        goes_on: whether new values are expected, as it is of time; they are not compared.
    """
    counts = np.array(bins["counts"]), count_values(column, bins)
    before, after = (side / max(side.sum(), 1) for side in counts)
    # Rounded sums keep the number of units, which many rounded parts do not.
    expected, actual = (
        np.diff(np.rint(np.cumsum(n) / size).astype(int), prepend=0)
        for n, size in zip(counts, sizes, strict=True)
    )
    names, most = bin_names(bins), int(np.argmax(np.abs(after - before)))
    measure, unknown = "drift of lengths" if bins["kind"] == "length" else "drift", ""
    if goes_on and after[-2]:
        unknown = "time has gone on, which is not judged"
        expected[-2] = actual[-2] = 0
    elif bins["lengths"] and before[-2] > 1 / 2:
        unknown = "most of this text is new in each row, so its values are hardly comparable"
    elif len(names) == 2 and before[0]:
        unknown = "the training data has too few values to compare with"
    unseen, missing = (
        [np.array([n.sum() - n[place], n[place]]) for n in (expected, actual)] for place in (-2, -1)
    )
    views = [[expected, actual], unseen]
    fixed, indices = bool(bins["edges"]), [excess_stability(one, two) for one, two in views]
    moved = any(
        index > limits[0] and is_beyond_chance(one, two, 4 * comparisons, fixed)
        for index, (one, two) in zip(indices, views, strict=True)
    )
    noise = NOISE if max(chance_stability(expected, actual)) > limits[0] else ""
    unknown = unknown or (CHANCE if max(indices) > limits[0] else noise)
    texts = format_share(before[most], 1), format_share(after[most], 1)
    change = f"{names[most]}: {texts[0]} in training, {texts[1]} now"
    notes = [change if texts[0] != texts[1] else "", "" if moved else unknown]
    shares = tuple(zip(names, before.tolist(), after.tolist(), strict=True))
    figures, note = (f"{max(indices):.3f}", f"{limits[0]:g}"), "; ".join(filter(None, notes))
    state = moved or (None if unknown else False)
    yield Signal(source, subject, measure, *figures, state, note, shares)
    if bins["lengths"]:
        lengths, limit = bins["lengths"], (limits[0], 1)
        yield from compare(source, subject, lengths, column, limit, comparisons, sizes)
    if abs(after[-1] - before[-1]) > limits[1]:
        moved = is_beyond_chance(missing[0], missing[1], 4 * comparisons)
        missed = [format_share(part[-1], 1) for part in (before, after)]
        figures = ", now ".join(missed), f"± {format_share(limits[1], 1)}"
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
        other = places < 0
        unseen = ~np.isin(_hashes(values[other]), bins["rarer"]) if bins["rarer"] else 0
        places[other] = len(bins["values"]) + unseen
    size = len(bins["edges"] or bins["values"]) + bool(bins["rarer"]) + 1
    return np.append(np.bincount(places, minlength=size), len(column) - len(values))


def stability(expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.float64]:
    """The index of counts in the same bins, which are along the last axis.

    Half a value is added to each bin that is not empty in both, which keeps the index finite.
    """
    used = (expected + actual) > 0
    before, after = (np.where(used, counts + 0.5, 0) for counts in (expected, actual))
    before, after = (
        side / np.maximum(side.sum(axis=-1, keepdims=True), 0.5) for side in (before, after)
    )
    index: NDArray[np.float64] = (rel_entr(after, before) + rel_entr(before, after)).sum(axis=-1)
    return index


def chance_stability(expected: NDArray[Any], actual: NDArray[Any]) -> tuple[float, float]:
    """The mean of the index where nothing has changed, and two of its standard deviations."""
    degrees = max(1, int(((expected + actual) > 0).sum()) - 1)
    scale = 1 / max(expected.sum(), 1) + 1 / max(actual.sum(), 1)
    return degrees * scale, math.sqrt(8 * degrees) * scale


def excess_stability(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """The index less its mean where nothing has changed; 0 where it is less than that."""
    mean, _ = chance_stability(expected, actual)
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
        if reached > 1:  # of these draws, at most one may
            return False
    return True


def rows_per_unit(rows: pd.DataFrame, split: Split, default: float = 1) -> float:
    """How many rows count as one where the rows of a group, or of a moment, may all be alike.

    This is the largest design effect that groups of these sizes can have (L. Kish, Survey Sampling,
    1965). Of moments, blocks that follow one another count as one. `default` is taken where the
    column of the split is missing.
    """
    if split.by is None:
        return 1
    if split.by not in rows:
        return default
    sizes = rows[split.by].value_counts(dropna=False)
    block = math.ceil(len(sizes) ** (1 / 3)) if split.policy == "time" else 1
    return float(block * (sizes**2).sum() / max(len(rows), 1))


def bin_names(bins: Bins) -> list[str]:
    """The bins in words."""
    if not bins["edges"]:
        rest = ["rarer values", "new values"] if bins["rarer"] else ["other"]
        return [*map(str, bins["values"]), *rest, "missing"]
    formats = [f".{digits}g" for digits in range(4, 18)]
    ends: list[Any] = list(bins["edges"])
    if bins["kind"] == "time":
        formats = ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S.%f"]
        ends = [pd.Timestamp(round(end * 1e6), unit="us") for end in ends]
    texts = [[format(end, shape) for end in ends] for shape in formats]
    names = next((text for text in texts if len(set(text)) == len(set(ends))), texts[-1])
    ranges = [one if one == two else f"{one} to {two}" for one, two in pairwise(names)]
    return [f"below {names[0]}", *ranges, f"over {names[-1]}", "missing"]
