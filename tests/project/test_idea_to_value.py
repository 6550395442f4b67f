"""The worked example by the commands of AGENTS.md: from data to a champion, once."""

import json
import re
from typing import Any

import pytest

from tests.project.test_whole_projects import run_checks
from tests.project.whole import Project, commands

pytestmark = [pytest.mark.slow, pytest.mark.only("defaults")]

RECORDED = """
import json, mlflow
mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
client = mlflow.MlflowClient()
(version,) = client.search_model_versions("name = 'claim_frequency'")
version = client.get_model_version(version.name, version.version)
signature = mlflow.models.get_model_info(f"models:/{version.name}/{version.version}").signature
run = client.get_run(version.run_id)
print(json.dumps({
    "aliases": version.aliases,
    "tags": version.tags,
    "inputs": signature.inputs.input_names(),
    "outputs": signature.outputs.input_names(),
    "run": {**run.data.tags, **run.data.metrics},
    "datasets": [entry.dataset.name for entry in run.inputs.dataset_inputs],
}))
"""


@pytest.fixture(scope="session")
def walk(project: Project) -> dict[str, str]:
    """What each command of AGENTS.md printed."""
    steps = commands(project.path / "AGENTS.md", "From data to a model")
    assert len(steps) == 6
    return {" ".join(step.split()[2:]): project.succeed(step) for step in steps}


@pytest.mark.rule("G4", "G1")
def test_idea_to_value(walk: dict[str, str], project: Project) -> None:
    assert re.search(r"claims\s+20,190\s+10\b", walk["dslp data build"])
    assert re.search(r"claims holds: \d\d checks, 0 findings", walk["dslp data validate"])
    experiment = walk["dslp experiment run"]
    assert experiment.index("baseline ") < experiment.index("boosted ")
    assert re.search(r"boosted .*\bmet", experiment), experiment
    assert "on the holdout" in walk["dslp model train"]
    registered = "claim_frequency 1.0.0 (version 1) is registered, as the challenger"
    assert registered in walk["dslp model register"]
    assert "claim_frequency 1.0.0 (version 1) is the champion" in walk["dslp model promote"]
    second = project.run("uv run dslp model promote")
    assert second.code == 2, second.text
    assert "no challenger" in second.text


@pytest.mark.rule("E1", "V1", "M5")
def test_a_version_carries_what_it_was_made_from(walk: dict[str, str], project: Project) -> None:
    assert walk
    assert project.succeed("git status --porcelain") == "", "data and runs stay out of git"
    printed = project.succeed("uv run python -W ignore -c", RECORDED)
    version: dict[str, Any] = json.loads(printed.splitlines()[-1])
    tags, run = version["tags"], version["run"]
    assert version["aliases"] == ["champion"]
    assert version["inputs"][:2] == ["coinsurance", "individual_deductible"]
    assert version["outputs"] == ["visits"]
    assert version["datasets"] == ["claims"]
    assert (tags["dslp.dataset"], tags["dslp.dataset_version"]) == ("claims", "1.0.0")
    assert tags["dslp.ask"] == "1"
    assert run["dslp.branch"] == "main"
    assert run["dslp.commit"] == project.succeed("git rev-parse HEAD").strip()
    assert run["dslp.clean"] == "true"
    assert re.fullmatch("[0-9a-f]{64}", run["dslp.dataset_digest"])
    assert run["improvement"] >= 0.05
    assert run["holdout_poisson_deviance"] == pytest.approx(
        float(tags["holdout_poisson_deviance"]), rel=1e-4
    )


@pytest.mark.rule("D3")
def test_checks_pass_after_the_walk_and_the_suite_is_one_of_them(
    walk: dict[str, str], project: Project
) -> None:
    assert walk
    run_checks(project)
    (pipeline,) = project.path.glob("src/*/datasets/claims/pipeline.py")
    text = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(text.replace('raw["mdvis"]', '-raw["mdvis"]'), encoding="utf-8")
    done = project.run("uv run pytest tests/data/test_suites.py")
    pipeline.write_text(text, encoding="utf-8")
    assert done.code == 1, done.text
    assert "visits: expect_column_values_to_be_between" in done.text
