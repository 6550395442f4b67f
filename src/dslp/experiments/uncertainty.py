"""How sure a figure is that was measured on rows: the bootstrap, in units that are independent.

A sample is drawn with replacement. Where the split is by group, whole groups are drawn (the
cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section
3.8); where it is by time, blocks of moments that follow one another, of which there are about
n^(2/3) (the circular block bootstrap: Politis and Romano, 1992). The interval is the estimate and
t standard errors to each side, for which 200 samples suffice (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, section 6.4).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.experiments.model import Model
from dslp.experiments.params import Measure, Metric, Split, format_metric

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

DRAWS = 200  # samples
UNKNOWN = "not known"  # an interval


@dataclass(frozen=True)
class Gain:
    """How much better than the baseline: the estimate, and the ends of its 95 % interval.

    By `share`, they are shares of the baseline's metric; by `difference`, in the metric's unit.
    """

    estimate: float
    low: float
    high: float
    by: Measure = "share"

    def __str__(self) -> str:
        """The estimate for people, such as `+11.0%`."""
        return format_metric(self.estimate, self.by)

    @property
    def interval(self) -> str:
        """The interval for people, such as `+9.8% to +12.2%`."""
        return format_interval(self.low, self.high, partial(format_metric, by=self.by))


def format_interval(low: float, high: float, write: Callable[[float], str]) -> str:
    """An interval for people; one that is infinite is not known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNKNOWN
    return f"{write(low)} to {write(high)}"


@dataclass(frozen=True)
class Samples:
    """Bootstrap samples of rows: the positions of each, and how many independent units there are.

    With fewer than two units, nothing is known about how sure a figure is.
    """

    positions: "Sequence[NDArray[np.intp]]"
    units: int


@dataclass(frozen=True)
class Measured:
    """A metric of rows: its value, bootstrap draws, and how many units are independent.

    A draw is NaN where the metric is not defined for the sample.
    """

    value: float
    draws: "NDArray[np.float64]"
    units: int

    def __abs__(self) -> "Measured":
        return Measured(abs(self.value), abs(self.draws), self.units)

    def gain(self, reference: "Measured", metric: Metric, by: Measure = "share") -> Gain:
        """The gain over a reference, and its interval from the draws of both.

        Draw by draw, the two belong together if they are of the same rows; if not, they are
        independent. Fewer than half of the draws, or fewer than two units, tell nothing: the
        interval is infinite then.
        """
        import numpy as np
        from scipy.stats import t

        pairs = zip(self.draws.tolist(), reference.draws.tolist(), strict=True)
        gains = np.array([metric.improvement(one, two, by) for one, two in pairs])
        gains, units = gains[np.isfinite(gains)], min(self.units, reference.units)
        half = math.inf
        if units > 1 and len(gains) > len(self.draws) / 2:
            half = float(t.ppf(0.975, units - 1) * np.std(gains, ddof=1))
        gain = metric.improvement(self.value, reference.value, by)
        return Gain(gain, gain - half, gain + half, by)


def draw_samples(rows: "pd.DataFrame", split: Split) -> Samples:
    """Samples of rows by the policy of the split; every row is a unit where `split.by` is missing.

    Without the column, say to people that rows are taken as independent.
    """
    import numpy as np

    random, count = np.random.default_rng(split.seed), len(rows)
    if split.by is None or split.by not in rows:
        return Samples([random.integers(0, count, count) for _ in range(DRAWS)], count)
    codes = rows.groupby(split.by, dropna=False).ngroup().to_numpy()
    sizes = np.bincount(codes)
    parts = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
    length = math.ceil(len(parts) ** (1 / 3)) if split.policy == "time" else 1
    blocks = math.ceil(len(parts) / length)
    positions = []
    for _ in range(DRAWS):
        starts = random.integers(0, len(parts), (blocks, 1))
        drawn = ((starts + np.arange(length)) % len(parts)).ravel()[: len(parts)]
        positions.append(np.concatenate([parts[number] for number in drawn]))
    return Samples(positions, blocks)


def measure_all(
    model: Model, target: "pd.Series[Any]", predicted: "pd.DataFrame", samples: Samples
) -> dict[str, Measured]:
    """The metrics that have a direction, of the rows and of samples of them."""
    import numpy as np

    names, values = list(model.directions), model.evaluate(target, predicted)
    draws = np.full((len(samples.positions), len(names)), np.nan)
    for number, rows in enumerate(samples.positions):
        with suppress(DslpError):  # some metrics are not defined where a class is missing
            metrics = model.evaluate(target.iloc[rows], predicted.iloc[rows])
            draws[number] = [metrics[name] for name in names]
    return {
        name: Measured(values[name], column, samples.units)
        for name, column in zip(names, draws.T, strict=True)
    }


def measure(
    model: Model, rows: "pd.DataFrame", target: "pd.Series[Any]", predicted: "pd.DataFrame"
) -> Measured:
    """The Ask's metric of predictions of rows, whose columns say what is independent.

    Of the same rows, the samples are the same.
    """
    samples = draw_samples(rows, model.params.split)
    return measure_all(model, target, predicted, samples)[model.params.metric.name]
