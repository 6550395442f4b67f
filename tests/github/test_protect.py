"""Protecting a repository: rulesets for names and merges, and all that people added stays."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
from dslp.github.rulesets import PATTERNS

from tests.github.scene import Scene, make
from tests.github.standin.faults import status
from tests.github.standin.repositories import glob
from tests.github.standin.server import Standin

OURS = {"context": "dslp/policy", "integration_id": 15368}  # GitHub Actions


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    scene.token = github.add_token()
    return scene


def test_the_status_is_required_of_github_actions(scene: Scene) -> None:
    ended = scene.run("protect", "--dry-run")
    assert (ended.code, scene.github.writes) == (0, [])
    assert re.search(r"repository +allow_squash_merge +true +false\n", ended.out)
    assert max(map(len, ended.out.splitlines())) <= 80
    assert scene.run("protect").out == ended.out.replace("to change", "changed")
    _, merges = scene.repository.rulesets
    kinds = {rule["type"]: rule.get("parameters", {}) for rule in merges["rules"]}
    assert kinds["required_status_checks"]["required_status_checks"] == [OURS]
    assert kinds["pull_request"]["allowed_merge_methods"] == ["merge"]
    assert scene.repository.settings["allow_squash_merge"] is False
    scene.github.forget()
    ended = scene.run("protect")
    assert (ended.out, scene.github.writes) == ("ada/claims: nothing is changed\n", [])


def test_what_people_added_or_made_stricter_stays(scene: Scene) -> None:
    scene.run("protect")
    names, merges = scene.repository.rulesets
    names["conditions"]["ref_name"]["exclude"].append("refs/heads/infra/*")
    names["bypass_actors"] = [{"actor_id": 1, "actor_type": "Team", "bypass_mode": "always"}]
    names["rules"].append({"type": "required_signatures"})
    merges["conditions"]["ref_name"]["exclude"].append("refs/heads/main-old")
    pull, required = (rule["parameters"] for rule in merges["rules"][2:])
    stricter = [name for name, value in pull.items() if value is False]
    pull |= {"required_approving_review_count": 2} | dict.fromkeys(stricter, True)
    required |= {"strict_required_status_checks_policy": True}
    checks = required["required_status_checks"]
    checks += [{"context": "lint"}, {"context": "scan", "integration_id": 9}, {"context": "tests"}]
    theirs = deepcopy((names, merges))
    scene.github.forget()
    assert scene.run("protect").code == 0
    assert (scene.github.writes, len(stricter)) == ([], 4)
    names["enforcement"] = "disabled"
    names["conditions"]["ref_name"]["exclude"].remove("refs/heads/data/*")
    del merges["rules"][0], checks[0]["integration_id"]
    pull["allowed_merge_methods"].append("squash")
    new = {"context": "docs", "integration_id": 15368}
    theirs[1]["rules"][3]["parameters"]["required_status_checks"].append(new)
    ended = scene.run("protect", "--require", "tests", "--require", "docs")
    assert [request.method for request in scene.github.writes] == ["PUT", "PUT"]
    for row in ("enforcement +disabled +active", "exclude data/\\* +- ", "deletion type +- "):
        assert re.search(row, ended.out), ended.out
    for ruleset, before in zip(scene.repository.rulesets, theirs, strict=True):
        for side in ("include", "exclude"):
            one, other = (each["conditions"]["ref_name"].pop(side) for each in (ruleset, before))
            assert sorted(one) == sorted(other)
        for each in (ruleset, before):
            each["rules"].sort(key=lambda rule: rule["type"])
        assert ruleset == before


def test_a_server_has_another_number_for_github_actions(scene: Scene) -> None:
    scene.run("protect", GITHUB_SERVER_URL="https://git.corp.example")
    (check,) = scene.repository.rulesets[1]["rules"][3]["parameters"]["required_status_checks"]
    assert check == {"context": "dslp/policy", "integration_id": 77}


@pytest.mark.parametrize(
    ("private", "code", "words"),
    [(True, 403, "paid plan"), (False, 403, "no right"), (False, 404, "no right to administer")],
)
def test_who_cannot_have_it_is_told_why_and_nothing_is_half_done(
    scene: Scene, tmp_path: Path, private: bool, code: int, words: str
) -> None:
    scene.repository.private = private
    if not private:
        scene.token = make(tmp_path / "other", scene.github).token
    if code == 404:
        scene.github.on("POST */rulesets", status(404, "Not Found"))
    ended = scene.run("protect")
    assert (ended.code, words in ended.err, ended.err.count("\n")) == (2, True, 1), ended
    assert (scene.repository.settings, scene.repository.rulesets) == ({}, [])


@pytest.mark.rule("B1", "B8")
def test_branches_of_other_names_cannot_be_made(scene: Scene) -> None:
    good = ["data/12-claims", "12-docs", "14-docs/data-gotchas", "revert-12-model/3-x"]
    good += ["copilot/fix-1", "dependabot/pip/mlflow-4", "ada-patch-1", "gh-pages"]
    patterns = re.compile("|".join(map(glob, PATTERNS)))
    assert [name for name in [*good, "wip", "my/branch"] if patterns.fullmatch(name)] == good
    text = '[tool.dslp]\nbranch = "team/trunk"\nexempt_branches = ["infra/*"]\n'
    (scene.folder / "pyproject.toml").write_text(text)
    scene.repository.default_branch = "master"
    scene.run("protect")
    names, merges = (one["conditions"]["ref_name"] for one in scene.repository.rulesets)
    merged = ["refs/heads/main", "refs/heads/master", "refs/heads/team/trunk"]
    assert merges["include"] == merged
    assert {*merged, "refs/heads/infra/*"} <= set(names["exclude"])
