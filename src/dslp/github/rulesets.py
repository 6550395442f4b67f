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
REVIEW = {  # what people may make stricter
    "required_approving_review_count": 0,
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_review_thread_resolution": False,
}
CHECKS = {
    "strict_required_status_checks_policy": False,
    "do_not_enforce_on_create": True,  # the first push of `main` has no pull request
}
SHOWN = 5  # names in a cell of the table
MAKERS = {ACTIONS: "GitHub Actions", None: "any app"}
Ruleset = dict[str, Any]
Rules = dict[str, dict[str, Any]]  # parameters by the type of the rule


def protect(
    project: Project, repository: Repository, jobs: Sequence[str] = (), dry_run: bool = False
) -> list[list[str]]:
    """Make or change the two rulesets, and let merges keep their commits.

    One ruleset lets only branches with names of the process be made (B1), the other says what a
    merge requires. All is read before anything is written, so a refusal leaves nothing half done.

    Args:
        project: names the collaboration branch, and further names that branches may have.
        repository: on GitHub.
        jobs: jobs of GitHub Actions that a merge requires, besides the policy.
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
    names = [*sorted(branches), *PATTERNS, *project.exempt_branches]
    refs = [f"refs/heads/{name}" for name in names]
    checks = [{"context": name, "integration_id": ACTIONS} for name in (CONTEXT, *jobs)]
    creation: Rules = {"creation": {}}
    merges: Rules = {
        "deletion": {},
        "non_fast_forward": {},
        "pull_request": {"allowed_merge_methods": ["merge"], **REVIEW},
        "required_status_checks": {"required_status_checks": checks, **CHECKS},
    }
    changes, requests = [], []
    for name, include, exclude, rules in (
        (NAMES, ["~ALL"], refs, creation),
        (MERGES, refs[: len(branches)], [], merges),
    ):
        current = existing.get(name, {})
        ruleset = merge_ruleset(current, {"include": include, "exclude": exclude}, rules)
        if rows := list(_differences(name.removeprefix("dslp: "), current, ruleset)):
            changes += rows
            verb, path = ("PUT", f"/rulesets/{current['id']}") if current else ("POST", "/rulesets")
            requests.append((verb, path, {"name": name, **ruleset}))
    settings = repository.ask("GET", "")
    allowed = [word for name, word in METHODS.items() if settings.get(name)]
    if allowed != ["merge"]:
        changes.append(["repository", "merge methods", _text(allowed), "merge"])
        body = {name: word == "merge" for name, word in METHODS.items()}
        requests.append(("PATCH", "", body))
    for verb, path, body in () if dry_run else requests:
        if repository.ask(verb, path, body, unless=(404,)) is None:
            words = f"the token has no right to administer {repository.name}"
            raise Unavailable(words, 404)
    return changes


def merge_ruleset(current: Ruleset, names: dict[str, list[str]], rules: Rules) -> Ruleset:
    """A ruleset of GitHub's (or none) with what is ours set in it, and all else as it is."""
    refs = current["conditions"]["ref_name"] if current else {"include": [], "exclude": []}
    both = {side: list(dict.fromkeys([*refs[side], *names[side]])) for side in names}
    kept = [_merge_rule(rule, rules.pop(rule["type"], {})) for rule in current.get("rules", ())]
    new = [{"type": kind} | ({"parameters": own} if own else {}) for kind, own in rules.items()]
    merged = {key: value for key, value in current.items() if key == "bypass_actors"}
    merged |= {"target": "branch", "enforcement": "active", "conditions": {"ref_name": both}}
    return merged | {"rules": [*kept, *new]}


def _merge_rule(rule: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    parameters = dict(rule.get("parameters", {}))
    if methods := ours.get("allowed_merge_methods"):
        parameters["allowed_merge_methods"] = methods
    if checks := ours.get("required_status_checks"):
        own = {check["context"]: check for check in checks}
        kept = [own.pop(one["context"], one) for one in parameters["required_status_checks"]]
        parameters["required_status_checks"] = [*kept, *own.values()]
    return {**rule, "parameters": parameters} if parameters else rule


def _differences(name: str, before: Ruleset, after: Ruleset) -> Iterator[list[str]]:
    """A row for each setting that differs; one that is off is none of a new ruleset."""
    old, new = _values(before), _values(after)
    for setting, value in new.items():
        if value != old.get(setting) and (value or before):
            text = _text(value)
            if before and isinstance(value, list) and len(value) > SHOWN:
                text += f": + {', '.join(one for one in value if one not in old[setting])}"
            yield [name, setting.replace("_", " "), _text(old.get(setting, "-")), text]


def _values(ruleset: Ruleset) -> dict[str, Any]:
    """The settings of a ruleset by their names; a list has the names of branches or checks."""
    if not ruleset:
        return {}
    values = {"enforcement": ruleset["enforcement"]}
    for side, refs in ruleset["conditions"]["ref_name"].items():
        values[side] = [ref.removeprefix("refs/heads/") for ref in refs]
    for rule in ruleset["rules"]:
        values |= rule.get("parameters") or {rule["type"]: True}
    if checks := values.get("required_status_checks"):
        makers = [MAKERS.get(one.get("integration_id"), "another app") for one in checks]
        contexts = [one["context"] for one in checks]
        values["required_status_checks"] = list(map("{} ({})".format, contexts, makers))
    return values


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-" if len(value) <= SHOWN else f"{len(value)} names"
    return str(value).lower()
