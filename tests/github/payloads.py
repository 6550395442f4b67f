"""What GitHub tells a workflow about a scenario, completed and checked by GitHub's own schemas."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator

from tests.github.standin import views
from tests.github.standin.description import complete
from tests.github.standin.model import Issue, Label, Repository

FILE = Path(__file__).with_name("webhooks.json")
Payload = dict[str, Any]
CHANGED = {"edited": {"changes": {"body": {"from": "the text before"}}}}


def pull_request(repository: Repository, issue: Issue, action: str = "opened") -> Payload:
    """The event of a pull request in the stand-in."""
    facts = {"number": issue.number, "pull_request": views.pull(repository, issue)}
    moved = {"before": "0" * 40, "after": repository.head_sha(issue)}
    facts |= moved if action == "synchronize" else CHANGED.get(action, {})
    return payload(repository, "pull_request", action, issue.user, facts)


def issues(
    repository: Repository, issue: Issue, action: str = "opened", label: Label | None = None
) -> Payload:
    """The event of an issue in the stand-in."""
    facts = {"issue": views.issue(repository, issue), **CHANGED.get(action, {})}
    if label:
        facts["label"] = views.label(label)
    return payload(repository, "issues", action, issue.user, facts)


def push(repository: Repository, branch: str, before: str = "0" * 40) -> Payload:
    """The event of a push to a branch."""
    commit = repository.commits[repository.branches[branch]]
    facts = {"ref": f"refs/heads/{branch}", "before": before, "after": commit.sha}
    return payload(repository, "push", "", commit.author, facts)


def merge_group(repository: Repository, base: str, head: str) -> Payload:
    """The event of a merge queue that asks for checks."""
    group = {
        "head_ref": f"refs/heads/gh-readonly-queue/{base}/pr-1",
        "base_ref": f"refs/heads/{base}",
        "head_sha": head,
        "base_sha": repository.branches[base],
    }
    return payload(
        repository, "merge_group", "checks_requested", repository.owner, {"merge_group": group}
    )


def workflow_dispatch(repository: Repository, branch: str, **inputs: Any) -> Payload:
    """The event of a workflow started by hand; GitHub has no schema of it."""
    facts = {"inputs": inputs, "ref": f"refs/heads/{branch}"}
    sender = views.user(repository.owner)
    return {**facts, "repository": views.repository(repository), "sender": sender}


def payload(
    repository: Repository, event: str, action: str, sender: str, facts: Payload
) -> Payload:
    """The facts with what the event's schema requires; an error if they are not GitHub's."""
    name = "-".join(filter(None, [event, action])).replace("_", "-")
    schemas, validator = schema_of(name)
    facts |= {"repository": views.repository(repository), "sender": views.user(sender)}
    facts |= {"action": action} if action else {}
    whole: Payload = complete(schemas, schemas["roots"][name], facts)
    faults = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator.iter_errors(whole)]
    if faults:
        raise ValueError(f"not a payload of {event} {action}: {'; '.join(faults)}")
    return whole


@cache
def schema_of(name: str) -> tuple[Any, Any]:
    """All schemas of payloads, and the validator of one kind."""
    schemas = json.loads(FILE.read_text(encoding="utf-8"))
    root = {**schemas["roots"][name], "components": schemas["components"]}
    return schemas, OAS31Validator(root)
