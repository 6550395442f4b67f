"""The check of a pull request: the facts from GitHub, the verdict as a commit status."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from dslp.core.branch_names import parse_branch
from dslp.core.errors import DslpError
from dslp.core.git import git_output
from dslp.core.report import Finding, Report
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown
from dslp.github.client import PAGE, Repository, missing_branch
from dslp.github.entities import PullRequest
from dslp.github.forms import linked_numbers
from dslp.github.policy import STATES, Facts, Verdict, decide, exemption
from dslp.github.rules import address

CONTEXT = "dslp/policy"
DESCRIPTION = 140  # characters that GitHub keeps of a status


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


def check_pull_request(repository: Repository, number: int, collaboration: str) -> Check:
    """Check a pull request, and with it every other open one of the same commit.

    Reads the pull request, its issue, each linked issue and the changed files once. A status
    belongs to the commit, so the strictest verdict of those that share it counts.
    """
    pull = repository.pull_request(number)
    others = [one for one in repository.open_pull_requests_at(pull.sha) if one.number != number]
    facts = (gather_facts(repository, each, collaboration) for each in (pull, *others))
    verdicts = [decide(each) for each in facts]
    return Check(pull, max(verdicts, key=lambda verdict: STATES.index(verdict.state)))


def check_branch(project: Project, repository: Repository) -> Check:
    """Check the branch that is checked out: its open pull request, or one that it could become.

    Raises:
        DslpError: no branch is checked out, or it is the collaboration branch itself.
    """
    name = git_output(project, "branch", "--show-current")
    if not name or name in ("main", project.branch):
        raise DslpError(
            f"{name or 'no branch'} is checked out; switch to the branch of an issue "
            "(dslp start NUMBER), or say --pull-request NUMBER"
        )
    owner = repository.name.split("/")[0]
    for pull in repository.pull_requests(head=f"{owner}:{name}"):
        return check_pull_request(repository, pull.number, project.branch)
    branch = parse_branch(name)
    base = "model/…" if branch and branch.kind == "Experiment" else project.branch
    pull = PullRequest(0, name, base, git_output(project, "rev-parse", "HEAD") or "")
    facts = gather_facts(repository, pull, project.branch, _local_changes(project))
    return Check(pull, decide(replace(facts, blocks=True)))


def check_queue(group: Mapping[str, Any]) -> Check:
    """Check a merge queue's own commit, whose pull requests were checked before."""
    head, base = (str(group[name]).removeprefix("refs/heads/") for name in ("head_ref", "base_ref"))
    pull = PullRequest(0, head, base, str(group["head_sha"]))
    return Check(pull, decide(Facts(pull, base)))


def gather_facts(
    repository: Repository,
    pull: PullRequest,
    collaboration: str,
    files: Sequence[tuple[str, str]] | None = None,
) -> Facts:
    """Read what the verdict needs; `files` are the changed ones, by default the pull request's."""
    if files is None:
        files = list(_changes(repository.pages(f"/pulls/{pull.number}/files")))
    branch = parse_branch(pull.head)
    if branch is None or exemption(pull, collaboration):
        return Facts(pull, collaboration, files=files, repository=repository.name)
    issue = repository.find_issues([branch.issue])[branch.issue]
    issues = repository.find_issues(linked_numbers(issue, repository.name))
    blocks = branch.kind != "Explore" or is_required(repository, pull.base)
    merged = list(_merged_experiments(repository, pull.head)) if branch.kind == "Model" else []
    repository.find_issues(merged)
    return Facts(pull, collaboration, issues, files, repository.name, blocks, merged)


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


def publish(repository: Repository, check: Check) -> bool:
    """Write the verdict as the commit's status, with a link to the rules.

    Returns:
        False where the token has no right to write it, such as a fork's.
    """
    status = {
        "state": check.verdict.state,
        "context": CONTEXT,
        "description": check.verdict.why[:DESCRIPTION],
        "target_url": address(),
    }
    path = f"/statuses/{check.pull.sha}"
    return repository.ask("POST", path, status, unless=(403, 404)) is not None


def annotation(finding: Finding) -> str:
    """A finding as GitHub Actions shows it beside a run; no text in it can be a command."""
    text = f"{finding.problem}; {finding.todo} ({address(finding.rule)})"
    for old, new in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(old, new)
    return f"::error title=dslp {finding.rule}::{text}"


def summary(verdict: Verdict) -> str:
    """The verdict as Markdown for the summary of a run."""
    lines = [f"### {CONTEXT}: {verdict.state}", "", escape_markdown(verdict.why, SENTENCE), ""]
    if verdict.findings:
        lines += ["| rule | what is wrong | what to do |", "| --- | --- | --- |"]
    for finding in verdict.findings:
        cells = [escape_markdown(text, SENTENCE) for text in (finding.problem, finding.todo)]
        lines.append(f"| [{finding.rule}]({address(finding.rule)}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _changes(files: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Files and how each was changed; one that was moved is removed there and added here."""
    for file in files:
        name, status = str(file["filename"]), str(file["status"])
        if status == "renamed" and file.get("previous_filename"):
            yield str(file["previous_filename"]), "removed"
        yield name, "added" if status in ("renamed", "copied") else status


def _merged_experiments(repository: Repository, branch: str) -> Iterator[int]:
    """Issues of the experiments that were merged into a model branch."""
    for pull in repository.pull_requests(state="closed", base=branch):
        head = parse_branch(pull.head)
        if pull.merged and head is not None and head.kind == "Experiment":
            yield head.issue


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
