"""GitHub's own types, sub-issues and dependencies, which follow an issue's labels and links.

Labels and links are the base. Where a server, a plan or a token has none of this, nothing is said.
"""

import re
from collections.abc import Mapping
from typing import Any

from dslp.github.client import Repository
from dslp.github.entities import TYPES
from dslp.github.forms import UNREAD, form_links, named_issues

REFUSALS = (403, 404, 410, 422)
BLOCKED = "blocked - need access"
BLOCKER = re.compile(
    r"(?<!not )(?<!no longer )\bblocked by:?((?:(?:\s|,|&|and\b)+[\w./:-]*(?:#|GH-|/issues/)\d+)+)",
    re.IGNORECASE,
)
MOST = 3  # issues that may block one


def mirror_links(repository: Repository, number: int, event: Mapping[str, Any]) -> None:
    """Give an issue the type of its label, the parent that its first link names, and its blockers.

    Each is done once, when the event brings the label or the link, so what a person then does by
    hand stays. An issue with the label BLOCKED depends on the issues that its text says it is
    blocked by; people take that back.
    """
    issue, name = repository.find_issue(number), repository.name
    if issue is None or issue.is_pull_request or issue.state != "open":
        return
    own, path = issue.native, f"/issues/{number}"
    label = (event.get("label") or {}).get("name")
    changed = (event.get("changes") or {}).get("body")
    is_new = event.get("action") == "opened" or label in TYPES
    before = "" if is_new else changed["from"] or "" if changed else issue.body
    is_ours = "type" in own and (own["type"] or {}).get("name") in {None, *TYPES} - {issue.kind}
    if is_new and is_ours:
        _try(repository, "type", "PATCH", path, {"type": issue.kind})
    texts = (issue.body, before) if "sub_issues_summary" in own else ()
    links = [form_links(issue.kind, text, name)[:1] for text in texts]
    new, old = ([n for link in ones for n in link.numbers[:1]] for ones in links or ([], []))
    place, _, current = (own.get("parent_issue_url") or "").rpartition("/issues/")
    is_here = place.lower().endswith(f"/{name}".lower())
    if new != old == [int(current) if is_here else 0] * bool(place):
        for parent in filter(None, map(repository.find_issues(new).get, new)):
            if parent != issue and parent.kind in links[0][0].allowed:
                body = {"sub_issue_id": issue.id, "replace_parent": bool(place)}
                place = f"/issues/{parent.number}/sub_issues"
                _try(repository, place, "POST", place, body)
    if issue.labelled(BLOCKED) and "issue_dependencies_summary" in own:
        old = _blockers("" if label == BLOCKED else before, name)
        numbers = [one for one in _blockers(issue.body, name) if one not in old]
        for blocker in filter(None, map(repository.find_issues(numbers).get, numbers)):
            place = f"{path}/dependencies/blocked_by"
            key = f"{number} by {blocker.number}"
            _try(repository, key, "POST", place, {"issue_id": blocker.id})


def _blockers(text: str, repository: str) -> list[int]:
    """The issues that a text, without comments and code, says it is blocked by."""
    texts = BLOCKER.findall(UNREAD.sub(" ", text))
    return named_issues(" ".join(texts), repository)[:MOST]


def _try(repository: Repository, key: str, verb: str, path: str, body: Any) -> None:
    """Send what may be refused, and not again in this run once it is."""
    if key not in repository.refused and repository.ask(verb, path, body, REFUSALS) is None:
        repository.refused.add(key)
