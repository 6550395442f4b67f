"""`dslp check`, `labels`, `protect`, `rules` and `issue-check`: the process on GitHub."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from dslp.core.actions import add_output, add_summary
from dslp.core.console import say, table
from dslp.core.errors import DslpError, nearest
from dslp.core.settings import Project
from dslp.github.start import start

if TYPE_CHECKING:
    from dslp.github.policy import Verdict

labels = typer.Typer(help="The labels of the process on GitHub.", no_args_is_help=True)


def attach(app: typer.Typer) -> None:
    """Add the commands of this stage, which are no group but `labels`."""
    app.command()(start)
    app.command()(check)
    app.command()(issue_check)
    app.command()(protect)
    app.command()(rules)
    app.add_typer(labels, name="labels")
    for of_a_workflow in (merged, propose, tell):
        app.command(hidden=True)(of_a_workflow)


@labels.callback()
def _group() -> None:
    """Keep the group a group while it has one command."""


@labels.command()
def register(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete all other labels.")] = False,
) -> None:
    """Make GitHub's labels those of .github/labels.yml, or of the process; leave others alone."""
    from dslp.github.client import connect
    from dslp.github.labels import DEFAULTS, FILE, plan_changes, read_labels
    from dslp.github.labels import register_labels as carry_out

    project = Project.find(dotenv=False)
    own = (project.root / FILE).exists()
    wanted = read_labels(project.root / FILE if own else DEFAULTS)
    repository = connect(project)
    if dry_run:
        changes = plan_changes(wanted, list(repository.pages("/labels")), prune)
    else:
        changes = []
        for change in carry_out(repository, wanted, prune):
            changes.append(change)
            say(f"{change.action} {change.name}", style="dim")
    if changes:
        table(["label", "step", "what"], [[c.name, c.action, c.fields] for c in changes])
    verb = "to change" if dry_run else "changed"
    where = f"in {FILE.as_posix()}" if own else f"by default (there is no {FILE.as_posix()})"
    say(f"{repository.name}: {len(changes)} {verb}, {len(wanted)} labels {where}")


def check(
    pull_request: Annotated[
        int | None,
        typer.Option(help="Number of the pull request.", min=1, envvar="DSLP_PULL_REQUEST"),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Write the verdict as the commit's status.")
    ] = False,
) -> None:
    """Judge a pull request as GitHub will; without a number, the branch that is checked out."""
    from dslp.github import pull_request as checking
    from dslp.github.client import connect
    from dslp.github.local import check_branch

    project = Project.find(dotenv=False)
    repository = connect(project)
    event = _event()
    number = pull_request or _number(event, "pull_request")
    if number is None and "merge_group" in event:
        judged = checking.queued_pull_requests(event["merge_group"])
    elif number is None:
        verdict = check_branch(project, repository)
        _show(verdict)
        raise typer.Exit(1 if verdict.state == "failure" else 0)
    else:
        judged = checking.check_pull_request(repository, number, project.branch)
    _show(judged.verdict)
    if publish and checking.publish(repository, judged):
        typer.echo(f"published as {checking.CONTEXT}")
        raise typer.Exit(0)
    if publish:
        typer.echo("not published: this token may not, so the job itself passes or fails")
        raise typer.Exit(0 if judged.verdict.state == "success" else 1)
    raise typer.Exit(1 if judged.verdict.state == "failure" else 0)


def _show(verdict: "Verdict") -> None:
    """The verdict for a person, and where GitHub Actions runs as annotations and a summary."""
    from dslp.github import pull_request as checking

    for finding in verdict.findings:
        if os.environ.get("GITHUB_ACTIONS"):
            say(checking.annotation(finding))
        else:
            why = f"why: dslp rules {finding.rule}"
            say(f"{finding.rule}: {finding.problem}\n    {finding.todo}\n    {why}")
    add_summary(checking.summary(verdict))
    say(f"{verdict.state}: {verdict.why}")


def issue_check(
    number: Annotated[
        int | None, typer.Argument(help="Number of the issue; that of the event by default.")
    ] = None,
) -> None:
    """Say on an issue which links are missing, and judge its open pull requests anew.

    For a pull request that was closed, note on its issue where its work stays findable.
    """
    from dslp.github.client import connect
    from dslp.github.issue import (
        check_links,
        note_unmerged_work,
        pull_requests_naming,
        recheck_pull_requests,
        recheck_sharing,
    )

    project = Project.find(dotenv=False)
    event = _event()
    number, closed = number or _number(event, "issue"), _number(event, "pull_request")
    repository = connect(project)
    if number is None and closed is not None:
        say(note_unmerged_work(repository, closed) or "nothing to note")
        again = recheck_sharing(repository, closed, project.branch)
    elif number is None:
        raise DslpError("say which issue: dslp issue-check NUMBER")
    else:
        again = recheck_pull_requests(repository, number, project.branch)
    for judged in again:
        say(f"#{judged.pull.number}: {judged.verdict.state}: {judged.verdict.why}")
    if number is not None:
        for each in dict.fromkeys((number, *pull_requests_naming(repository, number))):
            for finding in check_links(repository, each):
                say(f"{finding.rule}: {finding.problem}")


def protect() -> None:
    """Let GitHub require the policy: names of branches, the status, merge commits."""
    from dslp.github.client import connect
    from dslp.github.rulesets import protect as carry_out

    project = Project.find(dotenv=False)
    table(["rule", "now"], [list(row) for row in carry_out(connect(project), project.branch)])


def rules(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Such as B3.")
    ] = None,
) -> None:
    """Print rules: what each asks, why, and what to do; without an id, all of them in a line each.

    A finding cites the rule that it follows from.
    """
    from dslp.core.console import out
    from dslp.github.rules import address
    from dslp.github.rules import rules as read
    from rich.markdown import Markdown

    known = read()
    asked = [name.upper() for name in names or ()]
    for name in asked:
        if name not in known:
            raise DslpError(f"there is no rule {name!a:.20}{nearest(name, known)}")
    for name in asked:
        out.print(Markdown(f"**{name}: {known[name].title}**\n\n{known[name].text}"))
        say(f"{address(name)}\n", style="dim")
    if not asked:
        for rule in known.values():
            say(f"{rule.name:<4} {rule.title}")


def merged(commit: Annotated[str, typer.Argument(help="Of the collaboration branch.")]) -> None:
    """Say which Model issue's branch was merged as a commit, if one was: the output `issue`."""
    from dslp.github.client import connect
    from dslp.github.flow import released_for

    issue = released_for(connect(Project.find()), commit)
    say(f"the branch of #{issue} was merged" if issue else "no branch of a Model issue was merged")
    add_output("issue", issue or "")


def propose(folder: Annotated[Path, typer.Argument(help="What `dslp model watch` wrote.")]) -> None:
    """Ask people for a retraining of each model that moved: an issue and a pull request (M10)."""
    from dslp.github.client import connect
    from dslp.github.flow import propose_issue as ask

    project = Project.find()
    for file in sorted(folder.glob("*.json")):
        for line in ask(connect(project), project.branch, file):
            say(line)


def tell(
    folder: Annotated[Path, typer.Argument(help="What `dslp model release` or `deploy` wrote.")],
    issue: Annotated[int, typer.Argument(help="Of the Model issue.", min=1)],
) -> None:
    """Comment the figures of a release on its issue (M8, L5)."""
    from dslp.github.client import connect
    from dslp.github.flow import announce_release as comment

    for line in comment(connect(Project.find()), folder, issue):
        say(line)


def _event() -> dict[str, Any]:
    """The event that GitHub Actions runs for; empty elsewhere."""
    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path or not Path(path).is_file():
        return {}
    event = json.loads(Path(path).read_text(encoding="utf-8"))
    return event if isinstance(event, dict) else {}


def _number(event: dict[str, Any], kind: str) -> int | None:
    number = (event.get(kind) or {}).get("number")
    return int(number) if number else None
