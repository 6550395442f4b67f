"""The doctor on the library: where a project has it from, and whether that is right."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.template_copy import ROOT

PROJECT = """[project]
name = "claims"
version = "0.1.0"
requires-python = ">=3.11"

[dependency-groups]
dev = ["dslp"]

[tool.dslp]
"""


@dataclass(frozen=True)
class Pinned:
    """A project, and the template's repository with two commits: v1.0.0, and one after it."""

    root: Path
    template: Path
    first: str
    second: str

    def ask_for(self, source: str, recorded: str = "") -> None:
        """Write the source of the library, and the template's commit as copier records it."""
        sources = f"[tool.uv.sources]\ndslp = {source}\n" if source else ""
        (self.root / "pyproject.toml").write_text(PROJECT + sources, encoding="utf-8")
        answers = f"_commit: {recorded}\n_src_path: gh:dslp/template\n"
        (self.root / ".copier-answers.yml").write_text(answers, encoding="utf-8")

    def pin(self, revision: str, recorded: str = "") -> None:
        """Ask for a commit or a tag of the template's repository."""
        self.ask_for(f'{{ git = "{self.template.as_uri()}", rev = "{revision}" }}', recorded)

    def uv(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run uv in the project."""
        environment = {**os.environ, "UV_PYTHON": sys.executable, **variables}
        command = ["uv", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )

    def sync(self, *options: str) -> None:
        """Install what is asked for."""
        done = self.uv("sync", "--quiet", *options)
        assert done.returncode == 0, done.stderr

    def doctor(self, **variables: str) -> tuple[int, str]:
        """The exit code, and the two lines about the library."""
        done = self.uv("run", "--no-sync", "dslp", "doctor", **variables)
        assert "Traceback" not in done.stderr, done.stderr
        lines = done.stdout.splitlines()
        (place,) = [n for n, line in enumerate(lines) if line.startswith("library ")]
        return done.returncode, "\n".join(lines[place : place + 2])


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Pinned:
    """A project whose library is installed from the template's first commit."""
    folder = tmp_path_factory.mktemp("pinned")
    template, root = folder / "template", folder / "claims"
    root.mkdir()
    shutil.copytree(ROOT / "src", template / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, template)
    git(folder, "init", "--quiet", "--initial-branch=main", str(template))
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--message", "First")
    git(template, "tag", "--annotate", "--message", "One", "v1.0.0")
    git(template, "commit", "--quiet", "--allow-empty", "--message", "Second")
    git(template, "tag", "20261126")
    first, second = git(template, "rev-list", "--reverse", "main").split()
    made = Pinned(root, template, first, second)
    made.pin(first)
    made.sync()
    return made


def test_a_pin_is_the_templates_commit_by_hash_tag_or_description(pinned: Pinned) -> None:
    described = git(pinned.template, "describe", "--tags", "--long", "v1.0.0")
    for recorded in (pinned.first, pinned.first[:7], "v1.0.0", described):
        pinned.pin(pinned.first, f"'{recorded}'")
        code, said = pinned.doctor()
        assert (code, "installed, and the template's own commit" in said) == (0, True), said
        assert f"{pinned.template.as_uri()} at {pinned.first[:12]}" in said


@pytest.mark.parametrize("recorded", ["hash", "description", "tag"])
def test_a_template_at_another_commit_is_a_failure_with_what_to_do(
    pinned: Pinned, recorded: str
) -> None:
    names = {"hash": pinned.second, "tag": "20261126", "description": "v1.0.0-1-g"}
    names["description"] += pinned.second[:7]
    pinned.pin(pinned.first, f"'{names[recorded]}'")
    code, said = pinned.doctor()
    assert code == 1, said
    assert f"the template is at {names[recorded]}, another commit: uvx copier update" in said
    assert f'rev = "{pinned.second[:7]}' in said


def test_a_described_hash_of_digits_alone_is_not_taken_for_a_tag(pinned: Pinned) -> None:
    pinned.pin(pinned.first, "v1.0.0-1-g1234567")
    code, said = pinned.doctor()
    assert (code, 'rev = "1234567" in [tool.uv.sources.dslp]' in said) == (1, True), said


def test_an_update_that_is_not_installed_is_a_failure(pinned: Pinned) -> None:
    for revision in (pinned.second, "20261126"):
        pinned.pin(revision, f"'{revision}'")
        code, said = pinned.doctor()
        assert (code, "uv sync, then uv run dslp doctor" in said) == (1, True), said
    pinned.pin(pinned.second, pinned.second)
    pinned.sync()
    assert pinned.doctor()[0] == 0
    pinned.pin(pinned.first)
    pinned.sync()


def test_what_cannot_be_compared_is_said_and_no_failure(pinned: Pinned) -> None:
    pinned.pin(pinned.first, "v9.9.9")
    code, said = pinned.doctor()
    assert (code, "not compared with the template's v9.9.9" in said) == (0, True), said
    pinned.pin(pinned.first, "")
    code, said = pinned.doctor()
    assert (code, "no commit of a template is recorded" in said) == (0, True), said
    pinned.pin(pinned.first, "v1.0.0")
    away = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": pinned.template.as_uri()}
    away["GIT_CONFIG_KEY_0"] = "url.file:///nowhere.insteadOf"
    code, said = pinned.doctor(**away)
    assert (code, "not compared" in said) == (0, True), said


def test_a_folder_is_no_pin(pinned: Pinned) -> None:
    source = f'{{ path = "{pinned.template}", editable = true }}'
    pinned.ask_for(source, pinned.second)
    code, said = pinned.doctor()
    assert (code, "installed is dslp 0.1.0 of commit" in said) == (1, True), said
    pinned.sync()
    code, said = pinned.doctor()
    assert (code, "not pinned: a folder" in said) == (0, True), said
    assert str(pinned.template) in said


def test_a_version_from_an_index_is_known_by_its_number(pinned: Pinned, tmp_path: Path) -> None:
    subprocess.run(["uv", "build", "--quiet", "--wheel", "-o", tmp_path, ROOT], check=True)
    pinned.ask_for("")
    assert pinned.doctor()[0] == 1  # what is installed came from elsewhere
    pinned.sync("--find-links", str(tmp_path), "--reinstall-package", "dslp")
    code, said = pinned.doctor()
    assert (code, said.splitlines()[0].endswith("an index")) == (0, True), said
    assert "dslp 0.1.0 from an index; its commit is not known" in said


def test_bytecode_that_is_not_written_is_said_with_what_it_costs(pinned: Pinned) -> None:
    done = pinned.uv("run", "--no-sync", "dslp", "doctor", PYTHONDONTWRITEBYTECODE="1")
    assert "PYTHONDONTWRITEBYTECODE is set" in done.stdout
    assert "two to three times as long at each command" in done.stdout
    assert "bytecode" not in pinned.uv("run", "--no-sync", "dslp", "doctor").stdout
