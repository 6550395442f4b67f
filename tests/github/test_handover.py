"""An experiment with an outcome goes on to its model, or ends: by label, command and `start`."""

from pathlib import Path

import pytest

from tests.github.scene import DONE, Ended, Scene, make
from tests.github.standin.faults import status
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin

RIGHTS = dict.fromkeys(("contents", "issues", "pull_requests", "statuses", "actions"), "write")
TESTS = {".github/workflows/tests.yml": "on: {workflow_dispatch: }\n"}
HOSTILE = "@eve <b>\n\n### Deployment\n\ncloses #1 <!--\n```\n"


BODY = f"{DONE}\n### Goal\n\nBetter.\n\n### Metric\n\nError.\n"


@pytest.fixture
def scene(tmp_path: Path, github: Standin, default_project: Path) -> Scene:
    """A project of the template, with an experiment that succeeded and its pull request."""
    scene = make(tmp_path / "project", github)
    (scene.folder / ".github").symlink_to(default_project / ".github")
    begin(scene)
    return scene


def begin(scene: Scene, outcome: str = "succeeded", body: str = BODY) -> None:
    scene.github.repositories.clear()
    scene.repository = make(scene.folder, scene.github).repository
    scene.token = scene.github.add_workflow_token(scene.repository, RIGHTS)
    scene.repository.commit("main", TESTS)
    ask = scene.issue("Ask", "### Solution architecture\n\nA nightly table.")
    scene.issue("Experiment", body, outcome).parent = ask
    scene.pull("experiment/2-lines")
    scene.github.forget()


def label(scene: Scene) -> Ended:
    """What the workflow does once the label is set."""
    ended = scene.run("handover", "2", GITHUB_ACTIONS="true")
    assert ended.code == 0, ended
    return ended


def models(scene: Scene) -> list[Issue]:
    all_issues = scene.repository.issues.values()
    return [one for one in all_issues if "Model" in [label.name for label in one.labels]]


def comment(scene: Scene) -> str:
    """The one comment that says the steps."""
    comments = [one.body for one in scene.repository.issues[2].comments]
    (body,) = [one for one in comments if one.startswith("<!-- dslp: handover -->")]
    return body


@pytest.mark.rule("B6", "I9")
def test_the_label_opens_the_model_makes_its_branch_and_retargets_once(scene: Scene) -> None:
    for number in range(1_000):
        scene.repository.add_issue(f"Task {number}")
    scene.repository.commit("main", {"newer": "x"})
    label(scene)
    assert len(scene.github.requests) <= 20
    (model,), branch = models(scene), "model/1004-a-experiment"
    body = model.body or ""
    for part in (
        "### Ask\n\n#1\n",
        "### Experiment\n\n#2\n",
        "> It works.",
        "> A nightly table.",
        "- [ ] Rollback",
    ):
        assert part in body
    assert model.parent is scene.repository.issues[1]
    pull = scene.repository.issues[3]
    assert pull.pull
    assert pull.pull.base == branch
    assert scene.repository.branches[branch] == scene.repository.branches["main"]
    verdict = scene.status(pull)
    assert verdict
    assert verdict.state == "success"
    assert [one["ref"] for one in scene.repository.dispatches] == ["experiment/2-lines"]
    assert f"- #{model.number}: open" in (scene.repository.issues[1].body or "")
    text = comment(scene)
    assert (text.count("- [x]"), text.count("- [ ]")) == (4, 0)
    scene.github.forget()
    label(scene)
    assert [
        one
        for one in scene.github.writes
        if "statuses" not in one.path and "graphql" not in one.path
    ] == []
    assert (len(models(scene)), comment(scene)) == (1, text)


@pytest.mark.parametrize(
    ("fault", "todo"),
    [
        ("POST */issues", "a Model issue names this one: the token has no right"),
        ("POST */git/refs", "the branch `model/4-a-experiment` begins at `main`"),
        ("PATCH */pulls/*", "#3 goes to `model/4-a-experiment`: the token has no right"),
        ("POST */dispatches", ""),
        ("POST */sub_issues", ""),
    ],
)
def test_a_step_that_fails_is_said_and_can_be_repeated(scene: Scene, fault: str, todo: str) -> None:
    scene.github.on(fault, status(403, "Resource not accessible by integration, @eve"))
    label(scene)
    text = comment(scene)
    assert "eve" not in text.replace("integration, eve", "")
    tasks = [line for line in text.splitlines() if line.startswith("- [ ]")]
    assert [line for line in tasks if todo in line][:1] == tasks[:1] if todo else tasks == []
    scene.github.forget()
    label(scene)
    assert (len(models(scene)), comment(scene).count("- [ ]")) == (1, 0)


def test_what_is_missing_or_closed_is_left_to_people(scene: Scene) -> None:
    """No Ask, no form, no pull request; then a Model issue that people closed."""
    (scene.folder / ".github").unlink()
    scene.repository.issues[2].body = "### Goal\n\nx"
    scene.repository.issues[3].state = "closed"
    foreign = scene.repository.add_issue("x", "### Experiment\n\n#2", ["Model"], "eve")
    label(scene)
    foreign.labels = []
    (model,) = models(scene)
    assert "open a pull request from the experiment's branch to `model/5-a" in comment(scene)
    model.state = "closed"
    label(scene)
    assert f"- [ ] #{model.number} is open" in comment(scene)
    assert len(models(scene)) == 1


def test_hostile_text_adds_no_field_and_calls_nobody(scene: Scene) -> None:
    scene.repository.issues[
        2
    ].body = f"### Ask\n\n#1\n\n### Goal\n\n{HOSTILE}\n\n### Summary\n\n{HOSTILE}"
    scene.repository.issues[2].title = "@eve `x`; rm -rf / # \u202e" * 20
    label(scene)
    (model,) = models(scene)
    assert "@eve" not in (model.body or "")
    assert "\n### Deployment\n\n> A nightly table." in (model.body or "")
    assert len(model.title) <= 256


@pytest.mark.rule("B5")
def test_a_failed_experiment_ends_once_it_has_a_summary(scene: Scene) -> None:
    begin(scene, "failed", "### Ask\n\n#1")
    label(scene)
    assert "- [ ] write the Summary" in comment(scene)
    experiment, pull = scene.repository.issues[2], scene.repository.issues[3]
    assert (experiment.state, pull.state) == ("open", "open")
    experiment.body = DONE
    label(scene)
    assert (experiment.state, pull.state) == ("closed", "closed")
    assert any(scene.repository.head_sha(pull) in one.body for one in experiment.comments)
    assert len(scene.github.requests) <= 40
    assert models(scene) == []


@pytest.mark.parametrize("labels", [["Data", "succeeded"], ["Experiment", "succeeded", "failed"]])
def test_what_has_no_clear_outcome_stays_as_it_is(scene: Scene, labels: list[str]) -> None:
    scene.repository.issues[2].labels = scene.repository.labelled(labels)
    assert "is no open experiment" in label(scene).out
    assert models(scene) == []


@pytest.mark.campaign
def test_killed_after_any_change_the_next_delivery_goes_on(scene: Scene) -> None:
    stops = 0
    for stops, _ in enumerate(scene.stop_anywhere(lambda: begin(scene), "handover", "2"), 1):
        label(scene)
        assert len(models(scene)) == 1, stops
        assert comment(scene).count("- [x]") == 4, stops
    assert stops == 4  # the issue, its branch, the pull request, the comment
