"""GitHub's own types, sub-issues and dependencies follow labels and links, where it has them."""

from pathlib import Path

import pytest

from tests.github.scene import ASK, Scene, make
from tests.github.standin.faults import status
from tests.github.standin.server import OLD_VERSION, VERSION, Standin

RIGHTS = {"contents": "read", "issues": "write", "pull_requests": "read", "statuses": "write"}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """Two Asks and a Data issue of the first, whose owner has our types of issues."""
    scene = make(tmp_path / "project", github, types=("Ask", "Data", "Explore"))
    scene.token = github.add_workflow_token(scene.repository, RIGHTS)
    for kind, body in (("Ask", ""), ("Ask", ""), ("Data", ASK)):
        scene.issue(kind, body)
    return scene


def parents(scene: Scene) -> dict[int, int]:
    issues = scene.repository.issues.values()
    return {one.number: one.parent.number for one in issues if one.parent}


@pytest.mark.rule("I11", "L1")
def test_children_and_types_follow_links_and_labels_but_not_against_a_person(scene: Scene) -> None:
    data, explore = scene.repository.issues[3], scene.issue("Explore", "### Belongs to\n\n#3")
    for number in (3, 4):
        assert scene.run("issue-check", str(number)).code == 0
    assert (parents(scene), data.type, explore.type) == ({3: 1, 4: 3}, "Data", "Explore")
    data.body = "### Ask\n\n#2"
    scene.run("issue-check", "3")
    assert parents(scene) == {3: 2, 4: 3}
    data.parent, data.type = scene.repository.issues[1], "Bug"
    data.events.append(("parent_issue_added", "ada"))
    scene.run("issue-check", "3")
    assert (parents(scene)[3], data.type) == (1, "Bug")


@pytest.mark.rule("L2")
def test_what_is_blocked_depends_on_the_issues_that_it_names(scene: Scene) -> None:
    body = f"{ASK}\n\nBlocked by #3, and blocked by: #2. Not by #1."
    blocked = scene.issue("Experiment", body)
    scene.run("issue-check", "4")
    assert blocked.blockers == []
    blocked.labels += scene.repository.labelled(["blocked - need access"])
    scene.run("issue-check", "4")
    assert [one.number for one in blocked.blockers] == [3, 2]
    scene.github.on("POST */blocked_by", lambda: scene.github.violations.append("twice"))
    scene.run("issue-check", "4")


@pytest.mark.parametrize("code", [403, 404, 410, 422])
def test_where_it_is_refused_nothing_is_said_and_the_rest_is_done(scene: Scene, code: int) -> None:
    scene.issue("Data", ASK)
    scene.github.on("PATCH */issues/[34]", status(code, "No"))
    scene.github.on("POST */sub_issues", status(code, "No"))
    ended = scene.run("issue-check", "1")
    assert (ended.code, ended.err) == (0, "")
    assert len([one for one in scene.github.writes if "sub_issues" in one.path]) == 1


def test_a_server_is_asked_in_its_version_for_what_it_has(scene: Scene) -> None:
    scene.run("issue-check", "3")
    assert {one.version for one in scene.github.requests} == {VERSION}
    scene.repository.is_server = True
    scene.github.forget()
    ended = scene.run("issue-check", "3", GITHUB_SERVER_URL="https://git.corp.example")
    assert (ended.code, {one.version for one in scene.github.requests}) == (0, {OLD_VERSION})
    assert {one.path for one in scene.github.writes} <= {"/graphql"}
