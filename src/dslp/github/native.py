"""GitHub's own types, sub-issues and dependencies, which follow an issue's labels and links.

Labels and links are the base. Where a server, a plan or a token has none of this, nothing is said.
"""

import re
from typing import Any

from dslp.github.client import Repository
from dslp.github.entities import TYPES, Issue
from dslp.github.forms import form_links, named_issues

REFUSALS = (403, 404, 410, 422)
BLOCKED = "blocked - need access"
BLOCKER = re.compile(r"\bblocked by:?\s+([^\n,;]{1,200})", re.IGNORECASE)
MOST = 3  # issues that may block one


def mirror_links(repository: Repository, issue: Issue) -> None:
    """Give an issue the type of its label, the parent that its first link names, and its blockers.

    A type or a parent that a person chose otherwise stays. An issue with the label BLOCKED depends
    on the issues that its text says it is blocked by; people take that back.
    """
    own = issue.native
    if "type" in own and (own["type"] or {}).get("name") in {None, *TYPES} - {issue.kind}:
        path = f"/issues/{issue.number}"
        _try(repository, "type", "PATCH", path, {"type": issue.kind})
    links = form_links(issue.kind, issue.body, repository.name)[: "sub_issues_summary" in own]
    for number in [number for link in links for number in link.numbers[:1]]:
        parent = repository.find_issue(number)
        is_right = parent and parent != issue and parent.kind in links[0].allowed
        if is_right and _may_move(repository, issue, number):
            path = f"/issues/{number}/sub_issues"
            body = {"sub_issue_id": issue.id, "replace_parent": bool(own.get("parent_issue_url"))}
            _try(repository, path, "POST", path, body)
    texts = BLOCKER.findall(issue.body)[:MOST] if issue.labelled(BLOCKED) else []
    numbers = [number for text in texts for number in named_issues(text, repository.name)[:1]]
    if len(numbers) > own.get("issue_dependencies_summary", {}).get("total_blocked_by", MOST):
        for blocker in filter(None, map(repository.find_issues(numbers).get, numbers)):
            path = f"/issues/{issue.number}/dependencies/blocked_by"
            _try(repository, path, "POST", path, {"issue_id": blocker.id})


def _may_move(repository: Repository, issue: Issue, parent: int) -> bool:
    """Whether the issue has no parent, or another one, and not by a person's hand."""
    current = (issue.native.get("parent_issue_url") or "").lower()
    if not current or current.endswith(f"/{repository.name}/issues/{parent}".lower()):
        return not current
    events = repository.pages(f"/issues/{issue.number}/events", most=MOST)
    makers = [one["actor"] for one in events if one["event"] == "parent_issue_added"]
    return bool(makers) and (makers[-1] or {}).get("type") == "Bot"


def _try(repository: Repository, key: str, verb: str, path: str, body: Any) -> None:
    """Send what may be refused, and not again in this run once it is."""
    if key not in repository.refused and repository.ask(verb, path, body, REFUSALS) is None:
        repository.refused.add(key)
