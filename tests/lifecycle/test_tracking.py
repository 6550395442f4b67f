"""Where runs are recorded is an address: a file, a server, or one that does not answer."""

import http.server
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifecycle.errors import LifecycleError
from lifecycle.experiments.tracking import look, uri
from mlflow import MlflowClient

from tests.lifecycle.toy import Toy

LIFE = ("experiment run", "model train", "model register", "model promote")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("password", ["secret", "se/cret@1", "secret" * 40])
def test_a_server_that_does_not_answer_is_named_at_once_without_its_password(
    built: Toy, password: str
) -> None:
    address = f"http://somebody:{password}@127.0.0.1:{free_port()}"
    started = time.monotonic()
    outcome = built.run("experiment", "run", MLFLOW_TRACKING_URI=address)
    assert time.monotonic() - started < 15
    assert outcome.code == 2
    assert "tracking at http://127.0.0.1:" in outcome.error
    assert "does not answer" in outcome.error
    assert "secret" not in outcome.out + outcome.err
    assert "somebody" not in outcome.out + outcome.err


def test_a_server_that_takes_the_call_and_keeps_silent_is_given_up(built: Toy) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        outcome = built.run(
            "model",
            "train",
            MLFLOW_TRACKING_URI=address,
            MLFLOW_HTTP_REQUEST_TIMEOUT="1",
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        )
    assert outcome.code == 2
    assert f"tracking at {address} does not answer" in outcome.error


@pytest.mark.parametrize("address", ["nosuch://server", "postgresql://u:secret@nowhere/x"])
def test_an_address_that_is_none_is_named(built: Toy, address: str) -> None:
    outcome = built.run("experiment", "run", MLFLOW_TRACKING_URI=address)
    assert outcome.code == 2
    assert f"tracking at {address.split(':')[0]}://" in outcome.error
    assert "secret" not in outcome.err


def test_a_database_that_is_broken_is_named(tracked: Toy) -> None:
    (tracked.root / "mlruns" / "mlflow.db").write_bytes(b"this is no database" * 99)
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 2
    assert "mlruns/mlflow.db does not answer" in outcome.error


@pytest.mark.parametrize("tracking", ["server", "azureml"])
def test_an_answer_that_needs_an_address_asks_for_it(built: Toy, tracking: str) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', f'tracking = "{tracking}"')
    outcome = built.run("experiment", "run")
    assert outcome.code == 2
    assert f"tracking is {tracking}, and MLFLOW_TRACKING_URI is not set" in outcome.error
    assert "write it in .env" in outcome.error
    with pytest.raises(LifecycleError):
        uri(built.project)


def test_the_variable_wins_over_the_answer(tracked: Toy, tmp_path: Path) -> None:
    (tracked.root / "mlruns" / "mlflow.db").rename(tmp_path / "elsewhere.db")
    address = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    (tracked.root / ".env").write_text(f"MLFLOW_TRACKING_URI={address}\n")
    outcome = tracked.done("experiment", "run")
    assert MlflowClient(address).get_experiment_by_name("frequency")
    assert not (tracked.root / "mlruns" / "mlflow.db").exists()
    assert address in outcome.out


def test_the_place_to_look_is_a_command_or_an_address(built: Toy) -> None:
    assert look(built.project) == "uv run mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"
    os.environ["MLFLOW_TRACKING_URI"] = "http://u:secret@host:5000"
    assert look(built.project) == "http://host:5000"


def test_runs_that_were_deleted_are_said_to_be(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    client = MlflowClient(f"sqlite:///{tracked.root / 'mlruns' / 'mlflow.db'}")
    client.delete_experiment(client.get_experiment_by_name("frequency").experiment_id)
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 2
    assert "deleted" in outcome.error


@pytest.mark.rule("G3")
@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_takes_runs_artifacts_and_the_registry(built: Toy, server: str) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "server"')
    (built.root / ".env").write_text(f"MLFLOW_TRACKING_URI={server}\n")
    built.commit()
    said = [built.done(*command.split()).out for command in LIFE]
    assert f"look at the runs: {server}" in said[0]
    client = MlflowClient(server, server)
    experiment = client.get_experiment_by_name("frequency")
    kinds = [
        run.data.tags["lifecycle.kind"] for run in client.search_runs([experiment.experiment_id])
    ]
    assert sorted(kinds) == ["experiment", "experiment", "training"]
    champion = client.get_model_version_by_alias("frequency", "champion")
    assert champion.tags["lifecycle.role"] == "champion"
    assert not (built.root / "mlruns").exists()


@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_in_the_environment_is_enough(built: Toy, server: str) -> None:
    built.model_folder.rename(built.model_folder.with_name("severity"))
    for command in LIFE:
        built.done(*command.split(), MLFLOW_TRACKING_URI=server)
    assert MlflowClient(server, server).get_model_version_by_alias("severity", "champion")


class Workspace(http.server.BaseHTTPRequestHandler):
    """A Databricks workspace as far as runs go: its paths, its token, its rules of names.

    What is not the registry's is answered by an MLflow server, whose paths are the same.
    """

    server: "WorkspaceServer"

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        self.server.seen.append((self.path.partition("?")[0], json.dumps(body)))
        status, said = 200, b"{}"
        if self.path.startswith("/api/2.0/mlflow/"):
            if self.headers.get("authorization") != "Bearer a-token":
                status = 401
            elif self.path.endswith("/experiments/create"):
                assert body["name"].startswith("/"), "Databricks takes paths of its workspace only"
                body["artifact_location"] = self.server.artifacts
            if status == 200 and "/unity-catalog/model-versions/" in self.path:
                version = {"name": "main.pricing.frequency", "version": "1"}
                said = json.dumps({"model_versions": [version], "model_version": version}).encode()
            elif status == 200 and "/unity-catalog/" not in self.path:
                status, said = self.forwarded(body if length else None)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def forwarded(self, body: object) -> tuple[int, bytes]:
        request = urllib.request.Request(
            self.server.behind + self.path,
            json.dumps(body).encode() if body is not None else None,
            {"content-type": "application/json"},
            method=self.command,
        )
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class WorkspaceServer(http.server.ThreadingHTTPServer):
    """What a workspace was asked, and where it keeps things."""

    behind: str
    artifacts: str
    seen: list[tuple[str, str]]


@pytest.fixture
def workspace(server: str, tmp_path: Path) -> Iterator[WorkspaceServer]:
    with WorkspaceServer(("127.0.0.1", 0), Workspace) as serving:
        serving.behind, serving.seen = server, []
        serving.artifacts = (tmp_path / "artifacts").as_uri()
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


@pytest.mark.rule("G3")
@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
def test_databricks_takes_runs_by_path_and_models_by_three_parts(
    built: Toy, workspace: WorkspaceServer
) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "databricks"')
    (built.root / ".env").write_text(
        f"DATABRICKS_HOST=http://127.0.0.1:{workspace.server_port}\nDATABRICKS_TOKEN=a-token\n"
    )
    built.commit()
    for command in ("doctor", "experiment run --issue 14", "experiment compare --issue 14"):
        built.done(*command.split())
    built.done("model", "train", "--candidate", "linear")
    path = f"/Shared/{built.package}-frequency"
    found = MlflowClient(workspace.behind).get_experiment_by_name(path)
    assert len(MlflowClient(workspace.behind).search_runs([found.experiment_id])) == 3
    outcome = built.run("model", "register")
    assert "write them in .env: LIFECYCLE_REGISTRY_PREFIX=catalog.schema" in outcome.error
    before = len(workspace.seen)
    built.run("model", "register", LIFECYCLE_REGISTRY_PREFIX="main.pricing")
    catalog = [(p, body) for p, body in workspace.seen[before:] if "/unity-catalog/" in p]
    created = "/api/2.0/mlflow/unity-catalog/registered-models/create"
    assert (created, '{"name": "main.pricing.frequency"}') in catalog
    assert any(path.endswith("/unity-catalog/model-versions/get") for path, _ in catalog)


def test_azureml_without_its_package_says_which(built: Toy) -> None:
    address = "azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/x"
    for command in ("experiment run", "model train", "doctor"):
        outcome = built.run(*command.split(), MLFLOW_TRACKING_URI=address)
        assert outcome.code != 0
        assert "needs the package azureml-mlflow" in outcome.out + outcome.err
        assert "copier update --data tracking=azureml" in outcome.out + outcome.err


PLUGIN = """
def refuse(*_, **__):
    from mlflow.exceptions import MlflowException

    raise MlflowException("404: not in this workspace")


def runs(store_uri=None, artifact_uri=None):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore.create_logged_model = refuse
    return SqlAlchemyStore("sqlite:///DATABASE", "ARTIFACTS")


def models(store_uri=None):
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore.set_registered_model_alias = refuse
    SqlAlchemyStore.delete_registered_model_alias = refuse
    return SqlAlchemyStore("sqlite:///DATABASE")
"""


@pytest.mark.rule("G3")
@pytest.mark.slow
def test_a_plugin_brings_its_scheme_and_a_registry_without_aliases(
    built: Toy, empty_store: Path, tmp_path: Path
) -> None:
    """As azureml-mlflow does it: no aliases, no logged models. Its own requests need an account."""
    folder = tmp_path / "plugin"
    (folder / "stand_in-1.0.dist-info").mkdir(parents=True)
    (folder / "stand_in-1.0.dist-info" / "METADATA").write_text("Name: stand-in\nVersion: 1.0\n")
    (folder / "stand_in-1.0.dist-info" / "entry_points.txt").write_text(
        "[mlflow.tracking_store]\nazureml = azure_stand_in:runs\n"
        "[mlflow.model_registry_store]\nazureml = azure_stand_in:models\n"
    )
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    code = PLUGIN.replace("DATABASE", str(tmp_path / "mlflow.db"))
    code = code.replace("ARTIFACTS", (tmp_path / "artifacts").as_uri())
    (folder / "azure_stand_in.py").write_text(code)
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "azureml"')
    (built.root / ".env").write_text("MLFLOW_TRACKING_URI=azureml://host/mlflow\n")
    built.commit()
    for command in ("model train --candidate linear", *LIFE[2:]):
        outcome = built.shell(*command.split(), PYTHONPATH=str(folder))
        assert outcome.code == 0, outcome.err
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (version,) = MlflowClient(store, store).search_model_versions()
    assert version.tags["lifecycle.role"] == "champion"
    assert not version.aliases
