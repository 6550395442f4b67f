"""Which versions of a dataset are registered, as the tracking has them (D6).

A version is a run in the MLflow experiment `datasets`. It counts once it is FINISHED, which is the
last thing that happens to it, so a registration that was interrupted has registered nothing.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import Refused
from dslp.core.semver import VERSION, parse_version
from dslp.core.settings import Project
from dslp.data.dataset import FILES, Dataset
from dslp.tracking.connection import Tracking, mlflow_errors, tracking_address

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "datasets"
DIGEST = "dslp.dataset_digest"  # a tag


def fetch_last_registered(dataset: Dataset, folder: Path) -> str | None:
    """Fetch the files of the highest registered version into a folder.

    Returns:
        The digest of that version's content; None where no version is registered, or the tracking
        server is not known.

    Raises:
        DslpError: the tracking server does not answer.
    """
    tracking = _tracking(dataset.project)
    if tracking is None:
        return None
    with mlflow_errors():
        runs = registration_runs(tracking, dataset.name)
        if not runs:
            return None
        last = max(runs, key=lambda run: parse_version(version_of(run)))
        for file in FILES:
            tracking.client.download_artifacts(last.info.run_id, file, str(folder))
        return str(last.data.tags[DIGEST])


def registrations_of(dataset: Dataset, version: str) -> "list[Run]":
    """Registrations of a version; none where tracking cannot be known.

    Raises:
        DslpError: the tracking server does not answer.
    """
    tracking = _tracking(dataset.project)
    if tracking is None:
        return []

    with mlflow_errors():
        return [
            run for run in registration_runs(tracking, dataset.name) if version_of(run) == version
        ]


def is_registered(found: "list[Run]", name: str, version: str, digest: str) -> bool:
    """Whether the version is among these registrations, with this content.

    Raises:
        Refused: it is registered with another one (I6).
    """
    for run in found:
        if version_of(run) != version:
            continue
        if run.data.tags[DIGEST] == digest:
            return True
        raise Refused(
            f"{name} {version} is registered with other content (commit "
            f"{run.data.tags.get('dslp.commit', 'none')[:12]}); what changed is a new version "
            f"with an issue of its own (I6): uv run dslp data version {name}"
        )
    return False


def registration_runs(tracking: Tracking, name: str) -> "list[Run]":
    """The registrations of the dataset's versions: whatever states no version is none."""
    experiment = tracking.client.get_experiment_by_name(tracking.experiment_name(EXPERIMENT))
    if experiment is None:
        return []
    found = tracking.client.search_runs(
        [experiment.experiment_id],
        f"tags.`dslp.kind` = 'dataset' and tags.`dslp.dataset` = '{name}' "
        "and attributes.status = 'FINISHED'",
    )
    return [
        run for run in found if re.fullmatch(VERSION, version_of(run)) and DIGEST in run.data.tags
    ]


def version_of(run: "Run") -> str:
    """The version that a run is about."""
    return str(run.data.tags.get("dslp.dataset_version"))


def _tracking(project: Project) -> Tracking | None:
    """Tracking, where there is some to ask: a file that is not there yet has nothing to say."""
    place = tracking_address(project)
    file = place.startswith("sqlite:///")
    if not place or (file and not Path(place.removeprefix("sqlite:///")).is_file()):
        return None
    return Tracking.open(project)
