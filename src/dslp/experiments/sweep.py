"""A sweep: a candidate tried with many settings, each trial a run beneath the sweep's own run.

Each trial is recorded by the process that sweeps, once, when its result is there.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from dslp.core.errors import DslpError
from dslp.experiments.cluster import Bundle, compute_trials
from dslp.experiments.model import Model
from dslp.experiments.params import ParameterRange, Sweep
from dslp.experiments.recording import record_run
from dslp.experiments.runs import CandidateRun, Experiment, log_scores


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        run_id: of the sweep's own run.
        finished: recorded runs by number of the trial, the best first.
        failed: reasons by number of the trial.
        settings: of the candidate, by number of the trial.
    """

    run_id: str
    finished: dict[int, CandidateRun]
    failed: dict[int, str]
    settings: dict[int, dict[str, Any]]


class TrialFailed(Exception):
    """Ends the run of a trial as failed."""


def sweep_plan(model: Model) -> Sweep:
    """The section `sweep` of `params.yml`.

    Raises:
        DslpError: it is missing, or a parameter lies within one that has no parameters.
    """
    plan, where = model.params.sweep, model.folder / "params.yml"
    if plan is None:
        raise DslpError(
            f"{where} has no sweep; write, for example, sweep: {{candidate: "
            f"{list(model.params.candidates)[-1]}, trials: 20, seed: 1, parameters: "
            "{NAME: {low: 0.01, high: 1, log: true}}}"
        )
    merged(model.params.candidates[plan.candidate], dict.fromkeys(plan.parameters))
    return plan


def sweep(
    experiment: Experiment,
    trials: int | None = None,
    address: str | None = None,
    report: Callable[[str], None] = lambda progress: None,
) -> SweepResult:
    """Try the candidate that `sweep` in `params.yml` names, with settings drawn from its ranges.

    Args:
        experiment: the model and its data.
        trials: how many, by default as many as `params.yml` says.
        address: of a cluster, see `cluster_kind`.
        report: is called after each trial with the number of trials that have ended.

    Raises:
        DslpError: `params.yml` has no sweep, the cluster does not answer, or every trial failed.
    """
    model, metric = experiment.model, experiment.model.params.metric
    plan = sweep_plan(model)
    samples = enumerate(draws(plan, trials or plan.trials), start=1)
    base = model.params.candidates[plan.candidate]
    settings = {number: merged(base, values) for number, values in samples}
    finished, failed = dict[int, CandidateRun](), dict[int, str]()
    results = compute_trials(address, Bundle.of(experiment, plan.candidate), settings)
    made_from = (experiment.tracking, model, experiment.data, plan.candidate)
    record, name = partial(record_run, *made_from, issue=experiment.issue), plan.candidate
    with record(experiment.tags("sweep"), name=f"sweep of {name}") as parent, closing(results):
        own = parent.client.get_run(parent.run_id).data.tags
        tags = {n: v for n, v in own.items() if n.startswith("dslp.") and n != "dslp.settings"}
        tags |= {"dslp.kind": "trial", "mlflow.parentRunId": parent.run_id}
        for number, result in results:
            trial = record(tags, name=f"{name} {number}", settings=settings[number])
            with suppress(TrialFailed), trial as run:
                run.log_metrics({"seconds": result.seconds})
                if result.reason:
                    failed[number] = result.reason
                    run.set_tags({"dslp.reason": result.reason})
                    raise TrialFailed
                finished[number] = log_scores(run, plan.candidate, result.scores, metric.name)
            report(f"{len(finished) + len(failed)} of {len(settings)}")
        parent.log_metrics({"trials": len(settings), "failed": len(failed)})
        if not finished:
            raise DslpError(f"each of {len(settings)} trials failed; first: {failed[min(failed)]}")
        sign = -1 if metric.better == "higher" else 1
        ranked = sorted(finished.items(), key=lambda pair: sign * pair[1].mean)
        best = ranked[0][1]
        parent.log_metrics({metric.name: best.mean})
        parent.set_tags({"dslp.best": best.run_id})
    return SweepResult(parent.run_id, dict(ranked), dict(sorted(failed.items())), settings)


def draws(plan: Sweep, trials: int) -> list[dict[str, Any]]:
    """Values of the parameters for each trial, the same for the same seed.

    Where all parameters are choices, and there are fewer combinations than trials, each is drawn
    once.
    """
    import warnings

    from sklearn.model_selection import ParameterSampler

    distributions = {name: _distribution(values) for name, values in plan.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer combinations than trials
        sample = list(ParameterSampler(distributions, trials, random_state=plan.seed))
    return [
        {name: plan.parameters[name].cut(value) for name, value in values.items()}
        for values in sample
    ]


def merged(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with these values in their places; a dot in a name is a level.

    Raises:
        DslpError: a value belongs within a setting that has no parameters.
    """
    result = copy.deepcopy(dict(settings))
    for name, value in values.items():
        *levels, last = name.split(".")
        place = result
        for level in levels:
            place = place.setdefault(level, {})
            if not isinstance(place, dict):
                raise DslpError(f"sweep.parameters.{name}: {level} has no parameters within")
        place[last] = value
    return result


def _distribution(values: ParameterRange) -> Any:
    from scipy.stats import loguniform, uniform

    if values.choices is not None:
        return values.choices
    low, high = values.ends
    return loguniform(low, high) if values.log else uniform(low, high - low)


def snippet(model: Model, result: SweepResult) -> str:
    """The best trial as lines for `candidates` in `params.yml`."""
    import yaml

    candidate, number = sweep_plan(model).candidate, 2
    while f"{candidate}_{number}" in model.params.candidates:
        number += 1
    best = result.settings[next(iter(result.finished))]
    text = yaml.safe_dump({f"{candidate}_{number}": best}, sort_keys=False)
    return "\n".join(f"  {line}" for line in text.splitlines())
