"""The stand-in itself: remembers, checks every request and response, fails on demand."""

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.github.standin import description, issues, links, pulls, repositories, rulesets
from tests.github.standin.beginning import Clock
from tests.github.standin.description import Answered
from tests.github.standin.faults import Effect, Fault, cut_after, cut_before
from tests.github.standin.model import Repository
from tests.github.standin.routing import NOT_FOUND, ROUTES, Call, Refused, Route, Token, pattern

HANDLERS = (issues, links, pulls, repositories, rulesets)  # importing them fills ROUTES
ROUTES.sort(key=lambda one: -len(pattern(one.template).split("/")))  # the most particular first


@dataclass
class Request:
    """A request as it was received, and the status that answered it (0: the connection was cut)."""

    number: int
    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    headers: dict[str, str]
    login: str = "anonymous"
    status: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it asks for a change."""
        return self.method not in ("GET", "HEAD")

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
    limits: dict[str, int] = field(default_factory=dict)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.limit(5000)

    def add_repository(self, name: str = "ada/claims", **values: Any) -> Repository:
        """A new repository; `private`, `paid`, `default_branch` as keywords."""
        owner, _, short = name.partition("/")
        made = Repository(owner, short, self.clock, **values)
        return self.repositories.setdefault(name.lower(), made)

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

    def limit(self, remaining: int, reset_in: float = 3600) -> None:
        """How many requests are left until the hour ends."""
        reset = int(time.time() + reset_in)
        self.limits.update(limit=5000, remaining=remaining, used=5000 - remaining, reset=reset)

    def at(self, number: int, effect: Effect) -> None:
        """Let something happen at the n-th request (from 1, counted since `forget`)."""
        self.faults.append(Fault(effect, number))

    def on(self, method: str, path: str, effect: Effect, times: int | None = 1) -> None:
        """Let something happen at requests of a method to a path (both may hold `*`)."""
        self.faults.append(Fault(effect, None, method, path, times))

    def kill_at(self, number: int, effective: bool = True) -> None:
        """What a client sees of its own end: the n-th request (`effective` or not) is its last."""
        self.at(number, cut_after() if effective else cut_before())
        self.faults.append(Fault(cut_before(), times=None, since=number + 1))

    def forget(self) -> None:
        """Start the log anew, without faults."""
        self.requests.clear()
        self.faults.clear()

    @property
    def writes(self) -> list[Request]:
        """The requests that asked for a change."""
        return [one for one in self.requests if one.is_write]

    def handle(self, request: Request, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        """The answer to a request, faults included."""
        with self.lock:
            self.requests.append(request)
            request.number = len(self.requests)
            number, method, path = request.number, request.method, request.path
            faults = [one for one in self.faults if one.befalls(number, method, path)]
        for fault in faults:
            if failure := fault.effect("before"):
                request.status = failure.status
                return failure.status, failure.body, failure.headers
        with self.lock:
            answer = self.answer(request, raw)
        for fault in faults:
            fault.effect("after")
        request.status = answer[0]
        return answer

    def answer(self, request: Request, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        """What GitHub would answer."""
        path = request.path
        if request.method == "GET":  # PyGithub's way to statuses: a legacy route, says GitHub
            path = re.sub(r"/statuses/(\w+)$", r"/commits/\1/statuses", path)
        found = [(one, one.match(request.method, path)) for one in ROUTES]
        matches = [(one, names) for one, names in found if names is not None]
        if not matches:
            self.violations.append(f"{request}: no such path in the stand-in")
            return 404, {"message": NOT_FOUND}, {}
        route, quoted = matches[0]
        names = {key: unquote(value) for key, value in quoted.items()}
        judge = description.read()
        asked = judge.asked(request.method, route.template, names, request.query, raw)
        faults = list(judge.faults_of_request(asked, route.template))
        self.violations += [f"{request}: {one}" for one in faults]
        call = Call(
            self.clock,
            self.repositories,
            None,
            names,
            request.query,
            request.body,
            request.path,
            self.limits,
        )
        try:
            self.admit(request, route, call)
            if faults:
                raise Refused(422, f"Invalid request.\n\n{faults[0]}")
            result = route.handler(call)
            status, body = result if isinstance(result, tuple) else (200, result)
            body = judge.complete(request.method, route.template, status, body)
        except Refused as refused:
            status, body = refused.status, refused.body
            call.headers |= refused.headers
        data = b"" if body is None else json.dumps(body).encode()
        for one in judge.faults_of_response(asked, route.template, Answered(status, data)):
            self.violations.append(f"{request} → {status}: {one}")
        return status, body, call.headers | self.limit_headers()

    def limit_headers(self) -> dict[str, str]:
        """How many requests are left, as every answer says."""
        return {f"x-ratelimit-{key}": str(value) for key, value in self.limits.items()} | {
            "x-ratelimit-resource": "core"
        }

    def admit(self, request: Request, route: Route, call: Call) -> None:
        """Refuse who may not ask this; tell the handler who asks, and about which repository."""
        secret = request.headers.get("authorization", "").rpartition(" ")[2]
        if secret:
            if secret not in self.tokens:
                raise Refused(401, "Bad credentials")
            call.token = self.tokens[secret]
            request.login = call.token.login
        if request.path != "/rate_limit":
            if self.limits["reset"] <= time.time():
                self.limit(5000)
            if self.limits["remaining"] <= 0:
                raise Refused(403, f"API rate limit exceeded for user {request.login}.")
            self.limits["remaining"] -= 1
            self.limits["used"] += 1
        if "owner" not in call.names:
            return
        repository = self.repositories.get(f"{call.names['owner']}/{call.names['repo']}".lower())
        reads = (
            ["metadata"] if repository and not repository.private else ["metadata", *route.needs]
        )
        token = call.token or Token("anonymous", {})
        if repository is None or not token.may(repository, reads, "read"):
            raise Refused(404, NOT_FOUND)
        call.repository = repository
        level = "write" if request.is_write else "read"
        if call.token is None and level == "write":
            raise Refused(401, "Requires authentication")
        if not token.may(repository, route.needs, level):
            kind = "integration" if token.repository else "personal access token"
            raise Refused(403, f"Resource not accessible by {kind}")
