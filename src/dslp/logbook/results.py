"""What runs say of candidates, from their records alone: no data and no code is read (E3).

The tag `dslp.folds` has the Ask's metric and criterion, and the metric of each fold.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from dslp.core.text import visible
from dslp.experiments.gains import Better, Gain, Measure, describe_gain, gain, sweep_sizes
from dslp.logbook.events import Run
from pydantic import Field, TypeAdapter

NAME = 70  # characters of a metric's name in a sentence
LARGEST = 1e100  # of a figure; what is larger cannot be computed with
Figure = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


@dataclass(frozen=True)
class _Record:
    """The tag `dslp.folds`; that of a training has no folds."""

    metric: str
    better: Better
    by: Measure
    improvement: Figure
    is_baseline: bool = False
    folds: list[Figure] = field(default_factory=list)
    ratio: Annotated[Figure, Field(ge=0)] = 0.0


RECORD = TypeAdapter(_Record)


@dataclass(frozen=True)
class Result:
    """What a run says of a candidate, on the Ask's metric (E3).

    Attributes:
        run: the run.
        candidate: its name for people.
        metric: the Ask's metric.
        better: lower or higher.
        value: of the metric.
        gain: over the baseline, with its 95 % interval; None for the baseline itself, and where
            no baseline was run on the same folds.
        criterion: the gain that is enough; None where the run does not say it.
        is_baseline: whether it is what the others are compared with.
        held_out: whether it is of a final training, on rows that no candidate was chosen by.
        trials: of how many trials of a sweep its settings are the best, so that a gain on the same
            folds is optimistic; 0 if of none.
    """

    run: Run
    candidate: str
    metric: str
    better: str
    value: float
    gain: Gain | None = None
    criterion: float | None = None
    is_baseline: bool = False
    held_out: bool = False
    trials: int = 0

    @property
    def is_met(self) -> bool | None:
        """Whether the gain reaches the criterion; None where one of them is not known."""
        if self.gain is None or self.criterion is None:
            return None
        return self.gain.estimate >= self.criterion

    @property
    def sentence(self) -> str:
        """The gain for a business reader; empty where it is not known."""
        if self.gain is None:
            return ""
        unit = visible(self.metric, NAME) if self.gain.by == "difference" else ""
        return describe_gain(self.gain, self.criterion, 0 if self.held_out else self.trials, unit)


def best_trials(runs: Iterable[Run]) -> dict[object, int]:
    """How many trials a sweep had, by the identifier of its best trial.

    And by the settings of that trial, where there were several: a candidate of `params.yml` that
    has them was chosen by its luck on the folds too.
    """
    runs = list(runs)
    sweeps = ((run.tag("best"), run.metrics) for run in runs if run.kind == "sweep")
    sizes = dict[object, int](sweep_sizes(sweeps))
    return sizes | {_settings(run): sizes[run.id] for run in runs if sizes.get(run.id)}


def read_results(runs: Iterable[Run], trials: Mapping[object, int]) -> tuple[Result, ...]:
    """The results of an issue, the baseline first, then the best first.

    The newest run of each candidate counts; of a sweep, the best trial. It is compared with the
    newest run of the baseline on the same metric and folds of the same data, with the same
    `evaluate.py`.

    Args:
        runs: of the issue, the oldest first.
        trials: as `best_trials` says.
    """
    newest, baselines = dict[object, tuple[Result, _Record]](), dict[object, list[float]]()
    for run in runs:
        is_candidate = run.kind in ("experiment", "training") or run.id in trials
        if is_candidate and run.status == "FINISHED" and (pair := _read_result(run)):
            result, record = pair
            newest[run.tag("model"), result.candidate, result.held_out] = pair
            if result.is_baseline and not result.held_out:
                baselines[_comparable(run, record)] = record.folds
    results = []
    for result, record in newest.values():
        better, reference = result.gain, baselines.get(_comparable(result.run, record), ())
        if len(reference) > 1 and not result.is_baseline and not result.held_out:
            better = gain(reference, record.folds, record.better, record.ratio, record.by)
        number = trials.get(_settings(result.run), 0)
        results.append(replace(result, gain=better, trials=number))
    results.sort(key=lambda result: -result.gain.estimate if result.gain else math.inf)
    return tuple(sorted(results, key=lambda result: not result.is_baseline))


def _read_result(run: Run) -> tuple[Result, _Record] | None:
    """A run's result, still without a gain over the folds, and its tag; None without a valid one.

    Anybody can write a tag.
    """
    held_out = run.kind == "training"
    try:
        record = RECORD.validate_json(run.tag("folds"), strict=True)
        folds = [run.metrics[f"holdout_{record.metric}"]] if held_out else record.folds
    except (KeyError, ValueError):
        return None
    if not folds:
        return None
    names = ("improvement", "improvement_low", "improvement_high")
    estimate, low, high = (run.metrics.get(name, math.nan) for name in names)
    is_known = held_out and math.isfinite(estimate)
    result = Result(
        run=run,
        candidate=run.name if run.kind == "trial" else run.tag("candidate"),
        metric=record.metric,
        better=record.better,
        value=statistics.fmean(folds),
        gain=Gain(estimate, low, high, record.by) if is_known else None,
        criterion=record.improvement,
        is_baseline=record.is_baseline,
        held_out=held_out,
    )
    return result, record


def _comparable(run: Run, record: _Record) -> object:
    """What two runs have in common that were evaluated by the same metric on the same folds."""
    split = sorted(pair for pair in run.params.items() if pair[0].startswith("split."))
    tags = [run.tag(name) for name in ("model", "ask", "dataset_digest", "evaluate")]
    metric = record.metric, record.better, record.by
    return *tags, *metric, tuple(split), len(record.folds)


def _settings(run: Run) -> object:
    return run.tag("model"), frozenset(run.params.items())
