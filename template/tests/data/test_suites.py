"""Each dataset of the project matches its schema and passes its suite (D3)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle.data.catalogue import Dataset, names
from lifecycle.data.validate import validate
from lifecycle.errors import LifecycleError
from lifecycle.project import Project


@pytest.mark.parametrize("name", names(Project.find(Path(__file__).parent)))
def test_suite_holds(name: str, built: Callable[[str], Dataset]) -> None:
    try:
        report = validate(built(name))
    except LifecycleError as error:
        pytest.fail(str(error), pytrace=False)
    if not report.ok:
        pytest.fail(str(report), pytrace=False)
