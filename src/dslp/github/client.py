"""Talking to GitHub: PyGithub sends, and every refusal becomes one line of words."""

import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from dslp.core.errors import DslpError
from dslp.core.git import command_output, git_output
from dslp.core.settings import Project
from dslp.github.entities import Issue, PullRequest, read_issue, read_pull_request

if TYPE_CHECKING:
    from github.Requester import Requester

PAGE = 100
PATIENCE = 60.0  # seconds that a rate limit is waited for, in all
TRIES = 3  # of a request that only reads


class Unavailable(DslpError):
    """GitHub said no.

    Attributes:
        status: GitHub's status code, or 0 where it did not answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the status beside the words."""
        super().__init__(message)
        self.status = status


@dataclass
class Repository:
    """A repository on GitHub, and how to ask it."""

    name: str
    requester: "Requester"
    waited: float = 0.0
    sleep: Callable[[float], None] = time.sleep

    def ask(self, verb: str, path: str, body: object = None) -> Any:
        """Send one request about this repository and return what GitHub answers.

        Args:
            verb: GET, POST, PATCH, PUT or DELETE.
            path: below `/repos/OWNER/NAME`, with its query.
            body: what is sent, if anything.

        Raises:
            Unavailable: whatever GitHub refuses or does not answer, in words. A request that
                reads is tried again after a server's error; one that writes is not, since it may
                have been carried out.
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
                if self._waited_for(error):
                    tries += 1
                elif error.status < 500 or tries < 1:
                    raise Unavailable(self._words(error), error.status) from None
            except RequestException as error:
                if tries < 1:
                    raise Unavailable(
                        f"GitHub does not answer ({type(error).__name__}); nothing more was "
                        "changed, and the same command goes on later"
                    ) from None
                self.sleep(TRIES - tries)

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Everything that a list has, page by page of 100."""
        for page in range(1, 1_000):
            asked = urlencode({**query, "per_page": PAGE, "page": page})
            found = self.ask("GET", f"{path}?{asked}")
            yield from found
            if len(found) < PAGE:
                return

    def issue(self, number: int) -> Issue:
        """One issue."""
        return read_issue(self.ask("GET", f"/issues/{number}"))

    def issues(self, labels: Sequence[str]) -> Iterable[Issue]:
        """All issues, open and closed, that have each of the labels."""
        for found in self.pages("/issues", state="all", labels=",".join(labels)):
            issue = read_issue(found)
            if not issue.is_pull_request:
                yield issue

    def pull_request(self, number: int) -> PullRequest:
        """One pull request."""
        return read_pull_request(self.ask("GET", f"/pulls/{number}"))

    def make_branch(self, branch: str, base: str) -> None:
        """Make a branch where `base` is, unless it is there."""
        try:
            self.ask("GET", f"/git/ref/heads/{quote(branch)}")
        except Unavailable as error:
            if error.status != 404:
                raise
            sha = self.ask("GET", f"/git/ref/heads/{quote(base)}")["object"]["sha"]
            self.ask("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": sha})

    def _waited_for(self, error: Any) -> bool:
        """Wait as a rate limit tells, if it is one and the wait is bearable."""
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        message = str((error.data or {}).get("message", "")).lower()
        if error.status not in (403, 429) or "rate limit" not in message:
            return False
        if "retry-after" in headers:
            wait = float(headers["retry-after"])
        else:
            wait = float(headers.get("x-ratelimit-reset", 0)) - time.time() + 1
        if self.waited + max(wait, 1) > PATIENCE:
            raise Unavailable(
                f"GitHub's rate limit is used up for {max(wait, 1):,.0f} s; "
                "the same command goes on after that",
                429,  # GitHub says 403, which means another thing everywhere else
            ) from None
        self.waited += max(wait, 1)
        self.sleep(max(wait, 1))
        return True

    def _words(self, error: Any) -> str:
        message = str((error.data or {}).get("message", "")) if isinstance(error.data, dict) else ""
        message = " ".join(message.split())[:160]
        known = {
            401: "GitHub does not accept the token; make a new one: gh auth login",
            404: f"GitHub has no {self.name} that this token may see, or not this part of it",
        }
        if error.status == 403 and "upgrade" in message.lower():
            return f"GitHub offers this for a private repository with a paid plan only: {message}"
        if error.status == 403:
            return f"the token has no right to do this in {self.name}: {message}"
        return known.get(error.status, f"GitHub says {error.status}: {message}")


def connect(project: Project, environment: Mapping[str, str] | None = None) -> Repository:
    """The project's repository on GitHub, by its remote `origin` and the token at hand.

    In GitHub Actions, GITHUB_REPOSITORY and GITHUB_API_URL say where; a token is GITHUB_TOKEN,
    GH_TOKEN, or what `gh auth token` says.

    Raises:
        DslpError: there is no remote on GitHub, or no token.
    """
    from github import Auth, Github

    environment = os.environ if environment is None else environment
    name = environment.get("GITHUB_REPOSITORY") or remote(project)
    if not name and not shutil.which("git"):
        raise DslpError("git is not on PATH: see https://git-scm.com/downloads")
    if not name:
        raise DslpError(
            "there is no remote origin on GitHub; make the repository: gh repo create "
            f"{shlex.quote(project.root.name)} --private --source=. --push"
        )
    token = (
        environment.get("GITHUB_TOKEN")
        or environment.get("GH_TOKEN")
        or command_output("gh", "auth", "token", timeout=10)
    )
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
    address = git_output(project, "remote", "get-url", "origin")
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com").split("//")[-1]
    found = re.fullmatch(
        rf"(?:(?:https|ssh)://(?:[^@/]+@)?|[^@/:]+@){re.escape(server)}(?::\d+)?[/:]"
        r"([A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?",
        address or "",
    )
    return found[1] if found else None
