"""What can go wrong on the way, as actions for `Standin.at` and `Standin.on`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch

from tests.github.standin.routing import Refused

Action = Callable[[], object]  # what happens; it may raise Refused or Cut


HALF = object()  # what an action returns to cut the answer


class Cut(Exception):
    """The connection ends without an answer."""


class Page(Exception):
    """Something else answers with status 200."""

    def __init__(self, body: bytes, kind: str) -> None:
        super().__init__(body)
        self.body, self.kind = body, kind


@dataclass
class Fault:
    """An action before the requests `first` to `last` that match `pattern`, or after them."""

    action: Action
    first: float = 1
    last: float = float("inf")
    pattern: str = "*"
    after: bool = False

    def applies(self, number: int, request: object, after: bool) -> bool:
        turn = self.first <= number <= self.last and after == self.after
        return turn and fnmatch(str(request), self.pattern)


def cut() -> None:
    raise Cut


def truncated() -> Action:
    """Half of the answer, whose head promises the whole."""
    return lambda: HALF


def html() -> Action:
    """A page for people with status 200, such as a proxy's."""

    def answer() -> None:
        raise Page(b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>", "text/html")

    return answer


def content(body: str, kind: str = "application/json") -> Action:
    """This answer with status 200, whatever was requested."""

    def answer() -> None:
        raise Page(body.encode(), kind)

    return answer


def status(code: int, message: str, **headers: str) -> Action:
    """A plain answer of GitHub's in place of the right one: 403, 404, 422, 500, 502…"""

    def refuse() -> None:
        raise Refused(code, message, **headers)

    return refuse


def primary_limit(seconds: float) -> Action:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time() + seconds))}
    return status(403, "API rate limit exceeded for user ID 1.", **headers)


def secondary_limit(retry_after: int) -> Action:
    words = "You have exceeded a secondary rate limit. Please wait a few minutes."
    return status(429, words, **{"retry-after": str(retry_after)})
