"""What changed between two versions of a dataset's files, and the level that it asks for (D8).

Content is compared, not layout: comments, the order of columns and the style of YAML are nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml
from dslp.core.semver import Level
from dslp.core.text import UNWRITTEN
from dslp.data.schema import Column, parse_schema, show_column
from dslp.tracking.provenance import code_digest

PLACE = ("column", "column_A", "column_B", "column_list", "row_condition")  # what it is about
REMARK = "(a changed meaning would be major)"
# What an argument is where it is not stated.
DEFAULTS = {"mostly": 1, "strict_min": False, "strict_max": False, "or_equal": False}


class Change(NamedTuple):
    """One reason for a new version."""

    level: Level
    text: str


def schema_changes(old: str, new: str) -> Iterator[Change]:
    """Between two texts of `schema.yml`.

    Raises:
        DslpError: the new one is no schema.
    """
    after = parse_schema(parse_yaml(new, "schema.yml"), "schema.yml")
    try:
        before = parse_schema(parse_yaml(old, "schema.yml"), "schema.yml")
    except DslpError as error:
        yield Change("major", f"incompatible schema: the last one cannot be read ({error})")
        return
    if after.key and not before.key:
        yield Change("patch", f"the key {after.key} added {REMARK}")
    elif set(before.key) != set(after.key):
        yield Change("major", f"incompatible schema: the key is {after.key}, was {before.key}")
    yield from _restated("population", before.population, after.population, "new population")
    for name in sorted(before.columns.keys() - after.columns.keys()):
        yield Change("major", f"incompatible schema: column {show_column(name)} is gone")
    for name in sorted(after.columns.keys() - before.columns.keys()):
        yield Change("minor", f"new column {show_column(name)}")
    for name in sorted(before.columns.keys() & after.columns.keys()):
        yield from _column(show_column(name), before.columns[name], after.columns[name])


def suite_changes(old: str, new: str) -> Iterator[Change]:
    """Between two texts of `suite.yml`: what the data may be by now, and might not be before.

    Raises:
        DslpError: the new one is no suite.
    """
    after = _expectations(new)
    try:
        before = _expectations(old)
    except DslpError as error:
        yield Change("minor", f"the last suite cannot be read ({error})")
        return
    for name in sorted(before.keys() | after.keys()):
        first, second = before.get(name, []), after.get(name, [])
        kind, *place = json.loads(name)
        what = f"{kind} of {', '.join(map(str, place)) or 'the table'}"
        same = [one for one in first if one in second]
        first = [one for one in first if one not in same]
        second = [one for one in second if one not in same]
        for one, other in zip(first, second, strict=False):
            yield from _expectation(kind, what, one, other)
        for _ in first[len(second) :]:
            yield Change("minor", f"new allowed value: {what} is expected no more")
        for _ in second[len(first) :]:
            yield Change("patch", f"tightened suite: {what} is expected now")


def pipeline_changes(
    old: str, new: str, before: str | None = None, after: str | None = None
) -> Iterator[Change]:
    """Between two texts of `pipeline.py`, and the digests of what they made, where known."""
    same = before == after if before and after else None
    if code_digest(old) != code_digest(new):
        if same:
            yield Change("patch", "correction or speed: another pipeline.py, the same content")
        else:
            yield Change("minor", "changed calculation: pipeline.py")
    elif same is False:
        yield Change("patch", "rerun: other content from the same pipeline.py")


def _column(name: str, old: Column, new: Column) -> Iterator[Change]:
    if old.type != new.type:
        yield Change("major", f"incompatible schema: column {name} is {new.type}, was {old.type}")
    if new.nullable and not old.nullable:
        yield Change("major", f"incompatible schema: column {name} may be null now")
    if old.nullable and not new.nullable:
        yield Change("patch", f"column {name} is never null now")
    yield from _restated(f"unit of column {name}", old.unit, new.unit, "changed meaning")
    if _plain(old.description) != _plain(new.description):
        yield Change("patch", f"reworded description of column {name} {REMARK}")
    yield from _categories(name, old.categories, new.categories)


def _categories(name: str, old: list[Any] | None, new: list[Any] | None) -> Iterator[Change]:
    if old and new is None:
        yield Change("minor", f"new allowed value of column {name}: any")
    elif old is None and new:
        yield Change("patch", f"column {name} has categories now")
    elif old and new:
        for value in new:
            if value not in old:
                yield Change("minor", f"new allowed value of column {name}: {value!r:.60}")
        for value in old:
            if value not in new:
                yield Change("patch", f"column {name} is never {value!r:.60} now")


def _restated(what: str, old: str | None, new: str | None, kind: str) -> Iterator[Change]:
    """A statement that was changed is another one; one that was not there is better words."""
    if _plain(old) == _plain(new):
        return
    if _plain(old) and _plain(new):
        yield Change("major", f"{kind}: {what} is {new!r:.60}, was {old!r:.60}")
    else:
        yield Change("patch", f"{what} {'added' if _plain(new) else 'left out'} {REMARK}")


def _plain(text: str | None) -> str:
    words = " ".join((text or "").split())
    return "" if words == UNWRITTEN else words


def _expectations(text: str) -> dict[str, list[dict[str, Any]]]:
    """Arguments of the expectations, by their type and what they are about."""
    listed = parse_yaml(text, "suite.yml")
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in (listed.get("expectations") if isinstance(listed, dict) else None) or [None]:
        kwargs = each.get("kwargs", {}) if isinstance(each, dict) else None
        if not isinstance(kwargs, dict) or not isinstance(each.get("type"), str):
            raise DslpError("suite.yml has no expectations; write a list of type and kwargs")
        place = [kwargs[name] for name in PLACE if name in kwargs]
        rest = {str(name): value for name, value in kwargs.items() if name not in PLACE}
        rest["severity"] = each.get("severity") or "critical"
        found[json.dumps([each["type"], *place], default=str)].append(rest)
    return found


def _expectation(
    kind: str, what: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = (each.get(name, DEFAULTS.get(name)) for each in (old, new))
        if before == after:
            continue
        told = f"{what}: {name} is {after!r:.60}, was {before!r:.60}"
        if _looser(kind, name, before, after):
            yield Change("minor", f"new allowed value: {told}")
        else:
            yield Change("patch", f"tightened suite: {told}")


def _looser(kind: str, name: str, old: Any, new: Any) -> bool:
    """Whether data passes now that did not before; what cannot be told counts as if it did."""
    try:
        if name == "severity":
            return bool(old == "critical")
        if name == "mostly":
            return bool(new < old)
        if name in ("strict_min", "strict_max"):
            return not new
        if name == "min_value":
            return new is None or (old is not None and bool(new < old))
        if name == "max_value":
            return new is None or (old is not None and bool(new > old))
        if name == "value_set" and kind.endswith(("not_be_in_set", "to_contain_set")):
            return not set(old) <= set(new)
        if name == "value_set" and kind.endswith("be_in_set"):
            return not set(new) <= set(old)
    except TypeError:  # bounds of different kinds, or values that are no plain ones
        pass
    return True
