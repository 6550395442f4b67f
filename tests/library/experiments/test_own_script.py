"""Runs that a training script of a team's own logged are compared, as docs/adopt says."""

import json
import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import mlflow
import pytest
from dslp.core.settings import Project
from dslp.experiments.model import model_names
from dslp.models.persistence import model_requirements
from dslp.tracking.provenance import lock_digest

from tests.library.toy import Toy

PAGE = Path(__file__).parents[3] / "docs" / "adopt" / "experiments.md"


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository with the model and the script of the page, whose runs are logged."""
    root = tmp_path_factory.mktemp("own")
    folder = root / "lifecycle" / "models" / "churn"
    folder.mkdir(parents=True)
    (root / "mlruns").mkdir()
    settings = 'package = "lifecycle"\ncode = "."\ntracking = "local"\n'
    (root / "dslp.toml").write_text(settings)
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    (folder / "params.yml").write_text(blocks["yaml"])
    (root / "train_churn.py").write_text(blocks["python"])
    (root / ".gitignore").write_text("mlruns/\n")
    toy = Toy(root, "lifecycle")
    toy.commit()
    setting, script, command = blocks["console"].splitlines()[1:]
    assert setting.endswith('"sqlite:///$PWD/mlruns/mlflow.db"')
    assert command.endswith("dslp experiment compare churn --issue 9")
    env = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlruns/mlflow.db"}
    subprocess.run([sys.executable, script.split()[1]], cwd=root, env=env, check=True)
    return toy


@pytest.mark.rule("G2", "E2", "E3")
def test_the_script_of_the_page_is_compared(churn: Toy) -> None:
    out = churn.done("experiment", "compare", "churn", "--issue", "9").out
    assert re.search(r"forest: 0\.\d+ better than the baseline \(95 % sure: between", out)
    assert "the goal of 0.02 is reached" in out
    assert "Mean over 5 folds" in next(churn.root.rglob("gains.svg")).read_text("utf-8")


@pytest.mark.rule("E3")
def test_what_cannot_be_compared_is_said(churn: Toy) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{churn.root}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("churn").experiment_id

    def log(name: str, values: dict[int, float], metric: str = "fold_accuracy") -> None:
        run = client.create_run(experiment, run_name=name, tags={"dslp.issue": "10"})
        for step, value in values.items():
            client.log_metric(run.info.run_id, metric, value, step=step)
        client.set_terminated(run.info.run_id)

    log("forest", {0: 0.9}, "accuracy")
    assert "no run of constant" in churn.run("experiment", "compare", "--issue", "10").error
    log("constant", {0: 0.5}, "accuracy")
    log("forset", {0: 0.9})
    report = json.loads(churn.done("experiment", "compare", "--issue", "10", "--json").out)
    details = report["results"][0]["details"]
    better = details["candidates"][1]
    assert (round(better["gain"], 3), better["interval"]) == (0.4, [None, None])
    assert any("'forset' is no candidate" in note for note in details["notes"])
    log("forest", {0: 0.9, 1: float("nan")})
    log("forest", {0: 0.9, 1: 0.8})
    notes = churn.done("experiment", "compare", "--issue", "10").out
    assert "forest has 2 folds, and the baseline has 1" in notes
    assert "is not a finite number" in " ".join(notes.split())


@pytest.mark.parametrize("command", ["experiment run", "experiment sweep", "model train"])
def test_commands_that_need_train_py_say_so(churn: Toy, command: str) -> None:
    outcome = churn.run(*command.split(), "churn")
    assert outcome.code == 2
    assert "churn is trained by a script of its own" in outcome.error


@pytest.mark.rule("G2")
def test_no_workflow_releases_or_monitors_what_a_script_trains(churn: Toy) -> None:
    assert model_names(Project.find(churn.root)) == []


@pytest.mark.rule("G2", "V2")
def test_an_adopted_repository_keeps_its_tests_and_environment(experimented: Toy) -> None:
    tool = experimented.root / ".github" / "dslp"
    tool.mkdir(parents=True)
    (tool / "pyproject.toml").write_text('[project]\nname = "process"\ndependencies = ["pandas"]\n')
    (tool / "uv.lock").write_text("version = 1\n")
    before = set(experimented.root.glob("tests/**/*.py"))
    experimented.done("new", "model", "other", "--target", "visits", "--ask", "7")
    assert set(experimented.root.glob("tests/**/*.py")) == before
    test = f"src/{experimented.package}/tests/model_other.py"
    assert (experimented.root / test).is_file()
    assert test in (experimented.source / "models" / "other" / "gates.yml").read_text("utf-8")
    project = Project.find(experimented.root)
    assert lock_digest(project) == sha256(b"version = 1\n").hexdigest()
    assert any(line.startswith("pandas==") for line in model_requirements(project, ()))
