"""Cut GitHub's own descriptions down to what the stand-in uses.

    npm install --ignore-scripts @octokit/openapi@23.0.2
    python -m tests.github.trim node_modules/@octokit/openapi/generated

writes `api.github.com.json` beside this file, and the requests of GitHub Enterprise Server. Words
meant for people are left out; every constraint stays. The descriptions are of the oldest version of
the API, with what each newer one changes: that of VERSION is carried out, which a server lacks.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.github.standin.description import ENTERPRISE, FILE, HOST
from tests.github.standin.routing import ROUTES
from tests.github.standin.server import HANDLERS, VERSION

# The `discriminator` of contents names a property of a list, which no validator can read.
FOR_PEOPLE = {"discriminator", "summary", "description", "example", "examples", "externalDocs"}
FOR_PEOPLE |= {"tags", "title"}
MAPS = {"properties", "patternProperties", "schemas", "responses", "parameters", "headers"}


def patched(node: Any, patch: Any) -> Any:
    """`node` after a JSON Merge Patch."""
    if not isinstance(patch, dict):
        return patch
    old = node if isinstance(node, dict) else {}
    new = {key: patched(old.get(key), value) for key, value in patch.items()}
    return {key: value for key, value in {**old, **new}.items() if patch.get(key, 0) is not None}


def as_merge(change: dict[str, Any]) -> Any:
    """A change of a JSON Patch, which removes or replaces, as a JSON Merge Patch."""
    inner = change.get("value")
    for name in reversed(change["path"].split("/")[1:]):
        inner = {name.replace("~1", "/"): inner}
    return inner


def strip(node: Any, names: bool = False) -> Any:
    """`node` without words for people; the keys of a map of `names` are never such words."""
    if isinstance(node, list):
        return [strip(item) for item in node]
    if not isinstance(node, dict):
        return node
    for change in () if names else node.get("x-github-breaking-changes", ()):
        patch = change["patch"]
        for one in map(as_merge, patch) if isinstance(patch, list) else [patch]:
            node = patched(node, one) if change["version"] <= VERSION else node
    if node.get("nullable") and None not in node.get("enum", [None]):
        node = {**node, "enum": [*node["enum"], None]}  # as GitHub means it, and answers
    return {
        key: strip(value, names=key in MAPS and not names)
        for key, value in node.items()
        if names or not (key in FOR_PEOPLE or key.startswith("x-"))
    }


def trim(whole: dict[str, Any], responses: bool) -> dict[str, Any]:
    """The operations that the stand-in has, with all components that they use."""
    paths: dict[str, Any] = {}
    assert HANDLERS  # importing them fills ROUTES
    for route in ROUTES:
        method = route.method.lower()
        if method not in whole["paths"].get(route.template, {}):
            continue  # a server does not have it
        operation = strip(whole["paths"][route.template][method])
        if not responses:
            operation["responses"] = {}
        paths.setdefault(route.template, {})[method] = operation
    components: dict[str, dict[str, Any]] = {}
    todo = [json.dumps(paths)]
    while todo:
        for kind, name in re.findall(r'"#/components/(\w+)/([^"]+)"', todo.pop()):
            if name not in components.setdefault(kind, {}):
                components[kind][name] = strip(whole["components"][kind][name])
                todo.append(json.dumps(components[kind][name]))
    info = {"title": "GitHub REST API, trimmed", "version": whole["info"]["version"]}
    parts = {"paths": paths, "components": components}
    return {"openapi": whole["openapi"], "info": info, "servers": [{"url": HOST}], **parts}


if __name__ == "__main__":
    for file in (FILE, ENTERPRISE):
        trimmed = trim(json.loads((Path(sys.argv[1]) / file.name).read_bytes()), file == FILE)
        text = json.dumps(trimmed, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        file.write_text(text + "\n", encoding="utf-8")
