"""The requests to GitHub: PyGithub sends them, and every refusal becomes one line of words."""

import os
import re
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from dslp.core.errors import DslpError
from dslp.core.git import command_output, git_output
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.github.entities import Issue, PullRequest, read_issue, read_pull_request

if TYPE_CHECKING:
    from github.Requester import Requester

PAGE = 100
PATIENCE = 60.0  # seconds that rate limits are waited for, in all
TRIES = 3  # of a request that only reads


class Unavailable(DslpError):
    """GitHub refuses a request.

    Attributes:
        status: GitHub's status code, or 0 where it did not answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the status beside the words."""
        super().__init__(message)
        self.status = status


@dataclass
class Repository:
    """A repository on GitHub; `issues_read` holds the issues that were read already."""

    name: str
    requester: "Requester"
    waited: float = 0.0
    issues_read: dict[int, Issue | None] = field(default_factory=dict)

    def ask(self, verb: str, path: str, body: object = None, unless: Sequence[int] = ()) -> Any:
        """Send one request about this repository and return GitHub's answer.

        Args:
            verb: GET, POST, PATCH, PUT or DELETE.
            path: below `/repos/OWNER/NAME`, with its query.
            body: the JSON to send, if any.
            unless: statuses of a refusal for which None is returned.

        Raises:
            Unavailable: GitHub refuses or does not answer. A request that reads is tried again
                after a server's error; one that writes is not, since it may have been carried out.
        """
        from github.GithubException import GithubException
        from requests.exceptions import RequestException

        url = f"/repos/{self.name}{path}"
        tries = TRIES if verb == "GET" else 1
        while True:
            tries -= 1
            try:
                return self.requester.requestJsonAndCheck(verb, url, input=body)[1]
            except GithubException as error:
                if self._wait_for_limit(error):
                    tries += 1
                elif error.status in unless:
                    return None
                elif error.status < 500 or tries < 1:
                    raise Unavailable(self._reason(error), error.status) from None
            except RequestException as error:
                if tries < 1:
                    words = f"GitHub does not answer ({type(error).__name__}); run this again later"
                    raise Unavailable(words) from None
                time.sleep(TRIES - tries)

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Everything that a list has, page by page of 100."""
        for page in range(1, 1_000):
            parameters = urlencode({**query, "per_page": PAGE, "page": page})
            items = self.ask("GET", f"{path}?{parameters}")
            yield from items
            if len(items) < PAGE:
                return

    def issue(self, number: int) -> Issue:
        """One issue, as GitHub has it now."""
        return read_issue(self.ask("GET", f"/issues/{number}"))

    def find_issues(self, numbers: Iterable[int]) -> dict[int, Issue | None]:
        """Issues by their numbers, each read once; None where GitHub has no such issue."""
        for number in numbers:
            if number not in self.issues_read:
                answer = self.ask("GET", f"/issues/{number}", unless=(404, 410))
                self.issues_read[number] = read_issue(answer) if answer else None
        return self.issues_read

    def issues(self, labels: Sequence[str] = (), state: str = "all") -> Iterator[Issue]:
        """All issues that have each of the labels, without pull requests."""
        for answer in self.pages("/issues", state=state, labels=",".join(labels)):
            if "pull_request" not in answer:
                yield read_issue(answer)

    def pull_request(self, number: int) -> PullRequest:
        """One pull request."""
        return read_pull_request(self.ask("GET", f"/pulls/{number}"))

    def pull_requests(self, state: str = "open", **query: str) -> Iterator[PullRequest]:
        """The pull requests in a state, by default those that are open."""
        return map(read_pull_request, self.pages("/pulls", state=state, **query))

    def pull_requests_of(self, commit: str) -> Iterator[PullRequest]:
        """The pull requests that a commit belongs to, merged ones too."""
        return map(read_pull_request, self.pages(f"/commits/{commit}/pulls"))

    def open_pull_requests_at(self, commit: str) -> list[PullRequest]:
        """The open pull requests whose branch has the commit at its head."""
        pulls = self.pull_requests_of(commit)
        return [pull for pull in pulls if pull.state == "open" and pull.sha == commit]

    def make_branch(self, branch: str, base: str) -> None:
        """Make a branch at the head of `base`, unless it exists."""
        if self.ask("GET", f"/git/ref/heads/{quote(branch)}", unless=(404,)) is None:
            sha = self.ask("GET", f"/git/ref/heads/{quote(base)}")["object"]["sha"]
            self.ask("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": sha})

    def _wait_for_limit(self, error: Any) -> bool:
        """Wait until a rate limit ends; False if the error is no rate limit."""
        headers = error.headers or {}
        if error.status not in (403, 429) or "rate limit" not in _message(error).lower():
            return False
        until_reset = float(headers.get("x-ratelimit-reset", 0)) - time.time() + 1
        wait = max(float(headers.get("retry-after", until_reset)), 1)
        if self.waited + wait > PATIENCE:
            words = f"GitHub's rate limit is used up for {wait:,.0f} s; run this again after that"
            raise Unavailable(words, 429) from None  # GitHub says 403, as for a missing right
        self.waited += wait
        time.sleep(wait)
        return True

    def _reason(self, error: Any) -> str:
        message = _message(error)
        if error.status == 401:
            return "GitHub does not accept the token; make a new one: gh auth login"
        if error.status == 404:
            return f"GitHub has no {self.name} that this token may see, or not this part of it"
        if error.status == 403 and "upgrade" in message.lower():
            return f"GitHub offers this for a private repository with a paid plan only: {message}"
        if error.status == 403:
            return f"the token has no right to do this in {self.name}: {message}"
        return f"GitHub answers {error.status}: {message}"


def connect(project: Project, environment: Mapping[str, str] = os.environ) -> Repository:
    """The project's repository on GitHub, by its remote `origin`, with a token of the user's.

    In GitHub Actions, GITHUB_REPOSITORY and GITHUB_API_URL name it; the token is GITHUB_TOKEN,
    GH_TOKEN, or the output of `gh auth token`.

    Raises:
        DslpError: there is no remote on GitHub, or no token.
    """
    from github import Auth, Github

    name = environment.get("GITHUB_REPOSITORY") or remote(project)
    if not name and not shutil.which("git"):
        raise DslpError("git is not on PATH: see https://git-scm.com/downloads")
    if not name:
        raise DslpError(
            "there is no remote origin on GitHub; make the repository: gh repo create "
            f"{shlex.quote(project.root.name)} --private --source=. --push"
        )
    token = environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN")
    token = token or command_output("gh", "auth", "token", timeout=10)
    if not token:
        raise DslpError("there is no token for GitHub; log in (gh auth login), or set GITHUB_TOKEN")
    client = Github(
        auth=Auth.Token(token),
        base_url=environment.get("GITHUB_API_URL") or "https://api.github.com",
        api_version="2022-11-28",
        seconds_between_requests=0,
        seconds_between_writes=0,
        retry=None,  # `ask` waits and tries again, within bounds and with words
        timeout=15,
    )
    return Repository(name, client.requester)


def remote(project: Project) -> str | None:
    """`owner/name` of the remote `origin`, if that is on GitHub."""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com").split("//")[-1]
    match = re.fullmatch(
        rf"(?:(?:https|ssh)://(?:[^@/]+@)?|[^@/:]+@){re.escape(server)}(?::\d+)?[/:]"
        r"([A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?",
        git_output(project, "remote", "get-url", "origin") or "",
    )
    return match[1] if match else None


def missing_branch(project: Project) -> DslpError:
    """The error where the collaboration branch does not exist in this clone."""
    return DslpError(
        f"there is no branch {project.branch} to compare with or start from; fetch or push it, or "
        f'say in {project.settings} which one is for collaboration: branch = "development"'
    )


def _message(error: Any) -> str:
    """GitHub's own words, on one line; the answer may be anything."""
    data = error.data if isinstance(error.data, dict) else {}
    return error_line(data.get("message", ""), 160)
