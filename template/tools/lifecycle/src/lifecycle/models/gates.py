"""The gates between challenger and champion (M7): `gates.yml`, each with its figure and limit."""

from dataclasses import dataclass

from lifecycle.errors import LifecycleError
from lifecycle.experiments.material import material
from lifecycle.experiments.model import Model, Strict, checked
from pydantic import Field


class Champion(Strict):
    """How much worse than the champion a challenger may be, as a share of the champion's figure."""

    margin: float = Field(ge=0)


class Gates(Strict):
    """What stands in `gates.yml`: a gate that is left out is not asked for."""

    criterion: bool = True
    champion: Champion | None = None


@dataclass(frozen=True)
class Verdict:
    """One gate: what was measured, what was asked for, and whether it is passed."""

    gate: str
    figure: str
    limit: str
    passed: bool


def verdicts(model: Model, challenger: str, champion: str | None) -> list[Verdict]:
    """Judge version `challenger` of the registry, against version `champion` if there is one.

    Both are asked to predict the same holdout now, so figures of different data never meet.

    Raises:
        LifecycleError: a version cannot be loaded.
    """
    gates = checked(Gates, model.folder / "gates.yml")
    params, metric = model.params, model.params.metric
    data = material(model)
    value = model.score(_load(model, challenger), data.holdout)[metric.name]
    found = []
    if gates.criterion:
        baseline = model.score(model.fit(params.baseline, data.development), data.holdout)
        gain = metric.improvement(value, baseline[metric.name])
        limit = params.criterion.improvement
        found.append(Verdict("success criterion", f"{gain:+.1%}", f"{limit:+.1%}", gain >= limit))
    if gates.champion and champion:
        reference = model.score(_load(model, champion), data.holdout)[metric.name]
        gain = metric.improvement(value, reference)
        limit = -gates.champion.margin
        found.append(
            Verdict(f"against version {champion}", f"{gain:+.1%}", f"{limit:+.1%}", gain >= limit)
        )
    return found


def _load(model: Model, version: str) -> object:
    import mlflow

    try:
        return mlflow.pyfunc.load_model(f"models:/{model.name}/{version}")
    except Exception as error:  # whatever storage or deserialisation raises
        reason = " ".join(str(error).split())[:160]
        raise LifecycleError(
            f"{model.name} version {version} cannot be loaded: {reason}"
        ) from error
