"""The process dropped into a repository that is somebody's: nothing of theirs changes (G2)."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clean import github_faults
from tests.template_copy import Template, commit, git, publish, tree

pytestmark = [pytest.mark.slow, pytest.mark.rule("G2")]

COPIER = str(Path(sys.executable).with_name("copier"))
ANSWERS = {"existing": True}
WORKFLOW = "name: tests\non: push\njobs: { tests: { runs-on: ubuntu-latest, steps: [] } }\n"


def setup_cfg_package(folder: Path) -> None:
    """A package of its own kind: workflows, labels, forms, hooks, docs and another template."""
    write(
        folder,
        {
            "setup.py": "from setuptools import setup\n\nsetup()\n",
            "setup.cfg": "[metadata]\nname = visits\nversion = 1\n[options]\npackages = visits\n",
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n',
            "visits/__init__.py": "def count(visits):\n    return len(visits)\n",
            "tests/unit/test_visits.py": (
                "from visits import count\n\n\ndef test_count():\n    assert count([1]) == 1\n"
            ),
            "README.md": "# Visits\r\n",  # as Windows ends a line
            "docs/index.md": "# Ours\n",
            "hooks/post_generate.py": "print('ours')\n",
            ".gitignore": "build/\n",
            ".gitattributes": "*.md text eol=crlf\n",
            ".pre-commit-config.yaml": "repos: []\n",
            ".copier-answers.yml": "_commit: v1\n_src_path: gh:they/other\npackage_name: No, no!\n",
            ".github/labels.yml": "ours: true\n",
            ".github/dependabot.yml": "version: 2\nupdates: []\n",
            ".github/pull_request_template.md": "Ours.\n",
            ".github/ISSUE_TEMPLATE/config.yml": "blank_issues_enabled: true\n",
            ".github/ISSUE_TEMPLATE/data.yml": "name: Ours\n",
            ".github/workflows/tests.yml": WORKFLOW,
            ".github/workflows/policy.yml": WORKFLOW,
            ".github/actions/setup/action.yml": "name: Ours\n",
        },
    )


def uv_project(folder: Path) -> None:
    """What `uv init` makes."""
    command = ["uv", "init", "--quiet", "--package", "--name", "visits", "--vcs", "none", "."]
    subprocess.run(command, cwd=folder, check=True)


def notebooks(folder: Path) -> None:
    """Notebooks and their requirements, and no package."""
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    files = {"requirements.txt": "pandas\n", "visits.ipynb": json.dumps(notebook)}
    write(folder, files | {"data/visits.csv": "id\n1\n"})


def r_package(folder: Path) -> None:
    """An R package, without any Python."""
    write(
        folder,
        {
            "DESCRIPTION": "Package: visits\nVersion: 1.0\n",
            "NAMESPACE": "export(count)\n",
            "R/count.R": "count <- function(visits) length(visits)\n",
            "tests/testthat/test-count.R": "test_that('count', expect_equal(count(1), 1))\n",
            "renv.lock": "{}\n",
            ".Rbuildignore": "^renv$\n",
            ".github/workflows/R-CMD-check.yaml": WORKFLOW,
        },
    )


def cookiecutter_data_science(folder: Path) -> None:
    """The tree that it documents, since its package holds no template, and loads it from GitHub."""
    pyproject = """\
[build-system]
requires = ["flit_core >=3.2,<4"]
build-backend = "flit_core.buildapi"
[project]
name = "visits"
version = "0.0.1"
description = "Visits"
[tool.ruff]
line-length = 99
src = ["visits"]
include = ["pyproject.toml", "visits/**/*.py"]
"""
    config = "from pathlib import Path\n\nDATA = Path(__file__).parents[1] / 'data'\n"
    test = "def test_data():\n    assert True\n"
    folders = ("data/raw", "data/processed", "models", "notebooks", "references", "reports/figures")
    write(
        folder,
        {
            "Makefile": "requirements:\n\tpip install -r requirements.txt\n",
            "pyproject.toml": pyproject,
            "requirements.txt": "-e .\n",
            "visits/__init__.py": "from visits import config\n",
            "visits/config.py": config,
            "visits/modeling/__init__.py": "",
            "visits/modeling/train.py": "print('trained')\n",
            "tests/test_data.py": test,
            "docs/mkdocs.yml": "site_name: visits\n",
            "docs/docs/index.md": "# Visits\n",
            ".gitignore": "/data/\n",
            **{f"{name}/.gitkeep": "" for name in folders[2:]},
        },
    )


def kedro_project(folder: Path) -> None:
    """What `kedro new` makes, from the template in its package."""
    command = ["uv", "tool", "run", "--quiet", "--from", "kedro>=1,<2", "kedro", "new"]
    options = ["--name", "visits", "--tools", "none", "--example", "no", "--telemetry", "no"]
    subprocess.run([*command, *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for path in (folder / "visits").iterdir():
        path.rename(folder / path.name)
    (folder / "visits").rmdir()


SHAPES: list[Any] = [
    setup_cfg_package,
    *(
        pytest.param(shape, marks=pytest.mark.campaign)
        for shape in (uv_project, notebooks, r_package, cookiecutter_data_science, kedro_project)
    ),
]


def judge(folder: Path) -> str:
    """What the repository's own tests and linter say of it."""
    tests = [*folder.glob("**/test_*.py")]
    pytest_options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "."]
    text = run_tool(folder, "pytest", *pytest_options) if tests else ""
    text = re.sub(r" in [\d.]+s", "", text)
    return text + run_tool(folder, "ruff", "check", "--no-cache", "--output-format", "concise")


def run_tool(folder: Path, name: str, *options: str) -> str:
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", name, *options]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True).stdout


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What the working tree holds, and a next release with another form and one workflow more."""
    published = publish(tmp_path_factory.mktemp("adopted") / "template")
    form = "template/.github/ISSUE_TEMPLATE/{{ prefix }}task.yml"
    text = (published.path / form).read_text(encoding="utf-8")
    more = "template/.github/workflows/{{ prefix }}more.yml"
    return published.release({form: text + "# Improved.\n", more: WORKFLOW})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.__name__))
def test_a_repository_gets_new_files_only_keeps_its_own_and_gives_them_back(
    shape: Callable[[Path], None], updated: Template, tmp_path: Path
) -> None:
    project = tmp_path / "visits"
    project.mkdir()
    shape(project)
    commit(project)
    theirs, verdict = tree(project), judge(project)
    options = ["--defaults", "--overwrite", "--data", "existing=true"]
    if ".copier-answers.yml" in theirs:
        options += ["--answers-file", ".copier-answers.dslp.yml"]
    command = [COPIER, "copy", *options, "--vcs-ref", updated.releases[-2], str(updated.path), "."]
    copied = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert copied.returncode == 0, copied.stderr
    assert "uv run --project .github/dslp dslp setup" in copied.stderr
    after = tree(project)
    new = after.keys() - theirs.keys()
    assert {name: after[name] for name in theirs} == theirs
    assert len(new) == 17, sorted(new)
    lines = git("status", "--short", "-uall", cwd=project).splitlines()
    assert lines
    assert all(re.match(r"\?\? (\.github/|dslp\.toml$|\.copier-answers)", line) for line in lines)
    assert judge(project) == verdict
    if not theirs.keys() & {".github/ISSUE_TEMPLATE/data.yml"}:
        assert github_faults(project) == []

    with (project / ".github/ISSUE_TEMPLATE/dslp-ask.yml").open("a", encoding="utf-8") as file:
        file.write("# Theirs by now.\n")
    commit(project)
    answers = [*project.glob(".copier-answers.dslp.yml"), project / ".copier-answers.yml"][0].name
    for data in ([], ["--data", "components=[process, data, experiments, models, site]"]):
        command = [COPIER, "update", "--defaults", "--answers-file", answers, *data]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        git("add", "--all", cwd=project)
        git("commit", "--quiet", "--allow-empty", "--message", "Updated", cwd=project)
    after = tree(project)
    assert {name: after[name] for name in theirs} == theirs
    assert after[".github/ISSUE_TEMPLATE/dslp-task.yml"].endswith(b"# Improved.\n")
    assert after[".github/ISSUE_TEMPLATE/dslp-ask.yml"].endswith(b"# Theirs by now.\n")
    assert after[".github/workflows/dslp-more.yml"] == WORKFLOW.encode()
    assert b"dslp[models,logbook]" in after[".github/dslp/pyproject.toml"]
    assert b'package = "lifecycle"' in after["dslp.toml"]
    assert {n for n in after if n.startswith(".github/workflows/dslp-")} == {
        f".github/workflows/dslp-{name}.yml"
        for name in [
            "policy",
            "issues",
            "labels",
            "template",
            "more",
            "data",
            "run",
            "release",
            "monitor",
        ]
    }

    page = after[".github/dslp/README.md"].decode().partition("Delete ")[2]
    for pattern in re.findall("`(.+?)`", page):
        for path in project.glob(pattern.removesuffix("/")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert tree(project) == theirs


def test_what_has_a_name_of_the_template_already_is_kept(updated: Template, tmp_path: Path) -> None:
    theirs = {
        "dslp.toml": "package = 'theirs'\n",
        ".github/workflows/dslp-policy.yml": WORKFLOW,
        ".github/ISSUE_TEMPLATE/dslp-task.yml": "name: Theirs\n",
        ".github/actions/dslp/action.yml": "name: Theirs\n",
    }
    tmp_path = tmp_path / "a[b]*"  # which is no pattern
    write(tmp_path, theirs)
    commit(tmp_path)
    for folder in (str(tmp_path), "."):
        command = [COPIER, "copy", "--defaults", "--overwrite", "--data", "existing=true"]
        command += ["--vcs-ref", updated.releases[-2], str(updated.path), folder]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        after = tree(tmp_path)
        assert {name: after[name].decode() for name in theirs} == theirs
        assert ".github/workflows/dslp-issues.yml" in after
        git("clean", "--force", "-d", "--quiet", cwd=tmp_path)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    commit(tmp_path)
    updated.update(tmp_path)
    after = tree(tmp_path)
    assert after["dslp.toml"].decode() == theirs["dslp.toml"]
    assert after[".github/workflows/dslp-policy.yml"].decode() == WORKFLOW
    assert b"name: Theirs\n" in after[".github/ISSUE_TEMPLATE/dslp-task.yml"]


def test_enter_at_every_prompt_harms_nothing(template: Template, tmp_path: Path) -> None:
    setup_cfg_package(tmp_path)
    theirs = tree(tmp_path)
    command = [COPIER, "copy", "--data", "existing=true", str(template.path), "."]
    screen, stdin = pty.openpty()
    running = subprocess.Popen(
        command, cwd=tmp_path, stdin=stdin, stdout=stdin, stderr=stdin, start_new_session=True
    )
    os.close(stdin)
    thread = threading.Thread(target=press_enter, args=(screen,), daemon=True)
    thread.start()
    assert running.wait(timeout=60) == 0
    after = tree(tmp_path)
    assert {name: after[name] for name in theirs} == theirs
    assert ".github/workflows/dslp-policy.yml" in after
    assert yaml.safe_load(after[".copier-answers.dslp.yml"])["components"] == ["process"]


def press_enter(screen: int) -> None:
    """Answer each question, and the terminal's own, until the command ends."""
    shown = b""
    while True:
        try:
            shown = os.read(screen, 65536)
        except OSError:
            return
        if b"\x1b[6n" in shown:
            os.write(screen, b"\x1b[1;1R")
        if b"?" in shown:
            os.write(screen, b"\r")


def test_the_small_project_runs_the_process_and_says_what_is_missing(
    template: Template, tmp_path: Path
) -> None:
    project = tmp_path / "visits"
    r_package(project)
    commit(project)
    r_files = tree(project).keys()
    git("branch", "--move", "trunk", cwd=project)
    template.copy(project, ANSWERS)
    theirs = {name: content for name, content in tree(project).items() if name in r_files}

    def dslp(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["uv", "run", "--quiet", "--project", ".github/dslp", "dslp", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True)

    done = dslp("setup")
    assert "branch: trunk, as in this repository" in done.stdout, done.stdout + done.stderr
    assert "commit hooks: yours are left alone" in done.stdout
    assert 'branch = "trunk"' in (project / "dslp.toml").read_text(encoding="utf-8")
    assert "uv run --project .github/dslp dslp" in done.stdout
    assert {name: tree(project)[name] for name in theirs} == theirs
    report = json.loads(dslp("doctor", "--json").stdout)
    (adoption,) = [one for one in report["results"] if one["subject"] == "adoption"]
    for text in (".github/dslp/uv.lock", "/.dslp/", "blank_issues_enabled: false"):
        assert text in adoption["details"]["state"]
    write(
        project,
        {
            ".gitignore": "/.dslp/\n",
            ".github/ISSUE_TEMPLATE/config.yml": "blank_issues_enabled: false\n",
            ".github/dependabot.yml": "directory: /.github/dslp\n",
            ".pre-commit-config.yaml": "entry: uv run --project .github/dslp dslp check-files --\n",
        },
    )
    commit(project)
    assert "complete" in dslp("doctor").stdout
    assert dslp("rules", "B3").returncode == 0
    assert not (project / ".venv").exists()
    assert not (project / "uv.lock").exists()
    assert {name: tree(project)[name] for name in theirs} == theirs


def test_in_a_monorepo_the_package_of_a_service_holds_datasets_and_models(
    template: Template, tmp_path: Path
) -> None:
    project = tmp_path / "mono"
    source = "services/claims/src/claims/__init__.py"
    write(project, {source: "", "services/web/package.json": "{}\n", ".gitignore": "/data/\n"})
    commit(project)
    template.copy(project, {**ANSWERS, "components": ["process", "data"]})
    settings = project / "dslp.toml"
    text = settings.read_text(encoding="utf-8").replace('"lifecycle"', '"claims"')
    text = text.replace('code = "."', 'code = "services/claims/src"')
    settings.write_text(text, encoding="utf-8")
    commit(project)
    for command in ("new dataset visits", "data build visits", "data validate visits"):
        run = [sys.executable, "-m", "dslp", *command.split()]
        done = subprocess.run(run, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (project / source).with_name("datasets").joinpath("visits", "suite.yml").is_file()
    assert not (project / "lifecycle").exists()

    inside = project / "services" / "web"
    template.copy(inside, ANSWERS)
    doctor = [sys.executable, "-m", "dslp", "doctor"]
    done = subprocess.run(doctor, cwd=inside, capture_output=True, text=True)
    assert "part of the repository" in done.stdout
    assert "drop the process in at the top" in done.stdout
