"""What follows from a change of an issue: its links, the Ask's log, its pull requests' verdicts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from dslp.core.branch_names import AGENTS, is_match
from dslp.core.console import say
from dslp.core.report import Finding
from dslp.core.settings import Project
from dslp.github.client import Repository, Unavailable, UsedUp
from dslp.github.entities import TEAM, TYPES, Issue, PullRequest
from dslp.github.forms import form_fields, linked_numbers, read_forms
from dslp.github.native import mirror_links
from dslp.github.policy import check_fields, check_links, issue_of
from dslp.github.pull_request import as_item, model_experiments, publish_check
from dslp.github.rules import broken
from dslp.github.running_log import update_logs

MARK = "<!-- dslp: links -->"
FIRST = 3  # verdicts that come before the log
MODELS = ("model/*", *AGENTS)  # branches that may hold a model


def check_event(
    project: Project,
    repository: Repository,
    number: int,
    event: Mapping[str, Any],
    also: Sequence[int] = (),
) -> None:
    """Check an issue that changed, and what depends on it, within the requests of an event.

    What fails keeps nothing else back. What people wait for comes first: the comment on the issue,
    the verdicts of its pull requests, the log. GitHub's own links come last.

    Args:
        project: whose settings and forms hold.
        repository: on GitHub.
        number: of the issue.
        event: of GitHub Actions; without one, everything that depends on the issue is checked.
        also: issues that were opened for it, and are checked too.

    Raises:
        Unavailable: GitHub refused a step, the first of these.
    """
    label, action = (event.get("label") or {}).get("name", ""), event.get("action")
    is_type = not event or label in TYPES or action in ("deleted", "transferred")
    old = ((event.get("changes") or {}).get("body") or {}).get("from")
    texts = [(event.get("issue") or {}).get("body") or "", old or ""]
    texts += [f"### Ask\n\n#{one}" for one in also]
    others = list(repository.issues(state="open", most=10)) if is_type and not also else []
    naming = [one.number for one in others if number in linked_numbers(one, repository.name)]
    naming += also
    pulls, other = _depending(repository, number, naming), number
    failures: list[Unavailable] = []

    def attempt(one: int, action: Callable[..., object], *values: object) -> None:
        nonlocal other
        other = one
        try:
            action(*values)
        except UsedUp:
            raise
        except Unavailable as error:
            say(f"#{one}: {error}")
            failures.append(error)

    def check_pulls(most: int | None = None) -> None:
        for pull in islice(pulls, most):
            attempt(pull.number, publish_check, project, repository, pull.number)

    try:
        attempt(number, check_issue, project, repository, number)
        attempt(number, check_pulls, FIRST)
        attempt(number, update_logs, repository, number, texts)
        attempt(number, check_pulls)
        for one in naming:
            attempt(one, check_issue, project, repository, one)
        for one in also:
            attempt(one, mirror_links, repository, one, {"action": "opened"})
        attempt(number, mirror_links, repository, number, event)
    except UsedUp as error:
        rest = f"#{other} and what else depends on #{number} is not checked"
        say(f"{rest}: {error}; run dslp issue-check {number}")
    if failures:
        raise failures[0]


def check_issue(project: Project, repository: Repository, number: int) -> None:
    """Comment on the issue what is missing or wrong (I4-I11): one comment, kept up to date.

    The comment is removed when nothing is wrong any more. A pull request and a closed issue are
    left alone.
    """
    issue = repository.find_issue(number)
    if issue is None or issue.is_pull_request or issue.state != "open":
        return
    issues = repository.find_issues(linked_numbers(issue, repository.name))
    links = check_links(issue, issues, repository.name)
    fields = check_fields(issue, read_forms(project.github))
    findings = [*links, *fields, *_check_version(repository, issue)]
    update_comment(repository, number, MARK, _comment(findings) if findings else "")
    for finding in findings:
        say(f"{finding.rule}: {finding.problem}")


def is_from_team(comment: Mapping[str, Any], mark: str) -> bool:
    """Whether a comment or issue with the mark is from the team or a bot: anybody can write it."""
    is_bot = (comment["user"] or {}).get("type") == "Bot"
    trusted = is_bot or comment["author_association"] in TEAM
    return trusted and str(comment["body"]).startswith(mark)


def update_comment(repository: Repository, issue: int, mark: str, text: str) -> None:
    """Keep one comment on an issue that begins with the mark; without a text, remove it."""
    existing = repository.comments(issue)
    comments = [comment for comment in existing if is_from_team(comment, mark)]
    for comment in comments[1:] if text else comments:
        repository.ask("DELETE", f"/issues/comments/{comment['id']}", unless=(404,))
        existing.remove(comment)
    if text and not comments and text not in [comment["body"] for comment in existing]:
        existing.append(repository.ask("POST", f"/issues/{issue}/comments", {"body": text}))
    elif text and comments and comments[0]["body"].replace("\r\n", "\n").strip() != text.strip():
        path = f"/issues/comments/{comments[0]['id']}"
        comments[0].update(repository.ask("PATCH", path, {"body": text}))


def _depending(repository: Repository, number: int, naming: Sequence[int]) -> Iterator[PullRequest]:
    """The open pull requests whose verdict depends on the issue: its own, and a model's."""
    issue = repository.find_issue(number)
    is_experiment = issue is not None and issue.kind == "Experiment"
    for pull in repository.open_pull_requests:
        own, may_be_model = issue_of(pull, repository.name), is_match(pull.head, MODELS)
        depends = own in (number, *naming)
        if not depends and own and may_be_model and is_experiment:
            depends = number in model_experiments(repository, pull, own)
        if depends:
            yield pull


def _check_version(repository: Repository, issue: Issue) -> Iterator[Finding]:
    """Find other Data issues for the same version of the same dataset (I6)."""
    version = _dataset_version(issue)
    if issue.kind != "Data" or not all(version):
        return
    for other in repository.issues(["Data"], most=3):
        if other.number != issue.number and _dataset_version(other) == version:
            yield broken("I6", f"issue #{other.number} is for this version of this dataset already")


def _dataset_version(issue: Issue) -> tuple[str, str]:
    """Dataset and version that a Data issue is for; empty where it names none."""
    fields = form_fields(issue.body.lower())
    return fields.get("dataset", ""), fields.get("version", "").removeprefix("v")


def _comment(findings: Sequence[Finding]) -> str:
    items = [as_item(finding, finding.problem) for finding in findings]
    end = "This comment disappears when it is corrected."
    return "\n".join([MARK, "Please correct this issue:", "", *items, "", end])
