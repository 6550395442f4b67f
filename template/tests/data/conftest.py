"""Datasets for the tests: the built ones, or built here for the tests alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle.data.build import build
from lifecycle.data.catalogue import Dataset, datasets
from lifecycle.errors import LifecycleError
from lifecycle.project import Project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """A dataset that is built: as it lies in `data/`, or else in a temporary folder."""
    aside: Path = tmp_path_factory.mktemp("data")

    def find(name: str) -> Dataset:
        (dataset,) = datasets(Project.find(Path(__file__).parent), [name])
        if dataset.processed.is_file():
            return dataset
        (dataset,) = datasets(Project.find(Path(__file__).parent, data=aside), [name])
        if not dataset.processed.is_file():
            try:
                build(dataset)
            except LifecycleError as error:
                pytest.skip(f"{name} is not built here, and cannot be: {error}")
        return dataset

    return find
