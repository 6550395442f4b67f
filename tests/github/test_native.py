"""GitHub's own types, sub-issues and dependencies follow labels and links, where it has them."""

from pathlib import Path

import pytest

from tests.github.scene import ASK, Scene, make
from tests.github.standin.faults import secondary_limit, status
from tests.github.standin.server import OLD_VERSION, VERSION, Standin

RIGHTS = {"contents": "read", "issues": "write", "pull_requests": "read", "statuses": "write"}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """Two Asks, whose owner has our types of issues."""
    scene = make(tmp_path / "project", github, types=("Ask", "Data", "Explore", "Experiment"))
    scene.token = github.add_workflow_token(scene.repository, RIGHTS)
    scene.issue("Ask")
    scene.issue("Ask")
    return scene


def parents(scene: Scene) -> dict[int, int]:
    issues = scene.repository.issues.values()
    return {one.number: one.parent.number for one in issues if one.parent}


@pytest.mark.rule("I11", "L1")
def test_children_and_types_follow_links_and_labels_but_not_against_a_person(scene: Scene) -> None:
    data = scene.issue("Data", ASK)
    scene.issue("Explore", f"### Belongs to\n\n#{data.number}")
    for number in (3, 4):
        assert scene.run("issue-check", str(number)).code == 0
    assert parents(scene) == {3: 1, 4: 3}
    assert [scene.repository.issues[number].type for number in (3, 4)] == ["Data", "Explore"]
    data.body = "### Ask\n\n#2"
    scene.run("issue-check", "3")
    assert parents(scene) == {3: 2, 4: 3}
    data.parent, data.type = scene.repository.issues[1], "Bug"
    data.events.append(("parent_issue_added", "ada"))
    scene.github.forget()
    scene.run("issue-check", "3")
    assert (parents(scene)[3], data.type) == (1, "Bug")


@pytest.mark.rule("L2")
def test_what_is_blocked_depends_on_the_issues_that_it_names(scene: Scene) -> None:
    scene.issue("Data", ASK, state="closed")
    blocked = scene.issue("Experiment", f"{ASK}\n\nBlocked by #3, and blocked by: #2. Not by #1.")
    scene.run("issue-check", "4")
    assert blocked.blockers == []
    blocked.labels += scene.repository.labelled(["blocked - need access"])
    for _ in range(2):
        scene.run("issue-check", "4")
    assert [one.number for one in blocked.blockers] == [3, 2]
    path = "dependencies/blocked_by"
    assert len([one for one in scene.github.writes if path in one.path]) == 2


@pytest.mark.parametrize("code", [403, 404, 410, 422])
def test_where_it_is_refused_nothing_is_said_and_the_rest_is_done(scene: Scene, code: int) -> None:
    for number in (3, 4):
        scene.issue("Data", ASK)
        scene.github.on(f"PATCH */issues/{number}", status(code, "No"))
    scene.github.on("POST */sub_issues", status(code, "No"))
    ended = scene.run("issue-check", "1")
    assert (ended.code, ended.err) == (0, "")
    assert len([one for one in scene.github.writes if "sub_issues" in one.path]) == 1


def test_a_secondary_limit_is_waited_for_and_is_no_refusal(scene: Scene) -> None:
    scene.issue("Data", ASK)
    scene.run("issue-check", "3")
    scene.repository.issues[3].parent = None
    scene.github.forget()
    scene.github.at(5, secondary_limit(1))
    scene.run("issue-check", "3")
    assert parents(scene) == {3: 1}


def test_a_server_is_asked_in_its_version_for_what_it_has(scene: Scene) -> None:
    scene.issue("Data", ASK)
    scene.run("issue-check", "3")
    assert {one.version for one in scene.github.requests} == {VERSION}
    scene.repository.is_server = True
    scene.github.forget()
    ended = scene.run("issue-check", "3", GITHUB_SERVER_URL="https://git.corp.example")
    assert (ended.code, {one.version for one in scene.github.requests}) == (0, {OLD_VERSION})
    assert [one for one in scene.github.writes if "graphql" not in one.path] == []
