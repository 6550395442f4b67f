"""Pages name the commands that there are, and no other: those of a project are its own tool's."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template_copy import ROOT, Template

TOOL = Path("tools/dslp/src")
NAMED = re.compile(r"(?:`|\buv run (?:--group \w+ )?)dslp((?: [a-z][a-z0-9_|-]*)+)")

# Asks the tool for the help of each command, and prints those that it does not know.
ASK_FOR_HELP = """
import sys
from dslp.cli import app
from typer.testing import CliRunner

for command in sys.argv[1:]:
    if CliRunner().invoke(app, [*command.split(), "--help"]).exit_code:
        print(command)
"""

PROCESS = {"start", "check", "labels register", "protect"}
DATA = {"new dataset", "new exploration", "data build", "data validate"}
DATA |= {f"data {name}" for name in ("schema", "profile", "version", "register", "push", "pull")}
EXPERIMENTS = {"new model", "doctor"}
EXPERIMENTS |= {f"experiment {name}" for name in ("run", "compare", "sweep", "reproduce")}
MODELS = {f"model {name}" for name in ("train", "test", "register", "promote", "rollback")}
MODELS |= {f"model {name}" for name in ("history", "serve", "score", "profile", "monitor", "card")}

EXPECTED = {
    "process": PROCESS,
    "data": DATA,
    "process data site": PROCESS | DATA,
    "data experiments": DATA | EXPERIMENTS,
    "process data experiments models site": PROCESS | DATA | EXPERIMENTS | MODELS,
}


def commands(pages: list[Path]) -> set[str]:
    """The commands that the pages name; `data build|validate` are two."""

    def each(text: str) -> Iterator[str]:
        for words in NAMED.findall(text.replace("\\|", "|")):  # as it is written in tables
            for choice in itertools.product(*(word.split("|") for word in words.split())):
                yield " ".join(choice)

    return {command for page in pages for command in each(page.read_text(encoding="utf-8"))}


def unknown(named: set[str], tool: Path) -> list[str]:
    """Those of the commands that the tool does not have."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_FOR_HELP, *sorted(named)],
        env=os.environ | {"PYTHONPATH": str(tool)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("components", EXPECTED)
def test_a_project_names_the_commands_that_it_has(
    files: Template, tmp_path: Path, components: str
) -> None:
    project = files.copy(tmp_path / "claims", {"components": components.split()})
    pages = [project / "README.md", project / "CONTRIBUTING.md", *project.glob("docs/**/*.md")]
    assert unknown(commands(pages), project / TOOL) == []
    in_the_page_that_updates_reach = commands([project / "CONTRIBUTING.md"])
    assert EXPECTED[components] - in_the_page_that_updates_reach == set()
    assert commands([project / "README.md"]) == set()  # written once: it would grow old


def test_a_command_that_a_project_lacks_is_seen(files: Template, tmp_path: Path) -> None:
    """The control: were it not, the tests above would mean nothing."""
    project = files.copy(tmp_path / "claims", {"components": ["process"]})
    page = tmp_path / "page.md"
    page.write_text("`uv run dslp data build NAME`, `dslp labels register|list`", "utf-8")
    named = commands([page])
    assert named == {"data build", "labels register", "labels list"}
    assert unknown(named, project / TOOL) == ["data build", "labels list"]


def test_this_repository_names_the_commands_that_a_project_has() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]
    named = commands(pages)
    assert unknown(named, ROOT / "template" / TOOL) == []
    assert PROCESS | {"new dataset", "new exploration", "new model"} <= named
