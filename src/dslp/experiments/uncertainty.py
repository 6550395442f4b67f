"""How sure a figure is that was measured on rows: the bootstrap, in units that are independent.

A sample is drawn with replacement, of whole units (the cluster bootstrap: Davison and Hinkley,
Bootstrap Methods and their Application, 1997, section 3.8). The interval is the estimate and t
standard errors to each side, for which 50 to 200 samples suffice (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, section 6.4).
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.experiments.gains import Gain, Measure
from dslp.experiments.model import Model
from dslp.experiments.params import Metric, Split

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

DRAWS = (50, 200)  # samples, of many rows and of few
ROWS = 20_000_000  # of all samples together, if there are more than the fewest


@dataclass(frozen=True)
class Samples:
    """Bootstrap samples of rows, drawn anew from the seed whenever they are iterated.

    Attributes:
        codes: number of the unit of each row.
        drawn: how many units there are to draw.
        seed: of all samples.
        size: how many samples.
    """

    codes: "NDArray[np.intp]"
    drawn: int
    seed: int
    size: int

    def __iter__(self) -> "Iterator[NDArray[np.intp]]":
        """The positions of the rows of each sample, in order."""
        import numpy as np

        random, rows = np.random.default_rng(self.seed), np.arange(len(self.codes))
        for _ in range(self.size):
            numbers = random.integers(0, self.drawn, self.drawn)
            yield np.repeat(rows, np.bincount(numbers, minlength=self.drawn)[self.codes])

    @property
    def units(self) -> int:
        """How many units are independent; fewer than two do not tell how sure a figure is."""
        return len(set(self.codes.tolist()))

    def part(self, mask: "NDArray[np.bool_]") -> "Samples":
        """The same samples of some of the rows."""
        return replace(self, codes=self.codes[mask])


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

        pairs = zip(self.draws.tolist(), reference.draws.tolist(), strict=False)
        gains = np.array([metric.improvement(one, two, by) for one, two in pairs])
        gains, units = gains[np.isfinite(gains)], min(self.units, reference.units)
        half = math.inf
        if units > 1 and len(gains) > len(self.draws) / 2:
            error = np.std(gains, ddof=1) * math.sqrt(units / (units - 1))
            half = float(t.ppf(0.975, min(units, len(gains)) - 1) * error)
        gain = metric.improvement(self.value, reference.value, by)
        return Gain(gain, gain - half, gain + half, by)


def units(rows: "pd.DataFrame", split: Split, by: str | None = None) -> "NDArray[np.intp]":
    """The number of the independent unit of each row, by the policy of the split.

    A unit is a group or, where the split is by time, one of n^(2/5) blocks of n moments that follow
    one another: few long blocks, and the t distribution, allow for dependence that is not known
    (Ibragimov and Müller, 2010, Journal of Business and Economic Statistics 28). Every row is a
    unit where the column is missing: say to people that rows are taken as independent then.

    Args:
        rows: of the data.
        split: says what depends on one another.
        by: the column, if its name in `rows` is another one.
    """
    import numpy as np

    by = by or split.by
    if by is None or by not in rows:
        return np.arange(len(rows))
    groups = rows.groupby(by, dropna=False)
    codes = groups.ngroup().to_numpy().astype(np.intp)
    if split.policy == "time":
        codes = codes * math.ceil(groups.ngroups**0.4) // groups.ngroups
    return codes


def draw_samples(rows: "pd.DataFrame", split: Split) -> Samples:
    """Samples of rows in their `units`; of many rows there are fewer."""
    codes, (least, most) = units(rows, split), DRAWS
    size = max(least, min(most, ROWS // max(1, len(rows))))
    return Samples(codes, int(codes.max(initial=-1)) + 1, split.seed, size)


def measure_all(
    model: Model, target: "pd.Series[Any]", predicted: "pd.DataFrame", samples: Samples
) -> dict[str, Measured]:
    """The metrics that have a direction, of the rows and of samples of them."""
    import numpy as np

    names, values = list(model.directions), model.evaluate(target, predicted)
    draws = np.full((samples.size, len(names)), np.nan)
    for number, rows in enumerate(samples):
        with suppress(DslpError):  # some metrics are not defined where a class is missing
            metrics = model.evaluate(target.iloc[rows], predicted.iloc[rows])
            draws[number] = [metrics[name] for name in names]
    return {
        name: Measured(values[name], column, samples.units)
        for name, column in zip(names, draws.T, strict=True)
    }


def measure(
    model: Model, rows: "pd.DataFrame", target: "pd.Series[Any]", *sides: "pd.DataFrame"
) -> list[Measured]:
    """The Ask's metric of each of some predictions of the same rows, on the same samples.

    The columns of the rows say what is independent.
    """
    samples, name = draw_samples(rows, model.params.split), model.params.metric.name
    return [measure_all(model, target, predicted, samples)[name] for predicted in sides]
