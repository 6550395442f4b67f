"""Work begun, judged and handed over from a laptop: a real repository, and GitHub's stand-in."""

from functools import partial
from pathlib import Path

import pytest

from tests.github.scene import DONE, Scene, make
from tests.github.standin.history import merge
from tests.github.standin.server import Standin
from tests.template_copy import commit, git

BRANCH = "model/3-a-model"


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """A committed project whose token is a person's."""
    scene = make(tmp_path / "project", github)
    scene.token = github.add_token()
    (scene.folder / ".gitignore").write_text("event.json\n", encoding="utf-8")
    commit(scene.folder)
    return scene


def branch(scene: Scene) -> str:
    return git("branch", "--show-current", cwd=scene.folder).strip()


@pytest.mark.rule("B1", "E5", "I1")
def test_a_branch_begins_from_its_issue_and_shows_what_was_tried(scene: Scene) -> None:
    scene.issue("Ask")
    tried, labels = "### Summary\n\nGradient boosting of claims.", ["Experiment", "failed"]
    scene.repository.add_issue("Boosting for claims", tried, labels, state="closed")
    scene.repository.add_issue("Gradient boosting of claims", "### Ask\n\n#1", ["Experiment"])
    ended = scene.run("start", "3")
    assert ended.code == 0, ended
    assert branch(scene) == "experiment/3-gradient-boosting-of-claims"
    assert "#2" in ended.out
    assert "failed" in ended.out


def test_a_branch_is_judged_before_there_is_a_pull_request_and_by_it_after(scene: Scene) -> None:
    ended = scene.run("check")
    assert (ended.code, "switch to the branch of an issue" in ended.err) == (2, True)
    scene.issue("Ask")
    scene.issue("Data", "### Ask\n\n_No response_")
    scene.run("start", "2")
    (scene.folder / "notebook.ipynb").write_text("{}", encoding="utf-8")
    commit(scene.folder)
    ended = scene.run("check")
    assert (ended.code, scene.github.writes) == (1, [])
    for rule in ("I11:", "X2:", "D9:"):
        assert rule in ended.out
    git("branch", "--move", "main", "master", cwd=scene.folder)
    ended = scene.run("check")
    assert (ended.code, "there is no branch main to compare with" in ended.err) == (2, True)
    scene.pull(branch(scene), "data/9-other")
    ended = scene.run("check")
    assert (ended.code, "B2: the target is not main" in ended.out) == (1, True), ended


# --- An experiment that succeeded goes on as a model, and is done when it is merged there


def await_model(scene: Scene, *labels: str) -> None:
    """An experiment with an open pull request, and the Model issue that comes from it."""
    scene.issue("Ask")
    scene.issue("Experiment", DONE, *labels)
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
    scene.pull("experiment/2-lines")


@pytest.mark.rule("B6")
def test_the_hand_over_with_a_remote_that_git_pulls_from_and_pushes_to(
    scene: Scene, tmp_path: Path
) -> None:
    origin, other = tmp_path / "origin.git", tmp_path / "other"
    git("clone", "--bare", str(scene.folder), str(origin))
    git("remote", "add", "origin", str(origin), cwd=scene.folder)
    scene.issue("Ask")
    scene.issue("Experiment", "### Ask\n\n#1", "succeeded")
    scene.run("start", "2")
    (scene.folder / "work").touch()
    commit(scene.folder)
    git("push", cwd=scene.folder)
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
    fork = scene.repository.fork("eve")
    pulls = [scene.pull("experiment/2-a-experiment"), scene.pull("experiment/2-it", fork=fork)]
    # What the stand-in makes, origin has too.
    made = partial(git, "branch", BRANCH, "main", cwd=origin)
    scene.github.on("POST */git/refs", made)
    ended = scene.run("start", "3")
    assert ended.code == 0, ended
    assert [one.pull.base for one in pulls if one.pull] == [BRANCH, "main"]  # a stranger's stays
    assert git("status", "-sb", cwd=scene.folder) == f"## {BRANCH}...origin/{BRANCH}\n"
    git("clone", "--branch", BRANCH, str(origin), str(other))  # GitHub's button merges
    git("merge", "--no-ff", "origin/experiment/2-a-experiment", cwd=other)
    git("push", cwd=other)
    assert scene.run("start", "3").code == 0
    assert (scene.folder / "work").exists()


@pytest.mark.rule("B6")
@pytest.mark.parametrize("base", [BRANCH, "main"])
def test_merged_into_the_models_branch_the_experiment_is_done(scene: Scene, base: str) -> None:
    await_model(scene, "succeeded")
    scene.run("start", "3")
    pull = scene.repository.issues[4]
    assert pull.pull
    pull.pull.base = base
    merge(scene.repository, pull, "ada")
    for _ in range(2):
        ended = scene.run("issue-check", event={"pull_request": {"number": 4}})
        assert ended.code == 0, ended
    assert scene.repository.issues[2].state == ("closed" if base == BRANCH else "open")
