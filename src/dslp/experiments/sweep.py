"""A sweep: a candidate tried with many settings, each trial a run beneath the sweep's own run.

The driver records all trials: begun before any is computed, and each ended once, by its outcome.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dslp.core.errors import DslpError
from dslp.experiments import runs
from dslp.experiments.cluster import compute_trials
from dslp.experiments.model import Model
from dslp.experiments.params import Sweep, Tried
from dslp.experiments.recording import record_run, recorded_parameters
from dslp.experiments.runs import Attempt, Experiment
from dslp.experiments.trial import pack_trials
from dslp.tracking.connection import RecordedRun, ended_on_error, mlflow_errors
from dslp.tracking.provenance import settings_tag


@dataclass(frozen=True)
class Swept:
    """What came of a sweep.

    Attributes:
        run: of the sweep, to which those of the trials belong.
        finished: attempts by number of the trial, the best first.
        failed: reasons by number of the trial.
        settings: of the candidate, by number of the trial.
    """

    run: str
    finished: dict[int, Attempt]
    failed: dict[int, str]
    settings: dict[int, dict[str, Any]]


def sweep(
    experiment: Experiment,
    trials: int | None = None,
    address: str | None = None,
    heard: Callable[[str], None] = lambda ended: None,
) -> Swept:
    """Try the candidate that `sweep` in `params.yml` names, with settings drawn from its ranges.

    Args:
        experiment: the model and its data.
        trials: how many, if not as many as `params.yml` says.
        address: of a cluster, see `computed`.
        heard: is told after each trial how many have ended.

    Raises:
        DslpError: `params.yml` has no sweep, the cluster does not answer, or no trial ended
            well.
    """
    model, tracking = experiment.model, experiment.tracking
    metric, plan = model.params.metric, model.params.sweep
    if plan is None:
        raise DslpError(
            f"{model.folder / 'params.yml'} has no sweep; write, say, sweep: {{candidate: "
            f"{list(model.params.candidates)[-1]}, trials: 20, seed: 1, parameters: "
            "{NAME: {low: 0.01, high: 1, log: true}}}"
        )
    base = model.params.candidates[plan.candidate]
    settings = {
        number: merged(base, drawn)
        for number, drawn in enumerate(draws(plan, trials or plan.trials), start=1)
    }
    attempts: dict[int, Attempt] = {}
    failed: dict[int, str] = {}
    name = f"sweep of {plan.candidate}"
    more = {"issue": experiment.issue, "name": name}
    outcomes = compute_trials(address, pack_trials(experiment), plan.candidate, settings)
    tags = experiment.tags("sweep")
    with record_run(tracking, model, experiment.data, plan.candidate, tags, **more) as own:
        open_runs: dict[int, RecordedRun] = {}
        try:
            for number in settings:
                open_runs[number] = _begun(experiment, own, number, settings[number])
            for number, outcome in outcomes:
                record = open_runs[number]
                record.metrics({"seconds": outcome.seconds})
                if outcome.reason:
                    failed[number] = outcome.reason
                    record.tags({"dslp.reason": outcome.reason[:500]})
                    record.end("FAILED")
                else:
                    attempts[number] = runs.record(
                        record, plan.candidate, outcome.scores, metric.name
                    )
                    record.end("FINISHED")
                del open_runs[number]
                heard(f"{len(settings) - len(open_runs)} of {len(settings)}")
        except BaseException as error:
            for record in open_runs.values():
                with suppress(Exception):  # the server may be what failed; the others are tried
                    record.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
                    record.tags({"dslp.reason": "the sweep was stopped"})
            raise
        own.metrics({"trials": len(settings), "failed": len(failed)})
        if not attempts:
            raise DslpError(f"each of {len(settings)} trials failed; first: {failed[min(failed)]}")
        ranked = sorted(
            attempts,
            key=lambda number: attempts[number].metrics[metric.name],
            reverse=metric.better == "higher",
        )
        own.metrics({metric.name: attempts[ranked[0]].metrics[metric.name]})
        own.tags({"dslp.best": attempts[ranked[0]].run})
    finished = {number: attempts[number] for number in ranked}
    return Swept(own.identifier, finished, dict(sorted(failed.items())), settings)


def draws(plan: Sweep, trials: int) -> list[dict[str, Any]]:
    """Values of the parameters for each trial, the same for the same seed.

    Where there are choices alone and fewer of them than trials, each is drawn once.
    """
    import warnings

    import numpy as np
    from sklearn.model_selection import ParameterSampler

    ways = {name: _distribution(tried) for name, tried in plan.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer choices than trials
        drawn = list(ParameterSampler(ways, trials, random_state=plan.seed))
    return [
        {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in one.items()
        }
        for one in drawn
    ]


def merged(settings: Mapping[str, Any], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the drawn values in their places; dots in a name are levels."""
    result = copy.deepcopy(dict(settings))
    for name, value in drawn.items():
        *levels, last = name.split(".")
        place = result
        for level in levels:
            place = place.setdefault(level, {})
            if not isinstance(place, dict):
                raise DslpError(f"sweep.parameters.{name}: {level} has no parameters within")
        place[last] = value
    return result


class _Whole:
    """Whole numbers from `low` to `high`, each order of magnitude as likely as the next."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def rvs(self, random_state: Any) -> int:
        """One of them."""
        from scipy.stats import loguniform

        drawn = loguniform(self.low, self.high + 1).rvs(random_state=random_state)
        return min(int(drawn), self.high)


def _distribution(tried: Tried) -> Any:
    from scipy.stats import loguniform, randint, uniform

    if tried.choices is not None:
        return tried.choices
    low, high = tried.low, tried.high
    assert low is not None
    assert high is not None
    if isinstance(low, int) and isinstance(high, int):
        return _Whole(low, high) if tried.log else randint(low, high + 1)
    return loguniform(low, high) if tried.log else uniform(low, high - low)


@mlflow_errors()
def _begun(
    experiment: Experiment, parent: RecordedRun, number: int, settings: dict[str, Any]
) -> RecordedRun:
    """A trial's run, which says of its origin what the sweep's run says."""
    from mlflow.entities import Param

    model, client = experiment.model, experiment.tracking.client
    of = client.get_run(parent.identifier)
    candidate = of.data.tags["dslp.candidate"]
    tags = {name: value for name, value in of.data.tags.items() if name.startswith("dslp.")}
    tags.pop("dslp.settings", None)  # these are of the candidate
    tags |= {
        "dslp.kind": "trial",
        "mlflow.parentRunId": parent.identifier,
        **settings_tag(settings),
    }
    begun = client.create_run(of.info.experiment_id, run_name=f"{candidate} {number}", tags=tags)
    record = RecordedRun(client, str(begun.info.run_id))
    given = recorded_parameters(model, candidate, settings)
    with ended_on_error(record):
        client.log_batch(record.identifier, params=[Param(*pair) for pair in given.items()])
    return record


def snippet(model: Model, swept: Swept) -> str:
    """The best trial as lines for `candidates` in `params.yml`."""
    import yaml

    assert model.params.sweep is not None
    best = next(iter(swept.finished))
    candidate, number = model.params.sweep.candidate, 2
    while f"{candidate}_{number}" in model.params.candidates:
        number += 1
    text = yaml.safe_dump({f"{candidate}_{number}": swept.settings[best]}, sort_keys=False)
    return "\n".join(f"  {line}" for line in text.splitlines())
