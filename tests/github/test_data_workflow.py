"""The workflow of datasets: what it refuses in a pull request, and what it keeps of a merge."""

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests import services
from tests.github import payloads
from tests.github.standin.server import Standin
from tests.github.steps import StepRun
from tests.github.workflows import Outcome, Runner
from tests.library.toy import FILES, Toy

pytestmark = pytest.mark.slow  # each starts processes, and Node

PIPELINE = "src/toy/datasets/visits/pipeline.py"


@pytest.fixture
def kept(runner: Runner) -> list[str]:
    """Files that were uploaded as artifacts."""
    found: list[str] = []

    def upload(step: StepRun) -> None:
        found.extend(str(path) for path in Path(step.inputs["path"]).rglob("*") if path.is_file())

    runner.stubs["actions/upload-artifact"] = upload
    return found


@pytest.fixture
def toy(runner: Runner, kept: list[str], uv: None) -> Toy:
    """A project, checked out where the workflow runs, in which `uv` needs no network."""
    shutil.copytree(FILES, runner.folder, dirs_exist_ok=True)
    toy = Toy(runner.folder, "toy")
    (toy.root / ".gitignore").write_text("/data/\n/mlruns/\n/records/\n__pycache__/\n")
    toy.commit()
    toy.git("update-ref", "refs/remotes/origin/main", "HEAD")
    return toy


def proposed(runner: Runner, github: Standin) -> Outcome:
    claims = github.add_repository("ada/claims")
    claims.add_issue("Data", "", ["Data"])
    pull = claims.add_pull("data/1-visits", files={PIPELINE: "x"})
    payload = payloads.pull_request(claims, pull, "opened")
    return runner.run("tests.yml", "pull_request", payload)


@pytest.mark.rule("D8")
def test_a_pull_request_with_too_small_a_version_fails(
    runner: Runner, github: Standin, toy: Toy
) -> None:
    toy.git("switch", "--quiet", "--create", "data/1-visits")
    (toy.dataset.with_name("_shared")).mkdir()
    (toy.dataset.with_name("_shared") / "dates.py").write_text("FIRST = 1\n")
    toy.edit(toy.dataset / "schema.yml", "amount: {type: double}", "price: {type: double}")
    toy.commit()
    job = proposed(runner, github).jobs["tests"]
    assert job.conclusion == "failure", job.log
    assert "it takes 2.0.0" in job.log
    assert job.rights == {"contents": "read", "metadata": "read"}
    toy.done("data", "version", "visits", "--write")
    assert "stated in datasheet.md: 2.0.0" in toy.done("data", "version", "visits").out
    toy.commit()
    assert proposed(runner, github).conclusions == {"tests": "success"}


def test_what_touches_no_dataset_registers_nothing(
    runner: Runner, github: Standin, toy: Toy
) -> None:
    claims = github.add_repository("ada/claims")
    claims.commit("main", {"src/toy/datasets/__init__.py": "x"})
    assert not runner.run("data.yml", "push", payloads.push(claims, "main")).started


@pytest.mark.rule("D6")
def test_a_merge_keeps_the_record_and_says_that_a_file_is_no_registry(
    runner: Runner, github: Standin, toy: Toy, kept: list[str]
) -> None:
    claims = github.add_repository("ada/claims")
    claims.commit("main", {PIPELINE: "x"})
    outcome = runner.run("data.yml", "push", payloads.push(claims, "main"))
    job = outcome.jobs["register"]
    assert outcome.conclusions == {"register": "success"}, job.log
    assert "visits 1.2.0 is NOT registered: tracking is a file of this machine" in job.log
    assert "visits 1.2.0 is NOT registered" in job.summary
    (record,) = kept
    assert json.loads(Path(record).read_text(encoding="utf-8"))["rows"] == 300
    assert job.rights == {"contents": "read", "metadata": "read"}


@pytest.mark.rule("D6")
@pytest.mark.xdist_group("mlflow-server")
def test_a_merge_registers_the_version_at_the_server_that_the_settings_name(
    runner: Runner, github: Standin, toy: Toy, tmp_path: Path
) -> None:
    claims = github.add_repository("ada/claims")
    claims.commit("main", {PIPELINE: "x"})
    folder = tmp_path / "server"
    folder.mkdir()
    with services.mlflow(folder, f"sqlite:///{folder / 'mlflow.db'}") as address:
        runner.variables["MLFLOW_TRACKING_URI"] = address
        outcome = runner.run("data.yml", "push", payloads.push(claims, "main"))
        assert "visits 1.2.0 is registered" in outcome.jobs["register"].log
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("datasets")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["dslp.commit"] == toy.git("rev-parse", "HEAD")


def test_a_merge_never_waits_where_github_would_drop_it(runner: Runner) -> None:
    assert "concurrency" not in (runner.workflows / "data.yml").read_text(encoding="utf-8")
