"""GitHub's own types, sub-issues and dependencies follow labels and links, where it has them."""

from pathlib import Path

import pytest

from tests.github.scene import ASK, Ended, Scene, make
from tests.github.standin.faults import status
from tests.github.standin.model import Issue
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


def edit(scene: Scene, issue: Issue, body: str) -> int:
    """Change a text, and check the event of that; the exit code."""
    event = {"action": "edited", "changes": {"body": {"from": issue.body}}}
    issue.body = body
    return scene.run("issue-check", event={**event, "issue": {"number": issue.number}}).code


def opened(scene: Scene, number: int) -> Ended:
    event = {"action": "opened", "issue": {"number": number}}
    return scene.run("issue-check", event=event)


def parents(scene: Scene) -> dict[int, int]:
    issues = scene.repository.issues.values()
    return {one.number: one.parent.number for one in issues if one.parent}


@pytest.mark.rule("I11", "L1")
def test_children_and_types_follow_links_and_labels_but_not_against_a_person(scene: Scene) -> None:
    data, explore = scene.repository.issues[3], scene.issue("Explore", "### Belongs to\n\n#3")
    for number in (3, 4):
        assert opened(scene, number).code == 0
    assert (parents(scene), data.type, explore.type) == ({3: 1, 4: 3}, "Data", "Explore")
    edit(scene, data, "### Ask\n\n#2")
    assert parents(scene) == {3: 2, 4: 3}
    for parent, kind in ((None, None), (scene.issue("Task"), "Explore")):
        data.parent, data.type = parent, kind
        edit(scene, data, "### Ask\n\n#2\n\nMore.")
        edit(scene, data, ASK)
        edit(scene, data, "### Ask\n\n#2")
        scene.run("issue-check", "3")
        assert (data.parent, data.type) == (parent, kind)


@pytest.mark.rule("L2")
def test_what_is_blocked_depends_on_the_issues_that_it_names(scene: Scene) -> None:
    body = f"{ASK}\n\n`blocked by #1` <!-- blocked by #1 --> no longer blocked by #1, "
    body += "blocked by #3, #2. Not by #1."
    blocked, name = scene.issue("Experiment", body), "blocked - need access"
    opened(scene, 4)
    assert blocked.blockers == []
    blocked.labels += scene.repository.labelled([name])
    event = {"action": "labeled", "label": {"name": name}, "issue": {"number": 4}}
    scene.run("issue-check", event=event)
    assert [one.number for one in blocked.blockers] == [3, 2]
    blocked.blockers = [scene.repository.issues[1]]  # by hand
    edit(scene, blocked, f"{body} And blocked by: #5")
    assert [one.number for one in blocked.blockers] == [1]
    scene.issue("Task")
    edit(scene, blocked, body)
    edit(scene, blocked, f"{body} And blocked by: #5")
    assert [one.number for one in blocked.blockers] == [1, 5]


@pytest.mark.parametrize("code", [403, 404, 410, 422])
def test_where_it_is_refused_nothing_is_said_and_the_rest_is_done(scene: Scene, code: int) -> None:
    scene.issue("Data", ASK)
    scene.github.on("PATCH */issues/[34]", status(code, "No"))
    scene.github.on("POST */sub_issues", status(code, "No"))
    for number in (3, 4):
        ended = opened(scene, number)
    assert (ended.code, ended.err) == (0, "")


def test_a_server_is_asked_in_its_version_for_what_it_has(scene: Scene) -> None:
    opened(scene, 3)
    assert {one.version for one in scene.github.requests} == {VERSION}
    scene.repository.is_server = True
    scene.github.forget()
    event = {"action": "opened", "issue": {"number": 3}}
    ended = scene.run("issue-check", event=event, GITHUB_SERVER_URL="https://git.corp.example")
    assert (ended.code, {one.version for one in scene.github.requests}) == (0, {OLD_VERSION})
    assert {one.path for one in scene.github.writes} <= {"/graphql"}
