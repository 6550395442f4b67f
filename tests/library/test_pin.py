"""The doctor on the library: where a project has it from, and whether that is right."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.template_copy import ROOT, git

PROJECT = """[project]
name = "claims"
version = "0.1.0"
requires-python = ">=3.11"

[dependency-groups]
dev = ["dslp"]

[tool.dslp]
"""
EXAMINE = """
import json, sys
from pathlib import Path
from dslp.core.settings import Project
from dslp.pin import examine_pin
for folder in sys.argv[1:]:
    place = examine_pin(Project.find(Path(folder), dotenv=False))
    verdict = "doubtful" if place.doubtful else "works" if place.works else "wrong"
    print(json.dumps([verdict, f"{place.where}: {place.state}"]))
"""


@dataclass(frozen=True)
class Pinned:
    """A project, and the template's repository with two commits: v1.0.0, and one after it."""

    root: Path
    template: Path
    first: str
    second: str

    def git(self, revision: str) -> str:
        """The source that is a commit or a tag of the template's repository."""
        return f'{{ git = "{self.template.as_uri()}", rev = "{revision}" }}'

    def write(self, folder: Path, source: str, recorded: str = "") -> Path:
        """A project with this source of the library, and the commit that copier recorded."""
        folder.mkdir(exist_ok=True)
        sources = f"[tool.uv.sources]\ndslp = {source}\n" if source else ""
        (folder / "pyproject.toml").write_text(PROJECT + sources, encoding="utf-8")
        answers = f"_commit: '{recorded}'\n_src_path: gh:dslp/template\n"
        (folder / ".copier-answers.yml").write_text(answers, encoding="utf-8")
        return folder

    def install(self, source: str, *options: str) -> None:
        """Install the library from a source."""
        self.write(self.root, source)
        command, environment = ["uv", "sync", "--quiet", *options], {"UV_PYTHON": sys.executable}
        subprocess.run(command, cwd=self.root, env=os.environ | environment, check=True)

    def examine(self, cases: list[tuple[str, str, str, str]]) -> None:
        """Compare what is said of each (source, recorded commit) with its verdict and words."""
        parent = self.root.parent / "cases"
        parent.mkdir(exist_ok=True)
        folders = [self.write(parent / str(n), *case[:2]) for n, case in enumerate(cases)]
        python = self.root / ".venv" / "bin" / "python"
        command = [str(python), "-c", EXAMINE, *map(str, folders)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = map(json.loads, done.stdout.splitlines())
        for (_, recorded, verdict, words), (actual, text) in zip(cases, lines, strict=True):
            assert (actual, words in text) == (verdict, True), f"{recorded}: {actual}, {text}"


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Pinned:
    """A project whose library is installed from the template's first commit."""
    folder = tmp_path_factory.mktemp("pinned")
    template, root = folder / "template", folder / "claims"
    shutil.copytree(ROOT / "src", template / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, template)
    git("init", "--quiet", "--initial-branch=main", cwd=template)
    git("add", "--all", cwd=template)
    git("commit", "--quiet", "--message", "First", cwd=template)
    git("tag", "--annotate", "--message", "One", "v1.0.0", cwd=template)
    git("commit", "--quiet", "--allow-empty", "--message", "Second", cwd=template)
    git("tag", "20261126", cwd=template)
    first, second = git("rev-list", "--reverse", "main", cwd=template).split()
    return Pinned(root, template, first, second)


def test_a_pin_is_compared_with_the_template_by_hash_tag_or_description(pinned: Pinned) -> None:
    first, second, own = pinned.first, pinned.second, "installed, and the template's own commit"
    described = git("describe", "--tags", "--long", "v1.0.0", cwd=pinned.template).strip()
    pinned.install(pinned.git(first))
    at, sync = pinned.git(first), "uv sync, then uv run dslp doctor"
    away = at.replace(pinned.template.as_uri(), "file:///nowhere")
    folder = f'{{ path = "{pinned.template}", editable = true }}'
    update = "another commit: uvx copier update"
    pinned.examine(
        [
            *((at, recorded, "works", own) for recorded in (first, first[:7], "v1.0.0", described)),
            (at, second, "wrong", f"the template is at {second}, {update}"),
            (at, "20261126", "wrong", f'{update}, or rev = "{second}"'),
            (at, f"v1.0.0-1-g{second[:7]}", "wrong", f'{update}, or rev = "{second[:7]}"'),
            (at, "v1.0.0-1-g1234567", "wrong", 'rev = "1234567" in [tool.uv.sources.dslp]'),
            (pinned.git(second), second, "wrong", sync),
            (pinned.git("20261126"), "20261126", "wrong", sync),
            (at, "v9.9.9", "doubtful", "not compared with the template's v9.9.9"),
            (away, "v1.0.0", "doubtful", "not compared"),
            (at, "", "works", "no commit of a template is recorded"),
            (folder, second, "wrong", "installed is dslp 0.1.0 of commit"),
            ("", "", "wrong", "installed is dslp 0.1.0 of commit"),
        ]
    )


def test_a_folder_is_no_pin_and_an_index_is_known_by_its_number(
    pinned: Pinned, tmp_path: Path
) -> None:
    folder = f'{{ path = "{pinned.template}", editable = true }}'
    pinned.install(folder)
    unpinned = f"{pinned.template}: not pinned: a folder"
    pinned.examine([(folder, pinned.second, "doubtful", unpinned)])
    subprocess.run(["uv", "build", "--quiet", "--wheel", "-o", tmp_path, ROOT], check=True)
    pinned.install("", "--find-links", str(tmp_path), "--reinstall-package", "dslp")
    pinned.examine([("", "", "works", "an index: dslp 0.1.0 from an index; its commit is unknown")])
