"""Candidates of an issue compared with the baseline, on the Ask's metric and criterion (E2, E3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.pictures import beside
from dslp.core.report import Report, render_page
from dslp.experiments.evaluation import draw_views, read_evaluation
from dslp.experiments.gains import describe_gain, draw_gains, gain, sweep_sizes
from dslp.experiments.model import Model
from dslp.experiments.own_script import compare_own_runs
from dslp.experiments.params import Metric, share_problem
from dslp.experiments.runs import CandidateRun, Experiment, finished_runs
from dslp.experiments.splitting import ModelData, fold_ratio, read_model_data
from dslp.tracking.connection import Tracking, mlflow_errors

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Comparison:
    """The candidates of an issue, the baseline first, then the best; and which were left out."""

    model: Model
    issue: int | None
    runs: list[CandidateRun]
    notes: list[str]

    @property
    def subject(self) -> str:
        """What its runs have in common, in words."""
        return f"issue #{self.issue}" if self.issue else f"all runs of {self.model.name}"

    @property
    def verdicts(self) -> list[str]:
        """One sentence for each candidate but the baseline."""
        enough = self.model.params.criterion.improvement
        gains = [(run, run.gain) for run in self.runs if run.gain]
        return [f"{run.name}: {describe_gain(gain, enough, run.trials)}" for run, gain in gains]

    @property
    def report(self) -> Report:
        """The comparison for `--json`; a number that is infinite is null there."""
        params, criterion = self.model.params, self.model.params.criterion
        enough = criterion.improvement

        def details(run: CandidateRun) -> dict[str, Any]:
            gain = run.gain
            return {
                "candidate": run.name,
                "run": run.run_id,
                "mean": run.mean,
                "deviation": run.deviation,
                "folds": run.folds,
                "gain": gain.estimate if gain else None,
                "interval": [gain.low, gain.high] if gain else None,
                "best_of_trials": run.trials or None,
                "met": gain.estimate >= enough if gain else None,
                "verdict": describe_gain(gain, enough, run.trials) if gain else "baseline",
            }

        return Report(
            self.model.name,
            checks=len(self.verdicts),
            details={
                "issue": self.issue,
                "ask": params.ask.issue,
                "metric": params.metric.name,
                "direction": params.metric.better,
                "criterion": criterion.model_dump(),
                "candidates": [details(run) for run in self.runs],
                "notes": self.notes,
            },
        )


@mlflow_errors()
def compare_candidates(model: Model, issue: int | None = None) -> Comparison:
    """Compare the candidates of an issue, or all of the model's without one.

    Of several runs with the same candidate, parameters and code, the newest counts; of a sweep, its
    best trial. A run of other code than the present one is named with its commit. Only runs on the
    dataset's present content and split, with the present `evaluate.py`, can be compared.

    Raises:
        DslpError: the issue has no run that can be compared, or none of the baseline.
    """
    if model.has_own_script:
        return Comparison(model, issue, *compare_own_runs(model, issue))
    command = model.run_command(issue)
    tracking, params = Tracking.open(model.project), model.params
    subject = f"issue #{issue}" if issue else model.name
    runs = finished_runs(tracking, model, **({"issue": issue} if issue else {}))
    best = {run.data.tags.get("dslp.best") for run in runs}
    runs = [
        r for r in runs if r.data.tags.get("dslp.kind") == "experiment" or r.info.run_id in best
    ]
    if not runs:
        raise DslpError(f"{subject} has no finished run of {model.name}; first: {command}")
    data = read_model_data(model)
    newest: dict[tuple[str, ...], Run] = {}
    reasons = Counter[str]()
    for run in runs:
        if reason := _why_not_comparable(model, data, run):
            reasons[reason] += 1
        else:
            parameters = map(str, sorted(run.data.params.items()))
            key = (run.data.tags["dslp.candidate"], run.data.tags["dslp.code"], *parameters)
            newest.setdefault(key, run)
    baselines = [r for r in newest.values() if r.data.tags["dslp.candidate"] == params.baseline]
    if baselines[1:]:
        reasons["the baseline at another code or with other parameters"] = len(baselines) - 1
    notes = [f"{number} not compared: {reason}" for reason, number in reasons.items()]
    if not baselines:
        because = f" ({'; '.join(notes)})" if notes else ""
        problem = f"{subject} has no run of {params.baseline}, the baseline, on this data, split"
        raise DslpError(f"{problem} and evaluate.py{because}; first: {command}")
    ratio, trials = fold_ratio(model, data), best_of_trials(model, tracking)
    by, reference = params.criterion.by, _fold_values(tracking, baselines[0], params.metric)
    if problem := share_problem(params.metric, reference, by):
        notes.append(f"{problem} below criterion in params.yml")
    compared = []
    for run in newest.values():
        if run not in baselines:
            folds = _fold_values(tracking, run, params.metric)
            better = gain(reference, folds, params.metric.better, ratio, by)
            number = trials.get(frozenset(run.data.params.items()), 0)
            compared.append(
                CandidateRun(_label(model, run), run.info.run_id, folds, better, number)
            )
    compared.sort(key=lambda one: one.gain.estimate if one.gain else 0.0, reverse=True)
    first = CandidateRun(_label(model, baselines[0]), baselines[0].info.run_id, reference)
    return Comparison(model, issue, [first, *compared], notes)


@mlflow_errors()
def compare_runs(experiment: Experiment, runs: Sequence[CandidateRun]) -> Comparison:
    """Compare the runs of an experiment with the first of them, the baseline's."""
    model, tracking, (baseline, *rest) = experiment.model, experiment.tracking, runs
    ratio, trials = experiment.fold_ratio, best_of_trials(model, tracking)
    metric, by, compared = model.params.metric, model.params.criterion.by, [baseline]
    for run in rest:
        parameters = frozenset(tracking.client.get_run(run.run_id).data.params.items())
        better = gain(baseline.folds, run.folds, metric.better, ratio, by)
        compared.append(replace(run, gain=better, trials=trials.get(parameters, 0)))
    return Comparison(model, experiment.issue, compared, [])


@mlflow_errors()
def comparison_page(comparison: Comparison, folder: str) -> tuple[str, dict[str, str]]:
    """The page in Markdown, and its pictures, which will be in a folder of that name.

    It shows the gains, and of the baseline and the best candidate what fits the kind.
    """
    sides = {run.name: read_evaluation(run.run_id) for run in comparison.runs[:2]}
    pictures = {"gains": draw_comparison(comparison)}
    for number, (name, evaluation) in enumerate(sides.items(), start=1):
        views = draw_views(evaluation).items() if evaluation else ()
        pictures |= {f"{view}-{number}": beside(picture, name) for view, picture in views}
    context: dict[str, Any] = {
        "comparison": comparison,
        "sides": sides,
        "pictures": pictures,
        "folder": folder,
    }
    return render_page("comparison.md.jinja", **context), pictures


def draw_comparison(comparison: Comparison) -> str:
    """The gains with their intervals, beside the baseline and the criterion, as SVG."""
    params, enough = comparison.model.params, comparison.model.params.criterion.improvement
    gains = [
        (f"{run.name} (best of {run.trials})" if run.trials else run.name, run.gain)
        for run in comparison.runs
        if run.gain
    ]
    title = f"Gain in {params.metric.name} over {params.baseline}"
    words = ". ".join([f"{title}, {comparison.subject}", *comparison.verdicts])
    folds = len(comparison.runs[0].folds)
    footnote = f"Mean over {folds} folds, 95 % confidence interval; right is better"
    return draw_gains(words, title, gains, enough, footnote)


def best_of_trials(model: Model, tracking: Tracking) -> dict[frozenset[tuple[str, str]], int]:
    """How many trials of a sweep ended, by the parameters of the run that was the best of them."""
    sweeps = finished_runs(tracking, model, kind="sweep")
    sizes = sweep_sizes((run.data.tags["dslp.best"], run.data.metrics) for run in sweeps)
    records = [(tracking.client.get_run(run), size) for run, size in sizes.items()]
    return {frozenset(run.data.params.items()): size for run, size in records}


def _why_not_comparable(model: Model, data: ModelData, run: "Run") -> str:
    """The reason why a run cannot be compared; empty if it can."""
    tags, metric = run.data.tags, model.params.metric.name
    split = model.params.split.model_dump(exclude_none=True)
    same_split = {f"split.{name}": str(value) for name, value in split.items()}
    if tags.get("dslp.dataset_digest") != data.digest:
        version = f"{tags.get('dslp.dataset')} {tags.get('dslp.dataset_version', '')}"
        return f"made on other data ({version.strip()}, another digest)"
    if {n: v for n, v in run.data.params.items() if n.startswith("split.")} != same_split:
        return "made with another split"
    if tags.get("dslp.evaluate") != model.evaluate_digest:
        return "evaluated by another evaluate.py"
    return "" if f"fold_{metric}" in run.data.metrics else f"without {metric}"


def _label(model: Model, run: "Run") -> str:
    """The candidate's name; with the commit, where its code is not the present one."""
    tags = run.data.tags
    name = run.info.run_name if tags.get("dslp.kind") == "trial" else tags["dslp.candidate"]
    if tags["dslp.code"] == model.code_digest:
        return str(name)
    changes = "" if tags["dslp.clean"] == "true" else " with changes"
    return f"{name} at {tags['dslp.commit'][:7]}{changes}"


def _fold_values(tracking: Tracking, run: "Run", metric: Metric) -> list[float]:
    """The metric of each fold, in their order."""
    history = tracking.client.get_metric_history(run.info.run_id, f"fold_{metric.name}")
    return [one.value for one in sorted(history, key=lambda one: one.step)]
