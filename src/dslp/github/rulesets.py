"""The protection of the repository on GitHub: which branches may be made, what a merge requires.

Only what is ours is set: what people added or made stricter stays.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dslp.core.branch_names import AGENTS, EXEMPT, KINDS
from dslp.core.settings import Project
from dslp.github.client import Repository, Unavailable
from dslp.github.pull_request import CONTEXT

ACTIONS = 15368  # GitHub Actions, as the app that makes statuses and checks
NAMES = "dslp: names of branches"
MERGES = "dslp: merges"
PATTERNS = (
    *(f"{word}/*" for word in KINDS),
    *("[1-9]*-*", "[1-9]*-*/**/*", "revert-*", "revert-*/**/*", "gh-readonly-queue/**/*"),
    *(*AGENTS, *EXEMPT),
)
METHODS = {
    "allow_merge_commit": "merge",
    "allow_squash_merge": "squash",  # it loses the commits that runs are recorded at
    "allow_rebase_merge": "rebase",
}
NOT_ASKED = (
    *("dismiss_stale_reviews_on_push", "require_code_owner_review"),
    *("require_last_push_approval", "required_review_thread_resolution"),
)
SHOWN = 5  # names in a cell of the table
Ruleset = dict[str, Any]


def rulesets(
    branches: Sequence[str], patterns: Sequence[str], checks: Sequence[str] = ()
) -> list[Ruleset]:
    """The two rulesets: names of branches by creation (B1), and what a merge requires.

    Args:
        branches: the branches that work is merged into.
        patterns: other names that branches may have.
        checks: jobs of GitHub Actions that must pass, besides the policy.
    """
    required = {
        "required_status_checks": [
            {"context": name, "integration_id": ACTIONS} for name in (CONTEXT, *checks)
        ],
        "strict_required_status_checks_policy": False,
        "do_not_enforce_on_create": True,  # the first push of `main` has no pull request
    }
    review = {
        "allowed_merge_methods": ["merge"],
        "required_approving_review_count": 0,
        **dict.fromkeys(NOT_ASKED, False),
    }
    rules: list[dict[str, Any]] = [
        {"type": "deletion"},
        {"type": "non_fast_forward"},
        {"type": "pull_request", "parameters": review},
        {"type": "required_status_checks", "parameters": required},
    ]
    merged = [f"refs/heads/{name}" for name in branches]
    named = [*merged, *(f"refs/heads/{pattern}" for pattern in patterns)]
    return [
        _ruleset(NAMES, {"include": ["~ALL"], "exclude": named}, [{"type": "creation"}]),
        _ruleset(MERGES, {"include": merged, "exclude": []}, rules),
    ]


def protect(
    project: Project, repository: Repository, checks: Sequence[str] = (), dry_run: bool = False
) -> list[list[str]]:
    """Make or change the rulesets, and let merges keep their commits.

    All is read before anything is written, so a refusal leaves nothing half done.

    Args:
        project: names the collaboration branch, and further names that branches may have.
        repository: on GitHub.
        checks: jobs that a merge requires.
        dry_run: only read.

    Returns:
        What changes: the ruleset, the setting, its value before and after.

    Raises:
        Unavailable: GitHub refuses; a private repository needs a paid plan for rulesets.
    """
    existing = {
        one["name"]: repository.ask("GET", f"/rulesets/{one['id']}")
        for one in repository.pages("/rulesets", includes_parents="false")
        if one["name"] in (NAMES, MERGES)
    }
    branches = {project.branch, repository.default_branch}
    if repository.ask("GET", "/git/ref/heads/main", unless=(404, 409)):
        branches.add("main")  # `development` is merged to it, whatever the default branch is (B8)
    changes, requests = [], []
    for ours in rulesets(sorted(branches), (*PATTERNS, *project.exempt_branches), checks):
        current = existing.get(ours["name"])
        merged = merge_ruleset(current, ours) if current else ours
        if rows := list(_differences(current, merged)):
            changes += rows
            path = f"/rulesets/{current['id']}" if current else "/rulesets"
            requests.append(("PUT" if current else "POST", path, merged))
    settings = repository.ask("GET", "")
    allowed = [word for name, word in METHODS.items() if settings.get(name)]
    if allowed != ["merge"]:
        changes.append(["repository", "merge methods", _text(allowed), "merge"])
        body = {name: word == "merge" for name, word in METHODS.items()}
        requests.append(("PATCH", "", body))
    for verb, path, body in () if dry_run else requests:
        try:
            repository.ask(verb, path, body)
        except Unavailable as error:
            if error.status != 404:
                raise
            words = f"the token has no right to administer {repository.name}"
            raise Unavailable(words, 404) from None
    return changes


def merge_ruleset(current: Ruleset, ours: Ruleset) -> Ruleset:
    """A ruleset of GitHub's with what is ours set in it, and all else as it is."""
    names, own_names = current["conditions"]["ref_name"], ours["conditions"]["ref_name"]
    both = {side: list(dict.fromkeys([*names[side], *own_names[side]])) for side in own_names}
    own_rules = {rule["type"]: rule for rule in ours["rules"]}
    rules = [_merge_rule(rule, own_rules.pop(rule["type"], rule)) for rule in current["rules"]]
    bypass = {key: value for key, value in current.items() if key == "bypass_actors"}
    return _ruleset(ours["name"], both, [*rules, *own_rules.values()]) | bypass


def _merge_rule(rule: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    if "parameters" not in rule:
        return rule
    parameters = dict(rule["parameters"])
    if rule["type"] == "pull_request":
        parameters["allowed_merge_methods"] = ours["parameters"]["allowed_merge_methods"]
    if rule["type"] == "required_status_checks":
        own = {one["context"]: one for one in ours["parameters"]["required_status_checks"]}
        checks = [own.pop(one["context"], one) for one in parameters["required_status_checks"]]
        parameters["required_status_checks"] = [*checks, *own.values()]
    return {**rule, "parameters": parameters}


def _ruleset(name: str, names: dict[str, list[str]], rules: list[dict[str, Any]]) -> Ruleset:
    return {
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": names},
        "rules": rules,
    }


def _differences(before: Ruleset | None, after: Ruleset) -> Iterator[list[str]]:
    """A row for each setting that differs; one that is off is none of a new ruleset."""
    old, new = _values(before) if before else {}, _values(after)
    for name, value in new.items():
        if value != old.get(name) and (value or name in old):
            text = _text(value)
            if name in old and isinstance(value, list) and len(value) > SHOWN:
                text += f": + {', '.join(one for one in value if one not in old[name])}"
            yield [
                after["name"].removeprefix("dslp: "),
                name.replace("_", " "),
                _text(old.get(name, "-")),
                text,
            ]


def _values(ruleset: Ruleset) -> dict[str, Any]:
    """The settings of a ruleset by their names; a list has the names of branches or checks."""
    names = ruleset["conditions"]["ref_name"]
    values = {"enforcement": ruleset["enforcement"]}
    values |= {side: [name.removeprefix("refs/heads/") for name in names[side]] for side in names}
    for rule in ruleset["rules"]:
        values |= rule.get("parameters") or {rule["type"]: True}
    if checks := values.get("required_status_checks"):
        makers = {ACTIONS: " (GitHub Actions)", None: ""}
        values["required_status_checks"] = [
            one["context"] + makers.get(one.get("integration_id"), " (another app)")
            for one in checks
        ]
    return values


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-" if len(value) <= SHOWN else f"{len(value)} names"
    return str(value).lower()
