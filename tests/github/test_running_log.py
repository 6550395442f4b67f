"""The running log of an Ask: what it lists, and what people write around it meanwhile."""

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from dslp.core.settings import Project
from dslp.github.client import Repository, connect
from dslp.github.entities import END
from dslp.github.running_log import HEAD, update_log

from tests.github.scene import ISSUES_RIGHTS, Scene, make
from tests.github.standin.faults import Action, content
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin

START = "<!-- dslp: log  -->"
HOSTILE = "<b>@eve</b> | closes #1\n```"
LOG = f"{START}\n{HEAD}\n\n**Data**\n\n- #2: open, 2026-01-05\n{END}"


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    scene.token = github.add_workflow_token(scene.repository, ISSUES_RIGHTS)
    return scene


def client(scene: Scene) -> Repository:
    names = {"GITHUB_API_URL": scene.github.url, "GITHUB_REPOSITORY": "ada/claims"}
    return connect(Project.find(scene.folder), {**names, "GITHUB_TOKEN": scene.token})


def change(scene: Scene, issue: Issue, action: str = "edited", before: str = "") -> None:
    facts = {"number": issue.number, "body": issue.body}
    event = {"action": action, "issue": facts, "changes": {"body": {"from": before}}}
    ended = scene.run("issue-check", event=event)
    assert ended.code == 0, ended


def log(issue: Issue) -> str:
    return (issue.body or "").partition(HEAD)[2].partition(END)[0]


@pytest.mark.rule("I12")
def test_an_ask_lists_what_serves_it_successful_experiments_first(scene: Scene) -> None:
    ask = scene.issue("Ask", "### Parent Ask\n\n_No response_")
    scene.issue("Data", "### Ask\n\n#1")
    scene.issue("Explore", "### Belongs to\n\n#2")
    failed = scene.issue("Experiment", "### Ask\n\nGH-1", "failed", state="closed")
    scene.issue("Experiment", "### Ask\n\n#1", "Succeeded").created = "2026-02-01T00:00:00Z"
    scene.issue("Communicate", "### Ask\n\n1").title = HOSTILE
    scene.issue("Ask", "### Parent Ask\n\n#1")
    scene.issue("Data", "### Ask\n\n#7\n\n### Notes\n\n#1")  # serves a part only
    scene.issue("Experiment", "### Ask\n\n#1", state="closed").reason = "NOT_PLANNED"
    scene.pull("2-docs", body="For #1")
    failed.closed = "2026-03-01T00:00:00Z"
    change(scene, scene.repository.issues[6])
    assert log(ask) == (
        "\n\n**Ask**\n\n- #7: open, 2026-01-05\n\n**Data**\n\n- #2: open, 2026-01-05\n"
        "\n**Explore**\n\n- #3: open, 2026-01-05\n"
        "\n**Experiment**\n\n- #5: succeeded, open, 2026-02-01\n"
        "- #4: failed, closed, 2026-01-05 to 2026-03-01\n"
        "- #9: not planned, 2026-01-05 to 2026-01-19\n"
        "\n**Communicate**\n\n- #6: open, 2026-01-05\n"
    )
    scene.github.forget()
    change(scene, ask)
    change(scene, scene.repository.issues[3])
    assert "PATCH /repos/ada/claims/issues/1" not in map(str, scene.github.writes)
    assert "names #" not in scene.run("issue-check", "1").out, "the log is no link of the Ask"


@pytest.mark.rule("I12")
@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("", "", ""),
        ("a\r\nb  \r\n", "a\r\nb  \r\n\n\n", ""),
        (f"a\r\n{LOG}  \r\n\r\nb ", "a\r\n", "  \r\n\r\nb "),
        (f"{LOG}\n{LOG}\n", f"{LOG}\n", "\n"),  # twice
        (f"a\n{START}\n{LOG}\n{END}\nb", f"a\n{START}\n", f"\n{END}\nb"),
        (f"a\n{START}\nb", "a\n", "\nb"),  # one marker is gone
        (f"a{LOG.removesuffix(END)}b", "a", "\nb"),
        (f"a{LOG.removesuffix(END)}b\n\nc\n{END}", "a", "\n\nb\n\nc"),  # written into the log
        (f"a\n{END}", f"a\n{END}\n\n", ""),
        (f"```\n{LOG}", "```\n", ""),  # a fence that is not closed hides the markers
        ("<!-- a", "<!-- a\n\n", ""),
        ("x" * 64_000, "x" * 64_000 + "\n\n", ""),
    ],
)
def test_what_people_write_stays_byte_for_byte(
    scene: Scene, text: str, before: str, after: str
) -> None:
    ask = scene.issue("Ask", text)
    for _ in range(3):
        issue = scene.issue("Data", "### Ask\n\n#1")
        change(scene, issue)
        assert ask.body
        assert ask.body.startswith(f"{before}<!-- dslp: log ")
        assert ask.body.endswith(f"{END}{after}")
        assert f"\n- #{issue.number}: open" in ask.body[len(before) :]
        assert len(ask.body) <= len(before) + len(after) + 500


@pytest.mark.rule("I12")
def test_an_issue_that_moves_leaves_one_log_for_the_other(scene: Scene) -> None:
    asks = [scene.issue("Ask", "text") for _ in range(2)]
    moved, other = scene.issue("Data", "### Ask\n\n#1"), scene.issue("Data", "### Ask\n\n#1")
    change(scene, moved)
    moved.body = "### Ask\n\n#2"
    change(scene, moved, before="### Ask\n\n#1")
    assert ["#3" in log(ask) for ask in asks] == [False, True]
    scene.repository.delete(3)
    change(scene, moved, "deleted")
    other.labels = []
    change(scene, other, "unlabeled")
    assert [log(ask) for ask in asks] == ["\n", "\n"]


@pytest.mark.rule("I12")
@pytest.mark.parametrize("rounds", [30, pytest.param(1_000, marks=pytest.mark.campaign)])
def test_two_people_and_the_machine_edit_one_ask_at_once_and_nothing_is_lost(
    scene: Scene, rounds: int
) -> None:
    """People save between what two runs of the machine read and what they write."""
    ask, child = scene.issue("Ask", "first\nlast"), scene.issue("Data", "### Ask\n\n#1")
    repositories, chance = [client(scene), client(scene)], random.Random(15)
    expected, gone, length = {"first"}, {"no"}, 1

    def save() -> None:
        for person in chance.choice(["", "", "", "a", "b", "ab"]):
            lines, text = (ask.body or "").splitlines(), f"{person}{len(ask.versions)}" * length
            place = chance.randint(1, lines.index("last"))
            if chance.random() < 0.3 and lines[place] in expected:  # deletes or changes a line
                gone.add(lines[place])
                expected.discard(lines.pop(place))
                text *= chance.randint(0, 1)
            if text:
                lines.insert(place, text)
                expected.add(text)
            ask.body = chance.choice(["\n", "\r\n"]).join(lines)

    scene.github.on("PATCH */issues/1", save)
    for number in range(rounds):
        scene.github.used.clear()  # these are more than an hour's requests
        child.labels = scene.repository.labelled(["Data", "failed"][: 1 + number % 2])
        with ThreadPoolExecutor() as runs:
            list(runs.map(update_log, repositories[: 1 + (number % 5 == 0)], [1, 1]))
    length = 5_000  # which leaves little room for the log
    update_log(repositories[0], 1)
    save()
    scene.github.faults.clear()
    update_log(repositories[0], 1)
    lines = [set(text.splitlines()) for text in ask.versions]
    assert (expected - lines[-1], gone & lines[-1]) == (set(), set())
    assert [ask.versions[-1].count(marker) for marker in (HEAD, END)] == [1, 1]
    assert sum(bool(old - new & expected) for old, new in pairwise(lines)) > rounds / 3


@pytest.mark.rule("I12")
@pytest.mark.parametrize("late", [0, 2])
def test_what_was_overwritten_comes_back_when_the_machine_ends_or_the_history_is_late(
    scene: Scene, late: int
) -> None:
    ask, child = scene.issue("Ask", "one\r\n\r\ntwo"), scene.issue("Data", "### Ask\n\n#1")
    change(scene, child)
    child.labels += scene.repository.labelled(["failed"])

    def save() -> None:
        ask.body = (ask.body or "").replace("two", "two and more")
        scene.github.faults.clear()
        scene.github.kill_at(len(scene.github.requests)) if not late else None

    scene.github.late = late
    scene.github.on("PATCH */issues/1", save)
    scene.run("issue-check", event={"action": "labeled", "issue": {"number": 2}})
    assert "and more" not in (ask.body or "")
    scene.github.forget()
    scene.github.late = 0
    ask.body = (ask.body or "").replace("one", "one, edited since")
    change(scene, ask)
    assert (ask.body or "").startswith("one, edited since\r\n\r\ntwo and more\r\n")
    assert "failed, open" in log(ask)


@pytest.mark.rule("I12")
@pytest.mark.parametrize("case", ["crowd", "part", "requests"])
def test_what_is_in_a_log_stays_there(scene: Scene, case: str) -> None:
    """Though many mention the Ask, GitHub leaves a part out, or an event has no requests left."""
    ask, child = scene.issue("Ask", "text"), scene.issue("Data", "### Ask\n\n1")
    change(scene, child)
    before = log(ask)
    if case == "crowd":
        for number in range(500):
            scene.issue("Task", "see #1" if number < 90 else f"see #{3 + number % 90}")
        change(scene, ask)
        assert log(ask) == before
    elif case == "part":
        part = '{"data": {"repository": {"_2": null}}, "errors": [{"message": "Timeout"}]}'
        answers: list[Action] = [int, content(part)]
        scene.github.on("POST /graphql", lambda: answers.pop(0)())
        event = {"action": "edited", "issue": {"number": 1}}
        assert "Timeout" in scene.run("issue-check", event=event).err
        assert log(ask) == before
    else:
        for _ in range(7):
            scene.issue("Ask", "text")
        explore = scene.issue("Explore", "### Belongs to\n\n#1 #3 #4 #5 #6 #7 #8 #9")
        scene.github.forget()
        event = {"action": "edited", "issue": {"number": explore.number}}
        ended = scene.run("issue-check", event=event)
        assert "requests are left for its log; run dslp issue-check 10" in ended.out
        methods = [one.method for one in scene.github.requests]
        assert methods[::-1].index("PATCH") >= 2
