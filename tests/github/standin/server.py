"""The stand-in itself: remembers, checks every request and response, fails on demand."""

import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.github.standin import description, issues, pulls, repositories
from tests.github.standin.faults import Action, Fault, cut
from tests.github.standin.model import Repository
from tests.github.standin.routing import NOT_FOUND, ROUTES, Call, Refused, Route, Token

HANDLERS = (issues, pulls, repositories)  # importing them fills ROUTES
ROUTES.sort(key=lambda one: -one.template.count("/"))  # the most particular first


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    raw: bytes
    token: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Standin:
    """GitHub: its repositories, its tokens, what it was asked, and what was wrong with that."""

    ids: Iterator[int] = field(default_factory=lambda: itertools.count(4_000_001))
    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_repository(self, name: str = "ada/claims", **values: Any) -> Repository:
        owner, _, short = name.partition("/")
        repository = Repository(owner, short, self.ids, **values)
        return self.repositories.setdefault(name.lower(), repository)

    def add_token(self, login: str = "ada") -> str:
        """A person's token, which may do whatever the person may."""
        return self._add(Token(login))

    def add_workflow_token(self, repository: Repository, rights: Mapping[str, str]) -> str:
        return self._add(Token("github-actions[bot]", rights, repository.full_name))

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

    def handle(self, request: Request) -> tuple[int, Any, Mapping[str, str]]:
        """The answer to a request, faults included: its status, body and headers."""
        with self.lock:
            self.requests.append(request)
            number = len(self.requests)
            try:
                self.fail(number, request, after=False)
                answer = self.answer(request)
                self.fail(number, request, after=True)
            except Refused as refused:
                return refused.status, refused.body, refused.headers
            return *answer, {}

    def fail(self, number: int, request: Request, after: bool) -> None:
        for fault in self.faults:
            if fault.applies(number, request, after):
                fault.action()

    def answer(self, request: Request) -> tuple[int, Any]:
        routes = ((one, one.match(request.method, request.path)) for one in ROUTES)
        route, quoted = next(((one, names) for one, names in routes if names), (None, None))
        if route is None or quoted is None:
            self.violations.append(f"{request}: no such path in the stand-in")
            raise Refused(404, NOT_FOUND)
        names = {key: unquote(value) for key, value in quoted.items()}
        operation = description.operation(request.method, route.template)
        sent = operation.request(names, request.query, request.raw)
        faults = list(operation.faults_of_request(sent))
        try:
            result = route.handler(self.admit(request, route, names))
            status, body = result if isinstance(result, tuple) else (200, result)
        except Refused as refused:
            status, body = refused.status, refused.body
        data = b"" if body is None else json.dumps(body).encode()
        faults += operation.faults_of_response(sent, status, data)
        self.violations += [f"{request} → {status}: {one}" for one in faults]
        return status, body

    def admit(self, request: Request, route: Route, names: dict[str, str]) -> Call:
        """What a handler sees of the request; refuses who may not ask this."""
        token = self.tokens.get(request.token)
        if token is None:
            raise Refused(401, "Bad credentials")
        repository = self.repositories.get(f"{names['owner']}/{names['repo']}".lower())
        if repository is None or not token.may(repository, route.needs, "read"):
            raise Refused(404, NOT_FOUND)
        if request.method != "GET" and not token.may(repository, route.needs, "write"):
            kind = "integration" if token.repository else "personal access token"
            raise Refused(403, f"Resource not accessible by {kind}")
        body = json.loads(request.raw) if request.raw else None
        return Call(repository, token, names, request.query, body)
