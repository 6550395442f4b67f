"""Rulesets, and the two of their rules that the stand-in enforces: creation and required checks."""

import re
from typing import Any

from tests.github.standin.addresses import api, node
from tests.github.standin.model import Repository
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, Token, invalid, route

NO_PLAN = "Upgrade to GitHub Pro or make this repository public to enable this feature."
Ruleset = dict[str, Any]


def view(repository: Repository, ruleset: Ruleset, whole: bool = True) -> Ruleset:
    """A ruleset; lists leave its rules out."""
    shown = {
        **ruleset,
        "node_id": node("RRS", ruleset["id"]),
        "source_type": "Repository",
        "source": repository.full_name,
        "_links": {"self": {"href": api(repository, f"/rulesets/{ruleset['id']}")}},
    }
    left_out = () if whole else ("rules", "conditions", "bypass_actors")
    return {key: value for key, value in shown.items() if key not in left_out}


def check_plan(call: Call) -> None:
    """Private repositories have rulesets in paid plans only."""
    if call.repository.private and not call.repository.paid:
        raise Refused(403, NO_PLAN)


def numbered(call: Call) -> Ruleset:
    """The ruleset that the path names."""
    check_plan(call)
    for ruleset in call.repository.rulesets:
        if ruleset["id"] == int(call.names["ruleset_id"]):
            return ruleset
    raise Refused(404, NOT_FOUND)


def store(call: Call, ruleset: Ruleset) -> Ruleset:
    """Take over what the body says."""
    for other in call.repository.rulesets:
        if other is not ruleset and other["name"] == call.body.get("name"):
            raise invalid("Repository", "name", "custom", "Name must be unique")
    ruleset |= call.body
    ruleset["updated_at"] = call.clock.now()
    return view(call.repository, ruleset)


@route("GET", "{repository}/rulesets", "metadata")
def list_rulesets(call: Call) -> Answer:
    check_plan(call)
    return [view(call.repository, one, whole=False) for one in call.page(call.repository.rulesets)]


@route("POST", "{repository}/rulesets", "administration")
def create_ruleset(call: Call) -> Answer:
    check_plan(call)
    ruleset = {"id": next(call.clock.ids), "target": "branch", "created_at": call.clock.now()}
    ruleset |= {"conditions": {"ref_name": {"include": [], "exclude": []}}, "rules": []}
    shown = store(call, ruleset)
    call.repository.rulesets.append(ruleset)
    return 201, shown


@route("GET", "{repository}/rulesets/{ruleset_id}", "metadata")
def get_ruleset(call: Call) -> Answer:
    return view(call.repository, numbered(call))


@route("PUT", "{repository}/rulesets/{ruleset_id}", "administration")
def update_ruleset(call: Call) -> Answer:
    return store(call, numbered(call))


@route("DELETE", "{repository}/rulesets/{ruleset_id}", "administration")
def delete_ruleset(call: Call) -> Answer:
    call.repository.rulesets.remove(numbered(call))
    return 204, None


@route("GET", "{repository}/rules/branches/{branch}", "metadata")
def list_rules(call: Call) -> Answer:
    check_plan(call)
    return [
        rule
        | {
            "ruleset_source_type": "Repository",
            "ruleset_source": call.repository.full_name,
            "ruleset_id": ruleset["id"],
        }
        for ruleset, rule in call.page(rules_of(call.repository, call.names["branch"]))
    ]


def rules_of(repository: Repository, branch: str) -> list[tuple[Ruleset, dict[str, Any]]]:
    """The rules in force for a branch, with their rulesets."""
    return [
        (ruleset, rule)
        for ruleset in repository.rulesets
        if ruleset["enforcement"] == "active" and applies(repository, ruleset, branch)
        for rule in ruleset.get("rules", [])
    ]


def applies(repository: Repository, ruleset: Ruleset, branch: str) -> bool:
    """Whether a ruleset is about a branch."""
    names = ruleset.get("conditions", {}).get("ref_name", {})

    def among(patterns: list[str]) -> bool:
        return any(
            pattern == "~ALL"
            or (pattern == "~DEFAULT_BRANCH" and branch == repository.default_branch)
            or re.fullmatch(glob(pattern), f"refs/heads/{branch}") is not None
            for pattern in patterns
        )

    return among(names.get("include", [])) and not among(names.get("exclude", []))


def glob(pattern: str) -> str:
    """A pattern of a ruleset as Ruby's fnmatch reads it: `**` spans folders only before a slash."""
    parts = re.split(r"(\*\*/|\*+|\?|\[[^\]]+\])", pattern)
    known = {"**/": "(?:[^/]+/)*", "?": "[^/]"}
    return "".join(
        known.get(part)
        or ("[^/]*" if part[:1] == "*" else part if part[:1] == "[" else re.escape(part))
        for part in parts
    )


def check_creation(repository: Repository, branch: str, token: Token | None) -> None:
    """Refuse a branch that no ruleset lets this person create."""
    admin = token is not None and repository.collaborators.get(token.login) == "admin"
    for ruleset, rule in rules_of(repository, branch):
        if rule["type"] == "creation" and not (admin and ruleset.get("bypass_actors")):
            text = "Cannot create ref due to creations being restricted."
            raise Refused(422, f"Repository rule violations found\n\n{text}\n\n")


def missing_checks(repository: Repository, branch: str, sha: str) -> list[str]:
    """The required checks whose newest status on a commit is not a success."""
    latest = {one.context: one.state for one in reversed(repository.statuses.get(sha, []))}
    return [
        check["context"]
        for _, rule in rules_of(repository, branch)
        if rule["type"] == "required_status_checks"
        for check in rule["parameters"]["required_status_checks"]
        if latest.get(check["context"]) != "success"
    ]
