"""What follows from a change of an issue: its links and its pull requests are checked again."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dslp.core.branch_names import Branch, parse_branch
from dslp.core.errors import DslpError
from dslp.core.report import Finding
from dslp.github.client import Repository
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import form_fields, linked_numbers
from dslp.github.policy import check_links
from dslp.github.pull_request import Check, check_pull_request, publish
from dslp.github.rules import address

MARK = "<!-- dslp: links -->"
TEAM = ("OWNER", "MEMBER", "COLLABORATOR")


def check_issue(repository: Repository, number: int) -> list[Finding]:
    """Comment on the issue which links are missing or wrong (I11): one comment, kept up to date.

    The comment is removed when nothing is wrong any more. A pull request and a closed issue are
    left alone.

    Returns:
        What is wrong.
    """
    issue = repository.find_issues([number])[number]
    if issue is None or issue.is_pull_request or issue.state != "open":
        return []
    issues = repository.find_issues(linked_numbers(issue, repository.name))
    links = check_links(issue, issues, repository.name)
    findings = [*links, *_check_version(repository, issue)]
    update_comment(repository, number, MARK, _comment(findings) if findings else None)
    return findings


def check_pull_requests(repository: Repository, number: int, collaboration: str) -> list[Check]:
    """Check every open pull request whose verdict depends on the issue, and publish it.

    Those of forks are left to a maintainer, who may publish.

    Raises:
        DslpError: a verdict cannot be published.
    """
    checks = []
    for pull in repository.pull_requests():
        branch = parse_branch(pull.head)
        if branch is None or pull.fork:
            continue
        issue = repository.find_issues([branch.issue])[branch.issue]
        # A model's verdict depends on experiments that its issue may not name: check it always.
        depends = number == branch.issue or branch.kind == "Model"
        if depends or number in linked_numbers(issue, repository.name):
            checks.append(_publish_check(repository, pull, collaboration))
    return checks


def check_sharing(repository: Repository, number: int, collaboration: str) -> list[Check]:
    """Check the open pull requests that share the commit of one that was closed.

    Raises:
        DslpError: a verdict cannot be published.
    """
    pulls = repository.open_pull_requests_at(repository.pull_request(number).sha)
    return [_publish_check(repository, pull, collaboration) for pull in pulls if not pull.fork]


def _publish_check(repository: Repository, pull: PullRequest, collaboration: str) -> Check:
    check = check_pull_request(repository, pull.number, collaboration)
    if not publish(repository, check):
        raise DslpError(f"the verdict on #{pull.number} cannot be published")
    return check


def issues_naming(repository: Repository, number: int) -> list[int]:
    """The open issues that name the issue in one of their fields."""
    issues = repository.issues(state="open")
    return [one.number for one in issues if number in linked_numbers(one, repository.name)]


def note_end(repository: Repository, number: int) -> str | None:
    """Note on its issue how a closed pull request ended.

    GitHub keeps the head of a pull request when its branch is deleted: the issue of an unmerged
    exploration or experiment gets the command that brings it back (B4). After an exploration, the
    note also asks for documentation (X4). An experiment that was merged into a model's branch is
    closed (B6).

    Returns:
        What was done, or None if nothing was.
    """
    pull = repository.pull_request(number)
    branch = parse_branch(pull.head)
    if pull.state == "open" or branch is None or pull.fork:
        return None
    if pull.merged:
        return _close_experiment(repository, pull, branch)
    if branch.kind not in ("Explore", "Experiment"):
        return None
    mark = f"<!-- dslp: kept {number} {pull.sha} -->"
    text = (
        f"{mark}\nThe branch `{pull.head}` ended at {pull.sha}, unmerged. The commit stays with "
        f"#{number}; get it back with `git fetch origin refs/pull/{number}/head`."
    )
    if branch.kind == "Explore":
        text += (
            "\n\nBefore you close this issue: are its insights written above, each with a link? "
            "What everybody must know belongs in `docs/`, by an issue of its own."
        )
    new = update_comment(repository, branch.issue, mark, text)
    return f"#{branch.issue}: {pull.head} ended at {pull.sha}" if new else None


def is_from_team(comment: Mapping[str, Any], mark: str) -> bool:
    """Whether a comment or issue with the mark is from the team or a bot: anybody can write it."""
    is_bot = (comment["user"] or {}).get("type") == "Bot"
    trusted = is_bot or comment["author_association"] in TEAM
    return trusted and str(comment["body"]).startswith(mark)


def update_comment(repository: Repository, issue: int, mark: str, text: str | None) -> bool:
    """Keep one comment on an issue that begins with the mark; without a text, remove it.

    Returns:
        Whether it is new.
    """
    answers = repository.pages(f"/issues/{issue}/comments")
    comments = [comment for comment in answers if is_from_team(comment, mark)]
    for comment in comments[1:] if text else comments:
        repository.ask("DELETE", f"/issues/comments/{comment['id']}")
    if text and not comments:
        repository.ask("POST", f"/issues/{issue}/comments", {"body": text})
    elif text and comments[0]["body"].replace("\r\n", "\n").strip() != text.strip():
        repository.ask("PATCH", f"/issues/comments/{comments[0]['id']}", {"body": text})
    return bool(text) and not comments


def _close_experiment(repository: Repository, pull: PullRequest, branch: Branch) -> str | None:
    """Close an experiment that was merged into a model's branch, which GitHub does not."""
    ends = branch.kind == "Experiment" and pull.base.startswith("model/")
    if not ends or repository.issue(branch.issue).state != "open":
        return None
    repository.ask("PATCH", f"/issues/{branch.issue}", {"state": "closed"})
    return f"#{branch.issue} is closed: {pull.head} was merged into {pull.base}"


def _check_version(repository: Repository, issue: Issue) -> Iterator[Finding]:
    """Find other Data issues for the same version of the same dataset (I6)."""
    version = _dataset_version(issue)
    if issue.kind != "Data" or not all(version):
        return
    for other in repository.issues(["Data"]):
        if other.number != issue.number and _dataset_version(other) == version:
            problem = f"issue #{other.number} is for this version of this dataset already"
            todo = "a version has one issue: go on there, or write the next version here"
            yield Finding("I6", problem, todo)


def _dataset_version(issue: Issue) -> tuple[str, str]:
    """Dataset and version that a Data issue is for; empty where it names none."""
    fields = form_fields(issue.body)
    version = fields.get("Version", "").lower().removeprefix("v")
    return fields.get("Dataset", "").lower(), version


def _comment(findings: Iterable[Finding]) -> str:
    lines = [MARK, "Please correct this issue:", ""]
    for finding in findings:
        rule = f"[{finding.rule}]({address(finding.rule)})"
        lines.append(f"- {finding.problem}: {finding.todo}. Rule {rule} says why.")
    lines += ["", "This comment disappears when it is corrected."]
    return "\n".join(lines)
