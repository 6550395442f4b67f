"""Every technology that can be answered can be locked, and nothing in it takes a project's name.

With AzureML's own package, a project lives until its champion, at a workspace on loopback.
"""

import tomllib
from pathlib import Path

import pytest

from tests import services
from tests.project.whole import run
from tests.template_copy import Answers, Template, reserved
from tests.workspaces import AzureML, self_signed, workspace

CHOICES: list[Answers] = [
    {"tracking": "server", "engine": "sql", "python_versions": ["3.11"]},
    {"tracking": "azureml", "engine": "spark"},
    {"tracking": "databricks"},
]


@pytest.mark.slow
@pytest.mark.parametrize("answers", CHOICES, ids=lambda answers: answers["tracking"])
def test_it_can_be_locked(
    template: Template, machine: dict[str, str], tmp_path: Path, answers: Answers
) -> None:
    project = template.copy(tmp_path / "claims-pricing", answers)
    done = run(project, ("uv", "lock"), machine)
    assert done.code == 0, done.text
    lock = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))
    names = {package["name"] for package in lock["package"]}
    (mlflow,) = [package["version"] for package in lock["package"] if package["name"] == "mlflow"]
    plugin = [each["version"] for each in lock["package"] if each["name"] == "azureml-mlflow"]
    assert bool(plugin) == (answers["tracking"] == "azureml")
    older = tuple(map(int, mlflow.split("."))) < (3, 16)
    assert older == bool(plugin), "azureml-mlflow wants an older mlflow"
    assert names - reserved("distributions") - {"claims-pricing", "dslp"} == set()


@pytest.mark.rule("G3")
@pytest.mark.campaign
def test_azureml_takes_runs_and_a_champion_from_its_own_package(
    template: Template, machine: dict[str, str], tmp_path: Path
) -> None:
    """The package asks for a token, over TLS, in its scope; only Azure's own storage is not met."""
    project = template.copy(tmp_path / "claims-pricing", {"tracking": "azureml"})
    with (
        services.mlflow(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}") as behind,
        workspace(AzureML, behind, self_signed(tmp_path / "certificate.pem")) as azure,
        workspace(AzureML, behind) as identity,
    ):
        address = f"azureml://127.0.0.1:{azure.server_port}{AzureML.SCOPE}"
        (project / ".env").write_text(f"MLFLOW_TRACKING_URI={address.replace('v2.0', 'v1.0')}\n")
        variables = {
            "REQUESTS_CA_BUNDLE": str(tmp_path / "certificate.pem"),
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{identity.server_port}/identity",
            "IDENTITY_HEADER": "a-secret",
        }

        def dslp(command: str) -> str:
            done = run(project, ("uv", "run", "dslp", *command.split()), machine | variables)
            assert done.code == 0, done.text
            return done.text

        assert "answers in" in dslp("doctor")
        for command in ("data build", "model train --candidate boosted", "model register"):
            dslp(command)
        assert "1.0.0 (version 1) is the champion" in dslp("model promote")
        assert "champion" in dslp("model history")
    paths = {path.removeprefix(f"{AzureML.SCOPE}/api/2.0/mlflow/") for path, _ in azure.seen}
    assert {"runs/create", "runs/log-inputs", "model-versions/create"} <= paths
    assert "registered-models/alias" in paths, "a refused alias was not met"
