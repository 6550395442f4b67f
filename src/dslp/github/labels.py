"""Labels from one file in the repository (L3): a plan of what differs, carried out step by step.

Every step leaves a state from which the same plan is made again, less what was done: a
registration that is killed at any request is finished by the next one (L4).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.github.client import Repository, Unavailable

FILE = Path(".github") / "labels.yml"
DEFAULTS = Path(__file__).with_name("labels.yml")  # the same file, for a repository without one


@dataclass(frozen=True)
class Label:
    """A label as the file has it; `aliases` are names that it had before."""

    name: str
    color: str
    description: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One step: `create`, `rename`, `update`, `merge` (an alias into its label) or `delete`.

    Attributes:
        action: what is done.
        name: the label's name now, or the one that is made.
        label: what it will be; None where it goes.
        fields: what differs, in words.
    """

    action: str
    name: str
    label: Label | None
    fields: str


def read_labels(path: Path) -> list[Label]:
    """The labels of a file.

    Raises:
        DslpError: it is missing, or has what GitHub would refuse.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DslpError(f"{path} cannot be read: {error_line(error)}") from None
    if not isinstance(entries, list) or not entries:
        raise DslpError(f"{path} must hold a list of labels, each with name and color")
    labels = [_label(entry, f"{path}, label {n}") for n, entry in enumerate(entries, start=1)]
    names = [name.lower() for label in labels for name in (label.name, *label.aliases)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DslpError(f"{path}: {', '.join(twice)} is there twice")
    return labels


def plan_changes(
    wanted: Sequence[Label], there: Sequence[dict[str, Any]], prune: bool
) -> list[Change]:
    """What to do so that the repository has the labels that are wanted.

    Args:
        wanted: the labels of the file.
        there: the repository's labels, as GitHub lists them.
        prune: delete the labels that the file does not name.
    """
    present = {str(label["name"]).lower(): label for label in there}
    changes = []
    for label in wanted:
        former = [present.pop(a.lower()) for a in label.aliases if a.lower() in present]
        found = present.pop(label.name.lower(), None)
        if found is None and former:
            found = former.pop(0)
            changes.append(Change("rename", found["name"], label, f"to {label.name}"))
        elif found is None:
            changes.append(Change("create", label.name, label, f"#{label.color}"))
        else:
            fields = ", ".join(_differences(label, found))
            if fields:
                changes.append(Change("update", found["name"], label, fields))
        changes += [Change("merge", alias["name"], label, f"into {label.name}") for alias in former]
    if prune:
        changes += [Change("delete", label["name"], None, "") for label in present.values()]
    return changes


def register_labels(
    repository: Repository, wanted: Sequence[Label], prune: bool
) -> Iterator[Change]:
    """Carry the plan out; yields each change once it is done.

    Raises:
        Unavailable: GitHub refuses; what was done so far stays, and a second run goes on.
    """
    done = 0
    for attempt in (1, 2):
        try:
            for change in plan_changes(wanted, list(repository.pages("/labels")), prune):
                carry_out(repository, change)
                done += 1
                yield change
            return
        except Unavailable as error:
            # Somebody else was there between the list and the change: look again, once.
            if error.status not in (404, 422) or attempt == 2:
                raise Unavailable(
                    f"{error} ({done} changes done; run again to finish)", error.status
                ) from None


def carry_out(repository: Repository, change: Change) -> None:
    """One change, as one request; a merge is one for each issue, and one to delete the alias."""
    path = f"/labels/{quote(change.name, safe='')}"
    if change.label is None:
        repository.ask("DELETE", path)
    elif change.action == "create":
        repository.ask("POST", "/labels", {"name": change.label.name, **_body(change.label)})
    elif change.action == "merge":
        for issue in list(repository.pages("/issues", state="all", labels=change.name)):
            added = {"labels": [change.label.name]}
            repository.ask("POST", f"/issues/{issue['number']}/labels", added)
        repository.ask("DELETE", path)
    else:
        repository.ask("PATCH", path, {"new_name": change.label.name, **_body(change.label)})


def _label(entry: object, where: str) -> Label:
    if not isinstance(entry, dict):
        raise DslpError(f"{where}: must have name, color and description")
    unknown = entry.keys() - {"name", "color", "description", "aliases"}
    name, color = entry.get("name"), entry.get("color")
    description, aliases = entry.get("description", ""), entry.get("aliases", [])
    problems = [
        (unknown, f"{', '.join(map(str, unknown))} is not known"),
        (not isinstance(name, str) or not 0 < len(name) <= 50, "name must have 1 to 50 characters"),
        (
            not (isinstance(color, str) and re.fullmatch(r"[0-9a-f]{6}", color)),
            "color must be six lower-case hexadecimal digits in quotes, such as 'c9ecff'",
        ),
        (
            not isinstance(description, str) or len(description) > 100,
            "description must have at most 100 characters",
        ),
        (
            not isinstance(aliases, list)
            or not all(isinstance(a, str) and "," not in a for a in aliases),
            "aliases must be a list of names without a comma",
        ),
    ]
    for wrong, problem in problems:
        if wrong:
            raise DslpError(f"{where}: {problem}")
    return Label(str(name), str(color), description, tuple(aliases))


def _body(label: Label) -> dict[str, str]:
    return {"color": label.color, "description": label.description}


def _differences(label: Label, found: dict[str, Any]) -> Iterator[str]:
    if found["name"] != label.name:
        yield f"name {label.name}"
    if str(found["color"]).lower() != label.color:
        yield f"color #{label.color}"
    if (found.get("description") or "") != label.description:
        yield "description"
