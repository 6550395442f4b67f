"""Running an experiment: every candidate on the same folds, baseline first, each a tracked run."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dslp.data.schema import key_columns
from dslp.experiments import splitting
from dslp.experiments.assumptions import AssumptionCheck, check_assumptions
from dslp.experiments.evaluation import FILE, evaluate_pairs, truth_pairs
from dslp.experiments.model import Model
from dslp.experiments.model_data import ModelData, read_model_data
from dslp.experiments.recording import branch_issue, record_run
from dslp.experiments.uncertainty import Gain, Measured, measure
from dslp.tracking.connection import ActiveRun, Tracking, artifact_errors

if TYPE_CHECKING:
    import pandas as pd

Scores = list[dict[str, float]]  # the metrics of each fold
Report = Callable[[str], None]


@dataclass(frozen=True)
class CandidateRun:
    """The recorded run of a candidate.

    Attributes:
        name: the candidate of `params.yml`, or another name for people.
        run_id: MLflow's identifier.
        folds: the Ask's metric of each fold.
        gain: over the baseline, which has none itself.
        trials: of how many trials of a sweep its settings are the best; 0 if of none.
    """

    name: str
    run_id: str
    folds: Sequence[float]
    gain: Gain | None = None
    trials: int = 0

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return statistics.fmean(self.folds)

    @property
    def deviation(self) -> float:
        """The standard deviation over the folds."""
        return statistics.stdev(self.folds)

    def __str__(self) -> str:
        """Mean and standard deviation, such as `1.23 ± 0.04`."""
        return f"{self.mean:.4g} ± {self.deviation:.2g}"


@dataclass(frozen=True)
class Experiment:
    """Candidates of one model, tried on the same folds of the same rows.

    Attributes:
        model: the model.
        data: its rows; only the development part is used.
        tracking: where the runs are recorded.
        assumptions: the check of the assumptions about the data (E4).
        issue: number of the Experiment issue that the runs belong to (E2), if there is one.
    """

    model: Model
    data: ModelData
    tracking: Tracking
    assumptions: AssumptionCheck
    issue: int | None = None

    @classmethod
    def prepare(cls, model: Model, issue: int | None = None) -> "Experiment":
        """Read and divide the data, connect to the tracking server, check the assumptions.

        Without an issue, the runs belong to the issue that the branch is named for, if it is.
        """
        issue = issue or branch_issue(model)
        data, tracking = read_model_data(model), Tracking.open(model.project)
        return cls(model, data, tracking, check_assumptions(model), issue)

    def run(self, candidate: str, report: Report | None = None) -> CandidateRun:
        """Cross-validate one candidate, and record it; `report` gets the progress in words.

        What fits its kind is evaluated on the validation rows of all folds together.
        """
        import pandas as pd

        tags = self.tags("experiment")
        with record_run(
            self.tracking, self.model, self.data, candidate, tags, issue=self.issue
        ) as run:
            rows = self.data.development
            pairs = list[pd.DataFrame]()
            scores = cross_validate(self.model, rows, candidate, report=report, pairs=pairs)
            evaluation = evaluate_pairs(self.model, pd.concat(pairs))
            with artifact_errors(run.run_id):
                self.tracking.client.log_dict(run.run_id, evaluation, FILE)
            return log_scores(run, candidate, scores, self.model.params.metric.name)

    def tags(self, kind: str) -> dict[str, str]:
        """Tags of all runs of the experiment."""
        return {"dslp.kind": kind, "dslp.assumptions": self.assumptions.tag}


def candidates_to_run(model: Model, names: Sequence[str] | None = None) -> list[str]:
    """The candidates called `names`, or all, in their order; the baseline is always the first.

    Raises:
        DslpError: `params.yml` has no candidate of that name.
    """
    for name in names or ():
        model.check_candidate(name)
    baseline = model.params.baseline
    return [one for one in model.params.candidates if not names or one in (*names, baseline)]


def cross_validate(
    model: Model,
    rows: "pd.DataFrame",
    candidate: str,
    settings: Mapping[str, Any] | None = None,
    report: Report | None = None,
    pairs: "list[pd.DataFrame] | None" = None,
) -> Scores:
    """The metrics of a candidate on each fold of `rows`, fitted on the other folds (E3).

    The truth and the predictions of each fold are added to `pairs`.
    """
    scores, folds = [], model.params.split.folds
    for train, validate in splitting.folds(rows, model.params.split, key_columns(model.dataset)):
        past, unseen = rows.iloc[train], rows.iloc[validate]
        predicted = model.predict(model.fit(candidate, past, settings), unseen)
        scores.append(model.evaluate(unseen[model.params.target], predicted))
        if pairs is not None:
            pairs.append(truth_pairs(model, past, unseen, predicted))
        if report:
            report(f"{len(scores)} of {folds} folds")
    return scores


def fold_metrics(scores: Scores, metric: str) -> dict[str, float]:
    """The mean of each metric over the folds, and the standard deviation of the Ask's metric."""
    means = {name: statistics.fmean(score[name] for score in scores) for name in scores[0]}
    return {**means, f"{metric}_deviation": statistics.stdev(score[metric] for score in scores)}


def log_scores(run: ActiveRun, candidate: str, scores: Scores, metric: str) -> CandidateRun:
    """Record the metrics over the folds, and the Ask's metric of each fold."""
    run.log_metrics(fold_metrics(scores, metric))
    folds = [score[metric] for score in scores]
    for fold, value in enumerate(folds):
        run.log_metrics({f"fold_{metric}": value}, step=fold)
    return CandidateRun(candidate, run.run_id, folds)


@dataclass(frozen=True)
class HoldoutResult:
    """A candidate fitted on the development rows, and what it does on the holdout.

    Attributes:
        estimator: what `fit` returned.
        predicted: of each row.
        metric: the name of the Ask's metric.
        metrics: all metrics.
        measured: the Ask's metric, and how sure it is.
        baseline: the Ask's metric of the baseline.
        gain: over the baseline, by the criterion's measure.
    """

    estimator: Any
    predicted: "pd.DataFrame"
    metric: str
    metrics: dict[str, float]
    measured: Measured
    baseline: float
    gain: Gain

    @property
    def figures(self) -> dict[str, float]:
        """What a run records; of the interval of the gain, the ends that are known."""
        figures = {f"holdout_{name}": value for name, value in self.metrics.items()}
        figures |= {f"baseline_holdout_{self.metric}": self.baseline}
        ends = {"improvement_low": self.gain.low, "improvement_high": self.gain.high}
        ends = {name: value for name, value in ends.items() if math.isfinite(value)}
        return {**figures, "improvement": self.gain.estimate, **ends}

    def __str__(self) -> str:
        """The comparison with the baseline in the Ask's metric."""
        values = f"{self.baseline:.4g} → {self.measured.value:.4g}"
        return f"{self.gain} against the baseline (95 % interval {self.gain.interval}): {values}"


def score_on_holdout(
    model: Model, data: ModelData, candidate: str, settings: Mapping[str, Any] | None = None
) -> HoldoutResult:
    """Fit a candidate and the baseline on the development rows, and compare them on the holdout."""
    params, rows = model.params, data.holdout
    estimator = model.fit(candidate, data.development, settings)
    predicted, target = model.predict(estimator, rows), rows[params.target]
    metrics = model.evaluate(target, predicted)
    reference = model.predict(model.fit(params.baseline, data.development), rows)
    own, baseline = measure(model, rows, target, predicted, reference)
    gain = own.gain(baseline, params.metric, params.criterion.by)
    return HoldoutResult(
        estimator, predicted, params.metric.name, metrics, own, baseline.value, gain
    )
