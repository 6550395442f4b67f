"""Where runs are recorded is an address: a file, a server, or one that does not answer."""

import os
import signal
import socket
import subprocess
import sys
import time
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    """The address of an MLflow server that is alone on this machine."""
    folder, address = tmp_path_factory.mktemp("server"), f"127.0.0.1:{free_port()}"
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    host, port = address.split(":")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as running,
    ):
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://{address}/health", timeout=1).close()
                    break
                except OSError:
                    assert running.poll() is None, (folder / "log").read_text()
                    time.sleep(0.2)
            yield f"http://{address}"
        finally:
            os.killpg(running.pid, signal.SIGTERM)


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
