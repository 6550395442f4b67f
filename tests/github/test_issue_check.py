"""What follows from a change of an issue: one comment, new verdicts, and a note of what is kept."""

from pathlib import Path

import pytest
from dslp.github.rules import PAGE

from tests.github.scene import DONE, ISSUES_RIGHTS, Scene, make
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    scene.token = github.add_workflow_token(scene.repository, ISSUES_RIGHTS)
    return scene


def comments(issue: Issue) -> list[str]:
    return [comment.body for comment in issue.comments]


def state(scene: Scene, pull: Issue) -> str:
    status = scene.status(pull)
    return status.state if status else "none"


@pytest.mark.rule("I11")
def test_a_missing_link_is_told_once_kept_up_to_date_and_removed(scene: Scene) -> None:
    task = scene.issue("Task")
    issue = scene.issue("Data", "### Ask\n\n_No response_")
    scene.repository.add_comment(2, "<!-- dslp: links --> mine", "eve")  # is left alone
    scene.run("issue-check", "2")
    scene.github.forget()
    scene.run("issue-check", "2")
    assert scene.github.writes == []
    _, comment = comments(issue)
    assert "names no Ask" in comment
    assert f"Rule [I11]({PAGE}#i11) says why." in comment
    issue.body = "### Ask\n\n#1"
    scene.run("issue-check", "2")
    _, comment = comments(issue)
    assert "of type Task" in comment
    task.labels += scene.repository.labelled(["Ask"])
    scene.run("issue-check", "1")  # the issue that is named is the one that changed
    assert comments(issue) == ["<!-- dslp: links --> mine"]


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
    ("texts", "is_link"),
    [
        (("#1", "1", " #1 and more", "https://github.com/ada/claims/issues/1", "\r\n#1"), True),
        (
            (
                "ada/claims#1",
                "Ada/Claims#1",
                "GH-1",
                "- [x] **#1**",
                "[it](https://github.com/ada/claims/issues/1)",
            ),
            True,
        ),
        (("eve/other#1", "https://github.com/eve/other/issues/1", "#0", "#01x"), False),
        (("~5 % of #1, ~3 % more", "<!-- #9 --> #1", "`a` #1 ``b`c``"), True),
        (("<!-- #1 -->", "a <!-- #1 -->", "<!-- a\n\n#1 -->", "<!-- #1", "~~#1~~"), False),
        (("`#1`", "``a`#1``", "```\n#1\n```", "~~~ x\n#1"), False),
        (("_No response_\n\n### Notes\n\n````\n```\n### Ask\n\n#1\n```\n````",), False),
    ],
)
def test_a_link_is_read_as_people_write_it(
    scene: Scene, texts: tuple[str, ...], is_link: bool
) -> None:
    scene.issue("Ask")
    for text in texts:
        issue = scene.issue("Data", f"### Ask\r\n\r\n{text}\r\n\r\n### Version\r\n\r\n1.0.0")
        ended = scene.run("issue-check", str(issue.number))
        assert ("names no Ask" in ended.out) != is_link, text


@pytest.mark.rule("I6")
def test_two_issues_for_one_version_of_a_dataset_are_told(scene: Scene) -> None:
    text = "### Ask\n\n#1\n\n### Dataset\n\n{}\n\n### Version\n\n{}"
    scene.issue("Ask")
    scene.issue("Data", text.format("claims", "1.0.0"), state="closed")
    second = scene.issue("Data", text.format("Claims", "v1.0.0"))
    scene.issue("Data", text.format("claims", "1.1.0"))
    assert "I6: issue #2 is for this version" in scene.run("issue-check", "3").out
    assert len(comments(second)) == 1
    assert scene.run("issue-check", "4").out == ""


def test_a_change_of_a_label_judges_the_open_pull_requests_anew(scene: Scene) -> None:
    scene.issue("Ask")
    experiment = scene.issue("Experiment", "### Ask\n\n#1")
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
    pull, other = scene.pull("model/3-frequency"), scene.pull("data/9-other")
    fork = scene.repository.fork("eve")
    foreign = scene.pull("experiment/2-x", fork=fork, user="eve")
    scene.run("issue-check", "2")
    assert state(scene, pull) == "failure"
    experiment.labels += scene.repository.labelled(["succeeded"])
    experiment.body = DONE
    scene.run("issue-check", "2")
    assert [state(scene, one) for one in (pull, other, foreign)] == ["success", "none", "failure"]


def test_when_the_stricter_of_two_on_a_commit_is_closed_the_other_is_judged_anew(
    scene: Scene,
) -> None:
    scene.issue("Explore")
    scene.issue("Task")
    strict = scene.pull("explore/1-claims")
    scene.repository.branches["2-docs"] = scene.repository.branches["explore/1-claims"]
    plain = scene.pull("2-docs")
    scene.check(plain)
    assert state(scene, plain) == "pending"
    strict.state = "closed"
    scene.run("issue-check", event={"pull_request": {"number": strict.number}})
    assert state(scene, plain) == "success"


@pytest.mark.rule("B4", "B5", "E2", "X4")
@pytest.mark.parametrize("kind", ["Explore", "Experiment"])
def test_what_an_unmerged_branch_held_stays_findable(scene: Scene, kind: str) -> None:
    issue, repository = scene.issue(kind), scene.repository
    rights = {**ISSUES_RIGHTS, "contents": "write"}
    may_tag, branch = (
        scene.github.add_workflow_token(repository, rights),
        f"{kind.lower()}/1-claims",
    )
    pulls = [scene.pull(branch), scene.pull(branch.replace("1-c", "1-other-c"))]
    fork = repository.fork("eve")
    pulls += [scene.pull(branch, fork=fork, user=user) for user in ("ada", "eve")]
    other = {"Explore": "Experiment", "Experiment": "Explore"}[kind]
    pulls.append(scene.pull(f"{other.lower()}/1-x"))  # a name that is not the issue's
    event = [{"pull_request": {"number": pull.number}} for pull in pulls]
    assert scene.run("issue-check", event=event[0]).code == 0
    assert comments(issue) == []  # it is open
    for pull in pulls:
        pull.state = "closed"
    assert scene.run("issue-check", event=event[1]).code == 0  # its token may not make a tag
    for number in (0, 2, 3, 4, 0):
        scene.run("issue-check", event=event[number], GITHUB_TOKEN=may_tag)
    assert repository.tags == {f"archive/{branch}": repository.head_sha(pulls[0])}
    (note,) = comments(issue)
    assert note.count("unmerged at") == 3
    for pull, ref in zip(
        pulls, (f"refs/tags/archive/{branch}", "refs/pull/3/head", "refs/pull/4/head"), strict=False
    ):
        ended = f"- #{pull.number}, unmerged at {repository.head_sha(pull)}: "
        assert any(
            line.startswith(ended) and f"fetch origin {ref} &" in line for line in note.split("\n")
        )
    field = "Insights" if kind == "Explore" else "Summary"
    assert f"field “{field}” is empty" in note
    assert ("docs/" in note, "--issue 1`" in note) == (kind == "Explore", kind == "Experiment")
    pulls[0].state = "open"
    repository.commit(branch, {"more.txt": ""})
    repository.head_sha(pulls[0])
    pulls[0].state, issue.body = "closed", f"### {field}\n\nMuch."
    scene.run("issue-check", event=event[0], GITHUB_TOKEN=may_tag)
    assert repository.tags[f"archive/{branch}-2"] == repository.head_sha(pulls[0])
    (note,) = comments(issue)
    assert ("is empty" in note, f"archive/{branch}-2 " in note) == (False, True)


@pytest.mark.rule("B5", "X4")
@pytest.mark.parametrize(
    ("kind", "field"), [("Ask", "Value"), ("Explore", "Insights"), ("Experiment", "Summary")]
)
def test_an_issue_that_is_closed_without_its_lessons_is_asked_for_them_once(
    scene: Scene, kind: str, field: str
) -> None:
    ask, body = scene.issue("Ask"), f"### Ask\n\n#1\n\n### {field}\n\n"
    empty, full = f"{body}_No response_", f"{body}Much."
    is_void = kind == "Ask"  # one that is not planned has no value
    for text, reason, count in (
        (empty, None, 1),
        (full, None, 0),
        (empty, "NOT_PLANNED", 1 - is_void),
        (empty, "DUPLICATE", 0),
    ):
        issue = scene.issue(kind, text)
        issue.reason = reason
        for state in ("closed", "open", "closed"):
            issue.state = state
            event = {"action": state, "issue": {"number": issue.number}}
            scene.run("issue-check", event=event)
        assert len([one for one in comments(issue) if f"“{field}” is empty" in one]) == count
        issue.body = full
        scene.run("issue-check", event=event)
        assert "is empty" not in str(comments(issue))
    assert ask.comments == []


def crowd(scene: Scene, children: int, others: int) -> Issue:
    """An Ask with a branch of its own, open issues that name it, and open issues that do not."""
    ask = scene.issue("Ask")
    for _ in range(others):
        scene.issue("Task")
    for _ in range(children):
        scene.issue("Data", "### Ask\n\n#1")
    scene.pull("1-ask")
    for number in range(5):
        scene.pull(f"data/{2 + others + number}-claims")
    return ask


@pytest.mark.parametrize("change", ["edited", "unlabeled", "closed"])
def test_an_event_takes_at_most_20_requests_and_says_what_is_left_to_do(
    scene: Scene, change: str
) -> None:
    ask = crowd(scene, children=160, others=840)
    ask.labels = [] if change == "unlabeled" else ask.labels
    number = 1 if change == "unlabeled" else 900
    event = {"action": change, "issue": {"number": number}}
    event |= {"label": {"name": "Ask"}} if change == "unlabeled" else {}
    scene.repository.issues[900].state = "closed" if change == "closed" else "open"
    ended = scene.run("issue-check", event=event, GITHUB_ACTIONS="true")
    assert (ended.code, len(scene.github.requests) <= 20) == (0, True), ended
    assert ("run dslp issue-check 1" in ended.out) == (change == "unlabeled")
    assert f"- #{number}: {scene.repository.issues[900].state}" in (ask.body or "") or number == 1
    listed = [one for one in scene.github.requests if one.path.endswith("/issues")]
    assert bool(listed) == (change == "unlabeled"), "who names it matters when its type changes"


@pytest.mark.parametrize("models", [6, 30])
def test_a_verdict_that_an_event_cannot_finish_is_left_as_it_was(scene: Scene, models: int) -> None:
    scene.issue("Ask")
    for _ in range(7):
        scene.issue("Experiment", DONE, "succeeded")
    experiments = ", ".join(f"#{number}" for number in range(2, 9))
    for _ in range(models):
        scene.issue("Model", f"### Ask\n\n#1\n\n### Experiment\n\n{experiments}")
    pulls = [scene.pull(f"model/{9 + number}-x") for number in range(models)]
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
    pulls.append(scene.pull("claude/x", body=f"Closes #{9 + 2 * models}"))
    event = {"action": "labeled", "issue": {"number": 2}, "label": {"name": "failed"}}
    scene.repository.issues[2].labels += scene.repository.labelled(["failed"])
    ended = scene.run("issue-check", event=event)
    assert (ended.code, len(scene.github.requests) <= 20) == (0, True), ended
    assert "run dslp issue-check 2" in ended.out
    assert {state(scene, pull) for pull in pulls} <= {"failure", "none"}
    assert scene.run("issue-check", "2").code == 0
    assert {state(scene, pull) for pull in pulls} == {"failure"}


def test_where_the_requests_of_the_hour_are_used_up_that_is_said(scene: Scene) -> None:
    scene.issue("Task")
    scene.github.leave(scene.github.add_workflow_token(scene.repository, {}), 0)
    ended = scene.run("issue-check", event={"action": "edited", "issue": {"number": 1}})
    assert (ended.code, ended.err.count("\n"), "is used up" in ended.err) == (2, 1, True), ended
