"""Judging a pull request: the facts from GitHub, the verdict as a commit status."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dslp.core.branch_names import parse_branch
from dslp.core.report import Finding
from dslp.github.client import PAGE, Repository, Unavailable
from dslp.github.entities import Issue, PullRequest, read_pull_request
from dslp.github.policy import (
    Facts,
    Verdict,
    decide,
    linked_issues,
    needed_issue,
    strictest,
)
from dslp.github.rules import address

CONTEXT = "dslp/policy"
DESCRIPTION = 140  # characters that GitHub keeps of a status


@dataclass(frozen=True)
class Judged:
    """A pull request and the verdict that stands on its commit."""

    pull: PullRequest
    verdict: Verdict


def check_pull_request(repository: Repository, number: int, collaboration: str) -> Judged:
    """Judge a pull request, and with it every other open one of the same commit.

    Reads the pull request, its issue, each linked issue and the changed files once, and which
    pull requests share the commit; the strictest verdict stands, since a status is the commit's.
    """
    pull = repository.pull_request(number)
    known: dict[int, Issue | None] = {}
    sharing = [
        other
        for other in map(read_pull_request, repository.pages(f"/commits/{pull.sha}/pulls"))
        if other.state == "open" and other.sha == pull.sha and other.number != number
    ]
    verdicts = [
        decide(gather_facts(repository, each, collaboration, known)) for each in (pull, *sharing)
    ]
    return Judged(pull, strictest(verdicts))


def gather_facts(
    repository: Repository,
    pull: PullRequest,
    collaboration: str,
    known: dict[int, Issue | None],
    files: Sequence[tuple[str, str]] | None = None,
) -> Facts:
    """Look up what the verdict needs; `known` holds the issues that were read already.

    The changed files are the pull request's, unless `files` says them.
    """
    if files is None:
        files = list(_changes(repository.pages(f"/pulls/{pull.number}/files")))
    number = needed_issue(pull, collaboration)
    if number is None:
        return Facts(pull, collaboration, files=files, repository=repository.name)
    read_issues(repository, [number], known)
    read_issues(repository, linked_issues(known[number], repository.name), known)
    blocks = not pull.head.startswith("explore/") or is_required(repository, pull.base)
    merged = []
    if pull.head.startswith("model/"):
        merged = list(_merged_experiments(repository, pull.head))
        read_issues(repository, merged, known)
    return Facts(pull, collaboration, known, files, repository.name, blocks, merged)


def _changes(files: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Files and how each was changed; one that was moved is gone there and new here."""
    for file in files:
        name, status = str(file["filename"]), str(file["status"])
        if status == "renamed" and file.get("previous_filename"):
            yield str(file["previous_filename"]), "removed"
        yield name, "added" if status in ("renamed", "copied") else status


def _merged_experiments(repository: Repository, branch: str) -> Iterator[int]:
    """Issues of the experiments that were merged into a model branch."""
    for found in repository.pages("/pulls", state="closed", base=branch):
        pull = read_pull_request(found)
        named = parse_branch(pull.head)
        if pull.merged and named is not None and named.kind == "Experiment":
            yield named.issue


def read_issues(
    repository: Repository, numbers: Iterable[int], known: dict[int, Issue | None]
) -> None:
    """Read issues that are not known yet; one that GitHub does not have is None."""
    for number in numbers:
        if number not in known:
            try:
                known[number] = repository.issue(number)
            except Unavailable as error:
                if error.status not in (404, 410):
                    raise
                known[number] = None


def is_required(repository: Repository, branch: str) -> bool:
    """Whether a merge into the branch waits for the status, so that pending keeps it shut.

    A private repository needs a paid plan for such a rule.
    """
    try:
        rules = repository.ask("GET", f"/rules/branches/{quote(branch, safe='')}?per_page={PAGE}")
    except Unavailable as error:
        if error.status not in (403, 404):
            raise
        return False
    return any(
        check.get("context") == CONTEXT
        for rule in rules
        if rule["type"] == "required_status_checks"
        for check in rule["parameters"]["required_status_checks"]
    )


def queued_pull_requests(group: Mapping[str, Any]) -> Judged:
    """A merge queue's own commit, which holds only what was judged before."""
    head, base = str(group["head_ref"]), str(group["base_ref"])
    names = (head.removeprefix("refs/heads/"), base.removeprefix("refs/heads/"))
    pull = PullRequest(0, *names, str(group["head_sha"]), "", False, False, "open")
    return Judged(pull, decide(Facts(pull, names[1])))


def publish(repository: Repository, judged: Judged) -> bool:
    """Write the verdict as the commit's status, with a link to the rules.

    Returns:
        Whether it could be written: a fork's token may not, and nothing is published then.
    """
    status = {
        "state": judged.verdict.state,
        "context": CONTEXT,
        "description": judged.verdict.why[:DESCRIPTION],
        "target_url": address(),
    }
    try:
        repository.ask("POST", f"/statuses/{judged.pull.sha}", status)
    except Unavailable as error:
        if error.status not in (403, 404):
            raise
        return False
    return True


def annotation(finding: Finding) -> str:
    """A finding as GitHub Actions shows it beside a run; no text in it can be a command."""
    text = f"{finding.problem}; {finding.todo} ({address(finding.rule)})"
    for old, new in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(old, new)
    return f"::error title=dslp {finding.rule}::{text}"


def summary(verdict: Verdict) -> str:
    """The verdict as Markdown for the summary of a run."""
    lines = [f"### {CONTEXT}: {verdict.state}", "", _cell(verdict.why), ""]
    if verdict.findings:
        lines += ["| rule | what is wrong | what to do |", "| --- | --- | --- |"]
    for finding in verdict.findings:
        rule = f"[{finding.rule}]({address(finding.rule)})"
        lines.append(f"| {rule} | {_cell(finding.problem)} | {_cell(finding.todo)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
