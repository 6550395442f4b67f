"""GitHub as it is on a bad day: what moved, what is gone, what is cut, and what is used up."""

from pathlib import Path

import pytest

from tests.github.scene import ASK, Scene, make
from tests.github.standin import faults
from tests.github.standin.faults import Action
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    scene.token = github.add_token()
    scene.issue("Ask")
    return scene


@pytest.mark.parametrize(
    "command", ["labels register", "protect", "check --pull-request 3 --publish", "issue-check 2"]
)
def test_a_repository_with_a_new_name_is_worked_in_and_the_name_is_said(
    scene: Scene, command: str
) -> None:
    scene.issue("Data", "### Ask\n\n#9")
    pull = scene.pull("data/2-claims")
    scene.pull("2-newer")
    scene.github.rename(scene.repository, "ada/costs")
    ended = scene.run(*command.split(), GITHUB_REPOSITORY="ada/claims")
    assert "GitHub calls it ada/costs" in ended.err
    first, second, *others = [str(one) for one in scene.github.requests]
    number = scene.repository.id
    assert [first, second] == ["GET /repos/ada/claims", f"GET /repositories/{number}"]
    assert others
    assert all("/repos/ada/costs" in one for one in others)
    effects = {
        "labels": scene.repository.label("Experiment"),
        "protect": scene.repository.rulesets,
        "check": scene.status(pull),
        "issue-check": scene.repository.issues[2].comments,
    }
    assert effects[command.split()[0]]


@pytest.mark.rule("I1")
def test_an_issue_that_was_transferred_or_deleted_is_no_issue_of_this_repository(
    scene: Scene,
) -> None:
    for _ in range(2):
        scene.issue("Task")
    scene.repository.transfer(2, scene.github.add_repository("ada/other"))
    scene.repository.delete(3)
    for number in (2, 3):
        ended, status = scene.check(scene.pull(f"{number}-docs"))
        assert f"I1: issue #{number} does not exist" in ended.out
        assert status
        assert status.state == "failure"


def test_a_fork_without_issues_stands_for_the_repository_that_it_was_made_from(
    scene: Scene,
) -> None:
    scene.github.add_repository("eve/claims", parent=scene.repository)
    scene.issue("Data", ASK)
    pull = scene.pull("data/2-claims")
    arguments = ("check", "--pull-request", str(pull.number))
    ended = scene.run(*arguments, GITHUB_REPOSITORY="eve/claims")
    assert (ended.code, "ada/claims is used" in ended.err) == (0, True), ended


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("GET */repos/ada/claims", faults.html()),
        ("GET */pulls", faults.truncated()),
        ("POST */statuses/*", faults.html()),
        ("POST */statuses/*", faults.truncated()),
    ],
)
def test_an_answer_that_is_not_githubs_or_is_cut_is_one_line(
    scene: Scene, pattern: str, fault: Action
) -> None:
    pull = scene.pull("1-docs")
    scene.github.on(pattern, fault)
    ended, _ = scene.check(pull)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert "not GitHub's" in ended.err or "does not answer" in ended.err


def test_what_workflows_of_a_repository_may_ask_in_an_hour_is_shared_and_its_end_is_said(
    scene: Scene,
) -> None:
    rights = dict.fromkeys(("issues", "pull_requests", "statuses"), "write")
    scene.token = scene.github.add_workflow_token(scene.repository, rights)
    ask = scene.repository.issues[1]
    ask.labels = []
    child = scene.issue("Data", ASK)
    event = {"action": "unlabeled", "issue": {"number": 1}, "label": {"name": "Ask"}}
    other = scene.github.add_workflow_token(scene.repository, {})
    scene.github.leave(other, 90)  # children wait, so that verdicts do not
    ended = scene.run("issue-check", event=event)
    assert (ended.code, child.comments) == (0, []), ended
    assert "run dslp issue-check 1" in ended.out
    scene.github.leave(other, 0)
    ended = scene.run("issue-check", event=event)
    assert (ended.code, ended.err.count("\n"), "is used up" in ended.err) == (2, 1, True), ended
