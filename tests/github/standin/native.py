"""Sub-issues, dependencies and events of issues."""

from tests.github.standin import views
from tests.github.standin.issues import ISSUE
from tests.github.standin.model import Issue
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, route

WHY = "An error occurred while adding the sub-issue to the parent issue. {}"
ONE = "Sub issue may only have one parent"
WIDTH, DEPTH = 100, 8


def identified(call: Call, name: str) -> Issue:
    issues = call.repository.issues.values()
    issue = next((one for one in issues if one.id == call.body[name] and not one.pull), None)
    if issue is None:
        raise Refused(404, NOT_FOUND)
    return issue


def line(issue: Issue | None) -> list[Issue]:
    """An issue and all above it."""
    return [issue, *line(issue.parent)] if issue else []


@route("POST", f"{ISSUE}/sub_issues", "issues")
def add_sub_issue(call: Call) -> Answer:
    parent, child = call.issue(), identified(call, "sub_issue_id")
    siblings = [one for one in call.repository.issues.values() if one.parent is parent]
    reason = ""
    if child.parent is parent:
        reason = f"Issue may not contain duplicate sub-issues and {ONE}"
    elif child.parent and not call.body.get("replace_parent"):
        reason = ONE
    elif child in line(parent) or len(line(parent)) >= DEPTH or len(siblings) >= WIDTH:
        reason = "Parent issue is a sub-issue of the child, or has too many sub-issues"
    if reason:
        raise Refused(422, WHY.format(reason))
    child.parent = parent
    child.events.append(("parent_issue_added", call.token.login))
    return 201, views.issue(call.repository, parent)


@route("POST", f"{ISSUE}/dependencies/blocked_by", "issues")
def add_blocker(call: Call) -> Answer:
    issue, blocker = call.issue(), identified(call, "issue_id")
    if blocker in issue.blockers:
        raise Refused(422, "Validation failed: Target issue has already been taken")
    issue.blockers.append(blocker)
    return 201, views.issue(call.repository, issue)


@route("GET", f"{ISSUE}/events", "issues")
def list_events(call: Call) -> Answer:
    events = call.page(call.issue().events)
    return [{"event": event, "actor": views.user(login)} for event, login in events]
