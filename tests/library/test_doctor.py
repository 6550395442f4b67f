"""What does not answer is said in seconds, and what is secret is not said at all."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.library.toy import Toy
from tests.services import free_port


def place(out: str, name: str) -> str:
    """The two lines about a place."""
    lines = out.splitlines()
    (first,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} ")]
    return "\n".join(lines[first : first + 2])


def test_a_project_on_a_laptop_works_and_says_so_in_json_too(tracked: Toy) -> None:
    out = tracked.done("doctor").out
    assert "version" in place(out, "git")
    assert f"{tracked.root}/data" in place(out, "data")
    assert "embedded" in place(out, "engine")
    assert "answers in" in place(out, "tracking")
    assert "MLflow 3" in place(out, "tracking")
    assert "bytecode" not in out
    outcome = tracked.done("doctor", "--json", PYTHONDONTWRITEBYTECODE="1")
    report = json.loads(outcome.out)
    results = {result["subject"]: result for result in report["results"]}
    assert report["ok"]
    assert results["git"]["findings"] == []
    assert results["data"]["details"]["where"] == f"{tracked.root}/data"
    (warning,) = results["bytecode"]["findings"]
    assert (results["bytecode"]["ok"], warning["severe"]) == (True, False)
    assert "two to three times as long at each command" in warning["problem"]


def test_looking_makes_nothing_and_missing_tools_are_named(toy: Toy, tmp_path: Path) -> None:
    outcome = toy.run("doctor", PATH=str(tmp_path))
    assert outcome.code == 1
    assert "not there yet: the first run makes it" in place(outcome.out, "tracking")
    assert "not there yet: uv run dslp data build" in place(outcome.out, "data")
    assert "not found" in place(outcome.out, "uv")
    assert "not found" in place(outcome.out, "git")
    assert not (toy.root / "mlruns").exists()


def test_a_folder_of_a_larger_repository_is_named(toy: Toy) -> None:
    toy.git("init", "--quiet", str(toy.root.parent))
    (toy.root / ".github").mkdir()
    github = place(toy.run("doctor").out, "github")
    assert "part of the repository" in github
    assert f'code = "{toy.root.name}/src"' in github


def test_what_does_not_answer_is_named_at_once_without_its_password(toy: Toy) -> None:
    port = free_port()
    outcome = toy.run(
        "doctor",
        MLFLOW_TRACKING_URI=f"http://me:secret@127.0.0.1:{port}",
        DSLP_ENGINE="sql",
        DSLP_DATABASE_URL=f"postgresql+psycopg://me:secret@127.0.0.1:{port}/x",
        DSLP_CLUSTER=f"tcp://127.0.0.1:{port}",
    )
    assert outcome.code == 1
    for name in ("tracking", "engine", "cluster"):
        assert "does not answer" in place(outcome.out, name)
    assert "secret" not in outcome.out + outcome.err


def test_silence_is_given_up_within_seconds_and_a_missing_address_is_named(toy: Toy) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        started = time.monotonic()
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        outcome = toy.run("doctor", MLFLOW_TRACKING_URI=address)
    assert time.monotonic() - started < 10
    assert outcome.code == 1
    assert "does not answer" in place(outcome.out, "tracking")
    toy.edit(toy.root / "pyproject.toml", 'tracking = "local"', 'tracking = "azureml"')
    outcome = toy.run("doctor")
    assert outcome.code == 1
    assert "MLFLOW_TRACKING_URI is not set; write it in .env" in place(outcome.out, "tracking")
    outcome = toy.run("doctor", DSLP_ENGINE="sql")
    assert "DSLP_DATABASE_URL is missing" in place(outcome.out, "engine")


def test_a_traceback_is_shown_when_asked_for_and_changes_no_exit_code(toy: Toy) -> None:
    arguments = ("data", "build", "größe")
    plain, shown = toy.run(*arguments), toy.run("--traceback", *arguments)
    assert plain.code == shown.code == 2
    assert "no dataset 'größe'" in plain.error
    assert "Traceback" in shown.err
    assert shown.err.splitlines()[-1] == plain.error
    refused = toy.run("--traceback", "new", "exploration", "visits-v2")
    assert (refused.code, "Traceback" in refused.err) == (1, True)


def test_mlflow_sends_no_telemetry_unless_somebody_wants_it() -> None:
    code = "import dslp.tracking.connection, os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    for setting, expected in (({}, "true"), ({"MLFLOW_DISABLE_TELEMETRY": "false"}, "false")):
        command, environment = [sys.executable, "-c", code], dict(os.environ)
        environment.pop("MLFLOW_DISABLE_TELEMETRY", None)
        environment |= setting
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
