"""The registered versions of a dataset, read from the tracking server (D6).

A version is a run in the MLflow experiment `datasets`. It counts once its status is FINISHED, which
is set last, so an interrupted registration has registered nothing.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import Refused
from dslp.core.semver import VERSION, parse_version
from dslp.data.dataset import FILES, Dataset
from dslp.tracking.connection import Tracking, local_database, mlflow_errors, tracking_address

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "datasets"
DIGEST = "dslp.dataset_digest"  # a tag


def registered_runs(dataset: Dataset, version: str | None = None) -> "list[Run]":
    """The runs that register versions of a dataset, or this version; none without tracking.

    Raises:
        DslpError: the tracking server does not answer.
    """
    if not tracking_address(dataset.project):
        return []
    file = local_database(dataset.project)
    if file and not file.is_file():  # nothing is recorded yet
        return []
    tracking = Tracking.open(dataset.project)
    with mlflow_errors():
        experiment = tracking.client.get_experiment_by_name(tracking.experiment_name(EXPERIMENT))
        runs = tracking.client.search_runs(
            [experiment.experiment_id] if experiment else [],
            f"tags.`dslp.kind` = 'dataset' and tags.`dslp.dataset` = '{dataset.name}' "
            "and attributes.status = 'FINISHED'",
        )
    return [
        run
        for run in runs
        if DIGEST in run.data.tags
        and re.fullmatch(VERSION, version_of(run))
        and version in (None, version_of(run))
    ]


def fetch_last_registered(dataset: Dataset, folder: Path) -> str | None:
    """Fetch the files of the highest registered version into a folder.

    Returns:
        The digest of that version's content; None where no version is registered.

    Raises:
        DslpError: the tracking server does not answer.
    """
    runs = registered_runs(dataset)
    if not runs:
        return None
    last = max(runs, key=lambda run: parse_version(version_of(run)))
    client = Tracking.open(dataset.project).client
    with mlflow_errors():
        logged = {file.path for file in client.list_artifacts(last.info.run_id)}
        for file in (*FILES[1:], *logged.intersection(FILES[:1])):
            client.download_artifacts(last.info.run_id, file, str(folder))
    return str(last.data.tags[DIGEST])


def is_registered(dataset: Dataset, version: str, digest: str) -> bool:
    """Whether the version is registered with this content.

    Raises:
        Refused: it is registered with other content (I6).
        DslpError: the tracking server does not answer.
    """
    for run in registered_runs(dataset, version):
        if run.data.tags[DIGEST] == digest:
            return True
        raise Refused(
            f"{dataset.name} {version} is registered with other content (commit "
            f"{run.data.tags.get('dslp.commit', 'none')[:12]}); a change is a new version "
            f"with its own issue (I6): uv run dslp data version {dataset.name}"
        )
    return False


def version_of(run: "Run") -> str:
    """The version that a run registers."""
    return str(run.data.tags.get("dslp.dataset_version"))
