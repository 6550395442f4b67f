"""The runs and models of a project in MLflow, with a file of the runs that were read before.

MLflow needs a second for 1,500 runs, and a server needs three. So runs are read by their start, the
newest first, down to those in the file: an hour further, since clocks differ, and down to the
oldest run that had not ended, unless it began a month before the newest. Deleted runs are asked for
each time, and left out. What else is changed after its end, by hand for example, is read again only
where the file is missing.

Of the tags, those of the library are read, and no name of a person or a machine (C2).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from dslp.core.errors import DslpError
from dslp.core.files import read_text, write_text
from dslp.core.settings import Project
from dslp.core.text import redact
from dslp.logbook.events import Logbook, ModelChange, ModelVersion, Run
from dslp.logbook.site import CACHE
from dslp.tracking import connection
from dslp.tracking.history import PREFIX
from dslp.tracking.provenance import repository_address
from dslp.tracking.registry import Registry

FILE = CACHE / "runs.json"
VERSION = "1"  # of the file
LEFT_OUT = "Runs and models are left out, or not complete"
PAGE = 200  # runs of a request: with 1,000, Python searches twice as long for garbage
HOUR, MONTH = timedelta(hours=1), timedelta(days=30)
NOT_KEPT = (PREFIX, connection.PROCESS)  # tags of changes, which name people; and of the machine
Stored = tuple[tuple[str, ...], frozenset[str], dict[str, Run]]  # source, deleted runs, all runs


def read_tracking(project: Project) -> Logbook:
    """A logbook of the runs, the versions and their changes, without issues and pull requests.

    All experiments whose names begin as this project's do count, also those of former models. Where
    names have no prefix, and the server may have runs of other projects, only those count whose
    repository has the name of this one: forks and former owners do.
    """
    logbook = Logbook(project.root.name, repository_address(project), datetime.now(UTC))
    runs, versions, changes, notes = list[Run](), list[ModelVersion](), list[ModelChange](), []
    try:
        if not find_spec("mlflow"):
            raise DslpError("MLflow is not installed")
        connection.require_records(project, "uv run dslp experiment run")
        tracking = connection.Tracking.open(project)
        with connection.mlflow_errors():
            every, name = _read_runs(tracking), logbook.repository.rpartition("/")[2]
            if tracking.experiment_name("") or connection.local_database(project):
                name = ""  # there are no runs of others
            runs = [run for run in every if not name or run.tag("repository") in ("", name)]
            if others := len(every) - len(runs):
                notes.append(f"{others:,} runs of other repositories on the server are left out.")
            for model in sorted({run.tag("model") for run in runs} - {""}):
                registry = Registry.read(project, model, tracking)
                versions += _versions(registry, model)
                changes += _changes(registry, model)
    except DslpError as error:
        problem = str(error).replace(f"{project.root}/", "")
        notes.append(f"{LEFT_OUT}: {problem}.")
    changes.sort(key=lambda change: change.at)
    logbook = replace(logbook, runs=tuple(runs), versions=tuple(versions), changes=tuple(changes))
    return replace(logbook, notes=tuple(notes))


def _read_runs(tracking: connection.Tracking) -> list[Run]:
    """The runs that are not deleted, by start; the file is brought up to date."""
    from mlflow.entities import ViewType
    from pydantic import TypeAdapter

    client, address = tracking.client, redact(connection.tracking_uri(tracking.project))
    prefix = tracking.experiment_name("")
    experiments = _pages(partial(client.search_experiments, max_results=PAGE))
    places = [str(one.experiment_id) for one in experiments if one.name.startswith(prefix)]
    order = ["attributes.start_time DESC"]
    search = partial(client.search_runs, places, max_results=PAGE, order_by=order)
    removed = _pages(partial(search, run_view_type=ViewType.DELETED_ONLY))
    source, deleted = (VERSION, address, *places), frozenset(run.info.run_id for run in removed)
    file, adapter = tracking.project.root / FILE, TypeAdapter[Stored](Stored)
    stored: Stored = ((), frozenset(), {})
    with suppress(DslpError, ValueError):  # the file is missing, or broken
        stored = adapter.validate_json(read_text(file))
    before, gone, runs = stored
    if before != source or not gone <= deleted:
        runs = {}  # a deleted run that is not deleted any more was restored, or removed for good
    newest = max((run.start for run in runs.values()), default=datetime.fromtimestamp(0, UTC))
    unended = [run.start for run in runs.values() if not run.end and run.start > newest - MONTH]
    since, newest_first = min([newest - HOUR, *unended]), (_run(r, address) for r in _pages(search))
    runs |= {run.id: run for run in takewhile(lambda run: run.start >= since, newest_first)}
    write_text(file, adapter.dump_json((source, deleted, runs)).decode())
    current = (run for run in runs.values() if run.id not in deleted)
    return sorted(current, key=lambda run: (run.start, run.id))


def _pages(search: Callable[..., Any]) -> Iterator[Any]:
    """All results of one of the client's searches, a page at a time."""
    page = search()
    yield from page
    while page.token:
        yield from (page := search(page_token=page.token))


def _run(run: Any, address: str) -> Run:
    """MLflow's run without passwords, and without values that are not finite."""
    info, data = run.info, run.data
    metrics = {name: value for name, value in data.metrics.items() if math.isfinite(value)}
    params = {name: redact(value) for name, value in data.params.items()}
    tags, source = _own_tags(data.tags), data.tags.get("mlflow.source.name", "")
    if "#" in source:
        tags["dslp.repository"] = source.partition("#")[0].rpartition("/")[2]
    start, end = _time(info.start_time), _time(info.end_time) if info.end_time else None
    names = (info.run_id, redact(info.run_name or ""), tags.get("dslp.kind", ""), info.status)
    url = _page(address, "experiments", info.experiment_id, "runs", info.run_id)
    return Run(*names, start, end, metrics, params, tags, url)


def _versions(registry: Registry, model: str) -> Iterator[ModelVersion]:
    address = connection.tracking_uri(registry.tracking.project)
    address = redact(connection.registry_uri(address))
    for one in registry.releases:
        url = _page(address, "models", registry.name, "versions", one.version)
        names = (model, one.version, one.semantic, one.role, one.run)
        yield ModelVersion(*names, _time(one.created), _own_tags(one.tags), url)


def _changes(registry: Registry, model: str) -> Iterator[ModelChange]:
    history = registry.history
    registered = [one for one in history.changes if one.action == "register"]
    for one in [*registered, *history.completed]:
        facts = (one.moment, one.action, one.version, one.replaced or "", redact(one.why))
        yield ModelChange(model, *facts, one.issue)


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The library's tags, without passwords."""
    own = {name: value for name, value in tags.items() if name.startswith("dslp.")}
    return {name: redact(v) for name, v in own.items() if not name.startswith(NOT_KEPT)}


def _page(address: str, *parts: str) -> str:
    """A page of MLflow's own server; empty for a file, and for servers with other pages."""
    path = "/".join(quote(part, safe="") for part in parts)
    return f"{address.rstrip('/')}/#/{path}" if address.startswith("http") else ""


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
