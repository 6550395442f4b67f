"""The logbook's issues and pull requests from GitHub: complete, incremental, whatever happens."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.github.entities import END
from dslp.logbook import github_source
from dslp.logbook.events import Event
from dslp.logbook.github_source import Read, read_github
from dslp.logbook.measures import UNKNOWN, time_spent

from tests.github.scene import Scene, make
from tests.github.standin import faults, history
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    at(scene, 0)
    return scene


def at(scene: Scene, seconds: int) -> datetime:
    """Let so many seconds of 2026 be over on GitHub."""
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    scene.repository.clock.now = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    return time


def cache(scene: Scene) -> Path:
    return scene.folder / "new" / "github.db"


def read(scene: Scene, name: str = "github.db", **env: str) -> Read:
    names = {"GITHUB_API_URL": scene.github.url, "GITHUB_REPOSITORY": "ada/claims"}
    environment = {**names, "GITHUB_TOKEN": scene.token, **env}
    return read_github(Project.find(scene.folder), scene.folder / "new" / name, environment)


def forget(scene: Scene) -> Scene:
    """Begin another hour, in which nothing goes wrong."""
    scene.github.forget()
    scene.github.used.clear()
    return scene


@pytest.mark.rule("C1", "C2")
def test_an_issue_comes_with_what_happened_to_it_and_without_people(scene: Scene) -> None:
    log = f"<!-- dslp: log abc -->\n### Running log\n- #2: open, 2026-01-01\n{END}"
    issue = scene.issue("Ask", f"before\n{log}\nafter", "on hold", user="mallory")
    pull = scene.pull("data/1-claims", title="A title", body="For #1")
    scene.pull("1-x", fork=scene.repository.fork("mallory"), draft=True)
    for number, state in enumerate(["closed", "open", "closed"], 1):
        at(scene, number)
        issue.state, issue.reason = state, "DUPLICATE"
    times = [at(scene, number) for number in range(5)]
    issue.labels = issue.labels[:1]
    commit = history.merge(scene.repository, pull, "mallory")
    (work,), (first, second), notes = read(scene)
    facts = (work.issue.id, work.issue.body, work.issue.state, work.issue.labels, work.reason)
    assert facts == (issue.id, "before\n\nafter", "closed", ("Ask",), "duplicate")
    assert (work.created, work.closed, work.updated) == (times[0], times[3], times[4])
    assert work.events == (
        *(Event(times[0], "labeled", "Ask"), Event(times[0], "labeled", "on hold")),
        *(Event(times[1], "closed", reason="duplicate"), Event(times[2], "reopened")),
        *(Event(times[3], "closed", reason="duplicate"), Event(times[4], "unlabeled", "on hold")),
    )
    assert (first.title, first.closed, first.commit) == ("A title", times[4], commit)
    assert (second.closed, second.commit, second.pull.state) == (None, "", "open")
    assert (first.pull.merged, first.pull.fork, first.pull.is_stranger) == (True, False, False)
    assert (second.pull.merged, second.pull.fork, second.pull.is_stranger) == (False, True, True)
    assert b"mallory" not in cache(scene).read_bytes()
    assert notes == ()


def test_a_thousand_issues_take_twenty_requests_once_and_then_one(scene: Scene) -> None:
    for number in range(1_000):
        at(scene, number)
        scene.issue("Experiment", "### Ask\n\n#1", "succeeded")
        if number % 20 == 0:
            scene.pull(f"experiment/{number + 1}-x")
    at(scene, 2_000)
    issues, counts = scene.repository.issues, []
    changes: list[Callable[[], object]] = [
        lambda: scene.github.leave(scene.token, 8),
        lambda: None,
        lambda: None,
        lambda: setattr(issues[500], "state", "closed"),
        lambda: scene.repository.delete(300),
    ]
    for change in changes:
        forget(scene)
        change()
        works, pulls, notes = read(scene)
        counts.append((len(works), len(scene.github.requests), "rate limit" in str(notes)))
    # One request is for the repository's name, and the last one is refused.
    assert counts[0] == (350, 9, True)
    assert counts[1:] == [
        (1_000, 15, False),
        (1_000, 2, False),
        (1_000, 2, False),
        (999, 13, False),
    ]
    assert (works, pulls, notes) == read(forget(scene), "other.db")
    assert (len(scene.github.requests), sum(scene.github.used.values())) == (21, 21)


CAMPAIGN = [pytest.param(seed, marks=pytest.mark.campaign) for seed in range(2, 20)]


@pytest.mark.parametrize("seed", [0, 1, *CAMPAIGN])
def test_changes_faults_and_ends_between_pages_lose_nothing(
    scene: Scene, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = github_source.QUERY.replace("Int = 50", "Int = 3").replace("first: 100\n", "first: 5\n")
    monkeypatch.setattr(github_source, "QUERY", query)
    chance, repository = random.Random(seed), scene.repository
    seconds = iter(sorted(chance.choices(range(300), k=1_000)))
    other = scene.github.add_repository("ada/other", clock=repository.clock)

    def pick(is_pull: bool = False) -> Issue:
        items = [one for one in repository.issues.values() if bool(one.pull) == is_pull]
        return chance.choice(items) if len(items) > 5 else scene.issue("Task")

    def merge() -> None:
        if (pull := pick(True)).pull and pull.state == "open":
            history.merge(repository, pull, "ada")

    acts: list[Callable[[], object]] = [
        lambda: scene.issue("Data"),
        lambda: setattr(pick(), "labels", repository.labelled(chance.sample("abcd", 2))),
        lambda: setattr(pick(), "state", chance.choice(["open", "closed"])),
        lambda: setattr(pick(chance.random() < 0.5), "title", f"title {chance.random()}"),
        lambda: repository.delete(pick().number),
        lambda: repository.transfer(pick().number, other),
        lambda: other.transfer(other.add_issue("moved", labels=["Data"]).number, repository),
        lambda: setattr(chance.choice(repository.labels), "name", f"label {chance.random()}"),
        lambda: scene.pull(f"x{chance.random()}"),
        merge,
    ]

    def act() -> None:
        for _ in range(chance.choice([0, 0, 0, 0, 1, 3])):
            at(scene, next(seconds))
            chance.choice(acts)()

    for _ in range(10):
        scene.issue("Ask")
        scene.pull(f"y{chance.random()}")
    for _ in range(6):
        forget(scene)
        scene.github.on("POST /graphql", act)
        number = chance.randint(1, 8)
        match chance.randint(1, 4):
            case 1:
                scene.github.kill_at(number)
            case 2:
                scene.github.at(number, faults.status(502, "Bad gateway"))
            case 3:
                scene.github.leave(scene.token, number)
        with suppress(DslpError):
            read(scene)
    assert read(forget(scene)) == read(forget(scene), "other.db")


def test_what_changes_no_time_is_seen(scene: Scene) -> None:
    """A label's name or its end, an issue with an old time, the repository's name."""
    for _ in range(70):  # at the same time
        issue = scene.issue("Ask", "", "old", "gone")
    read(scene)
    other = scene.github.add_repository("ada/other")
    other.add_issue("moved").created = "2020-01-01T00:00:00Z"
    other.transfer(1, scene.repository).updated = "2020-01-01T00:00:00Z"
    scene.repository.issues[1].labels = issue.labels[:2]
    for one in scene.repository.issues.values():
        vars(one)["labels"] = [each for each in one.labels if each.name != "gone"]
    scene.repository.labels = [one for one in scene.repository.labels if one.name != "gone"]
    issue.labels[1].name = "new"
    scene.github.rename(scene.repository, "ada/renamed")
    scene.github.forget()
    works, _, notes = read(scene)
    assert len(scene.github.requests) == 6  # two for the name
    assert [one.label for one in works[0].events] == ["Ask", "new", "", ""]
    assert time_spent(works[0], datetime.now(UTC)) == UNKNOWN, "it may have been on hold"
    assert (works[0].issue.labels, works[70].created.year) == (("Ask", "new"), 2020)
    assert (works, notes) == read(forget(scene), "other.db")[::2]


@pytest.mark.parametrize("body", ["𝒳 \u202e\u05d0 👩‍🔬 \x00 \ud800 ", "-->\r\n| <script> ``` "])
def test_any_text_and_any_number_of_events_survive(scene: Scene, body: str) -> None:
    issue = scene.issue("Ask", body * 100_000)
    for number in range(260):
        issue.labels = scene.repository.labelled([f"label {number}"])
    for _ in range(2):
        ((work,), _, notes) = read(scene)
        assert (work.issue.body == issue.body, len(work.events), notes) == (True, 521, ())
        assert work.events[-1].label == "label 259"


def test_a_broken_file_or_one_of_another_repository_is_read_anew(scene: Scene) -> None:
    for _ in range(60):
        scene.issue("Ask", "text " * 100)
    whole = read(scene)
    content = cache(scene).read_bytes()
    for broken in (
        *(b"", b"garbage" * 100, content[: len(content) // 2], content[:100]),
        *(content.replace(b"2026", b"x\xff{}"), content.replace(b'"created"', b'"createx"')),
        content.replace(b'"place": [1', b'"place": [0'),  # another version
    ):
        cache(scene).write_bytes(broken)
        assert read(scene) == whole
    scene.github.rename(scene.repository, "ada/old")
    scene.github.add_repository("ada/claims")
    assert read(scene, GITHUB_TOKEN=scene.github.add_token()) == ((), (), ())
    cache(scene).unlink()
    cache(scene).mkdir()
    with pytest.raises(DslpError, match="cannot be used: unable to open"):
        read(scene)


@pytest.mark.parametrize("case", ["no token", "refused", "no answer", "no issues"])
def test_where_github_cannot_be_read_what_was_read_is_used(scene: Scene, case: str) -> None:
    scene.issue("Ask")
    right, token = scene.token, {"no token": " ", "refused": "x"}.get(case, scene.token)

    def read_in_vain(**env: str) -> Read:
        if case == "no answer":
            scene.github.on("*", faults.cut)
        elif case == "no issues":
            scene.github.on("POST /graphql", faults.content('{"data": {"repository": {}}}'))
        return read(scene, GITHUB_TOKEN=token, PATH="/x", **env)

    with pytest.raises(DslpError, match=r"token|GitHub"):
        read_in_vain()
    content = read(forget(scene), GITHUB_TOKEN=right)[:2]
    *same, (note,) = read_in_vain()
    assert (tuple(same), "are as of 20" in note, "\n" in note) == (content, True, False)
    with pytest.raises(DslpError):
        read_in_vain(GITHUB_REPOSITORY="ada/other")
