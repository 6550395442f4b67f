"""What a team receives, and what a maintainer reads, has a size that is held."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from tests.template_copy import ROOT, Template, git, tree

# Lines of a project that are neither the team's own pages nor the worked example.
OWN = ("README.md", "LICENSE", "uv.lock")
EXAMPLE = (
    *("src/claims/datasets/", "src/claims/models/"),
    *("tests/data/test_claim", "tests/model/test_claim", "tests/unit/test_claim"),
)


@pytest.mark.rule("G1")
@pytest.mark.parametrize(
    ("components", "most_files", "most_lines"),
    [(["process", "data", "experiments", "models", "site"], 60, 1_700), (["process"], 34, 1_200)],
    ids=["default", "process alone"],
)
def test_a_project_is_light(
    files: Template, tmp_path: Path, components: list[str], most_files: int, most_lines: int
) -> None:
    project = tree(files.copy(tmp_path / "claims", {"components": components}))
    foreign = {
        name: content.count(b"\n")
        for name, content in project.items()
        if name not in OWN and not name.startswith(EXAMPLE)
    }
    workflows = [n for name, n in foreign.items() if name.startswith((".github/w", ".github/a"))]
    assert len(project) <= most_files
    assert sum(foreign.values()) <= most_lines
    assert sum(workflows) <= 430
    assert foreign["hooks/post_generate.py"] <= 120


def test_the_library_has_at_most_so_many_lines_of_code() -> None:
    """Python without blank lines, comments and docstrings; the formatter keeps the width."""
    sizes = {path: code_lines(path) for path in (ROOT / "src" / "dslp").rglob("*.py")}
    assert sum(sizes.values()) <= 16_330
    long = {path.name: size for path, size in sizes.items() if size > 350}
    assert long == {}


def test_the_tests_and_the_pages_and_the_template_are_small() -> None:
    tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert sum(text.count("\n") for text in tests) <= 23_050
    folders = [ROOT / "src" / "dslp" / name for name in ("core/templates", "logbook/templates")]
    pages = [
        path for folder in (*folders, ROOT / "src/dslp/logbook/assets") for path in folder.iterdir()
    ]
    assert sum(path.read_text(encoding="utf-8").count("\n") for path in pages) <= 1_190
    assert len(git("ls-files", "template", cwd=ROOT).splitlines()) <= 69


def code_lines(path: Path) -> int:
    """The lines of a module that hold code."""
    text = path.read_text(encoding="utf-8")
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*nothing, tokenize.ENDMARKER):
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            held -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(held)
