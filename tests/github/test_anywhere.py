"""The process where no template was ever copied: the wheel, by uvx, in any repository."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.github.scene import Said
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.template_copy import ROOT

Dslp = Callable[..., Said]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--quiet", "--wheel", "-o", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def dslp(wheel: Path) -> Dslp:
    """`uvx --from WHEEL dslp …` in a folder, with the process's own dependencies and no extra."""

    def run(folder: Path, *arguments: str, **variables: str) -> Said:
        done = subprocess.run(
            ["uvx", "--python", sys.executable, "--from", str(wheel), "dslp", *arguments],
            cwd=folder,
            env={**os.environ, "UV_OFFLINE": "1", **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    first = run(ROOT, "--help", UV_OFFLINE="0")  # what is not in uv's cache comes to it
    assert first.code == 0, first
    return run


@pytest.fixture
def claims(github: Standin) -> Repository:
    """The repository on GitHub."""
    return github.add_repository("ada/claims")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A git repository with these files and GitHub as its remote; without a commit if empty."""
    folder.mkdir()
    git(folder, "init", "--initial-branch=main")
    git(folder, "remote", "add", "origin", "git@github.com:ada/claims.git")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    if files:
        git(folder, "add", "--all")
        git(folder, "commit", "--message", "First")
    return folder


def connected(github: Standin) -> dict[str, str]:
    """How a command finds the stand-in; which repository it is, the remote says."""
    return {"GITHUB_API_URL": github.url, "GH_TOKEN": github.add_token()}


REPOSITORIES = {
    "R": {"DESCRIPTION": "Package: claims\n", "R/fit.R": "fit <- lm\n"},
    "empty": {},
    "Python": {"pyproject.toml": '[project]\nname = "claims"\nversion = "1"\n'},
    "settings": {"dslp.toml": 'branch = "main"\n'},
}


@pytest.mark.rule("L1", "L3", "G3")
@pytest.mark.parametrize("kind", REPOSITORIES)
def test_labels_are_registered_and_pull_requests_judged(
    dslp: Dslp, github: Standin, claims: Repository, tmp_path: Path, kind: str
) -> None:
    folder, on_github = repository(tmp_path / "claims", REPOSITORIES[kind]), connected(github)
    said = dslp(folder, "labels", "register", **on_github)
    assert said.code == 0, said
    assert "11 labels by default (there is no .github/labels.yml)" in said.out
    assert {"Ask", "Explore", "blocked - need access"} < {label.name for label in claims.labels}
    claims.add_issue("Who claims", None, ["Ask"])
    claims.add_issue("An exploration", "### Belongs to\n\n#1", ["Explore"])
    claims.add_pull("explore/2-who-claims", "main")
    said = dslp(folder, "check", "--pull-request", "3", **on_github)
    assert said.code == 1, said  # nothing would block a merge here
    assert "why: dslp rules B3" in said.out


@pytest.mark.rule("B1", "I1")
def test_a_branch_is_begun_and_judged_from_a_folder_below(
    dslp: Dslp, github: Standin, claims: Repository, tmp_path: Path
) -> None:
    folder, on_github = repository(tmp_path / "claims", REPOSITORIES["R"]), connected(github)
    claims.add_issue("Explore claims", "### Belongs to\n\n#9", ["Explore"])
    claims.add_issue("A better fit", None, [])
    git(folder, "switch", "--create", "2-a-better-fit")
    (folder / "R" / "fit.R").write_text("fit <- glm\n", encoding="utf-8")
    git(folder, "commit", "--all", "--message", "Fit")
    said = dslp(folder / "R", "check", **on_github)
    assert (said.code, "success: issue #2" in said.out) == (0, True), said
    git(folder, "switch", "--create", "explore/1-claims")
    said = dslp(folder / "R", "check", **on_github)
    assert "I11: issue #1 names #9, which is no issue" in said.out
    git(folder, "branch", "--move", "main", "master")  # then nothing is known of what changed
    said = dslp(folder, "check", **on_github)
    assert (said.code, "there is no branch main to compare with" in said.err) == (2, True), said


def test_the_collaboration_branch_is_a_setting(
    dslp: Dslp, github: Standin, claims: Repository, tmp_path: Path
) -> None:
    folder = repository(tmp_path / "claims", {"dslp.toml": 'branch = "development"\n'})
    claims.add_issue("A better fit", None, [])
    claims.add_pull("1-a-better-fit", "main")
    said = dslp(folder, "check", "--pull-request", "2", **connected(github))
    assert (said.code, "B8: the target is not development" in said.out) == (1, True), said


def test_what_is_missing_is_said_in_a_line(dslp: Dslp, tmp_path: Path) -> None:
    for command in ("check", "labels register", "doctor"):
        said = dslp(tmp_path, *command.split())
        assert (said.code, said.err.count("\n")) == (2, 1), said
        assert "no git repository and no settings" in said.err
    alone = repository(tmp_path / "claims", {})
    git(alone, "remote", "remove", "origin")
    said = dslp(alone, "check", GITHUB_TOKEN="x", GITHUB_REPOSITORY="")
    assert (said.code, "no remote origin on GitHub" in said.err) == (2, True), said


def test_a_file_of_the_repository_cannot_say_where_a_token_goes(
    dslp: Dslp, github: Standin, claims: Repository, tmp_path: Path
) -> None:
    folder = repository(tmp_path / "claims", {".env": "GITHUB_TOKEN=wrong\nHTTP_PROXY=http://x\n"})
    said = dslp(folder, "labels", "register", "--dry-run", **connected(github))
    assert said.code == 0, said


def test_the_doctor_looks_at_what_there_is(dslp: Dslp, wheel: Path, tmp_path: Path) -> None:
    folder = repository(tmp_path / "claims", REPOSITORIES["R"])
    said = dslp(folder, "doctor")
    assert said.code == 0, said
    assert f"{wheel}\n          this project pins no library" in said.out
    assert "tracking" not in said.out


# --- What an extra brings is missing here


def test_help_is_complete_without_extras(dslp: Dslp, tmp_path: Path) -> None:
    said = dslp(tmp_path, "--help")
    for group in ("data", "experiment", "model", "new", "labels"):
        assert f" {group} " in said.out
    assert dslp(tmp_path, "model", "serve", "--help").code == 0
    assert "X4" in dslp(tmp_path, "rules").out


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("data build", "data"),
        ("experiment run", "experiments"),
        ("model train", "models"),
        ("new dataset orders", "data"),
        ("new model volume", "experiments"),
    ],
)
def test_a_command_says_which_extra_it_needs(
    dslp: Dslp, tmp_path: Path, command: str, extra: str
) -> None:
    toy = ROOT / "tests" / "library" / "toy_project"
    files = {
        str(path.relative_to(toy)): path.read_text(encoding="utf-8")
        for path in toy.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    said = dslp(repository(tmp_path / "toy", files), *command.split())
    assert said.code == 2, said
    words = " ".join(command.split()[:2])
    line = f"error: dslp {words} needs dslp[{extra}]: uv add --dev 'dslp[{extra}]'\n"
    assert said.err == line


def test_serving_names_its_own_extra(dslp: Dslp, tmp_path: Path) -> None:
    said = dslp(repository(tmp_path / "claims", {"dslp.toml": ""}), "model", "serve")
    assert (said.code, "dslp model serve needs dslp[serving]" in said.err) == (2, True), said
