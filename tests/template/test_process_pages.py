"""The pages that explain the process: one place for each rule, and one page for newcomers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dslp.github.branches import parse
from dslp.github.policy import __file__ as policy_source

from tests.template_copy import Answers, Template

EXPLAINED = [
    *("I1", "I6", "I11", "E5", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"),
    *("D8", "D9", "X2", "X4"),
]
SECTION = re.compile(r'^<a id="(\w+)"></a>\n\n## (\w+): .+\n\n((?:(?!^<a id=).*\n)+)', re.M)
BRANCHES = ["main", "development"]


def page(files: Template, tmp_path: Path, name: str = "docs/process.md", **answers: object) -> str:
    """A page of a new project."""
    return (files.copy(tmp_path / "claims", answers) / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("branch", BRANCHES)
def test_each_rule_has_its_place_and_says_what_to_do(
    files: Template, tmp_path: Path, branch: str
) -> None:
    text = page(files, tmp_path, collaboration_branch=branch)
    sections = SECTION.findall(text)
    assert [rule for _, rule, _ in sections] == EXPLAINED
    for anchor, rule, words in sections:
        assert anchor == rule.lower()
        parts = [words.find(f"\n**{part}.**") for part in ("Why", "What to do")]
        assert words.startswith("**Rule.** "), rule
        assert -1 not in parts, rule
        assert parts == sorted(parts), rule
    assert f"## B2: Data goes to {branch}\n" in text


def test_every_rule_that_a_finding_cites_is_explained() -> None:
    source = Path(policy_source).read_text(encoding="utf-8")
    cited = set(re.findall(r'"([A-Z]\d+)"', source))
    assert len(cited) >= 8
    assert cited <= set(EXPLAINED)


@pytest.mark.parametrize(
    "answers", [{}, {"components": ["process", "site"]}, {"collaboration_branch": "development"}]
)
def test_the_site_has_the_page_and_loads_nothing_from_outside(
    files: Template, tmp_path: Path, answers: Answers
) -> None:
    project = files.copy(tmp_path / "claims", answers)
    workflow = (project / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(workflow)["jobs"]["tests"]["steps"]
    (step,) = (step for step in steps if "mkdocs" in step.get("run", ""))
    assert step["run"] == "uv run mkdocs build --strict"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
        cwd=project,
        env=os.environ | step.get("env", {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""  # such as Material's banner about its end
    html = (project / "site" / "process" / "index.html").read_text(encoding="utf-8")
    assert [rule for rule in EXPLAINED if f'<a id="{rule.lower()}"></a>' not in html] == []
    assert re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*"', html) == []


# --- CONTRIBUTING.md


def merges(text: str) -> tuple[set[str], dict[str, str]]:
    """The branches of the diagram, and where each is merged to."""
    found = re.search(r"```mermaid\ngitGraph\n(.*?)```", text, re.S)
    assert found
    here, branches, merged = "main", {"main"}, {}
    for line in found[1].splitlines():
        command, _, rest = line.strip().partition(" ")
        name = rest.split(" ")[0].strip('"')
        if command == "branch":
            assert name not in branches
            # A name that begins with a digit is a syntax error unless it is quoted.
            assert f'"{name}"' in line or name in BRANCHES
            branches.add(name)
        if command == "merge":
            merged[name] = here
        if command in ("branch", "checkout"):
            assert name in branches
            here = name
    return branches, merged


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_diagram_shows_what_the_policy_asks_for(
    files: Template, tmp_path: Path, branch: str
) -> None:
    branches, merged = merges(page(files, tmp_path, "CONTRIBUTING.md", collaboration_branch=branch))
    work = branches - set(BRANCHES)
    kinds = {name: parsed.kind for name in work if (parsed := parse(name))}
    assert kinds.keys() == work
    assert set(kinds.values()) == {"Data", "Explore", "Experiment", "Model", ""}
    for name, kind in kinds.items():
        if kind == "Explore":
            assert name not in merged
        elif kind == "Experiment":  # one succeeded, one failed
            assert parse(merged.get(name, "model/1-x")).kind == "Model"  # type: ignore[union-attr]
        else:
            assert merged[name] == branch
    assert sum(kind == "Experiment" for kind in kinds.values()) == 2
    assert sum(kinds.get(name) == "Experiment" for name in merged) == 1
    assert merged.get("development") == ("main" if branch == "development" else None)


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_example_of_a_branch_is_a_good_name(
    files: Template, tmp_path: Path, branch: str
) -> None:
    project = files.copy(tmp_path / "claims", {"collaboration_branch": branch})
    for name in ("CONTRIBUTING.md", "docs/process.md"):
        text = (project / name).read_text(encoding="utf-8")
        examples = re.findall(r"`((?:[a-z]+/)?\d+-[\w-]+)`", text)
        assert len(examples) >= 3, name
        assert [example for example in examples if parse(example) is None] == []


def test_without_the_process_the_page_is_short(files: Template, tmp_path: Path) -> None:
    text = page(files, tmp_path, "CONTRIBUTING.md", components=["data", "site"])
    for absent in ("an issue", "mermaid", "docs/process.md", "dslp start", "pre-commit"):
        assert absent not in text, absent
    assert len(text.splitlines()) < 70
