"""Whether an event starts a workflow: its types, branches and paths."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

DEFAULT_TYPES = {"pull_request": ["opened", "synchronize", "reopened"]}
DEFAULT_TYPES["pull_request_target"] = DEFAULT_TYPES["pull_request"]


def starts(
    events: dict[str, Any], event: str, payload: dict[str, Any], files: Iterable[str] = ()
) -> bool:
    """Whether a workflow with these `events` runs; `files` are those that the event changed."""
    if event not in events:
        return False
    wanted = events[event] or {}
    types = wanted.get("types") or DEFAULT_TYPES.get(event)
    if types and payload.get("action") not in types:
        return False
    branch, tag = target(event, payload)
    name = branch if tag is None else tag
    own, other = ("branches", "tags") if tag is None else ("tags", "branches")
    if name is not None:
        # A push to a branch does not start what asks for tags only, and the other way round.
        asks = {key.removesuffix("-ignore") for key in wanted} & {"branches", "tags"}
        if event == "push" and asks == {other}:
            return False
        if not passes(wanted, own, [name]):
            return False
    has_paths = "paths" in wanted or "paths-ignore" in wanted
    return not has_paths or tag is not None or passes(wanted, "paths", list(files))


def target(event: str, payload: dict[str, Any]) -> tuple[str | None, str | None]:
    """The branch or the tag that branch filters look at."""
    if event.startswith("pull_request"):
        return str(payload["pull_request"]["base"]["ref"]), None
    if event == "merge_group":
        return str(payload["merge_group"]["base_ref"]).removeprefix("refs/heads/"), None
    ref = str(payload.get("ref", "")) if event == "push" else ""
    if ref.startswith("refs/tags/"):
        return None, ref.removeprefix("refs/tags/")
    return (ref.removeprefix("refs/heads/"), None) if ref else (None, None)


def passes(wanted: dict[str, Any], name: str, values: Sequence[str]) -> bool:
    """Whether one of `values` is asked for, or not all of them are to be ignored."""
    if name in wanted:
        return any(matches(wanted[name], value) for value in values)
    ignored = wanted.get(f"{name}-ignore")
    return not ignored or not all(matches(ignored, value) for value in values)


def matches(patterns: Sequence[str], value: str) -> bool:
    """Whether the last pattern that fits does not begin with `!`."""
    found = False
    for pattern in patterns:
        if re.fullmatch(regular(pattern.removeprefix("!")), value):
            found = not pattern.startswith("!")
    return found


def regular(pattern: str) -> str:
    """A filter pattern as a regular expression: `*` stays within a name, `**` does not."""
    parts = re.split(r"(\*\*/?|\*|\[[^\]]+\]|[?+]|\\.)", pattern)
    known = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "?", "+": "+"}
    return "".join(
        known.get(part) or (part if part[:1] in ("[", "\\") else re.escape(part)) for part in parts
    )
