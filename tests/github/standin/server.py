"""The stand-in itself: remembers, checks every request and response, fails on demand."""

import itertools
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from tests.github.standin import description, graph, issues, native, pulls, repositories
from tests.github.standin.description import ENTERPRISE
from tests.github.standin.faults import HALF, Action, Fault, Page, cut
from tests.github.standin.model import Repository
from tests.github.standin.routing import (
    BOT,
    DOCS,
    NOT_FOUND,
    ROUTES,
    Call,
    Moved,
    Refused,
    Route,
    Token,
)

HANDLERS = (issues, native, pulls, repositories)  # importing them fills ROUTES
VERSION, OLD_VERSION = "2026-03-10", "2022-11-28"  # of the API; a server has only the old one
USED_UP = "API rate limit exceeded for {} ID 1. If you reach out to GitHub Support for help, …"
ROUTES.sort(key=lambda one: -one.template.count("/"))  # the most particular first


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    raw: bytes
    token: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]
    is_cut: bool = False


@dataclass
class Standin:
    """GitHub: its repositories, its tokens, what it was asked, and what was wrong with that."""

    ids: Iterator[int] = field(default_factory=lambda: itertools.count(4_000_001))
    repositories: dict[str, Repository] = field(default_factory=dict)
    renamed: dict[str, Repository] = field(default_factory=dict)  # by their old names
    tokens: dict[str, Token] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    used: Counter[object] = field(default_factory=Counter)  # requests of this hour, by who shares
    reset: int = field(default_factory=lambda: int(time.time()) + 3600)
    late: int = 0  # newest versions that the history of a text does not have yet
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_repository(self, name: str = "ada/claims", **values: Any) -> Repository:
        owner, _, short = name.partition("/")
        repository = Repository(owner, short, self.ids, **values)
        return self.repositories.setdefault(name.lower(), repository)

    def add_token(self, login: str = "ada") -> str:
        """A person's token, which may do whatever the person may."""
        return self._add(Token(login))

    def add_workflow_token(
        self, repository: Repository, rights: Mapping[str, str], login: str = BOT
    ) -> str:
        """The token of a workflow, or of the app with this `login`."""
        return self._add(Token(login, rights, repository))

    def leave(self, secret: str, requests: int) -> None:
        """Let a token, and those that share its limit, have so many requests left."""
        token = self.tokens[secret]
        self.used[token.repository, token.login] = token.limit - requests

    def rename(self, repository: Repository, name: str) -> None:
        """Give a repository another name, of the same owner or another; the old one redirects."""
        old = repository.full_name.lower()
        self.renamed[old] = self.repositories.pop(old)
        repository.owner, _, repository.name = name.partition("/")
        self.repositories[name.lower()] = repository

    def _add(self, token: Token) -> str:
        secret = f"ghp_{len(self.tokens)}"
        self.tokens[secret] = token
        return secret

    def at(self, number: int, action: Action) -> None:
        """Let something happen at the n-th request (from 1, counted since `forget`)."""
        self.faults.append(Fault(action, number, number))

    def on(self, pattern: str, action: Action) -> None:
        """Let something happen at all requests that match, such as `POST */labels`."""
        self.faults.append(Fault(action, pattern=pattern))

    def kill_at(self, number: int) -> None:
        """What a client sees of its own end: the n-th request has its effect and is its last."""
        self.faults += [Fault(cut, number, number, after=True), Fault(cut, number + 1)]

    def forget(self) -> None:
        self.requests.clear()
        self.faults.clear()

    @property
    def writes(self) -> list[Request]:
        return [one for one in self.requests if one.method != "GET"]

    def handle(self, request: Request) -> Reply:
        """The answer to a request, faults included."""
        with self.lock:
            self.requests.append(request)
            number, headers = len(self.requests), {"Content-Type": "application/json"}
            try:
                headers |= self.count(self.tokens.get(request.token), request.path)
                effects = self.fail(number, request, after=False)
                status, body, more = self.answer(request)
                self.fail(number, request, after=True)
            except Page as page:
                return Reply(200, page.body, {"Content-Type": page.kind})
            except Moved as moved:
                url, message = f"{self.url}{moved.path}", "Moved Permanently"
                body = {"message": message, "url": url, "documentation_url": DOCS}
                status, more, effects = moved.status, {"Location": url}, []
            except Refused as refused:
                status, body, more, effects = refused.status, refused.body, refused.headers, []
            data = b"" if body is None else json.dumps(body).encode()
            return Reply(status, data, {**headers, **more}, HALF in effects)

    def fail(self, number: int, request: Request, after: bool) -> list[object]:
        return [one.action() for one in self.faults if one.applies(number, request, after)]

    def count(self, token: Token | None, path: str) -> dict[str, str]:
        """Count a request, and say what is left; refuses it when nothing is."""
        if token is None:
            return {}
        kind = token.repository, token.login
        is_over = self.used[kind] >= token.limit
        self.used[kind] += not is_over
        left = {"limit": token.limit, "remaining": token.limit - self.used[kind]}
        left |= {"used": self.used[kind], "reset": self.reset}
        headers = {f"x-ratelimit-{name}": str(value) for name, value in left.items()}
        if is_over:
            who = "installation" if token.repository else "user"
            if path == "/graphql":
                error = {"type": "RATE_LIMIT", "message": USED_UP.format(who)}
                raise Page(json.dumps({"errors": [error]}).encode(), "application/json")
            raise Refused(403, USED_UP.format(who), **headers)
        return headers

    def answer(self, request: Request) -> tuple[int, Any, Mapping[str, str]]:
        token = self.tokens.get(request.token)
        if token is None:
            raise Refused(401, "Bad credentials")
        if (request.method, request.path) == ("POST", "/graphql"):
            places, body = list(self.repositories.values()), json.loads(request.raw)
            content, points = graph.answer(places, token, body, self.late)
            self.used[token.repository, token.login] += points - 1
            return 200, content, {}
        path = self.current_path(request, token)
        routes = ((one, one.match(request.method, path)) for one in ROUTES)
        route, quoted = next(((one, names) for one, names in routes if names), (None, None))
        if route is None or quoted is None:
            self.violations.append(f"{request}: no such path in the stand-in")
            raise Refused(404, NOT_FOUND)
        names = {key: unquote(value) for key, value in quoted.items()}
        operation = description.operation(request.method, route.template)
        enterprise = description.operation(request.method, route.template, ENTERPRISE)
        is_everywhere = route.template in enterprise.content["paths"]
        sent, headers = operation.request(names, request.query, request.raw), {}
        faults = [*operation.faults_of_request(sent)]
        if is_everywhere:
            faults += [f"on Enterprise: {one}" for one in enterprise.faults_of_request(sent)]
        try:
            call = self.admit(request, token, route, names)
            if call.repository.is_server and request.version != OLD_VERSION:
                raise Refused(400, f"Version {request.version} is not supported")
            if call.repository.is_server and not is_everywhere:
                raise Refused(404, NOT_FOUND)
            result = route.handler(call)
            status, body = result if isinstance(result, tuple) else (200, result)
            headers = self.links(request, call)
        except Refused as refused:
            status, body = refused.status, refused.body
        data = b"" if body is None else json.dumps(body).encode()
        faults += operation.faults_of_response(sent, status, data)
        self.violations += [f"{request} → {status}: {one}" for one in faults]
        return status, body, headers

    def current_path(self, request: Request, token: Token) -> str:
        """The path by name for one by a repository's number; an old name is Moved."""
        _, root, first, second, *rest = [*request.path.split("/"), "", "", ""]
        if root == "repositories":
            for one in self.repositories.values():
                if str(one.id) == first:
                    return re.sub(r"^/repositories/\d+", f"/repos/{one.full_name}", request.path)
        name = f"{first}/{second}".lower()
        old = None if name in self.repositories else self.renamed.get(name)
        if root != "repos" or old is None or not token.may(old, ("metadata",), "read"):
            return request.path
        query = urlencode(request.query, doseq=True)
        below = "/".join(["", *filter(None, rest)]) + (f"?{query}" if query else "")
        raise Moved(301 if request.method == "GET" else 307, f"/repositories/{old.id}{below}")

    def links(self, request: Request, call: Call) -> dict[str, str]:
        """The header that leads from one page of a list to the others."""
        page, last = int(call.get("page", "1")), call.last_page
        pages = {"next": page + 1, "last": last} if page < last else {}
        pages |= {"first": 1, "prev": page - 1} if page > 1 else {}
        base = re.sub("^/repos/[^/]+/[^/]+", f"/repositories/{call.repository.id}", request.path)
        urls = {
            rel: f"{self.url}{base}?{urlencode({**request.query, 'page': number}, doseq=True)}"
            for rel, number in pages.items()
        }
        value = ", ".join(f'<{url}>; rel="{rel}"' for rel, url in urls.items())
        return {"Link": value} if value else {}

    def admit(self, request: Request, token: Token, route: Route, names: dict[str, str]) -> Call:
        """What a handler sees of the request; refuses who may not ask this."""
        name = f"{names['owner']}/{names['repo']}" if "owner" in names else "ada/claims"
        repository = self.repositories.get(name.lower())
        if repository is None or not token.may(repository, route.needs, "read"):
            raise Refused(404, NOT_FOUND)
        if request.method != "GET" and not token.may(repository, route.needs, "write"):
            kind = "integration" if token.repository else "personal access token"
            raise Refused(403, f"Resource not accessible by {kind}")
        body = json.loads(request.raw) if request.raw else None
        return Call(repository, token, names, request.query, body)
