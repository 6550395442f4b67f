"""Servers that tests start for themselves, each in a folder of its own, and stop."""

import base64
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from tests import node

NOBODY = "nobody"  # PostgreSQL refuses to run as root
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
PORTS = itertools.cycle(range(20_000 + 1_000 * WORKER, 21_000 + 1_000 * WORKER))


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI, which has what tests need."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A port of this machine that nothing listens at, and that nobody else is given meanwhile.

    A system gives ports from 32768 on to who asks for any; each worker of pytest has its own below.
    """
    while True:
        port = next(PORTS)
        with socket.socket() as asked, suppress(OSError):
            asked.bind(("127.0.0.1", port))
            return port


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of its own.

    Tests that need it are skipped where Debian's package is not installed, but not in CI.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        missing("no PostgreSQL server in /usr/lib/postgresql (apt-get install postgresql)")
    user = []
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="tests-postgres-"))
    data = folder / "cluster"
    if os.geteuid() == 0:
        user = ["setpriv", f"--reuid={NOBODY}", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, NOBODY)
    port = free_port()

    def run(program: str, *arguments: str) -> None:
        command = [*user, str(programs[-1] / program), "--pgdata", str(data), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off"
    options += f" -c unix_socket_directories={folder}"
    try:
        run("initdb", "--username=tests", "--auth=trust", "--encoding=UTF8", "--no-sync")
        run("pg_ctl", "start", "--wait", "--log", str(folder / "log"), "--options", options)
        yield f"postgresql+psycopg://tests@127.0.0.1:{port}/postgres"
        run("pg_ctl", "stop", "--mode", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def mlflow(folder: Path, store: str) -> Iterator[str]:
    """The address of an MLflow server, with the database `store`, and artifacts in `folder`."""
    host, port = "127.0.0.1", str(free_port())
    address = f"{host}:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port),
        *("--workers", "1", "--backend-store-uri", store),
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


@contextmanager
def spark(folder: Path, memory: str = "1g") -> Iterator[str]:
    """The address of a Spark cluster of its own: one master, two workers of one core.

    Tests that need it are skipped where Java is not installed, but not in CI.
    """
    import pyspark

    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        missing("no Java on PATH or in JAVA_HOME (apt-get install openjdk-17-jre-headless)")
    ports = [str(free_port()) for _ in range(2)]
    home = Path(pyspark.__file__).parent
    address = f"spark://127.0.0.1:{ports[0]}"
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}
    deploy = "org.apache.spark.deploy"
    here = ("--host", "127.0.0.1", "--webui-port")
    worker = [f"{deploy}.worker.Worker", address, *here, "0", "--cores", "1", "--memory", memory]
    with ExitStack() as running, (folder / "log").open("w") as log:

        def start(*command: str) -> None:
            process = subprocess.Popen(
                [home / "bin" / "spark-class", *command],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            running.callback(process.wait)
            running.callback(os.killpg, process.pid, signal.SIGTERM)

        start(f"{deploy}.master.Master", "--port", ports[0], *here, ports[1])
        for number in range(2):
            start(*worker, "--work-dir", str(folder / f"worker-{number}"))
        for _ in range(300):
            try:
                page = f"http://127.0.0.1:{ports[1]}/json/"
                with urllib.request.urlopen(page, timeout=1) as answer:
                    if json.load(answer)["aliveworkers"] == 2:
                        break
            except OSError:
                pass
            time.sleep(0.2)
        else:
            pytest.fail((folder / "log").read_text())
        yield address


@contextmanager
def azure(cache: Path) -> Iterator[dict[str, str]]:
    """The environment that reaches Microsoft's emulator of Azure's storage, container `team`.

    Tests that need it are skipped where npm cannot have it, but not in CI.
    """
    from azure.storage.blob import BlobServiceClient

    try:
        modules = node.install(Path(__file__).parent / "azurite", cache)
        program = modules / "azurite" / "dist" / "src" / "blob" / "main.js"
        command = [*node.node(), str(program), "--inMemoryPersistence", "--disableTelemetry"]
    except node.Missing as reason:
        missing(f"no emulator of Azure's storage: {reason}")
    port = free_port()
    command += ["--skipApiVersionCheck", "--silent", "--blobPort", str(port)]
    key = base64.b64encode(b"of the tests").decode()
    account = {"AZURITE_ACCOUNTS": f"team:{key}"}
    with subprocess.Popen(command, env=os.environ | account, stdout=subprocess.DEVNULL) as running:
        try:
            for _ in range(300):
                with socket.socket() as asked:
                    if asked.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert running.poll() is None, "the emulator ended"
                time.sleep(0.1)
            parts = {
                "DefaultEndpointsProtocol": "http",
                "AccountName": "team",
                "AccountKey": key,
                "BlobEndpoint": f"http://127.0.0.1:{port}/team",
            }
            stated = ";".join(f"{name}={value}" for name, value in parts.items())
            BlobServiceClient.from_connection_string(stated).create_container("team")
            yield {"AZURE_STORAGE_CONNECTION_STRING": stated}
        finally:
            running.terminate()


@contextmanager
def google() -> Iterator[dict[str, str]]:
    """The environment that reaches an emulator of Google's storage, with a bucket `team`."""
    from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="team")
    server.start()
    yield {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}
    server.stop()
