"""What follows from a change of an issue: its links are checked, its pull requests judged anew."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dslp.core.branch_names import Branch, parse_branch
from dslp.core.errors import DslpError
from dslp.core.report import Finding
from dslp.github.client import Repository
from dslp.github.entities import Issue, PullRequest, read_issue, read_pull_request
from dslp.github.forms import form_fields, form_links
from dslp.github.policy import link_findings, linked_issues
from dslp.github.pull_request import Judged, check_pull_request, publish, read_issues
from dslp.github.rules import address

MARK = "<!-- dslp: links -->"
OURS = ("OWNER", "MEMBER", "COLLABORATOR")


def check_links(repository: Repository, number: int) -> list[Finding]:
    """Say on the issue which links are missing or wrong (I11): one comment, kept up to date.

    The comment is made when there is something to say, changed when that changes, and removed
    when all is well. A pull request, and an issue that is closed, is left alone.

    Returns:
        What was found.
    """
    known: dict[int, Issue | None] = {}
    read_issues(repository, [number], known)
    issue = known[number]
    if issue is None or issue.is_pull_request or issue.state != "open":
        return []
    read_issues(repository, linked_issues(issue, repository.name), known)
    found = [*link_findings(issue, known, repository.name), *_same_version(repository, issue)]
    say_once(repository, number, MARK, _text(found) if found else None)
    return found


def recheck_pull_requests(repository: Repository, number: int, collaboration: str) -> list[Judged]:
    """Judge and publish every open pull request whose verdict the issue has a part in."""
    judged = []
    known: dict[int, Issue | None] = {}
    for found in repository.pages("/pulls", state="open"):
        pull = read_pull_request(found)
        branch = parse_branch(pull.head)
        if branch is None or pull.fork:  # for a fork's, a maintainer publishes
            continue
        read_issues(repository, [branch.issue], known)
        # A model's verdict rests on experiments that its issue may not name: always anew.
        part = number == branch.issue or branch.kind == "Model"
        if part or number in _named(known[branch.issue], repository.name):
            again = check_pull_request(repository, pull.number, collaboration)
            if not publish(repository, again):
                raise DslpError(f"the verdict on #{pull.number} cannot be published")
            judged.append(again)
    return judged


def recheck_sharing(repository: Repository, number: int, collaboration: str) -> list[Judged]:
    """Judge anew the open pull requests that share the commit of one that was closed."""
    closed, judged = repository.pull_request(number), []
    for pull in map(read_pull_request, repository.pages(f"/commits/{closed.sha}/pulls")):
        if pull.state == "open" and pull.sha == closed.sha and not pull.fork:
            judged.append(check_pull_request(repository, pull.number, collaboration))
            publish(repository, judged[-1])
    return judged


def pull_requests_naming(repository: Repository, number: int) -> list[int]:
    """Open issues that name the issue in one of their fields."""
    return [
        issue.number
        for issue in map(read_issue, repository.pages("/issues", state="open"))
        if not issue.is_pull_request and number in _named(issue, repository.name)
    ]


def note_unmerged_work(repository: Repository, number: int) -> str | None:
    """Note on the issue where the work of a closed, unmerged branch stays findable (B4).

    An experiment's that was merged into a model's branch is closed instead.

    GitHub keeps the head of a pull request when its branch is deleted. After an exploration, the
    note also asks for what must end in the docs (X4). It is written once.

    Returns:
        What was done, or None where there is nothing to do.
    """
    pull = repository.pull_request(number)
    branch = parse_branch(pull.head)
    if pull.state == "open" or branch is None or pull.fork:
        return None
    if pull.merged:
        return _ended(repository, pull, branch)
    if branch.kind not in ("Explore", "Experiment"):
        return None
    mark = f"<!-- dslp: kept {number} {pull.sha} -->"
    text = (
        f"{mark}\nThe branch `{pull.head}` ended at {pull.sha}, unmerged. The commit stays with "
        f"#{number}; it comes back by `git fetch origin refs/pull/{number}/head`."
    )
    if branch.kind == "Explore":
        text += (
            "\n\nBefore this issue is closed: are its insights written down above, each with a "
            "link? What everybody must know belongs into `docs/`, by an issue of its own."
        )
    new = say_once(repository, branch.issue, mark, text)
    return f"#{branch.issue}: {pull.head} ended at {pull.sha}" if new else None


def _ended(repository: Repository, pull: PullRequest, branch: Branch) -> str | None:
    """Close an experiment that was merged into a model's branch, which GitHub does not (B6)."""
    if branch.kind != "Experiment" or not pull.base.startswith("model/"):
        return None
    if repository.issue(branch.issue).state != "open":
        return None
    repository.ask("PATCH", f"/issues/{branch.issue}", {"state": "closed"})
    return f"#{branch.issue} is closed: {pull.head} was merged into {pull.base}"


def _same_version(repository: Repository, issue: Issue) -> Iterator[Finding]:
    """Other Data issues for the same version of the same dataset (I6)."""
    this = _version(issue)
    if issue.kind != "Data" or not all(this):
        return
    for other in repository.issues(["Data"]):
        if other.number != issue.number and _version(other) == this:
            yield Finding(
                "I6",
                f"issue #{other.number} is for this version of this dataset already",
                "a version has one issue: go on there, or say the next version here",
            )


def _version(issue: Issue) -> tuple[str, str]:
    """Dataset and version that a Data issue is for; empty where it does not say."""
    said = form_fields(issue.body)
    return said.get("Dataset", "").lower(), said.get("Version", "").lower().removeprefix("v")


def _named(issue: Issue | None, repository: str) -> Iterable[int]:
    if issue is None:
        return ()
    return [n for link in form_links(issue.kind, issue.body, repository) for n in link.numbers]


def is_ours(comment: Mapping[str, Any], mark: str) -> bool:
    """Whether we wrote it: anybody can write the mark, so the author must be one of the team."""
    trusted = (comment["user"] or {}).get("type") == "Bot" or comment["author_association"] in OURS
    return trusted and str(comment["body"]).startswith(mark)


def say_once(repository: Repository, issue: int, mark: str, text: str | None) -> bool:
    """Keep one comment of ours on an issue, which begins with the mark; none without a text.

    Returns:
        Whether it is new.
    """
    comments = repository.pages(f"/issues/{issue}/comments")
    said = [comment for comment in comments if is_ours(comment, mark)]
    for comment in said[1:] if text else said:
        repository.ask("DELETE", f"/issues/comments/{comment['id']}")
    if text and not said:
        repository.ask("POST", f"/issues/{issue}/comments", {"body": text})
    elif text and said[0]["body"].replace("\r\n", "\n").strip() != text.strip():
        repository.ask("PATCH", f"/issues/comments/{said[0]['id']}", {"body": text})
    return bool(text) and not said


def _text(found: Iterable[Finding]) -> str:
    lines = [MARK, "Something about this issue is to be put right:", ""]
    for finding in found:
        rule = f"[{finding.rule}]({address(finding.rule)})"
        lines.append(f"- {finding.problem}: {finding.todo}. Rule {rule} says why.")
    lines += ["", "This comment goes when it is put right."]
    return "\n".join(lines)
