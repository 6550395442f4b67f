"""A model that moved asks people for a retraining: once, and never more than asks."""

import json
from pathlib import Path

import pytest

from tests.github.scene import DONE, Ended, Scene, make
from tests.github.standin.faults import Action, status
from tests.github.standin.history import merge
from tests.github.standin.model import Issue
from tests.github.standin.routing import BOT
from tests.github.standin.server import Standin

PARAMS = "src/demo/models/frequency/params.yml"
STATED = "# how it is made\ndataset: {name: visits, version: 1.2.0} # by hand\ntarget: visits\n"
TESTS = {".github/workflows/tests.yml": "on: {workflow_dispatch: }\n"}
RIGHTS = dict.fromkeys(("contents", "issues", "pull_requests", "statuses", "actions"), "write")
FACTS = {
    "model": "frequency",
    "params": PARAMS,
    "dataset": "visits",
    "stated": "1.2.0",
    "newest": "1.3.0",
    "ask": 1,
    "issue": 3,
    "moved": ["amount", "absolute_error"],
    "verdict": "moved",
    "report": "| amount | drift |",
}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """A repository with an Ask, an experiment, the model's issue, and its parameters."""
    scene = make(tmp_path / "project", github)
    begin(scene)
    return scene


def begin(scene: Scene) -> None:
    scene.repository = make(scene.folder, scene.github).repository
    scene.token = scene.github.add_workflow_token(scene.repository, RIGHTS)
    scene.repository.commit("main", {PARAMS: STATED, **TESTS})
    scene.issue("Ask")
    scene.issue("Experiment", DONE, "succeeded")
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2", state="closed")
    scene.github.forget()


def propose(scene: Scene, fault: Action | None = None, **changes: object) -> Ended:
    """Run the workflow's last step, for what its first one found; pull requests may fail."""
    folder = scene.folder / "reports"
    folder.mkdir(exist_ok=True)
    (folder / "frequency.json").write_text(json.dumps(FACTS | changes))
    scene.github.forget()
    if fault:
        scene.github.on("POST */pulls", fault)
    return scene.run("propose", str(folder))


def opened(scene: Scene) -> tuple[list[Issue], list[Issue]]:
    """Issues and pull requests that are open, but for the first three."""
    issues = [one for one in scene.repository.issues.values() if one.number > 3]
    issues = [one for one in issues if one.state == "open"]
    return [one for one in issues if not one.pull], [one for one in issues if one.pull]


@pytest.mark.rule("M10")
def test_one_issue_and_one_pull_request_for_review(scene: Scene) -> None:
    assert propose(scene).code == 0
    (issue,), (pull,) = opened(scene)
    assert issue.title == "Retrain frequency: amount, absolute_error moved"
    assert [label.name for label in issue.labels] == ["Model"]
    assert pull.labels == []
    assert "| amount | drift |" in (issue.body or "")
    assert pull.pull
    assert pull.pull.base == "main"
    assert pull.pull.head_ref == f"model/{issue.number}-retrain-frequency"
    files = scene.repository.commits[scene.repository.head_sha(pull)].files
    assert files[PARAMS] == STATED.replace("1.2.0", "1.3.0")
    verdict = scene.status(pull)
    assert verdict
    assert (verdict.context, verdict.state, verdict.creator) == ("dslp/policy", "success", BOT)
    ((ref, name),) = [(one["ref"], one["workflow"]) for one in scene.repository.dispatches]
    assert (ref, name) == (pull.pull.head_ref, "tests.yml")


@pytest.mark.rule("M10")
def test_what_is_opened_is_checked_and_what_cannot_be_started_is_said(scene: Scene) -> None:
    scene.repository.issues[1].labels = []  # no Ask any more
    scene.token = scene.github.add_workflow_token(scene.repository, RIGHTS | {"actions": "read"})
    ended = propose(scene)
    assert ended.code == 0, ended
    (issue,), (pull,) = opened(scene)
    (comment,) = issue.comments
    assert "I11" in comment.body
    verdict = scene.status(pull)
    assert verdict
    assert verdict.state == "failure"
    words = f"#{pull.number} is open, but its checks are not all started: the token has no right"
    assert words in ended.out


@pytest.mark.rule("M10")
def test_a_second_run_adds_nothing_until_people_closed_it(scene: Scene) -> None:
    foreign = scene.repository.add_issue("x", "<!-- dslp: retrain frequency -->", ["Model"], "eve")
    propose(scene)
    foreign.state = "closed"
    propose(scene, moved=["kind"], report="| kind | drift |")
    assert scene.github.writes == []
    (issue,), (pull,) = opened(scene)
    issue.state = "closed"
    propose(scene)
    (second,), (same,) = opened(scene)
    assert (second.number, same) == (7, pull)
    same.state = "closed"
    propose(scene)
    (other,) = opened(scene)[1]
    assert other.pull
    assert other.pull.head_ref == "model/7-retrain-frequency"


@pytest.mark.rule("M10")
def test_where_actions_may_not_open_pull_requests_the_issue_says_where_a_person_does(
    scene: Scene,
) -> None:
    text = "GitHub Actions is not permitted to create or approve pull requests."
    for _ in range(2):
        propose(scene, status(403, text))
    (issue,), pulls = opened(scene)
    assert pulls == []
    (comment,) = issue.comments
    branch = f"model/{issue.number}-retrain-frequency"
    assert f"/ada/claims/compare/main...{branch}?expand=1" in comment.body
    files = scene.repository.commits[scene.repository.branches[branch]].files
    assert "1.3.0" in files[PARAMS]
    propose(scene)  # it was allowed meanwhile
    assert len(opened(scene)[1]) == 1


def test_without_a_newer_version_the_issue_asks_for_one_first(scene: Scene) -> None:
    propose(scene, newest="1.2.0")
    (issue,), pulls = opened(scene)
    assert (pulls, "first open a Data issue" in (issue.body or "")) == ([], True)
    propose(scene)
    assert len(opened(scene)[1]) == 1


@pytest.mark.campaign
def test_stopped_after_any_change_the_next_run_goes_on(scene: Scene) -> None:
    propose(scene)
    scene.github.repositories.clear()
    stops = 0
    for stops, _ in enumerate(scene.stop_anywhere(lambda: begin(scene), "propose", "reports"), 1):
        propose(scene)
        assert [len(each) for each in opened(scene)] == [1, 1], stops
    assert stops == 6  # the issue, its branch, its file, the pull request, its verdict and tests


def test_only_parameters_of_the_model_are_changed(scene: Scene) -> None:
    wrong = ("../params.yml", ".github/workflows/models/x/params.yml", PARAMS.replace("fre", "un"))
    for path in wrong:
        ended = propose(scene, params=path)
        assert (ended.code, scene.github.writes) == (2, []), path
        assert "names no model of this project" in ended.err


def test_figures_of_a_release_are_commented_once(scene: Scene) -> None:
    mark = "<!-- dslp: release frequency 1 -->"
    scene.repository.add_comment(3, f"{mark}\nnot ours", "eve")
    folder = scene.folder / "records"
    folder.mkdir()
    for text in ("first", "second"):
        (folder / "frequency.md").write_text(f"{mark}\n{text}\n")
        assert scene.run("tell", str(folder), "3").code == 0
    texts = [one.body.splitlines()[-1] for one in scene.repository.issues[3].comments]
    assert texts == ["not ours", "second"]


@pytest.mark.parametrize(("head", "fork"), [("model/3-a-model", True), ("copilot/fix", False)])
def test_a_model_of_a_fork_or_an_agent_is_released_like_any_other(
    scene: Scene, head: str, fork: bool
) -> None:
    source = scene.repository.fork("eve") if fork else None
    pull = scene.pull(head, body="Closes #3", fork=source)
    ended = scene.run("merged", merge(scene.repository, pull, "ada"))
    assert "the branch of #3 was merged" in ended.out, ended
