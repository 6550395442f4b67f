"""Whole projects are green from the first minute: defaults, no example, SQL, process only."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.project.whole import WHOLE, Project
from tests.template_copy import reserved

pytestmark = pytest.mark.slow


def test_one_command_sets_it_up(project: Project) -> None:
    assert project.setting_up.code == 0, project.setting_up.text
    assert project.succeed("git", "log", "--format=%s").count("\n") == 1
    assert project.succeed("git", "status", "--porcelain") == ""
    assert "uv.lock" in project.succeed("git", "ls-files").splitlines()
    assert (project.path / ".git" / "hooks" / "pre-commit").is_file()


@pytest.mark.rule("B8")
def test_work_comes_together_on_the_branch_that_was_asked_for(
    project: Project, request: pytest.FixtureRequest
) -> None:
    answers = WHOLE[request.node.callspec.params["project"]]
    branch = answers.get("collaboration_branch", "main")
    assert project.succeed("git", "branch", "--show-current").strip() == branch
    settings = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["dslp"]["branch"] == branch
    assert branch in workflow(project)[True]["push"]["branches"]  # YAML reads `on` as true


def test_setting_up_again_does_no_harm(project: Project) -> None:
    before = project.succeed("git", "rev-parse", "HEAD")
    project.succeed("python3", "hooks/post_generate.py")
    assert project.succeed("git", "rev-parse", "HEAD") == before
    assert project.succeed("git", "status", "--porcelain") == ""


def test_its_own_tests_pass(project: Project) -> None:
    said = project.succeed("uv", "run", "pytest")
    assert re.search(r"\d+ passed", said), said
    assert " warning" not in said.splitlines()[-1], said


def test_it_is_typed(project: Project) -> None:
    project.succeed("uv", "run", "mypy")


def test_its_own_checks_pass(project: Project) -> None:
    project.succeed("uv", "run", "ruff", "format", "--check")
    project.succeed("uv", "run", "ruff", "check")
    project.succeed("uv", "run", "pre-commit", "run", "--all-files")


@pytest.mark.rule("V1")
def test_its_environment_is_rebuilt_from_the_lock(project: Project) -> None:
    project.succeed("uv", "lock", "--check")
    project.succeed("uv", "sync", "--locked", "--check")
    steps = workflow(project)["jobs"]["tests"]["steps"]
    assert "--locked" in [step.get("with", {}).get("install") for step in steps]


def test_no_name_of_what_is_locked_can_be_the_project_s(project: Project) -> None:
    lock = tomllib.loads((project.path / "uv.lock").read_text(encoding="utf-8"))
    names = {package["name"] for package in lock["package"]}
    assert names - reserved("distributions") - {project.path.name, "dslp"} == set()


@pytest.mark.only("defaults", "no-example")
def test_its_site_is_built(project: Project) -> None:
    project.succeed("uv", "run", "mkdocs", "build", "--strict", NO_MKDOCS_2_WARNING="1")


@pytest.mark.only("sql")
@pytest.mark.rule("D3")
@pytest.mark.parametrize("data", ["not built", "built before"])
def test_a_pipeline_that_broke_fails_the_tests(project: Project, data: str) -> None:
    (pipeline,) = project.path.glob("src/*/datasets/claims/pipeline.py")
    whole = pipeline.read_text(encoding="utf-8")
    if data == "built before":
        project.dslp("data", "build")
    broken = whole.replace('raw["mdvis"].astype("int64")', '-raw["mdvis"].astype("int64")')
    pipeline.write_text(broken, encoding="utf-8")
    try:
        done = project.run("uv", "run", "pytest", "tests/data/test_suites.py")
    finally:
        pipeline.write_text(whole, encoding="utf-8")
    assert done.code == 1, done.text
    assert "visits: expect_column_values_to_be_between" in done.text


@pytest.mark.only("process-only")
def test_a_process_without_data_installs_no_machine_learning(project: Project) -> None:
    installed = project.succeed("uv", "pip", "list", "--format", "freeze")
    assert not re.search(r"^(pandas|mlflow|great-expectations|scikit-learn)==", installed, re.M)


def workflow(project: Project) -> dict[object, Any]:
    """The workflow that runs the project's tests."""
    text = (project.path / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))
