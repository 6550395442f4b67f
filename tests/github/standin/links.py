"""Sub-issues, dependencies between issues, and the search that finds them."""

import shlex

from tests.github.standin import views
from tests.github.standin.model import Issue, Repository
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, invalid, route

ISSUE = "{repository}/issues/{issue_number}"


def by_id(call: Call, number: int) -> Issue:
    """An issue by its database id: links take no numbers."""
    for issue in call.repository.issues.values():
        if issue.id == number:
            return issue
    raise Refused(404, NOT_FOUND)


@route("GET", f"{ISSUE}/sub_issues", "issues")
def list_sub_issues(call: Call) -> Answer:
    return [views.issue(call.repository, one) for one in call.page(call.issue().sub_issues)]


@route("POST", f"{ISSUE}/sub_issues", "issues")
def add_sub_issue(call: Call) -> Answer:
    parent, child = call.issue(), by_id(call, call.body["sub_issue_id"])
    above: Issue | None = parent
    while above:
        if above is child:
            raise Refused(422, "Sub-issue cannot be an ancestor of its parent")
        above = above.parent
    if child.parent and not call.body.get("replace_parent"):
        raise invalid("SubIssue", "sub_issue", "custom", "Sub issue may only have one parent")
    if child.parent:
        child.parent.sub_issues.remove(child)
    child.parent = parent
    parent.sub_issues.append(child)
    return 201, views.issue(call.repository, parent)


@route("DELETE", f"{ISSUE}/sub_issue", "issues")
def remove_sub_issue(call: Call) -> Answer:
    parent, child = call.issue(), by_id(call, call.body["sub_issue_id"])
    if child.parent is not parent:
        raise Refused(404, NOT_FOUND)
    child.parent = None
    parent.sub_issues.remove(child)
    return views.issue(call.repository, parent)


@route("GET", f"{ISSUE}/parent", "issues")
def get_parent(call: Call) -> Answer:
    parent = call.issue().parent
    if parent is None:
        raise Refused(404, NOT_FOUND)
    return views.issue(call.repository, parent)


@route("GET", f"{ISSUE}/dependencies/blocked_by", "issues")
def list_blocked_by(call: Call) -> Answer:
    return [views.issue(call.repository, one) for one in call.page(call.issue().blocked_by)]


@route("POST", f"{ISSUE}/dependencies/blocked_by", "issues")
def add_blocked_by(call: Call) -> Answer:
    issue, other = call.issue(), by_id(call, call.body["issue_id"])
    if issue is other or other in issue.blocked_by:
        raise invalid("IssueDependency", "issue_id", "invalid")
    issue.blocked_by.append(other)
    return 201, views.issue(call.repository, issue)


@route("DELETE", f"{ISSUE}/dependencies/blocked_by/{{issue_id}}", "issues")
def remove_blocked_by(call: Call) -> Answer:
    issue, other = call.issue(), by_id(call, int(call.names["issue_id"]))
    if other not in issue.blocked_by:
        raise Refused(404, NOT_FOUND)
    issue.blocked_by.remove(other)
    return views.issue(call.repository, issue)


@route("GET", f"{ISSUE}/dependencies/blocking", "issues")
def list_blocking(call: Call) -> Answer:
    issue = call.issue()
    found = [one for one in call.repository.issues.values() if issue in one.blocked_by]
    return [views.issue(call.repository, one) for one in call.page(found)]


@route("GET", "/search/issues")
def search_issues(call: Call) -> Answer:
    terms = shlex.split(call.get("q").replace("'", r"\'"))
    found = [
        (repository, issue)
        for repository in call.repositories.values()
        if not repository.private or (call.token and call.token.may(repository, ["issues"], "read"))
        for issue in sorted(repository.issues.values(), key=lambda one: -one.number)
        if all(meets(repository, issue, term) for term in terms)
    ]
    items = [views.issue(*pair) | {"score": 1.0} for pair in call.page(found)]
    return {"total_count": len(found), "incomplete_results": False, "items": items}


def meets(repository: Repository, issue: Issue, term: str) -> bool:
    """Whether an issue is what one word of a search asks for."""
    if term.startswith("-"):
        return not meets(repository, issue, term[1:])
    qualifier, colon, value = term.partition(":")
    value = value.lower()
    match qualifier if colon else "":
        case "repo":
            return repository.full_name.lower() == value
        case "is" | "type" | "state":
            kind = "pr" if issue.pull else "issue"
            merged = issue.pull is not None and issue.pull.merged_at is not None
            return value in (kind, issue.state, "merged" if merged else "unmerged")
        case "label":
            names = {label.name.lower() for label in issue.labels}
            return bool(names & set(value.split(",")))
        case "author":
            return issue.user.lower() == value
        case "in" | "sort":
            return True  # titles and bodies are all there is to search in
        case _:
            return term.lower() in f"{issue.title} {issue.body or ''}".lower()
