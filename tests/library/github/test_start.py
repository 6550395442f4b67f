"""`dslp start`: from an issue to its branch, in real repositories; GitHub is a dictionary."""

import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dslp.core.branch_names import parse_branch
from dslp.core.errors import Refused
from dslp.github import start
from dslp.github.client import Repository
from dslp.github.entities import Issue
from dslp.logbook import search

from tests.library.toy import Toy

HOSTILE = [
    *("$(touch pwned) `touch pwned`; touch pwned", "--upload-pack=touch pwned", "x" * 10_000),
    *("../../refs/heads/@{-1}.lock~^:?*[\\", "a\nb\r\n::set-output name=x::y\x1b[31m"),
    "\u202eright to left\u202c 预测就诊次数 ![picture](http://127.0.0.1:9/x.png) [red]markup[/red]",
]


def issue(number: int, title: str, *labels: str, body: str = "", **values: Any) -> Issue:
    """An issue, of the type Data unless its labels say another."""
    url = f"https://github.com/octo-org/toy/issues/{number}"
    facts = {"state": "open", "labels": labels or ("Data",), "is_pull_request": False, **values}
    return Issue(number, title, body, url=url, **facts)


class GitHub(Repository):
    """Issues in memory."""

    def __init__(self, *issues: Issue) -> None:
        self.all, self.name, self.open_pull_requests = issues, "octo-org/toy", []

    def issues(
        self, labels: Sequence[str] = (), state: str = "all", most: int = 1_000
    ) -> Iterator[Issue]:
        return (one for one in self.all if all(map(one.labelled, labels)))


Begin = Callable[..., str]


@pytest.fixture
def committed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The toy as a repository without changes."""
    monkeypatch.chdir(toy.root)
    toy.commit()
    return toy


@pytest.fixture
def begin(committed: Toy, capsys: pytest.CaptureFixture[str]) -> Begin:
    """Start an issue in the toy; returns what was printed."""

    def run(*issues: Issue) -> str:
        capsys.readouterr()
        project, github = committed.project, GitHub(*issues)
        show_similar = partial(search.show_similar, github)
        start.begin(project, github, issues[0], show_similar)
        return capsys.readouterr().out

    return run


@pytest.fixture
def remote(committed: Toy, tmp_path: Path) -> Toy:
    """A clone of what the toy pushes to, in which others work; the toy's own is `origin`."""
    toy, other = committed, Toy(tmp_path / "other", committed.package)
    subprocess.run(["git", "clone", "-q", "--bare", toy.root, tmp_path / "origin.git"], check=True)
    subprocess.run(["git", "clone", "-q", tmp_path / "origin.git", other.root], check=True)
    toy.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    return other


def branch(toy: Toy) -> str:
    return toy.git("branch", "--show-current")


@pytest.mark.parametrize("title", HOSTILE, ids=lambda title: ascii(title[:20]))
def test_a_hostile_title_changes_nothing_but_itself(begin: Begin, toy: Toy, title: str) -> None:
    other = issue(7, title, "Explore", body=title)
    printed = begin(issue(12, title, "Explore", title), other)
    parsed = parse_branch(branch(toy))
    assert parsed is not None
    assert (parsed.kind, parsed.issue) == ("Explore", 12)
    assert len(branch(toy)) <= len("explore/12-") + 40
    assert toy.git("status", "--porcelain") == ""
    assert not (toy.root / "pwned").exists()
    assert all(line.isprintable() and len(line) < 240 for line in printed.splitlines())
    (offer,) = [line for line in printed.splitlines() if "dslp new" in line]
    assert shlex.split(offer)[-1] == "12", "a title is no part of a command to copy"


@pytest.mark.rule("B8")
def test_it_starts_from_the_collaboration_branch_as_others_left_it(
    begin: Begin, toy: Toy, remote: Toy, tmp_path: Path
) -> None:
    (remote.root / "newer").write_text("1\n")
    newest = remote.commit()
    remote.git("push", "-q", "origin", "main")
    toy.git("switch", "-q", "-c", "elsewhere")
    printed = begin(issue(12, "Visits"))
    assert "new branch data/12-visits, from origin/main" in printed
    assert toy.git("rev-parse", "HEAD") == newest
    (toy.root / "work").write_text("1\n")
    work = toy.commit()
    toy.git("push", "-q")
    toy.git("pull", "-q")
    pushed = remote.git("ls-remote", "origin", "refs/heads/main", "refs/heads/data/12-visits")
    assert pushed.split()[::2] == [work, newest], "a push must not go to the collaboration branch"
    (tmp_path / "origin.git").rename(tmp_path / "gone.git")
    printed = begin(issue(13, "Orders"))
    assert "offline?" in printed
    assert "what was fetched from origin before" in printed
    assert branch(toy) == "data/13-orders"


def test_an_existing_branch_of_the_issue_is_switched_to_whatever_its_title_was(
    begin: Begin, toy: Toy, remote: Toy
) -> None:
    begin(issue(12, "Visits"))
    (toy.root / "work").write_text("1\n")
    work = toy.commit()
    toy.git("switch", "-q", "main")
    printed = begin(issue(12, "Visits and more"), issue(3, "Visits and more", "Explore"))
    assert "data/12-visits exists already: switched to it" in printed
    assert "similar" not in printed
    assert toy.git("rev-parse", "HEAD") == work
    remote.git("switch", "-q", "-c", "data/13-orders")  # somebody else's
    remote.git("push", "-q", "origin", "data/13-orders")
    begin(issue(13, "Orders of today"))
    assert branch(toy) == "data/13-orders"
    assert toy.git("rev-parse", "--abbrev-ref", "@{upstream}") == "origin/data/13-orders"


def test_an_existing_branch_catches_up_or_says_what_to_do(
    begin: Begin, toy: Toy, remote: Toy
) -> None:
    remote.git("switch", "-q", "-c", "data/13-orders")
    for file, words in (("theirs", ""), ("more", ": git pull --no-rebase, then git push")):
        (remote.root / file).touch()
        newest = remote.commit()
        remote.git("push", "-q", "origin", "data/13-orders")
        printed = begin(issue(13, "Orders"))
        assert ("git pull" in printed, words in printed) == (bool(words), True)
        assert (toy.git("rev-parse", "HEAD") == newest) != bool(words)
        (toy.root / f"not-{file}").touch()
        toy.commit()


def test_work_starts_from_an_open_issue_without_changes(begin: Begin, toy: Toy) -> None:
    closed, pull = issue(12, "A", state="closed"), issue(12, "A", is_pull_request=True)
    for refused, why in ((closed, "#12 is closed"), (pull, "#12 is a pull request")):
        with pytest.raises(Refused, match=why):
            begin(refused)
    (toy.root / "new.py").touch()
    with pytest.raises(Refused, match="uncommitted changes"):
        search.start(12)
    assert toy.git("branch", "--list").split() == ["*", "main"]


FORM = """### Ask\n\n#1\n\n### Goal and approach\n\n{}\n\n### Metric\n
Poisson deviance, mean over records, lower is better\n\n### Assumptions\n\n_No response_\n"""


def experiment(number: int, title: str, approach: str, *labels: str) -> Issue:
    return issue(number, title, *(labels or ("Experiment",)), body=FORM.format(approach))


@pytest.mark.parametrize(
    ("one", "name", "command"),
    [
        (issue(12, "Visits, of 1974!"), "data/12-visits-of-1974", "dataset visits_of_1974"),
        (issue(12, "New", body="### Dataset\n\n`orders`\n"), "data/12-new", "dataset orders"),
        (issue(12, "New", body="### Dataset\n\n$(rm .)\n"), "data/12-new", "dataset rm"),
        (issue(12, "A b", "Explore"), "explore/12-a-b", "exploration 12-a-b --issue 12"),
        (experiment(12, "A", "x"), "experiment/12-a", "model a --ask 1 --target COLUMN"),
        (issue(12, "A", "Model"), "model/12-a", "model a --target COLUMN"),
        (issue(12, "A", "Ask"), "12-a", ""),
    ],
)
def test_the_branch_is_named_for_the_issue_and_its_first_files_are_offered(
    begin: Begin, toy: Toy, one: Issue, name: str, command: str
) -> None:
    printed = begin(one)
    assert branch(toy) == name
    assert (f"uv run dslp new {command}\n" in printed) == ("dslp new" in printed) == bool(command)
    assert toy.git("status", "--porcelain") == ""
