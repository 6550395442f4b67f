"""Labels, issues and comments."""

import re
from typing import Any

from tests.github.standin import views
from tests.github.standin.model import Comment, Issue, Label, Repository
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, invalid, route

ISSUE = "/issues/{issue_number}"
COMMENT = "/issues/comments/{comment_id}"
EITHER = ("issues", "pull_requests")
LONGEST = 65_536


@route("GET", "/labels", *EITHER)
def list_labels(call: Call) -> Answer:
    ordered = sorted(call.repository.labels, key=lambda one: one.name.lower())
    return list(map(vars, call.page(ordered)))


@route("POST", "/labels", *EITHER)
def create_label(call: Call) -> Answer:
    check_label(call.repository, None, call.body)
    color, text = call.body.get("color", "ededed"), call.body.get("description")
    label = call.repository.add_label(call.body["name"], color, text)
    return 201, vars(label)


def check_label(repository: Repository, label: Label | None, body: dict[str, Any]) -> None:
    """What the schema does not say of a label."""
    name = body.get("new_name" if label else "name", "")
    if repository.label(name) not in (None, label):
        raise invalid("Label", "name", "already_exists")
    if not re.fullmatch(r"[0-9a-fA-F]{6}", body.get("color", "ededed")):
        raise invalid("Label", "color", "invalid")
    check_length("Label", "description", body.get("description"), 100)


def check_length(resource: str, field: str, text: str | None, most: int) -> None:
    if len(text or "") > most:
        words = f"{field} is too long (maximum is {most} characters)"
        raise invalid(resource, field, "custom", words)


def named_label(call: Call) -> Label:
    label = call.repository.label(call.names["name"])
    if label is None:
        raise Refused(404, NOT_FOUND)
    return label


@route("PATCH", "/labels/{name}", *EITHER)
def update_label(call: Call) -> Answer:
    label, body = named_label(call), call.body or {}
    check_label(call.repository, label, body)
    label.name = body.get("new_name", label.name)
    label.color = body.get("color", label.color)
    label.description = body.get("description", label.description)
    return vars(label)


@route("DELETE", "/labels/{name}", *EITHER)
def delete_label(call: Call) -> Answer:
    label = named_label(call)
    call.repository.labels.remove(label)
    for issue in call.repository.issues.values():
        issue.labels = [one for one in issue.labels if one is not label]
    return 204, None


@route("GET", "/issues", "issues")
def list_issues(call: Call) -> Answer:
    call.check_issues()
    state, labels = call.get("state", "open"), call.get("labels").lower().split(",")
    matches = [
        one
        for one in call.newest_issues()
        if state in (one.state, "all")
        and set(filter(None, labels)) <= {label.name.lower() for label in one.labels}
    ]
    return [views.issue(call.repository, one) for one in call.page(matches)]


@route("POST", "/issues", "issues", "anyone")
def create_issue(call: Call) -> Answer:
    """Labels and people are dropped without a word where the token may not set them."""
    call.check_issues()
    body, may_set = call.body, call.token.may(call.repository, ["issues"], "write")
    check_length("Issue", "title", body["title"], 256)
    check_length("Issue", "body", body["body"], LONGEST)
    people = body.get("assignees", []) if may_set else []
    if not may_set and not all(map(call.repository.label, body["labels"])):
        raise Refused(403, "You do not have permission to create labels on this repository.")
    if any(one.lower() != call.repository.owner for one in people):
        raise invalid("Issue", "assignees", "invalid")
    labels = body["labels"] if may_set else ()
    issue = call.repository.add_issue(body["title"], body["body"], labels, call.token.login)
    issue.assignees = people
    return 201, views.issue(call.repository, issue)


@route("GET", ISSUE, *EITHER)
def get_issue(call: Call) -> Answer:
    return views.issue(call.repository, call.issue())


@route("PATCH", ISSUE, *EITHER)
def update_issue(call: Call) -> Answer:
    issue, kind = call.issue(), call.body.get("type")
    if kind and kind not in (call.repository.types or ()):
        raise invalid("Issue", "type", "invalid")
    check_length("Issue", "body", call.body.get("body"), LONGEST)
    if "body" in call.body:
        issue.body = call.body["body"]
    if "title" in call.body:
        issue.title = call.body["title"]
    if "state" in call.body:
        issue.reason = (call.body.get("state_reason") or "completed").upper()
    issue.state, issue.type = call.body.get("state", issue.state), kind or issue.type
    return views.issue(call.repository, issue)


@route("POST", f"{ISSUE}/labels", *EITHER)
def add_labels(call: Call) -> Answer:
    issue, added = call.issue(), call.repository.labelled(call.body["labels"])
    issue.labels = list({one.id: one for one in [*issue.labels, *added]}.values())
    return list(map(vars, issue.labels))


@route("GET", f"{ISSUE}/comments", *EITHER)
def list_comments(call: Call) -> Answer:
    issue = call.issue()
    return [views.comment(call.repository, one) for one in call.page(issue.comments)]


@route("POST", f"{ISSUE}/comments", *EITHER, "anyone")
def create_comment(call: Call) -> Answer:
    issue = call.issue()
    check_length("IssueComment", "body", call.body["body"], LONGEST)
    comment = call.repository.add_comment(issue.number, call.body["body"], call.token.login)
    return 201, views.comment(call.repository, comment)


def numbered_comment(call: Call) -> tuple[Issue, Comment]:
    for issue in call.repository.issues.values():
        for one in issue.comments:
            if one.id == int(call.names["comment_id"]):
                return issue, one
    raise Refused(404, NOT_FOUND)


@route("PATCH", COMMENT, *EITHER)
def update_comment(call: Call) -> Answer:
    comment = numbered_comment(call)[1]
    check_length("IssueComment", "body", call.body["body"], LONGEST)
    comment.body = call.body["body"]
    return views.comment(call.repository, comment)


@route("DELETE", COMMENT, *EITHER)
def delete_comment(call: Call) -> Answer:
    issue, comment = numbered_comment(call)
    issue.comments.remove(comment)
    return 204, None
