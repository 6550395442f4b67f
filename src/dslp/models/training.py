"""Training a model: fitted, evaluated on the holdout, recorded, and loaded again for tests (M7)."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.experiments.comparison import best_of_trials
from dslp.experiments.model import Model
from dslp.experiments.runs import (
    HoldoutResult,
    finished_runs,
    record_run,
    recorded_parameters,
    score_on_holdout,
)
from dslp.experiments.splitting import read_model_data
from dslp.models.api import API, SIDES, Api, check_fit, field_types, model_signature
from dslp.models.persistence import fetch_model, load_model, save_model
from dslp.models.training_record import FILE, describe_training
from dslp.models.versioning import TAG, part_tags
from dslp.tracking.connection import Tracking, artifact_errors, mlflow_errors

if TYPE_CHECKING:
    from dslp.tracking.registry import Release
    from mlflow.entities import Run


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
