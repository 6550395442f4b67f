"""Servers that tests start for themselves, each in a folder of its own, and stop."""

import hashlib
import itertools
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import HTTPServer
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
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
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def read(address: str) -> bytes:
    """The page at an address; nothing while nobody answers with one."""
    with suppress(OSError), urllib.request.urlopen(address, timeout=1) as answer:
        return bytes(answer.read())
    return b""


@contextmanager
def process(
    *command: str,
    folder: Path,
    is_ready: Callable[[], object],
    end: int = signal.SIGTERM,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[None]:
    """A server's process, from the moment that it is ready; it writes `log` into its folder."""
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as running,
    ):
        try:
            deadline = time.monotonic() + 60
            while not is_ready():
                late = time.monotonic() > deadline or running.poll() is not None
                assert not late, (folder / "log").read_text()
                time.sleep(0.1)
            yield
        finally:
            os.killpg(running.pid, end)


@contextmanager
def serving(server: HTTPServer, certificate: Path | None = None) -> Iterator[None]:
    """Let a server answer from a thread; with a certificate (a file with its key), over TLS."""
    with server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield
        server.shutdown()


def node_modules() -> Path:
    """The `node_modules` that the lock in tests/github pins, installed into build/ once."""
    package, cache = ROOT / "tests" / "github", ROOT / "build" / "node_modules"
    cache.mkdir(parents=True, exist_ok=True)
    final = cache / hashlib.sha256((package / "package-lock.json").read_bytes()).hexdigest()[:12]
    if not final.exists():
        if not shutil.which("npm"):
            missing("there is no npm on PATH (apt-get install npm)")
        fresh = Path(tempfile.mkdtemp(dir=cache))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(package / name, fresh)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=300)
        if done.returncode:
            missing(f"npm could not install what tests/github/package.json names: {done.stderr}")
        with suppress(OSError):  # another worker was faster
            fresh.rename(final)
    return final / "node_modules"


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of its own."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        missing("no PostgreSQL server in /usr/lib/postgresql (apt-get install postgresql)")
    user = []
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="tests-postgres-"))
    if os.geteuid() == 0:
        user = ["setpriv", f"--reuid={NOBODY}", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, NOBODY)
    port, data = free_port(), ("--pgdata", str(folder / "cluster"))
    create = [*user, str(programs[-1] / "initdb"), *data, "--username=tests", "--auth=trust"]
    subprocess.run([*create, "--encoding=UTF8", "--no-sync"], check=True, capture_output=True)
    options = {"listen_addresses": "127.0.0.1", "fsync": "off", "unix_socket_directories": folder}
    command = [*user, str(programs[-1] / "postgres"), "-D", data[1], "-p", str(port)]
    command += [f"--{name}={value}" for name, value in options.items()]
    with process(*command, folder=folder, is_ready=lambda: listens(port), end=signal.SIGQUIT):
        yield f"postgresql+psycopg://tests@127.0.0.1:{port}/postgres"
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def mlflow(folder: Path, store: str) -> Iterator[str]:
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", store),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    jobs = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with process(
        *command, folder=folder, is_ready=lambda: read(f"{address}/health"), environment=jobs
    ):
        yield address


@contextmanager
def spark(folder: Path, memory: str = "1g", workers: int = 2) -> Iterator[str]:
    """The address of a Spark cluster of its own: one master, and workers of one core."""
    import pyspark

    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        missing("no Java on PATH or in JAVA_HOME (apt-get install openjdk-17-jre-headless)")
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    port, pages = free_port(), free_port()
    address, page = f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{pages}/json/"
    environment = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"}

    def start(kind: str, *options: str, workers: int) -> None:
        command = [str(program), f"org.apache.spark.deploy.{kind}", *options, "--host", "127.0.0.1"]
        alive = re.compile(rb'"aliveworkers" *: *%d' % workers)
        ready = process(
            *command,
            folder=folder,
            is_ready=lambda: alive.search(read(page)),
            environment=environment,
        )
        running.enter_context(ready)

    with ExitStack() as running:
        start("master.Master", "--port", str(port), "--webui-port", str(pages), workers=0)
        for number in range(1, workers + 1):
            size = ("--cores", "1", "--memory", memory, "--webui-port", "0")
            work = ("--work-dir", str(folder / f"worker-{number}"))
            start("worker.Worker", address, *size, *work, workers=number)
        yield address
