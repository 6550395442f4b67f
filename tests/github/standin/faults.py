"""What can go wrong on the way, scripted.

`github.at(3, cut, after=True)`, `github.on("POST", "*/labels", status(502), times=2)`.
"""

import fnmatch
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.github.standin.routing import Refused

Action = Callable[[], object]  # what happens; it may raise Refused or Cut


class Cut(Exception):
    """The connection ends without an answer."""


@dataclass
class Fault:
    """Something that happens before a request is carried out, or after it, and to which."""

    action: Action
    number: int | None = None
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    since: int = 0
    after: bool = False

    def befalls(self, number: int, method: str, path: str) -> bool:
        """Whether it is this request's turn; counts it."""
        if self.times == 0 or self.number not in (None, number) or number < self.since:
            return False
        if not (fnmatch.fnmatch(method, self.method) and fnmatch.fnmatch(path, self.path)):
            return False
        self.times = None if self.times is None else self.times - 1
        return True


def cut() -> None:
    """End the connection."""
    raise Cut


def status(code: int, message: str = "", **headers: str) -> Action:
    """A plain answer of GitHub's in place of the right one: 403, 404, 422, 500, 502…"""

    def refuse() -> None:
        raise Refused(code, message or f"Status {code}", **headers)

    return refuse


def primary_limit(reset_in: float = 1) -> Action:
    """The hour's requests are used up."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time() + reset_in))}
    return status(403, "API rate limit exceeded for user ID 1.", **headers)


def secondary_limit(retry_after: int = 1) -> Action:
    """Too many requests in too little time."""
    words = "You have exceeded a secondary rate limit. Please wait a few minutes."
    return status(403, words, **{"retry-after": str(retry_after)})
