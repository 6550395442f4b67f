"""Everything as open files: one JSON that holds all, and a table in Parquet of each kind."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.files import read_text, written_together
from dslp.logbook.events import Logbook
from dslp.logbook.measures import measure
from dslp.logbook.results import Result
from dslp.logbook.story import build_stories

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FILE = "logbook.json"
TIMES = ("at", "created", "updated", "closed", "start", "end")  # columns, in UTC
LOCAL_TIME = re.compile(r'": "(\d{4}-\d\d-\d\dT[\d:.]+)",?$', re.MULTILINE)
HIDDEN = ("native", "body")  # attributes that stories do without: texts, and people's names
NUMBERS = ("number", "issue", "ask")  # of issues and pull requests
TABLES = {
    "issues": "number type title body state reason labels url created updated closed",
    "events": "number at what label reason",
    "pull_requests": "number title head base sha state merged commit url created closed",
    "runs": "run name kind status issue ask start end url",
    "metrics": "run name value",
    "params": "run name value",
    "tags": "run name value",
    "versions": "model version semantic role run created url",
    "changes": "model at action version replaced why issue",
}


def export(logbook: Logbook, folder: Path) -> list[Path]:
    """Write the logbook into a folder, and return the paths of its files.

    `logbook.json` is what `read_export` reads; `stories.json` and `measures.json` are what the
    pages show. Each table is a Parquet file that any tool reads.

    Raises:
        DslpError: a file cannot be written; then all files are as they were before.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    for name, row in _rows(logbook):
        rows[name].append(row)
    stories = build_stories(logbook)
    files = {FILE: _adapter().dump_json(logbook, indent=1).decode()}
    files |= {"stories.json": to_json(stories)}
    files |= {"measures.json": to_json(measure(logbook, stories))}
    paths = [folder / name for name in (*files, *(f"{name}.parquet" for name in TABLES))]
    with written_together(*paths) as written:
        for text, part in zip(files.values(), written, strict=False):
            part.write_text(text + "\n", encoding="utf-8")
        parts = written[len(files) :]
        for (name, columns), part in zip(TABLES.items(), parts, strict=True):
            schema = pa.schema([(one, _type(name, one)) for one in columns.split()])
            values = list(zip(*rows[name], strict=True)) or [()] * len(schema)
            arrays = [pa.array(v, f.type) for v, f in zip(values, schema, strict=True)]
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), part)
    return paths


def to_json(value: Any) -> str:
    """Stories or measures as JSON, with the names of their attributes, without what HIDDEN names.

    Times are in ISO 8601; a figure that is not finite is null. A result has the identifier of its
    run, and whether it meets the criterion (`is_met`).
    """
    plain = json.loads(json.dumps(value, default=_attributes), parse_constant=lambda _: None)
    return json.dumps(plain, indent=2, ensure_ascii=False)


def read_export(folder: Path) -> Logbook:
    """The logbook that was exported into a folder.

    Raises:
        DslpError: its file is missing, or is none of ours.
    """
    from pydantic import ValidationError

    text = read_text(folder / FILE)
    todo = "write it with: uv run dslp logbook export"
    if local := LOCAL_TIME.search(text):
        raise DslpError(f"{folder / FILE}: {local[1]} is a time without a zone; {todo}")
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DslpError(f"{folder / FILE}: {place}: {first['msg']}; {todo}") from None


def _attributes(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    attributes = {name: item for name, item in vars(value).items() if name not in HIDDEN}
    more = {"run": value.run.id, "is_met": value.is_met} if isinstance(value, Result) else {}
    return attributes | more


@cache
def _adapter() -> "TypeAdapter[Logbook]":
    from pydantic import TypeAdapter

    return TypeAdapter(Logbook)


def _type(table: str, column: str) -> Any:
    import pyarrow as pa

    if column in TIMES:
        return pa.timestamp("us", tz="UTC")
    if column in NUMBERS:
        return pa.int64()
    special = {"labels": pa.list_(pa.string()), "merged": pa.bool_()}
    special |= {"value": pa.float64()} if table == "metrics" else {}
    return special.get(column, pa.string())


def _rows(logbook: Logbook) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The rows of all tables, each with the table's name."""
    for work in logbook.works:
        issue, times = work.issue, (work.created, work.updated, work.closed)
        texts = (issue.title, issue.body, issue.state, work.reason, issue.labels, issue.url)
        yield "issues", (issue.number, issue.kind, *texts, *times)
        for event in work.events:
            yield "events", (issue.number, event.at, event.what, event.label, event.reason)
    for one in logbook.pulls:
        pull, rest = one.pull, (one.commit, one.url, one.created, one.closed)
        branches = (pull.head, pull.base, pull.sha, pull.state, pull.merged)
        yield "pull_requests", (pull.number, one.title, *branches, *rest)
    for run in logbook.runs:
        links = (run.issue, run.ask, run.start, run.end, run.url)
        yield "runs", (run.id, run.name, run.kind, run.status, *links)
        for table, values in (("metrics", run.metrics), ("params", run.params), ("tags", run.tags)):
            yield from ((table, (run.id, name, value)) for name, value in values.items())
    for version in logbook.versions:
        names = TABLES["versions"].split()
        yield "versions", tuple(getattr(version, name) for name in names)
    for change in logbook.changes:
        yield "changes", tuple(getattr(change, name) for name in TABLES["changes"].split())
