"""Every technology that can be answered can be locked, and nothing in it takes a project's name."""

import tomllib
from pathlib import Path

import pytest

from tests.project.whole import run
from tests.template_copy import Answers, Template, reserved

CHOICES: list[Answers] = [
    {"tracking": "server", "engine": "sql", "python_versions": ["3.11"]},
    {"tracking": "azureml", "engine": "spark"},
    {"tracking": "databricks"},
]


@pytest.mark.slow
@pytest.mark.parametrize("answers", CHOICES, ids=lambda answers: answers["tracking"])
def test_it_can_be_locked(
    template: Template, machine: dict[str, str], tmp_path: Path, answers: Answers
) -> None:
    project = template.copy(tmp_path / "claims-pricing", answers)
    done = run(project, ("uv", "lock"), machine)
    assert done.code == 0, done.text
    lock = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))
    names = {package["name"] for package in lock["package"]}
    (mlflow,) = [package["version"] for package in lock["package"] if package["name"] == "mlflow"]
    plugin = [each["version"] for each in lock["package"] if each["name"] == "azureml-mlflow"]
    assert bool(plugin) == (answers["tracking"] == "azureml")
    older = tuple(map(int, mlflow.split("."))) < (3, 16)
    assert older == bool(plugin), "azureml-mlflow wants an older mlflow"
    assert names - reserved("distributions") - {"claims-pricing", "lifecycle"} == set()
