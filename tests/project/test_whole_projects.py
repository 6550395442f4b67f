"""Whole projects are green from the first minute: defaults, no example, process only, SQL."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project.whole import OTHER_PYTHONS, WHOLE, Project, commands, find_python, generate
from tests.template_copy import Template, reserved

pytestmark = pytest.mark.slow


@pytest.mark.rule("B8", "V1")
def test_one_command_sets_it_up_and_a_second_time_does_no_harm(
    project: Project, request: pytest.FixtureRequest
) -> None:
    commits = project.succeed("git rev-list --all")
    project.succeed("python3 hooks/post_generate.py")
    assert project.succeed("git rev-list --all") == commits != ""
    assert project.succeed("git status --porcelain") == ""
    assert "uv.lock" in project.succeed("git ls-files").splitlines()
    assert (project.path / ".git" / "hooks" / "pre-commit").is_file()
    name = request.node.callspec.params["project"]
    branch = WHOLE[name].get("collaboration_branch", "main")
    assert project.succeed("git branch --show-current").strip() == branch
    project.succeed("git rev-parse --verify main")  # development merges to it
    settings = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["dslp"]["branch"] == branch
    assert branch in workflow(project)[True]["push"]["branches"]  # YAML reads `on` as true
    project.succeed("uv lock --check")
    project.succeed("uv sync --locked --check")
    steps = workflow(project)["jobs"]["python"]["steps"]
    assert "--locked" in [step.get("with", {}).get("install") for step in steps]
    lock = tomllib.loads((project.path / "uv.lock").read_text(encoding="utf-8"))
    names = {package["name"] for package in lock["package"]}
    assert names - reserved("distributions") - {project.path.name, "dslp"} == set()
    heavy = {"pandas", "mlflow", "great-expectations", "scikit-learn"}
    assert heavy <= names or (name == "process-only" and not heavy & names)


@pytest.mark.only("process-only", "no-example", "sql")  # `defaults` after its work
def test_its_own_checks_pass(project: Project) -> None:
    if (project.path / ".env").is_file():  # the suite then runs in the database, under pytest too
        project.succeed("uv run dslp data build")
        assert "claims holds" in project.succeed("uv run dslp data validate")
    run_checks(project)


@pytest.mark.campaign
@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_its_own_tests_pass_on_every_python_that_is_promised(
    version: str, template: Template, machine: dict[str, str], tmp_path: Path
) -> None:
    python = find_python(version, machine)
    if python is None:
        pytest.skip(f"Python {version} is promised and not installed")
    chosen = machine | {"UV_PYTHON": python}
    project = generate(template, tmp_path / "default", WHOLE["defaults"], chosen)
    assert project.succeed("uv run python --version").startswith(f"Python {version}.")
    assert re.search(r"\d+ passed", project.succeed("uv run pytest"))


def run_checks(project: Project) -> None:
    """Run the checks that AGENTS.md names, as they stand."""
    checks = commands(project.path / "AGENTS.md", "Set up, then check each change")
    assert "uv run mypy" in checks
    for command in checks:
        project.succeed(command)
    summary = project.done["uv run pytest"].text.splitlines()[-1]
    assert re.search(r"\d+ passed", summary), summary
    assert "warning" not in summary


def workflow(project: Project) -> dict[object, Any]:
    """The workflow that runs the project's tests."""
    text = (project.path / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))
