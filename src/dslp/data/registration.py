"""The record of a dataset version: what it held, which commit made it, whether it passed (D6)."""

import json
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError, Refused
from dslp.core.files import write_text
from dslp.core.report import Report
from dslp.data.dataset import FILES, Dataset, check_current
from dslp.data.fingerprint import digest_and_rows
from dslp.data.loading import store_version
from dslp.data.registered_versions import EXPERIMENT, is_registered, registration_runs
from dslp.data.suite import validate
from dslp.data.versioning import check_version
from dslp.tracking.connection import DIGEST_LENGTH, Tracking, mlflow_errors, unshared_reason
from dslp.tracking.provenance import code_tags


def register(dataset: Dataset, folder: Path | None = None) -> str:
    """Record the version that the datasheet states, and keep its data as `NAME-VERSION`.

    Args:
        dataset: what to register: built by today's pipeline, and passing its suite.
        folder: where to write the record as a file as well.

    Returns:
        What became of it, in a sentence.

    Raises:
        Refused: the version is not one that may be registered, or holds something else already.
        DslpError: the data or the tracking cannot be read.
    """
    name, version = dataset.name, dataset.version
    check_current(dataset)
    check_version(dataset)
    engine = dataset.project.engine
    for each in (engine, "embedded") if engine == "sql" else (engine,):  # the table and the file
        report = validate(dataset, each)
        if not report.ok:
            raise Refused(
                f"{name} {version} is not registered: its suite does not hold; "
                f"see what: uv run dslp data validate {name} --engine {each}"
            )
    facts = registration_facts(dataset, report)
    kept = ""
    if folder is not None:
        path = folder / f"{name}-{version}.json"
        write_text(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        kept = f"; its record is {path}"
    reason = unshared_reason(dataset.project)
    if reason:
        if folder is None:
            raise DslpError(f"{name} {version} is not registered: {reason}")
        return f"{name} {version} is NOT registered: {reason}{kept}"
    new = _registered(dataset, facts)
    store_version(dataset)
    return f"{name} {version} {'is registered' if new else 'was registered before, as it is'}{kept}"


def registration_facts(dataset: Dataset, report: Report) -> dict[str, Any]:
    """What is to be known of a version: content, suite result, and what it was made from (B10)."""
    digest, rows = digest_and_rows(dataset)
    warnings = f", {len(report.findings)} findings" if report.findings else ""
    verdict = "holds" if report.ok else "does not hold"
    return {
        "dataset": dataset.name,
        "dataset_version": dataset.version,
        "dataset_digest": digest,
        "rows": rows,
        "suite": f"{verdict}: {report.checks} checks{warnings}",
        **{key.removeprefix("dslp."): value for key, value in code_tags(dataset.project).items()},
    }


def _registered(dataset: Dataset, facts: dict[str, Any]) -> bool:
    """Record the version, unless the same is recorded; say whether it is new."""
    tracking = Tracking.open(dataset.project)
    name, version, digest = (facts[key] for key in ("dataset", "dataset_version", "dataset_digest"))
    tags = {f"dslp.{key}": str(value) for key, value in facts.items()}
    tags["dslp.kind"] = "dataset"
    with mlflow_errors():
        if is_registered(registration_runs(tracking, name), name, version, digest):
            return False
        experiment = tracking.experiment_id(EXPERIMENT)
        own = tracking.client.create_run(experiment, run_name=f"{name} {version}", tags=tags)
        status = "FAILED"
        try:
            _fill(tracking, dataset, facts, own.info.run_id)
            status = "FINISHED"
        finally:
            tracking.client.set_terminated(own.info.run_id, status)
    return True


def _fill(tracking: Tracking, dataset: Dataset, facts: dict[str, Any], run: str) -> None:
    """Give the run the dataset as MLflow shows it, and the files that say what it is."""
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput

    columns = dataset.yaml("schema.yml").get("columns")
    described = [
        {"name": str(name), "type": str(column.get("type"))}
        for name, column in (columns.items() if isinstance(columns, dict) else ())
    ]
    entity = Entity(
        name=dataset.name,
        digest=facts["dataset_digest"][:DIGEST_LENGTH],
        source_type="local",
        source=f"processed/{dataset.name}-{facts['dataset_version']}",
        schema=json.dumps({"mlflow_colspec": described}),
        profile=json.dumps({"num_rows": facts["rows"]}),
    )
    tracking.client.log_inputs(run, [DatasetInput(entity, [])])
    for file in FILES:
        tracking.client.log_artifact(run, str(dataset.folder / file))
