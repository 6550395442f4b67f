"""The requests to GitHub, by `requests`; every refusal becomes one line of words."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dslp.core.console import notice
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.github.entities import Issue, PullRequest, read_issue, read_pull_request
from dslp.github.remote import find_address, find_token, is_github

if TYPE_CHECKING:
    from requests import Response, Session

PAGE = 100
VERSIONS = ("2026-03-10", "2022-11-28")  # of the API: GitHub's, and one that all servers have
MOST = 20  # requests for one event: GitHub Actions has 1,000 an hour for all of a repository
LIMIT = "GitHub's rate limit is used up; run this again later"
GONE = (301, 404, 410)  # an issue that was transferred, is not visible, or was deleted


class Unavailable(DslpError):
    """GitHub refuses a request.

    Attributes:
        status: GitHub's status code, or 0 where it did not answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the status beside the words."""
        super().__init__(message)
        self.status = status


class UsedUp(Unavailable):
    """The requests that one event may take are used up; what they were for is left as it was."""


@dataclass
class Repository:
    """A repository on GitHub, and the requests to it.

    Attributes:
        name: `owner/name`, as GitHub has it now.
        api: the address of GitHub's REST API.
        session: sends the requests, with the token.
        is_server: whether it is on a GitHub Enterprise Server.
        default_branch: GitHub's default branch.
        is_private: whether only its team may open issues.
        allowance: number of requests that may be sent for one event.
        sent: number of requests so far.
        issues_read: the issues that were read already; None where there is none.
        comments_read: the comments of the issues whose comments were read already.
        id: GitHub's own number of it, which outlives a renaming.
        refused: what GitHub, a plan or the token does not have, and is not tried twice.
    """

    name: str
    api: str
    session: "Session"
    is_server: bool = False
    default_branch: str = "main"
    is_private: bool = False
    allowance: float = inf
    sent: int = 0
    issues_read: dict[int, Issue | None] = field(default_factory=dict)
    comments_read: dict[int, list[Any]] = field(default_factory=dict)
    id: int = 0
    refused: set[str] = field(default_factory=set)

    def ask(self, verb: str, path: str, body: Any = None, unless: Sequence[int] = ()) -> Any:
        """Send one request about this repository and return GitHub's answer.

        Args:
            verb: GET, POST, PATCH, PUT or DELETE.
            path: below `/repos/OWNER/NAME`, with its query; or one that begins with `/apps`.
            body: the JSON to send, if any.
            unless: statuses of a refusal for which None is returned.

        Raises:
            Unavailable: GitHub refuses or does not answer. A request that reads is tried three
                times, and one that writes once, since it may have been carried out.
        """
        return self._send(verb, path, body, unless)[0]

    def query(self, query: str, **variables: Any) -> dict[str, Any]:
        """What GitHub answers to a GraphQL query about this repository, which only reads.

        Raises:
            Unavailable: GitHub refuses. For a part that does not exist, the answer has None.
        """
        owner, name = self.name.split("/")
        variables = {"owner": owner, "name": name, **variables}
        answer = self.ask("POST", "/graphql", {"query": query, "variables": variables})
        content = (answer.get("data") or {}).get("repository")
        errors = [one for one in answer.get("errors") or () if one.get("type") != "NOT_FOUND"]
        if "rate limit" in str(errors).lower():  # with status 200
            raise Unavailable(LIMIT, 429)
        if content is None or errors:
            raise Unavailable(f"GitHub answers: {error_line(errors or answer.get('errors'))}")
        return dict(content)

    def pages(self, path: str, most: int = 1_000, **query: str | None) -> Iterator[Any]:
        """Everything that a list has, page by page of 100, and at most so many pages."""
        for page in range(1, most + 1):
            parameters = {**query, "per_page": PAGE, "page": page}
            items, answer = self._send("GET", path, params=parameters)
            yield from items
            if "next" not in answer.links if answer.links else len(items) < PAGE:
                return

    def issue(self, number: int) -> Issue:
        """One issue, as GitHub has it now.

        Raises:
            Unavailable: there is none, or it was transferred.
        """
        issue = self.find_issue(number)
        if issue is None:
            raise Unavailable(f"{self.name} has no issue #{number} that this token may see", 404)
        return issue

    def find_issue(self, number: int | None) -> Issue | None:
        """One issue, read once; None where there is none."""
        return self.find_issues([number])[number] if number else None

    def find_issues(self, numbers: Iterable[int]) -> dict[int, Issue | None]:
        """Issues by their numbers, each read once; None where the repository has no such issue."""
        for number in numbers:
            if number not in self.issues_read:
                content = self.ask("GET", f"/issues/{number}", unless=GONE)
                self.issues_read[number] = read_issue(content) if content else None
        return self.issues_read

    def issues(
        self, labels: Sequence[str] = (), state: str = "all", most: int = 1_000
    ) -> Iterator[Issue]:
        """The issues that have each of the labels, without pull requests, the newest first."""
        for answer in self.pages("/issues", most, state=state, labels=",".join(labels) or None):
            if "pull_request" not in answer:
                issue = self.issues_read[answer["number"]] = read_issue(answer)
                yield issue

    def comments(self, issue: int) -> list[Any]:
        """The first 500 comments of an issue, read once."""
        if issue not in self.comments_read:
            self.comments_read[issue] = list(self.pages(f"/issues/{issue}/comments", most=5))
        return self.comments_read[issue]

    @cached_property
    def open_pull_requests(self) -> list[PullRequest]:
        """The open pull requests, the newest first, at most 200; read once."""
        return list(map(read_pull_request, self.pages("/pulls", most=2, state="open")))

    def pull_request(self, number: int) -> PullRequest:
        """One pull request.

        Raises:
            Unavailable: there is none.
        """
        for pull in self.open_pull_requests:
            if pull.number == number:
                return pull
        answer = self.ask("GET", f"/pulls/{number}", unless=(404,))
        if answer is None:
            raise Unavailable(f"{self.name} has no pull request #{number}: is it an issue?", 404)
        return read_pull_request(answer)

    def open_pull_requests_at(self, pull: PullRequest) -> list[PullRequest]:
        """The other open pull requests whose branch has the same commit at its head."""
        same = [one for one in self.open_pull_requests if one.sha == pull.sha]
        return [one for one in same if one.number != pull.number]

    def update_pull_request(self, pull: PullRequest, values: Mapping[str, str]) -> PullRequest:
        """Change a pull request's `base` or `state`, and return it as GitHub has it then."""
        if values.items() <= vars(pull).items():
            return pull
        answer = self.ask("PATCH", f"/pulls/{pull.number}", values)
        changed, pulls = read_pull_request(answer), self.open_pull_requests
        place = pulls.index(pull)
        pulls[place : place + 1] = [changed] * (changed.state == "open")
        return changed

    def open_issue(
        self, title: str, body: str, labels: Sequence[str], people: Sequence[str] = ()
    ) -> Issue:
        """Open an issue, and return it as GitHub made it: labels and people may be left out."""
        content = {"title": title, "body": body, "labels": labels, "assignees": people}
        issue = read_issue(self.ask("POST", "/issues", content))
        self.issues_read[issue.number], self.comments_read[issue.number] = issue, []
        return issue

    def make_branch(self, branch: str, base: str, is_new: bool = True) -> None:
        """Make a branch at the head of `base`, unless a pull request goes to it already.

        Raises:
            DslpError: it is to be new, and is at another commit.
        """
        if not any(pull.base == branch for pull in self.open_pull_requests):
            head = self.ask("GET", f"/git/ref/heads/{quote(base)}")["object"]["sha"]
            sha = self.make_ref(f"heads/{branch}", head)
            if is_new and sha != head:
                raise DslpError(f"it exists already, at {sha}: is that the model's work?")

    def make_ref(self, ref: str, sha: str) -> str:
        """Make a branch or a tag at a commit, unless it exists, and return its commit."""
        try:
            self.ask("POST", "/git/refs", {"ref": f"refs/{ref}", "sha": sha})
        except Unavailable as error:
            if "already exists" not in str(error):
                raise
            return str(self.ask("GET", f"/git/ref/{quote(ref)}")["object"]["sha"])
        return sha

    def start_tests(self, branch: str) -> None:
        """Start the tests of a branch, as GitHub does not for what GITHUB_TOKEN does.

        A repository that adopted the process may have none of that name, or none to start.
        """
        path = "/actions/workflows/tests.yml/dispatches"
        self.ask("POST", path, {"ref": branch}, unless=(404, 422))

    def _send(
        self, verb: str, path: str, body: Any = None, unless: Sequence[int] = (), **options: Any
    ) -> "tuple[Any, Response]":
        """Send one request: the content of the answer, and the answer."""
        from requests.exceptions import RequestException

        url = self.api + (path if path.startswith("/apps/") else f"/repos/{self.name}{path}")
        if path == "/graphql":
            url = self.api.removesuffix("/v3") + path
        if self.sent >= self.allowance:
            raise UsedUp(f"the {self.sent} requests of one event are used up")
        self.sent += 1
        options = {"allow_redirects": False, "timeout": 15, **options}
        try:
            answer = self.session.request(verb, url, json=body, **options)
            status = answer.status_code
            content = answer.json() if answer.content and status < 300 else None
        except RequestException as error:
            words = f"GitHub does not answer at {self.api}, or not in JSON"
            text = f"{words} ({type(error).__name__}); run this again later"
            raise Unavailable(text) from None
        if status in (403, 429) and "rate limit" in _message(answer).lower():
            raise Unavailable(LIMIT, 429)
        if status >= 300 and status not in unless:
            raise Unavailable(self._reason(answer), status)
        return content, answer

    def _reason(self, answer: "Response") -> str:
        status, message = answer.status_code, _message(answer)
        if status == 401:
            return "GitHub does not accept the token; make a new one: gh auth login"
        if status == 404:
            return f"GitHub has no {self.name} that this token may see, or not this part of it"
        if status == 403 and "upgrade" in message.lower():
            return f"GitHub offers this for a private repository with a paid plan only: {message}"
        if status == 403:
            return f"the token has no right to do this in {self.name}: {message}"
        return f"GitHub answers {status}: {message}"


def connect(
    project: Project, environment: Mapping[str, str] = os.environ, needs_issues: bool = True
) -> Repository:
    """The project's repository on GitHub, by its remote `origin`, with a token of the user's.

    One request asks for the repository's name, since `origin` may have an old one.

    Args:
        project: whose remote it is.
        environment: the variables that GitHub Actions and `gh` know.
        needs_issues: whether a repository without issues is none to work with.

    Raises:
        DslpError: there is no remote on GitHub, no token, or no issues.
        Unavailable: GitHub refuses.
    """
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    address = find_address(project, environment)
    token = find_token(address, environment)
    session = Session()
    retry = Retry(
        2,
        allowed_methods=["GET"],
        status_forcelist=[429, 500, 502, 503, 504],
        backoff_factor=1,
        raise_on_status=False,
        respect_retry_after_header=False,  # that may be an hour
    )
    session.mount(address.api, HTTPAdapter(max_retries=retry))
    is_server = not is_github(address.host)
    session.headers["Accept"] = "application/vnd.github+json"
    session.headers["Authorization"] = f"Bearer {token}"
    session.headers["X-GitHub-Api-Version"] = VERSIONS[is_server]
    session.auth = lambda request: request  # or requests would take the password of ~/.netrc
    repository = Repository(address.name, address.api, session, is_server=is_server)
    answer, response = repository._send("GET", "", allow_redirects=True)
    is_described = isinstance(answer, dict) and {"full_name", "default_branch"} <= answer.keys()
    if not is_described or not response.url.startswith(f"{address.api}/"):
        raise Unavailable(f"{address.api} does not describe {address.name}: is that GitHub?")
    name = answer["full_name"]
    if name.lower() != address.name.lower():
        notice(f"{address.name} has moved: GitHub calls it {name}; that name is used")
    if needs_issues and not answer.get("has_issues", True):
        fork = "where it is a fork, set GITHUB_REPOSITORY to what it was made from"
        raise DslpError(f"{name} has no issues: switch them on in its settings; {fork}")
    repository.name, repository.default_branch = name, answer["default_branch"]
    repository.id, repository.is_private = answer.get("id", 0), bool(answer.get("private"))
    return repository


def find_repository(needs_issues: bool = True) -> tuple[Project, Repository]:
    """The project around the working directory, whose `.env` is not read, and its repository."""
    project = Project.find(dotenv=False)
    return project, connect(project, needs_issues=needs_issues)


def _message(answer: "Response") -> str:
    """GitHub's own words, on one line; the answer may be anything."""
    with suppress(ValueError, AttributeError, TypeError):
        content = answer.json()
        more = [one["message"] for one in content.get("errors", ()) if "message" in one]
        return error_line(": ".join([content.get("message", ""), *more]), 160)
    return ""
