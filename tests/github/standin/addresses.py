"""Addresses, names and people: what everything that GitHub shows has in common."""

import zlib
from typing import Any

from tests.github.standin.description import HOST
from tests.github.standin.model import Repository

View = dict[str, Any]
SITE = "https://github.com"


def api(repository: Repository, path: str = "") -> str:
    """The address of something in a repository."""
    return f"{HOST}/repos/{repository.full_name}{path}"


def node(kind: str, number: int) -> str:
    """GitHub's global name of something."""
    return f"{kind}_{number}"


def user(login: str) -> View:
    """A person, an organisation or a bot."""
    return {
        "login": login,
        "id": zlib.crc32(login.encode()) % 10_000_000,
        "node_id": node("U", zlib.crc32(login.encode()) % 10_000_000),
        "url": f"{HOST}/users/{login}",
        "html_url": f"{SITE}/{login}",
        "type": "Bot" if login.endswith("[bot]") else "User",
    }
