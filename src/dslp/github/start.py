"""`dslp start`: the branch that an issue needs, and what was tried before (B1, B8, E5)."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Protocol

import typer
from dslp.core.branch_names import branch_name, parse_branch, slug
from dslp.core.errors import DslpError, Refused
from dslp.core.settings import Project
from dslp.github.entities import Issue
from dslp.github.forms import form_fields, form_links
from dslp.github.similar import similar_issues

RESEMBLING = ("Explore", "Experiment")
OUTCOMES = ("succeeded", "failed", "on hold", "blocked - need access")
NEEDED = {"dataset": "pandas", "model": "mlflow"}  # what is imported to begin one
PATIENCE = 60  # seconds that a fetch may take


class Issues(Protocol):
    """Where issues are read."""

    def issue(self, number: int) -> Issue:
        """One issue, or pull request."""

    def issues(self, labels: Sequence[str]) -> Iterable[Issue]:
        """Those that have all of the labels, open and closed."""


def start(number: Annotated[int, typer.Argument(help="Number of the issue.", min=1)]) -> None:
    """Go to the branch of an issue: its own, or a new one, once similar work was shown."""
    from dslp.core.console import say
    from dslp.github.client import connect
    from dslp.github.handover import hand_over

    project = Project.find(dotenv=False)
    repository = connect(project)
    begin(project, repository, number)
    issue = repository.issue(number)
    if issue.kind == "Model":
        branch = _git(project, "branch", "--show-current")
        for said in hand_over(repository, issue, branch, project.branch):
            say(said)


def begin(project: Project, github: Issues, number: int) -> None:
    """Make the branch of an issue, or switch to it; show similar work and offer a scaffold.

    Raises:
        Refused: there are uncommitted changes, the issue is closed, or it is a pull request.
        DslpError: git, or GitHub, says no.
    """
    from dslp.core.console import say

    if _git(project, "status", "--porcelain"):
        raise Refused("there are uncommitted changes; commit them, or: git stash -u")
    issue = github.issue(number)
    if issue.is_pull_request:
        raise Refused(f"#{number} is a pull request; start from the issue that it serves")
    if issue.state != "open":
        raise Refused(f"#{number} is closed; reopen it, or open a new issue")
    say(f"#{number} ({issue.kind}): {line(issue.title)}")
    remote = _fetched(project)
    name = branch_name(issue.kind, number, issue.title)
    if _switched(project, remote, name):
        return
    _show_similar(issue, github)
    base = _base(project, remote)
    _git(project, "switch", "--no-track", "--create", name, base)
    say(f"new branch {name}, from {base.removeprefix('refs/').split('/', 1)[-1]}", style="green")
    _offer(issue)


def line(text: str, length: int = 70) -> str:
    """Text that anybody may have written, as one line that a terminal shows and nothing more."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def _git(project: Project, *arguments: str) -> str:
    """What git answers in the project's folder.

    Raises:
        DslpError: it says no, or takes longer than PATIENCE.
    """
    command = ["git", "-C", str(project.root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DslpError(f"git {arguments[0]}: {type(error).__name__}") from None
    if done.returncode:
        raise DslpError(f"git {arguments[0]}: {line(done.stderr, 240)}")
    return done.stdout.strip()


def _fetched(project: Project) -> str | None:
    """The remote, `origin` if there is one of that name, after a fetch or the news that it failed.

    None where there is no remote.
    """
    from dslp.core.console import say, step

    remotes = _git(project, "remote").split()
    if not remotes:
        return None
    remote = "origin" if "origin" in remotes else remotes[0]
    try:
        with step(f"fetching from {remote}"):
            _git(project, "fetch", "--quiet", remote)
    except DslpError as error:
        say(f"offline? {error}", style="yellow")
        say(f"going on with what was fetched from {remote} before", style="yellow")
    return remote


def _switched(project: Project, remote: str | None, name: str) -> bool:
    """Switch to the branch of the issue, whatever its title was then; False if there is none."""
    from dslp.core.console import say

    folders = ["refs/heads/", *([f"refs/remotes/{remote}/"] if remote else [])]
    for folder in folders:
        refs = _git(project, "for-each-ref", "--format=%(refname)", folder).splitlines()
        there = [ref.removeprefix(folder) for ref in refs]
        found = [branch for branch in there if parse_branch(branch) == parse_branch(name)]
        if found:
            branch = name if name in found else found[0]
            if folder == "refs/heads/":
                _git(project, "switch", branch)
            else:
                _git(project, "switch", "--track", "--create", branch, f"{remote}/{branch}")
            say(f"branch {branch} is there already: switched to it", style="green")
            return True
    return False


def _base(project: Project, remote: str | None) -> str:
    """The collaboration branch: as the remote has it, or the local one."""
    known = _git(project, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")
    wanted = [f"refs/remotes/{remote}/{project.branch}", f"refs/heads/{project.branch}"]
    for ref in wanted:
        if ref in known.splitlines():
            return ref
    raise DslpError(
        f"there is no branch {project.branch} to start from; push it, or say in "
        f'{project.settings} which one is for collaboration: branch = "development"'
    )


def _show_similar(issue: Issue, github: Issues) -> None:
    from dslp.core.console import say

    others = [other for label in RESEMBLING for other in github.issues([label])]
    found = similar_issues(issue, others)
    if found:
        say("earlier work that resembles it; see how it ended before you begin:")
    for likeness, other in found:
        outcome = next((label for label in OUTCOMES if other.labelled(label)), other.state)
        say(f"  #{other.number} {other.kind}, {outcome}, {likeness:.0%} alike: {line(other.title)}")
        say(f"    {line(other.url, 200)}", style="dim")


def _offer(issue: Issue) -> None:
    """Print the command that writes a beginning, and run it if the person at the terminal agrees.

    The title is no part of what is printed, since that is made to be copied into a shell.
    """
    from dslp.core.console import say

    word = re.sub(r"^[^a-z]+", "", slug(issue.title)).replace("-", "_") or "work"
    arguments: dict[str, tuple[list[str], list[str]]] = {
        "Data": (["dataset", _dataset(issue) or word], []),
        "Explore": (
            ["exploration", f"{issue.number}-{slug(issue.title)}", "--issue", str(issue.number)],
            ["--title", line(issue.title, 200)],
        ),
        **dict.fromkeys(("Experiment", "Model"), (["model", word, *_ask(issue)], [])),
    }
    offered, more = arguments.get(issue.kind, ([], []))
    if not offered or not find_spec(NEEDED.get(offered[0], "dslp")):
        return  # nothing to begin with, or an extra that is not installed
    to_say = " --target COLUMN" if offered[0] == "model" else ""
    say(f"a beginning: uv run dslp new {shlex.join(offered)}{to_say}")
    if sys.stdin.isatty() and typer.confirm("Write it now?"):
        if to_say:
            more = ["--target", typer.prompt("Column to predict")]
        import_module("dslp.scaffold.commands").app([*offered, *more], standalone_mode=False)


def _dataset(issue: Issue) -> str | None:
    """The name that the form asks for, where it can be one."""
    name = form_fields(issue.body).get("Dataset", "").strip("` ")
    return name if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) else None


def _ask(issue: Issue) -> list[str]:
    """The Ask that the form links to, as an option."""
    numbers = [
        n
        for link in form_links(issue.kind, issue.body)
        if link.field == "Ask"
        for n in link.numbers
    ]
    return ["--ask", str(numbers[0])] if numbers else []
