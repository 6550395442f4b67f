"""Which versions of a dataset are registered, as the tracking has them (D6).

A version is a run in the MLflow experiment `datasets`. It counts once it is FINISHED, which is the
last thing that happens to it, so a registration that was interrupted has registered nothing.
"""

import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.data.catalogue import FILES, Dataset
from dslp.data.datasheet import VERSION
from dslp.errors import DslpError, Refused
from dslp.project import Project

if TYPE_CHECKING:
    from dslp.data.version import Snapshot
    from dslp.experiments.tracking import Tracking
    from mlflow.entities import Run

EXPERIMENT = "datasets"
DIGEST = "dslp.dataset_digest"  # a tag


def last(dataset: Dataset) -> "Snapshot | None":
    """The highest version that is registered, as it was; nothing where tracking cannot be known.

    Raises:
        DslpError: the tracking server does not answer.
    """
    from dslp.data.version import Snapshot

    tracking = _tracking(dataset.project)
    if tracking is None:
        return None
    from dslp.experiments.tracking import answering

    with answering(), tempfile.TemporaryDirectory() as folder:
        found = runs(tracking, dataset.name)
        if not found:
            return None
        run = max(found, key=lambda run: [int(part) for part in version_of(run).split(".")])
        for file in FILES:
            tracking.client.download_artifacts(run.info.run_id, file, folder)
        return Snapshot.of(Path(folder), run.data.tags[DIGEST])


def known(dataset: Dataset, version: str) -> "list[Run]":
    """Registrations of a version; none where tracking cannot be known.

    Raises:
        DslpError: the tracking server does not answer.
    """
    tracking = _tracking(dataset.project)
    if tracking is None:
        return []
    from dslp.experiments.tracking import answering

    with answering():
        return [run for run in runs(tracking, dataset.name) if version_of(run) == version]


def same(found: "list[Run]", name: str, version: str, digest: str) -> bool:
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


def runs(tracking: "Tracking", name: str) -> "list[Run]":
    """The registrations of the dataset's versions: whatever states no version is none."""
    experiment = tracking.client.get_experiment_by_name(tracking.named(EXPERIMENT))
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


def address(project: Project) -> str:
    """Address of the tracking, or nothing where there is none, or none is known here."""
    if not find_spec("mlflow"):
        return ""
    from dslp.experiments.tracking import uri

    try:
        return str(uri(project))
    except DslpError:
        return ""


def _tracking(project: Project) -> "Tracking | None":
    """Tracking, where there is some to ask: a file that is not there yet has nothing to say."""
    place = address(project)
    file = place.startswith("sqlite:///")
    if not place or (file and not Path(place.removeprefix("sqlite:///")).is_file()):
        return None
    from dslp.experiments.tracking import Tracking

    return Tracking.open(project)
