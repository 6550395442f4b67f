"""What an event means in a repository: the workflows that it starts, and the `github` context."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.github.standin import history
from tests.github.standin.model import Repository
from tests.github.standin.repositories import glob
from tests.github.standin.routing import BOT

Payload = dict[str, Any]
PULLS = ("pull_request", "pull_request_target")
DEFAULT_TYPES = ["opened", "synchronize", "reopened"]  # of a pull request
MOST_FILES = 300  # a filter of paths looks at no more


def starts(repository: Repository, events: Payload, event: str, payload: Payload) -> bool:
    """Whether a workflow with these `events` runs.

    What a workflow's own token does starts none, but for what is asked by name; nor does a pull
    request with conflicts, from whose merge commit `pull_request` would run.
    """
    by_name = event in ("workflow_dispatch", "repository_dispatch")
    if event not in events or (payload["sender"]["login"] == BOT and not by_name):
        return False
    pull, branch = payload.get("pull_request", {}), ""
    if event == "pull_request" and not pull["mergeable"]:
        return False
    filters = {} if event == "schedule" else events[event] or {}
    types = filters.get("types") or (DEFAULT_TYPES if event in PULLS else [])
    if types and payload.get("action") not in types:
        return False
    if event == "push":
        branch = payload["ref"].removeprefix("refs/heads/")
    elif event in PULLS:
        branch = pull["base"]["ref"]
    files = changed_files(repository, event, payload)[:MOST_FILES] if "paths" in filters else []
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
    if event in PULLS:
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
    elif event in PULLS:
        pull = payload["pull_request"]
        head, base = pull["head"]["ref"], pull["base"]["ref"]
        if event == "pull_request" and pull["merged"]:
            ref, sha = f"refs/heads/{base}", pull["merge_commit_sha"]
        elif event == "pull_request":  # a merge commit that nobody but the runner sees
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
    }


def is_restricted(github: Mapping[str, Any]) -> bool:
    """Whether a run may write nothing and has no secrets: for what a fork or Dependabot proposes.

    What runs from the default branch, as `pull_request_target` does, may.
    """
    by_bot = github["actor"] == "dependabot[bot]" and github["event_name"] in (
        "pull_request",
        "push",
    )
    if github["event_name"] != "pull_request":
        return by_bot
    head = github["event"]["pull_request"]["head"]["repo"]["full_name"]
    return by_bot or bool(head != github["repository"])


def judged_commit(github: Mapping[str, Any]) -> str:
    """The commit that shows a run's jobs as its checks."""
    pull = github["event"].get("pull_request")
    return str(pull["head"]["sha"] if pull else github["sha"])
