"""A project's own tests pass on every Python that is promised by default and found here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.project.whole import WHOLE, generate
from tests.template_copy import ROOT, Template

pytestmark = pytest.mark.slow

QUESTIONS = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
RUNNING = "{}.{}".format(*sys.version_info)
OTHERS = [version for version in QUESTIONS["python_versions"]["default"] if version != RUNNING]


@pytest.mark.parametrize(
    "version",
    [*(pytest.param(each, marks=pytest.mark.campaign) for each in OTHERS[:-1]), OTHERS[-1]],
)
def test_its_own_tests_pass(
    version: str, template: Template, machine: dict[str, str], tmp_path: Path
) -> None:
    python = interpreter(version, machine)
    chosen = machine | {"UV_PYTHON": python}
    project = generate(template, tmp_path / "default", WHOLE["defaults"], chosen)
    assert project.setting_up.code == 0, project.setting_up.text
    used = project.succeed("uv", "run", "python", "--version")
    assert used.startswith(f"Python {version}."), used
    said = project.succeed("uv", "run", "pytest")
    assert re.search(r"\d+ passed", said), said
    assert " warning" not in said.splitlines()[-1], said


def interpreter(version: str, machine: dict[str, str]) -> str:
    """Where uv finds that Python, without fetching it; the test is skipped where it does not."""
    # pyenv's shims run only the version of the day, and uv takes what they say then for an error.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    path = [folder for folder in machine["PATH"].split(os.pathsep) if "shims" not in folder]
    path += [str(folder) for folder in sorted(pyenv.glob(f"versions/{version}.*/bin"))]
    asked = subprocess.run(
        ["uv", "python", "find", "--system", "--no-project", version],
        env=machine | {"UV_PYTHON_DOWNLOADS": "never", "PATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        pytest.skip(f"Python {version} is promised and not found: {asked.stderr.strip()}")
    return asked.stdout.strip()
