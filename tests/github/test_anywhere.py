"""The process where no template was ever copied: the wheel, by uvx, in any repository."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.github.scene import Ended
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.template_copy import ROOT, commit, git

pytestmark = pytest.mark.slow

Dslp = Callable[..., Ended]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--quiet", "--wheel", "-o", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def dslp(wheel: Path) -> Dslp:
    """`uvx --from WHEEL dslp …` in a folder, with the process's own dependencies and no extra."""

    def run(folder: Path, *arguments: str, **variables: str) -> Ended:
        ended = subprocess.run(
            ["uvx", "--python", sys.executable, "--from", str(wheel), "dslp", *arguments],
            cwd=folder,
            env={**os.environ, "UV_OFFLINE": "1", **variables},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    first = run(ROOT, "--help", UV_OFFLINE="0")  # what is not in uv's cache comes to it
    assert first.code == 0, first
    return run


@pytest.fixture
def claims(github: Standin) -> Repository:
    return github.add_repository("ada/claims")


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A git repository with these files and GitHub as its remote; without a commit if empty."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    commit(folder) if files else git("init", "--initial-branch=main", cwd=folder)
    git("remote", "add", "origin", "git@github.com:ada/claims.git", cwd=folder)
    return folder


def connected(github: Standin) -> dict[str, str]:
    return {"GITHUB_API_URL": github.url, "GH_TOKEN": github.add_token()}


REPOSITORIES = {
    "R": {"DESCRIPTION": "Package: claims\n", "R/fit.R": "fit <- lm\n"},
    "empty": {},
    # A file of the repository cannot say where a token goes.
    "settings": {
        "dslp.toml": 'branch = "development"\n',
        ".env": "GITHUB_TOKEN=wrong\nHTTP_PROXY=http://x\n",
    },
}


@pytest.mark.rule("L1", "L3", "G3")
@pytest.mark.parametrize(
    "kind", [pytest.param("empty", marks=pytest.mark.campaign), "R", "settings"]
)
def test_labels_are_registered_and_pull_requests_judged(
    dslp: Dslp, github: Standin, claims: Repository, tmp_path: Path, kind: str
) -> None:
    folder, on_github = repository(tmp_path / "claims", REPOSITORIES[kind]), connected(github)
    ended = dslp(folder, "labels", "register", **on_github)
    assert ended.code == 0, ended
    assert {"Ask", "Explore", "blocked - need access"} < {label.name for label in claims.labels}
    claims.add_issue("A better fit")
    claims.add_pull("1-a-better-fit", "main")
    claims.add_pull("explore/1-a-better-fit", "main")
    ended = dslp(folder, "check", "--pull-request", "2", **on_github)
    assert ended.code == (1 if kind == "settings" else 0), ended
    assert ("B8: the target is not development" in ended.out) == (kind == "settings")
    ended = dslp(folder, "check", "--pull-request", "3", **on_github)
    assert ended.code == 1, ended  # nothing would block a merge here
    assert "why: dslp rules B3" in ended.out


def test_what_is_missing_is_said_in_a_line(dslp: Dslp, tmp_path: Path) -> None:
    for command in ("check", "labels register", "doctor"):
        ended = dslp(tmp_path, *command.split())
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended
        assert "no git repository and no settings" in ended.err


def test_what_needs_no_extra_runs_without_any(dslp: Dslp, wheel: Path, tmp_path: Path) -> None:
    folder = repository(tmp_path / "claims", REPOSITORIES["R"])
    ended = dslp(folder, "doctor")
    assert ended.code == 0, ended
    assert f"{wheel}\n          this project pins no library" in ended.out
    assert "tracking" not in ended.out
    assert "X4" in dslp(folder, "rules").out


@pytest.mark.parametrize(
    ("command", "extra"), [("data build", "data"), ("new model", "experiments")]
)
def test_a_command_says_which_extra_it_needs(
    dslp: Dslp, tmp_path: Path, command: str, extra: str
) -> None:
    ended = dslp(repository(tmp_path / "claims", REPOSITORIES["R"]), *command.split(), "orders")
    error = f"error: dslp {command} needs dslp[{extra}]: uv add --dev 'dslp[{extra}]'\n"
    assert (ended.code, ended.err) == (2, error)
