"""What does not answer is said in seconds, and what is secret is not said at all."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.library.toy import Toy
from tests.services import free_port


def said(out: str, name: str) -> str:
    """The two lines about a place."""
    lines = out.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} ")]
    return "\n".join(lines[place : place + 2])


def test_a_project_on_a_laptop_is_well(tracked: Toy) -> None:
    out = tracked.done("doctor").out
    assert "git version" in out or "2." in said(out, "git")
    assert f"{tracked.root}/data" in said(out, "data")
    assert "embedded" in said(out, "engine")
    assert "answers in" in said(out, "tracking")
    assert "MLflow 3" in said(out, "tracking")


def test_looking_makes_nothing(toy: Toy) -> None:
    out = toy.done("doctor").out
    assert "not there yet: the first run makes it" in said(out, "tracking")
    assert "not there yet: uv run dslp data build" in said(out, "data")
    assert not (toy.root / "mlruns").exists()


def test_a_server_that_is_not_there_is_named_at_once_without_its_password(toy: Toy) -> None:
    address = f"http://me:secret@127.0.0.1:{free_port()}"
    started = time.monotonic()
    outcome = toy.run("doctor", MLFLOW_TRACKING_URI=address)
    assert time.monotonic() - started < 5
    assert outcome.code == 1
    assert "does not answer" in said(outcome.out, "tracking")
    assert "secret" not in outcome.out + outcome.err


def test_a_server_that_keeps_silent_is_given_up_within_seconds(toy: Toy) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        started = time.monotonic()
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        outcome = toy.run("doctor", MLFLOW_TRACKING_URI=address)
    assert time.monotonic() - started < 8
    assert outcome.code == 1
    assert "does not answer" in said(outcome.out, "tracking")


def test_an_answer_without_its_address_is_said(toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", 'tracking = "local"', 'tracking = "azureml"')
    outcome = toy.run("doctor")
    assert outcome.code == 1
    assert "MLFLOW_TRACKING_URI is not set; write it in .env" in said(outcome.out, "tracking")


def test_a_database_and_a_cluster_are_asked_too(toy: Toy) -> None:
    port = free_port()
    outcome = toy.run(
        "doctor",
        DSLP_ENGINE="sql",
        DSLP_DATABASE_URL=f"postgresql+psycopg://me:secret@127.0.0.1:{port}/x",
        DSLP_CLUSTER=f"tcp://127.0.0.1:{port}",
    )
    assert outcome.code == 1
    assert "does not answer" in said(outcome.out, "engine")
    assert "does not answer" in said(outcome.out, "cluster")
    assert "secret" not in outcome.out


def test_a_machine_without_uv_is_told(toy: Toy, tmp_path: Path) -> None:
    outcome = toy.run("doctor", PATH=str(tmp_path))
    assert outcome.code == 1
    assert "not found" in said(outcome.out, "uv")
    assert "not found" in said(outcome.out, "git")


def test_nobody_is_told_that_mlflow_is_used(tmp_path: Path) -> None:
    code = "import dslp.tracking.connection, os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    for stated, said in ((None, "true"), ("false", "false")):
        environment = dict(os.environ)
        environment.pop("MLFLOW_DISABLE_TELEMETRY", None)
        if stated:
            environment["MLFLOW_DISABLE_TELEMETRY"] = stated
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == said
