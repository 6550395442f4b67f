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

FILE = Path(".github") / "labels.yml"
FIELDS = {  # of a label, as GitHub takes them
    "name": (".{1,50}", "1 to 50 characters"),
    "color": ("[0-9a-f]{6}", "six lower-case hexadecimal digits in quotes, such as 'c9ecff'"),
    "description": (".{0,100}", "at most 100 characters"),
    "aliases": ("[^,]{1,50}", "a list of names without a comma"),
}
VALUES = ("name", "color", "description")
DEFAULTS = Path(__file__).with_name("labels.yml")  # the same file, for a repository without one


@dataclass(frozen=True)
class Label:
    """A label of the file; `aliases` are names that it had before."""

    name: str
    color: str
    description: str
    aliases: Sequence[str] = ()


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
    steps = []
    for label in labels:
        names = [name.lower() for name in (label.name, *label.aliases)]
        current, *others = [present.pop(name) for name in names if name in present] or [None]
        if current is None:
            steps.append(Step("create", label.name, label, f"#{label.color}"))
        elif current["name"].lower() != label.name.lower():
            steps.append(Step("rename", current["name"], label, f"to {label.name}"))
        elif fields := [one for one in VALUES if (current[one] or "") != getattr(label, one)]:
            steps.append(Step("update", current["name"], label, ", ".join(fields)))
        steps += [Step("merge", other["name"], label, f"into {label.name}") for other in others]
    return steps + [Step("delete", one["name"], None, "") for one in present.values() if prune]


def register_labels(
    repository: Repository, labels: Sequence[Label], prune: bool, dry_run: bool = False
) -> list[Step]:
    """Carry the plan out (or only make it), and return the steps.

    Raises:
        Unavailable: GitHub refuses; a second run goes on after the steps that were done.
    """
    done: list[Step] = []
    for last in (False, True):
        try:
            for step in plan_changes(labels, repository.pages("/labels"), prune):
                if not dry_run:
                    carry_out(repository, step)
                done.append(step)
            break
        except Unavailable as error:
            # Somebody else changed a label between the list and the step: list again, once.
            if last or error.status not in (404, 422):
                words = f"{error} ({len(done)} changes done; run again to finish)"
                raise Unavailable(words, error.status) from None
    return done


def carry_out(repository: Repository, step: Step) -> None:
    """One step, as one request; a merge is one for each issue, and one to delete the alias."""
    path, label = f"/labels/{quote(step.name, safe='')}", step.label
    if step.action == "merge" and label:
        for issue in list(repository.pages("/issues", state="all", labels=step.name)):
            repository.ask("POST", f"/issues/{issue['number']}/labels", {"labels": [label.name]})
    if label is None or step.action == "merge":
        repository.ask("DELETE", path)
        return
    body = {"color": label.color, "description": label.description}
    if step.action == "create":
        repository.ask("POST", "/labels", {"name": label.name, **body})
    else:
        repository.ask("PATCH", path, {"new_name": label.name, **body})


def _read_label(entry: Any, where: str) -> Label:
    values = {"aliases": [], "description": "", **(entry if isinstance(entry, dict) else {})}
    if unknown := sorted(map(str, values.keys() - FIELDS)):
        raise DslpError(f"{where}: {', '.join(unknown)} is not a field of a label")
    for name, (pattern, words) in FIELDS.items():
        value = values.get(name)
        texts = [value] if name != "aliases" else value if isinstance(value, list) else [None]
        if not all(isinstance(one, str) and re.fullmatch(pattern, one, re.DOTALL) for one in texts):
            raise DslpError(f"{where}: {name} must have {words}")
    return Label(**values)
