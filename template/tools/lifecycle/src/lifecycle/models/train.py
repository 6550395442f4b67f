"""Training a model: fitted on the development rows, judged once on the holdout, and recorded."""

import tempfile
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from re import match
from typing import Any

from lifecycle.errors import LifecycleError
from lifecycle.experiments.material import material
from lifecycle.experiments.model import Model
from lifecycle.experiments.tracking import Tracking, answering, parameters
from lifecycle.models.signature import signature
from lifecycle.project import Project

ARTIFACT = "model"  # folder of the model among a run's artifacts


@dataclass(frozen=True)
class Trained:
    """A trained model's run, and its figures on the holdout.

    `improvement` is the gain over the baseline in the Ask's metric, as a share.
    """

    run: str
    candidate: str
    metrics: dict[str, float]
    improvement: float


@answering()
def train(model: Model, candidate: str | None = None) -> Trained:
    """Train a candidate, by default the best of the experiments on this very dataset.

    Raises:
        LifecycleError: there is no such candidate, no experiment to choose from, or the data does
            not have the types that `schema.py` states.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import validate_schema

    params, metric = model.params, model.params.metric
    data = material(model)
    tracking = Tracking.open(model.project)
    candidate = candidate or best(model, tracking, data.digest)
    if candidate not in params.candidates:
        known = ", ".join(params.candidates)
        raise LifecycleError(f"no candidate {candidate!r} in params.yml; there are: {known}")
    form = signature(model)
    try:
        validate_schema(data.rows[model.inputs], form.inputs)
    except MlflowException as error:  # the registered model would refuse the same rows
        where = f"{model.folder / 'schema.py'}: Request does not fit {params.dataset.name}"
        raise LifecycleError(f"{where}: {' '.join(str(error).split())[:240]}") from None
    tags = {"lifecycle.kind": "training", "lifecycle.ask": str(params.ask.issue)}
    with tracking.run(model, data, candidate, tags) as record:
        estimator = model.fit(candidate, data.development)
        metrics = model.score(estimator, data.holdout)
        reference = model.score(model.fit(params.baseline, data.development), data.holdout)
        improvement = metric.improvement(metrics[metric.name], reference[metric.name])
        record.metrics({f"holdout_{name}": value for name, value in metrics.items()})
        record.metrics({f"baseline_holdout_{metric.name}": reference[metric.name]})
        record.metrics({"improvement": improvement})
        with tempfile.TemporaryDirectory() as folder:
            save(estimator, Path(folder) / ARTIFACT, form, requirements(model.project))
            tracking.client.log_artifacts(record.identifier, str(Path(folder) / ARTIFACT), ARTIFACT)
    return Trained(record.identifier, candidate, metrics, improvement)


def best(model: Model, tracking: Tracking, digest: str) -> str:
    """The candidate with the best metric among the experiments on what there is today.

    What counts is a run on this dataset content, with this code, these parameters and this split;
    of several of a candidate, the newest.

    Raises:
        LifecycleError: there is none.
    """
    metric = model.params.metric
    runs = tracking.client.search_runs(
        [tracking.experiment(model.name)],
        filter_string=(
            "tags.`lifecycle.kind` = 'experiment' and attributes.status = 'FINISHED' "
            f"and tags.`lifecycle.dataset_digest` = '{digest}' "
            f"and tags.`lifecycle.code` = '{model.code}'"
        ),
        order_by=["attributes.start_time DESC"],
    )
    found: dict[str, float] = {}
    for run in runs:
        candidate = run.data.tags["lifecycle.candidate"]
        if (
            candidate in model.params.candidates
            and run.data.params == parameters(model, candidate)
            and metric.name in run.data.metrics
        ):
            found.setdefault(candidate, run.data.metrics[metric.name])
    if not found:
        raise LifecycleError(
            f"no experiment with this dataset, params.yml and code of {model.name} is recorded; "
            f"first: uv run lifecycle experiment run {model.name}, or say --candidate NAME"
        )
    choose = min if metric.better == "lower" else max
    return choose(found, key=lambda candidate: found[candidate])


def save(estimator: Any, folder: Path, form: Any, needs: list[str]) -> None:
    """Write the estimator as an MLflow model that loads without this tool or the project.

    Raises:
        LifecycleError: it is nothing that MLflow's scikit-learn flavour can keep.
    """
    import mlflow.sklearn
    import skops.io
    from sklearn.base import BaseEstimator

    if not isinstance(estimator, BaseEstimator):
        raise LifecycleError(
            f"train returned {type(estimator).__name__}; a model that is registered must be a "
            "scikit-learn estimator or pipeline"
        )
    # skops asks which types may be loaded; those of a model that was made a moment ago may.
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    mlflow.sklearn.save_model(
        estimator,
        str(folder),
        signature=form,
        pip_requirements=needs,
        skops_trusted_types=trusted,
    )


def requirements(project: Project) -> list[str]:
    """What it takes to load the model: MLflow's own list, and the project's dependencies."""
    import mlflow.sklearn

    content = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    stated = content.get("project", {}).get("dependencies", [])
    needed = [*mlflow.sklearn.get_default_pip_requirements(), "numpy", "skops", *stated]
    pinned = {}
    for requirement in needed:
        name = match(r"[\w.-]+", requirement)
        if name:
            with suppress(PackageNotFoundError):  # for another platform or Python version
                pinned[name[0].lower()] = version(name[0])
    return [f"{name}=={number}" for name, number in sorted(pinned.items())]
