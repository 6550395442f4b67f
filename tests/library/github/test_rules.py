"""The rules: one text for the command, for the site and for what GitHub links to."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dslp
from dslp.core.branch_names import parse_branch
from dslp.github.rules import PAGE, rules

from tests import clean
from tests.library.toy import Toy
from tests.template_copy import ROOT

LIBRARY = Path(dslp.__file__).parent
TEXT = (LIBRARY / "github" / "rules.md").read_text(encoding="utf-8")


def cited(file: Path) -> Iterator[str]:
    """Rules that a module can name to a user: "B3" alone, or "(B3)" within a text."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    statements = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in statements:  # but no docstring
            yield from re.findall(r"\A[A-Z]\d+\Z|(?<=\()[A-Z]\d+(?=\))", str(node.value))


def test_every_rule_that_can_be_cited_is_explained() -> None:
    ids = {rule for file in LIBRARY.rglob("*.py") for rule in cited(file)}
    assert {"I1", "I6", "I11", "B1", "B3", "B10", "D1", "D2", "D9", "X2"} <= ids
    for file in (ROOT / "template").rglob("*"):  # comments of workflows, names of hooks
        text = file.read_text(encoding="utf-8") if file.is_file() and file.suffix != ".pyc" else ""
        for group in re.findall(r"\(([A-Z]\d+(?:, [A-Z]\d+)*)\)", text):
            ids |= set(group.split(", "))
    assert {"D3", "M8", "M10", "V1", "X1"} <= ids
    assert ids <= rules().keys()


def test_each_rule_says_what_why_and_what_to_do() -> None:
    examples = re.findall(r"`((?:[a-z]+/)?\d+-[\w-]+)`", TEXT)
    assert len(examples) >= 5
    assert [example for example in examples if parse_branch(example) is None] == []
    anchors = re.findall(r'^<a id="(\w+)"></a>$', TEXT, re.MULTILINE)
    assert anchors == [name.lower() for name in rules()] == list(dict.fromkeys(anchors))
    for rule in rules().values():
        parts = [rule.text.find(f"**{part}.**") for part in ("Rule", "Why", "What to do")]
        assert parts[0] == 0, rule
        assert -1 not in parts, rule
        assert parts == sorted(parts), rule
    assert set(re.findall(r"\]\(#(\w+)\)", TEXT)) <= set(anchors)


def test_rules_are_printed_by_their_ids_and_listed_without(toy: Toy) -> None:
    out = toy.done("rules", "b3", "X2").out
    assert "B3: Explorations are never merged" in out
    assert f"{PAGE}#x2" in out
    assert "**" not in out
    assert out.index("Rule. ") < out.index("Why. ") < out.index("What to do. ")
    lines = toy.done("rules").out.splitlines()
    assert [line.split()[0] for line in lines] == list(rules())
    assert max(map(len, lines)) <= 80


def test_a_rule_that_does_not_exist_is_answered_with_the_nearest(toy: Toy) -> None:
    outcome = toy.run("rules", "B1", "B33")
    assert (outcome.code, outcome.out) == (2, "")
    assert "there is no rule 'B33'; do you mean B3?" in outcome.error


def test_github_and_the_site_have_this_text_and_load_nothing_from_outside() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository, _, path = PAGE.partition("/blob/HEAD/")
    assert repository == project["urls"]["Repository"]
    assert (ROOT / path).read_text(encoding="utf-8") == TEXT
    assert clean.site_faults(ROOT) == []
    html = (ROOT / "site" / "rules" / "index.html").read_text(encoding="utf-8")
    assert [rule for rule in rules() if f'<a id="{rule.lower()}"></a>' not in html] == []
