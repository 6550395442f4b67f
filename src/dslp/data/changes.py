"""What changed between two versions of a dataset's files, and the level of each change (D8).

Content is compared, not layout: comments, the order of columns and the style of YAML do not count.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml
from dslp.core.semver import Level
from dslp.core.text import UNWRITTEN
from dslp.data.schema import Column, Schema, parse_schema, show_column
from dslp.tracking.provenance import code_digest

PLACE = ("column", "column_A", "column_B", "column_list", "row_condition")  # of an expectation
REMARK = "(a changed meaning would be major)"
DEFAULTS = {"mostly": 1, "strict_min": False, "strict_max": False, "or_equal": False}
# Whether another value of an argument lets more data pass; of other arguments, it may.
LOOSER: dict[str, Callable[[Any, Any], bool]] = {
    "severity": lambda old, new: old == "critical",
    "mostly": lambda old, new: new < old,
    **dict.fromkeys(("strict_min", "strict_max"), lambda old, new: not new),
    "min_value": lambda old, new: new is None or (old is not None and new < old),
    "max_value": lambda old, new: new is None or (old is not None and new > old),
}


@dataclass(frozen=True)
class Change:
    """One reason for a new version."""

    level: Level
    text: str


def schema_changes(old: str, new: str) -> Iterator[Change]:
    """The changes between two texts of `schema.yml`.

    Raises:
        DslpError: the new one is no schema.
    """
    after = _schema(new)
    try:
        before = _schema(old)
    except DslpError as error:
        yield Change("major", f"incompatible schema: the last one cannot be read ({error})")
        return
    if after.key and not before.key:
        yield Change("patch", f"the key {after.key} added {REMARK}")
    elif set(before.key) != set(after.key):
        yield Change("major", f"incompatible schema: the key is {after.key}, was {before.key}")
    yield from _meaning("population", before.population, after.population, "new population")
    for name in sorted(before.columns.keys() | after.columns.keys()):
        shown = show_column(name)
        if name not in after.columns:
            yield Change("major", f"incompatible schema: column {shown} is gone")
        elif name not in before.columns:
            yield Change("minor", f"new column {shown}")
        else:
            yield from _column_changes(shown, before.columns[name], after.columns[name])


def suite_changes(old: str, new: str) -> Iterator[Change]:
    """The changes between two texts of `suite.yml`, by whether more data passes than before.

    Raises:
        DslpError: the new one is no suite.
    """
    after = _expectations(new)
    try:
        before = _expectations(old)
    except DslpError as error:
        yield Change("minor", f"the last suite cannot be read ({error})")
        return
    for key in sorted(before.keys() | after.keys()):
        kind, *place = json.loads(key)
        what = f"{kind} of {', '.join(map(str, place)) or 'the table'}"
        first = [each for each in before[key] if each not in after[key]]
        second = [each for each in after[key] if each not in before[key]]
        for one, other in zip(first, second, strict=False):
            yield from _argument_changes(kind, what, one, other)
        for _ in first[len(second) :]:
            yield Change("minor", f"new allowed value: {what} was removed")
        for _ in second[len(first) :]:
            yield Change("patch", f"tightened suite: {what} is expected now")


def pipeline_changes(
    old: str, new: str, before: str | None = None, after: str | None = None
) -> Iterator[Change]:
    """The change between two texts of `pipeline.py`, and the digests of their results if known."""
    compared = bool(before and after)
    if code_digest(old) == code_digest(new):
        if compared and before != after:
            yield Change("patch", "rerun: other content from the same pipeline.py")
    elif compared and before == after:
        yield Change("patch", "correction or speed: another pipeline.py, the same content")
    else:
        yield Change("minor", "changed calculation: pipeline.py")


def _schema(text: str) -> Schema:
    return parse_schema(parse_yaml(text, "schema.yml"), "schema.yml")


def _column_changes(name: str, old: Column, new: Column) -> Iterator[Change]:
    if old.type != new.type:
        yield Change("major", f"incompatible schema: column {name} is {new.type}, was {old.type}")
    if new.nullable > old.nullable:
        yield Change("major", f"incompatible schema: column {name} may be null now")
    elif new.nullable < old.nullable:
        yield Change("patch", f"column {name} is never null now")
    yield from _meaning(f"unit of column {name}", old.unit, new.unit, "changed meaning")
    if _words(old.description) != _words(new.description):
        yield Change("patch", f"reworded description of column {name} {REMARK}")
    first, second = old.categories or [], new.categories or []
    if not second and first:
        yield Change("minor", f"new allowed value of column {name}: any")
    elif not first and second:
        yield Change("patch", f"column {name} has categories now")
    else:
        for value in (each for each in second if each not in first):
            yield Change("minor", f"new allowed value of column {name}: {value!r:.60}")
        for value in (each for each in first if each not in second):
            yield Change("patch", f"column {name} is never {value!r:.60} now")


def _meaning(what: str, old: str | None, new: str | None, kind: str) -> Iterator[Change]:
    """A text that was replaced has another meaning; one that was added or left out need not."""
    before, after = _words(old), _words(new)
    if before and after and before != after:
        yield Change("major", f"{kind}: {what} is {new!r:.60}, was {old!r:.60}")
    elif before != after:
        yield Change("patch", f"{what} {'added' if after else 'left out'} {REMARK}")


def _words(text: str | None) -> str:
    words = " ".join((text or "").split())
    return "" if words == UNWRITTEN else words


def _expectations(text: str) -> dict[str, list[dict[str, Any]]]:
    """The arguments of the expectations, by their type and place."""
    content = parse_yaml(text, "suite.yml")
    arguments: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in (content.get("expectations") if isinstance(content, dict) else None) or [None]:
        kwargs = each.get("kwargs", {}) if isinstance(each, dict) else None
        if not isinstance(kwargs, dict) or not isinstance(each.get("type"), str):
            raise DslpError("suite.yml has no expectations; write a list of type and kwargs")
        place = [kwargs[name] for name in PLACE if name in kwargs]
        rest = {str(name): value for name, value in kwargs.items() if name not in PLACE}
        rest["severity"] = each.get("severity") or "critical"
        arguments[json.dumps([each["type"], *place], default=str)].append(rest)
    return arguments


def _argument_changes(
    kind: str, what: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = (each.get(name, DEFAULTS.get(name)) for each in (old, new))
        if before != after:
            text = f"{what}: {name} is {after!r:.60}, was {before!r:.60}"
            looser = _is_looser(kind, name, before, after)
            yield Change(
                "minor" if looser else "patch",
                f"{'new allowed value' if looser else 'tightened suite'}: {text}",
            )


def _is_looser(kind: str, name: str, old: Any, new: Any) -> bool:
    """Whether data passes now that did not before, or may."""
    with suppress(TypeError):  # values that cannot be compared
        if name in LOOSER:
            return bool(LOOSER[name](old, new))
        if name == "value_set" and kind.endswith(("not_be_in_set", "to_contain_set")):
            return not set(old) <= set(new)
        if name == "value_set" and kind.endswith("be_in_set"):
            return not set(new) <= set(old)
    return True
