"""The process dropped into a repository that is somebody's: nothing of theirs changes (G2)."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

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


SHAPES: list[Callable[[Path], None]] = [setup_cfg_package, uv_project, notebooks, r_package]


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
    theirs = tree(project)
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
    assert len(new) in (16, 17, 18), sorted(new)
    assert git("status", "--short", cwd=project).replace("??", "").split() != []
    assert all(name.startswith((".github/", "dslp.toml", ".copier-answers")) for name in new)
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

    for name in after.keys() - theirs.keys():  # as .github/dslp/README.md says
        (project / name).unlink()
    assert tree(project) == theirs


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
    git("branch", "--move", "trunk", cwd=project)
    template.copy(project, ANSWERS)
    theirs = {name: text for name, text in tree(project).items() if ".github" not in name}

    def dslp(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["uv", "run", "--quiet", "--project", ".github/dslp", "dslp", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True)

    done = dslp("setup")
    assert "branch: trunk, as in this repository" in done.stdout, done.stdout + done.stderr
    assert "commit hooks: yours are left alone" in done.stdout
    assert 'branch = "trunk"' in (project / "dslp.toml").read_text(encoding="utf-8")
    assert "uv run --project .github/dslp dslp" in done.stdout
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
    assert {name for name in theirs if name not in tree(project)} == set()
