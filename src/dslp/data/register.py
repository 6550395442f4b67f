"""The record of a dataset version: what it held, which commit made it, whether it passed (D6)."""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.data.catalogue import FILES, Dataset, check_current
from dslp.data.datasheet import save
from dslp.data.digest import content
from dslp.data.kept import keep
from dslp.data.registered import EXPERIMENT, address, runs, same
from dslp.data.report import Report
from dslp.data.validate import validate
from dslp.data.version import check
from dslp.errors import DslpError, Refused
from dslp.project import Project, git

if TYPE_CHECKING:
    from dslp.experiments.tracking import Tracking


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
    check(dataset)
    engine = dataset.project.engine
    for each in (engine, "embedded") if engine == "sql" else (engine,):  # the table and the file
        report = validate(dataset, each)
        if not report.ok:
            raise Refused(
                f"{name} {version} is not registered: its suite does not hold; "
                f"see what: uv run dslp data validate {name} --engine {each}"
            )
    facts = record(dataset, report)
    kept = ""
    if folder is not None:
        path = folder / f"{name}-{version}.json"
        save(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        kept = f"; its record is {path}"
    reason = alone(dataset.project)
    if reason:
        if folder is None:
            raise DslpError(f"{name} {version} is not registered: {reason}")
        return f"{name} {version} is NOT registered: {reason}{kept}"
    new = _registered(dataset, facts)
    keep(dataset)
    return f"{name} {version} {'is registered' if new else 'was registered before, as it is'}{kept}"


def record(dataset: Dataset, report: Report) -> dict[str, Any]:
    """What is to be known of a version: content, suite result, and what it was made from (B10)."""
    digest, rows = content(dataset)
    warnings = f", {len(report.findings)} findings" if report.findings else ""
    verdict = "holds" if report.ok else "does not hold"
    made: dict[str, str] = {"dslp.commit": git(dataset.project, "rev-parse", "HEAD") or "none"}
    if find_spec("mlflow"):
        from dslp.experiments.provenance import provenance

        made = provenance(dataset.project)
    return {
        "dataset": dataset.name,
        "dataset_version": dataset.version,
        "dataset_digest": digest,
        "rows": rows,
        "suite": f"{verdict}: {report.checks} checks{warnings}",
        **{key.removeprefix("dslp."): value for key, value in made.items()},
    }


def _registered(dataset: Dataset, facts: dict[str, Any]) -> bool:
    """Record the version, unless the same is recorded; say whether it is new."""
    from dslp.experiments.tracking import Tracking, answering

    tracking = Tracking.open(dataset.project)
    name, version, digest = (facts[key] for key in ("dataset", "dataset_version", "dataset_digest"))
    tags = {f"dslp.{key}": str(value) for key, value in facts.items()}
    tags["dslp.kind"] = "dataset"
    with answering():
        if same(runs(tracking, name), name, version, digest):
            return False
        experiment = tracking.experiment(EXPERIMENT)
        own = tracking.client.create_run(experiment, run_name=f"{name} {version}", tags=tags)
        status = "FAILED"
        try:
            _fill(tracking, dataset, facts, own.info.run_id)
            status = "FINISHED"
        finally:
            tracking.client.set_terminated(own.info.run_id, status)
    return True


def _fill(tracking: "Tracking", dataset: Dataset, facts: dict[str, Any], run: str) -> None:
    """Give the run the dataset as MLflow shows it, and the files that say what it is."""
    from dslp.experiments.tracking import DIGEST
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput

    columns = dataset.yaml("schema.yml").get("columns")
    described = [
        {"name": str(name), "type": str(column.get("type"))}
        for name, column in (columns.items() if isinstance(columns, dict) else ())
    ]
    entity = Entity(
        name=dataset.name,
        digest=facts["dataset_digest"][:DIGEST],
        source_type="local",
        source=f"processed/{dataset.name}-{facts['dataset_version']}",
        schema=json.dumps({"mlflow_colspec": described}),
        profile=json.dumps({"num_rows": facts["rows"]}),
    )
    tracking.client.log_inputs(run, [DatasetInput(entity, [])])
    for file in FILES:
        tracking.client.log_artifact(run, str(dataset.folder / file))


def alone(project: Project) -> str:
    """Why nothing that is registered here would be seen elsewhere, if so."""
    if not find_spec("mlflow"):
        return "this project has no tracking; answer components with experiments as well"
    local = re.match(r"(sqlite|file):|(?!databricks)[^:]+$", address(project))
    if local and (os.environ.get("GITHUB_ACTIONS") or os.environ.get("CI")):
        return (
            "tracking is a file of this machine, which ends with the job; "
            "for a record that lasts, set MLFLOW_TRACKING_URI to a server"
        )
    return ""
