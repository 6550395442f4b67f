"""Where the repository is: the host, the name and the API's address, from the remote `origin`."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from dslp.core.errors import DslpError
from dslp.core.git import command_output, git_output
from dslp.core.settings import Project
from dslp.core.text import redact, visible

URL = re.compile(
    r"(?P<scheme>[\w+]+)://(?:[^@/]*@)?(?P<host>\w[\w.-]*)(?P<port>(?::\d+)?)"
    r"/(?P<name>[\w-]+/[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class Address:
    """A repository's host, its `owner/name`, and the address of the host's REST API."""

    host: str
    name: str
    api: str


def find_address(project: Project, environment: Mapping[str, str]) -> Address:
    """Where the project's repository is on GitHub, by its remote `origin`.

    In GitHub Actions, GITHUB_REPOSITORY and GITHUB_API_URL say it.

    Raises:
        DslpError: there is no repository, no remote, or it is on another forge.
    """
    host = urlsplit(environment.get("GITHUB_SERVER_URL", "")).netloc or "github.com"
    name = environment.get("GITHUB_REPOSITORY")
    address = Address(host, name, _api(host)) if name else _read_remote(project)
    return replace(address, api=environment.get("GITHUB_API_URL", "").rstrip("/") or address.api)


def find_token(address: Address, environment: Mapping[str, str]) -> str:
    """The user's token for the host: by the variables of `gh`, or what `gh` is logged in with.

    A token for github.com is never sent to another host.

    Raises:
        DslpError: there is none.
    """
    names = ("GITHUB_TOKEN", "GH_TOKEN")
    if not environment.get("GITHUB_API_URL") and not is_github(address.host):
        names = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")
    token = next(filter(None, (environment.get(name, "").strip() for name in names)), None)
    token = token or command_output("gh", "auth", "token", "--hostname", address.host, timeout=10)
    if not token:
        where = "" if address.host == "github.com" else f" --hostname {address.host}"
        login = f"log in (gh auth login{where}), or set {names[0]}"
        if not is_github(address.host):
            login += "; only GitHub, and a GitHub Enterprise Server, have what is needed here"
        raise DslpError(f"there is no token for {address.host}; {login}")
    return token


def is_github(host: str) -> bool:
    """Whether GitHub itself runs the host: github.com, or data residency on ghe.com."""
    return host == "github.com" or host.endswith(".ghe.com")


def remote_name(project: Project) -> str:
    """The remote `origin`, or else the first; empty where there is none."""
    remotes = (git_output(project, "remote") or "").split()
    return "origin" if "origin" in remotes else next(iter(remotes), "")


def collaboration_ref(project: Project) -> str:
    """The collaboration branch as git names it: the remote's, or else that of this clone.

    Raises:
        DslpError: there is neither.
    """
    for folder in (f"refs/remotes/{remote_name(project)}", "refs/heads"):
        if git_output(project, "rev-parse", "--verify", "--quiet", f"{folder}/{project.branch}"):
            return f"{folder}/{project.branch}"
    raise DslpError(
        f"there is no branch {project.branch} to compare with or start from; fetch or push it, or "
        f'say in {project.settings} which one is for collaboration: branch = "development"'
    )


def _read_remote(project: Project) -> Address:
    """The address of the remote, as a URL or as ssh writes it (`git@github.com:ada/claims.git`).

    Raises:
        DslpError: there is none on GitHub.
    """
    create = f"gh repo create {shlex.quote(project.root.name)} --private --source=. --push"
    if git_output(project, "rev-parse", "--git-dir") is None:
        first = "make one (git init), commit, and put it on GitHub"
        raise DslpError(f"{project.root} is no git repository; {first}: {create}")
    if not (remote := remote_name(project)):
        raise DslpError(f"there is no remote origin on GitHub; make the repository: {create}")
    url = git_output(project, "remote", "get-url", remote) or ""
    match = URL.fullmatch(url if "://" in url else f"ssh://{url.replace(':', '/', 1)}")
    if match is None:
        shown = visible(redact(url), 120)
        raise DslpError(f"the remote {remote} ({shown}) is no OWNER/NAME on GitHub")
    host = match["host"].lower().removeprefix("www.")
    if match["scheme"].lower().startswith("http"):
        host += match["port"] if match["port"] not in (":80", ":443") else ""
    else:
        host = _ssh_host(host)
    return Address(host, match["name"], _api(host))


def _ssh_host(host: str) -> str:
    """The host that ssh connects to: an alias stands in the user's ssh configuration."""
    settings = "" if host.lower() == "github.com" else command_output("ssh", "-G", host, timeout=10)
    match = re.search(r"^hostname (\S+)$", settings or "", re.MULTILINE)
    host = (match[1] if match else host).lower()
    return "github.com" if host == "ssh.github.com" else host


def _api(host: str) -> str:
    """The REST API of a host: github.com and ghe.com have a host for it, a server has a folder."""
    return f"https://api.{host}" if is_github(host) else f"https://{host}/api/v3"
