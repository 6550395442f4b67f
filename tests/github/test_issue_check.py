"""What follows from a change of an issue: one comment, new verdicts, and a note of what is kept."""

from pathlib import Path

import pytest
from dslp.github.rules import PAGE

from tests.github.scene import Scene, make
from tests.github.standin import faults
from tests.github.standin.server import Standin

RIGHTS = {"contents": "read", "issues": "write", "pull_requests": "read", "statuses": "write"}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    made = make(tmp_path / "project", github)
    made.token = github.add_workflow_token(made.repository, RIGHTS)
    return made


def comments(scene: Scene, number: int) -> list[str]:
    return [comment.body for comment in scene.repository.issues[number].comments]


@pytest.mark.rule("I11")
def test_a_missing_link_is_told_once_kept_up_to_date_and_removed(scene: Scene) -> None:
    scene.issue("Ask")
    issue = scene.issue("Data", "### Ask\n\n_No response_")
    scene.run("issue-check", "2")
    scene.run("issue-check", "2")
    assert len(comments(scene, 2)) == 1
    assert "names no Ask" in comments(scene, 2)[0]
    assert f"Rule [I11]({PAGE}#i11) says why." in comments(scene, 2)[0]
    scene.github.forget()
    scene.run("issue-check", "2")
    assert scene.github.writes == []
    issue.body = "### Ask\n\n#2"
    scene.run("issue-check", "2")
    assert "names itself" in comments(scene, 2)[0]
    issue.body = "### Ask\n\n#1"
    scene.run("issue-check", "2")
    assert comments(scene, 2) == []


@pytest.mark.rule("I11")
@pytest.mark.parametrize(
    ("kind", "field", "right", "wrong"),
    [
        ("Ask", "Parent Ask", "Ask", "Data"),
        ("Data", "Ask", "Ask", "Model"),
        ("Explore", "Belongs to", "Experiment", "Model"),
        ("Experiment", "Ask", "Ask", "Explore"),
        ("Model", "Experiment", "Experiment", "Ask"),
        ("Communicate", "Ask", "Ask", "Model"),
    ],
)
def test_a_link_of_the_wrong_type_is_named(
    scene: Scene, kind: str, field: str, right: str, wrong: str
) -> None:
    scene.issue(wrong)
    scene.issue(right)
    scene.issue(kind, f"### {field}\n\n#1")
    assert f"names #1, which is of type {wrong}" in scene.run("issue-check", "3").out
    scene.issue(kind, f"### {field}\n\n#2")
    assert f"“{field}”" not in scene.run("issue-check", "4").out


@pytest.mark.parametrize(
    "text",
    ["#1", "1", " #1 and more", "https://github.com/ada/claims/issues/1", "\r\n#1\r\n"],
)
def test_a_link_is_read_as_people_write_it(scene: Scene, text: str) -> None:
    scene.issue("Ask")
    scene.issue("Data", f"### Ask\r\n\r\n{text}\r\n\r\n### Version\r\n\r\n1.0.0")
    assert scene.run("issue-check", "2").out == ""


@pytest.mark.parametrize(
    "text", ["eve/other#1", "https://github.com/eve/other/issues/1", "#0", "#01x"]
)
def test_what_is_no_issue_of_this_repository_is_no_link(scene: Scene, text: str) -> None:
    scene.issue("Ask")
    scene.issue("Data", f"### Ask\n\n{text}")
    assert "names no Ask" in scene.run("issue-check", "2").out


def test_a_heading_in_a_code_fence_is_no_field(scene: Scene) -> None:
    scene.issue("Ask")
    scene.issue("Data", "### Notes\n\n````\n```\n### Ask\n\n#1\n```\n````\n")
    assert "names no Ask" in scene.run("issue-check", "2").out


@pytest.mark.rule("I6")
def test_two_issues_for_one_version_of_a_dataset_are_told(scene: Scene) -> None:
    text = "### Ask\n\n#1\n\n### Dataset\n\n{}\n\n### Version\n\n{}"
    scene.issue("Ask")
    scene.issue("Data", text.format("claims", "1.0.0"), state="closed")
    second = scene.issue("Data", text.format("Claims", "v1.0.0"))
    scene.issue("Data", text.format("claims", "1.1.0"))
    assert "I6: issue #2 is for this version" in scene.run("issue-check", "3").out
    assert "goes when it is put right" in comments(scene, 3)[0]
    assert scene.run("issue-check", "4").out == ""
    second.body = text.format("claims", "1.2.0")
    scene.run("issue-check", "3")
    assert comments(scene, 3) == []


def test_somebody_elses_comment_with_the_mark_is_left_alone(scene: Scene) -> None:
    scene.issue("Data")
    scene.repository.add_comment(1, "<!-- dslp: links --> mine", "eve")
    scene.run("issue-check", "1")
    assert comments(scene, 1)[0] == "<!-- dslp: links --> mine"
    assert len(comments(scene, 1)) == 2


def test_a_change_of_a_label_judges_the_open_pull_requests_anew(scene: Scene) -> None:
    scene.issue("Ask")
    experiment = scene.issue("Experiment", "### Ask\n\n#1")
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
    pull = scene.pull("model/3-frequency")
    other = scene.pull("data/9-other")
    scene.run("issue-check", "2")
    assert scene.status(pull).state == "failure"
    experiment.labels += scene.repository.labelled(["succeeded"])
    scene.run("issue-check", "2")
    assert scene.status(pull).state == "success"
    assert scene.repository.head_sha(other) not in scene.repository.statuses


def test_a_forks_pull_request_is_left_to_a_maintainer(scene: Scene) -> None:
    scene.issue("Task")
    scene.pull("1-docs", fork=scene.github.add_fork(scene.repository, "eve"), user="eve")
    scene.run("issue-check", "1")
    assert scene.repository.statuses == {}


def test_a_verdict_that_a_rate_limit_keeps_back_is_no_success(scene: Scene) -> None:
    scene.issue("Task")
    scene.pull("1-docs")
    scene.github.on("POST", "*/statuses/*", faults.primary_limit(3600), times=None)
    said = scene.run("issue-check", "1")
    assert said.code == 2
    assert "rate limit" in said.err


def test_the_comment_goes_when_the_issue_that_is_named_is_put_right(scene: Scene) -> None:
    named = scene.issue("Task")
    scene.issue("Data", "### Ask\n\n#1")
    scene.run("issue-check", "2")
    assert "of type Task" in comments(scene, 2)[0]
    named.labels += scene.repository.labelled(["Ask"])
    scene.run("issue-check", "1")
    assert comments(scene, 2) == []


def test_when_the_stricter_of_two_on_a_commit_is_closed_the_other_is_judged_anew(
    scene: Scene,
) -> None:
    scene.issue("Explore")
    scene.issue("Task")
    strict = scene.pull("explore/1-claims")
    scene.repository.branches["2-docs"] = scene.repository.branches["explore/1-claims"]
    plain = scene.pull("2-docs")
    scene.judge(plain)
    assert scene.status(plain).state == "failure"
    strict.state = "closed"
    scene.run("issue-check", event={"pull_request": {"number": strict.number}})
    assert scene.status(plain).state == "success"


@pytest.mark.rule("B4", "X4")
@pytest.mark.parametrize("kind", ["Explore", "Experiment"])
def test_what_an_unmerged_branch_held_stays_findable(scene: Scene, kind: str) -> None:
    scene.issue(kind)
    pull = scene.pull(f"{kind.lower()}/1-claims")
    event = {"pull_request": {"number": pull.number}}
    assert scene.run("issue-check", event=event).code == 0
    assert comments(scene, 1) == []  # it is open
    pull.state = "closed"
    for _ in range(2):
        scene.run("issue-check", event=event)
    (note,) = comments(scene, 1)
    assert scene.repository.head_sha(pull) in note
    assert f"git fetch origin refs/pull/{pull.number}/head" in note
    assert ("docs/" in note) == (kind == "Explore")
