"""Registering a dataset version: its content, the commit that made it, its suite's result (D6)."""

import json
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError, Refused
from dslp.core.files import copy_path, write_text
from dslp.core.report import Report
from dslp.data.dataset import Dataset, check_current
from dslp.data.fingerprint import digest_and_rows
from dslp.data.loading import StoredVersion
from dslp.data.registered_versions import EXPERIMENT, is_registered
from dslp.data.schema import read_schema
from dslp.data.verdict import check_suite
from dslp.data.versioning import check_version
from dslp.tracking.connection import (
    ActiveRun,
    Tracking,
    ended_on_error,
    mlflow_errors,
    process_tag,
    unshared_reason,
)
from dslp.tracking.provenance import code_tags, source_tags


def register(dataset: Dataset, folder: Path | None = None) -> str:
    """Register the version in the datasheet, and keep its data as `NAME-VERSION`.

    Args:
        dataset: built by the present pipeline, and passing its suite.
        folder: where to write the record as a file, too.

    Returns:
        The result in a sentence.

    Raises:
        Refused: the version may not be registered, or is registered with other content.
        DslpError: the data cannot be read, or the tracking server does not answer.
    """
    name, version = dataset.name, dataset.version
    check_current(dataset)
    check_version(dataset)
    engine = dataset.project.engine
    for each in (engine, "embedded") if engine == "sql" else (engine,):  # the table and the file
        report = check_suite(dataset, each, fresh=True)
        if not report.ok:
            raise Refused(
                f"{name} {version} is not registered: its suite does not hold; "
                f"see: uv run dslp data validate {name} --engine {each}"
            )
    facts = _facts(dataset, report)
    suffix, reason = "", unshared_reason(dataset.project)
    if folder is not None:
        path = folder / f"{name}-{version}.json"
        write_text(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        suffix = f"; its record is {path}"
    elif reason:
        raise DslpError(f"{name} {version} is not registered: {reason}")
    if reason:
        return f"{name} {version} is NOT registered: {reason}{suffix}"
    before = is_registered(dataset, version, facts["dataset_digest"])
    if not before:
        _record(dataset, facts)
    built, copy = dataset.built, StoredVersion(dataset.project, name, version).processed
    copy_path(built, copy.with_suffix(built.suffix))
    result = "was registered before, with the same content" if before else "is registered"
    return f"{name} {version} {result}{suffix}"


def _facts(dataset: Dataset, report: Report) -> dict[str, Any]:
    """What is recorded of a version: content, suite result, and the code that made it (B10)."""
    digest, rows = digest_and_rows(dataset)
    warnings = f", {len(report.findings)} findings" if report.findings else ""
    return {
        "dataset": dataset.name,
        "dataset_version": dataset.version,
        "dataset_digest": digest,
        "rows": rows,
        "suite": f"holds: {report.checks} checks{warnings}",
        **{key.removeprefix("dslp."): value for key, value in code_tags(dataset.project).items()},
    }


def _record(dataset: Dataset, facts: dict[str, Any]) -> None:
    """Record the version as a run, with the dataset as MLflow shows it, and its four files."""
    tracking, version = Tracking.open(dataset.project), facts["dataset_version"]
    tags = {f"dslp.{key}": str(value) for key, value in facts.items()} | {"dslp.kind": "dataset"}
    tags |= source_tags(dataset.project, dataset.folder) | process_tag()
    columns = {name: column.type for name, column in read_schema(dataset).columns.items()}
    place, title = f"processed/{dataset.name}-{version}", f"{dataset.name} {version}"
    with mlflow_errors():
        client, experiment = tracking.client, tracking.experiment_id(EXPERIMENT)
        run = ActiveRun(
            client, client.create_run(experiment, run_name=title, tags=tags).info.run_id
        )
        with ended_on_error(run):
            run.log_dataset(dataset.name, facts["dataset_digest"], place, columns, facts["rows"])
            for file in dataset.own_files:
                client.log_artifact(run.run_id, str(dataset.folder / file))
        run.end("FINISHED")
