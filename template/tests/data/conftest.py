"""Datasets for the tests: the built ones, or built here for the tests alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle.data.build import RawMissing, ensure
from lifecycle.data.catalogue import Dataset, datasets
from lifecycle.errors import LifecycleError
from lifecycle.project import Project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """A dataset as it lies in `data/`, or else built by today's pipeline in a temporary folder."""
    here = Project.find(Path(__file__).parent)
    aside = Project.find(Path(__file__).parent, data=tmp_path_factory.mktemp("data"))

    def find(name: str) -> Dataset:
        try:
            (dataset,) = datasets(here, [name])
            if not dataset.processed.is_file() or dataset.stale:
                (dataset,) = datasets(aside, [name])
                ensure(dataset)
        except RawMissing as error:
            pytest.skip(f"{name} is where its raw data is, not here: {error}")
        except LifecycleError as error:
            pytest.fail(str(error), pytrace=False)
        return dataset

    return find
