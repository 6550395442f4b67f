"""How a request finds its handler, and what a handler may know and answer."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.github.standin.beginning import Clock
from tests.github.standin.description import HOST
from tests.github.standin.model import Issue, Repository

ROLES = ["none", "read", "triage", "write", "maintain", "admin"]
SEGMENTS = {"ref": ".+", "path": ".*", "basehead": ".+", "branch": ".+"}  # others: just one


class Refused(Exception):
    """GitHub says no."""

    def __init__(
        self,
        status: int,
        message: str,
        *errors: dict[str, str],
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        if errors:
            self.body["errors"] = list(errors)


def invalid(resource: str, field: str, code: str, message: str = "") -> Refused:
    """A 422 as GitHub words it."""
    error = {"resource": resource, "code": code, "field": field}
    if message:
        error["message"] = message
    return Refused(422, "Validation Failed", error)


NOT_FOUND = "Not Found"


@dataclass
class Token:
    """Who asks, and with which rights.

    A workflow's token belongs to one repository and has rights by name ("issues": "write"); a
    person's token has the rights of that person, or those named.
    """

    login: str
    rights: Mapping[str, str] | None = None
    repository: str | None = None

    def may(self, repository: Repository, needs: Sequence[str], level: str) -> bool:
        """Whether one of the rights in `needs` is there, at the level."""
        if self.repository and self.repository != repository.full_name:
            return level == "read" and not repository.private
        if self.rights is not None:
            levels = ["", "read", "write"]
            given = max(levels.index(self.rights.get(need, "")) for need in needs)
            public = not repository.private and level == "read"
            if given < levels.index(level) and not public:
                return False
        if self.repository:
            return True
        role = repository.collaborators.get(self.login, "none" if repository.private else "read")
        wanted = "admin" if "administration" in needs and level == "write" else level
        if wanted == "write" and set(needs) & {"issues", "pull_requests"}:
            wanted = "triage"
        if "anyone" in needs:
            wanted = "read"
        return ROLES.index(role) >= ROLES.index(wanted)


@dataclass
class Call:
    """One request as a handler sees it."""

    clock: Clock
    repositories: dict[str, Repository]
    token: Token | None
    names: dict[str, str]
    query: dict[str, list[str]]
    body: Any
    path: str
    limits: dict[str, int]
    repository: Repository = field(default=None)  # type: ignore[assignment]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """Who asks."""
        return self.token.login if self.token else "anonymous"

    def get(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return self.query.get(name, [default])[-1]

    def issue(self, name: str = "issue_number") -> Issue:
        """The issue that the path names."""
        found = self.repository.issues.get(int(self.names[name]))
        if found is None:
            raise Refused(404, NOT_FOUND)
        return found

    def page(self, items: Iterable[Any]) -> list[Any]:
        """The page of `items` that was asked for, with the Link header that leads on."""
        whole = list(items)
        size = min(max(int(self.get("per_page", "30")), 1), 100)
        page, last = max(int(self.get("page", "1")), 1), max(-(-len(whole) // size), 1)
        places = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        kept = ["prev", "first"] if page > 1 else []
        kept += ["next", "last"] if page < last else []
        links = []
        for rel in kept:
            query = [(key, one) for key in self.query for one in self.query[key] if key != "page"]
            query.append(("page", str(places[rel])))
            links.append(f'<{HOST}{self.path}?{urlencode(query)}>; rel="{rel}"')
        if links:
            self.headers["Link"] = ", ".join(links)
        return whole[(page - 1) * size : page * size]


Answer = Any  # a body for status 200, or (status, body)
Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A method and a path of GitHub's description, and who may use it."""

    method: str
    template: str
    needs: tuple[str, ...]
    handler: Handler

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The names in the path if it is this route's."""
        found = re.fullmatch(pattern(self.template), path) if method == self.method else None
        return found.groupdict() if found else None


def pattern(template: str) -> str:
    """A path of the description as a regular expression."""
    return re.sub(
        r"\{(\w+)\}",
        lambda name: f"(?P<{name[1]}>{SEGMENTS.get(name[1], '[^/]+')})",
        template.replace(".", r"\."),
    )


ROUTES: list[Route] = []


def route(method: str, template: str, *needs: str) -> Callable[[Handler], Handler]:
    """Register a handler; `{repository}` in a template stands for a repository's own path.

    One of the rights in `needs` is enough; "anyone" lets everybody write who can read.
    """
    template = template.replace("{repository}", "/repos/{owner}/{repo}")

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, needs or ("metadata",), handler))
        return handler

    return register
