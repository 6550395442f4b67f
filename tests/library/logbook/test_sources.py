"""What the logbook reads of MLflow, and of git where there is no GitHub."""

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dslp.core.settings import Project
from dslp.logbook.events import Pull, Run, Work
from dslp.logbook.git_source import read_git

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def day(number: int) -> datetime:
    """So many days after the first one."""
    return START + timedelta(days=number)


class Repository:
    """A git repository whose commits are made on days that the test says."""

    def __init__(self, root: Path) -> None:
        self.root, self.day = root, 0
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str, date: str = "") -> str:
        time = date or f"{day(self.day):%Y-%m-%dT%H:%M:%S%z}"
        dates = {"GIT_AUTHOR_DATE": time, "GIT_COMMITTER_DATE": time}
        command, options = ["git", "-C", str(self.root), *arguments], {"check": True, "text": True}
        done = subprocess.run(command, env=os.environ | dates, capture_output=True, **options)
        return done.stdout.strip()

    def commit(self, day: int, message: str = "work", date: str = "") -> None:
        self.day = day
        self.git("commit", "--quiet", "--allow-empty", "--message", message, date=date)

    def branch(self, name: str, *days: int, begin: str = "main") -> None:
        self.git("switch", "--quiet", "--create", name, begin)
        for number in days:
            self.commit(number)

    def merge(self, day: int, name: str, into: str, *message: str, keep: bool = False) -> str:
        self.day = day
        self.git("switch", "--quiet", into)
        self.git("merge", "--quiet", "--no-ff", "--no-edit", *message, name)
        if not keep:
            self.git("branch", "--quiet", "--delete", "--force", name)
        return self.git("rev-parse", "HEAD")

    @property
    def project(self) -> Project:
        return Project(self.root, "claims", self.root / "data")

    def read(self, *runs: Run) -> tuple[dict[int, Work], dict[str, Pull]]:
        works, pulls = read_git(self.project, runs)
        assert [one.issue.number for one in works] == sorted(one.issue.number for one in works)
        return {one.issue.number: one for one in works}, {one.pull.head: one for one in pulls}


def run(number: int, kind: str, day_number: int, **tags: str) -> Run:
    """A run for an issue of Ask 11."""
    tags = {"issue": str(number), "ask": "11", "question": "How many <visits>?", **tags}
    time, own = day(day_number), {f"dslp.{name}": value for name, value in tags.items()}
    return Run(f"r{number}-{day_number}", "x", kind, "FINISHED", time, time, tags=own)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit."""
    repository = Repository(tmp_path / "claims")
    repository.commit(0, "start")
    return repository


@pytest.mark.rule("C1", "B4", "B6", "I11")
def test_a_project_without_github_has_its_work_from_branches_and_runs(
    repository: Repository,
) -> None:
    one = repository
    one.branch("explore/12-what-is-missing", 1, 2)
    one.day = 3
    one.git("tag", "archive/explore/12-what-is-missing")
    one.git("switch", "--quiet", "main")
    one.git("branch", "--quiet", "-D", "explore/12-what-is-missing")
    one.branch("experiment/15-linear", 3)
    one.day = 5
    one.git("tag", "--annotate", "--message", "ended", "archive/experiment/15-linear")
    one.branch("experiment/16-boosted-trees", 4, 6)
    one.branch("model/18-frequency", 7)
    into_model = one.merge(8, "experiment/16-boosted-trees", "model/18-frequency")
    title = ("--message", "Merge pull request #20 from ada/model/18-frequency\n\nText")
    into_main = one.merge(9, "model/18-frequency", "main", *title)
    one.branch("data/13-claims", 10)
    one.git("update-ref", "refs/remotes/origin/21-docs", "HEAD")
    one.commit(11)
    works, pulls = one.read(
        run(16, "experiment", 5, model="frequency", candidate="boosted"),
        run(18, "training", 7, model="frequency", candidate="boosted"),
        run(30, "experiment", 12),
        run(31, "training", 13),
    )
    facts = {
        number: (work.issue.title, work.issue.labels, work.created, work.closed)
        for number, work in works.items()
    }
    assert facts == {
        11: ("How many <visits>?", ("Ask",), day(4), None),
        12: ("What is missing", ("Explore",), day(1), day(2)),
        13: ("Claims", ("Data",), day(10), None),
        15: ("Linear", ("Experiment",), day(3), day(5)),
        16: ("Boosted trees", ("Experiment", "succeeded"), day(4), day(8)),
        18: ("Frequency", ("Model",), day(7), day(9)),
        21: ("Docs", (), day(10), None),
        30: ("Experiment 30", ("Experiment",), day(12), None),
        31: ("Model 31", ("Model",), day(13), None),
    }
    assert works[18].issue.body == "### Ask\n\n#11\n\n### Experiment\n\n#16"
    assert works[16].issue.body == works[30].issue.body == "### Ask\n\n#11"
    assert [event.what for event in works[16].events] == ["closed"]
    assert pulls["experiment/16-boosted-trees"].commit == into_model
    assert pulls["experiment/16-boosted-trees"].pull.base == "model/18-frequency"
    assert pulls["model/18-frequency"].commit == into_main
    states = {name: (pull.pull.state, pull.pull.merged) for name, pull in pulls.items()}
    assert states["experiment/15-linear"] == ("closed", False)
    assert states["data/13-claims"] == states["21-docs"] == ("open", False)


def test_only_a_merge_into_main_or_a_model_ends_a_branch(repository: Repository) -> None:
    one = repository
    one.branch("experiment/16-boosted", 1)
    one.branch("explore/12-visits", 2)
    one.merge(3, "experiment/16-boosted", "explore/12-visits", keep=True)  # taken to look at
    one.git("switch", "--quiet", "main")
    one.commit(4)
    one.merge(5, "main", "experiment/16-boosted", keep=True)
    words = (
        "Merge branch 'experiment/16-boosted' of https://example.org/x into experiment/16-boosted"
    )
    one.git("switch", "--quiet", "--create", "elsewhere", "experiment/16-boosted~1")
    one.commit(6)
    one.merge(7, "elsewhere", "experiment/16-boosted", "--message", words)  # a pull
    one.branch("data/13-claims", 8)
    one.merge(9, "data/13-claims", "main", keep=True)
    _, pulls = one.read()
    assert {name: one.pull.state for name, one in pulls.items()} == {
        "data/13-claims": "closed",
        "experiment/16-boosted": "open",
        "explore/12-visits": "open",
    }
    one.git("switch", "--quiet", "data/13-claims")
    one.commit(10, "and goes on")
    works, pulls = one.read()
    assert pulls["data/13-claims"].pull.state == works[13].issue.state == "open"
    assert (works[13].created, works[16].created) == (day(8), day(1))


def test_hostile_names_texts_and_times_are_plain_values(repository: Repository) -> None:
    one = repository
    for name in (
        "experiment/19-<script>",
        "experiment/20-a/b/c",
        "-",
        "💥/21-x",
        "model/22-x\u202e",
    ):
        one.git("update-ref", f"refs/heads/{name}", "HEAD")
        one.git("update-ref", f"refs/tags/archive/{name}", "HEAD")
    one.git("update-ref", "refs/tags/archive/experiment/23-tree", one.git("write-tree"))
    one.commit(1, "Merge branch 'experiment/24-no-merge'\n\n\x01\x1b[31m" + "x" * 100_000)
    one.branch("experiment/25-far")
    one.commit(2, "\x01Merge \x1b]8;;x", "@99999999999 +0000")
    tags = {"branch": "experiment/28-\x00", "question": "a\u202eb\n\n# c"}
    works, pulls = one.read(run(27, "experiment", 1, **tags))
    assert (works.keys(), pulls.keys()) == ({11, 25, 27}, {"experiment/25-far"})
    assert works[25].created == datetime(2100, 1, 1, tzinfo=UTC)
    assert works[11].issue.title == "a\\u202eb\\u000a\\u000a# c"


def test_shallow_clones_and_folders_without_a_commit_work(
    repository: Repository, tmp_path: Path
) -> None:
    one = repository
    one.branch("experiment/16-boosted", 1)
    one.branch("data/13-claims", 4, 5)
    shallow, empty = tmp_path / "shallow", Repository(tmp_path / "empty")
    one.git("clone", "--quiet", "--depth=1", "--no-single-branch", one.root.as_uri(), str(shallow))
    works, _ = read_git(replace(one.project, root=shallow), ())
    assert [(one.issue.number, one.created) for one in works] == [(13, day(5)), (16, day(1))]
    assert empty.read() == ({}, {})
    shutil.rmtree(empty.root / ".git")
    works, pulls = empty.read(run(16, "experiment", 1))
    assert (works.keys(), pulls) == ({11, 16}, {})
