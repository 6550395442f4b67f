"""Recording a run of a candidate: what it is made from, and how it ended (E1, B10, V1)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dslp.core.branch_names import issue_of_branch
from dslp.experiments.assumptions import check_assumptions
from dslp.experiments.model import Model
from dslp.experiments.model_data import ModelData
from dslp.tracking.connection import (
    DIGEST_LENGTH,
    RecordedRun,
    Tracking,
    ended_on_error,
    mlflow_errors,
)
from dslp.tracking.environment import environment_version
from dslp.tracking.provenance import code_tags, flatten, issue_note, settings_tag


def run_tags(
    model: Model, data: ModelData, candidate: str, settings: Mapping[str, Any], issue: int | None
) -> dict[str, str]:
    """Tags that say what a run of the candidate is made from, with these settings.

    The issue is the one that is given, else the one that the branch is named for, if it is.
    """
    params, code = model.params, code_tags(model.project)
    tags = {
        "dslp.model": model.name,
        "dslp.candidate": candidate,
        "dslp.ask": str(params.ask.issue),
        "dslp.dataset": params.dataset.name,
        "dslp.dataset_version": data.version,
        "dslp.dataset_digest": data.digest,
        "dslp.code": model.code,
        "dslp.evaluate": model.judge,
        "dslp.seed": str(params.split.seed),
        **code,
        **settings_tag(settings),
    }
    issue = issue or issue_of_branch(code["dslp.branch"])
    if issue is not None:
        tags |= {"dslp.issue": str(issue)} | issue_note(model.project, issue)
    return tags


def recorded_parameters(
    model: Model, candidate: str, settings: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What a run of the candidate records of `params.yml`: its own part, and the split."""
    chosen = model.params.candidates[candidate] if settings is None else settings
    return flatten({"candidate": chosen, "split": model.params.split.model_dump(exclude_none=True)})


def begin_run(
    tracking: Tracking,
    model: Model,
    data: ModelData,
    candidate: str,
    tags: Mapping[str, str],
    *,
    settings: Mapping[str, Any] | None = None,
    issue: int | None = None,
    name: str | None = None,
) -> RecordedRun:
    """Begin a run that says what it is made from; who begins it must end it.

    Args:
        tracking: where the run is recorded.
        model: what is tried or trained.
        data: what it is made from.
        candidate: of `params.yml`.
        tags: more facts, `dslp.kind` among them.
        settings: of the candidate, where they are others than in `params.yml`.
        issue: number of the run's issue, where the branch is not named for it.
        name: of the run, the candidate's by default.
    """
    from mlflow.entities import Dataset, DatasetInput, Param

    chosen = model.params.candidates[candidate] if settings is None else settings
    all_tags = {
        **run_tags(model, data, candidate, chosen, issue),
        "dslp.environment_version": environment_version(tracking),
        **tags,
    }
    if "dslp.assumptions" not in all_tags:
        all_tags["dslp.assumptions"] = check_assumptions(model).tag
    experiment = tracking.experiment(model.name)
    started = tracking.client.create_run(experiment, run_name=name or candidate, tags=all_tags)
    record = RecordedRun(tracking.client, str(started.info.run_id))
    dataset = Dataset(
        name=model.params.dataset.name,
        digest=data.digest[:DIGEST_LENGTH],
        source_type="local",
        source=str(model.dataset.processed),
    )
    with ended_on_error(record):
        parameters = [
            Param(*pair) for pair in recorded_parameters(model, candidate, settings).items()
        ]
        tracking.client.log_batch(record.identifier, params=parameters)
        tracking.client.log_inputs(record.identifier, [DatasetInput(dataset, [])])
    return record


@contextmanager
def record_run(
    tracking: Tracking,
    model: Model,
    data: ModelData,
    candidate: str,
    tags: Mapping[str, str],
    **more: Any,
) -> Iterator[RecordedRun]:
    """Record a run (`begin_run`), and end it however the block ends."""
    with mlflow_errors():
        record = begin_run(tracking, model, data, candidate, tags, **more)
        with ended_on_error(record):
            yield record
        record.end("FINISHED")
