"""The template, published as people find it and copied as they copy it, with nothing trusted.

Copier takes the newest tag of a git repository, so what is tested is what the working tree holds
(files that git ignores aside), committed and tagged in a repository of its own.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copier import run_copy, run_update
from packaging.version import Version

ROOT = Path(__file__).parent.parent

Answers = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """A git repository that people copy from, and its releases in order."""

    path: Path
    releases: tuple[str, ...]

    def copy(
        self, project: Path, answers: Answers | None = None, release: str | None = None
    ) -> Path:
        """A new project: these answers, and the defaults for all others."""
        run_copy(str(self.path), project, answers, vcs_ref=release, defaults=True, quiet=True)
        return project

    def update(
        self, project: Path, answers: Answers | None = None, release: str | None = None
    ) -> Path:
        """`copier update --defaults` in a project, with `-d` for each of these answers."""
        run_update(project, answers, vcs_ref=release, defaults=True, overwrite=True, quiet=True)
        return project

    def served_at(self, *hosts: str) -> dict[str, str]:
        """The environment in which git finds the template at these addresses, and no network."""
        settings = {"GIT_CONFIG_COUNT": str(len(hosts)), "GIT_ALLOW_PROTOCOL": "file:ssh"}
        for number, host in enumerate(hosts):
            settings[f"GIT_CONFIG_KEY_{number}"] = f"url.file://{self.path}/.git.insteadOf"
            settings[f"GIT_CONFIG_VALUE_{number}"] = host
        return settings

    def release(self, changes: dict[str, str]) -> "Template":
        """The next release, in which these files (by path) have this text."""
        for name, text in changes.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8", newline="\n")
        return Template(self.path, (*self.releases, tag_next(self.path, self.releases)))


def publish(path: Path) -> Template:
    """Make a repository of the working tree at `path`: the releases there are, and one more.

    Until there is a release, the first template that a library belongs to stands for it.
    """
    git("clone", "--quiet", str(ROOT), str(path))
    releases = sorted(git("tag", "--list", "v*", cwd=path).split(), key=Version)
    if not releases:
        first = git("log", "--format=%H", "--", "includes/dslp.jinja", cwd=path).split()[-1:]
        releases = ["v0.1.0"] if first else []
        for commit in first:
            git("tag", "v0.1.0", commit, cwd=path)
    for file in path.iterdir():
        if file.name != ".git":
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    held = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, held.split("\0")):
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    return Template(path, (*releases, tag_next(path, releases)))


def tag_next(path: Path, releases: Sequence[str]) -> str:
    """Commit everything as the release after the newest."""
    newest = Version(releases[-1]) if releases else Version("0.0")
    tag = f"v{newest.major}.{newest.minor + 1}.0"
    git("add", "--all", "--force", cwd=path)
    git("commit", "--quiet", "--allow-empty", "--no-verify", "--message", tag, cwd=path)
    git("tag", tag, cwd=path)
    return tag


def commit(folder: Path) -> None:
    """Commit everything in a folder, which becomes a repository if it is none."""
    for command in ("init --initial-branch=main", "add --all", "commit --message Work"):
        git(*command.split(), cwd=folder)


def git(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout


def tree(project: Path) -> dict[str, bytes]:
    """All files of a project by path, with what they hold; git's own aside."""
    files = (path for path in project.rglob("*") if path.is_file())
    relative = {path.relative_to(project): path for path in files}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in sorted(relative.items())
        if name.parts[0] != ".git"
    }


def issue_form(name: str) -> Path:
    """The file of the template that becomes this form of a new project."""
    folder = ROOT / "template" / ".github" / "ISSUE_TEMPLATE"
    return next(p for p in folder.iterdir() if p.name.removeprefix("{{ prefix }}") == name)


def copy_github(folder: Path) -> None:
    """Copy the template's .github, with the names that a new project gives to its files."""
    shutil.copytree(ROOT / "template" / ".github", folder)
    for path in [*folder.rglob("{{*")]:
        path.rename(path.with_name(re.sub("{{ .*? }}", "", path.name)))


def reserved(words: str) -> set[str]:
    """The names that no project or package can have: one of the lists that the questions know."""
    text = (ROOT / "includes" / "names.jinja").read_text(encoding="utf-8")
    (names,) = re.findall(rf"set {words} = '(.*?)'", text, re.S)
    return set(names.split())
