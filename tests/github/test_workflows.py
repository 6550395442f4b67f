"""The workflows that a project gets: what starts them, and what they publish."""

from pathlib import Path

import pytest

from tests.github import payloads
from tests.github.scene import DATASET, PYPROJECT
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
    ("head", "action", "state", "fork"),
    [
        ("data/2-claims", "opened", "success", False),
        ("explore/3-claims", "reopened", "failure", False),  # pending once a ruleset requires it
        ("model/5-frequency", "edited", "failure", True),
        ("6-docs", "synchronize", "success", True),
    ],
)
def test_a_pull_request_gets_one_status_or_a_job_that_says_it(
    workspace: Runner, claims: Repository, head: str, action: str, state: str, fork: bool
) -> None:
    files = DATASET if head.startswith("data/") else None
    source = claims.fork("eve") if fork else None
    pull = claims.add_pull(head, files=files, fork=source, user="eve" if fork else "ada")
    payload = payloads.pull_request(claims, pull, action)
    outcome = workspace.run("policy.yml", "pull_request", payload)
    assert outcome.conclusions == {"policy": state if fork else "success"}, outcome
    statuses = [(one.context, one.state) for one in claims.statuses.get(claims.head_sha(pull), [])]
    assert statuses == ([] if fork else [("dslp/policy", state)])
    assert bool(outcome.jobs["policy"].annotations) == (state != "success")


def test_a_merge_queue_and_a_maintainer_by_hand_get_the_status(
    workspace: Runner, claims: Repository
) -> None:
    queued = claims.commit("gh-readonly-queue/main/pr-1", {}).sha
    pull = claims.add_pull("6-docs")
    by_hand = payloads.workflow_dispatch(claims, "main", pull_request=str(pull.number))
    text = (workspace.workflows / "policy.yml").read_text("utf-8")
    assert "if:" not in text, "it could be skipped"
    for event, payload, sha in (
        ("merge_group", payloads.merge_group(claims, "main", queued), queued),
        ("workflow_dispatch", by_hand, claims.head_sha(pull)),
    ):
        outcome = workspace.run("policy.yml", event, payload)
        assert outcome.conclusions == {"policy": "success"}, outcome
        assert claims.statuses[sha][0].state == "success"


def test_what_follows_from_a_change_of_an_issue_and_from_a_closed_exploration(
    workspace: Runner, claims: Repository
) -> None:
    pull, experiment = claims.add_pull("model/5-frequency"), claims.issues[4]
    experiment.labels += claims.labelled(["succeeded"])
    experiment.body = "### Ask\n\n_No response_"
    payload = payloads.issues(claims, experiment, "labeled", experiment.labels[-1])
    outcome = workspace.run("issues.yml", "issues", payload)
    assert outcome.conclusions == {"links": "success"}, outcome
    assert [status.state for status in claims.statuses[claims.head_sha(pull)]] == ["success"]
    assert "names no Ask" in experiment.comments[0].body

    pull = claims.add_pull("explore/3-claims")
    pull.state = "closed"
    payload = payloads.pull_request(claims, pull, "closed")
    outcome = workspace.run("issues.yml", "pull_request", payload)
    assert outcome.conclusions == {"links": "success"}, outcome
    assert claims.head_sha(pull) in claims.issues[3].comments[0].body


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
