"""A model that moved asks people for a retraining: once, and never more than asks."""

import json
import shutil
from pathlib import Path

import pytest

from tests.github import payloads
from tests.github.scene import Scene, make
from tests.github.standin.faults import status
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin
from tests.github.steps import StepRun
from tests.github.test_data_workflow import kept, toy
from tests.github.test_release_workflow import server
from tests.github.workflows import Runner
from tests.library.models.test_monitor import log
from tests.library.toy import Toy

__all__ = ["kept", "server", "toy"]

PARAMS = "src/demo/models/frequency/params.yml"
STATED = "# how it is made\ndataset: {name: visits, version: 1.2.0} # by hand\ntarget: visits\n"
RIGHTS = {"contents": "write", "issues": "write", "pull_requests": "write"}
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
    made = make(tmp_path / "project", github)
    made.token = github.add_workflow_token(made.repository, RIGHTS)
    made.repository.commit("main", {PARAMS: STATED})
    made.issue("Ask")
    made.issue("Experiment", "### Ask\n\n#1", "succeeded")
    made.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2", state="closed")
    return made


def proposed(scene: Scene, **changes: object) -> str:
    """What the workflow's last step says."""
    folder = scene.folder / "reports"
    folder.mkdir(exist_ok=True)
    (folder / "frequency.json").write_text(json.dumps(FACTS | changes))
    said = scene.run("propose", str(folder))
    assert said.code == 0, said
    return said.out


def opened(scene: Scene) -> tuple[list[Issue], list[Issue]]:
    """Issues and pull requests that are open, but for the first three."""
    found = [one for one in scene.repository.issues.values() if one.number > 3]
    found = [one for one in found if one.state == "open"]
    return [one for one in found if not one.pull], [one for one in found if one.pull]


@pytest.mark.rule("M10")
def test_one_issue_and_one_pull_request_for_review(scene: Scene) -> None:
    proposed(scene)
    (issue,), (pull,) = opened(scene)
    assert issue.title == "Retrain frequency: amount, absolute_error moved"
    assert [label.name for label in issue.labels] == ["Model"]
    assert "| amount | drift |" in (issue.body or "")
    assert pull.pull
    assert pull.pull.base == "main"
    assert pull.pull.head_ref == f"model/{issue.number}-retrain-frequency"
    files = scene.repository.commits[scene.repository.head_sha(pull)].files
    assert files[PARAMS] == STATED.replace("1.2.0", "1.3.0")
    scene.token = scene.github.add_token()
    said = scene.run("check", "--pull-request", str(pull.number))
    assert said.code == 0, said
    assert not {label.name for label in issue.labels + pull.labels} & {"Deploy"}


@pytest.mark.rule("M10")
def test_a_second_look_adds_nothing(scene: Scene) -> None:
    proposed(scene)
    scene.github.forget()
    said = proposed(scene, moved=["kind"], report="| kind | drift |")
    assert scene.github.writes == []
    assert "issue #4 is open already" in said
    assert "pull request #5 is open already" in said


def test_a_closed_issue_allows_a_new_one_and_an_open_pull_request_no_second(scene: Scene) -> None:
    proposed(scene)
    (issue,), (pull,) = opened(scene)
    issue.state = "closed"
    proposed(scene)
    (again,), (same,) = opened(scene)
    assert (again.number, same) == (6, pull)
    same.state = "closed"
    proposed(scene)
    (other,) = opened(scene)[1]
    assert other.pull
    assert other.pull.head_ref == "model/6-retrain-frequency"


@pytest.mark.rule("M10")
def test_where_actions_may_not_open_pull_requests_the_issue_says_where_a_person_does(
    scene: Scene,
) -> None:
    text = "GitHub Actions is not permitted to create or approve pull requests."
    scene.github.on("POST", "*/pulls", status(403, text), times=None)
    for _ in range(2):
        proposed(scene)
    (issue,), pulls = opened(scene)
    assert pulls == []
    (comment,) = issue.comments
    branch = f"model/{issue.number}-retrain-frequency"
    assert f"/ada/claims/compare/main...{branch}?expand=1" in comment.body
    files = scene.repository.commits[scene.repository.branches[branch]].files
    assert "1.3.0" in files[PARAMS]
    scene.github.forget()
    proposed(scene)  # it was allowed meanwhile
    assert len(opened(scene)[1]) == 1


def test_without_a_newer_version_there_is_nothing_to_pull(scene: Scene) -> None:
    assert "no version of visits after 1.2.0" in proposed(scene, newest="1.2.0")
    (issue,), pulls = opened(scene)
    assert pulls == []
    assert "first a Data issue for a new one" in (issue.body or "")
    proposed(scene)
    assert len(opened(scene)[1]) == 1


def test_somebody_elses_issue_with_the_mark_is_not_taken_for_it(scene: Scene) -> None:
    scene.repository.add_issue("x", "<!-- dslp: retrain frequency -->", ["Model"], user="eve")
    proposed(scene)
    assert len(opened(scene)[0]) == 2


@pytest.mark.parametrize("kill", range(1, 14))
def test_wherever_it_is_stopped_the_next_look_goes_on(scene: Scene, kill: int) -> None:
    folder = scene.folder / "reports"
    folder.mkdir()
    (folder / "frequency.json").write_text(json.dumps(FACTS))
    scene.github.forget()
    scene.github.kill_at(kill)
    scene.run("propose", str(folder))
    scene.github.forget()
    proposed(scene)
    issues, pulls = opened(scene)
    assert (len(issues), len(pulls)) == (1, 1)


@pytest.mark.parametrize("path", ["../params.yml", ".github/workflows/models/x/params.yml", PARAMS])
def test_only_parameters_of_the_model_are_changed(scene: Scene, path: str) -> None:
    folder = scene.folder / "reports"
    folder.mkdir()
    facts = FACTS | {"params": path, "model": "other" if path == PARAMS else "frequency"}
    (folder / "x.json").write_text(json.dumps(facts))
    scene.github.forget()
    said = scene.run("propose", str(folder))
    assert said.code == 2
    assert "names no model of this project" in said.err
    assert scene.github.writes == []


@pytest.mark.slow
@pytest.mark.rule("M10", "M9")
def test_with_a_file_for_tracking_the_workflow_says_so_and_ends_well(
    runner: Runner, github: Standin, toy: Toy, kept: list[str]
) -> None:
    runner.stubs["actions/download-artifact"] = lambda step: None
    claims = github.add_repository("ada/claims")
    payload = payloads.workflow_dispatch(claims, "main")
    outcome = runner.run("monitor.yml", "workflow_dispatch", payload)
    job = outcome.jobs["look"]
    assert outcome.conclusions == {"look": "success", "propose": "success"}, job.log
    assert [Path(path).name for path in kept] == ["watched.md"]
    (note,) = job.annotations
    assert note.message.startswith("nothing is watched: tracking is a file of this machine")
    assert job.rights == {"contents": "read", "metadata": "read"}


@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
@pytest.mark.rule("M9", "M10")
def test_what_moved_reaches_the_job_that_may_write(
    runner: Runner, github: Standin, toy: Toy, tmp_path: Path, server: str
) -> None:
    recorded = {"MLFLOW_TRACKING_URI": server}
    toy.done("data", "build")
    toy.done("model", "train", "--candidate", "linear", cwd=None, **recorded)
    toy.done("model", "register", cwd=None, **recorded)
    toy.done("model", "promote", cwd=None, **recorded)
    toy.edit(toy.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    log(toy, amount=9.5)
    claims = github.add_repository("ada/claims")
    params = "src/toy/models/frequency/params.yml"
    claims.commit("main", {params: (toy.root / params).read_text()})
    tokens: list[dict[str, str]] = []
    artifact = tmp_path / "artifact"

    def app(step: StepRun) -> dict[str, str]:
        tokens.append(dict(step.inputs))
        return {"token": github.add_workflow_token(claims, RIGHTS)}

    def upload(step: StepRun) -> None:
        shutil.move(step.inputs["path"], artifact)

    def download(step: StepRun) -> None:
        shutil.copytree(artifact, step.inputs["path"])

    runner.stubs |= {
        "actions/upload-artifact": upload,
        "actions/download-artifact": download,
        "actions/create-github-app-token": app,
    }
    runner.variables |= {"DSLP_APP_ID": "12", **recorded}
    payload = payloads.workflow_dispatch(claims, "main")
    outcome = runner.run("monitor.yml", "workflow_dispatch", payload)
    assert outcome.conclusions == {"look": "success", "propose": "success"}, outcome
    (given,) = tokens
    rights = {key: value for key, value in given.items() if key.startswith("permission-")}
    assert rights == {f"permission-{name.replace('_', '-')}": "write" for name in RIGHTS}
    assert {one.title for one in claims.issues.values()} == {
        "Retrain frequency: amount, predicted visits moved",
        "Retrain frequency on visits 1.3.0",
    }
