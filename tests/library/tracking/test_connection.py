"""Where runs are recorded is an address: a file, a server, or one that does not answer."""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from dslp.core.errors import DslpError
from dslp.tracking.connection import Tracking, viewing_command
from mlflow import MlflowClient

from tests.library.toy import Toy
from tests.workspaces import Databricks, workspace


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://me:secret@127.0.0.1:1", "tracking at http://127.0.0.1:1 does not answer"),
        (f"http://me:{'secret' * 40}@127.0.0.1:1/{'a' * 200}", "Connection refused"),
        ("postgresql://u:secret@nowhere/x", "tracking at postgresql://nowhere/x does not answer"),
        ("nosuch://server", "tracking at nosuch://server does not answer"),
        ("azureml://westeurope.api.azureml.ms/x", "update --data tracking=azureml, then uv sync"),
    ],
)
def test_an_address_that_does_not_answer_is_named_at_once_without_its_password(
    toy: Toy, address: str, reason: str
) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = address
    started = time.monotonic()
    with pytest.raises(DslpError, match=reason) as caught:
        Tracking.open(toy.project)
    assert time.monotonic() - started < 15
    assert not re.search("secret|cret@|me:", str(caught.value))


def test_a_server_that_takes_the_call_and_keeps_silent_is_given_up(toy: Toy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        os.environ |= {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        with pytest.raises(DslpError, match=f"tracking at {address} does not answer"):
            Tracking.open(toy.project)


def test_a_database_that_is_broken_is_named(toy: Toy) -> None:
    (toy.root / "mlruns").mkdir()
    (toy.root / "mlruns" / "mlflow.db").write_bytes(b"this is no database" * 99)
    with pytest.raises(DslpError, match=r"mlruns/mlflow\.db does not answer"):
        Tracking.open(toy.project)


def test_an_answer_that_needs_an_address_asks_for_it(toy: Toy) -> None:
    toy.edit(toy.root / "pyproject.toml", 'tracking = "local"', 'tracking = "azureml"')
    with pytest.raises(DslpError, match="azureml, and MLFLOW_TRACKING_URI is not set; write it in"):
        Tracking.open(toy.project)


def test_the_variable_wins_over_the_answer_and_the_runs_can_be_viewed(
    tracked: Toy, tmp_path: Path
) -> None:
    command = "uv run mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"
    assert viewing_command(tracked.project) == command
    database = (tracked.root / "mlruns" / "mlflow.db").rename(tmp_path / "other.db")
    (tracked.root / ".env").write_text(f"MLFLOW_TRACKING_URI=sqlite:///{database}\n")
    outcome = tracked.done("experiment", "run", "--candidate", "baseline")
    assert MlflowClient(f"sqlite:///{database}").get_experiment_by_name("frequency")
    assert not (tracked.root / "mlruns" / "mlflow.db").exists()
    assert f"sqlite:///{database}" in outcome.out
    os.environ["MLFLOW_TRACKING_URI"] = "http://u:secret@host:5000"
    assert viewing_command(tracked.project) == "http://host:5000"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["mv", pytest.param("cp -r", marks=pytest.mark.campaign)])
def test_a_project_that_was_moved_or_copied_works_where_it_is(champion: Toy, way: str) -> None:
    """Its records name the new folder, for MLflow's own client as well; the old one is let be."""
    place = champion.root.with_name("it's 100% new")
    bucket = "s3://bucket/team/mlruns/artifacts/x"
    champion.client.create_experiment("bucket", artifact_location=bucket)
    address = champion.client.get_experiment_by_name("frequency").artifact_location
    path = Path(unquote(urlsplit(address).path)).parents[1] / "9"
    champion.client.create_experiment("path", artifact_location=str(path))
    shutil.copytree(champion.root, place)
    moved = Toy(place, champion.package)
    if way == "mv":
        shutil.rmtree(champion.root)
    before = sorted(champion.root.rglob("*"))
    record, tags = moved.client, {"dslp.process": f"{platform.node()}:{os.getpid()}"}
    run = record.create_run(record.get_experiment_by_name("frequency").experiment_id, tags=tags)
    assert "while a run is being recorded; wait" in moved.shell("model", "history").err
    record.set_terminated(run.info.run_id)
    outcome = moved.done("model", "train", "--candidate", "linear")
    assert outcome.err.count("the addresses of its artifacts were corrected") == 1
    assert moved.shell("model", "register").code == 0
    assert "was moved" not in moved.shell("model", "promote").err
    assert sorted(champion.root.rglob("*")) == before
    for version in moved.client.search_model_versions("name = 'frequency'"):
        assert Path(unquote(urlsplit(version.source).path)).is_relative_to(place)
        folder = moved.client.download_artifacts(version.run_id, "model")
        assert Path(folder, "MLmodel").is_file()
    named = {each.name: each.artifact_location for each in moved.client.search_experiments()}
    assert (named["bucket"], named["path"]) == (bucket, f"{place}/mlruns/9")


@pytest.mark.parametrize("process", ["ended", "running", "elsewhere"])
def test_a_run_whose_process_was_killed_is_marked_by_the_next_command(
    tracked: Toy, process: str
) -> None:
    client = tracked.client
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        if process == "ended":
            other.kill()
            other.wait()
        machine = "another" if process == "elsewhere" else platform.node()
        tags = {"dslp.process": f"{machine}:{other.pid}"}
        run = client.create_run(client.create_experiment("frequency"), tags=tags).info.run_id
        assert "nothing was trained" in tracked.run("model", "register").error
        other.kill()
    info = client.get_run(run).info
    assert info.status == ("KILLED" if process == "ended" else "RUNNING")
    assert (info.end_time is None) == (process != "ended")


@pytest.mark.rule("G3")
@pytest.mark.slow
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_takes_runs_artifacts_and_the_registry(built: Toy, server: str) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "server"')
    (built.root / ".env").write_text(f"MLFLOW_TRACKING_URI={server}\n")
    built.commit()
    out = built.done("experiment", "run").out
    for command in ("train", "register", "promote"):
        built.done("model", command)
    assert f"look at the runs: {server}" in out
    client = MlflowClient(server, server)
    experiment = client.get_experiment_by_name("frequency")
    runs = client.search_runs([experiment.experiment_id])
    kinds = {run.data.tags["dslp.kind"]: run.info.run_id for run in runs}
    assert (len(runs), set(kinds)) == (3, {"experiment", "training"})
    champion = client.get_model_version_by_alias("frequency", "champion")
    assert champion.run_id == kinds["training"]
    assert not (built.root / "mlruns").exists()


@pytest.mark.rule("G3")
@pytest.mark.campaign
@pytest.mark.xdist_group("mlflow-server")
def test_databricks_takes_runs_by_path_and_models_by_three_parts(built: Toy, server: str) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "databricks"')
    with workspace(Databricks, server) as databricks:
        host = f"http://127.0.0.1:{databricks.server_port}"
        (built.root / ".env").write_text(f"DATABRICKS_HOST={host}\nDATABRICKS_TOKEN=a-token\n")
        built.commit()
        for command in ("experiment run --issue 14", "experiment compare --issue 14"):
            built.done(*command.split())
        built.done("model", "train", "--candidate", "linear")
        outcome = built.run("model", "register")
        assert "write them in .env: DSLP_REGISTRY_PREFIX=catalog.schema" in outcome.error
        built.run("model", "register", DSLP_REGISTRY_PREFIX="main.pricing")
    behind = MlflowClient(databricks.behind)
    experiment = behind.get_experiment_by_name(f"/Shared/{built.package}-frequency")
    assert len(behind.search_runs([experiment.experiment_id])) == 3
    created = "/api/2.0/mlflow/unity-catalog/registered-models/create"
    (body,) = [body for path, body in databricks.seen if path == created]
    assert json.loads(body)["name"] == "main.pricing.frequency"
    assert any(path.endswith("/unity-catalog/model-versions/get") for path, _ in databricks.seen)
