"""Labels, issues, comments, and the links between issues."""

import re
from typing import Any

from tests.github.standin import views
from tests.github.standin.model import Issue, Label, Repository
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, invalid, route

ISSUE = "{repository}/issues/{issue_number}"
EITHER = ("issues", "pull_requests")
LONGEST = 65_536


@route("GET", "{repository}/labels", *EITHER)
def list_labels(call: Call) -> Answer:
    ordered = call.page(sorted(call.repository.labels, key=lambda one: one.name.lower()))
    return [views.label(call.repository, one) for one in ordered]


@route("POST", "{repository}/labels", *EITHER)
def create_label(call: Call) -> Answer:
    check_label(call.repository, None, call.body)
    color, text = call.body.get("color", "ededed"), call.body.get("description")
    made = call.repository.add_label(call.body["name"], color, text)
    return 201, views.label(call.repository, made)


def check_label(repository: Repository, label: Label | None, body: dict[str, Any]) -> None:
    """What the schema does not say of a label."""
    name = body.get("new_name" if label else "name")
    if name is not None:
        if not name.strip():
            raise invalid("Label", "name", "missing_field")
        if len(name) > 50:
            raise invalid("Label", "name", "custom", "name is too long (maximum is 50 characters)")
        if repository.label(name) not in (None, label):
            raise invalid("Label", "name", "already_exists")
    if not re.fullmatch(r"[0-9a-fA-F]{6}", body.get("color", "ededed")):
        raise invalid("Label", "color", "invalid")
    if len(body.get("description") or "") > 100:
        text = "description is too long (maximum is 100 characters)"
        raise invalid("Label", "description", "custom", text)


def named_label(call: Call) -> Label:
    """The label that the path names."""
    found = call.repository.label(call.names["name"])
    if found is None:
        raise Refused(404, NOT_FOUND)
    return found


@route("GET", "{repository}/labels/{name}", *EITHER)
def get_label(call: Call) -> Answer:
    return views.label(call.repository, named_label(call))


@route("PATCH", "{repository}/labels/{name}", *EITHER)
def update_label(call: Call) -> Answer:
    label, body = named_label(call), call.body or {}
    check_label(call.repository, label, body)
    label.name = body.get("new_name", label.name)
    label.color = body.get("color", label.color)
    label.description = body.get("description", label.description)
    return views.label(call.repository, label)


@route("DELETE", "{repository}/labels/{name}", *EITHER)
def delete_label(call: Call) -> Answer:
    label = named_label(call)
    call.repository.labels.remove(label)
    for issue in call.repository.issues.values():
        issue.labels = [one for one in issue.labels if one is not label]
    return 204, None


@route("GET", "{repository}/issues", "issues")
def list_issues(call: Call) -> Answer:
    state, wanted = call.get("state", "open"), call.get("labels").lower().split(",")
    found = [
        one
        for one in call.repository.issues.values()
        if state in (one.state, "all")
        and set(filter(None, wanted)) <= {label.name.lower() for label in one.labels}
        and one.updated_at >= call.get("since")
        and call.get("creator", one.user) == one.user
    ]
    key = {"updated": "updated_at", "created": "created_at"}[call.get("sort", "created")]
    backwards = call.get("direction", "desc") == "desc"
    found.sort(key=lambda one: (str(getattr(one, key)), one.number), reverse=backwards)
    return [views.issue(call.repository, one) for one in call.page(found)]


@route("POST", "{repository}/issues", "issues", "anyone")
def create_issue(call: Call) -> Answer:
    check_words(call.body)
    names = names_of(call.body.get("labels", [])) if may_label(call) else []
    made = call.repository.add_issue(
        call.body["title"], call.body.get("body"), names, user=call.login
    )
    return 201, views.issue(call.repository, made)


def may_label(call: Call) -> bool:
    """Labels given by people without rights are dropped without a word."""
    return call.token is not None and call.token.may(call.repository, EITHER, "write")


def names_of(labels: list[Any]) -> list[str]:
    """Labels are given by name, or as objects with a name."""
    return [one if isinstance(one, str) else one["name"] for one in labels]


def check_words(body: dict[str, Any]) -> None:
    """Limits of titles and bodies."""
    title = body.get("title")
    if title is not None and not str(title).strip():
        raise invalid("Issue", "title", "missing_field")
    if len(str(title or "")) > 256:
        raise invalid("Issue", "title", "custom", "title is too long (maximum is 256 characters)")
    if len(body.get("body") or "") > LONGEST:
        raise invalid(
            "Issue", "body", "custom", f"body is too long (maximum is {LONGEST} characters)"
        )


@route("GET", ISSUE, "issues", "pull_requests")
def get_issue(call: Call) -> Answer:
    return views.issue(call.repository, call.issue())


@route("PATCH", ISSUE, "issues", "pull_requests")
def update_issue(call: Call) -> Answer:
    issue, body = call.issue(), call.body or {}
    check_words(body)
    issue.title = body.get("title", issue.title)
    issue.body = body.get("body", issue.body)
    if "labels" in body:
        issue.labels = call.repository.labelled(names_of(body["labels"]))
    issue.touch(call.clock, body.get("state"), body.get("state_reason"))
    return views.issue(call.repository, issue)


@route("GET", f"{ISSUE}/labels", *EITHER)
def list_labels_of_issue(call: Call) -> Answer:
    return [views.label(call.repository, one) for one in call.page(call.issue().labels)]


def relabel(call: Call, labels: list[Label]) -> Answer:
    """Give the issue these labels, once each."""
    issue = call.issue()
    issue.labels = list({one.id: one for one in labels}.values())
    issue.touch(call.clock)
    return [views.label(call.repository, one) for one in issue.labels]


def given_labels(call: Call) -> list[Label]:
    """The labels in the body, which is a list or an object."""
    body = call.body.get("labels", []) if isinstance(call.body, dict) else call.body or []
    return call.repository.labelled(names_of(body if isinstance(body, list) else [body]))


@route("POST", f"{ISSUE}/labels", *EITHER)
def add_labels(call: Call) -> Answer:
    return relabel(call, [*call.issue().labels, *given_labels(call)])


@route("PUT", f"{ISSUE}/labels", *EITHER)
def set_labels(call: Call) -> Answer:
    call.issue()
    return relabel(call, given_labels(call))


@route("DELETE", f"{ISSUE}/labels", *EITHER)
def remove_all_labels(call: Call) -> Answer:
    relabel(call, [])
    return 204, None


@route("DELETE", f"{ISSUE}/labels/{{name}}", *EITHER)
def remove_label(call: Call) -> Answer:
    issue, name = call.issue(), call.names["name"].lower()
    kept = [one for one in issue.labels if one.name.lower() != name]
    if len(kept) == len(issue.labels):
        raise Refused(404, "Label does not exist")
    return relabel(call, kept)


@route("GET", f"{ISSUE}/comments", "issues", "pull_requests")
def list_comments(call: Call) -> Answer:
    issue = call.issue()
    found = [one for one in issue.comments if one.updated_at >= call.get("since")]
    return [views.comment(call.repository, issue, one) for one in call.page(found)]


@route("POST", f"{ISSUE}/comments", "issues", "pull_requests", "anyone")
def create_comment(call: Call) -> Answer:
    issue = call.issue()
    check_comment(call.body)
    made = call.repository.add_comment(issue.number, call.body["body"], call.login)
    return 201, views.comment(call.repository, issue, made)


def check_comment(body: dict[str, Any]) -> None:
    """A comment says something, and not too much."""
    if not body["body"].strip():
        raise invalid("IssueComment", "body", "missing_field")
    if len(body["body"]) > LONGEST:
        text = f"body is too long (maximum is {LONGEST} characters)"
        raise invalid("IssueComment", "body", "unprocessable", text)


def numbered_comment(call: Call) -> tuple[Issue, Any]:
    """The comment that the path names, and its issue."""
    number = int(call.names["comment_id"])
    for issue in call.repository.issues.values():
        for one in issue.comments:
            if one.id == number:
                return issue, one
    raise Refused(404, NOT_FOUND)


@route("GET", "{repository}/issues/comments/{comment_id}", *EITHER)
def get_comment(call: Call) -> Answer:
    return views.comment(call.repository, *numbered_comment(call))


@route("PATCH", "{repository}/issues/comments/{comment_id}", *EITHER)
def update_comment(call: Call) -> Answer:
    issue, comment = numbered_comment(call)
    check_comment(call.body)
    comment.body, comment.updated_at = call.body["body"], call.clock.now()
    return views.comment(call.repository, issue, comment)


@route("DELETE", "{repository}/issues/comments/{comment_id}", *EITHER)
def delete_comment(call: Call) -> Answer:
    issue, comment = numbered_comment(call)
    issue.comments.remove(comment)
    return 204, None
