"""The workflows that a project gets: what starts them, and what they publish."""

from pathlib import Path
from typing import Any

import pytest

from tests.github import payloads
from tests.github.events import PULLS
from tests.github.scene import DATASET, DONE, PYPROJECT
from tests.github.standin.history import merge
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.github.workflows import Runner

pytestmark = pytest.mark.slow  # each starts processes, and Node


@pytest.fixture
def claims(github: Standin) -> Repository:
    """A repository with an Ask, and an issue of each type that needs one."""
    repository = github.add_repository("ada/claims")
    repository.add_issue("Ask", "", ["Ask"])
    for kind, field in (("Data", "Ask"), ("Explore", "Belongs to"), ("Experiment", "Ask")):
        repository.add_issue(kind, f"### {field}\n\n#1", [kind])
    repository.add_issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#4", ["Model"])
    repository.add_issue("Docs", "")
    return repository


@pytest.fixture
def workspace(runner: Runner, uv: None, default_project: Path) -> Runner:
    """A checked-out project in which `uv run …` finds the tool without making an environment."""
    (runner.folder / "pyproject.toml").write_text(PYPROJECT.format(branch="main"))
    labels = default_project / ".github" / "labels.yml"
    (runner.folder / ".github").mkdir()
    (runner.folder / ".github" / "labels.yml").write_bytes(labels.read_bytes())
    return runner


@pytest.mark.parametrize(
    ("head", "action", "state", "facts"),
    [
        ("data/2-claims", "opened", "success", {"files": DATASET}),
        ("explore/3-claims", "reopened", "pending", {}),
        ("model/5-frequency", "edited", "failure", {"fork": "eve"}),
        ("6-docs", "synchronize", "success", {"fork": "eve", "conflicts": True}),
        ("experiment/4-lines", "converted_to_draft", "pending", {"draft": True}),
        ("dependabot/uv/numpy-3", "opened", "success", {"user": "dependabot[bot]"}),
    ],
)
def test_a_pull_request_gets_one_status_whoever_opens_it_and_with_conflicts_too(
    workspace: Runner, claims: Repository, head: str, action: str, state: str, facts: dict[str, Any]
) -> None:
    owner, conflicts = facts.pop("fork", ""), facts.pop("conflicts", False)
    if owner:
        facts |= {"fork": claims.fork(owner), "user": owner}
    pull = claims.add_pull(head, "model/5-x" if "experiment" in head else "main", **facts)
    assert pull.pull
    pull.pull.conflicts = conflicts
    payload = payloads.pull_request(claims, pull, action)
    outcome = workspace.run("policy.yml", "pull_request_target", payload)
    assert outcome.conclusions == {"policy": "success"}, outcome
    (status,) = claims.statuses[claims.head_sha(pull)]
    assert (status.context, status.state) == ("dslp/policy", state), outcome


def test_of_the_events_of_a_pull_request_the_last_gives_the_verdict(
    workspace: Runner, claims: Repository
) -> None:
    first, second = claims.add_pull("6-docs"), claims.add_pull("6-more")
    happened = [
        ("pull_request_target", payloads.pull_request(claims, pull, "edited"))
        for pull in (first, first, first, second)
    ]
    outcomes = workspace.run_at_once("policy.yml", *happened)
    assert [one.is_cancelled for one in outcomes] == [False, True, False, False]
    heads = [claims.head_sha(pull) for pull in (first, second)]
    assert [len(claims.statuses[sha]) for sha in heads] == [2, 1]


def test_a_merge_queue_gets_the_status(workspace: Runner, claims: Repository) -> None:
    queued = claims.commit("gh-readonly-queue/main/pr-1", {}).sha
    assert "if:" not in (workspace.workflows / "policy.yml").read_text("utf-8"), "it may be skipped"
    payload = payloads.merge_group(claims, "main", queued)
    outcome = workspace.run("policy.yml", "merge_group", payload)
    assert outcome.conclusions == {"policy": "success"}, outcome
    assert claims.statuses[queued][0].state == "success"


def test_what_follows_from_a_change_of_an_issue(workspace: Runner, claims: Repository) -> None:
    pull, experiment = claims.add_pull("model/5-frequency"), claims.issues[4]
    experiment.labels += claims.labelled(["succeeded"])
    experiment.body = "### Ask\n\n_No response_"
    payload = payloads.issues(claims, experiment, "labeled", experiment.labels[-1])
    outcome = workspace.run("issues.yml", "issues", payload)
    assert outcome.jobs["handover"].conclusion == "success", outcome
    assert [status.state for status in claims.statuses[claims.head_sha(pull)]] == ["success"]
    assert any("names no Ask" in one.body for one in experiment.comments)
    experiment.labels += claims.labelled(["failed"])
    for state, job in (("open", "handover"), ("closed", "links")):
        experiment.state = state
        payload = payloads.issues(claims, experiment, "edited")
        conclusions = workspace.run("issues.yml", "issues", payload).conclusions
        assert [name for name, how in conclusions.items() if how == "success"] == [job]


@pytest.mark.rule("B4", "X4")
def test_branches_that_end_within_a_minute_are_each_noted_with_conflicts_too(
    workspace: Runner, claims: Repository
) -> None:
    claims.commit("model/5-frequency", {})
    experiment = claims.add_pull("experiment/4-lines", "model/5-frequency")
    other = claims.add_issue("Another", DONE, ["Experiment", "succeeded"])
    lines = claims.add_pull(f"experiment/{other.number}-trees", "model/5-frequency")
    claims.issues[4].labels += claims.labelled(["succeeded"])
    claims.issues[4].body = DONE
    explored = claims.add_pull("explore/3-claims")
    assert explored.pull
    explored.state, explored.pull.conflicts = "closed", True
    for pull in (experiment, lines):
        merge(claims, pull, "ada")
    happened = [
        (event, payloads.pull_request(claims, pull, "closed"))
        for pull in (experiment, lines, explored)
        for event in PULLS
    ]
    outcomes = [one for one in workspace.run_at_once("issues.yml", *happened) if one.jobs]
    assert [one.jobs["ended"].conclusion for one in outcomes] == ["success"] * 3, outcomes
    assert claims.tags == {"archive/explore/3-claims": claims.head_sha(explored)}
    assert [claims.issues[n].state for n in (4, other.number)] == ["closed"] * 2
    assert claims.head_sha(explored) in claims.issues[3].comments[0].body


def test_of_the_events_of_an_issue_none_is_replaced_by_the_next(
    workspace: Runner, claims: Repository
) -> None:
    """A type that is taken away while the issue is edited is what its children depend on."""
    ask, (label,) = claims.issues[1], claims.issues[1].labels
    ask.labels = []
    changes = [("edited", None), ("unlabeled", label), ("edited", None)]
    happened = [("issues", payloads.issues(claims, ask, *change)) for change in changes]
    outcomes = workspace.run_at_once("issues.yml", *happened)
    assert [one.jobs["links"].conclusion for one in outcomes] == ["success"] * 3, outcomes
    assert all("of type Task" in claims.issues[n].comments[0].body for n in (2, 3, 4))


@pytest.mark.parametrize(("result", "conclusion"), [("true", "success"), ("false", "failure")])
def test_one_name_of_tests_says_what_became_of_all_and_is_never_skipped(
    workspace: Runner, claims: Repository, result: str, conclusion: str
) -> None:
    Path(workspace.env["PATH"].split(":")[0], "uv").write_text(f"#!/bin/sh\n{result}\n")
    pull = claims.add_pull("6-docs")
    for event, payload in (
        ("pull_request", payloads.pull_request(claims, pull)),
        ("merge_group", payloads.merge_group(claims, "main", claims.head_sha(pull))),
        ("workflow_dispatch", payloads.workflow_dispatch(claims, "main")),
    ):
        outcome = workspace.run("tests.yml", event, payload)
        assert outcome.conclusions == {"python": conclusion, "tests": conclusion}, outcome


@pytest.mark.rule("L3")
def test_the_first_push_registers_the_labels_and_others_do_not(
    workspace: Runner, claims: Repository
) -> None:
    claims.commit("main", {"README.md": "x"})
    assert not workspace.run("labels.yml", "push", payloads.push(claims, "main")).jobs
    claims.commit("main", {".github/labels.yml": "x", ".github/workflows/labels.yml": "x"})
    outcome = workspace.run("labels.yml", "push", payloads.push(claims, "main"))
    assert outcome.conclusions == {"labels": "success"}, outcome
    assert claims.label("Experiment") is not None
    rights = outcome.jobs["labels"].rights
    assert {name for name, level in rights.items() if level == "write"} == {"issues"}
