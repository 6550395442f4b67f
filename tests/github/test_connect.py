"""Repositories that moved, forks, answers that are no answers: said in a line, or done right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.github.scene import ASK, Scene, make
from tests.github.standin import faults
from tests.github.standin.server import Standin
from tests.template_copy import commit

OLD = {"GITHUB_REPOSITORY": "ada/visits"}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """A project whose remote has the name that the repository had before: ada/visits."""
    scene = make(tmp_path / "project", github)
    github.rename(scene.repository, "ada/visits")
    github.rename(scene.repository, "ada/claims")
    del github.renamed["ada/claims"]
    (scene.folder / ".gitignore").write_text("event.json\n")
    commit(scene.folder)
    scene.token = github.add_token()
    scene.issue("Ask")
    scene.issue("Data", ASK)
    scene.pull("data/2-claims")
    return scene


@pytest.mark.parametrize(
    ("command", "done"),
    [
        ("labels register", lambda scene: scene.repository.label("Experiment")),
        ("protect", lambda scene: scene.repository.rulesets),
        ("check --pull-request 3 --publish", lambda scene: scene.repository.statuses),
        ("issue-check 2", lambda scene: scene.repository.statuses),
    ],
)
def test_under_its_old_name_the_repository_is_the_same_and_that_is_said(
    scene: Scene, command: str, done: Callable[[Scene], object]
) -> None:
    ended = scene.run(*command.split(), **OLD)
    assert (ended.code, bool(done(scene))) == (0, True), ended
    assert "ada/visits has moved: GitHub calls it ada/claims" in ended.err
    first, second, *others = [request.path for request in scene.github.requests]
    assert (first, second) == ("/repos/ada/visits", f"/repositories/{scene.repository.id}")
    assert all(path.startswith(("/repos/ada/claims", "/graphql")) for path in others)


def test_a_fork_has_issues_or_says_where_they_are(scene: Scene, github: Standin) -> None:
    fork = github.repositories["ada2/claims"] = scene.repository.fork("ada2")
    scene.token = github.add_token("ada2")
    names = {"GITHUB_REPOSITORY": "ada2/claims"}
    ended = scene.run("check", "--pull-request", "3", **names)
    words = "ada2/claims has no issues: switch them on in its settings; where it is a fork, set"
    assert (ended.code, words in ended.err) == (2, True), ended
    assert scene.run("protect", **names).code == 0
    assert (bool(fork.rulesets), scene.repository.rulesets) == (True, [])


@pytest.mark.parametrize("fault", [faults.html, faults.truncated, lambda: faults.cut])
@pytest.mark.parametrize("command", ["labels register", "check --pull-request 3", "start 2"])
@pytest.mark.parametrize("pattern", ["GET /repos/ada/claims", "GET /repos/ada/claims/*"])
def test_an_answer_that_is_cut_or_not_githubs_is_one_line(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[], faults.Action],
    command: str,
    pattern: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    scene.github.on(pattern, fault())
    ended = scene.run(*command.split())
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert "GitHub does not answer at http://127.0.0.1" in ended.err


def test_an_issue_is_no_pull_request(scene: Scene) -> None:
    ended = scene.run("check", "--pull-request", "2")
    words = "ada/claims has no pull request #2: is it an issue?"
    assert (ended.code, words in ended.err, ended.err.count("\n")) == (2, True, 1), ended


@pytest.mark.rule("I1")
@pytest.mark.parametrize("how", ["transferred", "deleted"])
def test_an_issue_that_left_the_repository_counts_no_more(scene: Scene, how: str) -> None:
    other = scene.github.add_repository("ada/other")
    scene.repository.transfer(2, other) if how == "transferred" else scene.repository.delete(2)
    ended = scene.run("check", "--pull-request", "3")
    assert "I1: issue #2 does not exist here, or was transferred" in ended.out, ended
    event = {"action": how, "issue": {"number": 2}}
    assert scene.run("issue-check", event=event).code == 0
    (status,) = scene.repository.statuses[scene.repository.head_sha(scene.repository.issues[3])]
    assert status.state == "failure"
    scene.repository.transfer(1, other)
    scene.repository.issues[4] = scene.issue("Data", ASK)
    assert "names #1, which is no issue" in scene.run("issue-check", "4").out
    ended = scene.run("start", "1")
    assert (ended.code, "has no issue #1" in ended.err) == (2, True), ended
