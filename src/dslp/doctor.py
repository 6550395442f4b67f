"""Where the library, data, runs and models are, and whether each answers, in seconds (G3)."""

import importlib.metadata
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from dslp.core import report
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.files import read_text
from dslp.core.git import command_output, git_output, subfolder_problem
from dslp.core.settings import Project
from dslp.core.text import error_line, redact
from dslp.core.updates import conflicts, lost_edits
from dslp.pin import PATIENCE, Place, examine_pin

PORTS = {"postgresql": 5432, "mssql": 1433, "spark": 7077, "tcp": 8786}


def attach(app: typer.Typer) -> None:
    """Give the command line its command."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say where library, data and runs are, and whether each works; exit code 1 if one does not."""
    places = []
    for place in examine(Project.find()):
        places.append(place)
        if not as_json:
            warning = "yellow" if place.doubtful else ""
            say(f"{place.name:<9} {place.where}", style=warning if place.works else "red")
            say(f"{'':<9} {place.state}", style=warning or "dim" if place.works else "red")
    if as_json:
        typer.echo(report.as_json([place.report for place in places]))
    raise typer.Exit(0 if all(place.works for place in places) else 1)


def examine(project: Project) -> Iterator[Place]:
    """The tools and places that the process needs, one after the other; nothing is changed."""
    yield _examine_tool("git", "every run records its commit")
    yield _examine_tool("uv", "it installs what uv.lock lists")
    yield examine_pin(project)
    if (project.root / ".github").is_dir() and (problem := subfolder_problem(project)):
        yield Place("github", str(project.root / ".github"), problem, doubtful=True)
    if project.is_adopted:
        yield _examine_adoption(project)
    yield from _examine_update(project)
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        cost = "imports take two to three times as long at each command: unset it"
        yield Place("bytecode", "PYTHONDONTWRITEBYTECODE is set", cost, doubtful=True)
    if project.package and find_spec("duckdb"):  # what the extra `data` brings
        yield _examine_data(project)
        yield _examine_engine(project)
    if project.package and find_spec("mlflow"):
        yield _examine_tracking(project)
    for name, variable in (("store", "DSLP_DATA_STORE"), ("cluster", "DSLP_CLUSTER")):
        if address := os.environ.get(variable):
            yield _examine_address(name, address)


def _examine_adoption(project: Project) -> Place:
    """What a team adds to its own files, where the process was dropped into its repository."""
    lines = {
        ".github/dslp/uv.lock in a commit": bool(
            git_output(project, "ls-files", ".github/dslp/uv.lock")
        ),
    }
    ignored = [".dslp", "data", "mlruns"] if project.package else [".dslp"]
    for folder in ignored:
        is_ignored = git_output(project, "check-ignore", f"{folder}/any") is not None
        lines[f"/{folder}/ in .gitignore"] = is_ignored
    for name, text in {
        "ISSUE_TEMPLATE/config.yml": "blank_issues_enabled: false",
        "dependabot.yml": "/.github/dslp",
        "../.pre-commit-config.yaml": "dslp check-files",
    }.items():
        file = project.github / name
        content = read_text(file) if file.is_file() else ""
        lines[f"`{text}` in {os.path.normpath(f'.github/{name}')}"] = text in content
    missing = [line for line, is_there in lines.items() if not is_there]
    where = str(project.tool)
    if not missing:
        return Place("adoption", where, "complete")
    state = f"not added yet: {'; '.join(missing)} (.github/dslp/README.md says what for)"
    return Place("adoption", where, state, doubtful=True)


def _examine_update(project: Project) -> Iterator[Place]:
    """What an update of the template left to do, if anything."""
    revision, deleted = lost_edits(project)
    where = str(project.answers_file)
    if names := conflicts(project):
        yield Place("update", where, f"left conflicts; resolve {', '.join(names)}", works=False)
    if deleted:
        state = f"deleted what you had edited: {', '.join(deleted)}"
        state += f" (git restore --source={revision} -- PATH gives one back)"
        yield Place("update", where, state, doubtful=True)


def _examine_tool(name: str, need: str) -> Place:
    path = shutil.which(name)
    if path is None:
        return Place(name, "not found", f"install it: {need}", works=False)
    version = command_output(path, "--version", timeout=PATIENCE)
    if version is None:
        return Place(name, path, f"does not run: {name} --version", works=False)
    return Place(name, path, version.removeprefix(f"{name} "))


def _examine_data(project: Project) -> Place:
    folder = project.data
    if not folder.is_dir():
        return Place("data", str(folder), "not there yet: uv run dslp data build")
    works = os.access(folder, os.W_OK)
    return Place("data", str(folder), f"can{'' if works else 'not'} be written", works)


def _examine_engine(project: Project) -> Place:
    from dslp.data.sql_tables import database_url

    address = os.environ.get("SPARK_MASTER", "") if project.engine == "spark" else ""
    try:
        address = database_url() if project.engine == "sql" else address
    except DslpError as error:
        return Place("engine", "sql", str(error), works=False)
    if not urlsplit(address).hostname:
        return Place("engine", project.engine, redact(address) or "on this machine")
    server = _examine_address("engine", address)
    return Place("engine", f"{project.engine} at {server.where}", server.state, server.works)


def _examine_address(name: str, address: str) -> Place:
    """Whether somebody listens at the address, if its host and port can be read from it."""
    parts, shown = urlsplit(address), redact(address)
    try:
        port = parts.port or PORTS.get(parts.scheme.split("+")[0])
    except ValueError:
        return Place(name, shown, "the port is not a number", works=False)
    host = parts.hostname
    if not host or not port:
        missing = parts.scheme in ("", "file") and not Path(parts.path).is_dir()
        return Place(name, shown, "no such folder" if missing else "not tried", works=not missing)
    return _examine_answer(
        name, shown, lambda: socket.create_connection((host, port), PATIENCE).close()
    )


def _examine_tracking(project: Project) -> Place:
    from dslp.tracking.connection import Tracking, tracking_uri

    try:
        address = tracking_uri(project)
    except DslpError as error:
        return Place("tracking", project.tracking, str(error), works=False)
    shown, client = redact(address), importlib.metadata.version("mlflow")
    if address.startswith("sqlite:///") and not Path(address.removeprefix("sqlite:///")).exists():
        return Place("tracking", shown, "not there yet: the first run makes it")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(PATIENCE)))
    import mlflow  # noqa: F401 - imported first, so that its seconds are not counted as the server's

    answer = _examine_answer("tracking", shown, lambda: Tracking.open(project))
    return Place("tracking", shown, f"{answer.state}; MLflow {client}", answer.works)


def _examine_answer(name: str, shown: str, connect: Callable[[], object]) -> Place:
    """Whether `connect` returns in time."""
    failures: list[str] = []

    def work() -> None:
        try:
            connect()
        except Exception as error:  # clients pass on whatever their transport raises
            failures.append(error_line(error))

    started, thread = time.monotonic(), threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if failures:
        return Place(name, shown, f"does not answer: {failures[0]}", works=False)
    if thread.is_alive():
        return Place(name, shown, f"does not answer within {PATIENCE:.0f} s", works=False)
    return Place(name, shown, f"answers in {time.monotonic() - started:.2f} s")
