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
        return "not known"
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
    """The Ask's metric of rows: its value, bootstrap draws, and how many units are independent."""

    value: float
    draws: "NDArray[np.float64]"
    units: int


def measure(
    model: Model, rows: "pd.DataFrame", target: "pd.Series[Any]", predicted: "pd.DataFrame"
) -> Measured:
    """The Ask's metric of predictions of rows, whose columns say what is independent."""
    samples = draw_samples(rows, model.params.split)
    value = model.evaluate(target, predicted)[model.params.metric.name]
    return Measured(value, metric_draws(model, target, predicted, samples), samples.units)


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


def sample_metrics(
    model: Model, target: "pd.Series[Any]", predicted: "pd.DataFrame", samples: Samples
) -> "pd.DataFrame":
    """The metrics that have a direction, a row for each sample; NaN where they are not defined."""
    import pandas as pd

    rows = list[dict[str, float]]()
    for positions in samples.positions:
        try:
            rows.append(model.evaluate(target.iloc[positions], predicted.iloc[positions]))
        except DslpError:  # some metrics are not defined where a class is missing
            rows.append({})
    return pd.DataFrame(rows, columns=list(model.directions), dtype=float)


def metric_draws(
    model: Model, target: "pd.Series[Any]", predicted: "pd.DataFrame", samples: Samples
) -> "NDArray[np.float64]":
    """The Ask's metric of each sample; NaN where it is not defined for one."""
    metrics = sample_metrics(model, target, predicted, samples)
    return metrics[model.params.metric.name].to_numpy()


def gain_of_draws(
    metric: Metric,
    value: float,
    reference: float,
    draws: "NDArray[np.float64]",
    references: "NDArray[np.float64]",
    units: int,
    by: Measure = "share",
) -> Gain:
    """The gain of a value over a reference, and its interval from the draws of both.

    Draw by draw, the two belong together if they are of the same rows; if not, they are
    independent. Fewer than half of the draws, or fewer than two units, tell nothing: the interval
    is infinite then.
    """
    import numpy as np
    from scipy.stats import t

    pairs = zip(draws.tolist(), references.tolist(), strict=True)
    gains = np.array([metric.improvement(one, two, by) for one, two in pairs])
    gains = gains[np.isfinite(gains)]
    half = math.inf
    if units > 1 and len(gains) > len(draws) / 2:
        half = float(t.ppf(0.975, units - 1) * np.std(gains, ddof=1))
    gain = metric.improvement(value, reference, by)
    return Gain(gain, gain - half, gain + half, by)


def paired_gain(
    model: Model,
    rows: "pd.DataFrame",
    predicted: "pd.DataFrame",
    reference: "pd.DataFrame",
    by: Measure = "share",
) -> Gain:
    """The gain of predictions over a reference's predictions of the same rows."""
    target, split = rows[model.params.target], model.params.split
    samples, metric = draw_samples(rows, split), model.params.metric
    value, its = (model.evaluate(target, side)[metric.name] for side in (predicted, reference))
    draws, references = (metric_draws(model, target, s, samples) for s in (predicted, reference))
    return gain_of_draws(metric, value, its, draws, references, samples.units, by)
