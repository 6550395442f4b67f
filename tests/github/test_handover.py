"""An experiment with an outcome goes on to its model, or ends: by label, command and `start`."""

from functools import partial
from pathlib import Path

import pytest

from tests.github.scene import DONE, Scene, make
from tests.github.standin.faults import status
from tests.github.standin.model import Issue
from tests.github.standin.routing import Refused
from tests.github.standin.server import Standin

RIGHTS = dict.fromkeys(("contents", "issues", "pull_requests", "statuses", "actions"), "write")
TESTS = {".github/workflows/tests.yml": "on: {workflow_dispatch: }\n"}
HOSTILE = "@eve <b>\n\n### Deployment\n\ncloses #1 <!--\n```"
BODY = f"{DONE}\n### Metric\n\nError.\n\n### Goal\n\n{HOSTILE}"


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
    scene.issue("Ask", "### Solution architecture\n\nA nightly table.")
    scene.issue("Experiment", body, outcome)
    scene.pull("experiment/2-lines")


def label(scene: Scene) -> tuple[list[Issue], str]:
    """What the workflow does once the label is set: the Model issues, and the one comment."""
    scene.github.forget()
    ended = scene.run("handover", "2", GITHUB_ACTIONS="true")
    assert (ended.code, "not checked" in ended.out, len(scene.github.requests) <= 20) == (
        0,
        False,
        True,
    )
    return result(scene)


def result(scene: Scene) -> tuple[list[Issue], str]:
    issues, mark = scene.repository.issues, "<!-- dslp: handover -->"
    models = [one for one in issues.values() if scene.repository.label("Model") in one.labels]
    comments = [one.body for one in issues[2].comments if one.body.startswith(mark)]
    return models, "\n\n\n".join(comments)


def is_taken() -> None:
    raise Refused(422, "No", {"message": "taken, @eve"})


@pytest.mark.rule("B6", "I9")
def test_the_label_opens_the_model_makes_its_branch_and_retargets_once(scene: Scene) -> None:
    for number in range(1_000):
        scene.repository.add_issue(f"Task {number}")
    ask, experiment, pull = (scene.repository.issues[number] for number in (1, 2, 3))
    experiment.title = f"@eve `x`; rm -rf / # \u202e {'x' * 200}"
    scene.repository.commit("main", {"newer": "x"})
    (model,), comment = label(scene)
    assert len(scene.github.requests) <= 20
    parts = ("### Ask\n\n#1\n", "### Experiment\n\n#2\n", "\n### Deployment\n\n> A nightly table.")
    assert all(part in (model.body or "") for part in (*parts, "> It works.", "- [ ] Rollback"))
    assert "@eve" not in (model.body or "")
    branch = f"model/{model.number}-eve-x-rm-rf-u202e"
    assert (model.parent, pull.pull and pull.pull.base) == (ask, branch)
    assert scene.repository.branches[branch] == scene.repository.branches["main"]
    verdict = scene.status(pull)
    assert verdict
    assert verdict.state == "success"
    assert [one["ref"] for one in scene.repository.dispatches] == ["experiment/2-lines"]
    assert f"- #{model.number}: open" in (ask.body or "")
    assert (comment.count("- [x]"), comment.count("- [ ]")) == (5, 0)
    assert label(scene) == ([model], comment)
    assert len(scene.repository.dispatches) == 1


@pytest.mark.parametrize(
    ("fault", "todo"),
    [
        ("POST */issues", "a Model issue names this one: the token has no right"),
        ("POST */git/refs", "the branch `model/4-a-experiment` begins at `main`"),
        ("PATCH */pulls/*", "#3 goes to `model/4-a-experiment`: GitHub answers 422: No: taken"),
        ("POST */dispatches", "the tests of #3 are started: the token has no right"),
    ],
)
def test_a_step_that_fails_is_said_and_can_be_repeated(scene: Scene, fault: str, todo: str) -> None:
    refused = status(403, "Resource not accessible by integration, @eve")
    scene.github.on(fault, is_taken if "pulls" in fault else refused)
    assert scene.run("handover", "2", GITHUB_ACTIONS="true").code == 0
    comment = result(scene)[1]
    tasks = [line for line in comment.splitlines() if line.startswith("- [ ]")]
    assert ([todo in line for line in tasks][:1], "@eve" in comment) == ([True], False)
    models, comment = label(scene)
    assert (len(models), comment.count("- [ ]")) == (1, 0)


def test_an_open_model_issue_counts_first_and_what_others_did_is_left(scene: Scene) -> None:
    """The oldest of two open ones; a fork of a stranger's, a plain branch, one that is taken."""
    long = "@\n" * 10_000
    scene.repository.issues[2].body = f"{DONE}\n### Goal\n\n{long}\n### Runs\n\n{long}"
    (first,), _ = label(scene)
    for state in ("open", "closed"):
        scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2", state=state)
    fork = scene.repository.fork("eve")
    others = [scene.pull("experiment/2-x", fork=fork), scene.pull("2-docs")]
    scene.repository.issues[2].comments.clear()
    scene.run("handover", "2", GITHUB_ACTIONS="true")
    assert f"#{first.number} is open" in result(scene)[1]
    assert [one.pull.base for one in others if one.pull] == ["main"] * 2
    begin(scene)
    sha = scene.repository.commit("model/4-a-experiment", {}).sha
    assert "- [ ] the branch `model/4-a-experiment` begins at `main`: it exists" in label(scene)[1]
    assert scene.repository.branches["model/4-a-experiment"] == sha


def test_what_is_missing_or_closed_is_left_to_people(scene: Scene) -> None:
    """No form, no pull request, a closed Ask, a stranger's Model issue; then ours is closed."""
    (scene.folder / ".github").unlink()
    scene.repository.issues[1].state = scene.repository.issues[3].state = "closed"
    scene.repository.add_issue("x", "### Experiment\n\n#2", ["Model"], "eve")
    (_, model), comment = label(scene)
    assert "- [ ] open a pull request from the experiment's branch to `model/5-a" in comment
    assert "- [ ] reopen #1, the Ask" in comment
    model.state = "closed"
    models, comment = label(scene)
    assert (len(models), f"- [ ] #{model.number} is open" in comment) == (2, True)
    scene.repository.issues[2].labels += scene.repository.labelled(["failed"])
    assert "is no open experiment" in scene.run("handover", "2").out


@pytest.mark.rule("B5")
def test_a_failed_experiment_ends_once_it_has_a_summary(scene: Scene) -> None:
    begin(scene, "failed", "### Ask\n\n#1")
    experiment, pull = scene.repository.issues[2], scene.repository.issues[3]
    assert "- [ ] write the Summary" in label(scene)[1]
    assert (experiment.state, pull.state) == ("open", "open")
    experiment.body = BODY
    assert label(scene)[0] == []
    assert (experiment.state, pull.state) == ("closed", "closed")
    assert len(scene.github.requests) <= 20
    assert any(scene.repository.head_sha(pull) in one.body for one in experiment.comments)


@pytest.mark.campaign
def test_killed_after_any_change_the_next_delivery_goes_on(scene: Scene) -> None:
    stops, failed = 0, partial(begin, scene, "failed")
    for stops, _ in enumerate(scene.stop_anywhere(failed, "handover", "2"), 1):
        label(scene)
        states = [scene.repository.issues[number].state for number in (2, 3)]
        assert (states, [*scene.repository.tags]) == (
            ["closed"] * 2,
            ["archive/experiment/2-lines"],
        )
        assert any("unmerged at" in one.body for one in scene.repository.issues[2].comments), stops
    scene.github.forget()
    assert stops == 5  # the tag, its comment, the pull request, the issue, the comment
    for stops, _ in enumerate(scene.stop_anywhere(lambda: begin(scene), "handover", "2"), 1):
        models, comment = label(scene)
        assert (len(models), comment.count("- [x]")) == (1, 5), stops
        assert scene.repository.dispatches, stops
    assert stops == 4  # the issue, its branch, the pull request, the comment
