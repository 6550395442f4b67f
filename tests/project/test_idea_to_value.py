"""The worked example walks every step once, on a laptop, offline: from raw data to a champion."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.project.whole import Project

pytestmark = [pytest.mark.slow, pytest.mark.only("defaults")]

RECORDED = Path(__file__).with_name("recorded.py").read_text(encoding="utf-8")
INPUTS = ["coinsurance", "individual_deductible", "incentive_payment", "expenditure_ceiling"]


@pytest.fixture(scope="session")
def walk(project: Project) -> dict[str, Any]:
    """What every step said, and what MLflow knew after it."""
    said: dict[str, Any] = {
        "build": project.dslp("data", "build", "claims"),
        "validate": project.dslp("data", "validate"),
        "experiment": project.dslp("experiment", "run", "--issue", "7"),
        "train": project.dslp("model", "train"),
        "register": project.dslp("model", "register"),
    }
    said["registered"] = recorded(project)
    said["promote"] = project.dslp("model", "promote", "--why", "better than guessing")
    said["promoted"] = recorded(project)
    return said


def recorded(project: Project) -> dict[str, Any]:
    """All runs and models that MLflow knows in the project."""
    said = project.succeed("uv", "run", "python", "-W", "ignore", "-c", RECORDED)
    return dict(json.loads(said.splitlines()[-1]))


@pytest.mark.rule("G4", "G1")
def test_idea_to_value(walk: dict[str, Any]) -> None:
    assert re.search(r"claims\s+20,190\s+10\b", walk["build"]), walk["build"]
    assert re.search(r"claims holds: \d\d checks, 0 findings", walk["validate"]), walk["validate"]
    assert walk["experiment"].index("baseline ") < walk["experiment"].index("boosted ")
    assert re.search(r"boosted .*\bmet", walk["experiment"]), walk["experiment"]
    assert "on the holdout" in walk["train"]
    assert "claim_frequency 1.0.0 (version 1) is registered, as the challenger" in walk["register"]
    assert "claim_frequency 1.0.0 (version 1) is the champion" in walk["promote"]


def test_data_and_runs_stay_out_of_git(walk: dict[str, Any], project: Project) -> None:
    assert walk
    assert project.succeed("git", "status", "--porcelain") == ""
    assert (project.path / "data" / "raw").is_dir()
    assert (project.path / "data" / "processed" / "claims.parquet").is_file()
    assert (project.path / "mlruns" / "mlflow.db").is_file()


@pytest.mark.rule("E1", "V1")
def test_a_run_carries_what_it_was_made_from(walk: dict[str, Any], project: Project) -> None:
    runs = [run for run in walk["promoted"]["runs"] if run["tags"]["dslp.kind"] == "experiment"]
    assert {run["tags"]["dslp.candidate"] for run in runs} == {"baseline", "boosted"}
    for run in runs:
        tags = run["tags"]
        assert run["status"] == "FINISHED"
        assert tags["dslp.issue"] == "7"
        assert tags["dslp.branch"] == "main"
        assert tags["dslp.commit"] == project.succeed("git", "rev-parse", "HEAD").strip()
        assert tags["dslp.clean"] == "true"
        assert tags["dslp.dataset"] == "claims"
        assert tags["dslp.dataset_version"] == "1.0.0"
        assert re.fullmatch("[0-9a-f]{64}", tags["dslp.dataset_digest"])
        assert re.fullmatch("[0-9a-f]{64}", tags["dslp.environment"])
        assert run["datasets"] == ["claims"]
        assert run["metrics"]["poisson_deviance"] > 0
        assert run["params"]["split.policy"] == "group"


@pytest.mark.rule("M5")
def test_a_registered_model_knows_where_it_comes_from(walk: dict[str, Any]) -> None:
    assert list(walk["registered"]["models"]) == ["claim_frequency"]
    (version,) = walk["registered"]["models"]["claim_frequency"].values()
    assert version["aliases"] == ["challenger"]
    assert version["inputs"][: len(INPUTS)] == INPUTS
    assert version["outputs"] == ["visits"]
    assert version["tags"]["dslp.dataset"] == "claims"
    assert version["tags"]["dslp.dataset_version"] == "1.0.0"
    assert version["tags"]["dslp.ask"] == "1"
    assert float(version["tags"]["holdout_poisson_deviance"]) > 0
    (run,) = [run for run in walk["registered"]["runs"] if run["id"] == version["run"]]
    assert run["tags"]["dslp.kind"] == "training"
    assert run["metrics"]["holdout_poisson_deviance"] == pytest.approx(
        float(version["tags"]["holdout_poisson_deviance"]), rel=1e-4
    )
    assert run["metrics"]["improvement"] >= 0.05


def test_the_champion_is_the_challenger_that_passed(walk: dict[str, Any]) -> None:
    (version,) = walk["promoted"]["models"]["claim_frequency"].values()
    assert version["aliases"] == ["champion"]
    trail = [v for name, v in version["tags"].items() if name.startswith("dslp.audit.")]
    whys = {entry["action"]: entry.get("why") for entry in map(json.loads, trail)}
    assert whys["promote"] == "better than guessing"


def test_there_is_no_second_promotion(walk: dict[str, Any], project: Project) -> None:
    assert walk
    done = project.run("uv", "run", "dslp", "model", "promote")
    assert done.code == 2, done.text
    assert "no challenger" in done.text


@pytest.mark.rule("D7")
def test_data_is_built_where_one_says(project: Project, tmp_path: Path) -> None:
    """Test, dev and prod differ by a parameter or a variable, never by an edit."""
    project.dslp("data", "build", "--data", str(tmp_path / "test"))
    project.dslp("data", "validate", "--data", str(tmp_path / "test"))
    project.dslp("data", "build", DSLP_DATA_DIR=str(tmp_path / "dev"))
    for place in ("test", "dev"):
        assert (tmp_path / place / "processed" / "claims.parquet").is_file()


@pytest.mark.rule("D3")
def test_the_suite_is_a_test(project: Project, tmp_path: Path) -> None:
    """The suite runs under pytest; a dataset that it does not hold for fails, in words."""
    assert "passed" in project.succeed("uv", "run", "pytest", "tests/data")
    script = (
        "import pandas as pd, sys; path = sys.argv[1]; frame = pd.read_parquet(path); "
        "frame.loc[3, 'visits'] = -5; frame.to_parquet(path)"
    )
    project.dslp("data", "build", "--data", str(tmp_path))
    broken = str(tmp_path / "processed" / "claims.parquet")
    project.succeed("uv", "run", "python", "-c", script, broken)
    done = project.run("uv", "run", "pytest", "tests/data", DSLP_DATA_DIR=str(tmp_path))
    assert done.code == 1, done.text
    assert "visits" in done.text
    assert "-5" in done.text
    assert "expect_column_values_to_be_between" in done.text
    workflow = project.path / ".github" / "workflows" / "tests.yml"
    assert "run: uv run pytest" in workflow.read_text(encoding="utf-8")


MISTAKES = [
    ("better: lower", "better: smaller", "metric.better"),
    ("holdout: 0.2", "holdout: 1.2", "split.holdout"),
    ("folds: 5", "folds: many", "split.folds"),
    ("target: visits", "tarmac: visits", "tarmac"),
    ("target: visits", "target: visitors", "visitors"),
    ("policy: group", "policy: groups", "split.policy"),
    ("version: 1.0.0", "version: 2.0.0", "2.0.0"),
    ("  name: claims", "  name: claim", "claim"),
]


@pytest.mark.rule("M1")
@pytest.mark.parametrize(("right", "wrong", "named"), MISTAKES, ids=[m[1] for m in MISTAKES])
def test_a_mistake_in_the_parameters_is_explained(
    walk: dict[str, Any], project: Project, right: str, wrong: str, named: str
) -> None:
    assert walk
    params = project.path / "src" / "defaults" / "models" / "claim_frequency" / "params.yml"
    text = params.read_text(encoding="utf-8")
    assert right in text
    try:
        params.write_text(text.replace(right, wrong, 1), encoding="utf-8")
        done = project.run("uv", "run", "dslp", "model", "train")
    finally:
        params.write_text(text, encoding="utf-8")
    assert done.code == 2, done.text
    assert "Traceback" not in done.text
    assert named in done.text
