"""Where runs are recorded is an address: a file, a server, or one that does not answer."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.tracking.connection import tracking_uri, viewing_command
from mlflow import MlflowClient

from tests.library.toy import Toy
from tests.services import free_port
from tests.workspaces import Databricks, Serving, workspace

LIFE = ("experiment run", "model train", "model register", "model promote")


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


def test_a_long_address_leaves_room_for_the_cause(built: Toy) -> None:
    address = f"http://127.0.0.1:{free_port()}/{'a' * 200}"
    outcome = built.run("experiment", "run", MLFLOW_TRACKING_URI=address)
    assert "Connection refused" in outcome.error


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
    with pytest.raises(DslpError):
        tracking_uri(built.project)


def test_the_variable_wins_over_the_answer(tracked: Toy, tmp_path: Path) -> None:
    (tracked.root / "mlruns" / "mlflow.db").rename(tmp_path / "elsewhere.db")
    address = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    (tracked.root / ".env").write_text(f"MLFLOW_TRACKING_URI={address}\n")
    outcome = tracked.done("experiment", "run")
    assert MlflowClient(address).get_experiment_by_name("frequency")
    assert not (tracked.root / "mlruns" / "mlflow.db").exists()
    assert address in outcome.out


def test_the_place_to_look_is_a_command_or_an_address(built: Toy) -> None:
    assert (
        viewing_command(built.project)
        == "uv run mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"
    )
    os.environ["MLFLOW_TRACKING_URI"] = "http://u:secret@host:5000"
    assert viewing_command(built.project) == "http://host:5000"


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
    kinds = [run.data.tags["dslp.kind"] for run in client.search_runs([experiment.experiment_id])]
    assert sorted(kinds) == ["experiment", "experiment", "training"]
    champion = client.get_model_version_by_alias("frequency", "champion")
    assert champion.tags["dslp.role"] == "champion"
    assert not (built.root / "mlruns").exists()


@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_in_the_environment_is_enough(built: Toy, server: str) -> None:
    built.model_folder.rename(built.model_folder.with_name("severity"))
    for command in LIFE:
        built.done(*command.split(), MLFLOW_TRACKING_URI=server)
    assert MlflowClient(server, server).get_model_version_by_alias("severity", "champion")


@pytest.fixture
def databricks(server: str) -> Iterator[Serving]:
    with workspace(Databricks, server) as serving:
        yield serving


@pytest.mark.rule("G3")
@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
def test_databricks_takes_runs_by_path_and_models_by_three_parts(
    built: Toy, databricks: Serving
) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "databricks"')
    (built.root / ".env").write_text(
        f"DATABRICKS_HOST=http://127.0.0.1:{databricks.server_port}\nDATABRICKS_TOKEN=a-token\n"
    )
    built.commit()
    for command in ("doctor", "experiment run --issue 14", "experiment compare --issue 14"):
        built.done(*command.split())
    built.done("model", "train", "--candidate", "linear")
    path = f"/Shared/{built.package}-frequency"
    found = MlflowClient(databricks.behind).get_experiment_by_name(path)
    assert len(MlflowClient(databricks.behind).search_runs([found.experiment_id])) == 3
    outcome = built.run("model", "register")
    assert "write them in .env: DSLP_REGISTRY_PREFIX=catalog.schema" in outcome.error
    before = len(databricks.seen)
    built.run("model", "register", DSLP_REGISTRY_PREFIX="main.pricing")
    catalog = [(p, body) for p, body in databricks.seen[before:] if "/unity-catalog/" in p]
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
