"""How a request finds its handler, and what a handler may know and answer."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.github.standin.model import Issue, Repository

NOT_FOUND = "Not Found"
DOCS = "https://docs.github.com/rest"
BOT = "github-actions[bot]"
Answer = Any  # a body for status 200, or (status, body)


class Refused(Exception):
    def __init__(self, status: int, message: str, *errors: dict[str, str], **headers: str) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self.body: dict[str, Any] = {"message": message, "status": str(status)}
        self.body["documentation_url"] = DOCS
        if errors:
            self.body["errors"] = list(errors)


class Moved(Exception):
    """What was requested is at another path: 301 where it was read, 307 where it was written."""

    def __init__(self, status: int, path: str) -> None:
        super().__init__(path)
        self.status, self.path = status, path


def invalid(resource: str, field: str, code: str, message: str = "") -> Refused:
    error = {"resource": resource, "code": code, "field": field}
    return Refused(422, "Validation Failed", error | ({"message": message} if message else {}))


@dataclass
class Token:
    """Who asks, and with which rights.

    The token of a workflow or an app belongs to one repository and has rights by name ("issues":
    "write"); a person's token has the rights of that person.
    """

    login: str
    rights: Mapping[str, str] = field(default_factory=dict)
    repository: Repository | None = None

    @property
    def limit(self) -> int:
        """How many requests it has an hour; all workflows of a repository share theirs."""
        return 1_000 if self.login == BOT else 5_000

    def may(self, repository: Repository, needs: Sequence[str], level: str) -> bool:
        """Whether it has one of the rights in `needs`, at the level `read` or `write`."""
        if self.repository is repository:
            rights = {self.rights.get(need) for need in needs} - {None}
            own = "metadata" in needs or bool(rights) if level == "read" else "write" in rights
        else:
            own = self.login == repository.owner
        return own or (not repository.private and (level == "read" or "anyone" in needs))


@dataclass
class Call:
    repository: Repository
    token: Token
    names: dict[str, str]
    query: dict[str, list[str]]
    body: Any
    last_page: int = 1  # of the list that is the answer

    def get(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[-1]

    def issue(self, name: str = "issue_number") -> Issue:
        number = int(self.names[name])
        issue, path = self.repository.issues.get(number), self.repository.gone.get(number)
        if path:
            raise Moved(301, path)
        if path is not None:
            raise Refused(410, "This issue was deleted")
        if issue and not issue.pull:
            self.check_issues()
        if issue is None or (name == "pull_number" and not issue.pull):
            raise Refused(404, NOT_FOUND)
        return issue

    def check_issues(self) -> None:
        if not self.repository.settings.get("has_issues", True):
            raise Refused(410, "Issues has been disabled in this repository.")

    def newest_issues(self) -> list[Issue]:
        return list(reversed(self.repository.issues.values()))

    def page(self, items: Iterable[Any]) -> list[Any]:
        size, page = min(int(self.get("per_page", "30")), 100), int(self.get("page", "1"))
        everything = list(items)
        self.last_page = max(1, -(-len(everything) // size))
        return everything[(page - 1) * size : page * size]


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A method and a path of GitHub's description, and who may use it."""

    method: str
    template: str
    needs: tuple[str, ...]
    handler: Handler

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The names in the path if it is this route's; a reference or a file may have slashes."""
        pattern = re.sub(r"\{(ref|path)\}", r"(?P<\1>.+)", self.template)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        match = re.fullmatch(pattern, path) if method == self.method else None
        return match.groupdict() if match else None


ROUTES: list[Route] = []


def route(method: str, path: str, *needs: str) -> Callable[[Handler], Handler]:
    """Register a handler for a path below a repository.

    One of the rights in `needs` is enough; "anyone" lets everybody write who can read.
    """

    def register(handler: Handler) -> Handler:
        template = path if path.startswith("/apps/") else f"/repos/{{owner}}/{{repo}}{path}"
        ROUTES.append(Route(method, template, needs or ("metadata",), handler))
        return handler

    return register
