"""What the names of branches say, and which of them need no issue."""

import pytest
from dslp.core.branch_names import AGENTS, EXEMPT, Branch, is_match, parse_branch


@pytest.mark.rule("B1")
@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("data/12-claims-of-1974", Branch("Data", 12)),
        ("12-claims", Branch("", 12)),
        ("14-docs/data-gotchas", Branch("", 14)),
        *((name, None) for name in ("data/12-a/b", "12", "012-a", "12-A", "12-a//b", "Data/12-a")),
    ],
)
def test_a_name_says_type_and_issue(name: str, branch: Branch | None) -> None:
    assert parse_branch(name) == branch


@pytest.mark.rule("B1")
@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        *((f"{agent}/fix", AGENTS) for agent in ("copilot", "claude", "codex", "cursor")),
        ("copilot/a/b", AGENTS),
        *((f"{bot}/uv/a-1", EXEMPT) for bot in ("dependabot", "renovate")),
        ("pre-commit-ci-update-config", EXEMPT),
        ("release-please--branches--main", EXEMPT),
        ("ada-patch-1", EXEMPT),
        ("gh-pages", EXEMPT),
        ("infra/x", ["infra/*"]),
        ("a.b", ["a.b", "other"]),
    ],
)
def test_names_that_programs_choose_are_exempt(name: str, patterns: list[str]) -> None:
    assert is_match(name, patterns)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("infra/x/y", "infra/*"),
        ("axb", "a.b"),
        ("copilot", "copilot/**/*"),
        ("a-patch-", "*-patch-[0-9]"),
    ],
)
def test_a_star_stays_within_one_part_of_a_name(name: str, pattern: str) -> None:
    assert not is_match(name, [pattern])
