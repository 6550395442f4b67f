"""What GitHub tells a workflow about a scenario, with the facts as GitHub's views have them."""

from typing import Any

from tests.github.standin import views
from tests.github.standin.model import Issue, Label, Repository

Payload = dict[str, Any]


def payload(repository: Repository, sender: str, **facts: Any) -> Payload:
    return {"repository": views.repository(repository), "sender": views.user(sender), **facts}


def pull_request(repository: Repository, issue: Issue, action: str = "opened") -> Payload:
    facts = {"number": issue.number, "pull_request": views.pull(repository, issue)}
    return payload(repository, issue.user, action=action, **facts)


def issues(
    repository: Repository, issue: Issue, action: str = "opened", label: Label | None = None
) -> Payload:
    facts = {"issue": views.issue(repository, issue), "label": label and vars(label)}
    return payload(repository, issue.user, action=action, **facts)


def push(repository: Repository, branch: str, before: str = "0" * 40) -> Payload:
    sha = repository.branches[branch]
    facts = {"ref": f"refs/heads/{branch}", "before": before, "after": sha}
    created, author = not before.strip("0"), repository.commits[sha].author
    return payload(repository, author, created=created, **facts)


def merge_group(repository: Repository, base: str, head: str) -> Payload:
    refs = {
        "head_ref": f"refs/heads/gh-readonly-queue/{base}/pr-1",
        "base_ref": f"refs/heads/{base}",
    }
    group = {**refs, "head_sha": head, "base_sha": repository.branches[base]}
    return payload(repository, repository.owner, action="checks_requested", merge_group=group)


def workflow_dispatch(repository: Repository, branch: str, **inputs: Any) -> Payload:
    return payload(repository, repository.owner, inputs=inputs, ref=f"refs/heads/{branch}")
