"""The protection of the repository on GitHub: which branches may be made, what a merge requires."""

from typing import Any

from dslp.github.client import Repository
from dslp.github.pull_request import CONTEXT

NAMES = "dslp: names of branches"
MERGES = "dslp: merges"
BRANCHES = (
    *("main", "development", "data/*", "explore/*", "experiment/*", "model/*", "[1-9]*-*"),
    *("template/*", "revert-*", "revert-*/**/*", "dependabot/**/*", "renovate/**/*"),
    "gh-readonly-queue/**/*",
)
MERGE_COMMITS = dict.fromkeys(("allow_squash_merge", "allow_rebase_merge"), False)
MERGE_COMMITS |= {"allow_merge_commit": True}


def rulesets(collaboration: str) -> list[dict[str, Any]]:
    """The two rulesets: names of branches by creation (B1), and what a merge requires."""
    required = {
        "required_status_checks": [{"context": CONTEXT}],
        "strict_required_status_checks_policy": False,
        "do_not_enforce_on_create": True,  # the first push of `main` has no pull request
    }
    review = {
        "required_approving_review_count": 0,
        "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_review_thread_resolution": False,
        "allowed_merge_methods": ["merge"],  # a squash loses the commits that runs are recorded at
    }
    rules: list[dict[str, Any]] = [
        {"type": "deletion"},
        {"type": "non_fast_forward"},
        {"type": "pull_request", "parameters": review},
        {"type": "required_status_checks", "parameters": required},
    ]
    merged = dict.fromkeys(f"refs/heads/{name}" for name in ("main", collaboration))
    named = [f"refs/heads/{pattern}" for pattern in BRANCHES]
    return [
        _ruleset(NAMES, {"include": ["~ALL"], "exclude": named}, [{"type": "creation"}]),
        _ruleset(MERGES, {"include": list(merged), "exclude": []}, rules),
    ]


def protect(repository: Repository, collaboration: str) -> list[tuple[str, str]]:
    """Make or change the rulesets, and let merges keep their commits.

    Returns:
        Each rule, and what was done with it.

    Raises:
        Unavailable: GitHub refuses; a private repository needs a paid plan for rulesets.
    """
    results = [("merge commits", _require_merge_commits(repository))]
    existing = {answer["name"]: answer["id"] for answer in repository.pages("/rulesets")}
    for ruleset in rulesets(collaboration):
        path, result = f"/rulesets/{existing.get(ruleset['name'])}", "unchanged"
        if ruleset["name"] not in existing:
            repository.ask("POST", "/rulesets", ruleset)
            result = "created"
        elif not _includes(repository.ask("GET", path), ruleset):
            repository.ask("PUT", path, ruleset)
            result = "changed"
        results.append((ruleset["name"], result))
    return results


def _ruleset(name: str, names: dict[str, list[str]], rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": names},
        "rules": rules,
    }


def _require_merge_commits(repository: Repository) -> str:
    if _includes(repository.ask("GET", ""), MERGE_COMMITS):
        return "unchanged"
    if repository.ask("PATCH", "", MERGE_COMMITS, unless=(403,)) is None:
        return "not changed: the token has no right to the repository's settings"
    return "the only way to merge"


def _includes(answer: Any, expected: Any) -> bool:
    """Whether GitHub's answer has everything that is expected; it may have more."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        return all(_includes(answer.get(name), value) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(answer, list):
        return len(expected) == len(answer) and all(
            any(_includes(other, item) for other in answer) for item in expected
        )
    return bool(expected == answer)
