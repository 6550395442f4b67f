"""Labels from one file in the repository (L3): a plan of what differs, carried out step by step.

After every step, a new plan holds the steps that are left: the next run finishes a registration
that was killed at any request (L4).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, read_text
from dslp.github.client import Repository, Unavailable

DEFAULTS = Path(__file__).with_name("labels.yml")  # the same file, for a repository without one
FORM = (
    "a name of at most 50 characters, and a color of six lower-case hexadecimal digits in quotes, "
    "such as 'c9ecff'; it may have a description of at most 100 characters, and a list of aliases"
)


@dataclass(frozen=True)
class Label:
    """A label of the file; `aliases` are names that it had before."""

    name: str
    color: str
    description: str = ""
    aliases: Sequence[str] = ()


@dataclass(frozen=True)
class Step:
    """One step: `create`, `rename`, `update` or `delete`.

    Attributes:
        action: what is done.
        name: the label's name before the step, or that of a new one.
        what: what differs, in words.
        request: its verb, path and body.
    """

    action: str
    name: str
    what: str
    request: tuple[str, str, Any]


def read_labels(path: Path) -> list[Label]:
    """The labels of a file.

    Raises:
        DslpError: it is missing, or GitHub would refuse one of its labels.
    """
    entries = parse_yaml(read_text(path), path)
    if not isinstance(entries, list) or not entries:
        raise DslpError(f"{path} must hold a list of labels, each with name and color")
    labels = [_read_label(entry, f"{path}, label {n}") for n, entry in enumerate(entries, start=1)]
    names = Counter(name.lower() for label in labels for name in (label.name, *label.aliases))
    if twice := [name for name, times in names.items() if times > 1]:
        raise DslpError(f"{path}: {', '.join(twice)} occurs twice")
    return labels


def plan_changes(labels: Sequence[Label], existing: Iterable[Any], prune: bool) -> list[Step]:
    """The steps after which the repository has the labels.

    Args:
        labels: the labels of the file.
        existing: the repository's labels, as GitHub lists them.
        prune: delete the labels that are not in the file.
    """
    present = {str(label["name"]).lower(): label for label in existing}
    paths = {name: f"/labels/{quote(label['name'], safe='')}" for name, label in present.items()}
    steps = []
    for label in labels:
        names = [name.lower() for name in (label.name, *label.aliases)]
        current = present.pop(next((name for name in names if name in present), ""), None)
        body = {"color": label.color, "description": label.description}
        if current is None:
            request = ("POST", "/labels", {"name": label.name, **body})
            steps.append(Step("create", label.name, f"#{label.color}", request))
            continue
        values = {name: current[name] or "" for name in ("name", "color", "description")}
        if fields := [name for name, value in values.items() if value != getattr(label, name)]:
            action = "rename" if "name" in fields else "update"
            request = ("PATCH", paths[current["name"].lower()], {"new_name": label.name, **body})
            steps.append(Step(action, current["name"], ", ".join(fields), request))
    for name, other in present.items() if prune else ():
        steps.append(Step("delete", other["name"], "", ("DELETE", paths[name], None)))
    return steps


def register_labels(
    repository: Repository, labels: Sequence[Label], prune: bool, dry_run: bool = False
) -> list[Step]:
    """Carry the plan out (or only make it), and return the steps.

    Raises:
        Unavailable: GitHub refuses; a second run goes on after the steps that were done.
    """
    steps = plan_changes(labels, repository.pages("/labels"), prune)
    for count, step in enumerate(() if dry_run else steps):
        try:
            repository.ask(*step.request)
        except Unavailable as error:
            words = f"{error} ({count} changes done; run again to finish)"
            raise Unavailable(words, error.status) from None
    return steps


def _read_label(entry: Any, where: str) -> Label:
    try:
        label = Label(**entry)
        names = all(0 < len(name.strip()) <= 50 for name in (label.name, *label.aliases))
        is_right = (
            names and re.fullmatch("[0-9a-f]{6}", label.color) and len(label.description) <= 100
        )
    except (AttributeError, TypeError):
        is_right = False
    if not is_right or isinstance(label.aliases, str):
        raise DslpError(f"{where} must have {FORM}")
    return label
