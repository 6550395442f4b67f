"""Cut GitHub's own description down to what the stand-in uses.

    npm install --ignore-scripts @octokit/openapi@23.0.2 @octokit/openapi-webhooks@12.1.0
    python -m tests.github.trim node_modules

writes `api.github.com.json` and `webhooks.json` beside this file. Words meant for people are left
out; every constraint stays.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.github.standin.server import ROUTES

HERE = Path(__file__).parent
# What GitHub answers although the path's own description does not mention it.
ERRORS = ["basic-error", "validation-error", "validation-error-simple"]
WEBHOOKS = [
    *[f"issues-{a}" for a in ("opened", "edited", "labeled", "unlabeled", "closed", "reopened")],
    *[f"pull-request-{a}" for a in ("opened", "edited", "closed", "reopened", "synchronize")],
    *("push", "merge-group-checks-requested"),
]
# The `discriminator` of contents names a property of a list, which no validator can read.
FOR_PEOPLE = {"discriminator", "summary", "description", "example", "examples", "externalDocs"}
FOR_PEOPLE |= {"tags", "title"}
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


def components(whole: dict[str, Any], node: Any, *names: str) -> dict[str, Any]:
    """The components that `node` points to, and those of these `names`, with all that they use."""
    kept: dict[str, dict[str, Any]] = {}
    todo = [*names, *references(node)]
    while todo:
        kind, name = todo.pop().split("/", 1)
        if name not in kept.setdefault(kind, {}):
            kept[kind][name] = strip(whole["components"][kind][name])
            todo += references(kept[kind][name])
    return {kind: dict(sorted(entries.items())) for kind, entries in sorted(kept.items())}


def references(node: Any) -> list[str]:
    """The components that `node` points to, as pointers."""
    return re.findall(r'"#/components/([^"]+)"', json.dumps(node))


def trim_api(whole: dict[str, Any]) -> dict[str, Any]:
    """The description of the operations that the stand-in has."""
    paths: dict[str, Any] = {}
    for route in sorted(ROUTES, key=lambda one: (one.template, one.method)):
        method = route.method.lower()
        operation = strip(whole["paths"][route.template][method])
        paths.setdefault(route.template, {})[method] = operation
    return {
        "openapi": whole["openapi"],
        "info": {"title": "GitHub REST API, trimmed", "version": whole["info"]["version"]},
        "servers": whole["servers"],
        "paths": paths,
        "components": components(whole, paths, *(f"schemas/{name}" for name in ERRORS)),
    }


def trim_webhooks(whole: dict[str, Any]) -> dict[str, Any]:
    """The schemas of the payloads in use, by event and action."""
    posts = {name: whole["webhooks"][name]["post"] for name in WEBHOOKS}
    roots = {
        name: strip(post["requestBody"]["content"]["application/json"]["schema"])
        for name, post in posts.items()
    }
    return {"roots": roots, "components": components(whole, roots)}


if __name__ == "__main__":
    octokit = Path(sys.argv[1]) / "@octokit"
    for package, trim, target in (
        ("openapi", trim_api, "api.github.com.json"),
        ("openapi-webhooks", trim_webhooks, "webhooks.json"),
    ):
        source = octokit / package / "generated" / "api.github.com.json"
        trimmed = trim(json.loads(source.read_bytes()))
        text = json.dumps(trimmed, separators=(",", ":"), ensure_ascii=False)
        (HERE / target).write_text(text + "\n", encoding="utf-8", newline="\n")
