"""What follows from a change of an issue: its links and its pull requests are checked again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dslp.core.branch_names import Branch
from dslp.core.report import Finding
from dslp.core.settings import Project
from dslp.github.client import Repository
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import form_fields, linked_numbers, read_forms
from dslp.github.policy import Facts, check_fields, check_links, issue_of
from dslp.github.pull_request import check_pull_request, merged_experiments, publish
from dslp.github.rules import address, broken

MARK = "<!-- dslp: links -->"
RESERVE = 100  # requests that are left to verdicts before other issues are checked
TEAM = ("OWNER", "MEMBER", "COLLABORATOR")


def check_event(
    project: Project, repository: Repository, number: int, is_type: bool
) -> Iterator[str]:
    """Check an issue that changed, and what depends on it, within the requests of an event.

    Args:
        project: whose settings and forms hold.
        repository: on GitHub.
        number: of the issue.
        is_type: whether its type may have changed, on which the issues that name it depend.

    Yields:
        What was found, and what is left to a later run, line by line.
    """
    naming: list[int] = []
    if is_type:
        others = list(repository.issues(state="open", most=10))
        naming = [one.number for one in others if number in linked_numbers(one, repository.name)]
    for finding in check_issue(project, repository, number):
        yield f"{finding.rule}: {finding.problem}"
    pulls = _depending(repository, number, naming)
    for pull in pulls:
        if repository.left < 6:
            yield f"#{pull.number} and later pull requests are not checked: {_later(number)}"
            break
        check = check_pull_request(project, repository, pull.number)
        publish(repository, check)
        yield f"#{pull.number}: {check.verdict.state}: {check.verdict.why}"
    for done, other in enumerate(naming):
        if repository.left < 4 or repository.remaining < RESERVE:
            yield f"{len(naming) - done} issues that name it are not checked: {_later(number)}"
            break
        for finding in check_issue(project, repository, other):
            yield f"{finding.rule}: {finding.problem}"


def check_issue(project: Project, repository: Repository, number: int) -> list[Finding]:
    """Comment on the issue what is missing or wrong (I4-I11): one comment, kept up to date.

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
    fields = check_fields(issue, read_forms(project.root))
    findings = [*links, *fields, *_check_version(repository, issue)]
    update_comment(repository, number, MARK, _comment(findings) if findings else None)
    return findings


def check_closed(project: Project, repository: Repository, number: int) -> Iterator[str]:
    """Note how a closed pull request ended, and check the open ones that share its commit.

    Yields:
        What was done, line by line.
    """
    pull = repository.pull_request(number)
    yield note_end(project, repository, pull) or "nothing to note"
    for other in repository.open_pull_requests_at(pull)[:1]:  # one status for all of them
        check = check_pull_request(project, repository, other.number)
        publish(repository, check)
        yield f"#{other.number}: {check.verdict.state}: {check.verdict.why}"


def note_end(project: Project, repository: Repository, pull: PullRequest) -> str | None:
    """Note on its issue how a closed pull request ended.

    GitHub keeps the head of a pull request when its branch is deleted: the issue of an unmerged
    exploration or experiment gets the command that brings it back (B4). After an exploration, the
    note also asks for documentation (X4). An experiment that was merged into a model's branch is
    closed (B6).

    Returns:
        What was done, or None if nothing was.
    """
    number = issue_of(pull, repository.name)
    issues = repository.find_issues([number] if number else ())
    branch = Facts(pull, project, repository.name, issues=issues).branch
    if pull.state == "open" or branch is None or not issues[branch.issue]:
        return None
    if pull.merged:
        return _close_experiment(repository, pull, branch)
    if branch.kind not in ("Explore", "Experiment"):
        return None
    mark = f"<!-- dslp: kept {pull.number} {pull.sha} -->"
    text = (
        f"{mark}\nThe branch `{pull.head}` ended at {pull.sha}, unmerged. The commit stays with "
        f"#{pull.number}; get it back with `git fetch origin refs/pull/{pull.number}/head`."
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
    answers = repository.pages(f"/issues/{issue}/comments", most=5)
    comments = [comment for comment in answers if is_from_team(comment, mark)]
    for comment in comments[1:] if text else comments:
        repository.ask("DELETE", f"/issues/comments/{comment['id']}", unless=(404,))
    if text and not comments:
        repository.ask("POST", f"/issues/{issue}/comments", {"body": text})
    elif text and comments[0]["body"].replace("\r\n", "\n").strip() != text.strip():
        repository.ask("PATCH", f"/issues/comments/{comments[0]['id']}", {"body": text})
    return bool(text) and not comments


def _depending(repository: Repository, number: int, naming: Sequence[int]) -> Iterator[PullRequest]:
    """The open pull requests whose verdict depends on the issue: its own, and a model's."""
    issue = repository.find_issues([number])[number]
    is_experiment = issue is not None and issue.kind == "Experiment"
    for pull in repository.open_pull_requests:
        own = issue_of(pull, repository.name)
        if own is not None and own in (number, *naming):
            yield pull
        elif own and is_experiment and pull.head.startswith("model/"):
            if repository.left >= 6:
                model = repository.find_issues([own])[own]
                merged = merged_experiments(repository, pull.head)
                if number not in (*linked_numbers(model, repository.name), *merged):
                    continue
            yield pull


def _later(number: int) -> str:
    return f"few requests are left; run dslp issue-check {number}"


def _close_experiment(repository: Repository, pull: PullRequest, branch: Branch) -> str | None:
    """Close an experiment that was merged into a model's branch, which GitHub does not."""
    ends = branch.kind == "Experiment" and pull.base.startswith("model/")
    issue = repository.find_issues([branch.issue])[branch.issue]
    if not ends or issue is None or issue.state != "open":
        return None
    repository.ask("PATCH", f"/issues/{branch.issue}", {"state": "closed"})
    return f"#{branch.issue} is closed: {pull.head} was merged into {pull.base}"


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
    fields = form_fields(issue.body)
    version = fields.get("Version", "").lower().removeprefix("v")
    return fields.get("Dataset", "").lower(), version


def _comment(findings: Iterable[Finding]) -> str:
    lines = [MARK, "Please correct this issue:", ""]
    for finding in findings:
        rule = f"[{finding.rule}]({address(finding.rule)})"
        lines.append(f"- {finding.problem}. {finding.todo} Rule {rule} says why.")
    return "\n".join([*lines, "", "This comment disappears when it is corrected."])
