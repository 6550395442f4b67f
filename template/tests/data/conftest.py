"""Datasets for the tests: as they lie in `data/`, or built aside as their datasheets say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dslp.data.build import RawMissing, stand_in
from dslp.data.catalogue import Dataset, datasets
from dslp.data.ci import summary
from dslp.errors import DslpError
from dslp.project import Project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """A dataset as it lies in `data/`, or else built in a temporary folder by today's pipeline.

    `ci` in its datasheet says from what: its source, a sample, or nothing (then its tests are
    skipped). A pipeline that fails is a failure, never a skip.
    """
    here = Project.find(Path(__file__).parent)
    aside = Project.find(Path(__file__).parent, data=tmp_path_factory.mktemp("data"))

    def find(name: str) -> Dataset:
        try:
            (dataset,) = datasets(here, [name])
            if not dataset.is_built or dataset.stale:
                (dataset,) = datasets(aside, [name])
                if not dataset.is_built:
                    stand_in(dataset)
        except RawMissing as error:
            where = f"where it is: uv run dslp data validate {name}"
            summary(f"{name}: the suite was NOT run, the data is not here; {where}")
            pytest.skip(f"{name}: {error}; its suite runs {where}")
        except DslpError as error:
            pytest.fail(str(error), pytrace=False)
        return dataset

    return find
