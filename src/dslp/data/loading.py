"""`dslp.load`: a dataset, or one of its versions, as a data frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.semver import parse_version
from dslp.core.settings import Project
from dslp.data.dataset import Dataset, find_dataset
from dslp.data.reading import read_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StoredVersion(Dataset):
    """A version of a dataset, whose data is kept as `NAME-VERSION` beside the processed data."""

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
        name: of the dataset.
        version: such as 1.2.0; without it, the present processed data.
        columns: names of the columns to read; all without it.

    Raises:
        DslpError: it is missing (with the command that gets it), or cannot be read.
    """
    dataset = find_dataset(Project.find(), name)
    if version is not None:
        dataset = _find_version(dataset, version)
    return read_frame(dataset, columns)


def _find_version(dataset: Dataset, version: str) -> Dataset:
    """The kept data of a version, or the processed data where it is that version."""
    from dslp.data.fingerprint import digest
    from dslp.data.registered_versions import is_registered
    from dslp.data.sharing import NotShared, fetch
    from dslp.tracking.connection import tracking_address

    parse_version(version)
    stored, hint = StoredVersion(dataset.project, dataset.name, version), ""
    if stored.is_built:
        return stored
    if version == dataset.version and dataset.is_built and not dataset.stale:
        registered = is_registered(dataset, version, digest(dataset))
        if registered or not tracking_address(dataset.project):
            return dataset
        hint = f", or register the processed data: uv run dslp data register {dataset.name}"
    try:
        fetch(dataset, version)
    except NotShared as error:
        raise DslpError(f"{dataset.name} {version} is missing here, and {error}{hint}") from None
    return stored
