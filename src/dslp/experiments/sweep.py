"""A sweep: a candidate tried with many settings, each trial a run beneath the sweep's own run.

All trials are recorded by the process that sweeps: started before any is computed, and ended once,
with its result.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from dslp.core.errors import DslpError
from dslp.experiments.cluster import compute_trials
from dslp.experiments.model import Model
from dslp.experiments.params import ParameterRange, Sweep
from dslp.experiments.recording import record_run, recorded_parameters, start_run
from dslp.experiments.runs import CandidateRun, Experiment, log_scores
from dslp.experiments.trial import bundle_model
from dslp.tracking.connection import ActiveRun
from dslp.tracking.provenance import settings_tag


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
    base, tags = model.params.candidates[plan.candidate], experiment.tags("sweep")
    samples = enumerate(draws(plan, trials or plan.trials), start=1)
    settings = {number: merged(base, values) for number, values in samples}
    finished, failed = dict[int, CandidateRun](), dict[int, str]()
    results = compute_trials(address, bundle_model(experiment), plan.candidate, settings)
    more: dict[str, Any] = {"issue": experiment.issue, "name": f"sweep of {plan.candidate}"}
    tracking, data = experiment.tracking, experiment.data
    with record_run(tracking, model, data, plan.candidate, tags, **more) as parent:
        active: dict[int, ActiveRun] = {}
        try:
            active.update(start_trials(model, parent, settings))
            with closing(results):
                for number, result in results:
                    run = active[number]
                    run.log_metrics({"seconds": result.seconds})
                    if result.reason:
                        failed[number] = result.reason
                        run.set_tags({"dslp.reason": result.reason})
                    else:
                        scores = result.scores
                        finished[number] = log_scores(run, plan.candidate, scores, metric.name)
                    run.end("FAILED" if result.reason else "FINISHED")
                    del active[number]
                    report(f"{len(settings) - len(active)} of {len(settings)}")
        except BaseException as error:
            for run in active.values():
                with suppress(Exception):  # the server may be the cause; the others are tried
                    run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
                    run.set_tags({"dslp.reason": "the sweep was stopped"})
            raise
        parent.log_metrics({"trials": len(settings), "failed": len(failed)})
        if not finished:
            raise DslpError(f"each of {len(settings)} trials failed; first: {failed[min(failed)]}")
        ranked = sorted(
            finished, key=lambda number: finished[number].mean, reverse=metric.better == "higher"
        )
        best = finished[ranked[0]]
        parent.log_metrics({metric.name: best.mean})
        parent.set_tags({"dslp.best": best.run_id})
    in_order = {number: finished[number] for number in ranked}
    return SweepResult(parent.run_id, in_order, dict(sorted(failed.items())), settings)


def start_trials(
    model: Model, parent: ActiveRun, settings: Mapping[int, dict[str, Any]]
) -> Iterator[tuple[int, ActiveRun]]:
    """Start a run for each trial, one after the other, with the tags of the sweep's run."""
    sweep_run = parent.client.get_run(parent.run_id)
    origin = {n: value for n, value in sweep_run.data.tags.items() if n.startswith("dslp.")}
    origin |= {"dslp.kind": "trial", "mlflow.parentRunId": parent.run_id}
    origin.pop("dslp.settings", None)  # those of the candidate
    candidate, experiment = origin["dslp.candidate"], sweep_run.info.experiment_id
    for number, chosen in settings.items():
        name, tags = f"{candidate} {number}", origin | settings_tag(chosen)
        parameters = recorded_parameters(model, candidate, chosen)
        yield number, start_run(parent.client, experiment, name, tags, parameters)


def draws(plan: Sweep, trials: int) -> list[dict[str, Any]]:
    """Values of the parameters for each trial, the same for the same seed.

    Where all parameters are choices, and there are fewer combinations than trials, each is drawn
    once.
    """
    import warnings

    import numpy as np
    from sklearn.model_selection import ParameterSampler

    distributions = {name: _distribution(values) for name, values in plan.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer combinations than trials
        sample = list(ParameterSampler(distributions, trials, random_state=plan.seed))
    return [
        {name: v.item() if isinstance(v, np.generic) else v for name, v in values.items()}
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


class _LogInteger:
    """Integers from `low` to `high`, each order of magnitude equally likely."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def rvs(self, random_state: Any) -> int:
        """Draw one."""
        from scipy.stats import loguniform

        value = loguniform(self.low, self.high + 1).rvs(random_state=random_state)
        return min(int(value), self.high)


def _distribution(values: ParameterRange) -> Any:
    from scipy.stats import loguniform, randint, uniform

    low, high = values.low, values.high
    if values.choices is not None or low is None or high is None:
        return values.choices
    if isinstance(low, int) and isinstance(high, int):
        return _LogInteger(low, high) if values.log else randint(low, high + 1)
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
