"""Repositories, their branches and files, and the rulesets that protect them."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.github.standin import history, views
from tests.github.standin.model import Issue, Repository
from tests.github.standin.routing import BOT, NOT_FOUND, Answer, Call, Refused, invalid, route

CONTENTS = "/contents/{path}"
RULESET = "/rulesets/{ruleset_id}"
NO_PLAN = "Upgrade to GitHub Pro or make this repository public to enable this feature."
APPS = {BOT: 15_368}  # who makes statuses, by the number of the app
Ruleset = dict[str, Any]


@route("GET", "")
def get_repository(call: Call) -> Answer:
    return views.repository(call.repository, whole=True)


@route("PATCH", "", "administration")
def update_repository(call: Call) -> Answer:
    call.repository.settings |= call.body
    return views.repository(call.repository, whole=True)


@route("GET", "/git/ref/{ref}", "contents")
def get_ref(call: Call) -> Answer:
    kind, _, name = call.names["ref"].partition("/")
    refs = call.repository.tags if kind == "tags" else call.repository.branches
    if name not in refs:
        raise Refused(404, NOT_FOUND)
    return views.ref(kind, name, refs[name])


@route("POST", "/git/refs", "contents")
def create_ref(call: Call) -> Answer:
    _, kind, name = call.body["ref"].split("/", 2)
    refs, sha = (
        call.repository.tags if kind == "tags" else call.repository.branches,
        call.body["sha"],
    )
    if sha not in call.repository.commits:
        raise Refused(422, "Object does not exist")
    if name in refs:
        raise Refused(422, "Reference already exists")
    refs[name] = sha
    return 201, views.ref(kind, name, sha)


def branch_files(call: Call, branch: str) -> dict[str, str]:
    if branch not in call.repository.branches:
        raise Refused(404, f"No commit found for the ref {branch}")
    return dict(call.repository.commits[call.repository.branches[branch]].files)


@route("GET", CONTENTS, "contents")
def get_contents(call: Call) -> Answer:
    branch, path = call.get("ref", call.repository.default_branch), call.names["path"]
    files = branch_files(call, branch)
    if path not in files:
        raise Refused(404, NOT_FOUND)
    return views.file(path, files[path])


@route("PUT", CONTENTS, "contents")
def put_contents(call: Call) -> Answer:
    branch, path = call.body.get("branch", call.repository.default_branch), call.names["path"]
    old = branch_files(call, branch).get(path)
    if old is not None and call.body.get("sha") != history.blob(old):
        raise Refused(409, f"{path} does not match {call.body.get('sha')}")
    text = base64.b64decode(call.body["content"]).decode()
    call.repository.commit(branch, {path: text}, call.token.login)
    return (201 if old is None else 200), {"content": views.file(path, text)}


@route("POST", "/actions/workflows/{workflow_id}/dispatches", "actions")
def dispatch_workflow(call: Call) -> Answer:
    body, name = call.body, call.names["workflow_id"]
    path = f".github/workflows/{name}"
    if path not in branch_files(call, call.repository.default_branch):
        raise Refused(404, NOT_FOUND)
    branch = body["ref"].removeprefix("refs/heads/")
    if branch not in call.repository.branches:
        raise Refused(422, f"No ref found for: {body['ref']}")
    events = yaml.safe_load(branch_files(call, branch).get(path, ""))[True]  # YAML 1.1's `on`
    if "workflow_dispatch" not in events:
        raise Refused(422, "Workflow does not have 'workflow_dispatch' trigger")
    inputs, declared = body.get("inputs", {}), (events["workflow_dispatch"] or {}).get("inputs", {})
    if inputs.keys() - declared.keys():
        raise Refused(422, f"Unexpected inputs provided: {[*inputs.keys() - declared.keys()]}")
    call.repository.dispatches.append({"workflow": name, "ref": branch, "inputs": inputs})
    return {"workflow_run_id": next(call.repository.ids)}


@route("GET", "/apps/{app_slug}")
def get_app(call: Call) -> Answer:
    """GitHub Actions as an app; a GitHub Enterprise Server has another number for it."""
    return {"id": 77, "slug": call.names["app_slug"]}


@route("GET", "/compare/{basehead}", "contents")
def compare(call: Call) -> Answer:
    """The comparison of a branch with a commit, without the files that GitHub lists too."""
    base, _, sha = call.names["basehead"].partition("...")
    if base not in call.repository.branches or sha not in call.repository.commits:
        raise Refused(404, NOT_FOUND)
    return {
        "merge_base_commit": {
            "sha": history.merge_base(call.repository, call.repository.branches[base], sha)
        }
    }


@route("GET", "/git/trees/{tree_sha}", "contents")
def get_tree(call: Call) -> Answer:
    files = call.repository.commits[call.names["tree_sha"]].files
    tree = [{"path": p, "type": "blob", "sha": history.blob(text)} for p, text in files.items()]
    return {"sha": call.names["tree_sha"], "truncated": False, "tree": tree}


def view(repository: Repository, ruleset: Ruleset, whole: bool = True) -> Ruleset:
    """A ruleset; lists leave its rules out."""
    hidden = () if whole else ("rules", "conditions", "bypass_actors")
    parts = {key: value for key, value in ruleset.items() if key not in hidden}
    return {**parts, "source_type": "Repository", "source": repository.full_name}


def check_plan(call: Call) -> None:
    """Private repositories have rulesets in paid plans only."""
    if call.repository.private:
        raise Refused(403, NO_PLAN)


def numbered_ruleset(call: Call) -> Ruleset:
    check_plan(call)
    for ruleset in call.repository.rulesets:
        if ruleset["id"] == int(call.names["ruleset_id"]):
            return ruleset
    raise Refused(404, NOT_FOUND)


@route("GET", "/rulesets")
def list_rulesets(call: Call) -> Answer:
    check_plan(call)
    return [view(call.repository, one, whole=False) for one in call.page(call.repository.rulesets)]


@route("POST", "/rulesets", "administration")
def create_ruleset(call: Call) -> Answer:
    check_plan(call)
    if call.body["name"] in [one["name"] for one in call.repository.rulesets]:
        raise invalid("Repository", "name", "custom", "Name must be unique")
    ruleset = {"id": next(call.repository.ids), **call.body}
    call.repository.rulesets.append(ruleset)
    return 201, view(call.repository, ruleset)


@route("GET", RULESET)
def get_ruleset(call: Call) -> Answer:
    return view(call.repository, numbered_ruleset(call))


@route("PUT", RULESET, "administration")
def update_ruleset(call: Call) -> Answer:
    ruleset = numbered_ruleset(call)
    ruleset |= call.body
    return view(call.repository, ruleset)


def mergeable(repository: Repository, issue: Issue) -> bool:
    """Whether GitHub lets a pull request be merged: what the rulesets require has succeeded.

    A check counts if it is a job of GitHub Actions or the latest status of its name, and if its
    maker is the required one. Reviews are not considered.
    """
    assert issue.pull
    head, wanted = repository.head_sha(issue), []
    for ruleset in repository.rulesets:
        if ruleset["enforcement"] == "active" and applies(repository, ruleset, issue.pull.base):
            for rule in ruleset.get("rules", []):
                if rule["type"] == "required_status_checks":
                    wanted += rule["parameters"]["required_status_checks"]
    results = [
        *((one.context, one.creator, one.state) for one in repository.statuses.get(head, [])),
        *((name, BOT, result) for name, result in repository.checks.get(head, {}).items()),
    ]

    def passes(check: dict[str, Any]) -> bool:
        name, app = check["context"], check.get("integration_id")
        states = (state for n, by, state in results if n == name and app in (None, APPS.get(by)))
        return next(states, "") in ("success", "skipped", "neutral")

    is_open = issue.state == "open" and not issue.pull.draft and not issue.pull.conflicts
    return is_open and all(map(passes, wanted))


def applies(repository: Repository, ruleset: Ruleset, branch: str) -> bool:
    named = {"~ALL": branch, "~DEFAULT_BRANCH": repository.default_branch}
    names = ruleset["conditions"]["ref_name"]
    include, exclude = (
        any(
            named.get(pattern) == branch or re.fullmatch(glob(pattern), f"refs/heads/{branch}")
            for pattern in names[side]
        )
        for side in ("include", "exclude")
    )
    return include and not exclude


# A pattern of a ruleset as Ruby's fnmatch reads it: `**` spans folders only before a slash.
RUBY = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "**": "[^/]*", "?": "[^/]"}


def glob(pattern: str, special: Mapping[str, str] = RUBY) -> str:
    """A pattern of file names as a regular expression, given what its special parts mean."""
    parts = re.split(r"(\*\*/|\*+|[?+]|\[[^\]]+\])", pattern)
    return "".join(
        special.get(part) or (part if part[:1] == "[" else re.escape(part)) for part in parts
    )
