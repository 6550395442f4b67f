"""Where the repository is: the host, the name and the API's address, from the remote `origin`."""

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from dslp.core.errors import DslpError
from dslp.core.git import command_output, git_output
from dslp.core.settings import Project
from dslp.core.text import redact, visible

HOST = r"(\w[\w.-]*)"
WEB = re.compile(rf"(https?)://(?:[^@/]*@)?{HOST}(:\d+)?/(.+)", re.IGNORECASE)
SSH = re.compile(rf"(?:(?:ssh|git)://(?:[^@/]*@)?{HOST}(?::\d+)?/|(?:[^@/:]+@)?{HOST}:(?!/))(.+)")
NAME = re.compile(r"([\w-]+/[\w.-]+?)(?:\.git)?/?")
FORGES = ("GitLab", "Bitbucket", "Azure", "Codeberg", "Gitea", "Forgejo")


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
    address = Address(host, name, _api("https", host)) if name else _read_remote(project)
    return replace(address, api=environment.get("GITHUB_API_URL") or address.api)


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
        raise DslpError(f"there is no token for {address.host}; {login}")
    return token


def is_github(host: str) -> bool:
    """Whether GitHub itself runs the host: github.com, or data residency on ghe.com."""
    return host == "github.com" or host.endswith(".ghe.com")


def _read_remote(project: Project) -> Address:
    """The address of the remote `origin`, or of the first remote.

    Raises:
        DslpError: there is none on GitHub.
    """
    if not shutil.which("git"):
        raise DslpError("git is not on PATH: see https://git-scm.com/downloads")
    create = f"gh repo create {shlex.quote(project.root.name)} --private --source=. --push"
    remotes = git_output(project, "remote")
    if remotes is None:
        first = "make one (git init), commit, and put it on GitHub"
        raise DslpError(f"{project.root} is no git repository; {first}: {create}")
    if not remotes:
        raise DslpError(f"there is no remote origin on GitHub; make the repository: {create}")
    remote = "origin" if "origin" in remotes.split() else remotes.split()[0]
    url = git_output(project, "remote", "get-url", remote) or ""
    shown = visible(redact(url), 120)
    web, ssh = WEB.fullmatch(url), SSH.fullmatch(url)
    if web:
        scheme, host, path = web[1].lower(), web[2].lower().removeprefix("www."), web[4]
        host += web[3] or ""
    elif ssh:
        scheme, host, path = "https", _ssh_host(ssh[1] or ssh[2]), ssh[3]
    else:
        raise DslpError(f"the remote {remote} ({shown}) is not on GitHub")
    forge = next((name for name in FORGES if name.lower() in host), None)
    if forge:
        where = f"the remote {remote} ({shown}) is on {forge}"
        raise DslpError(f"{where}; issues and pull requests are checked on GitHub only")
    name = NAME.fullmatch(path)
    if name is None:
        raise DslpError(f"the remote {remote} ({shown}) names no owner/name of GitHub")
    return Address(host, name[1], _api(scheme, host))


def _ssh_host(host: str) -> str:
    """The host that ssh connects to: an alias stands in the user's ssh configuration."""
    settings = "" if host.lower() == "github.com" else command_output("ssh", "-G", host, timeout=10)
    match = re.search(r"^hostname (\S+)$", settings or "", re.MULTILINE)
    host = (match[1] if match else host).lower()
    return "github.com" if host == "ssh.github.com" else host


def _api(scheme: str, host: str) -> str:
    """The REST API of a host: github.com and ghe.com have a host for it, a server has a folder."""
    if is_github(host):
        return f"https://api.{host}"
    return f"{scheme}://{host}/api/v3"
