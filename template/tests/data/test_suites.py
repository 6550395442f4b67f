"""Each dataset of the project matches its schema and passes its suite (D3)."""

import pytest
from dslp.testing import check_dataset, project_datasets


@pytest.mark.parametrize("name", project_datasets())
def test_suite_holds(name: str) -> None:
    check_dataset(name)
