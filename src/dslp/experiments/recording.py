"""Recording a run of a candidate: what it is made from, and how it ended (E1, B10, V1)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dslp.core.branch_names import issue_of_branch
from dslp.core.git import git_output
from dslp.experiments.assumptions import check_assumptions
from dslp.experiments.model import Model
from dslp.experiments.model_data import ModelData
from dslp.tracking.connection import (
    ActiveRun,
    Tracking,
    ended_on_error,
    mlflow_errors,
    process_tag,
)
from dslp.tracking.environment import environment_version
from dslp.tracking.provenance import (
    code_tags,
    describe_origin,
    flatten,
    settings_tag,
    source_tags,
)

if TYPE_CHECKING:
    from mlflow.entities import Run


LONGEST = 6000  # characters that MLflow keeps of a parameter
WITHOUT_ISSUE = "no issue is recorded, since the branch is not named for one; give --issue N"


def branch_issue(model: Model) -> int | None:
    """The issue that the present branch is named for, if it is named for one (B1)."""
    return issue_of_branch(git_output(model.project, "branch", "--show-current") or "")


def recorded_parameters(
    model: Model, candidate: str, settings: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What a run of the candidate records of `params.yml`: its own settings, and the split."""
    chosen = model.params.candidates[candidate] if settings is None else settings
    split = model.params.split.model_dump(exclude_none=True)
    flat = flatten({"candidate": chosen, "split": split})
    return {name: text[:LONGEST] for name, text in flat.items()}


def finished_runs(
    tracking: Tracking, model: Model, most: int = 5000, **tags: object
) -> "list[Run]":
    """The newest finished runs of the model that have these tags of the library."""
    parts = [f"tags.`dslp.{name}` = '{value}' and " for name, value in tags.items()]
    where, order = f"{''.join(parts)}attributes.status = 'FINISHED'", ["attributes.start_time DESC"]
    return list(
        tracking.client.search_runs([tracking.experiment_id(model.name)], where, 1, most, order)
    )


@contextmanager
def record_run(
    tracking: Tracking,
    model: Model,
    data: ModelData,
    candidate: str,
    tags: Mapping[str, str],
    *,
    issue: int | None = None,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[ActiveRun]:
    """Record a run that says what it is made from, and end it however the block ends.

    Args:
        tracking: where the run is recorded.
        model: the model that is tried or trained.
        data: its data.
        candidate: the candidate of `params.yml`.
        tags: more tags, `dslp.kind` among them.
        issue: number of the run's issue, by default the one that the branch is named for.
        name: of the run, by default the candidate's.
        settings: of the candidate, by default those in `params.yml`.
    """
    from mlflow.entities import Param

    with mlflow_errors():
        params, code = model.params, code_tags(model.project)
        all_tags = {
            "dslp.model": model.name,
            "dslp.candidate": candidate,
            "dslp.ask": str(params.ask.issue),
            "dslp.dataset": params.dataset.name,
            "dslp.dataset_version": data.version,
            "dslp.dataset_digest": data.digest,
            "dslp.suite": "holds" if data.suite.ok else "does not hold",
            "dslp.code": model.code_digest,
            "dslp.evaluate": model.evaluate_digest,
            "dslp.seed": str(params.split.seed),
            "dslp.environment_version": environment_version(tracking),
            **code,
            **settings_tag(params.candidates[candidate] if settings is None else settings),
            **source_tags(model.project, model.folder),
            **process_tag(),
            **tags,
        }
        issue = issue or issue_of_branch(code["dslp.branch"])
        if issue is not None:
            all_tags["dslp.issue"] = str(issue)
        ask = params.ask
        note = describe_origin(model.project, ask.question, ask=ask.issue, issue=issue)
        all_tags["mlflow.note.content"] = note
        if params.known_before:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in params.known_before.items())
            all_tags["dslp.known_before"] = reasons[:LONGEST]
        if "dslp.assumptions" not in all_tags:
            all_tags["dslp.assumptions"] = check_assumptions(model).tag
        client, name = tracking.client, name or candidate
        info = client.create_run(
            tracking.experiment_id(model.name), run_name=name, tags=all_tags
        ).info
        parameters = recorded_parameters(model, candidate, settings)
        run = ActiveRun(client, str(info.run_id))
        with ended_on_error(run):
            client.log_batch(run.run_id, params=[Param(*pair) for pair in parameters.items()])
            columns = {str(name): str(dtype) for name, dtype in data.rows.dtypes.items()}
            place, rows = str(model.dataset.processed), len(data.rows)
            run.log_dataset(params.dataset.name, data.digest, place, columns, rows)
            yield run
        run.end("FINISHED")
