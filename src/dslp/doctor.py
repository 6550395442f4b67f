"""Where the library, data, runs and models are, and whether each answers, in seconds (G3)."""

import importlib.metadata
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import typer
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.pin import examine_pin

PATIENCE = 5.0  # seconds for each place
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433, "spark": 7077, "tcp": 8786}


def attach(app: typer.Typer) -> None:
    """Give the command line its command."""
    app.command()(doctor)


def doctor() -> None:
    """Say where library, data and runs are, and whether each works; exit code 1 if one does not."""
    works = True
    for found in examine(Project.find()):
        warning = "yellow" if found.doubtful else ""
        say(f"{found.name:<9} {found.where}", style=warning if found.works else "red")
        say(f"{'':<9} {found.state}", style=warning or "dim" if found.works else "red")
        works = works and found.works
    raise typer.Exit(0 if works else 1)


@dataclass(frozen=True)
class Check:
    """One place or tool: where it is, what is to be said of it, and whether it works."""

    name: str
    where: str
    state: str
    works: bool = True
    doubtful: bool = False


def examine(project: Project) -> Iterator[Check]:
    """What the process needs here, one finding after the other; nothing is changed."""
    yield _tool("git", "every run records its commit")
    yield _tool("uv", "it installs what uv.lock says")
    pin = examine_pin(project)
    yield Check("library", pin.asked, pin.state, pin.works, pin.doubtful)
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        cost = "imports take two to three times as long at each command: unset it"
        yield Check("bytecode", "PYTHONDONTWRITEBYTECODE is set", cost, doubtful=True)
    if project.package and find_spec("duckdb"):  # what the extra `data` brings
        yield _folder(project)
        yield _engine(project)
    if project.package and find_spec("mlflow"):
        yield _tracking(project)
    for name, variable in (("store", "DSLP_DATA_STORE"), ("cluster", "DSLP_CLUSTER")):
        address = os.environ.get(variable)
        if address:
            yield _place(name, address)


def _tool(name: str, need: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(name, "not found", f"install it: {need}", works=False)
    try:
        command = [path, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, path, f"does not run: {type(error).__name__}", works=False)
    return Check(name, path, done.stdout.strip().removeprefix(f"{name} "))


def _folder(project: Project) -> Check:
    folder = project.data
    if not folder.is_dir():
        return Check("data", str(folder), "not there yet: uv run dslp data build")
    if not os.access(folder, os.W_OK):
        return Check("data", str(folder), "cannot be written", works=False)
    return Check("data", str(folder), "can be read and written")


def _engine(project: Project) -> Check:
    variable = {"sql": "DSLP_DATABASE_URL", "spark": "SPARK_MASTER"}.get(project.engine, "")
    address = os.environ.get(variable, "")
    if not urlsplit(address).hostname:
        return Check("engine", project.engine, redact(address) or "on this machine")
    found = _place("engine", address)
    return Check("engine", f"{project.engine} at {found.where}", found.state, found.works)


def _place(name: str, address: str) -> Check:
    """Whether somebody listens at the address, if it has a host and a port that is known."""
    parts, shown = urlsplit(address), redact(address)
    try:
        port = parts.port or PORTS.get(parts.scheme.split("+")[0])
    except ValueError:
        return Check(name, shown, "the port is no number", works=False)
    if not parts.hostname or not port:
        here = parts.scheme in ("", "file") and not Path(parts.path).is_dir()
        return Check(name, shown, "no such folder" if here else "not asked", works=not here)
    host = parts.hostname
    return _timed(name, shown, lambda: socket.create_connection((host, port), PATIENCE).close())


def _tracking(project: Project) -> Check:
    from dslp.tracking.connection import Tracking, tracking_uri

    try:
        address = tracking_uri(project)
    except DslpError as error:
        return Check("tracking", project.tracking, str(error), works=False)
    shown, client = redact(address), importlib.metadata.version("mlflow")
    if address.startswith("sqlite:///") and not Path(address.removeprefix("sqlite:///")).exists():
        return Check("tracking", shown, "not there yet: the first run makes it")
    version = ""
    if address.startswith(("http://", "https://")):
        found = _timed("tracking", shown, lambda: _version(address))
        if not found.works:
            return found
        version = found.state.partition("; ")[2]
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(PATIENCE)))
    import mlflow  # noqa: F401 - what takes its time is not the server's

    def ask() -> None:
        Tracking.open(project)

    found = _timed("tracking", shown, ask)
    if version and version.split(".")[:2] != client.split(".")[:2]:
        version += ", which is another than the client's"
    more = f"; the server is MLflow {version}" if version else ""
    return Check("tracking", shown, f"{found.state}{more}; MLflow {client} here", found.works)


def _version(address: str) -> str:
    """The version of MLflow that a server says it is; nothing if it does not say."""
    import requests

    response = requests.get(f"{address.rstrip('/')}/version", timeout=PATIENCE)
    text = response.text.strip()
    return text if response.ok and len(text) < 20 and text[:1].isdigit() else ""


def _timed(name: str, shown: str, ask: Callable[[], str | None]) -> Check:
    """What `ask` finds, or that it fails, or has not come back in time."""
    answer: list[str | None] = []
    failure: list[str] = []

    def work() -> None:
        try:
            answer.append(ask())
        except Exception as error:
            failure.append(error_line(error))

    started, thread = time.monotonic(), threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if failure:
        return Check(name, shown, f"does not answer: {failure[0]}", works=False)
    if not answer:
        return Check(name, shown, f"does not answer within {PATIENCE:.0f} s", works=False)
    said = f"; {answer[0]}" if answer[0] else ""
    return Check(name, shown, f"answers in {time.monotonic() - started:.2f} s{said}")
