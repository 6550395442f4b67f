"""The page for newcomers: its diagram and its examples are what the policy asks for."""

import re
from pathlib import Path

import pytest
from dslp.core.branch_names import parse_branch

from tests import clean
from tests.template_copy import Answers, Template

BRANCHES = ["main", "development", "release/1.x"]


def merges(text: str) -> tuple[set[str], dict[str, str]]:
    diagram = re.search(r"```mermaid\n%%{init.*'(.+)'}}}%%\ngitGraph\n(.*?)```", text, re.S)
    assert diagram
    current, branches, merged = diagram[1], {diagram[1]}, {}
    for line in diagram[2].splitlines():
        command, _, rest = line.strip().partition(" ")
        name = rest.split(" ")[0].strip('"')
        if command == "branch":
            assert name not in branches
            # A name that begins with a digit is a syntax error unless it is quoted.
            assert f'"{name}"' in line
            branches.add(name)
        if command == "merge":
            merged[name] = current
        if command in ("branch", "checkout"):
            assert name in branches
            current = name
    return branches, merged


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_diagram_and_the_examples_are_what_the_policy_asks_for(
    files: Template, tmp_path: Path, branch: str
) -> None:
    project = files.copy(tmp_path / "claims", {"collaboration_branch": branch})
    text = (project / "CONTRIBUTING.md").read_text("utf-8")
    examples = re.findall(r"`((?:[a-z]+/)?\d+-[\w-]+)`", text)
    assert len(examples) >= 3
    assert [example for example in examples if parse_branch(example) is None] == []
    branches, targets = merges(text)
    work = branches - set(BRANCHES)
    kinds = {name: parsed.kind for name in work if (parsed := parse_branch(name))}
    assert kinds.keys() == work
    assert set(kinds.values()) == {"Data", "Explore", "Experiment", "Model", ""}
    experiments = [name for name, kind in kinds.items() if kind == "Experiment"]
    merged = [targets[name] for name in experiments if name in targets]
    assert (len(experiments), [kinds[name] for name in merged]) == (2, ["Model"])  # one failed
    for name, kind in kinds.items():
        if kind != "Experiment":
            assert targets.get(name) == (None if kind == "Explore" else branch)
    assert targets.get("development") == ("main" if branch == "development" else None)


@pytest.mark.parametrize(
    "answers",
    [{}, pytest.param({"components": ["process", "site"]}, marks=pytest.mark.campaign)],
    ids=str,
)
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_outside(
    files: Template, tmp_path: Path, answers: Answers
) -> None:
    project = files.copy(tmp_path / "claims", answers)
    assert clean.site_faults(project) == []
