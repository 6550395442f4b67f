"""`dslp start`: the branch that an issue needs, and similar work that was tried before (B1, B8)."""

import re
import shlex
import subprocess
from collections.abc import Callable
from importlib.util import find_spec

from dslp.core.branch_names import branch_name, issue_of_branch, parse_branch, slug
from dslp.core.console import say, step
from dslp.core.errors import DslpError, Refused
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.text import error_line, visible
from dslp.github.client import Repository
from dslp.github.entities import Issue
from dslp.github.forms import form_fields, linked_numbers
from dslp.github.handover import hand_over
from dslp.github.remote import collaboration_ref, remote_name

PATIENCE = 60  # seconds that git may take, a fetch too
TITLE = 70  # characters of a title on the terminal


def require_clean(project: Project) -> None:
    """Check that a branch can be left.

    Raises:
        Refused: there are uncommitted changes.
    """
    if _git(project, "status", "--porcelain"):
        raise Refused("there are uncommitted changes; commit them, or: git stash -u")


def begin(
    project: Project,
    repository: Repository,
    issue: Issue,
    show_similar: Callable[[Issue], None],
) -> None:
    """Make the branch of an issue, or switch to it and bring it up to date.

    For a new branch, similar work is shown and a scaffold offered (E5). A model's branch takes
    over the pull requests of its experiments (B6).

    Args:
        project: whose branch it is.
        repository: on GitHub.
        issue: an open one.
        show_similar: prints the earlier attempts that are similar to an issue.

    Raises:
        Refused: the issue is closed, or it is a pull request.
        DslpError: git refuses.
    """
    number, name = issue.number, branch_name(issue.kind, issue.number, issue.title)
    if issue.is_pull_request:
        raise Refused(f"#{number} is a pull request; start from its issue")
    if issue.state != "open":
        raise Refused(f"#{number} is closed; reopen it, or open a new issue")
    say(f"#{number} ({issue.kind}): {visible(issue.title, TITLE)}")
    remote = remote_name(project)
    _fetch(project, remote)
    branches = _branches(project, number)
    matches = [branch for branch in branches if parse_branch(branch) == parse_branch(name)]
    branch = name if name in matches else next(iter(matches), name)
    if matches:
        _git(project, "switch", "--guess", branch)
        say(f"branch {branch} exists already: switched to it", style="green")
    else:
        show_similar(issue)
        base = collaboration_ref(project)
        _git(project, "switch", "--no-track", "--create", branch, base)
        origin = base.removeprefix("refs/").split("/", 1)[-1]
        say(f"new branch {branch}, from {origin}", style="green")
    if issue.kind == "Model":
        numbers = linked_numbers(issue, repository.name, "Experiment")
        experiments = [repository.find_issues(numbers)[number] for number in numbers]
        for one in experiments:
            if one and one.state == "open" and one.labelled("succeeded"):
                hand_over(project, repository, one, issue, branch)
        _fetch(project, remote if experiments else "")
    if remote:
        _follow(project, remote, branch)
    if not matches:
        _offer_scaffold(issue)


def _git(project: Project, *arguments: str) -> str:
    """The output of git in the project's folder.

    Raises:
        DslpError: it fails, or takes longer than PATIENCE.
    """
    command = ["git", "-C", str(project.root), "-c", "checkout.defaultRemote=origin", *arguments]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DslpError(f"git {arguments[0]}: {type(error).__name__}") from None
    if ended.returncode:
        raise DslpError(f"git {arguments[0]}: {error_line(ended.stderr, 240)}")
    return ended.stdout.strip()


def _fetch(project: Project, remote: str) -> None:
    try:
        if remote:
            with step(f"fetching from {remote}"):
                _git(project, "fetch", "--quiet", remote)
    except DslpError as error:
        words = f"offline? {error}; going on with what was fetched from {remote} before"
        say(words, style="yellow")


def _branches(project: Project, number: int) -> list[str]:
    """The branches of an issue, those of this clone first, then those of remotes."""
    refs = _git(project, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")
    names = [re.sub("^refs/(heads|remotes/[^/]+)/", "", ref) for ref in refs.splitlines()]
    return [name for name in names if issue_of_branch(name) == number]


def _follow(project: Project, remote: str, branch: str) -> None:
    """Let `git pull` and `git push` know the remote's branch, and catch up with it."""
    key = f"branch.{branch}"
    current = git_output(project, "config", f"{key}.merge")
    if current in (None, f"refs/heads/{project.branch}"):  # a push must not go there
        _git(project, "config", f"{key}.remote", remote)
        _git(project, "config", f"{key}.merge", f"refs/heads/{branch}")
    if git_output(project, "rev-parse", "--verify", "--quiet", "@{upstream}"):
        try:
            _git(project, "merge", "--quiet", "--ff-only", "@{upstream}")
        except DslpError as error:
            # A rebase would give new names to the commits that runs are recorded at.
            say(f"{error}: git pull --no-rebase, then git push", style="yellow")


def _offer_scaffold(issue: Issue) -> None:
    """Print the command that writes the first files.

    The title is no part of what is printed, since people copy that into a shell.
    """
    title = slug(issue.title)
    name = form_fields(issue.body).get("Dataset") or issue.title
    asks = linked_numbers(issue, field="Ask")[:1]
    ask = [option for one in asks for option in ("--ask", str(one))]
    model = ["model", _identifier(issue.title), *ask, "--target", "COLUMN"]
    commands = {
        "Data": ["dataset", _identifier(name)],
        "Explore": ["exploration", f"{issue.number}-{title}", "--issue", str(issue.number)],
        **dict.fromkeys(("Experiment", "Model"), model),
    }
    if issue.kind in commands and find_spec("pandas"):  # without it, no first file is written
        words = ["uv", "run", "dslp", "new", *commands[issue.kind]]
        say(f"to write its first files: {shlex.join(words)}")


def _identifier(title: str) -> str:
    """A title as the name of a package of Python."""
    return re.sub(r"^[^a-z]+", "", slug(title)).replace("-", "_") or "work"
