"""What can go wrong on the way, scripted.

`github.at(3, cut_after())`, `github.on("POST", "*/labels", status(502), times=2)`.
"""

import fnmatch
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Cut(Exception):
    """The connection ends without an answer."""


@dataclass(frozen=True)
class Failure:
    """An answer that GitHub gives instead of doing what was asked."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


# Called with the moment ("before" the request is carried out, or "after"); an answer replaces it.
Effect = Callable[[str], Failure | None]


@dataclass
class Fault:
    """An effect, and the requests that it befalls."""

    effect: Effect
    number: int | None = None
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    since: int = 0

    def befalls(self, number: int, method: str, path: str) -> bool:
        """Whether it is this request's turn; counts it."""
        if self.times == 0 or self.number not in (None, number) or number < self.since:
            return False
        if not (fnmatch.fnmatch(method, self.method) and fnmatch.fnmatch(path, self.path)):
            return False
        if self.times is not None:
            self.times -= 1
        return True


def before(action: Callable[[], Failure | None]) -> Effect:
    """An effect before the request is carried out."""
    return lambda moment: action() if moment == "before" else None


def status(code: int, message: str = "", **headers: str) -> Effect:
    """A plain refusal: 403, 404, 422, 500, 502, 503…"""
    words = {403: "Resource not accessible by integration", 404: "Not Found", 502: "Server Error"}
    body = {"message": message or words.get(code, f"Status {code}"), "status": str(code)}
    body["documentation_url"] = "https://docs.github.com/rest"
    return before(lambda: Failure(code, body, headers))


def primary_limit(reset_in: float = 1, code: int = 403) -> Effect:
    """The hour's requests are used up."""
    body = {"message": "API rate limit exceeded for user ID 1."}
    headers = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-used": "5000",
        "x-ratelimit-resource": "core",
    }
    return before(
        lambda: Failure(
            code, body, headers | {"x-ratelimit-reset": str(int(time.time() + reset_in))}
        )
    )


def secondary_limit(retry_after: int = 1, code: int = 403) -> Effect:
    """Too many requests in too little time."""
    body = {
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you "
        "try again.",
        "documentation_url": "https://docs.github.com/rest/using-the-rest-api/"
        "rate-limits-for-the-rest-api#about-secondary-rate-limits",
    }
    return before(lambda: Failure(code, body, {"retry-after": str(retry_after)}))


def delay(seconds: float) -> Effect:
    """A slow answer: the request is carried out, the client may have given up."""

    def effect(moment: str) -> None:
        if moment == "after":
            time.sleep(seconds)

    return effect


def cut_before() -> Effect:
    """The connection ends before the request took effect."""
    return call(_cut)


def cut_after() -> Effect:
    """The connection ends when the request took effect, before its answer."""
    return call(_cut, "after")


def _cut() -> None:
    raise Cut


def call(action: Callable[[], object], moment: str = "before") -> Effect:
    """Anything else: another writer's change, or the end of the client's process."""

    def effect(now: str) -> None:
        if now == moment:
            action()

    return effect
