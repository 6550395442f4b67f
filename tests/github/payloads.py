"""What GitHub tells a workflow: real payloads, patched to a scenario, and validated.

The examples and their schemas are GitHub's own (see NOTICE.md). Where no example has the action,
the event's first one stands in for it, with what that action adds.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator

from tests.github.standin import views
from tests.github.standin.addresses import user
from tests.github.standin.description import complete
from tests.github.standin.model import Issue, Label, Repository

HERE = Path(__file__).parent
Payload = dict[str, Any]
CHANGED = {"edited": {"changes": {"body": {"from": "what it said before"}}}}


def pull_request(
    repository: Repository,
    issue: Issue,
    action: str = "opened",
    label: Label | None = None,
    **patch: Any,
) -> Payload:
    """The event of a pull request in the stand-in; `patch` says what the scenario does not."""
    number = {"number": issue.number, "pull_request": views.pull(repository, issue)}
    moved = {"before": "0" * 40, "after": repository.head_sha(issue)}
    extra = moved if action == "synchronize" else CHANGED.get(action, {})
    return about(repository, "pull_request", action, label, issue.user, number | extra | patch)


def issues(
    repository: Repository,
    issue: Issue,
    action: str = "opened",
    label: Label | None = None,
    **patch: Any,
) -> Payload:
    """The event of an issue in the stand-in."""
    shown: Payload = {"issue": views.issue(repository, issue)}
    extra = CHANGED.get(action, {})
    return about(repository, "issues", action, label, issue.user, shown | extra | patch)


def push(repository: Repository, branch: str, **patch: Any) -> Payload:
    """The event of a push to a branch."""
    commit = repository.commits[repository.branches[branch]]
    said = {"ref": f"refs/heads/{branch}", "after": commit.sha, "deleted": False}
    return about(repository, "push", "", None, commit.author, said | patch)


def merge_group(repository: Repository, base: str, head: str, **patch: Any) -> Payload:
    """The event of a merge queue that asks for checks."""
    sides = {
        "head_ref": f"refs/heads/gh-readonly-queue/{base}/pr-1",
        "base_ref": f"refs/heads/{base}",
    }
    shas = {"head_sha": head, "base_sha": repository.branches[base]}
    group = {"merge_group": sides | shas}
    return about(repository, "merge_group", "checks_requested", None, "ada", group | patch)


def workflow_dispatch(repository: Repository, branch: str, **inputs: Any) -> Payload:
    """The event of a workflow started by hand; there is no example of it, so it is only ours."""
    return {
        "inputs": inputs,
        "ref": f"refs/heads/{branch}",
        "repository": about(repository, "push", "", None, "ada", {})["repository"],
        "sender": user(repository.owner),
    }


def about(
    repository: Repository, event: str, action: str, label: Label | None, sender: str, said: Payload
) -> Payload:
    """An example that says what the scenario says."""
    said = {"repository": views.repository(repository), "sender": user(sender), **said}
    if action:
        said["action"] = action
    if label:
        said["label"] = views.label(repository, label)
    return valid(event, action, merged(example(event, action), said))


def example(event: str, action: str) -> Payload:
    """A real payload of the event, of this action if there is one."""
    examples = read("examples.json")
    nearest = next(name for name in examples if name.split(".")[0] == event)
    near = {"unlabeled": "labeled"}.get(action, action)
    found: Payload = json.loads(
        json.dumps(examples.get(f"{event}.{near}".rstrip("."), examples[nearest]))
    )
    return found


def valid(event: str, action: str, payload: Payload) -> Payload:
    """The payload with what newer schemas require of it; an error if it is not GitHub's."""
    schemas = read("webhooks.json")
    name = "-".join(filter(None, [event, action])).replace("_", "-")
    root = schemas["roots"].get(name)
    if root is None:
        raise ValueError(f"no schema of {event} {action}: add it to WEBHOOKS in trim.py")
    whole: Payload = complete(schemas, root, payload)
    faults = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator(name).iter_errors(whole)
    ]
    if faults:
        raise ValueError(f"not a payload of {event} {action}: {'; '.join(faults)}")
    return whole


def merged(old: Any, new: Any) -> Any:
    """`old` with everything that `new` says; lists are taken whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


@cache
def validator(name: str) -> Any:
    """The judge of one kind of payload."""
    schemas = read("webhooks.json")
    return OAS31Validator({**schemas["roots"][name], "components": schemas["components"]})


@cache
def read(name: str) -> Any:
    """One of the files in this folder."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))
