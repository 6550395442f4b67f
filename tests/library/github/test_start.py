"""`dslp start`: from an issue to its branch, in real repositories; GitHub is a dictionary."""

import io
import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from dslp.core.branch_names import parse_branch
from dslp.core.errors import DslpError, Refused
from dslp.github import start
from dslp.github.entities import Issue
from dslp.github.similar import similar_issues

from tests.library.toy import Toy

HOSTILE = [
    "$(touch pwned) `touch pwned`; touch pwned",
    "--upload-pack=touch pwned",
    "../../refs/heads/main",
    "a\nb\r\n::set-output name=x::y\x1b[31m",
    "‮right to left‬",
    "预测就诊次数",
    "![picture](http://127.0.0.1:9/x.png) [red]markup[/red]",
    "x" * 10_000,
    "@{-1}.lock~^:?*[\\",
]


def issue(number: int, title: str, kind: str = "Data", body: str = "", state: str = "open",
          outcome: str = "", is_pull_request: bool = False) -> Issue:  # fmt: skip
    """An issue with the labels for its type and outcome."""
    labels = tuple(filter(None, (kind, outcome)))
    url = f"https://github.com/octo-org/toy/issues/{number}"
    return Issue(number, title, body, state, labels, url, is_pull_request)


class GitHub:
    """Issues in memory, and which lists were asked for."""

    def __init__(self, *issues: Issue) -> None:
        self.known = {issue.number: issue for issue in issues}
        self.asked: list[tuple[str, ...]] = []

    def issue(self, number: int) -> Issue:
        if number not in self.known:
            raise DslpError("GitHub has no such issue")
        return self.known[number]

    def issues(self, labels: Sequence[str]) -> Iterable[Issue]:
        self.asked.append(tuple(labels))
        return [one for one in self.known.values() if all(map(one.labelled, labels))]


Begin = Callable[..., str]


@pytest.fixture
def committed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The toy as a repository without changes, and nobody at a terminal."""
    monkeypatch.chdir(toy.root)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    toy.commit()
    return toy


@pytest.fixture
def begin(committed: Toy, capsys: pytest.CaptureFixture[str]) -> Begin:
    """Start an issue in the toy; returns what was said."""

    def run(*issues: Issue) -> str:
        capsys.readouterr()
        start.begin(committed.project, GitHub(*issues), issues[0].number)
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


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Data", "data/12-visits-of-1974"),
        ("Explore", "explore/12-visits-of-1974"),
        ("Experiment", "experiment/12-visits-of-1974"),
        ("Model", "model/12-visits-of-1974"),
        ("Ask", "12-visits-of-1974"),
        ("", "12-visits-of-1974"),
    ],
)
def test_the_branch_is_named_for_the_issue(begin: Begin, toy: Toy, kind: str, name: str) -> None:
    said = begin(issue(12, "Visits, of 1974!", kind))
    assert branch(toy) == name
    assert f"new branch {name}, from main" in said


@pytest.mark.parametrize("title", HOSTILE, ids=lambda title: ascii(title[:20]))
def test_a_hostile_title_changes_nothing_but_itself(begin: Begin, toy: Toy, title: str) -> None:
    other = issue(7, title, "Explore", title)
    said = begin(issue(12, title, "Explore", title), other)
    found = parse_branch(branch(toy))
    assert found is not None
    assert (found.kind, found.issue) == ("Explore", 12)
    assert len(branch(toy)) <= len("explore/12-") + 40
    assert toy.git("status", "--porcelain") == ""
    assert not (toy.root / "pwned").exists()
    assert all(line.isprintable() and len(line) < 240 for line in said.splitlines())
    (offer,) = [line for line in said.splitlines() if "dslp new" in line]
    assert shlex.split(offer)[-1] == "12", "a title is no part of a command to copy"


@pytest.mark.rule("B8")
def test_it_starts_from_the_collaboration_branch_as_others_left_it(
    begin: Begin, toy: Toy, remote: Toy
) -> None:
    (remote.root / "newer").write_text("1\n")
    newest = remote.commit()
    remote.git("push", "-q", "origin", "main")
    toy.git("switch", "-q", "-c", "elsewhere")
    said = begin(issue(12, "Visits"))
    assert "from origin/main" in said
    assert "offline" not in said
    assert toy.git("rev-parse", "HEAD") == newest
    assert toy.git("for-each-ref", "--format=%(upstream)", "refs/heads/data") == "", (
        "a push must not go to the collaboration branch"
    )


def test_development_is_the_base_where_the_project_says_so(begin: Begin, toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", 'branch = "main"', 'branch = "development"')
    there = toy.commit()
    with pytest.raises(DslpError, match="no branch development"):
        begin(issue(12, "Visits"))
    toy.git("branch", "development")
    toy.git("switch", "-q", "--detach", "HEAD~")
    toy.edit(toy.root / "pyproject.toml", 'branch = "main"', 'branch = "development"')
    toy.git("stash", "-q")
    toy.git("switch", "-q", "development")
    begin(issue(12, "Visits"))
    assert toy.git("rev-parse", "HEAD") == there


def test_without_a_connection_it_says_so_and_goes_on(
    begin: Begin, toy: Toy, remote: Toy, tmp_path: Path
) -> None:
    toy.git("fetch", "-q", "origin")
    (tmp_path / "origin.git").rename(tmp_path / "gone.git")
    said = begin(issue(12, "Visits"))
    assert "offline?" in said
    assert "what was fetched from origin before" in said
    assert branch(toy) == "data/12-visits"
    assert remote.root.is_dir()


def test_a_branch_of_the_issue_is_switched_to_whatever_its_title_was(
    begin: Begin, toy: Toy
) -> None:
    begin(issue(12, "Visits"))
    (toy.root / "work").write_text("1\n")
    work = toy.commit()
    toy.git("switch", "-q", "main")
    said = begin(issue(12, "Visits and more"), issue(3, "Visits and more", "Explore"))
    assert "data/12-visits is there already: switched to it" in said
    assert "resembles" not in said
    assert toy.git("rev-parse", "HEAD") == work


def test_a_branch_that_somebody_else_began_is_fetched(begin: Begin, toy: Toy, remote: Toy) -> None:
    remote.git("switch", "-q", "-c", "data/12-visits")
    (remote.root / "work").write_text("1\n")
    work = remote.commit()
    remote.git("push", "-q", "origin", "data/12-visits")
    begin(issue(12, "Visits"))
    assert branch(toy) == "data/12-visits"
    assert toy.git("rev-parse", "HEAD") == work
    assert toy.git("rev-parse", "--abbrev-ref", "@{upstream}") == "origin/data/12-visits"


@pytest.mark.parametrize("file", ["pyproject.toml", "new.py"])
def test_uncommitted_changes_are_not_taken_along(begin: Begin, toy: Toy, file: str) -> None:
    with (toy.root / file).open("a") as changed:
        changed.write("# changed\n")
    with pytest.raises(Refused, match="uncommitted changes"):
        begin(issue(12, "Visits"))
    assert branch(toy) == "main"


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (issue(12, "Visits", state="closed"), "#12 is closed"),
        (issue(12, "Visits", is_pull_request=True), "#12 is a pull request"),
    ],
)
def test_work_starts_from_an_open_issue(begin: Begin, toy: Toy, refused: Issue, why: str) -> None:
    with pytest.raises(Refused, match=why):
        begin(refused)
    assert toy.git("branch", "--list").split() == ["*", "main"]


def test_where_git_says_no_its_words_are_passed_on(begin: Begin, toy: Toy, tmp_path: Path) -> None:
    toy.git("branch", "data")  # so that no branch can be called data/…
    with pytest.raises(DslpError, match=r"git switch: .*refs/heads/data"):
        begin(issue(12, "Visits"))
    (toy.root / ".git").rename(tmp_path / "moved")
    with pytest.raises(DslpError, match=r"git status: .*not a git repository"):
        begin(issue(12, "Visits"))


FORM = """### Ask

#1

### Goal and approach

{}

### Metric

Poisson deviance, mean over records, lower is better

### Assumptions

_No response_
"""


def experiment(
    number: int,
    title: str,
    approach: str,
    kind: str = "Experiment",
    state: str = "open",
    outcome: str = "",
) -> Issue:
    """An issue as the form makes it."""
    return issue(number, title, kind, FORM.format(approach), state, outcome)


EARLIER = [
    experiment(1, "Boosted trees for visits", "Gradient boosting with Poisson loss on claims, "
               "compared with the mean.", state="closed", outcome="failed"),
    experiment(2, "Poisson regression on visits", "A linear model with log link, on claims."),
    experiment(3, "Churn of customers", "Does the number of support tickets say who leaves?"),
    experiment(4, "How do visits differ by plan?", "Plot visits by coinsurance.", kind="Explore",
               state="closed"),
    experiment(5, "Optical recognition of invoices", "Tune a vision transformer on scans."),
    experiment(6, "Forecast the demand of drugs", "Weekly sales by pharmacy, with holidays.",
               kind="Explore", outcome="succeeded"),
    experiment(7, "Gradient boosted trees", "Boosting of visits.", kind="Data"),
]  # fmt: skip


@pytest.mark.rule("E5")
def test_earlier_attempts_that_resemble_it_are_shown_with_how_they_ended(begin: Begin) -> None:
    new = experiment(20, "Gradient boosted trees predict visits", "LightGBM, Poisson objective.")
    lines = begin(new, *EARLIER).splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("  #")]
    assert shown[0] == "#1"
    assert not {"#3", "#5", "#6", "#7", "#20"}.intersection(shown)
    (first,) = [line for line in lines if line.startswith("  #1 ")]
    assert "Experiment, failed, " in first
    assert first.endswith(": Boosted trees for visits")
    assert "    https://github.com/octo-org/toy/issues/1" in lines
    assert lines.index(first) < next(n for n, line in enumerate(lines) if "new branch" in line)


@pytest.mark.rule("E5")
def test_explorations_and_experiments_are_compared_open_and_closed(committed: Toy) -> None:
    new = experiment(20, "Seasonality of drugs", "Weekly patterns of sales in pharmacies.")
    github = GitHub(new, *EARLIER)
    start.begin(committed.project, github, 20)
    assert github.asked == [("Explore",), ("Experiment",)]
    assert [other.number for _, other in similar_issues(new, EARLIER)] == [6]


def test_what_only_shares_the_form_does_not_resemble() -> None:
    new = experiment(20, "Sentiment of letters", "Classify complaints by their tone.")
    assert similar_issues(new, EARLIER) == []
    assert similar_issues(new, []) == []
    assert similar_issues(issue(20, "", body=""), [issue(1, ""), issue(2, "!!!")]) == []


def test_at_most_five_are_shown_the_most_similar_first() -> None:
    many = [experiment(n, "Trees for visits", "word " * n + "boosting") for n in range(1, 10)]
    many += [experiment(n, f"Other {n}", f"nothing{n} of the kind") for n in range(10, 40)]
    found = similar_issues(experiment(50, "Trees for visits", "boosting"), many)
    assert len(found) == 5
    likeness = [figure for figure, _ in found]
    assert likeness == sorted(likeness, reverse=True)
    assert 0 < likeness[-1] <= likeness[0] <= 1.000001


@pytest.mark.parametrize(
    ("one", "command"),
    [
        (issue(12, "Visits by plan"), "dataset visits_by_plan"),
        (issue(12, "New data", body="### Dataset\n\n`orders`\n"), "dataset orders"),
        (issue(12, "New data", body="### Dataset\n\n$(rm -r .)\n"), "dataset new_data"),
        (issue(12, "2026: visits"), "dataset visits"),
        (issue(12, "2026"), "dataset work"),
        (issue(12, "Visits", "Explore"), "exploration 12-visits --issue 12"),
        (experiment(12, "Visits", "trees"), "model visits --ask 1 --target COLUMN"),
        (issue(12, "Visits", "Model"), "model visits --target COLUMN"),
    ],
)
def test_a_beginning_is_offered_and_not_made_unasked(
    begin: Begin, toy: Toy, one: Issue, command: str
) -> None:
    assert f"a beginning: uv run dslp new {command}\n" in begin(one)
    assert toy.git("status", "--porcelain") == ""


@pytest.mark.parametrize("kind", ["Ask", "Communicate", ""])
def test_work_without_a_skeleton_is_offered_none(begin: Begin, kind: str) -> None:
    assert "dslp new" not in begin(issue(12, "Visits", kind))


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "typed", "written"),
    [
        ("Data", "y\n", "datasets/orders_2/pipeline.py"),
        ("Model", "y\namount\n", "models/orders_2/train.py"),
        ("Data", "n\n", ""),
        ("Data", "\n", ""),
    ],
)
def test_at_a_terminal_one_is_asked(
    begin: Begin, toy: Toy, monkeypatch: pytest.MonkeyPatch, kind: str, typed: str, written: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    begin(issue(12, "Orders 2", kind))
    changes = toy.git("status", "--porcelain", "--untracked-files=all")
    assert bool(changes) == bool(written)
    assert written in changes
