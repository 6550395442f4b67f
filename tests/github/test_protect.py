"""Protecting a repository: rulesets for names and merges, made once and kept as they should be."""

import re
from pathlib import Path

import pytest
from dslp.github.rulesets import BRANCHES

from tests.github.scene import Scene, make
from tests.github.standin.repositories import glob
from tests.github.standin.server import Standin


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    scene.token = github.add_token()
    return scene


def test_the_status_is_required_and_kept_so(scene: Scene) -> None:
    ended = scene.run("protect")
    assert ended.code == 0, ended
    merges = next(r for r in scene.repository.rulesets if "merges" in r["name"])
    kinds = {rule["type"]: rule.get("parameters", {}) for rule in merges["rules"]}
    checks = kinds["required_status_checks"]["required_status_checks"]
    assert [check["context"] for check in checks] == ["dslp/policy"]
    assert kinds["pull_request"]["allowed_merge_methods"] == ["merge"]
    assert scene.repository.settings["allow_squash_merge"] is False
    scene.github.forget()
    assert scene.run("protect").code == 0
    assert scene.github.writes == []
    scene.repository.rulesets[0]["enforcement"] = "disabled"
    scene.run("protect")
    assert [request.method for request in scene.github.writes] == ["PUT"]
    assert scene.repository.rulesets[0]["enforcement"] == "active"


@pytest.mark.parametrize(("private", "words"), [(True, "paid plan"), (False, "no right")])
def test_who_cannot_have_it_is_told_why(
    tmp_path: Path, github: Standin, private: bool, words: str
) -> None:
    scene = make(tmp_path, github, private=private)
    if private:
        scene.token = github.add_token()
    ended = scene.run("protect")
    assert (ended.code, words in ended.err) == (2, True), ended


@pytest.mark.rule("B1")
def test_branches_of_other_names_cannot_be_made() -> None:
    names = [
        "data/12-claims",
        "12-docs",
        "main",
        "revert-12-model/3-x",
        "revert-12-docs",
        "wip",
        "my/branch",
    ]
    patterns = re.compile("|".join(map(glob, BRANCHES)))
    names = [*good, "wip", "my/branch"]
    assert [name for name in names if patterns.fullmatch(name)] == good
