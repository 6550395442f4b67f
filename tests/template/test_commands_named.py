"""Pages name commands that exist, and no other."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from dslp.cli import app
from typer.testing import CliRunner

from tests.template_copy import ROOT, Template

NAMED = re.compile(r"(?:`|\buv run (?:--group \w+ )?)dslp((?: [a-z][a-z0-9_|-]*)+)")

COMPONENTS = ("process", "data", "data experiments", "process data experiments models site")


def commands(pages: list[Path]) -> set[str]:
    """The commands that the pages name; `data build|validate` are two."""

    def each(text: str) -> Iterator[str]:
        for words in NAMED.findall(text.replace("\\|", "|")):  # as it is written in tables
            for choice in itertools.product(*(word.split("|") for word in words.split())):
                yield " ".join(choice)

    return {command for page in pages for command in each(page.read_text(encoding="utf-8"))}


def unknown(named: set[str]) -> list[str]:
    """Those of the commands that the library does not have."""
    run = CliRunner().invoke
    return [name for name in sorted(named) if run(app, [*name.split(), "--help"]).exit_code]


def test_the_pages_of_a_project_name_commands_that_exist(files: Template, tmp_path: Path) -> None:
    for number, components in enumerate(COMPONENTS):
        project = files.copy(tmp_path / str(number), {"components": components.split()})
        named = commands([project / "CONTRIBUTING.md", *project.glob("**/*.md")])
        assert unknown(named) == []
        assert ("start" in named) == ("process" in components)
        assert ("new model" in named) == ("experiments" in components)


def test_the_pages_of_this_repository_name_commands_that_exist(tmp_path: Path) -> None:
    rules = ROOT / "src" / "dslp" / "github" / "rules.md"
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", rules, *ROOT.glob("docs/**/*.md")]
    named = commands(pages)
    assert unknown(named) == []
    assert {"start", "check", "labels register", "protect", "new dataset", "new model"} <= named
    page = tmp_path / "page.md"
    page.write_text("`uv run dslp data build NAME`, `dslp labels register|list`", "utf-8")
    assert unknown(commands([page])) == ["labels list"]  # the control
