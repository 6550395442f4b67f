"""Protecting the repository on GitHub: which branches may be made, and what a merge requires."""

from typing import Any

from dslp.github.client import Repository, Unavailable
from dslp.github.pull_request import CONTEXT

NAMES = "dslp: names of branches"
MERGES = "dslp: merges"
BRANCHES = (
    *("main", "development", "data/*", "explore/*", "experiment/*", "model/*", "[1-9]*-*"),
    *(
        "template/*",
        "revert-*",
        "revert-*/**/*",
        "dependabot/**/*",
        "renovate/**/*",
        "gh-readonly-queue/**/*",
    ),
)


def rulesets(collaboration: str) -> list[dict[str, Any]]:
    """The two rulesets: names of branches by creation (B1), and what a merge requires."""
    merged = dict.fromkeys(("main", collaboration))
    required = {
        "required_status_checks": [{"context": CONTEXT}],
        "strict_required_status_checks_policy": False,
        "do_not_enforce_on_create": True,  # the first push of `main` has nothing to be judged
    }
    review = {
        "required_approving_review_count": 0,
        "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_review_thread_resolution": False,
        "allowed_merge_methods": ["merge"],  # a squash loses the commits that runs are recorded at
    }
    return [
        {
            "name": NAMES,
            "target": "branch",
            "enforcement": "active",
            "conditions": {
                "ref_name": {
                    "include": ["~ALL"],
                    "exclude": [f"refs/heads/{pattern}" for pattern in BRANCHES],
                }
            },
            "rules": [{"type": "creation"}],
        },
        {
            "name": MERGES,
            "target": "branch",
            "enforcement": "active",
            "conditions": {
                "ref_name": {"include": [f"refs/heads/{name}" for name in merged], "exclude": []}
            },
            "rules": [
                {"type": "deletion"},
                {"type": "non_fast_forward"},
                {"type": "pull_request", "parameters": review},
                {"type": "required_status_checks", "parameters": required},
            ],
        },
    ]


def protect(repository: Repository, collaboration: str) -> list[tuple[str, str]]:
    """Make or change the rulesets, and let merges keep their commits.

    Returns:
        What was done with each, in words.

    Raises:
        Unavailable: GitHub refuses; a private repository needs a paid plan for rulesets.
    """
    said = [("merge commits", _merge_commits(repository))]
    there = {found["name"]: found for found in repository.pages("/rulesets")}
    for ruleset in rulesets(collaboration):
        found = there.get(ruleset["name"])
        if found is None:
            repository.ask("POST", "/rulesets", ruleset)
            said.append((ruleset["name"], "made"))
        else:
            now = repository.ask("GET", f"/rulesets/{found['id']}")
            if all(_same(ruleset[part], now.get(part)) for part in ruleset):
                said.append((ruleset["name"], "as it should be"))
            else:
                repository.ask("PUT", f"/rulesets/{found['id']}", ruleset)
                said.append((ruleset["name"], "changed"))
    return said


def _merge_commits(repository: Repository) -> str:
    now = repository.ask("GET", "")
    wanted = {"allow_merge_commit": True, "allow_squash_merge": False, "allow_rebase_merge": False}
    if all(now.get(name) == value for name, value in wanted.items()):
        return "as they should be"
    try:
        repository.ask("PATCH", "", wanted)
    except Unavailable as error:
        if error.status != 403:
            raise
        return "not changed: the token has no right to the repository's settings"
    return "the only way to merge"


def _same(wanted: Any, found: Any) -> bool:
    """Whether GitHub has what is wanted; what it adds of its own does not count."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_same(v, found.get(k)) for k, v in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(wanted) != len(found):
            return False
        return all(any(_same(item, other) for other in found) for item in wanted)
    return bool(wanted == found)
