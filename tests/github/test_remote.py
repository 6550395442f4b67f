"""Where the repository is: every way to write GitHub's address, and what is not GitHub."""

from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.github.remote import Address, find_address, find_token

from tests.template_copy import git

GITHUB, SERVER = "https://api.github.com", "https://git.corp.example/api/v3"
# What OpenSSH and gh answer on this user's machine.
SSH = """#!/bin/sh
[ "$1" = -G ] || exit 1
case "$2" in
  github.com-work) echo hostname github.com ;;
  over) echo hostname ssh.github.com ;;
  *) echo "hostname $2" ;;
esac
"""
GH = '#!/bin/sh\necho "$@" > "$LOG"\n[ "$4" = git.corp.example ] && echo token-of-corp\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "bin").mkdir()
    for name, script in {"ssh": SSH, "gh": GH}.items():
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "gh.log"))
    (tmp_path / "claims").mkdir()
    git("init", "--quiet", cwd=tmp_path / "claims")
    return Project.find(tmp_path / "claims")


@pytest.mark.parametrize(
    ("url", "host", "api"),
    [
        ("https://github.com/ada/claims.git", "github.com", GITHUB),
        ("https://ada:secret@www.GitHub.com:443/ada/claims/", "github.com", GITHUB),
        ("git@github.com:ada/claims.git", "github.com", GITHUB),
        ("git@github.com-work:ada/claims.git", "github.com", GITHUB),
        ("over:ada/claims", "github.com", GITHUB),
        ("ssh://git@ssh.github.com:443/ada/claims.git", "github.com", GITHUB),
        ("git@octo.ghe.com:ada/claims.git", "octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://octo.ghe.com/ada/claims", "octo.ghe.com", "https://api.octo.ghe.com"),
        ("git@git.corp.example:ada/claims.git", "git.corp.example", SERVER),
        ("http://git.corp.example/ada/claims.git", "git.corp.example", SERVER),
        (
            "https://git.corp.example:8443/ada/claims.git",
            "git.corp.example:8443",
            "https://git.corp.example:8443/api/v3",
        ),
    ],
)
def test_github_is_known_however_its_address_is_written(
    project: Project, url: str, host: str, api: str
) -> None:
    git("remote", "add", "origin", url, cwd=project.root)
    assert find_address(project, {}) == Address(host, "ada/claims", api)


@pytest.mark.parametrize(
    "url",
    [
        "git@gitlab.com:ada/team/claims.git",
        "https://ada:secret@dev.azure.com/ada/claims/_git/claims",
        "git@git.sr.ht:~ada/claims",
        "/srv/git/claims.git",
        "git@-oProxyCommand=touch hacked:ada/claims",
        "https://github.com/ada",
        "https://github.com/ada/../claims?x=y",
    ],
)
def test_an_address_that_is_not_githubs_is_shown(project: Project, url: str) -> None:
    git("remote", "add", "origin", url, cwd=project.root)
    with pytest.raises(
        DslpError, match=r"the remote origin .* is no OWNER/NAME on GitHub"
    ) as error:
        find_address(project, {})
    assert "secret" not in str(error.value)
    assert "gh repo create" not in str(error.value)


def test_without_a_repository_or_a_remote_the_next_command_is_named(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(DslpError, match=r"no remote origin on GitHub; .*: gh repo create claims"):
        find_address(project, {})
    (tmp_path / "dslp.toml").write_text("")
    with pytest.raises(DslpError, match=r"is no git repository; make one \(git init\), commit"):
        find_address(Project.find(tmp_path), {})


def test_the_token_of_one_host_is_not_sent_to_another(project: Project, tmp_path: Path) -> None:
    corp = Address("git.corp.example", "ada/claims", SERVER)
    everybody = {"GITHUB_TOKEN": "for-github-com", "GH_TOKEN": "for-github-com"}
    assert find_token(corp, everybody) == "token-of-corp"
    assert (tmp_path / "gh.log").read_text() == "auth token --hostname git.corp.example\n"
    assert find_token(corp, {**everybody, "GH_ENTERPRISE_TOKEN": "mine"}) == "mine"
    assert find_token(Address("octo.ghe.com", "ada/claims", ""), everybody) == "for-github-com"
    other = Address("other.example", "ada/claims", "")
    with pytest.raises(DslpError, match=r"gh auth login --hostname other\.example.* only GitHub"):
        find_token(other, everybody)
    # In GitHub Actions, the two variables belong together.
    assert find_token(corp, {**everybody, "GITHUB_API_URL": SERVER}) == "for-github-com"
