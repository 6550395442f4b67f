"""`dslp check`, `labels`, `protect`, `rules` and `issue-check`: the process on GitHub."""

import json
import os
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer
from dslp.core import report
from dslp.core.actions import add_summary
from dslp.core.console import out, say, table
from dslp.core.errors import DslpError, nearest
from dslp.core.settings import Project
from dslp.github import closing, flow, issue, pull_request, rulesets
from dslp.github import rules as texts
from dslp.github.client import MOST, Repository, find_repository
from dslp.github.handover import hand_over
from dslp.github.labels import DEFAULTS, read_labels, register_labels
from dslp.github.template_update import update_template

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the changes only.")]

labels = typer.Typer(help="The labels of the process on GitHub.", no_args_is_help=True)
labels.callback()(lambda: None)  # it stays a group while it has one command


def attach(app: typer.Typer) -> None:
    """Add the commands of this stage, of which only `labels` is a group."""
    for command in (check, issue_check, handover, protect, rules):
        app.command()(command)
    app.add_typer(labels, name="labels")
    for of_a_workflow in (flow.merged, flow.propose, flow.tell, update_template):
        app.command(hidden=True)(of_a_workflow)


@labels.command()
def register(
    dry_run: DryRun = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete all other labels.")] = False,
) -> None:
    """Make GitHub's labels those of .github/labels.yml, or of the process; keep all others."""
    project = Project.find(dotenv=False)
    file = project.labels_file
    name = file.relative_to(project.github.parent)
    where = f"in {name}" if file.exists() else f"by default (there is no {name})"
    wanted = read_labels(file if file.exists() else DEFAULTS)
    repository = find_repository(needs_issues=False)[1]
    steps = register_labels(repository, wanted, prune, dry_run)
    rows = [[step.name, step.action, step.what] for step in steps]
    _show_changes(repository, ["label", "step", "what"], rows, dry_run)
    say(f"{len(wanted)} labels {where}")


def check(
    number: Annotated[
        int | None, typer.Option("--pull-request", help="Number of the pull request.", min=1)
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Write the verdict as the commit's status.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Check a pull request as GitHub will; without a number, the branch that is checked out."""
    project, repository = find_repository()
    event = _event()
    repository.allowance = MOST if event else inf
    if number := number or _number(event, "pull_request"):
        verdict = pull_request.check_pull_request(project, repository, number)
    elif "merge_group" in event:
        verdict = pull_request.check_queue(event["merge_group"])
    else:
        verdict, publish = pull_request.check_branch(project, repository), False
    if publish:
        pull_request.publish(repository, verdict)
    add_summary(pull_request.summary(verdict))
    if as_json:
        typer.echo(report.as_json([verdict.report]))
    else:
        for finding in verdict.findings:
            line = f"{finding.rule}: {finding.problem}\n    {finding.todo}"
            line += f"\n    why: dslp rules {finding.rule}"
            say(line)
        say(f"{verdict.state}: {verdict.why}")
    raise typer.Exit(0 if publish or verdict.report.ok else 1)


def issue_check(
    number: Annotated[
        int | None, typer.Argument(help="Number of the issue; by default the event's.")
    ] = None,
) -> None:
    """Comment on an issue what is missing, write its Ask's log, check its open pull requests.

    For a pull request that was closed, keep its commit and note on its issue how it ended. An event
    takes 20 requests at most; with a number, everything that depends on the issue is checked.
    """
    event = _event()
    changed, closed = number or _number(event, "issue"), _number(event, "pull_request")
    if not changed and not closed:
        raise DslpError("which issue? dslp issue-check NUMBER")
    project, repository = find_repository()
    repository.allowance = inf if number else MOST
    if changed:
        try:
            issue.check_event(project, repository, changed, {} if number else event)
        finally:
            closing.ask_for_lessons(repository, changed)
    else:
        closing.check_closed(project, repository, closed)


def handover(
    number: Annotated[int, typer.Argument(help="Number of the experiment.", min=1)],
) -> None:
    """Hand a successful experiment over to its model, or close a failed one, and say the steps."""
    project, repository = find_repository()
    repository.allowance = MOST if os.environ.get("GITHUB_ACTIONS") else inf
    also = hand_over(project, repository, repository.issue(number))
    if os.environ.get("GITHUB_ACTIONS"):  # as what it opened and changed starts no workflow
        event = _event() or {"action": "labeled"}
        issue.check_event(project, repository, number, event, also)


def protect(
    require: Annotated[
        list[str] | None, typer.Option(help="A job that must pass too, such as tests.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Let GitHub require the policy: names of branches, the status, merge commits.

    What people added to it or made stricter stays.
    """
    project, repository = find_repository(needs_issues=False)
    changes = rulesets.protect(project, repository, require or (), dry_run)
    _show_changes(repository, ["where", "setting", "before", "after"], changes, dry_run)


def rules(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Such as B3.")
    ] = None,
) -> None:
    """Print rules: what each asks, why, and what to do; without an id, a list of all.

    A finding cites its rule.
    """
    from rich.markdown import Markdown

    texts_by_id = texts.rules()
    ids = [name.upper() for name in names or ()]
    for name in set(ids) - texts_by_id.keys():
        raise DslpError(f"there is no rule {name!r:.20}{nearest(name, texts_by_id)}")
    for name in ids:
        out.print(Markdown(f"**{name}: {texts_by_id[name].title}**\n\n{texts_by_id[name].text}"))
        say(f"{texts.address(name)}\n", style="dim")
    for rule in () if ids else texts_by_id.values():
        say(f"{rule.name:<4} {rule.title}")


def _show_changes(
    repository: Repository, headers: list[str], rows: list[list[str]], dry_run: bool
) -> None:
    """Show the changes of a command as a table, and how many there are."""
    if rows:
        table(headers, rows)
    verb = "to change" if dry_run else "changed"
    say(f"{repository.name}: {len(rows) or 'nothing is'} {verb}")


def _event() -> dict[str, Any]:
    """The event that GitHub Actions runs for; empty elsewhere."""
    path = Path(os.environ.get("GITHUB_EVENT_PATH") or os.devnull)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _number(event: dict[str, Any], kind: str) -> int:
    """The number of the issue or pull request of an event; 0 where it has none."""
    return int((event.get(kind) or {}).get("number") or 0)
