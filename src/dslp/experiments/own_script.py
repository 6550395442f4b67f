"""Runs that a training script of the team's own logged, compared with the baseline (E2, E3).

The script logs with MLflow alone, in any language, into the MLflow experiment of the model:

- the name of the candidate, as the tag `dslp.candidate` or as the run's name;
- the Ask's metric of each fold as `fold_METRIC`, with the fold as the step, or `METRIC` alone;
- the tags `dslp.issue`, and `dslp.dataset_version` where `params.yml` has a dataset.
"""

import math
from collections import Counter
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.experiments.gains import Gain, gain, improvement
from dslp.experiments.model import Model
from dslp.experiments.params import share_problem
from dslp.experiments.runs import CandidateRun, finished_runs
from dslp.tracking.connection import Tracking

if TYPE_CHECKING:
    from mlflow.entities import Run


def compare_own_runs(
    model: Model, issue: int | None = None
) -> tuple[list[CandidateRun], list[str]]:
    """The newest run of each candidate, the baseline first, then the best; and what to know.

    Each fold is paired with the baseline's fold of the same step. The validation rows of a fold
    are taken to be those that the other folds train on. A single value has no interval.

    Raises:
        DslpError: no run of the baseline can be compared.
    """
    tracking, params = Tracking.open(model.project), model.params
    newest: dict[str, CandidateRun] = {}
    reasons = Counter[str]()
    for run in finished_runs(tracking, model):
        candidate = run.data.tags.get("dslp.candidate") or str(run.info.run_name)
        folds = _read_folds(tracking, run, params.metric.name)
        if reason := _why_not_comparable(model, run, candidate, folds, issue):
            reasons[reason] += 1
        elif candidate not in newest:
            newest[candidate] = CandidateRun(
                candidate, run.info.run_id, [folds[step] for step in sorted(folds)]
            )
    baseline = newest.pop(params.baseline, None)
    if baseline is None:
        experiment = tracking.experiment_name(model.name)
        notes = "; ".join(f"{number} not compared: {reason}" for reason, number in reasons.items())
        problem = (
            f"{model.name} has no run of {params.baseline}, the baseline, that can be compared"
        )
        todo = f"log it into the MLflow experiment {experiment}"
        raise DslpError(f"{problem}{f' ({notes})' if notes else ''}; {todo}")
    compared = []
    for other in newest.values():
        if len(other.folds) != len(baseline.folds):  # steps may begin with 0 or with 1
            numbers = f"{len(other.folds)} folds, and the baseline has {len(baseline.folds)}"
            reasons[f"{other.name} has {numbers}"] += 1
        else:
            better = _measure_gain(model, baseline, other)
            compared.append(CandidateRun(other.name, other.run_id, other.folds, better))
    notes_list = [f"{number} not compared: {reason}" for reason, number in reasons.items()]
    if len(baseline.folds) == 1:
        notes_list.append("a single value for each candidate: how sure a gain is, is not known")
    if problem := share_problem(params.metric, baseline.folds, params.criterion.by):
        notes_list.append(f"{problem} below criterion in params.yml")
    compared.sort(key=lambda one: one.gain.estimate if one.gain else 0.0, reverse=True)
    return [baseline, *compared], notes_list


def _measure_gain(model: Model, baseline: CandidateRun, other: CandidateRun) -> Gain:
    """The gain over the baseline; its interval is infinite where there is one value only."""
    better, by, count = model.params.metric.better, model.params.criterion.by, len(other.folds)
    if count > 1:
        return gain(baseline.folds, other.folds, better, 1 / (count - 1), by)
    estimate = improvement(other.mean, baseline.mean, better, by)
    return Gain(estimate, -math.inf, math.inf, by)


def _read_folds(tracking: Tracking, run: "Run", metric: str) -> dict[int, float]:
    """The metric by fold; the single value, as fold 0, where no fold is logged."""
    if f"fold_{metric}" in run.data.metrics:
        history = tracking.client.get_metric_history(run.info.run_id, f"fold_{metric}")
        folds = {one.step: one.value for one in history}
        return folds if len(folds) == len(history) else {0: math.nan}  # two values of one step
    return {0: run.data.metrics[metric]} if metric in run.data.metrics else {}


def _why_not_comparable(
    model: Model, run: "Run", candidate: str, folds: dict[int, float], issue: int | None
) -> str:
    """The reason why a run cannot be compared; empty if it can."""
    params, tags = model.params, run.data.tags
    version = tags.get("dslp.dataset_version", params.dataset.version)
    if candidate not in params.candidates:
        return f"{candidate!r:.60} is no candidate of params.yml"
    if issue and tags.get("dslp.issue") != str(issue):
        return f"without the tag dslp.issue = {issue}"
    if version != params.dataset.version:
        return f"made on version {version:.20} of the dataset, not {params.dataset.version}"
    if not folds:
        return f"without {params.metric.name}, and without fold_{params.metric.name}"
    if not all(map(math.isfinite, folds.values())):
        return (
            f"{params.metric.name} of a fold is not a finite number, or is logged twice for a step"
        )
    return ""
