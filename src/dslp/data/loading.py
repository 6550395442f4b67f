"""Versions of a dataset, kept as `NAME-VERSION` beside what is built today."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.files import copy_path
from dslp.core.settings import Project
from dslp.data.dataset import Dataset, find_datasets
from dslp.data.reading import read_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StoredVersion(Dataset):
    """A dataset as one of its versions was; `of` is that version."""

    of: str = ""

    @property
    def processed(self) -> Path:
        """The data of that version."""
        return self.project.data / "processed" / f"{self.name}-{self.of}.parquet"


def load(
    name: str, version: str | None = None, columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    """A dataset as a data frame, from anywhere in the project, such as a notebook.

    Args:
        name: the dataset's.
        version: the one to load, such as 1.2.0; without it, what is built here now.
        columns: the ones to read; all without it.

    Raises:
        DslpError: it is not here (and this is how to get it), or cannot be read.
    """
    from dslp.core.semver import parse_version
    from dslp.data.fingerprint import digest
    from dslp.data.registered_versions import DIGEST, registrations_of
    from dslp.tracking.connection import tracking_address

    (dataset,) = find_datasets(Project.find(), [name])
    if version is None:
        return read_frame(dataset, columns)
    parse_version(version)
    kept = StoredVersion(dataset.project, name, version)
    if kept.is_built:
        return read_frame(kept, columns)
    registered = []
    with suppress(DslpError):  # such as for lack of a network
        registered = registrations_of(dataset, version)
    digests = [run.data.tags[DIGEST] for run in registered]
    if digests and dataset.is_built and digest(dataset) in digests:
        return read_frame(dataset, columns)
    tracked = bool(tracking_address(dataset.project))
    if not tracked and version == dataset.version and dataset.is_built and not dataset.stale:
        return read_frame(dataset, columns)  # nothing else can tell
    commits = {run.data.tags.get("dslp.commit", "none") for run in registered} - {"none"}
    how = "".join(f", or build it from commit {commit[:12]}" for commit in commits)
    if tracked and not registered and version == dataset.version:
        how = f", or register what is built here: uv run dslp data register {name}"
    raise DslpError(
        f"{name} {version} is not here; fetch it: uv run dslp data pull {name} "
        f"--version {version}{how}"
    )


def store_version(dataset: Dataset) -> Path:
    """Keep the built data as the version that its datasheet states."""
    built = dataset.built
    target = built.with_name(f"{dataset.name}-{dataset.version}{built.suffix}")
    copy_path(built, target)
    return target
