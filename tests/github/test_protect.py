"""Protecting a repository: rulesets for names and merges, made once and kept as they should be."""

import re
from pathlib import Path

import pytest
from dslp.github.rulesets import BRANCHES

from tests.github.scene import Scene, make
from tests.github.standin.rulesets import glob
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    made = make(tmp_path / "project", github)
    made.token = github.add_token()
    return made


def test_the_status_is_required_and_squashing_is_off(scene: Scene) -> None:
    said = scene.run("protect")
    assert said.code == 0, said
    merges = next(r for r in scene.repository.rulesets if "merges" in r["name"])
    kinds = {rule["type"]: rule.get("parameters", {}) for rule in merges["rules"]}
    checks = kinds["required_status_checks"]["required_status_checks"]
    assert [check["context"] for check in checks] == ["dslp/policy"]
    assert kinds["pull_request"]["allowed_merge_methods"] == ["merge"]
    assert scene.repository.settings["allow_squash_merge"] is False


def test_a_second_run_changes_nothing_and_repairs_what_was_changed(scene: Scene) -> None:
    scene.run("protect")
    scene.github.forget()
    assert scene.run("protect").code == 0
    assert scene.github.writes == []
    scene.repository.rulesets[0]["enforcement"] = "disabled"
    scene.github.forget()
    scene.run("protect")
    assert [request.method for request in scene.github.writes] == ["PUT"]
    assert scene.repository.rulesets[0]["enforcement"] == "active"


def test_a_private_repository_without_a_plan_is_told_so(tmp_path: Path, github: Standin) -> None:
    scene = make(tmp_path, github, private=True)
    scene.token = github.add_token()
    said = scene.run("protect")
    assert said.code == 2
    assert "paid plan" in said.err


def test_a_token_without_the_right_is_told_so(scene: Scene) -> None:
    scene.token = scene.github.add_workflow_token(scene.repository, {"contents": "read"})
    said = scene.run("protect")
    assert said.code == 2
    assert "no right" in said.err


@pytest.mark.rule("B1")
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("data/12-claims", True),
        ("12-docs", True),
        ("main", True),
        ("revert-12-model/3-x", True),
        ("revert-12-docs", True),
        ("wip", False),
        ("my/branch", False),
    ],
)
def test_branches_of_other_names_cannot_be_made(name: str, allowed: bool) -> None:
    assert any(re.fullmatch(glob(pattern), name) for pattern in BRANCHES) is allowed
