"""An experiment that succeeded goes on as a model, and is done when it is merged there."""

import pytest

from tests.github.scene import Scene
from tests.github.standin.pulls import merge
from tests.github.test_start import git, scene

__all__ = ["scene"]

BRANCH = "model/3-a-model"


def waiting(scene: Scene, *labels: str) -> None:
    """An experiment with an open pull request, and the Model issue that comes from it."""
    scene.issue("Ask")
    scene.issue("Experiment", "### Ask\n\n#1", *labels)
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
    scene.pull("experiment/2-lines")


@pytest.mark.rule("B6")
def test_the_pull_request_goes_to_the_models_branch(scene: Scene) -> None:
    waiting(scene, "succeeded")
    main = scene.repository.branches["main"]
    said = scene.run("start", "3")
    assert said.code == 0, said
    assert git(scene, "branch", "--show-current") == BRANCH
    assert f"#4 (experiment #2) goes to {BRANCH} now" in said.out
    pull = scene.repository.issues[4]
    assert pull.pull
    assert pull.pull.base == BRANCH
    assert scene.repository.branches[BRANCH] == main
    assert scene.run("check", "--pull-request", "4").code == 0
    scene.github.forget()
    assert scene.run("start", "3").code == 0
    assert scene.github.writes == []


@pytest.mark.rule("B6")
def test_an_experiment_without_an_outcome_stays_where_it_is(scene: Scene) -> None:
    waiting(scene)
    said = scene.run("start", "3")
    assert "#4 stays at main: #2 is not labelled succeeded" in said.out
    assert scene.github.writes == []


def test_who_may_not_retarget_is_told_what_to_do(scene: Scene) -> None:
    waiting(scene, "succeeded")
    scene.token = scene.github.add_token("eve")
    said = scene.run("start", "3")
    assert said.code == 0, said
    assert f"set its base to {BRANCH}" in " ".join(said.out.split())


@pytest.mark.rule("B6")
@pytest.mark.parametrize("base", [BRANCH, "main"])
def test_merged_into_the_models_branch_the_experiment_is_done(scene: Scene, base: str) -> None:
    waiting(scene, "succeeded")
    scene.run("start", "3")
    pull = scene.repository.issues[4]
    assert pull.pull
    pull.pull.base = base
    merge(scene.repository, pull, "merge", "ada")
    event = {"pull_request": {"number": 4}}
    for _ in range(2):
        said = scene.run("issue-check", event=event)
        assert said.code == 0, said
    assert scene.repository.issues[2].state == ("closed" if base == BRANCH else "open")
