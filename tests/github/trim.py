"""Cut GitHub's own description and payloads down to what the stand-in uses.

    npm install --ignore-scripts @octokit/openapi@23.0.2 @octokit/openapi-webhooks@12.1.0 \\
        @octokit/webhooks-examples@7.6.1
    python tests/github/trim.py node_modules

writes `api.github.com.json`, `webhooks.json` and `examples.json` beside this file. Words meant for
people are left out; every constraint stays.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = "/repos/{owner}/{repo}"
ISSUE = f"{REPOSITORY}/issues/{{issue_number}}"
PULL = f"{REPOSITORY}/pulls/{{pull_number}}"

PATHS = {
    "/meta": ["get"],
    "/rate_limit": ["get"],
    "/search/issues": ["get"],
    "/user": ["get"],
    REPOSITORY: ["get", "patch"],
    f"{REPOSITORY}/branches": ["get"],
    f"{REPOSITORY}/branches/{{branch}}": ["get"],
    f"{REPOSITORY}/collaborators/{{username}}/permission": ["get"],
    f"{REPOSITORY}/commits/{{commit_sha}}/pulls": ["get"],
    f"{REPOSITORY}/commits/{{ref}}": ["get"],
    f"{REPOSITORY}/commits/{{ref}}/status": ["get"],
    f"{REPOSITORY}/commits/{{ref}}/statuses": ["get"],
    f"{REPOSITORY}/compare/{{basehead}}": ["get"],
    f"{REPOSITORY}/contents/{{path}}": ["get", "put", "delete"],
    f"{REPOSITORY}/git/matching-refs/{{ref}}": ["get"],
    f"{REPOSITORY}/git/ref/{{ref}}": ["get"],
    f"{REPOSITORY}/git/refs": ["post"],
    f"{REPOSITORY}/git/refs/{{ref}}": ["patch", "delete"],
    f"{REPOSITORY}/issues": ["get", "post"],
    f"{REPOSITORY}/issues/comments/{{comment_id}}": ["get", "patch", "delete"],
    ISSUE: ["get", "patch"],
    f"{ISSUE}/comments": ["get", "post"],
    f"{ISSUE}/dependencies/blocked_by": ["get", "post"],
    f"{ISSUE}/dependencies/blocked_by/{{issue_id}}": ["delete"],
    f"{ISSUE}/dependencies/blocking": ["get"],
    f"{ISSUE}/labels": ["get", "post", "put", "delete"],
    f"{ISSUE}/labels/{{name}}": ["delete"],
    f"{ISSUE}/parent": ["get"],
    f"{ISSUE}/sub_issue": ["delete"],
    f"{ISSUE}/sub_issues": ["get", "post"],
    f"{REPOSITORY}/labels": ["get", "post"],
    f"{REPOSITORY}/labels/{{name}}": ["get", "patch", "delete"],
    f"{REPOSITORY}/pulls": ["get", "post"],
    PULL: ["get", "patch"],
    f"{PULL}/commits": ["get"],
    f"{PULL}/files": ["get"],
    f"{PULL}/merge": ["get", "put"],
    f"{REPOSITORY}/rules/branches/{{branch}}": ["get"],
    f"{REPOSITORY}/rulesets": ["get", "post"],
    f"{REPOSITORY}/rulesets/{{ruleset_id}}": ["get", "put", "delete"],
    f"{REPOSITORY}/statuses/{{sha}}": ["post"],
}
# What GitHub answers although the path's own description does not mention it.
ERRORS = ["basic-error", "validation-error", "validation-error-simple"]
WEBHOOKS = {
    "issues": ["opened", "edited", "labeled", "unlabeled", "closed", "reopened"],
    "pull_request": [
        *["opened", "edited", "labeled", "unlabeled", "closed", "reopened", "synchronize"],
        *["ready-for-review", "converted-to-draft"],
    ],
    "push": [""],
    "merge_group": ["checks-requested"],
}
EXAMPLES = [
    *["issues.opened", "issues.edited", "issues.labeled"],
    *["pull_request.opened", "pull_request.closed", "pull_request.labeled"],
    *["pull_request.synchronize", "push", "merge_group.checks_requested"],
]
# The `discriminator` of contents names a property of a list, which no validator can read.
FOR_PEOPLE = {
    "discriminator",
    "summary",
    "description",
    "example",
    "examples",
    "externalDocs",
    "tags",
    "title",
}
MAPS = {"properties", "patternProperties", "schemas", "responses", "parameters", "headers"}


def strip(node: Any, names: bool = False) -> Any:
    """`node` without words for people; the keys of a map of `names` are never such words."""
    if isinstance(node, list):
        return [strip(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("nullable") and None not in node.get("enum", [None]):
        node = {**node, "enum": [*node["enum"], None]}  # as GitHub means it, and answers
    return {
        key: strip(value, names=key in MAPS and not names)
        for key, value in node.items()
        if names or not (key in FOR_PEOPLE or key.startswith("x-"))
    }


def references(node: Any) -> set[str]:
    """The components that `node` points to, as pointers."""
    return set(re.findall(r'"#/components/([^"]+)"', json.dumps(node)))


def components(whole: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    """The components at the `wanted` pointers, with all that they point to in turn."""
    kept: dict[str, dict[str, Any]] = {}
    todo = sorted(wanted)
    while todo:
        kind, name = todo.pop().split("/", 1)
        if name not in kept.setdefault(kind, {}):
            kept[kind][name] = strip(whole["components"][kind][name])
            todo += sorted(references(kept[kind][name]))
    return {kind: dict(sorted(entries.items())) for kind, entries in sorted(kept.items())}


def trim_api(whole: dict[str, Any]) -> dict[str, Any]:
    """The description of the paths in use."""
    paths = {
        path: {key: strip(entry) for key, entry in whole["paths"][path].items() if key in methods}
        for path, methods in PATHS.items()
    }
    for method in ("post", "put"):  # "You can also pass an array of labels", says its prose only
        content = paths[f"{ISSUE}/labels"][method]["requestBody"]["content"]
        names = {"type": "array", "items": {"type": "string"}}
        content["application/json"]["schema"]["oneOf"].append(names)
    wanted = references(paths) | {f"schemas/{name}" for name in ERRORS}
    parts = components(whole, wanted)
    found = parts["schemas"]["issue-search-result-item"]["properties"]
    found["body"]["nullable"] = True  # an issue without a body is found, too
    return {
        "openapi": whole["openapi"],
        "info": {"title": "GitHub REST API, trimmed", "version": whole["info"]["version"]},
        "servers": whole["servers"],
        "paths": paths,
        "components": parts,
    }


def trim_webhooks(whole: dict[str, Any]) -> dict[str, Any]:
    """The schemas of the payloads in use, by event and action."""
    roots = {}
    for event, actions in WEBHOOKS.items():
        for action in actions:
            name = "-".join(filter(None, [event.replace("_", "-"), action]))
            body = whole["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
            roots[name] = strip(body["schema"])
    return {"roots": roots, "components": components(whole, references(roots))}


def trim_examples(whole: list[dict[str, Any]]) -> dict[str, Any]:
    """One payload for each event and action: the last one, which is a plain one."""
    named = {
        f"{event['name']}.{payload.get('action', '')}".rstrip("."): payload
        for event in whole
        for payload in event["examples"]
    }
    return {name: named[name] for name in EXAMPLES}


def main(modules: Path) -> None:
    """Write the three files from the npm packages in `modules`."""
    octokit = modules / "@octokit"
    made = {
        "api.github.com.json": trim_api(
            json.loads((octokit / "openapi/generated/api.github.com.json").read_bytes())
        ),
        "webhooks.json": trim_webhooks(
            json.loads((octokit / "openapi-webhooks/generated/api.github.com.json").read_bytes())
        ),
        "examples.json": trim_examples(
            json.loads((octokit / "webhooks-examples/api.github.com/index.json").read_bytes())
        ),
    }
    for name, content in made.items():
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        (HERE / name).write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
