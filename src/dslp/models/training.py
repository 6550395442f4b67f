"""Training a model: fitted on the development rows, evaluated on the holdout, and recorded."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.experiments.model import Model
from dslp.experiments.model_data import read_model_data
from dslp.experiments.recording import record_run, recorded_parameters
from dslp.experiments.runs import score_on_holdout
from dslp.models.api import API
from dslp.models.persistence import save_model
from dslp.models.signature import SIDES, check_fit, field_types, model_signature
from dslp.models.training_record import FILE, describe_training
from dslp.models.versioning import part_tags
from dslp.tracking.connection import Tracking, mlflow_errors

if TYPE_CHECKING:
    from mlflow.entities import Run

ARTIFACT = "model"  # folder of the model among a run's artifacts


@dataclass(frozen=True)
class Trained:
    """A trained model's run, and its figures on the holdout.

    `improvement` is the gain over the baseline in the Ask's metric, by the criterion's measure.
    """

    run: str
    candidate: str
    metrics: dict[str, float]
    improvement: float


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
    signature = model_signature(model)
    check_fit(model, data.rows)
    tags = {"dslp.kind": "training", **part_tags(model, candidate)}
    with record_run(tracking, model, data, candidate, tags, issue=issue) as record:
        estimator, figures = score_on_holdout(model, data, candidate)
        record.log_metrics(figures)
        with tempfile.TemporaryDirectory() as folder:
            metadata = {API: {name: field_types(model, name) for name in SIDES}}
            save_model(estimator, Path(folder) / ARTIFACT, signature, model.project, metadata)
            tracking.client.log_artifacts(record.run_id, folder)
        tracking.client.log_dict(record.run_id, describe_training(model, data, estimator), FILE)
    prefix = "holdout_"
    metrics = {n.removeprefix(prefix): v for n, v in figures.items() if n.startswith(prefix)}
    return Trained(record.run_id, candidate, metrics, figures["improvement"])


def best_candidate(model: Model, tracking: Tracking, digest: str) -> str:
    """The candidate with the best metric among the experiments that are still valid.

    These are runs on this dataset content, with this code, these parameters and this split. If a
    candidate has several, the newest counts.

    Raises:
        DslpError: there is none.
    """
    metric = model.params.metric
    runs = tracking.client.search_runs(
        [tracking.experiment_id(model.name)],
        filter_string=(
            "tags.`dslp.kind` = 'experiment' and attributes.status = 'FINISHED' "
            f"and tags.`dslp.dataset_digest` = '{digest}' "
            f"and tags.`dslp.code` = '{model.code_digest}'"
        ),
        order_by=["attributes.start_time DESC"],
    )
    figures: dict[str, float] = {}
    for run in runs:
        candidate = run.data.tags["dslp.candidate"]
        if (
            candidate in model.params.candidates
            and run.data.params == recorded_parameters(model, candidate)
            and metric.name in run.data.metrics
        ):
            figures.setdefault(candidate, run.data.metrics[metric.name])
    if not figures:
        raise DslpError(
            f"no experiment with this dataset, params.yml and code of {model.name} is recorded; "
            f"first: uv run dslp experiment run {model.name}, or say --candidate NAME"
        )
    choose = min if metric.better == "lower" else max
    return choose(figures, key=lambda candidate: figures[candidate])


def training_run(model: Model, tracking: Tracking, run: str | None = None) -> "Run":
    """The run of a training; by default of the last one, whoever made it.

    Raises:
        DslpError: nothing was trained.
    """
    if run:
        return tracking.client.get_run(run)
    runs = tracking.client.search_runs(
        [tracking.experiment_id(model.name)],
        filter_string="tags.`dslp.kind` = 'training' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not runs:
        raise DslpError(f"nothing was trained; first: uv run dslp model train {model.name}")
    return runs[0]
