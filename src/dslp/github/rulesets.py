"""The protection of the repository on GitHub: which branches may be made, what a merge requires.

What is ours is in `rulesets.yml`, and only that is set: what people added or made stricter stays.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dslp.core.branch_names import AGENTS, EXEMPT, KINDS
from dslp.core.files import read_yaml
from dslp.core.settings import Project
from dslp.github.client import Repository, Unavailable
from dslp.github.pull_request import CONTEXT

FILE = Path(__file__).with_suffix(".yml")
ACTIONS = 15368  # GitHub Actions, as the app that makes statuses and checks
PATTERNS = (
    *(f"{word}/*" for word in KINDS),
    *("[1-9]*-*", "[1-9]*-*/**/*", "gh-readonly-queue/**/*"),
    *(*AGENTS, *EXEMPT),
)
FIELDS = ("name", "target", "enforcement", "bypass_actors", "conditions", "rules")  # GitHub takes
FORCED = ("enforcement", "allowed_merge_methods", "integration_id")  # all else may be stricter


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
    # Work is merged to the one or the other of them, and `development` to the default branch (B8).
    branches = {project.branch, repository.default_branch, "main", "master"}
    patterns = (*sorted(branches), *PATTERNS, *project.exempt_branches)
    ours: Any = read_yaml(FILE)
    names, merges = ours["rulesets"]
    names["conditions"]["ref_name"]["exclude"] = [f"refs/heads/{one}" for one in patterns]
    merges["conditions"]["ref_name"]["include"] = [f"refs/heads/{one}" for one in sorted(branches)]
    # A server has an app of its own for GitHub Actions.
    app = repository.ask("GET", "/apps/github-actions")["id"] if repository.is_server else ACTIONS
    checks = [{"context": name, "integration_id": app} for name in (CONTEXT, *jobs)]
    merges["rules"][-1]["parameters"]["required_status_checks"] = checks
    listed = repository.pages("/rulesets", includes_parents="false")
    ids = {one["name"]: one["id"] for one in listed}
    changes, requests = [], []
    for ruleset in (names, merges):
        number = ids.get(ruleset["name"])
        current = repository.ask("GET", f"/rulesets/{number}") if number else {}
        merged = merge_settings(current, ruleset)
        if rows := _differences(ruleset["name"].removeprefix("dslp: "), current, merged):
            changes += rows
            verb, path = ("PUT", f"/rulesets/{number}") if number else ("POST", "/rulesets")
            requests.append((verb, path, {key: merged[key] for key in FIELDS if key in merged}))
    settings = repository.ask("GET", "")
    current = {name: settings.get(name) for name in ours["repository"]}
    if rows := _differences("repository", current, ours["repository"]):
        changes += rows
        requests.append(("PATCH", "", ours["repository"]))
    for verb, path, body in () if dry_run else requests:
        if repository.ask(verb, path, body, unless=(404,)) is None:
            words = f"the token has no right to administer {repository.name}"
            raise Unavailable(words, 404)
    return changes


def merge_settings(theirs: Any, ours: Any, name: str = "") -> Any:
    """What GitHub has (None for nothing), with what is ours set in it, and all else as it is."""
    if theirs is None or name in FORCED:
        return ours
    if isinstance(ours, dict) and ours.get("context", CONTEXT) != CONTEXT:
        return theirs  # a job that is required already keeps its maker: another app may run it
    if isinstance(ours, dict):
        return theirs | {key: merge_settings(theirs.get(key), ours[key], key) for key in ours}
    if isinstance(ours, list):
        own = {_key(one): one for one in ours}
        kept = [merge_settings(one, own.pop(_key(one), one)) for one in theirs]
        return [*kept, *own.values()]
    return theirs


def _key(item: Any) -> Any:
    """What a name, a rule or a required check is told apart by."""
    return item if isinstance(item, str) else item.get("type") or item.get("context")


def _differences(where: str, before: Any, after: Any) -> list[list[str]]:
    """A row for each setting that differs: its name, its value before and after."""
    if not before:
        return [[where, "all", "-", "new"]]
    old, new = dict(_flatten(before)), dict(_flatten(after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [[where, " ".join(name[-2:]), old.get(name, "-"), new.get(name, "-")] for name in names]


def _flatten(value: Any, *names: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each setting of nested ones, by the names that lead to it."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else ((_key(one), one) for one in value)
        for name, one in items:
            yield from _flatten(one, *names, str(name).removeprefix("refs/heads/"))
    else:
        yield names, str(value).lower()
