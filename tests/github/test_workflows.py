"""The workflows that a project gets, run on real payloads: what starts, and what it publishes."""

from pathlib import Path

import pytest

from tests.github import payloads
from tests.github.scene import DATASET, PYPROJECT
from tests.github.standin.model import Issue, Repository
from tests.github.standin.server import Standin
from tests.github.workflows import Outcome, Runner

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


def judged(workspace: Runner, claims: Repository, pull: Issue, action: str = "opened") -> Outcome:
    payload = payloads.pull_request(claims, pull, action)
    return workspace.run("policy.yml", "pull_request", payload)


BRANCHES = {
    "data/2-claims": ("main", "success"),
    "explore/3-claims": ("main", "failure"),  # pending once a ruleset requires the status
    "experiment/4-boosting": ("main", "failure"),
    "model/5-frequency": ("main", "failure"),
    "6-docs": ("main", "success"),
    "wip": ("main", "failure"),
}


@pytest.mark.parametrize("head", BRANCHES)
@pytest.mark.parametrize("fork", [False, True], ids=["same repository", "fork"])
def test_a_pull_request_gets_one_status_or_a_job_that_says_it(
    workspace: Runner, github: Standin, claims: Repository, head: str, fork: bool
) -> None:
    base, state = BRANCHES[head]
    files = DATASET if head.startswith("data/") else None
    source = github.add_fork(claims, "eve") if fork else None
    pull = claims.add_pull(head, base, files=files, fork=source, user="eve" if fork else "ada")
    outcome = judged(workspace, claims, pull)
    assert outcome.started
    (conclusion,) = outcome.conclusions.values()
    if fork:
        assert claims.statuses == {}
        assert conclusion == ("success" if state == "success" else "failure"), outcome.jobs
        return
    assert conclusion == "success", outcome.jobs["policy"].log
    (status,) = claims.statuses[claims.head_sha(pull)]
    assert (status.context, status.state) == ("dslp/policy", state)
    notes = outcome.jobs["policy"].annotations
    assert bool(notes) == (state != "success")


@pytest.mark.parametrize("action", ["opened", "reopened", "edited", "synchronize"])
def test_whatever_changes_a_verdict_starts_the_check(
    workspace: Runner, claims: Repository, action: str
) -> None:
    assert judged(workspace, claims, claims.add_pull("6-docs"), action).started


def test_no_gate_is_behind_a_condition_that_could_skip_it(runner: Runner) -> None:
    text = (runner.workflows / "policy.yml").read_text(encoding="utf-8")
    assert "if:" not in text


def test_a_merge_queues_commit_gets_the_status(workspace: Runner, claims: Repository) -> None:
    sha = claims.commit("gh-readonly-queue/main/pr-1", {}).sha
    payload = payloads.merge_group(claims, "main", sha)
    outcome = workspace.run("policy.yml", "merge_group", payload)
    assert set(outcome.conclusions.values()) == {"success"}, outcome.jobs["policy"].log
    assert claims.statuses[sha][0].state == "success"


def test_a_maintainer_publishes_by_hand(workspace: Runner, claims: Repository) -> None:
    pull = claims.add_pull("6-docs")
    payload = payloads.workflow_dispatch(claims, "main", pull_request=str(pull.number))
    outcome = workspace.run("policy.yml", "workflow_dispatch", payload)
    assert set(outcome.conclusions.values()) == {"success"}, outcome.jobs["policy"].log
    assert claims.statuses[claims.head_sha(pull)][0].state == "success"


def test_a_label_on_an_issue_changes_the_verdict_of_its_open_pull_request(
    workspace: Runner, claims: Repository
) -> None:
    pull = claims.add_pull("model/5-frequency")
    judged(workspace, claims, pull)
    experiment = claims.issues[4]
    experiment.labels += claims.labelled(["succeeded"])
    payload = payloads.issues(claims, experiment, "labeled", experiment.labels[-1])
    outcome = workspace.run("issues.yml", "issues", payload)
    assert set(outcome.conclusions.values()) == {"success"}, outcome.jobs["links"].log
    states = [status.state for status in claims.statuses[claims.head_sha(pull)]]
    assert states == ["success", "failure"]


def test_a_missing_link_is_told_on_the_issue(workspace: Runner, claims: Repository) -> None:
    issue = claims.add_issue("Data", "### Ask\n\n_No response_", ["Data"])
    payload = payloads.issues(claims, issue, "opened")
    workspace.run("issues.yml", "issues", payload)
    assert "names no Ask" in issue.comments[0].body


def test_a_closed_exploration_is_noted_on_its_issue(workspace: Runner, claims: Repository) -> None:
    pull = claims.add_pull("explore/3-claims")
    pull.state = "closed"
    payload = payloads.pull_request(claims, pull, "closed")
    outcome = workspace.run("issues.yml", "pull_request", payload)
    assert set(outcome.conclusions.values()) == {"success"}, outcome.jobs["links"].log
    assert claims.head_sha(pull) in claims.issues[3].comments[0].body


@pytest.mark.rule("L3")
def test_the_first_push_registers_the_labels(workspace: Runner, claims: Repository) -> None:
    claims.commit("main", {".github/labels.yml": "x", ".github/workflows/labels.yml": "x"})
    outcome = workspace.run("labels.yml", "push", payloads.push(claims, "main"))
    assert set(outcome.conclusions.values()) == {"success"}, outcome.jobs["labels"].log
    assert claims.label("Experiment") is not None
    rights = outcome.jobs["labels"].rights
    assert {name for name, level in rights.items() if level == "write"} == {"issues"}


def test_other_pushes_register_nothing(workspace: Runner, claims: Repository) -> None:
    claims.commit("main", {"README.md": "x"})
    payload = payloads.push(claims, "main")
    assert not workspace.run("labels.yml", "push", payload).started
