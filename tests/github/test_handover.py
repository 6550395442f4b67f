"""An experiment with an outcome goes on to its model, or ends: by label, command and `start`."""

from pathlib import Path

import pytest

from tests.github import payloads
from tests.github.scene import DONE, Ended, Scene, make
from tests.github.standin.faults import status
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin

RIGHTS = dict.fromkeys(("contents", "issues", "pull_requests", "statuses", "actions"), "write")
TESTS = {".github/workflows/tests.yml": "on: {workflow_dispatch: }\n"}
HOSTILE = "@eve & <b>trees</b>\n\n### Deployment\n\nmine, closes #1 <!--"


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    begin(scene)
    return scene


def begin(scene: Scene, *labels: str, body: str = DONE) -> None:
    """An Ask, an experiment with its outcome, and the experiment's pull request."""
    scene.repository = make(scene.folder, scene.github).repository
    scene.token = scene.github.add_workflow_token(scene.repository, RIGHTS)
    scene.repository.commit("main", TESTS)
    scene.issue("Ask", "### Solution architecture\n\nA nightly table.")
    scene.issue("Experiment", body, *(labels or ["succeeded"]))
    scene.pull("experiment/2-lines")
    scene.github.forget()


def label(scene: Scene) -> Ended:
    """What the workflow does once the label is set."""
    event = payloads.issues(scene.repository, scene.repository.issues[2], "labeled")
    return scene.run("handover", event=event, GITHUB_ACTIONS="true")


def result(scene: Scene) -> tuple[Issue, Issue, str]:
    """The one Model issue, the pull request, and the one comment with the tasks."""
    models = [
        one
        for one in scene.repository.issues.values()
        if one.labels[0:1] and one.labels[0].name == "Model"
    ]
    comments = [one.body for one in scene.repository.issues[2].comments if "handover" in one.body]
    assert (len(models), len(comments)) == (1, 1)
    return models[0], scene.repository.issues[3], comments[0]


@pytest.mark.rule("B6")
def test_the_label_opens_the_model_makes_its_branch_and_retargets(scene: Scene) -> None:
    ended = label(scene)
    assert ended.code == 0, ended
    model, pull, comment = result(scene)
    print(ended, comment, model.body, len(scene.github.requests))
    for r in scene.github.requests:
        print(r)
    assert 0
