"""`dslp start`, `check`, `labels`, `protect`, `rules` and `issue-check`: the process on GitHub."""

import json
import os
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer
from dslp.core.actions import add_output, add_summary
from dslp.core.console import notice, say, table
from dslp.core.errors import DslpError, nearest
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.github.client import Repository, connect
from dslp.github.entities import TYPES
from dslp.github.start import start

labels = typer.Typer(help="The labels of the process on GitHub.", no_args_is_help=True)
labels.callback()(lambda: None)  # it stays a group while it has one command


def attach(app: typer.Typer) -> None:
    """Add the commands of this stage, of which only `labels` is a group."""
    for command in (start, check, issue_check, protect, rules):
        app.command()(command)
    app.add_typer(labels, name="labels")
    for of_a_workflow in (merged, propose, tell):
        app.command(hidden=True)(of_a_workflow)


def _connect() -> tuple[Project, Repository]:
    """The project, whose `.env` is not read, and its repository on GitHub."""
    project = Project.find(dotenv=False)
    if (project.root / ".github").is_dir() and git_output(project, "rev-parse", "--show-prefix"):
        where = f"{project.root / '.github'} is not at the top of the repository"
        notice(f"{where}: GitHub does not read it there; move it to the top")
    return project, connect(project)


@labels.command()
def register(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete all other labels.")] = False,
) -> None:
    """Make GitHub's labels those of .github/labels.yml, or of the process; keep all others."""
    from dslp.github.labels import DEFAULTS, FILE, plan_changes, read_labels, register_labels

    file = Project.find(dotenv=False).root / FILE
    own = file.exists()
    wanted = read_labels(file if own else DEFAULTS)
    _, repository = _connect()
    if dry_run:
        changes = plan_changes(wanted, list(repository.pages("/labels")), prune)
    else:
        changes = register_labels(repository, wanted, prune)
    if changes:
        table(["label", "step", "what"], [[c.name, c.action, c.fields] for c in changes])
    verb = "to change" if dry_run else "changed"
    where = f"in {FILE.as_posix()}" if own else f"by default (there is no {FILE.as_posix()})"
    say(f"{repository.name}: {len(changes)} {verb}, {len(wanted)} labels {where}")


def check(
    pull_request: Annotated[
        int | None, typer.Option(help="Number of the pull request.", min=1)
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Write the verdict as the commit's status.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check a pull request as GitHub will; without a number, the branch that is checked out."""
    from dslp.core import report
    from dslp.github import pull_request as checks

    project, repository = _connect()
    event = _event()
    number = pull_request or _number(event, "pull_request")
    if number is not None:
        result = checks.check_pull_request(project, repository, number)
    elif "merge_group" in event:
        result = checks.check_queue(project, event["merge_group"])
    else:
        result, publish = checks.check_branch(project, repository), False
    if publish:
        checks.publish(repository, result)
    add_summary(checks.summary(result.verdict))
    if as_json:
        typer.echo(report.as_json([result.report]))
    else:
        for finding in result.verdict.findings:
            line = f"{finding.rule}: {finding.problem}\n    {finding.todo}"
            line += f"\n    why: dslp rules {finding.rule}"
            say(checks.annotation(finding) if os.environ.get("GITHUB_ACTIONS") else line)
        say(f"{result.verdict.state}: {result.verdict.why}")
        if publish:
            say(f"published as {checks.CONTEXT}")
    _show_budget(repository)
    raise typer.Exit(0 if publish or result.report.ok else 1)


def issue_check(
    number: Annotated[
        int | None, typer.Argument(help="Number of the issue; by default the event's.")
    ] = None,
) -> None:
    """Comment on an issue what is missing, and check its open pull requests again.

    For a pull request that was closed, note on its issue how it ended. An event takes 20 requests
    at most; with a number, everything that depends on the issue is checked.
    """
    from dslp.github import issue as issues

    event = _event()
    issue, closed = number or _number(event, "issue"), _number(event, "pull_request")
    if issue is None and closed is None:
        raise DslpError("which issue? dslp issue-check NUMBER")
    project, repository = _connect()
    if issue is not None:
        label = (event.get("label") or {}).get("name", "")
        moved = event.get("action") in ("deleted", "transferred")
        if number is not None:
            repository.allowance = inf
        is_type = number is not None or moved or label in TYPES
        lines = issues.check_event(project, repository, issue, is_type)
    else:
        lines = issues.check_closed(project, repository, closed or 0)
    for line in lines:
        say(line)
    _show_budget(repository)


def protect(
    require: Annotated[
        list[str] | None, typer.Option(help="A job that must pass too, such as tests.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes only.")] = False,
) -> None:
    """Let GitHub require the policy: names of branches, the status, merge commits.

    What people added to it or made stricter stays.
    """
    from dslp.github import rulesets

    project, repository = _connect()
    if changes := rulesets.protect(project, repository, require or (), dry_run):
        table(["where", "setting", "before", "after"], changes)
    verb = "to change" if dry_run else "changed"
    say(f"{repository.name}: {len(changes) or 'nothing is'} {verb}")


def rules(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Such as B3.")
    ] = None,
) -> None:
    """Print rules: what each asks, why, and what to do; without an id, a list of all.

    A finding cites its rule.
    """
    from dslp.core.console import out
    from dslp.github import rules as texts
    from rich.markdown import Markdown

    texts_by_id = texts.rules()
    ids = [name.upper() for name in names or ()]
    for name in set(ids) - texts_by_id.keys():
        raise DslpError(f"there is no rule {name!r:.20}{nearest(name, texts_by_id)}")
    for name in ids:
        out.print(Markdown(f"**{name}: {texts_by_id[name].title}**\n\n{texts_by_id[name].text}"))
        say(f"{texts.address(name)}\n", style="dim")
    if not ids:
        for rule in texts_by_id.values():
            say(f"{rule.name:<4} {rule.title}")


def merged(commit: Annotated[str, typer.Argument(help="Of the collaboration branch.")]) -> None:
    """Find the Model issue whose branch was merged as a commit: the output `issue`."""
    from dslp.github.flow import released_issue

    issue = released_issue(_connect()[1], commit)
    say(f"the branch of #{issue} was merged" if issue else "no branch of a Model issue was merged")
    add_output("issue", issue or "")


def propose(folder: Annotated[Path, typer.Argument(help="What `dslp model watch` wrote.")]) -> None:
    """Ask people for a retraining of each model that moved: an issue and a pull request (M10)."""
    from dslp.github.flow import propose_retraining

    project, repository = _connect()
    for file in sorted(folder.glob("*.json")):
        for line in propose_retraining(project, repository, file):
            say(line)


def tell(
    folder: Annotated[Path, typer.Argument(help="What `dslp model release` or `deploy` wrote.")],
    issue: Annotated[int, typer.Argument(help="Of the Model issue.", min=1)],
) -> None:
    """Comment the figures of a release on its issue (M8, L5)."""
    from dslp.github.flow import announce_release

    for line in announce_release(_connect()[1], folder, issue):
        say(line)


def _show_budget(repository: Repository) -> None:
    """Say in GitHub Actions, which have 1,000 requests an hour, how many are left of them."""
    if os.environ.get("GITHUB_ACTIONS"):
        notice(f"{repository.sent} requests; GitHub leaves {repository.remaining:,.0f} this hour")


def _event() -> dict[str, Any]:
    """The event that GitHub Actions runs for; empty elsewhere."""
    path = Path(os.environ.get("GITHUB_EVENT_PATH") or os.devnull)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _number(event: dict[str, Any], kind: str) -> int | None:
    number = (event.get(kind) or {}).get("number")
    return int(number) if number else None
