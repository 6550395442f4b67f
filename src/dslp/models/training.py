"""Training a model: fitted, evaluated on the holdout, recorded, and loaded again for tests (M7).

The record is stored beside the model. It holds what people wrote and what was counted, and no row
of data. The model card (M11) and the monitoring (M9) read it, long after the data has changed.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from dslp.core.errors import DslpError
from dslp.core.files import read_yaml
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.experiments.comparison import best_of_trials
from dslp.experiments.evaluation import evaluate_pairs, truth_pairs
from dslp.experiments.model import Model
from dslp.experiments.runs import (
    ASSUMPTIONS,
    HoldoutResult,
    finished_runs,
    record_run,
    recorded_parameters,
    score_on_holdout,
)
from dslp.experiments.splitting import ModelData, read_model_data
from dslp.experiments.uncertainty import measure
from dslp.models import drift
from dslp.models.api import API, SIDES, Api, check_fit, field_types, model_signature
from dslp.models.persistence import fetch_model, load_model, model_requirements, save_model
from dslp.models.versioning import TAG, part_tags
from dslp.tracking.connection import Tracking, artifact_errors, mlflow_errors

if TYPE_CHECKING:
    from dslp.tracking.registry import Registry, Release
    from mlflow.entities import Run


FILE = "record.json"  # among the artifacts of a run
ARTIFACT = "model"  # folder of the model among a run's artifacts


@dataclass(frozen=True)
class Trained:
    """A trained model's run, and what it does on the holdout.

    `trials` says of how many trials of a sweep the candidate is the best, 0 if of none; `warning`
    says that the dataset does not pass its own suite, if it does not.
    """

    run: str
    candidate: str
    result: HoldoutResult
    trials: int
    warning: str


@mlflow_errors()
def train(model: Model, candidate: str | None = None, issue: int | None = None) -> Trained:
    """Train a candidate, by default the best of the experiments on this very dataset.

    The run belongs to the issue, or to that which the branch is named for (E1, E2).

    Raises:
        DslpError: there is no experiment to choose from, or the data does not have the types of
            `schema.py`.
    """
    data, tracking = read_model_data(model), Tracking.open(model.project)
    candidate = candidate or best_candidate(model, tracking, data.digest)
    signature, api = model_signature(model), Api(model)
    check_fit(model, data.rows)
    tags = {"dslp.kind": "training", **part_tags(model, candidate)}
    with record_run(tracking, model, data, candidate, tags, issue=issue) as record:
        result = score_on_holdout(model, data, candidate)
        record.log_metrics(result.figures)
        with tempfile.TemporaryDirectory() as folder:
            options: dict[str, Any] = {
                "metadata": {API: {name: field_types(model, name) for name in SIDES}}
            }
            if api.example:
                options["input_example"] = api.frame([api.example])
            path = Path(folder) / ARTIFACT
            save_model(result.estimator, path, signature, model.project, **options)
            description = describe_training(model, data, result)
            with artifact_errors(record.run_id):
                tracking.client.log_artifacts(record.run_id, folder)
                tracking.client.log_dict(record.run_id, description, FILE)
    parameters = frozenset(recorded_parameters(model, candidate).items())
    trials = best_of_trials(model, tracking).get(parameters, 0)
    return Trained(record.run_id, candidate, result, trials, data.warning)


def best_candidate(model: Model, tracking: Tracking, digest: str) -> str:
    """The candidate with the best metric among the experiments that are still valid.

    These are runs on this dataset content, with this code, these parameters and this split. If a
    candidate has several, the newest counts.

    Raises:
        DslpError: there is none.
    """
    name, metric, figures = model.name, model.params.metric, dict[str, float]()
    current = {"dataset_digest": digest, "code": model.code_digest}
    for run in finished_runs(tracking, model, 1_000, kind="experiment", **current):
        candidate, metrics = run.data.tags["dslp.candidate"], run.data.metrics
        existing = candidate in model.params.candidates and metric.name in metrics
        if existing and run.data.params == recorded_parameters(model, candidate):
            figures.setdefault(candidate, metrics[metric.name])
    if not figures:
        problem = f"no experiment with this dataset, params.yml and code of {name} is recorded"
        todo = f"uv run dslp experiment run {name}, or say --candidate NAME"
        raise DslpError(f"{problem}; first: {todo}")
    return (min if metric.better == "lower" else max)(figures, key=lambda name: figures[name])


def training_run(model: Model, tracking: Tracking, run: str | None = None) -> "Run":
    """The run of a training; by default of the last one, whoever made it.

    Raises:
        DslpError: nothing was trained.
    """
    if run:
        return tracking.client.get_run(run)
    runs = finished_runs(tracking, model, 1, kind="training")
    if not runs:
        raise DslpError(f"nothing was trained; first: uv run dslp model train {model.name}")
    return runs[0]


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that is tested.

    Attributes:
        project: of the model.
        run_id: of the run that it was trained in.
        release: its version, if it is registered.
    """

    project: Project
    run_id: str
    release: "Release | None" = None

    @cached_property
    def run(self) -> "Run":
        """The run.

        Raises:
            DslpError: it was deleted.
        """
        with mlflow_errors():
            return Tracking.open(self.project).client.get_run(self.run_id)

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.release.label if self.release else f"run {self.run_id[:8]}"

    @property
    def candidate(self) -> str:
        """The candidate of `params.yml` that it is."""
        return str(self.run.data.tags.get("dslp.candidate", ""))

    @property
    def suite_held(self) -> bool:
        """Whether the data that it was trained on passed its own suite."""
        return bool(self.run.data.tags.get("dslp.suite") != "does not hold")

    @property
    def split(self) -> tuple[dict[str, str], str]:
        """What decides which rows it was not trained on, and its target (`training_split`)."""
        return training_split(self.run.data.params, self.run.data.tags)

    @cached_property
    def folder(self) -> Path:
        """Its files, on this machine.

        Raises:
            DslpError: they are missing, or are not those that were registered.
        """
        if self.release:
            return fetch_model(self.project, self.release)
        import mlflow

        try:
            download = mlflow.artifacts.download_artifacts
            return Path(download(run_id=self.run_id, artifact_path=ARTIFACT))
        except Exception as error:  # whatever the storage raises
            raise DslpError(f"{self.label} cannot be loaded: {error_line(error)}") from error

    @cached_property
    def estimator(self) -> Any:
        """The model, loaded."""
        return load_model(self.folder)


def training_split(
    params: Mapping[str, str], tags: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Of a run: the split with the name and the key of the dataset; and the target."""
    split = {name: value for name, value in params.items() if name.startswith("split.")}
    population = json.loads(tags.get(f"{TAG}population", "{}"))
    dataset = {name: str(population.get(name, "")) for name in ("dataset", "key")}
    return split | dataset, tags.get(f"{TAG}target", "")


def describe_training(model: Model, data: ModelData, result: HoldoutResult) -> dict[str, Any]:
    """The record of a model that was just trained."""
    from dslp.models.web_api import openapi_document

    params, sheet = model.params, model.dataset.sheet
    rows, holdout = data.development, data.holdout
    predicted, api = result.predicted, Api(model)
    return {
        "question": params.ask.question,
        "metric": params.metric.model_dump(),
        "criterion": params.criterion.model_dump(),
        "target": params.target,
        "population": model.dataset.yaml("schema.yml").get("population") or "",
        "personal_data": sheet.personal_data,
        "known_issues": sheet.known_issues,
        "assumptions": _assumptions(model),
        "rows": len(rows),
        "holdout": len(holdout),
        "example": api.example and api.example.model_dump(mode="json", by_alias=True),
        "openapi": openapi_document(api),
        "packages": model_requirements(model.project, ()),
        "features": {n: drift.reference_bins(rows[n], sheet.personal_data) for n in model.inputs},
        "predictions": {name: drift.reference_bins(predicted[name]) for name in predicted},
        "rows_per_unit": drift.rows_per_unit(rows, params.split),
        "quality": _quality(model, holdout, result),
        "evaluation": evaluate_pairs(model, truth_pairs(model, rows, holdout, predicted)),
    }


def read_record(registry: "Registry", release: "Release") -> dict[str, Any]:
    """The record of a version.

    Raises:
        DslpError: it is missing, or the storage does not give it.
    """
    import mlflow

    try:
        path = mlflow.artifacts.download_artifacts(run_id=release.run, artifact_path=FILE)
        content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # whatever the storage raises
        problem = f"the record of {release.label} cannot be read ({error_line(error)})"
        todo = f"train, register and promote {registry.name} again"
        raise DslpError(f"{problem}; {todo}") from error
    return content


def _assumptions(model: Model) -> list[str]:

    path = model.folder / ASSUMPTIONS
    content: Any = read_yaml(path) if path.is_file() else {}
    return [one["description"] for one in content.get("expectations") or () if "description" in one]


def _quality(model: Model, holdout: pd.DataFrame, result: HoldoutResult) -> dict[str, Any]:
    """The Ask's metric on the holdout, and how sure it is.

    The design effect is by how much groups, or times, add to its variance (L. Kish, Survey
    Sampling, 1965).
    """
    by, measured, effect = model.params.split.by, result.measured, 1.0
    if by:
        rows, target = holdout.drop(columns=by), holdout[model.params.target]
        single = measure(model, rows, target, result.predicted)
        effect = float(np.nanvar(measured.draws) / (np.nanvar(single.draws) or np.inf))
    figures = {"value": measured.value, "draws": measured.draws.tolist(), "units": measured.units}
    return {**figures, "design_effect": max(1.0, effect)}
