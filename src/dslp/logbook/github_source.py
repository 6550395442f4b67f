"""The issues and pull requests of a repository on GitHub, in a file that is kept up to date.

A request reads 50 issues with 100 events of each, 50 pull requests and 100 labels: 10,200 of the
500,000 nodes that a query may ask for, and 1 point. So 10,000 issues with 10,000 pull requests take
200 requests, and 200 of the 1,000 points that the workflows of a repository share in an hour; where
nothing has changed, it is one request. 100 issues a request would cost as many points in all, and
come nearer to the 10 seconds after which GitHub stops a query.

Issues are read by their last change, the oldest first, from the newest one that was read before, so
a reading that was ended goes on there. Pull requests cannot be filtered by time: they are read the
newest first, down to the newest one of the last whole reading.

Some changes leave an issue's time as it is. Labels are kept by their ids, and shown by the names
that the first 100 labels of the repository have by now; one that is no longer among them is gone,
unless there may be more than 100. That issues are gone is seen by how many GitHub has.

No name of a person is read (C2).
"""

import json
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import read_text, remove_path
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.github.client import Repository, Unavailable, connect
from dslp.github.entities import read_issue, read_pull_request
from dslp.github.remote import find_address
from dslp.logbook.events import Event, Pull, Work, parse_time

QUERY = read_text(Path(__file__).with_suffix(".graphql"))
START, END = "1970-01-01T00:00:00Z", "9999"  # before and after all times
Node = dict[str, Any]
VERSION = 1  # of the file
# What is kept beside the issues and pull requests: version, GitHub's number of the repository, its
# API and its names; the names of the labels by id; the last change of the issues and of the pull
# requests that were read without a gap; and when all were.
STATE: Node = {"place": [], "labels": {}, "issues": START, "pulls": START, "read": ""}
TABLE = "items (kind TEXT, number INTEGER, updated TEXT, content BLOB, PRIMARY KEY (kind, number))"
STORE = "INSERT INTO items VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET updated = "
STORE += "excluded.updated, content = excluded.content WHERE excluded.updated >= items.updated"
Read = tuple[tuple[Work, ...], tuple[Pull, ...], tuple[str, ...]]


def read_github(project: Project, cache: Path, environment: Mapping[str, str] = os.environ) -> Read:
    """The issues and the pull requests of the project's repository by number, and notes.

    Args:
        project: whose remote it is.
        cache: the file of what was read before. It is made, and read anew from GitHub where it is
            of another repository or version, or broken.
        environment: the variables that GitHub Actions and `gh` know.

    Returns:
        The issues, the pull requests, and sentences: where GitHub cannot be read to the end, why,
        and from when that is which is returned.

    Raises:
        DslpError: GitHub cannot be read, and nothing of this repository was read before; or the
            file cannot be used.
    """
    try:
        return _read(project, cache, environment)
    except (OSError, sqlite3.OperationalError) as error:
        raise DslpError(f"{cache} cannot be used: {error_line(error)}") from None
    except (sqlite3.DatabaseError, LookupError, TypeError, ValueError):
        remove_path(cache)
        return _read(project, cache, environment)


def _read(project: Project, cache: Path, environment: Mapping[str, str]) -> Read:
    address, notes = find_address(project, environment), list[str]()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(cache)) as database:
        database.execute(f"CREATE TABLE IF NOT EXISTS {TABLE}")
        database.execute("CREATE INDEX IF NOT EXISTS times ON items (kind, updated, number)")
        state = STATE | next(_contents(database, "state"), {})
        try:
            repository = connect(project, environment)
            if state["place"][:2] != [VERSION, repository.id]:
                database.execute("DELETE FROM items")
                _keep(database, state := STATE.copy())
            state["place"] = [VERSION, repository.id, address.api, address.name, repository.name]
            try:
                _update(repository, database, state)
            except (LookupError, TypeError) as error:
                problem = f"GitHub's answer is not as expected: {error_line(repr(error))}"
                raise DslpError(problem) from None
        except DslpError as error:
            state = STATE | next(_contents(database, "state"), {})
            if not {VERSION, address.api, address.name} <= {*state["place"]}:
                raise
            when = f"as of {state['read']}" if state["read"] else "not complete yet"
            notes.append(f"The issues and pull requests are {when}: {error}")
        works = [_work(one, state["labels"]) for one in _contents(database, "issues")]
        return tuple(works), tuple(map(_pull, _contents(database, "pulls"))), tuple(notes)


def _contents(database: sqlite3.Connection, kind: str) -> Iterator[Node]:
    rows = database.execute("SELECT content FROM items WHERE kind = ? ORDER BY number", [kind])
    return (json.loads(content) for (content,) in rows)


def _keep(database: sqlite3.Connection, state: Node, kind: str = "", items: Any = ()) -> None:
    """Keep what was read, what is gone, and how far that is; all or nothing."""
    rows = [("state", 0, "", state), *((kind, one["number"], one["updated"], one) for one in items)]
    with database:
        database.executemany(STORE, [(*row, json.dumps(one).encode()) for *row, one in rows])


def _update(repository: Repository, database: sqlite3.Connection, state: Node) -> None:
    """Read what has changed; a page is kept as soon as it was read."""
    ask: Node = {"issues": True, "pulls": True, "since": state["issues"]}
    total, newest = 0, state["pulls"]
    while ask["issues"] or ask["pulls"]:
        try:
            answer = repository.query(QUERY, **ask)
        except Unavailable as error:
            if 0 < error.status < 500 or "size" in ask:
                raise
            ask["size"] = 10  # it may have taken too long
            continue
        ask.pop("size", None)
        if ask["issues"]:
            issues, ask["issues"], ask["issue"] = _read_page(repository, answer["issues"])
            total = answer["all"]["totalCount"]
            state["labels"] = {one["id"]: one["name"] for one in answer["labels"]["nodes"]}
            state["issues"] = max([state["issues"], *(one["updated"] for one in issues)])
            _keep(database, state, "issues", issues)
        if ask["pulls"]:
            pulls, ask["pulls"], ask["pull"] = _read_page(repository, answer["pulls"])
            newest = max([newest, *(one["updated"] for one in pulls)])
            if not ask["pulls"] or pulls[-1]["updated"] < state["pulls"]:
                # What changed while these were read is at the top by now: it is read once more.
                ask["pulls"], ask["pull"] = newest > state["pulls"], None
                state["pulls"] = newest
            _keep(database, state, "pulls", pulls)
    _compare(repository, database, state, total)
    _keep(database, state | {"read": f"{datetime.now(UTC):%Y-%m-%d %H:%M} (UTC)"})


def _read_page(repository: Repository, connection: Node) -> tuple[list[Node], bool, str]:
    """The nodes of a page with all of their events, whether there are more, and after what."""
    nodes = [one for one in connection["nodes"] if one]  # what GitHub does not show is null
    for one in nodes:
        rest = one.get("events")
        while rest and rest["pageInfo"]["hasNextPage"]:
            place = {"number": one["number"], "event": rest["pageInfo"]["endCursor"]}
            whole = repository.query(QUERY, one=True, **place)["issue"]
            rest = whole and whole["events"]  # or it was deleted meanwhile
            one["events"]["nodes"] += rest["nodes"] if rest else []
    page = connection["pageInfo"]
    return nodes, page["hasNextPage"], page["endCursor"]


def _compare(repository: Repository, database: sqlite3.Connection, state: Node, total: int) -> None:
    """Find the issues that are gone, and those that came from elsewhere with an old time.

    While GitHub has another number of issues, the last time is searched since when it has, by
    halves, and the issues from that time on are read anew.
    """

    def agrees(time: str) -> bool:
        answer = repository.query(QUERY, issues=True, size=1, since=time)
        return bool(answer["issues"]["totalCount"] == len(_numbers(database, time)))

    while difference := total - len(_numbers(database)):
        rows = database.execute("SELECT DISTINCT updated FROM items WHERE kind = 'issues'")
        times = [START, *sorted(time for (time,) in rows)]
        start = end = times[bisect_left(times, True, 1, key=agrees) - 1]
        issues, ask = list[Node](), {"issues": True, "since": start}
        while end == start:  # many may have the same time
            answer = repository.query(QUERY, **ask)
            page, has_more, ask["issue"] = _read_page(repository, answer["issues"])
            issues += page
            end = issues[-1]["updated"] if has_more else END
        gone = _numbers(database, start, end) - {one["number"] for one in issues}
        where = f"kind = 'issues' AND number IN ({', '.join(map(str, gone))})"
        database.execute(f"DELETE FROM items WHERE {where}")
        _keep(database, state, "issues", issues)
        total = answer["all"]["totalCount"]
        if not gone and total - len(_numbers(database)) == difference:
            break  # GitHub counts what it does not show


def _numbers(database: sqlite3.Connection, start: str = START, end: str = END) -> set[int]:
    """The numbers of the issues here that changed last between two times."""
    where = "kind = 'issues' AND updated >= ? AND updated < ?"
    return {n for (n,) in database.execute(f"SELECT number FROM items WHERE {where}", [start, end])}


def _work(one: Node, labels: Mapping[str, str]) -> Work:
    """An issue with its events; labels have the names that they have by now (L4)."""

    def name(label: Node) -> str:
        return labels.get(label["id"], label["name"])

    shown = [each for each in one["labels"]["nodes"] if each["id"] in labels or len(labels) > 99]
    one |= {"state": one["state"].lower(), "labels": [{"name": name(each)} for each in shown]}
    events = []
    for each in one["events"]["nodes"]:
        # Once a label is deleted, GitHub has no label for its events, or no event.
        each = each or {"what": "LabeledEvent", "at": one["created"]}
        what, label = each["what"].removesuffix("Event").lower(), each.get("label")
        why = (each.get("reason") or "").lower()
        events.append(Event(parse_time(each["at"]), what, name(label) if label else "", why))
    created, closed = _times(one)
    reason = (one["reason"] or "").lower() if closed else ""
    issue = replace(read_issue(one), id=int(one["id"] or 0), native={})
    return Work(issue, created, parse_time(one["updated"]), closed, reason, tuple(events))


def _pull(one: Node) -> Pull:
    one["state"] = "closed" if one["closed"] else "open"
    one["head"] = {"ref": one["head"], "sha": one["sha"], "repo": {"id": one["fork"]}}
    one["base"] = {"ref": one["base"], "repo": {"id": False}}
    commit = (one["merge"] or {}).get("oid", "")
    return Pull(read_pull_request(one), one["title"], one["url"], *_times(one), commit)


def _times(one: Node) -> tuple[datetime, datetime | None]:
    """When it was opened and closed."""
    return parse_time(one["created"]), parse_time(one["closed"]) if one["closed"] else None
