"""What an event means in a repository: the `github` context, and the files that it changed."""

from typing import Any

from tests.github.standin import history
from tests.github.standin.model import Repository

Payload = dict[str, Any]


def changed_files(repository: Repository, event: str, payload: Payload) -> list[str]:
    """The files that path filters look at."""
    if event.startswith("pull_request"):
        pull = repository.issues.get(payload["number"])
        shown = history.changes(repository, pull) if pull else []
    elif event == "push" and payload["after"] in repository.commits:
        commit = repository.commits[payload["after"]]
        if not commit.parents:
            return sorted(commit.files)
        shown = history.difference(repository, commit.parents[0], commit.sha)
    else:
        shown = []
    return [str(one["filename"]) for one in shown]


def context_of(repository: Repository, event: str, payload: Payload) -> dict[str, Any]:
    """The `github` context of an event."""
    ref, sha = (
        f"refs/heads/{repository.default_branch}",
        repository.branches[repository.default_branch],
    )
    head_ref = base_ref = ""
    if event in ("push", "workflow_dispatch"):
        ref = payload["ref"]
        sha = payload.get("after") or repository.branches[ref.removeprefix("refs/heads/")]
    elif event == "merge_group":
        ref, sha = payload["merge_group"]["head_ref"], payload["merge_group"]["head_sha"]
    elif event.startswith("pull_request"):
        pull = payload["pull_request"]
        head_ref, base_ref = pull["head"]["ref"], pull["base"]["ref"]
        if event == "pull_request":  # a merge commit that nobody but the runner sees
            ref, sha = f"refs/pull/{payload['number']}/merge", pull["head"]["sha"][::-1]
    actor = payload["sender"]["login"]
    return {
        "event_name": event,
        "event": payload,
        "actor": actor,
        "triggering_actor": actor,
        "repository": repository.full_name,
        "repository_owner": repository.owner,
        "ref": ref,
        "ref_name": ref.removeprefix("refs/heads/").removeprefix("refs/pull/"),
        "ref_type": "branch",
        "sha": sha,
        "head_ref": head_ref,
        "base_ref": base_ref,
        "server_url": "https://github.com",
        "run_id": "1",
        "run_number": "1",
        "run_attempt": "1",
    }
