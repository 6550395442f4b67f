"""Each dataset of the project matches its schema and passes its suite (D3)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dslp.data.build import sampled
from dslp.data.catalogue import Dataset, names
from dslp.data.ci import summary
from dslp.data.validate import validate
from dslp.errors import DslpError
from dslp.project import Project


@pytest.mark.parametrize("name", names(Project.find(Path(__file__).parent)))
def test_suite_holds(name: str, built: Callable[[str], Dataset]) -> None:
    dataset = built(name)
    try:
        report = validate(dataset, part=not dataset.project.usual and sampled(dataset))
    except DslpError as error:
        pytest.fail(str(error), pytrace=False)
    if report.skipped:
        summary(f"{name}: not judged on the sample that is here: {'; '.join(report.skipped)}")
    if not report.ok:
        pytest.fail(str(report), pytrace=False)
