"""How much better one figure is than another, how sure that is, and both in words."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from dslp.core.pictures import draw_intervals

Better = Literal["lower", "higher"]
Measure = Literal["share", "difference"]
LARGEST = 10  # share that is printed as a number
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
        """The estimate for people, such as `+11.0 %`."""
        return format_metric(self.estimate, self.by)

    @property
    def interval(self) -> str:
        """The interval for people, such as `+9.8 to +12.2 %`."""
        return format_interval(self.low, self.high, partial(format_metric, by=self.by))

    def doubt(self, allows: Callable[[float], bool]) -> str:
        """Why the estimate may be on the wrong side of a limit; `allows` says which figures pass.

        Empty if the whole interval is on the same side as the estimate.
        """
        nearest = min(max(self.low, 0.0), self.high)  # to 0, which may be what is best
        if len({allows(x) for x in (self.estimate, self.low, self.high, nearest)}) == 1:
            return ""
        known = self.interval != UNKNOWN
        return "the interval crosses the limit" if known else "its interval is not known"


def format_interval(low: float, high: float, write: Callable[[float], str]) -> str:
    """An interval for people; one that is infinite is not known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNKNOWN
    return f"{write(low).removesuffix(' %')} to {write(high)}"


def improvement(value: float, reference: float, better: Better, by: Measure = "share") -> float:
    """How much better `value` is than `reference`; see `Metric.improvement`."""
    gain = value - reference if better == "higher" else reference - value
    if by == "difference" or not gain:
        return gain
    return gain / abs(reference) if reference else math.copysign(math.inf, gain)


def gain(
    baseline: Sequence[float],
    candidate: Sequence[float],
    better: Better,
    ratio: float,
    by: Measure = "share",
) -> Gain:
    """The gain in the mean over the folds, and its 95 % interval, by the corrected t-test.

    The folds are paired: both were fitted and evaluated on the same rows. Folds share training
    rows, so their differences are not independent, and the variance of a mean over k of them is
    taken to be s² (1/k + `ratio`), as Nadeau and Bengio (2003) propose: Inference for the
    Generalization Error, Machine Learning 52, 239-281. The gain is a share of the baseline's
    metric, which varies with the fold too; s² is that of the ratio, linearised (Cochran, 1977,
    Sampling Techniques, chapter 6).

    Args:
        baseline: the metric of each fold.
        candidate: the metric of the same folds.
        better: which way the metric is better.
        ratio: number of validation rows for each training row of a fold.
        by: whether the gain is a share, or the difference itself.
    """
    from scipy.special import stdtrit  # quantiles of t; scipy.stats takes seconds to import

    sign = 1 if better == "higher" else -1
    gains = [sign * (mine - its) for mine, its in zip(candidate, baseline, strict=True)]
    if by == "difference":  # a share of 1
        baseline = [1.0] * len(gains)
    scale = statistics.fmean(baseline)
    if not scale:
        return Gain(improvement(statistics.fmean(candidate), 0.0, better), -math.inf, math.inf)
    share = statistics.fmean(gains) / scale
    residuals = [gain - share * its for gain, its in zip(gains, baseline, strict=True)]  # sum: 0
    count = len(residuals)
    variance = math.fsum(one * one for one in residuals) / (count - 1)
    error = math.sqrt(variance * (1 / count + ratio)) / abs(scale)
    half = float(stdtrit(count - 1, 0.975)) * error
    share *= math.copysign(1, scale)  # of a negative baseline, a share of its distance from 0
    return Gain(share, share - half, share + half, by)


def describe_gain(gain: Gain, enough: float | None, trials: int = 0, unit: str = "") -> str:
    """A gain for a business reader: how much, how sure that is, and whether the goal is reached.

    Args:
        gain: over the baseline.
        enough: the criterion, which is reached when the estimate reaches it; None if not known.
        trials: of how many trials on the same folds its settings are the best; 0 if of none.
        unit: of a difference, such as the metric's name, whose words `_` may join.
    """
    write = partial(format_metric, by=gain.by, sign="")
    ends = sorted((gain.low, gain.high), key=abs if gain.low * gain.high > 0 else None)
    words = ["worse" if value < 0 else "better" for value in (gain.estimate, *ends)]
    size = write(abs(gain.estimate)) if gain.estimate else "no"
    of, sure = f" in {unit.replace('_', ' ')}" if unit else "", UNKNOWN
    if gain.interval != UNKNOWN:
        low, high = (write(abs(end)) for end in ends)
        low = low.removesuffix(" %") if words[1] == words[2] else f"{low} {words[1]}"
        sure = f"between {low} and {high} {words[2]}"
    text = f"{size} {words[0]} than the baseline{of} (95 % sure: {sure})"
    if enough is not None:
        negation = "" if gain.estimate >= enough else "not "
        doubt = "probably " if gain.doubt(lambda value: value >= enough) else ""
        text += f"; the goal of {write(enough)} is {doubt}{negation}reached"
    return f"{text}; {optimism(trials)}" if trials else text


def optimism(trials: int) -> str:
    """What to know of the gain of settings that are the best of many trials on the same folds."""
    return f"the best of {trials} trials, so its gain is optimistic; the holdout decides"


def sweep_sizes(sweeps: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, int]:
    """How many trials of a sweep ended, by the identifier of its best; 0 where it was the only one.

    Args:
        sweeps: of each, that identifier, and its metrics.
    """
    sizes = {best: metrics.get("trials", 0) - metrics.get("failed", 0) for best, metrics in sweeps}
    return {best: int(1 < size < math.inf and size) for best, size in sizes.items()}


def format_metric(gain: float, by: Measure, sign: str = "+") -> str:
    """A gain for people: `+5.0 %`, or a difference such as `+0.02`."""
    if by == "share" and abs(gain) > LARGEST:
        return f"above {sign}{100 * LARGEST} %" if gain > 0 else f"below {-100 * LARGEST} %"
    return f"{100 * gain:{sign}.1f} %" if by == "share" else f"{gain:{sign}.3g}"


def draw_gains(
    words: str, title: str, gains: Sequence[tuple[str, Gain]], enough: float, footnote: str
) -> str:
    """Gains, each with its name and interval, beside the baseline and the criterion, as SVG."""
    rows = [
        (name, f"{gain} ({gain.interval})", gain.estimate, gain.low, gain.high)
        for name, gain in gains
        if math.isfinite(gain.estimate)
    ]
    by: Measure = next((gain.by for _, gain in gains), "share")
    marks = {"baseline": 0.0, f"criterion {format_metric(enough, by)}": enough}
    return draw_intervals(words, title, rows, marks, footnote)
