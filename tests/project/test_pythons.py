"""A project's own tests pass on every Python that is promised by default and installed here."""

import re
from pathlib import Path

import pytest

from tests.project.whole import OTHER_PYTHONS, WHOLE, find_python, generate
from tests.template_copy import Template


@pytest.mark.campaign
@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_its_own_tests_pass(
    version: str, template: Template, machine: dict[str, str], tmp_path: Path
) -> None:
    python = find_python(version, machine)
    if python is None:
        pytest.skip(f"Python {version} is promised and not installed")
    chosen = machine | {"UV_PYTHON": python}
    project = generate(template, tmp_path / "default", WHOLE["defaults"], chosen)
    assert project.succeed("uv run python --version").startswith(f"Python {version}.")
    summary = project.succeed("uv run pytest").splitlines()[-1]
    assert re.search(r"\d+ passed", summary), summary
    assert " warning" not in summary
