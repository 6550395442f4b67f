"""Judging a pull request: the facts from GitHub, the verdict as a commit status."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.github.client import Repository, Unavailable
from lifecycle.github.model import Issue, PullRequest, pull_request_of
from lifecycle.github.policy import Facts, Finding, Verdict, judge, linked, needed, strictest

CONTEXT = "lifecycle/policy"
DESCRIPTION = 140  # characters that GitHub keeps of a status


@dataclass(frozen=True)
class Judged:
    """A pull request and the verdict that stands on its commit."""

    pull: PullRequest
    verdict: Verdict


def check(repository: Repository, number: int, collaboration: str) -> Judged:
    """Judge a pull request, and with it every other open one of the same commit.

    Reads the pull request, its issue, each linked issue and the changed files once, and which
    pull requests share the commit; the strictest verdict stands, since a status is the commit's.
    """
    pull = repository.pull_request(number)
    known: dict[int, Issue | None] = {}
    sharing = [
        other
        for other in map(pull_request_of, repository.pages(f"/commits/{pull.sha}/pulls"))
        if other.state == "open" and other.sha == pull.sha and other.number != number
    ]
    verdicts = [judge(facts(repository, each, collaboration, known)) for each in (pull, *sharing)]
    return Judged(pull, strictest(verdicts))


def facts(
    repository: Repository,
    pull: PullRequest,
    collaboration: str,
    known: dict[int, Issue | None],
    files: Sequence[tuple[str, str]] | None = None,
) -> Facts:
    """Look up what the verdict needs; `known` holds the issues that were read already.

    The changed files are the pull request's, unless `files` says them.
    """
    number = needed(pull, collaboration)
    if number is None:
        return Facts(pull, collaboration, repository=repository.name)
    look_up(repository, [number], known)
    look_up(repository, linked(known[number], repository.name), known)
    if files is None:
        files = [
            (str(file["filename"]), str(file["status"]))
            for file in repository.pages(f"/pulls/{pull.number}/files")
        ]
    blocks = not pull.head.startswith("explore/") or has_rulesets(repository)
    return Facts(pull, collaboration, known, files, repository.name, blocks)


def look_up(repository: Repository, numbers: Iterable[int], known: dict[int, Issue | None]) -> None:
    """Read issues that are not known yet; one that GitHub does not have is None."""
    for number in numbers:
        if number not in known:
            try:
                known[number] = repository.issue(number)
            except Unavailable as error:
                if error.status not in (404, 410):
                    raise
                known[number] = None


def has_rulesets(repository: Repository) -> bool:
    """Whether the repository can require a status; a private one needs a paid plan for it."""
    try:
        repository.ask("GET", "/rulesets?per_page=1")
    except Unavailable as error:
        if error.status not in (403, 404):
            raise
        return False
    return True


def queued(group: Mapping[str, Any]) -> Judged:
    """A merge queue's own commit, which holds only what was judged before."""
    head, base = str(group["head_ref"]), str(group["base_ref"])
    names = (head.removeprefix("refs/heads/"), base.removeprefix("refs/heads/"))
    pull = PullRequest(0, *names, str(group["head_sha"]), "", False, False, "open")
    return Judged(pull, judge(Facts(pull, names[1])))


def publish(repository: Repository, judged: Judged, branch: str) -> bool:
    """Write the verdict as the commit's status, with a link to the page in `branch`.

    Returns:
        Whether it could be written: a fork's token may not, and nothing is published then.
    """
    status = {
        "state": judged.verdict.state,
        "context": CONTEXT,
        "description": judged.verdict.why[:DESCRIPTION],
        "target_url": page(repository.name, branch),
    }
    try:
        repository.ask("POST", f"/statuses/{judged.pull.sha}", status)
    except Unavailable as error:
        if error.status not in (403, 404):
            raise
        return False
    return True


def page(repository: str, branch: str, rule: str = "") -> str:
    """Address of the project's page that explains a rule."""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return (
        f"{server}/{repository}/blob/{branch}/docs/process.md{'#' + rule.lower() if rule else ''}"
    )


def annotation(finding: Finding, address: str) -> str:
    """A finding as GitHub Actions shows it beside a run; no text in it can be a command."""
    text = f"{finding.wrong}; {finding.todo} ({address})"
    for old, new in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(old, new)
    return f"::error title=lifecycle {finding.rule}::{text}"


def summary(verdict: Verdict, repository: str, branch: str) -> str:
    """The verdict as Markdown for the summary of a run."""
    lines = [f"### {CONTEXT}: {verdict.state}", "", _cell(verdict.why), ""]
    if verdict.findings:
        lines += ["| rule | what is wrong | what to do |", "| --- | --- | --- |"]
    for finding in verdict.findings:
        rule = f"[{finding.rule}]({page(repository, branch, finding.rule)})"
        lines.append(f"| {rule} | {_cell(finding.wrong)} | {_cell(finding.todo)} |")
    return "\n".join(lines) + "\n"


def add_summary(text: str) -> None:
    """Add to the run's summary, where there is one."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
