"""Work begun and judged from a laptop: a real repository, and GitHub's stand-in."""

import subprocess
from pathlib import Path

import pytest

from tests.github.scene import Scene, make
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """A committed project whose token is a person's."""
    made = make(tmp_path / "project", github)
    made.token = github.add_token()
    (made.folder / ".gitignore").write_text("event.json\n", encoding="utf-8")
    git(made, "init", "--quiet", "--initial-branch=main")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "First")
    return made


def git(scene: Scene, *arguments: str) -> str:
    command = ["git", "-C", str(scene.folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.rule("B1", "E5", "I1")
def test_a_branch_begins_from_its_issue_and_shows_what_was_tried(scene: Scene) -> None:
    scene.issue("Ask")
    tried, labels = "### Summary\n\nGradient boosting of claims.", ["Experiment", "failed"]
    scene.repository.add_issue("Boosting for claims", tried, labels, state="closed")
    scene.repository.add_issue("Gradient boosting of claims", "### Ask\n\n#1", ["Experiment"])
    said = scene.run("start", "3")
    assert said.code == 0, said
    assert git(scene, "branch", "--show-current") == "experiment/3-gradient-boosting-of-claims"
    assert "#2" in said.out
    assert "failed" in said.out


@pytest.mark.rule("I1")
def test_work_on_a_closed_issue_does_not_begin(scene: Scene) -> None:
    scene.issue("Task", state="closed")
    said = scene.run("start", "1")
    assert said.code == 1
    assert git(scene, "branch", "--show-current") == "main"


def test_an_issue_that_does_not_exist_is_said_to(scene: Scene) -> None:
    said = scene.run("start", "77")
    assert said.code == 2
    assert "Traceback" not in said.err


def test_a_branch_is_judged_before_there_is_a_pull_request(scene: Scene) -> None:
    scene.issue("Ask")
    scene.issue("Data", "### Ask\n\n_No response_")
    scene.run("start", "2")
    (scene.folder / "notebook.ipynb").write_text("{}", encoding="utf-8")
    git(scene, "add", "--all")
    git(scene, "commit", "--quiet", "--message", "Work")
    said = scene.run("check")
    assert said.code == 1
    for rule in ("I11:", "X2:", "D9:"):
        assert rule in said.out
    assert scene.github.writes == []


def test_a_branch_with_a_pull_request_is_judged_by_that(scene: Scene) -> None:
    scene.issue("Task")
    scene.run("start", "1")
    scene.pull(git(scene, "branch", "--show-current"), "data/9-other")
    said = scene.run("check")
    assert said.code == 1
    assert "B8: the target is not main" in said.out


def test_the_collaboration_branch_itself_is_not_judged(scene: Scene) -> None:
    said = scene.run("check")
    assert said.code == 2
    assert "switch to the branch of an issue" in said.err
