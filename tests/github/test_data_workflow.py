"""The workflow of datasets: what it refuses in a pull request, and what it keeps of a merge."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from tests import services
from tests.github import payloads
from tests.github.evaluator import Evaluator
from tests.github.standin.server import Standin
from tests.github.steps import StepRun
from tests.github.test_workflows import ACTIONS, WORKFLOWS
from tests.github.workflows import Outcome, Runner
from tests.library.toy import FILES, Toy

pytestmark = pytest.mark.slow  # each starts processes, and Node

PIPELINE = "src/toy/datasets/visits/pipeline.py"
UV = f"""\
#!/bin/sh
test "$1" = run || exit 0
while [ "$1" != dslp ]; do shift; done
shift
exec "{sys.executable}" -m dslp "$@"
"""


@pytest.fixture
def kept(runner: Runner) -> list[str]:
    """Files that were uploaded as artifacts."""
    found: list[str] = []

    def upload(step: StepRun) -> None:
        found.extend(str(path) for path in Path(step.inputs["path"]).rglob("*") if path.is_file())

    runner.stubs["actions/upload-artifact"] = upload
    return found


@pytest.fixture
def toy(runner: Runner, kept: list[str], tmp_path: Path) -> Toy:
    """A project, checked out where the workflow runs, in which `uv` needs no network."""
    shutil.copytree(FILES, runner.folder, dirs_exist_ok=True)
    toy = Toy(runner.folder, "toy")
    (toy.root / ".gitignore").write_text("/data/\n/mlruns/\n/records/\n__pycache__/\n")
    toy.commit()
    toy.git("update-ref", "refs/remotes/origin/main", "HEAD")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "uv").write_text(UV)
    (tmp_path / "tools" / "uv").chmod(0o755)
    runner.env["PATH"] = f"{tmp_path / 'tools'}:/usr/bin:/bin"
    runner.stubs |= {action.split("@")[0]: lambda step: None for action in ACTIONS}
    return toy


def proposed(runner: Runner, github: Standin, path: str = PIPELINE) -> Outcome:
    claims = github.add_repository("ada/claims")
    claims.add_issue("Data", "", ["Data"])
    pull = claims.add_pull("data/1-visits", files={path: "x"})
    payload = payloads.pull_request(claims, pull, "opened")
    return runner.run(WORKFLOWS / "data.yml", "pull_request", payload)


@pytest.mark.rule("D8")
def test_a_pull_request_with_too_small_a_version_fails(
    runner: Runner, github: Standin, toy: Toy
) -> None:
    toy.git("switch", "--quiet", "--create", "data/1-visits")
    (toy.dataset.with_name("_shared")).mkdir()
    (toy.dataset.with_name("_shared") / "dates.py").write_text("FIRST = 1\n")
    toy.edit(toy.dataset / "schema.yml", "amount: {type: double}", "price: {type: double}")
    toy.commit()
    outcome = proposed(runner, github)
    assert outcome.conclusions == {"Versions": "failure", "Registration": "skipped"}
    assert "2.0.0" in outcome.jobs["version"].log
    assert outcome.jobs["version"].rights == {"contents": "read", "metadata": "read"}
    toy.done("data", "version", "visits", "--write")
    assert "stated in datasheet.md: 2.0.0" in toy.done("data", "version", "visits").out
    toy.commit()
    assert proposed(runner, github).conclusions["Versions"] == "success"


def test_what_touches_no_dataset_starts_nothing(runner: Runner, github: Standin, toy: Toy) -> None:
    assert not proposed(runner, github, "src/toy/datasets/__init__.py").started


@pytest.mark.rule("D6")
def test_a_merge_keeps_the_record_and_says_that_a_file_is_no_registry(
    runner: Runner, github: Standin, toy: Toy, kept: list[str]
) -> None:
    claims = github.add_repository("ada/claims")
    claims.commit("main", {PIPELINE: "x"})
    outcome = runner.run(WORKFLOWS / "data.yml", "push", payloads.push(claims, "main"))
    job = outcome.jobs["register"]
    assert outcome.conclusions == {"Versions": "skipped", "Registration": "success"}, job.log
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
        outcome = runner.run(WORKFLOWS / "data.yml", "push", payloads.push(claims, "main"))
        assert "visits 1.2.0 is registered" in outcome.jobs["register"].log
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("datasets")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["dslp.commit"] == toy.git("rev-parse", "HEAD")


def test_a_merge_never_waits_where_github_would_drop_it(evaluator: Evaluator) -> None:
    group = yaml.safe_load((WORKFLOWS / "data.yml").read_text())["concurrency"]["group"]
    groups = [
        evaluator.evaluate(
            re.findall(r"\{\{ (.*?) \}\}", group)[-1],
            {"github": {"event_name": event, "sha": sha, "ref": "refs/heads/main"}},
        )["text"]
        for event, sha in (("push", "a"), ("push", "b"), ("pull_request", "a"))
    ]
    assert groups == ["a", "b", "refs/heads/main"]
