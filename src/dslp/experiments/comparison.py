"""Attempts of an issue compared with the baseline on the Ask's metric and criterion (E2, E3)."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dslp.core.branch_names import issue_of_branch
from dslp.core.errors import DslpError
from dslp.core.pictures import draw_intervals
from dslp.data.schema import key_columns
from dslp.experiments import splitting
from dslp.experiments.model import Model
from dslp.experiments.model_data import read_model_data
from dslp.experiments.params import Measure, Metric, format_metric
from dslp.tracking.connection import Tracking, mlflow_errors
from dslp.tracking.provenance import code_tags

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Gain:
    """How much better than the baseline, with the ends of the interval: `by` share of its figure.

    By `difference`, they are in the metric's unit.
    """

    share: float
    low: float
    high: float
    by: Measure = "share"


@dataclass(frozen=True)
class Attempt:
    """One way that was tried: its mean over the folds, and its gain, which the baseline has not."""

    name: str
    run: str
    mean: float
    gain: Gain | None = None

    @property
    def gain_shown(self) -> str:
        """The gain for people, such as `+11.0%`."""
        return format_metric(self.gain.share, self.gain.by) if self.gain else ""

    @property
    def interval_shown(self) -> str:
        """The interval for people, such as `+9.8% to +12.2%`."""
        if self.gain is None:
            return ""
        return " to ".join(
            format_metric(end, self.gain.by) for end in (self.gain.low, self.gain.high)
        )


@dataclass(frozen=True)
class Comparison:
    """The attempts of an issue, the baseline first, then the best.

    `apart` says of other attempts why they are not among them.
    """

    model: Model
    issue: int
    attempts: list[Attempt]
    apart: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """What came out, in words, one sentence for each attempt but the baseline."""
        enough = self.model.params.criterion.improvement
        return [verdict(one.name, one.gain, enough) for one in self.attempts if one.gain]


@mlflow_errors()
def compare_candidates(model: Model, issue: int | None = None) -> Comparison:
    """The attempts that belong to the issue, by default the one that the branch is named for.

    Of several attempts with the same candidate, parameters and code, the newest counts; of a sweep,
    its best trial. What was made by other code than today's is named with its commit. Only those on
    the dataset's present content and split can be compared.

    Raises:
        DslpError: no issue is given, or it has no attempts that can be compared.
    """
    tracking = Tracking.open(model.project)
    issue = issue or issue_of_branch(code_tags(model.project)["dslp.branch"])
    if issue is None:
        raise DslpError("say which issue: uv run dslp experiment compare --issue N")
    runs = tracking.client.search_runs(
        [tracking.experiment(model.name)],
        filter_string=f"tags.`dslp.issue` = '{issue}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=5000,
    )
    best = {run.data.tags.get("dslp.best") for run in runs}
    runs = [run for run in runs if _kind(run) == "experiment" or run.info.run_id in best]
    todo = f"uv run dslp experiment run {model.name} --issue {issue}"
    if not runs:
        raise DslpError(f"issue #{issue} has no finished run of {model.name}; first: {todo}")
    data, params = read_model_data(model), model.params
    stated = params.split.model_dump(exclude_none=True)
    same_split = {f"split.{name}": str(value) for name, value in stated.items()}
    newest: dict[tuple[str, ...], Run] = {}
    apart: dict[str, int] = {}
    for run in runs:
        tags, given = run.data.tags, run.data.params
        if tags.get("dslp.dataset_digest") != data.digest:
            which = f"{tags.get('dslp.dataset')} {tags.get('dslp.dataset_version', '')}"
            why = f"made on other data ({which.strip()}, another digest)"
        elif {name: given[name] for name in given if name.startswith("split.")} != same_split:
            why = "made with another split"
        elif tags.get("dslp.evaluate") != model.judge:
            why = "judged by another evaluate.py"
        elif f"fold_{params.metric.name}" not in run.data.metrics:
            why = f"without {params.metric.name}"
        else:
            named = (tags["dslp.candidate"], tags["dslp.code"])
            newest.setdefault((*named, *map(str, sorted(given.items()))), run)
            continue
        apart[why] = apart.get(why, 0) + 1
    found = list(newest.values())
    baselines = [run for run in found if run.data.tags["dslp.candidate"] == params.baseline]
    if baselines[1:]:
        apart["the baseline at another code or with other parameters"] = len(baselines) - 1
    said = [f"{number} not compared: {why}" for why, number in apart.items()]
    if not baselines:
        why = f" ({'; '.join(said)})" if said else ""
        raise DslpError(
            f"issue #{issue} has no run of {params.baseline}, the baseline, on this data, split "
            f"and evaluate.py{why}; first: {todo}"
        )
    parts = splitting.folds(data.development, params.split, key_columns(model.dataset))
    sizes = [(len(train), len(validate)) for train, validate in parts]
    ratio = statistics.fmean(validate / train for train, validate in sizes)
    reference = _folds(tracking, baselines[0], params.metric)
    by, attempts = params.criterion.by, [_attempt(model, baselines[0], reference, None)]
    if by == "share" and min(reference) <= 0 <= max(reference):
        said.append(
            f"{params.metric.name} of the baseline is around 0, and a share of it says little; "
            "write criterion: {improvement: X, by: difference} in params.yml"
        )
    for run in found:
        if run.data.tags["dslp.candidate"] != params.baseline:
            folds = _folds(tracking, run, params.metric)
            better = gain(reference, folds, params.metric, ratio, by)
            attempts.append(_attempt(model, run, folds, better))
    attempts[1:] = sorted(attempts[1:], key=lambda one: -one.gain.share if one.gain else 0.0)
    return Comparison(model, issue, attempts, said)


def draw_comparison(found: Comparison) -> str:
    """The gains with their intervals, beside the baseline and the criterion, as SVG."""
    params, enough = found.model.params, found.model.params.criterion.improvement
    rows = [
        (
            one.name,
            f"{one.gain_shown} ({one.interval_shown})",
            one.gain.share,
            one.gain.low,
            one.gain.high,
        )
        for one in found.attempts
        if one.gain and math.isfinite(one.gain.share)
    ]
    title = f"Issue #{found.issue}: {params.metric.name} against {params.baseline}"
    words = ". ".join([title, *found.sentences])
    marks = {"baseline": 0.0, f"criterion {format_metric(enough, params.criterion.by)}": enough}
    footnote = f"Mean of {params.split.folds} folds, 95 % interval. To the right is better."
    return draw_intervals(words, title, rows, marks, footnote)


def gain(
    baseline: Sequence[float],
    attempt: Sequence[float],
    metric: Metric,
    ratio: float,
    by: Measure = "share",
) -> Gain:
    """The gain in the mean over the folds, and its 95 % interval, by the corrected t-test.

    The folds are paired: both were fitted and judged on the same rows. Folds share training rows,
    so their differences are not independent, and the variance of a mean over k of them is taken to
    be s² (1/k + `ratio`), as Nadeau and Bengio (2003) propose: Inference for the Generalization
    Error, Machine Learning 52, 239-281. The gain is a share of the baseline's figure, which varies
    with the fold too; s² is that of the ratio, linearised (Cochran, 1977, Sampling Techniques,
    chapter 6).

    Args:
        baseline: the metric of each fold.
        attempt: the metric of the same folds.
        metric: says which way is better.
        ratio: rows that a fold is judged on, for each row that it was fitted on.
        by: whether the gain is a share, or the difference itself.
    """
    from scipy.stats import t

    sign = 1 if metric.better == "higher" else -1
    gains = [sign * (mine - its) for mine, its in zip(attempt, baseline, strict=True)]
    if by == "difference":  # a share of 1
        baseline = [1.0] * len(gains)
    scale = statistics.fmean(baseline)
    if not scale:
        return Gain(metric.improvement(statistics.fmean(attempt), 0.0), -math.inf, math.inf)
    share = statistics.fmean(gains) / scale
    rests = [gain - share * its for gain, its in zip(gains, baseline, strict=True)]
    error = math.sqrt(statistics.variance(rests) * (1 / len(rests) + ratio)) / abs(scale)
    reach = float(t.ppf(0.975, len(rests) - 1)) * error
    share *= math.copysign(1, scale)  # a share of the baseline's distance from nothing
    return Gain(share, share - reach, share + reach, by)


def verdict(name: str, gain: Gain, enough: float) -> str:
    """One sentence: how much better, how sure that is, and whether the criterion is met.

    The criterion is met when the estimate reaches it; where the interval does not settle that, the
    sentence says so.
    """
    way, sign = ("better", 1) if gain.share >= 0 else ("worse", -1)
    low, high = sorted((sign * gain.low, sign * gain.high))
    size, first, last, limit = (
        format_metric(value, gain.by, "") for value in (abs(gain.share), low, high, enough)
    )
    text = (
        f"{name} is {way} than the baseline by {size} (95 % interval {first} to {last}); "
        f"criterion {limit}: "
    )
    if gain.share >= enough:
        unsure = ", but the interval reaches below it" if gain.low < enough else ""
        return f"{text}met{unsure}"
    return f"{text}not met{', but the interval reaches it' if gain.high >= enough else ''}"


def _attempt(model: Model, run: "Run", folds: Sequence[float], found: Gain | None) -> Attempt:
    tags = run.data.tags
    name = run.info.run_name if _kind(run) == "trial" else tags["dslp.candidate"]
    if tags["dslp.code"] != model.code:
        changes = "" if tags["dslp.clean"] == "true" else " with changes"
        name = f"{name} at {tags['dslp.commit'][:7]}{changes}"
    return Attempt(name, run.info.run_id, statistics.fmean(folds), found)


def _kind(run: "Run") -> str:
    return str(run.data.tags.get("dslp.kind", ""))


def _folds(tracking: Tracking, run: "Run", metric: Metric) -> list[float]:
    """The metric of each fold, in their order."""
    history = tracking.client.get_metric_history(run.info.run_id, f"fold_{metric.name}")
    return [one.value for one in sorted(history, key=lambda one: one.step)]
