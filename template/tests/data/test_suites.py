"""Each dataset of the project matches its schema and passes its suite (D3)."""

import pytest
from dslp.testing import check_dataset, dataset_names


@pytest.mark.parametrize("name", dataset_names())
def test_suite_holds(name: str) -> None:
    check_dataset(name)
