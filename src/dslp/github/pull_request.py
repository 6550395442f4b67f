"""The check of a pull request: the facts from GitHub, the verdict as a commit status."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from dslp.core.branch_names import parse_branch
from dslp.core.errors import DslpError
from dslp.core.git import git_output
from dslp.core.report import Finding, Report
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown
from dslp.github.client import MOST, PAGE, Repository, missing_branch
from dslp.github.entities import PullRequest, read_pull_request
from dslp.github.forms import linked_numbers, read_forms
from dslp.github.policy import STATES, Facts, Verdict, decide, exemption, issue_of
from dslp.github.rules import address

CONTEXT = "dslp/policy"
DESCRIPTION = 140  # characters that GitHub keeps of a status
SHARING = 2  # other pull requests of the same commit that are checked with one
REVERT = re.compile(r"revert-([1-9]\d{0,8})-(.+)")


@dataclass(frozen=True)
class Check:
    """A pull request, or a branch without one, and the verdict on its commit."""

    pull: PullRequest
    verdict: Verdict

    @property
    def report(self) -> Report:
        """The same as `--json` prints it."""
        verdict = self.verdict
        details = {"state": verdict.state, "why": verdict.why, "commit": self.pull.sha}
        number = {"pull_request": self.pull.number or None, "target": self.pull.base}
        return Report(self.pull.head, 1, verdict.findings, details=details | number)


def check_pull_request(project: Project, repository: Repository, number: int) -> Check:
    """Check a pull request, and with it every other open one of the same commit.

    Reads the open pull requests, its issue, each linked issue and the changed files once. A status
    belongs to the commit, so the strictest verdict of those that share it counts.
    """
    pull = repository.pull_request(number)
    others = repository.open_pull_requests_at(pull)
    facts = (gather_facts(project, repository, each) for each in (pull, *others[:SHARING]))
    verdicts = [decide(each) for each in facts]
    if len(others) > SHARING:
        why = f"{len(others) + 1} pull requests share this commit; add one to each branch"
        verdicts.append(Verdict("failure", why))
    return Check(pull, max(verdicts, key=lambda verdict: STATES.index(verdict.state)))


def check_branch(project: Project, repository: Repository) -> Check:
    """Check the branch that is checked out: its open pull request, or one that it could become.

    Raises:
        DslpError: no branch is checked out, or it is the collaboration branch itself.
    """
    name = git_output(project, "branch", "--show-current")
    if not name or name in (repository.default_branch, project.branch):
        raise DslpError(
            f"{name or 'no branch'} is checked out; switch to the branch of an issue "
            "(dslp start NUMBER), or say --pull-request NUMBER"
        )
    owner = repository.origin.split("/")[0]
    for answer in repository.pages("/pulls", most=1, state="open", head=f"{owner}:{name}"):
        return check_pull_request(project, repository, answer["number"])
    branch = parse_branch(name)
    base = "model/…" if branch and branch.kind == "Experiment" else project.branch
    pull = PullRequest(0, name, base, git_output(project, "rev-parse", "HEAD") or "")
    facts = gather_facts(project, repository, pull, _local_changes(project))
    return Check(pull, decide(replace(facts, blocks=True)))


def check_queue(project: Project, group: Mapping[str, Any]) -> Check:
    """Check a merge queue's own commit, whose pull requests were checked before."""
    head, base = (str(group[name]).removeprefix("refs/heads/") for name in ("head_ref", "base_ref"))
    pull = PullRequest(0, head, base, str(group["head_sha"]))
    return Check(pull, decide(Facts(pull, project)))


def gather_facts(
    project: Project,
    repository: Repository,
    pull: PullRequest,
    files: Sequence[tuple[str, str]] | None = None,
) -> Facts:
    """Read what the verdict needs; `files` are the changed ones, by default the pull request's."""
    facts = Facts(pull, project, repository.name, repository.default_branch)
    number = issue_of(pull, repository.name)
    if number and not exemption(facts):
        issue = repository.find_issues([number])[number]
        issues = repository.find_issues(linked_numbers(issue, repository.name))
        facts = replace(facts, issues=issues, forms=read_forms(project.root))
    kind = facts.branch.kind if facts.branch else ""
    if kind == "Explore":
        return replace(facts, blocks=is_required(repository, pull.base))
    if kind == "Model":
        merged = merged_experiments(repository, pull.head)
        repository.find_issues(merged)
        facts = replace(facts, merged=merged)
    are_all = True
    if files is None:
        most = max(MOST - repository.sent - 2, 1)
        files = list(changed_files(repository, pull.number, most))
        are_all = len(files) < most * PAGE
    is_revert = _is_revert(repository, pull, files)
    return replace(facts, files=files, are_all_files=are_all, is_revert=is_revert)


def is_required(repository: Repository, branch: str) -> bool:
    """Whether a merge into the branch needs the status, so that pending blocks it.

    A private repository needs a paid plan for such a rule.
    """
    path = f"/rules/branches/{quote(branch, safe='')}?per_page={PAGE}"
    return any(
        check.get("context") == CONTEXT
        for rule in repository.ask("GET", path, unless=(403, 404)) or ()
        if rule["type"] == "required_status_checks"
        for check in rule["parameters"]["required_status_checks"]
    )


def publish(repository: Repository, check: Check) -> None:
    """Write the verdict as the commit's status, with a link to the rules.

    Raises:
        Unavailable: the token has no right to write it.
    """
    status = {
        "state": check.verdict.state,
        "context": CONTEXT,
        "description": check.verdict.why[:DESCRIPTION],
        "target_url": address(),
    }
    repository.ask("POST", f"/statuses/{check.pull.sha}", status)


def annotation(finding: Finding) -> str:
    """A finding as GitHub Actions shows it beside a run; no text in it can be a command."""
    text = f"{finding.problem}; {finding.todo} ({address(finding.rule)})"
    for old, new in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(old, new)
    return f"::error title=dslp {finding.rule}::{text}"


def summary(verdict: Verdict) -> str:
    """The verdict as Markdown for the summary of a run."""
    lines = [f"### {CONTEXT}: {verdict.state}", "", escape_markdown(verdict.why, SENTENCE), ""]
    for finding in verdict.findings:
        problem = escape_markdown(finding.problem, SENTENCE)
        lines.append(f"- [{finding.rule}]({address(finding.rule)}): {problem}. {finding.todo}")
    return "\n".join(lines) + "\n"


def changed_files(repository: Repository, number: int, most: int) -> Iterator[tuple[str, str]]:
    """Files of a pull request, on so many pages, and how each was changed.

    One that was moved is removed there and added here.
    """
    for file in repository.pages(f"/pulls/{number}/files", most):
        name, status = str(file["filename"]), str(file["status"])
        if status == "renamed" and file.get("previous_filename"):
            yield str(file["previous_filename"]), "removed"
        yield name, "added" if status in ("renamed", "copied") else status


def merged_experiments(repository: Repository, branch: str) -> list[int]:
    """Issues of the experiments that were merged into a model branch, the newest five."""
    answers = repository.pages("/pulls", most=1, state="closed", base=branch)
    pulls = [pull for pull in map(read_pull_request, answers) if pull.merged]
    heads = [parse_branch(pull.head) for pull in pulls]
    return [head.issue for head in heads if head and head.kind == "Experiment"][:5]


def _is_revert(repository: Repository, pull: PullRequest, files: Sequence[tuple[str, str]]) -> bool:
    """Whether the branch is what GitHub's button makes: of a merged one, with no other files."""
    match = REVERT.fullmatch(pull.head)
    answer = match and repository.ask("GET", f"/pulls/{match[1]}", unless=(404,))
    if not match or not answer or not answer["merged_at"] or answer["head"]["ref"] != match[2]:
        return False
    reverted = dict(changed_files(repository, int(match[1]), max(MOST - repository.sent - 1, 1)))
    return all(path in reverted for path, _ in files)


def _local_changes(project: Project) -> list[tuple[str, str]]:
    """Files that differ from the collaboration branch, in GitHub's words for how.

    Raises:
        DslpError: that branch does not exist here.
    """
    words = {"A": "added", "D": "removed"}
    for base in (f"origin/{project.branch}", project.branch):
        options = ("--name-status", "--no-renames", "-z", f"{base}...HEAD")
        changes = git_output(project, "diff", *options)
        if changes is not None:
            parts = changes.split("\0")
            pairs = zip(parts[1::2], parts[::2], strict=False)
            return [(path, words.get(change, "modified")) for path, change in pairs]
    raise missing_branch(project)
