"""The stand-in itself: remembers, checks every request and response, fails on demand."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.github.standin import description, issues, pulls, repositories
from tests.github.standin.faults import Action, Fault, cut
from tests.github.standin.model import Clock, Repository
from tests.github.standin.routing import NOT_FOUND, ROUTES, Call, Refused, Route, Token

HANDLERS = (issues, pulls, repositories)  # importing them fills ROUTES
ROUTES.sort(key=lambda one: -one.template.count("/"))  # the most particular first
ANONYMOUS = Token("anonymous")


@dataclass
class Request:
    """A request as it was received, and the status that answered it (0: the connection was cut)."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    headers: dict[str, str]
    status: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Standin:
    """GitHub: its repositories, its tokens, what it was asked, and what was wrong with that."""

    clock: Clock = field(default_factory=Clock)
    repositories: dict[str, Repository] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_repository(self, name: str = "ada/claims", **values: Any) -> Repository:
        """A new repository; `private`, `paid`, `default_branch` as keywords."""
        owner, _, short = name.partition("/")
        repository = Repository(owner, short, self.clock, **values)
        return self.repositories.setdefault(name.lower(), repository)

    def add_fork(self, parent: Repository, owner: str) -> Repository:
        """The repository at another owner."""
        return self.repositories.setdefault(f"{owner}/{parent.name}".lower(), parent.fork(owner))

    def add_token(
        self,
        login: str = "ada",
        rights: Mapping[str, str] | None = None,
        repository: str | None = None,
    ) -> str:
        """A token; without `rights` it may do whatever its person may."""
        secret = f"ghp_{login.strip('[]')}{len(self.tokens)}"
        self.tokens[secret] = Token(login, rights, repository)
        return secret

    def add_workflow_token(self, repository: Repository, rights: Mapping[str, str]) -> str:
        """What a workflow gets as GITHUB_TOKEN."""
        return self.add_token("github-actions[bot]", rights, repository.full_name)

    def at(self, number: int, action: Action, after: bool = False) -> None:
        """Let something happen at the n-th request (from 1, counted since `forget`)."""
        self.faults.append(Fault(action, number, after=after))

    def on(self, method: str, path: str, action: Action, times: int | None = 1) -> None:
        """Let something happen at requests of a method to a path (both may hold `*`)."""
        self.faults.append(Fault(action, None, method, path, times))

    def kill_at(self, number: int, effective: bool = True) -> None:
        """What a client sees of its own end: the n-th request (`effective` or not) is its last."""
        self.at(number, cut, after=effective)
        self.faults.append(Fault(cut, times=None, since=number + 1))

    def forget(self) -> None:
        """Start the log anew, without faults."""
        self.requests.clear()
        self.faults.clear()

    @property
    def writes(self) -> list[Request]:
        """The requests that asked for a change."""
        return [one for one in self.requests if one.method != "GET"]

    def handle(self, request: Request, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        """The answer to a request, faults included."""
        with self.lock:
            self.requests.append(request)
            number, method, path = len(self.requests), request.method, request.path
            faults = [one for one in self.faults if one.befalls(number, method, path)]
        try:
            for fault in faults:
                if not fault.after:
                    fault.action()
            with self.lock:
                answer = self.answer(request, raw)
            for fault in faults:
                if fault.after:
                    fault.action()
        except Refused as refused:
            answer = refused.status, refused.body, refused.headers
        request.status = answer[0]
        return answer

    def answer(self, request: Request, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        """What GitHub would answer."""
        routes = ((one, one.match(request.method, request.path)) for one in ROUTES)
        route, quoted = next(((one, names) for one, names in routes if names), (None, None))
        if route is None or quoted is None:
            self.violations.append(f"{request}: no such path in the stand-in")
            raise Refused(404, NOT_FOUND)
        names = {key: unquote(value) for key, value in quoted.items()}
        operation = description.operation(request.method, route.template)
        sent = operation.request(names, request.query, raw)
        faults = list(operation.faults_of_request(sent))
        try:
            call = self.admit(request, route, names)
            if faults:
                raise Refused(422, f"Invalid request.\n\n{faults[0]}")
            result = route.handler(call)
            status, body = result if isinstance(result, tuple) else (200, result)
            body = operation.complete(status, body)
        except Refused as refused:
            status, body = refused.status, refused.body
        data = b"" if body is None else json.dumps(body).encode()
        faults += operation.faults_of_response(sent, status, data)
        self.violations += [f"{request} → {status}: {one}" for one in faults]
        return status, body, {}

    def admit(self, request: Request, route: Route, names: dict[str, str]) -> Call:
        """What a handler sees of the request; refuses who may not ask this."""
        secret = request.headers.get("authorization", "").rpartition(" ")[2]
        if secret and secret not in self.tokens:
            raise Refused(401, "Bad credentials")
        token = self.tokens.get(secret, ANONYMOUS)
        repository = self.repositories.get(f"{names['owner']}/{names['repo']}".lower())
        if repository is None or not token.may(repository, ["metadata", *route.needs], "read"):
            raise Refused(404, NOT_FOUND)
        if not token.may(repository, route.needs, "read" if request.method == "GET" else "write"):
            kind = "integration" if token.repository else "personal access token"
            raise Refused(403, f"Resource not accessible by {kind}")
        return Call(repository, token, names, request.query, request.body)
