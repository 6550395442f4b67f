"""Branches and their names: what work a branch holds, and where that goes (B1-B8)."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = {"data": "Data", "explore": "Explore", "experiment": "Experiment", "model": "Model"}
NAME = re.compile(
    r"(?:(data|explore|experiment|model)/(?!.*/))?([1-9]\d{0,8})-[a-z0-9]+(?:[-/][a-z0-9]+)*"
)
LENGTH = 40  # characters of a slug
# Branches of programs, whose pull requests name their issue in the body.
AGENTS = ("claude/**/*", "codex/**/*", "copilot/**/*", "cursor/**/*")
# Branches that programs name, and that need no issue; a project adds its own (`exempt_branches`).
EXEMPT = (
    *("dependabot/**/*", "renovate/**/*", "pre-commit-ci-update-config", "release-please--*"),
    *("template/*", "gh-pages"),
    # What GitHub's page makes: an edit, and what takes a pull request back.
    *("*-patch-[0-9]", "*-patch-[0-9][0-9]", "revert-[1-9]*-*", "revert-[1-9]*-*/**/*"),
)


@dataclass(frozen=True)
class Branch:
    """What a name says: the type of the issue (empty for a plain branch) and its number."""

    kind: str
    issue: int


def parse_branch(name: str) -> Branch | None:
    """What the name says, or None where it is no name of the process (B1)."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    return Branch(KINDS.get(match[1] or "", ""), int(match[2]))


def is_match(name: str, patterns: Iterable[str]) -> bool:
    """Whether a branch fits one of the patterns, as GitHub's rulesets read them.

    `*`, `?` and `[1-9]` stand for characters of one part of a name, `**/` for any number of parts.
    """
    special = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    for pattern in patterns:
        parts = re.split(r"(\*\*/|\*|\?|\[[\w-]+\])", pattern)
        whole = (special.get(one) or (one if one[:1] == "[" else re.escape(one)) for one in parts)
        if re.fullmatch("".join(whole), name):
            return True
    return False


def issue_of_branch(name: str) -> int | None:
    """The issue that a branch is named for (B1): 14 for `experiment/14-lines`."""
    branch = parse_branch(name)
    return branch.issue if branch else None


def branch_name(kind: str, number: int, title: str) -> str:
    """The name of the branch for an issue, such as `data/12-claims-of-1974`."""
    prefix = next((f"{word}/" for word, known in KINDS.items() if known == kind), "")
    return f"{prefix}{number}-{slug(title)}"


def slug(title: str) -> str:
    """A title in lower-case ASCII words joined by hyphens, at most LENGTH characters; or `work`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    while len(words) > 1 and len("-".join(words)) > LENGTH:
        words.pop()
    return "-".join(words)[:LENGTH] or "work"
