"""Labels from one file in the repository (L3): a plan of what differs, carried out step by step.

After every step, a new plan holds the steps that are left: the next run finishes a registration
that was killed at any request (L4).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, read_text
from dslp.github.client import Repository, Unavailable

FILE = Path(".github") / "labels.yml"
VALUES = {  # of a label, as GitHub takes them
    "name": (".{1,50}", "1 to 50 characters"),
    "color": ("[0-9a-f]{6}", "six lower-case hexadecimal digits in quotes, such as 'c9ecff'"),
    "description": (".{0,100}", "at most 100 characters"),
}
DEFAULTS = Path(__file__).with_name("labels.yml")  # the same file, for a repository without one


@dataclass(frozen=True)
class Label:
    """A label of the file; `aliases` are names that it had before."""

    name: str
    color: str
    description: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step: `create`, `rename`, `update`, `merge` (an alias into its label) or `delete`.

    Attributes:
        action: what is done.
        name: the label's name before the step, or that of a new one.
        label: what it becomes; None where it is deleted.
        fields: what differs, in words.
    """

    action: str
    name: str
    label: Label | None
    fields: str


def read_labels(path: Path) -> list[Label]:
    """The labels of a file.

    Raises:
        DslpError: it is missing, or GitHub would refuse one of its labels.
    """
    entries = parse_yaml(read_text(path), path)
    if not isinstance(entries, list) or not entries:
        raise DslpError(f"{path} must hold a list of labels, each with name and color")
    labels = [_read_label(entry, f"{path}, label {n}") for n, entry in enumerate(entries, start=1)]
    names = [name.lower() for label in labels for name in (label.name, *label.aliases)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DslpError(f"{path}: {', '.join(twice)} occurs twice")
    return labels


def plan_changes(labels: Sequence[Label], existing: Sequence[Any], prune: bool) -> list[Step]:
    """The steps after which the repository has the labels.

    Args:
        labels: the labels of the file.
        existing: the repository's labels, as GitHub lists them.
        prune: delete the labels that are not in the file.
    """
    present = {str(label["name"]).lower(): label for label in existing}
    changes = []
    for label in labels:
        former = [present.pop(a.lower()) for a in label.aliases if a.lower() in present]
        current = present.pop(label.name.lower(), None)
        if current is None and former:
            name = former.pop(0)["name"]
            changes.append(Step("rename", name, label, f"to {label.name}"))
        elif current is None:
            changes.append(Step("create", label.name, label, f"#{label.color}"))
        elif fields := [f for f in VALUES if (current[f] or "") != getattr(label, f)]:
            changes.append(Step("update", current["name"], label, ", ".join(fields)))
        changes += [Step("merge", alias["name"], label, f"into {label.name}") for alias in former]
    if prune:
        changes += [Step("delete", label["name"], None, "") for label in present.values()]
    return changes


def register_labels(repository: Repository, labels: Sequence[Label], prune: bool) -> list[Step]:
    """Carry the plan out, and return the changes.

    Raises:
        Unavailable: GitHub refuses; a second run goes on after the changes that were made.
    """
    done: list[Step] = []
    for last in (False, True):
        try:
            for change in plan_changes(labels, list(repository.pages("/labels")), prune):
                carry_out(repository, change)
                done.append(change)
            break
        except Unavailable as error:
            # Somebody else changed a label between the list and the change: list again, once.
            if last or error.status not in (404, 422):
                words = f"{error} ({len(done)} changes done; run again to finish)"
                raise Unavailable(words, error.status) from None
    return done


def carry_out(repository: Repository, change: Step) -> None:
    """One change, as one request; a merge is one for each issue, and one to delete the alias."""
    path, label = f"/labels/{quote(change.name, safe='')}", change.label
    if change.action == "merge" and label:
        for issue in list(repository.pages("/issues", state="all", labels=change.name)):
            repository.ask("POST", f"/issues/{issue['number']}/labels", {"labels": [label.name]})
    if label is None or change.action == "merge":
        repository.ask("DELETE", path)
        return
    body = {"color": label.color, "description": label.description}
    if change.action == "create":
        repository.ask("POST", "/labels", {"name": label.name, **body})
    else:
        repository.ask("PATCH", path, {"new_name": label.name, **body})


def _read_label(entry: object, where: str) -> Label:
    if not isinstance(entry, dict):
        raise DslpError(f"{where}: must have name, color and description")
    if unknown := [str(name) for name in entry if name not in (*VALUES, "aliases")]:
        raise DslpError(f"{where}: {', '.join(unknown)} is not a field of a label")
    values = {name: entry.get(name, "") for name in VALUES}
    aliases = entry.get("aliases", [])
    for name, (pattern, words) in VALUES.items():
        if not _is_text(values[name], pattern):
            raise DslpError(f"{where}: {name} must have {words}")
    if not isinstance(aliases, list) or not all(_is_text(one, "[^,]{1,50}") for one in aliases):
        raise DslpError(f"{where}: aliases must be a list of names without a comma")
    return Label(**values, aliases=tuple(aliases))


def _is_text(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None
