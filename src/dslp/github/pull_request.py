"""The check of a pull request: the facts from GitHub, the verdict as a commit status."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dslp.core.branch_names import parse_branch
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.git import git_output
from dslp.core.report import Finding
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown
from dslp.github.client import PAGE, Repository
from dslp.github.entities import PullRequest, read_pull_request
from dslp.github.forms import linked_numbers, read_forms
from dslp.github.policy import STATES, Facts, Verdict, decide, issue_of
from dslp.github.remote import collaboration_ref
from dslp.github.rules import address

CONTEXT = "dslp/policy"
DESCRIPTION = 140  # characters that GitHub keeps of a status
LISTED = 3  # pages of changed files; GitHub lists 3,000 files at most
EXPERIMENTS = 7  # of a model, so that no check takes more than 20 requests
Changes = Sequence[tuple[str, str]]


def check_pull_request(project: Project, repository: Repository, number: int) -> Verdict:
    """Check a pull request, and with it every other open one of the same commit.

    Reads the open pull requests, its issue, each linked issue and the changed files once. A status
    belongs to the commit, so the strictest verdict of those that share it counts.
    """
    pull = repository.pull_request(number)
    pulls = [pull, *repository.open_pull_requests_at(pull)]
    verdicts = [decide(gather_facts(project, repository, one)) for one in pulls]
    return replace(max(verdicts, key=lambda one: STATES.index(one.state)), pull=pull)


def publish_check(project: Project, repository: Repository, number: int) -> None:
    """Check a pull request, write the verdict as its status, and say it."""
    verdict = check_pull_request(project, repository, number)
    publish(repository, verdict)
    say(f"#{number}: {verdict.state}: {verdict.why}")


def check_branch(project: Project, repository: Repository) -> Verdict:
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
    for pull in repository.open_pull_requests:
        if pull.head == name and not pull.fork:
            return check_pull_request(project, repository, pull.number)
    branch = parse_branch(name)
    base = "model/…" if branch and branch.kind == "Experiment" else project.branch
    pull = PullRequest(0, name, base, git_output(project, "rev-parse", "HEAD") or "")
    facts = gather_facts(project, repository, pull, _local_changes(project))
    return decide(facts)


def check_queue(group: Mapping[str, Any]) -> Verdict:
    """The verdict on a merge queue's own commit, whose pull requests were checked before."""
    head, base = (str(group[name]).removeprefix("refs/heads/") for name in ("head_ref", "base_ref"))
    pull = PullRequest(0, head, base, str(group["head_sha"]))
    return Verdict(pull, "success", "the pull requests in the merge queue were checked before")


def gather_facts(
    project: Project,
    repository: Repository,
    pull: PullRequest,
    files: Sequence[tuple[str, str]] | None = None,
) -> Facts:
    """Read what the verdict needs; `files` are the changed ones, by default the pull request's."""
    name, number = repository.name, issue_of(pull, repository.name)
    issue = repository.find_issue(number)
    issues, forms = repository.find_issues(linked_numbers(issue, name)), read_forms(project.github)
    facts = Facts(pull, project, name, repository.default_branch, issues, forms)
    kind = facts.branch.kind if facts.branch else ""
    if kind == "Explore":
        return facts  # whatever its files are, it is not merged
    if kind == "Model":
        experiments = model_experiments(repository, pull, number or 0)
        repository.find_issues(experiments)
        facts = replace(facts, experiments=experiments)
    if files is None:
        files, are_all = changed_files(repository, pull)
        facts = replace(facts, are_all_files=are_all)
    return replace(facts, files=files)


def publish(repository: Repository, verdict: Verdict) -> None:
    """Write the verdict as the commit's status, with a link to the rules.

    Raises:
        Unavailable: the token has no right to write it.
    """
    status = {"state": verdict.state, "context": CONTEXT, "target_url": address()}
    status["description"] = verdict.why[:DESCRIPTION]
    repository.ask("POST", f"/statuses/{verdict.pull.sha}", status)


def summary(verdict: Verdict) -> str:
    """The verdict as Markdown for the summary of a run."""
    lines = [f"### {CONTEXT}: {verdict.state}", "", escape_markdown(verdict.why, SENTENCE), ""]
    lines += [as_item(one, escape_markdown(one.problem, SENTENCE)) for one in verdict.findings]
    return "\n".join(lines) + "\n"


def as_item(finding: Finding, problem: str) -> str:
    """A finding as an item of a list in Markdown."""
    rule = f"[{finding.rule}]({address(finding.rule)})"
    return f"- {problem}. {finding.todo} Rule {rule} says why."


def changed_files(repository: Repository, pull: PullRequest) -> tuple[Changes, bool]:
    """Files of a pull request and how each was changed, and whether these are all.

    One that was moved is removed there and added here. Where there are more than 300, the trees
    say it in three requests.
    """
    files: list[tuple[str, str]] = []
    listed = list(repository.pages(f"/pulls/{pull.number}/files", most=LISTED))
    for file in listed:
        name, status = str(file["filename"]), str(file["status"])
        if status == "renamed" and file.get("previous_filename"):
            files.append((str(file["previous_filename"]), "removed"))
        files.append((name, "added" if status in ("renamed", "copied") else status))
    if len(listed) < LISTED * PAGE:
        return files, True
    path = f"/compare/{quote(pull.base, safe='')}...{pull.sha}?per_page=1"
    comparison = repository.ask("GET", path, unless=(404,))
    if comparison is None:
        return files, False
    ends = (comparison["merge_base_commit"]["sha"], pull.sha)
    trees = [repository.ask("GET", f"/git/trees/{sha}?recursive=1") for sha in ends]
    old, new = ({one["path"]: one["sha"] for one in tree["tree"]} for tree in trees)
    changed = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
    words = {(True, False): "removed", (False, True): "added", (True, True): "modified"}
    files = [(path, words[path in old, path in new]) for path in changed]
    return files, not any(tree["truncated"] for tree in trees)


def model_experiments(repository: Repository, pull: PullRequest, issue: int) -> list[int]:
    """The experiments that a model's issue names, and those merged into its branch."""
    named = linked_numbers(repository.find_issue(issue), repository.name, "Experiment")
    answers = repository.pages("/pulls", most=1, state="closed", base=pull.head)
    heads = [parse_branch(one.head) for one in map(read_pull_request, answers) if one.merged]
    merged = [head.issue for head in heads if head and head.kind == "Experiment"]
    return list(dict.fromkeys([*named, *merged]))[:EXPERIMENTS]


def _local_changes(project: Project) -> list[tuple[str, str]]:
    """Files that differ from the collaboration branch, in GitHub's words for how.

    Raises:
        DslpError: that branch does not exist here.
    """
    words = {"A": "added", "D": "removed"}
    options = ("--name-status", "--no-renames", "-z", f"{collaboration_ref(project)}...HEAD")
    parts = (git_output(project, "diff", *options) or "").split("\0")
    pairs = zip(parts[1::2], parts[::2], strict=False)
    return [(path, words.get(change, "modified")) for path, change in pairs]
