"""Semantic versions: three numbers, and the level of a change (D8, M6)."""

import re
from typing import Literal

from dslp.core.errors import DslpError

Level = Literal["none", "patch", "minor", "major"]
LEVELS: tuple[Level, ...] = ("none", "patch", "minor", "major")
Version = tuple[int, int, int]
VERSION = r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"


def parse_version(version: str) -> Version:
    """The three numbers of a semantic version.

    Raises:
        DslpError: it is none.
    """
    match = re.fullmatch(VERSION, version)
    if not match:
        raise DslpError(f"{version!r:.40} is no version; write three numbers, such as 1.2.0")
    major, minor, patch = map(int, match.groups())
    return major, minor, patch


def next_version(version: Version, level: Level) -> Version:
    """The next version of that level."""
    major, minor, patch = version
    if level == "major":
        return major + 1, 0, 0
    if level == "minor":
        return major, minor + 1, 0
    return major, minor, patch + (level == "patch")
