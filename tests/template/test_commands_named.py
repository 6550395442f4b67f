"""Pages name commands that exist, and no other."""

import itertools
import re
from pathlib import Path

import pytest
from dslp.cli import app
from typer.testing import CliRunner

from tests.template_copy import ROOT, Template

NAMED = re.compile(r"(?:`|\buv run (?:--group \w+ )?)dslp((?: [a-z][a-z0-9_|-]*)+)")


def unknown(pages: list[Path], expected: set[str]) -> list[str]:
    """The commands on the pages that the library does not have; those expected must be there."""
    named: set[str] = set()
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\|", "|")  # as it is written in tables
        for words in NAMED.findall(text):  # `data build|validate` are two
            choices = itertools.product(*(word.split("|") for word in words.split()))
            named |= {" ".join(choice) for choice in choices}
    assert expected <= named
    run = CliRunner().invoke
    return [name for name in sorted(named) if run(app, [*name.split(), "--help"]).exit_code]


@pytest.mark.parametrize("components", ["data", "process data experiments models site"])
def test_pages_of_a_project_name_commands_that_exist(
    files: Template, tmp_path: Path, components: str
) -> None:
    project = files.copy(tmp_path / "claims", {"components": components.split()})
    expected = {"start", "new model"} if "process" in components else {"data build"}
    assert unknown([*project.glob("**/*.md")], expected) == []


def test_pages_of_this_repository_name_commands_that_exist() -> None:
    rules = ROOT / "src" / "dslp" / "github" / "rules.md"
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", rules, *ROOT.glob("docs/**/*.md")]
    assert unknown(pages, {"start", "check", "labels register", "protect", "new dataset"}) == []
