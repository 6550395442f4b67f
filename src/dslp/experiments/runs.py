"""Running an experiment: every candidate on the same folds, baseline first, each a tracked run."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.data.schema import key_columns
from dslp.experiments import splitting
from dslp.experiments.assumptions import Outcome, check_assumptions
from dslp.experiments.model import Model
from dslp.experiments.model_data import ModelData, read_model_data
from dslp.experiments.recording import record_run
from dslp.tracking.connection import RecordedRun, Tracking

if TYPE_CHECKING:
    import pandas as pd

Scores = list[dict[str, float]]  # the metrics of each fold


@dataclass(frozen=True)
class Attempt:
    """One candidate's outcome: the metrics' means over the folds, and the scatter of the Ask's."""

    candidate: str
    run: str
    metrics: dict[str, float]
    deviation: float


@dataclass(frozen=True)
class Experiment:
    """Candidates of one model, tried on the same folds of the same rows.

    Attributes:
        model: what is tried.
        data: the rows; only the development part is looked at.
        tracking: where each attempt is recorded.
        assumptions: what became of the assumptions about the data (E4).
        issue: number of the Experiment issue that the attempts belong to (E2), if there is one.
    """

    model: Model
    data: ModelData
    tracking: Tracking
    assumptions: Outcome
    issue: int | None = None

    @classmethod
    def prepare(cls, model: Model, issue: int | None = None) -> "Experiment":
        """Read and divide the data, check what is assumed of it, reach the tracking server."""
        data, tracking = read_model_data(model), Tracking.open(model.project)
        return cls(model, data, tracking, check_assumptions(model), issue)

    def candidates(self, names: Sequence[str] | None = None) -> list[str]:
        """The candidates called `names`, or all; the baseline comes first and is always there.

        Raises:
            DslpError: `params.yml` has no candidate of that name.
        """
        known = self.model.params.candidates
        for name in names or ():
            if name not in known:
                raise DslpError(
                    f"no candidate {name!r} in {self.model.folder / 'params.yml'}; "
                    f"there are: {', '.join(known)}"
                )
        first = self.model.params.baseline
        return [name for name in known if not names or name in names or name == first]

    def attempt(self, candidate: str) -> Attempt:
        """Cross-validate one candidate, and record it as a run."""
        metric, tags = self.model.params.metric.name, self.tags("experiment")
        with record_run(
            self.tracking, self.model, self.data, candidate, tags, issue=self.issue
        ) as run:
            scores = cross_validate(self.model, self.data.development, candidate)
            return record(run, candidate, scores, metric)

    def tags(self, kind: str) -> dict[str, str]:
        """What all runs of the experiment carry beside what they are made from."""
        return {"dslp.kind": kind, "dslp.assumptions": self.assumptions.tag}


def cross_validate(
    model: Model, rows: "pd.DataFrame", candidate: str, settings: Mapping[str, Any] | None = None
) -> Scores:
    """The metrics of a candidate on each fold of `rows`, fitted on the others (E3)."""
    return [
        model.score(model.fit(candidate, rows.iloc[train], settings), rows.iloc[validate])
        for train, validate in splitting.folds(rows, model.params.split, key_columns(model.dataset))
    ]


def mean(scores: Scores) -> dict[str, float]:
    """The mean of each metric over the folds."""
    return {name: statistics.fmean(score[name] for score in scores) for name in scores[0]}


def fold_metrics(scores: Scores, metric: str) -> dict[str, float]:
    """What a run records of its folds: all means, and the scatter of the Ask's metric."""
    return {**mean(scores), f"{metric}_deviation": _deviation(scores, metric)}


def record(run: RecordedRun, candidate: str, scores: Scores, metric: str) -> Attempt:
    """Record the figures, and the Ask's metric of each fold."""
    run.metrics(fold_metrics(scores, metric))
    for fold, score in enumerate(scores):
        run.metrics({f"fold_{metric}": score[metric]}, step=fold)
    return Attempt(candidate, run.identifier, mean(scores), _deviation(scores, metric))


def score_on_holdout(
    model: Model, data: ModelData, candidate: str, settings: Mapping[str, Any] | None = None
) -> tuple[Any, dict[str, float]]:
    """A candidate fitted on the development rows, and what a run records of it on the holdout."""
    params, metric = model.params, model.params.metric
    estimator = model.fit(candidate, data.development, settings)
    found = model.score(estimator, data.holdout)
    fitted = model.fit(params.baseline, data.development)
    baseline = model.score(fitted, data.holdout)[metric.name]
    return estimator, {
        **{f"holdout_{name}": value for name, value in found.items()},
        f"baseline_holdout_{metric.name}": baseline,
        "improvement": metric.improvement(found[metric.name], baseline, params.criterion.by),
    }


def _deviation(scores: Scores, metric: str) -> float:
    return statistics.stdev(score[metric] for score in scores)
