"""The workflows of datasets and models, each command in a process of its own.

A merged dataset is registered, a merged model becomes the challenger, the label Deploy makes it the
champion, and a champion that moved asks for a retraining.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.github import payloads
from tests.github.standin.history import merge
from tests.github.standin.model import Issue, Repository
from tests.github.steps import StepFailed
from tests.github.workflows import Outcome, Runner
from tests.library.toy import FILES, Toy

pytestmark = pytest.mark.slow

PIPELINE = "src/toy/datasets/visits/pipeline.py"
PARAMS = "src/toy/models/frequency/params.yml"
READS = {"contents": "read"}
COMMAND = READS | {"id_token": "write"}  # of a job that runs a command of dslp near the data
REPLACED = "1" * 40  # a push that replaced the history: git does not have what was before


@pytest.fixture
def artifact(runner: Runner, tmp_path: Path) -> Path:
    """The folder that one job uploads, and another downloads; all other actions do nothing."""
    folder = tmp_path / "artifact"

    def upload(inputs: dict[str, Any]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if Path(inputs["path"]).exists():
            shutil.move(inputs["path"], folder)

    def download(inputs: dict[str, Any]) -> None:
        if not folder.exists():
            raise StepFailed("no artifact")
        shutil.copytree(folder, inputs["path"], dirs_exist_ok=True)

    runner.stubs |= {"actions/upload-artifact": upload, "actions/download-artifact": download}
    for action in ("docker/login-action", "docker/build-push-action"):
        runner.stubs[action] = lambda inputs: None
    return folder


@pytest.fixture
def toy(runner: Runner, artifact: Path, uv: None) -> Toy:
    """A project, checked out where the workflow runs, in which `uv` needs no network."""
    shutil.copytree(FILES, runner.folder, dirs_exist_ok=True)
    toy = Toy(runner.folder, "toy")
    (toy.root / ".gitignore").write_text("/data/\n/mlruns/\n/records/\n/dist/\n__pycache__/\n")
    (toy.source / "__init__.py").touch()
    with (toy.root / "pyproject.toml").open("a") as file:
        file.write('[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n')
    toy.commit()
    toy.git("update-ref", "refs/remotes/origin/main", "HEAD")
    return toy


@pytest.fixture
def claims(runner: Runner) -> Repository:
    """A repository with an experiment that succeeded and a Model issue."""
    claims = runner.github.add_repository("ada/claims")
    claims.add_issue("Ask", "", ["Ask"])
    claims.add_issue("Lines", "### Ask\n\n#1", ["Experiment", "succeeded"], state="closed")
    claims.add_issue("Frequency", "### Ask\n\n#1\n\n### Experiment\n\n#2", ["Model"])
    return claims


def merged(runner: Runner, claims: Repository, branch: str, path: str, before: str) -> Outcome:
    merge(claims, claims.add_pull(branch, files={path: before}), "ada")
    return runner.run("release.yml", "push", payloads.push(claims, "main", before=before))


def labelled(runner: Runner, claims: Repository, issue: Issue, name: str) -> Outcome:
    issue.labels += claims.labelled([name])
    payload = payloads.issues(claims, issue, "labeled", issue.labels[-1])
    return runner.run("release.yml", "issues", payload)


def succeeded(outcome: Outcome) -> set[str]:
    return {name for name, conclusion in outcome.conclusions.items() if conclusion == "success"}


def log_predictions(toy: Toy, amount: float) -> None:
    """Let the champion have predicted for a hundred rows with this amount."""
    folder = toy.root / "data" / "interim" / "predictions" / "frequency"
    folder.mkdir(parents=True)
    line = {
        "time": pd.Timestamp.now("UTC").isoformat(),
        **{"model": "frequency", "version": "1", "semantic": "1.0.0", "role": "champion"},
        **{"latency_ms": 1.0, "row": 0, "inputs": {"amount": amount, "kind": "home"}},
        "prediction": {"visits": 1 + amount},
    }
    lines = [json.dumps({"request_id": f"champion-{n}", **line}) for n in range(100)]
    (folder / "champion.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.rule("D6", "L5", "M8", "M9", "M10")
def test_from_a_merged_dataset_to_a_champion_and_its_retraining(
    runner: Runner, claims: Repository, toy: Toy, mlflow_server: str
) -> None:
    runner.variables["MLFLOW_TRACKING_URI"] = mlflow_server
    tracking, issue = MlflowClient(mlflow_server), claims.issues[3]

    claims.commit("main", {PIPELINE: "x"})
    outcome = runner.run("data.yml", "push", payloads.push(claims, "main"))
    assert "visits 1.2.0 is registered" in outcome.jobs["register"].log, outcome
    experiment = tracking.get_experiment_by_name("datasets")
    assert experiment is not None
    (run,) = tracking.search_runs([experiment.experiment_id])
    assert run.data.tags["dslp.commit"] == toy.git("rev-parse", "HEAD")

    outcome = merged(runner, claims, "model/3-frequency", PARAMS, before=REPLACED)
    assert succeeded(outcome) == {"merged", "challenger", "figures"}, outcome
    (comment,) = issue.comments
    assert "frequency 1.0.0 (version 1) is registered, as the challenger" in comment.body
    for words in ("| success criterion |", "one row, median, ms"):
        assert words in comment.body
    job = outcome.jobs["challenger"]
    assert (job.rights, job.environment) == (COMMAND, "")

    outcome = labelled(runner, claims, issue, "Deploy")
    assert succeeded(outcome) == {"champion", "figures"}, outcome
    assert "frequency 1.0.0 (version 1) is the champion" in issue.comments[-1].body
    job = outcome.jobs["champion"]
    assert (job.rights, job.environment) == (COMMAND, "production")
    history = toy.done("model", "history", MLFLOW_TRACKING_URI=mlflow_server).out
    assert "labelled Deploy (#3)" in " ".join(history.split())

    # The data moves, and a newer version of the dataset exists.
    toy.edit(toy.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    log_predictions(toy, amount=9.5)
    params = toy.root / PARAMS
    claims.commit("main", {PARAMS: params.read_text()})
    requested: list[dict[str, Any]] = []
    rights = dict.fromkeys(("contents", "issues", "pull_requests"), "write")

    def app(inputs: dict[str, Any]) -> dict[str, str]:
        requested.append(inputs)
        return {"token": runner.github.add_workflow_token(claims, rights, "claims[bot]")}

    runner.stubs["actions/create-github-app-token"] = app
    runner.variables["DSLP_APP_ID"] = "12"
    payload = payloads.workflow_dispatch(claims, "main")
    outcome = runner.run("monitor.yml", "workflow_dispatch", payload)
    assert succeeded(outcome) == {"look", "propose"}, outcome
    assert {key: value for key, value in requested[0].items() if key.startswith("permission-")} == {
        f"permission-{name.replace('_', '-')}": "write" for name in rights
    }
    titles = [one.title for one in claims.issues.values()][-2:]
    assert titles[0].startswith("Retrain frequency: amount")
    assert titles[1] == "Retrain frequency on visits 1.3.0"
    # What an App opens starts workflows, unlike what a workflow's own token does.
    payload = payloads.pull_request(claims, claims.issues[max(claims.issues)])
    outcome = runner.run("policy.yml", "pull_request_target", payload)
    assert succeeded(outcome) == {"policy"}, outcome


# --- Without a server, tracking is a file of the machine that GitHub throws away


@pytest.mark.campaign
@pytest.mark.rule("D6")
def test_a_merge_keeps_the_record_and_says_that_a_file_is_no_registry(
    runner: Runner, claims: Repository, toy: Toy, artifact: Path
) -> None:
    claims.commit("main", {"src/toy/datasets/__init__.py": "x"})
    assert not runner.run("data.yml", "push", payloads.push(claims, "main")).jobs
    claims.commit("main", {PIPELINE: "x"})
    outcome = runner.run("data.yml", "push", payloads.push(claims, "main"))
    job = outcome.jobs["register"]
    assert succeeded(outcome) == {"register"}, outcome
    assert "visits 1.2.0 is NOT registered: tracking is a file of this machine" in job.log
    assert "visits 1.2.0 is NOT registered" in job.summary
    (record,) = (path for path in artifact.rglob("*") if path.is_file())
    assert json.loads(record.read_text(encoding="utf-8"))["rows"] == 300
    assert job.rights == COMMAND


def test_with_a_file_for_tracking_nothing_is_watched_and_that_is_said(
    runner: Runner, claims: Repository, toy: Toy, artifact: Path
) -> None:
    payload = payloads.workflow_dispatch(claims, "main")
    outcome = runner.run("monitor.yml", "workflow_dispatch", payload)
    assert succeeded(outcome) == {"look", "propose"}, outcome
    assert [path.name for path in artifact.iterdir()] == ["watched.md"]
    (note,) = outcome.jobs["look"].annotations
    assert note.startswith("nothing is monitored: tracking is a file of this machine")
    assert outcome.jobs["look"].rights == COMMAND


# --- What a workflow does, and what it leaves alone


@pytest.mark.rule("D8")
def test_a_pull_request_with_too_small_a_version_fails(
    runner: Runner, claims: Repository, toy: Toy
) -> None:
    claims.add_issue("Data", "", ["Data"])
    pull = claims.add_pull("data/4-visits", files={PIPELINE: "x"})
    toy.git("switch", "--quiet", "--create", "data/4-visits")
    toy.edit(toy.dataset / "schema.yml", "amount: {type: double}", "price: {type: double}")
    toy.commit()
    payload = payloads.pull_request(claims, pull)
    job = runner.run("tests.yml", "pull_request", payload).jobs["python"]
    assert job.conclusion == "failure", job.log
    assert "it takes 2.0.0" in job.log
    assert job.rights == READS
    toy.done("data", "version", "visits", "--write")
    toy.commit()
    assert succeeded(runner.run("tests.yml", "pull_request", payload)) == {"python", "tests"}


@pytest.mark.campaign
@pytest.mark.rule("M8")
@pytest.mark.parametrize(("branch", "trains"), [("model/3-frequency", True), ("1-amounts", False)])
def test_shared_code_of_a_model_branch_releases_the_models(
    runner: Runner, claims: Repository, toy: Toy, branch: str, trains: bool
) -> None:
    before, path = toy.git("rev-parse", "HEAD"), "src/toy/features/amounts.py"
    (toy.root / path).parent.mkdir(exist_ok=True)
    (toy.root / path).write_text('"""What models share."""\n')
    toy.commit()
    outcome = merged(runner, claims, branch, path, before)
    comments = [comment.body for comment in claims.issues[3].comments]
    assert any("frequency is NOT registered" in one for one in comments) == trains, outcome
    assert outcome.conclusions["challenger"] == "success", outcome


def test_an_image_is_built_where_one_is_named(runner: Runner, claims: Repository, toy: Toy) -> None:
    built: list[str] = []
    runner.stubs["docker/build-push-action"] = lambda inputs: built.append(inputs["tags"])
    runner.variables["IMAGE"] = "ghcr.io/ada/claims"
    (toy.root / PARAMS).unlink()  # nothing to train
    outcome = merged(runner, claims, "model/3-frequency", PARAMS, before=REPLACED)
    assert outcome.conclusions["image"] == "success", outcome
    assert built == [f"ghcr.io/ada/claims:{claims.branches['main']}"]
    outcome = merged(runner, claims, "data/4-visits", PIPELINE, before=REPLACED)
    assert not outcome.jobs


@pytest.mark.rule("L5")
@pytest.mark.parametrize(("number", "label"), [(3, "on hold"), (2, "Deploy")])
def test_other_labels_and_other_issues_release_nothing(
    runner: Runner, claims: Repository, number: int, label: str
) -> None:
    outcome = labelled(runner, claims, claims.issues[number], label)
    assert set(outcome.conclusions.values()) == {"skipped"}


def test_the_first_push_of_a_repository_releases_nothing(
    runner: Runner, claims: Repository
) -> None:
    outcome = merged(runner, claims, "model/3-frequency", PARAMS, before="0" * 40)
    assert set(outcome.conclusions.values()) == {"skipped"}
