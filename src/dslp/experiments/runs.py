"""Candidates on the same folds, each in a run that says what it is made from (E1, B10)."""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
from dslp.data.schema import key_columns
from dslp.experiments import splitting
from dslp.experiments.evaluation import FILE, evaluate_pairs, truth_pairs
from dslp.experiments.gains import Gain
from dslp.experiments.model import Model
from dslp.experiments.params import Params
from dslp.experiments.splitting import ModelData, fold_ratio, read_model_data
from dslp.experiments.uncertainty import Measured, measure
from dslp.tracking.connection import (
    ActiveRun,
    Tracking,
    artifact_errors,
    ended_on_error,
    mlflow_errors,
    process_tag,
)
from dslp.tracking.environment import environment_version
from dslp.tracking.provenance import (
    MOST,
    code_tags,
    describe_origin,
    flatten,
    settings_tag,
    source_tags,
)

if TYPE_CHECKING:
    from dslp.core.report import Report
    from mlflow.entities import Run


Scores = list[dict[str, float]]  # the metrics of each fold
Progress = Callable[[str], None]
ASSUMPTIONS = "assumptions.yml"  # a suite of what an experiment assumes about its data (E4)
LONGEST = 6000  # characters that MLflow keeps of a parameter
WITHOUT_ISSUE = "no issue is recorded, since the branch is not named for one; give --issue N"


@dataclass(frozen=True)
class AssumptionCheck:
    """The result of the check; `report` is None for a model without assumptions."""

    report: "Report | None" = None

    @property
    def tag(self) -> str:
        """The result in a few words, for the run: `none`, `hold (4)` or `fail: 1 of 4`."""
        if self.report is None:
            return "none"
        failed = sum(finding.severe for finding in self.report.findings)
        if failed:
            return f"fail: {failed} of {self.report.checks}"
        warnings = len(self.report.findings)
        return f"hold ({self.report.checks}" + (f", {warnings} in doubt)" if warnings else ")")

    def __str__(self) -> str:
        """The result for a person: each assumption that fails, and the values that break it."""
        if self.report is None:
            return "the model has no assumptions"
        findings = "".join(f"\n\n{finding}" for finding in self.report.findings)
        if self.report.ok:
            return f"assumptions {self.tag}{findings}"
        return f"ASSUMPTIONS {self.tag.upper()}, so the results may not hold either{findings}"


def check_assumptions(model: Model) -> AssumptionCheck:
    """Check the model's assumptions on its dataset, if it has any.

    Raises:
        DslpError: the file is not a suite, or the data cannot be read.
    """
    file = model.folder / ASSUMPTIONS
    if not file.is_file():
        return AssumptionCheck()
    from dslp.data.suite import validate

    engine = model.project.choose_engine()
    return AssumptionCheck(validate(model.dataset, engine, suite=file))


def recorded_parameters(
    model: Model, candidate: str, settings: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What a run of the candidate records of `params.yml`: its own settings, and the split."""
    chosen = model.params.candidates[candidate] if settings is None else settings
    split = model.params.split.model_dump(exclude_none=True)
    flat = flatten({"candidate": chosen, "split": split})
    return {name: text[:LONGEST] for name, text in flat.items()}


def finished_runs(
    tracking: Tracking, model: Model, most: int = 5000, **tags: object
) -> "list[Run]":
    """The newest finished runs of the model that have these tags of the library."""
    parts = [f"tags.`dslp.{name}` = '{value}' and " for name, value in tags.items()]
    where, order = f"{''.join(parts)}attributes.status = 'FINISHED'", ["attributes.start_time DESC"]
    folders = [tracking.experiment_id(model.name)]
    return list(tracking.client.search_runs(folders, where, 1, most, order))


def criterion_tag(params: Params, **facts: object) -> dict[str, str]:
    """A tag in JSON by which a run is judged from its record alone, without data (E3).

    It has the Ask's metric, the criterion, the name of the baseline, and `facts` of the run.
    No tag where it is too long, which takes some 150 folds.
    """
    metric = {"metric": params.metric.name, "better": params.metric.better}
    criterion = {**metric, **params.criterion.model_dump()}
    text = json.dumps({**criterion, "baseline": params.baseline, **facts})
    return {"dslp.folds": text} if len(text) <= MOST else {}


@contextmanager
def record_run(
    tracking: Tracking,
    model: Model,
    data: ModelData,
    candidate: str,
    tags: Mapping[str, str],
    *,
    issue: int | None = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[ActiveRun]:
    """Record a run that says what it is made from, and end it however the block ends.

    Args:
        tracking: where the run is recorded.
        model: the model that is tried or trained.
        data: its data.
        candidate: the candidate of `params.yml`.
        tags: more tags, `dslp.kind` among them.
        issue: number of the run's issue, by default the one that the branch is named for.
        name: of the run, by default the candidate's.
        settings: of the candidate, by default those in `params.yml`.
    """
    from mlflow.entities import Param

    with mlflow_errors():
        params, code = model.params, code_tags(model.project)
        all_tags = {
            "dslp.model": model.name,
            "dslp.candidate": candidate,
            "dslp.ask": str(params.ask.issue),
            "dslp.question": params.ask.question[:MOST],
            "dslp.dataset": params.dataset.name,
            "dslp.dataset_version": data.dataset.version,
            "dslp.dataset_digest": data.digest,
            "dslp.suite": "holds" if data.suite.ok else "does not hold",
            "dslp.code": model.code_digest,
            "dslp.evaluate": model.evaluate_digest,
            "dslp.seed": str(params.split.seed),
            "dslp.environment_version": environment_version(tracking),
            **code,
            **settings_tag(params.candidates[candidate] if settings is None else settings),
            **source_tags(model.project, model.folder),
            **process_tag(),
            **criterion_tag(params, is_baseline=candidate == params.baseline),
            **tags,
        }
        issue, ask = issue or model.branch_issue, params.ask
        if issue is not None:
            all_tags["dslp.issue"] = str(issue)
        note = describe_origin(model.project, ask.question, ask=ask.issue, issue=issue)
        all_tags["mlflow.note.content"] = note
        if params.known_before:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in params.known_before.items())
            all_tags["dslp.known_before"] = reasons[:LONGEST]
        if "dslp.assumptions" not in all_tags:
            all_tags["dslp.assumptions"] = check_assumptions(model).tag
        client, folder = tracking.client, tracking.experiment_id(model.name)
        started = client.create_run(folder, run_name=name or candidate, tags=all_tags)
        parameters = recorded_parameters(model, candidate, settings)
        run = ActiveRun(client, str(started.info.run_id))
        with ended_on_error(run):
            client.log_batch(run.run_id, params=[Param(*pair) for pair in parameters.items()])
            columns = {str(name): str(dtype) for name, dtype in data.rows.dtypes.items()}
            place, rows = str(model.dataset.processed), len(data.rows)
            run.log_dataset(params.dataset.name, data.digest, place, columns, rows)
            yield run
        run.end("FINISHED")


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
        return statistics.stdev(self.folds) if len(self.folds) > 1 else math.nan

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
        issue = issue or model.branch_issue
        data, tracking = read_model_data(model), Tracking.open(model.project)
        return cls(model, data, tracking, check_assumptions(model), issue)

    def run(self, candidate: str, report: Progress | None = None) -> CandidateRun:
        """Cross-validate one candidate, and record it; `report` gets the progress in words.

        What fits its kind is evaluated on the validation rows of all folds together.
        """
        tags = self.tags("experiment")
        with record_run(
            self.tracking, self.model, self.data, candidate, tags, issue=self.issue
        ) as run:
            rows = self.data.development
            pairs = list[pd.DataFrame]()
            scores = cross_validate(self.model, rows, candidate, report=report, pairs=pairs)
            observed = rows[self.model.params.target]
            evaluation = evaluate_pairs(self.model, pd.concat(pairs), observed)
            with artifact_errors(run.run_id):
                self.tracking.client.log_dict(run.run_id, evaluation, FILE)
            is_baseline = candidate == self.model.params.baseline
            return self.log_scores(run, candidate, scores, is_baseline=is_baseline)

    def log_scores(
        self, run: ActiveRun, candidate: str, scores: Scores, *, is_baseline: bool = False
    ) -> CandidateRun:
        """Record the metrics over the folds, and the Ask's metric of each fold."""
        params, metric = self.model.params, self.model.params.metric.name
        run.log_metrics(fold_metrics(scores, metric))
        folds = [score[metric] for score in scores]
        for fold, value in enumerate(folds):
            run.log_metrics({f"fold_{metric}": value}, step=fold)
        facts = {"is_baseline": is_baseline, "folds": folds, "ratio": self.fold_ratio}
        run.set_tags(criterion_tag(params, **facts))
        return CandidateRun(candidate, run.run_id, folds)

    @cached_property
    def fold_ratio(self) -> float:
        """How many rows a fold validates on for each row that it trains on, on average."""
        return fold_ratio(self.model, self.data)

    def tags(self, kind: str) -> dict[str, str]:
        """Tags of all runs of the experiment."""
        return {"dslp.kind": kind, "dslp.assumptions": self.assumptions.tag}


def cross_validate(
    model: Model,
    rows: pd.DataFrame,
    candidate: str,
    settings: Mapping[str, Any] | None = None,
    report: Progress | None = None,
    pairs: list[pd.DataFrame] | None = None,
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
    predicted: pd.DataFrame
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
