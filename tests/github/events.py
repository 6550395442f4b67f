"""What an event means in a repository: the workflows that it starts, and the `github` context."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tests.github.standin import history
from tests.github.standin.model import Repository
from tests.github.standin.repositories import glob

Payload = dict[str, Any]
DEFAULT_TYPES = {"pull_request": ["opened", "synchronize", "reopened"]}


def starts(events: dict[str, Any], event: str, payload: Payload, files: Sequence[str]) -> bool:
    """Whether a workflow with these `events` runs; `files` are those that the event changed."""
    if event not in events:
        return False
    filters = events[event] or {}
    types = filters.get("types") or DEFAULT_TYPES.get(event)
    if types and payload.get("action") not in types:
        return False
    branch = payload["ref"].removeprefix("refs/heads/") if event == "push" else ""
    if event == "pull_request":
        branch = payload["pull_request"]["base"]["ref"]
    return all(
        name not in filters or any(matches(filters[name], value) for value in values)
        for name, values in (("branches", [branch]), ("paths", files))
    )


def matches(patterns: Iterable[str], value: str) -> bool:
    """Whether the last pattern that fits does not begin with `!`."""
    result = False
    for pattern in patterns:
        if re.fullmatch(regular(pattern.removeprefix("!")), value):
            result = not pattern.startswith("!")
    return result


def regular(pattern: str) -> str:
    """A filter pattern as a regular expression: `*` stays within a name, `**` does not."""
    return glob(pattern, {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "?", "+": "+"})


def changed_files(repository: Repository, event: str, payload: Payload) -> list[str]:
    if event == "pull_request":
        return list(history.changes(repository, repository.issues[payload["number"]]))
    if event != "push":
        return []
    commit = repository.commits[payload["after"]]
    return list(history.difference(repository, commit.parents[0], commit.sha))


def github_context(repository: Repository, event: str, payload: Payload) -> dict[str, Any]:
    branch, head, base = repository.default_branch, "", ""
    if event in ("push", "workflow_dispatch"):
        branch = payload["ref"].removeprefix("refs/heads/")
    ref, sha = f"refs/heads/{branch}", repository.branches[branch]
    if event == "merge_group":
        ref, sha = payload["merge_group"]["head_ref"], payload["merge_group"]["head_sha"]
    elif event == "pull_request":  # a merge commit that nobody but the runner sees
        pull = payload["pull_request"]
        head, base = pull["head"]["ref"], pull["base"]["ref"]
        ref, sha = f"refs/pull/{payload['number']}/merge", pull["head"]["sha"][::-1]
    return {
        "event_name": event,
        "event": payload,
        "actor": payload["sender"]["login"],
        "repository": repository.full_name,
        "repository_owner": repository.owner,
        "ref": ref,
        "ref_name": re.sub("^refs/(heads|pull)/", "", ref),
        "sha": sha,
        "head_ref": head,
        "base_ref": base,
        "server_url": "https://github.com",
        "run_id": "1",
    }
