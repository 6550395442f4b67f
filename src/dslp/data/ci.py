"""Saying in CI what was not done there, and where it is done."""

import os

from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset, find_datasets


def unbuildable_reason(dataset: Dataset, command: str) -> str:
    """Why a command is for where the data is, or nothing where CI can build the dataset."""
    source = _unbuildable(dataset)
    if source is None:
        return ""
    whose = "its" if source == dataset else f"{source.name}'s"
    return (
        f"{dataset.name}: ci is {source.sheet.ci} in {whose} datasheet; do this where the data is: "
        f"uv run dslp data {command} {dataset.name}"
    )


def ensure_data(dataset: Dataset) -> None:
    """Have a dataset here: from the team's store where one is known, else by building it.

    Raises:
        DslpError: it is not to be built in CI, or either does not work.
    """
    from dslp.data.build import ensure_built
    from dslp.data.store import pull

    if os.environ.get("DSLP_DATA_STORE"):
        pull(dataset)
    elif os.environ.get("CI") and (why := unbuildable_reason(dataset, "build")):
        raise DslpError(why)
    else:
        ensure_built(dataset)


def _unbuildable(dataset: Dataset) -> Dataset | None:
    """The dataset, or the first that it is built from, whose whole CI does not build."""
    if dataset.sheet.ci != "build":
        return dataset
    for name in dataset.takes or ():
        (parent,) = find_datasets(dataset.project, [name])
        if found := _unbuildable(parent):
            return found
    return None
