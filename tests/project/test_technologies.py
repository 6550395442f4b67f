"""Every technology that can be answered can be locked, and nothing in it takes a project's name.

With AzureML's own package, a project lives until its champion, at a workspace on loopback.
"""

import tomllib
from pathlib import Path

import pytest

from tests import services
from tests.project.whole import Project
from tests.template_copy import Answers, Template, reserved
from tests.workspaces import AzureML, self_signed, workspace

pytestmark = pytest.mark.slow

CHOICES: list[Answers] = [
    {"tracking": "server", "engine": "sql", "python_versions": ["3.11"]},
    {"tracking": "azureml"},
    {"tracking": "databricks", "engine": "spark"},
]


@pytest.mark.parametrize(
    "answers",
    [pytest.param(a, marks=pytest.mark.campaign) if a != CHOICES[1] else a for a in CHOICES],
    ids=[answers["tracking"] for answers in CHOICES],
)
def test_it_can_be_locked(
    template: Template, machine: dict[str, str], tmp_path: Path, answers: Answers
) -> None:
    project = Project(template.copy(tmp_path / "claims-pricing", answers), machine)
    project.succeed("uv lock")
    lock = tomllib.loads((project.path / "uv.lock").read_text(encoding="utf-8"))
    versions = {package["name"]: package["version"] for package in lock["package"]}
    assert ("azureml-mlflow" in versions) == (answers["tracking"] == "azureml")
    older = tuple(map(int, versions["mlflow"].split("."))) < (3, 16)
    assert older == (answers["tracking"] == "azureml"), "azureml-mlflow needs an older mlflow"
    assert versions.keys() - reserved("distributions") - {"claims-pricing", "dslp"} == set()


@pytest.mark.rule("G3")
@pytest.mark.campaign
def test_azureml_takes_runs_and_a_champion_from_its_own_package(
    template: Template, machine: dict[str, str], tmp_path: Path
) -> None:
    """The package asks for a token, over TLS, in its scope; only Azure's own storage is not met."""
    answers = {"tracking": "azureml"}
    with (
        services.mlflow(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}") as behind,
        workspace(AzureML, behind, self_signed(tmp_path / "certificate.pem")) as azure,
        workspace(AzureML, behind) as identity,
    ):
        variables = {
            "REQUESTS_CA_BUNDLE": str(tmp_path / "certificate.pem"),
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{identity.server_port}/identity",
            "IDENTITY_HEADER": "a-secret",
        }
        folder = template.copy(tmp_path / "claims-pricing", answers)
        project = Project(folder, machine | variables)
        address = f"azureml://127.0.0.1:{azure.server_port}{AzureML.SCOPE}"
        (folder / ".env").write_text(f"MLFLOW_TRACKING_URI={address.replace('v2.0', 'v1.0')}\n")
        assert "answers in" in project.succeed("uv run dslp doctor")
        for command in ("data build", "model train --candidate boosted", "model register"):
            project.succeed(f"uv run dslp {command}")
        promoted = project.succeed("uv run dslp model promote")
        assert "1.0.0 (version 1) is the champion" in promoted
        assert "champion" in project.succeed("uv run dslp model history")
    paths = {path.removeprefix(f"{AzureML.SCOPE}/api/2.0/mlflow/") for path, _ in azure.seen}
    assert {"runs/create", "runs/log-inputs", "model-versions/create"} <= paths
    assert "registered-models/alias" in paths, "a refused alias was not met"
