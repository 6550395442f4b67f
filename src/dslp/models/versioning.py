"""The next semantic version of a model, proposed from what changed since the last one (M6).

Major: what is asked or answered, the target, or the population. Minor: how the model is made.
Patch: made again, from newer data or with other figures in `params.yml`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dslp.core.errors import Refused
from dslp.core.semver import next_version, parse_version
from dslp.data.schema import key_columns
from dslp.tracking.provenance import code_digest, flatten

if TYPE_CHECKING:
    from dslp.experiments.model import Model

Level = Literal["major", "minor", "patch"]

TAG = "dslp.made_of."
# The parts of a version: the level that a change of it needs, and its name in messages.
PARTS: dict[str, tuple[Level, str]] = {
    "inputs": ("major", "input"),
    "outputs": ("major", "output"),
    "target": ("major", "target"),
    "population": ("major", "population"),
    "code": ("minor", "code"),
    "structure": ("minor", "parameter"),
    "figures": ("patch", "parameter"),
}
LONGEST = 4000  # characters of a part; MLflow keeps 5,000 of a tag
NOT_CONSTRUCTION = ("__init__.py", "evaluate.py")


@dataclass(frozen=True)
class Proposal:
    """The smallest next version, and the reasons for it."""

    version: str
    level: Level
    reasons: list[str]


def part_tags(model: "Model", candidate: str) -> dict[str, str]:
    """The parts of a candidate as tags of its run and its version."""
    from dslp.models.api import field_types

    params = model.params
    settings = flatten(params.candidates[candidate])
    figures = {name: value for name, value in settings.items() if _is_figure(value)}
    population = model.dataset.yaml("schema.yml").get("population")
    version = params.dataset.version.split(".")
    major = version[: 2 if version[0] == "0" else 1]  # before 1.0.0 the second number is it
    parts: dict[str, Mapping[str, str]] = {
        "inputs": field_types(model, "Request"),
        "outputs": field_types(model, "Response"),
        "target": {"name": params.target},
        "population": {
            "dataset": params.dataset.name,
            "major version of the dataset": ".".join(major),
            "population in schema.yml": " ".join(str(population or "").split()),
            "key": ", ".join(key_columns(model.dataset)),
        },
        "code": {
            name: code_digest(path.read_text(encoding="utf-8"))
            for name, path in model.files.items()
            if name not in NOT_CONSTRUCTION
        },
        "structure": settings | dict.fromkeys(figures, "a figure") | {"(candidate)": candidate},
        "figures": figures,
    }
    return {TAG + name: _text(content) for name, content in parts.items()}


def propose_version(last: str, before: Mapping[str, str], after: Mapping[str, str]) -> Proposal:
    """The version after `last`, by the parts of the last version and of the next one."""
    changes: dict[Level, list[str]] = {"major": [], "minor": [], "patch": []}
    for part, (level, kind) in PARTS.items():
        old, new = (tags.get(TAG + part, "{}") for tags in (before, after))
        changes[level] += _changes(kind, old, new)
    if not any(changes.values()):
        digests = {tags.get("dslp.dataset_digest") for tags in (before, after)}
        changes["patch"] = ["it was trained again" if len(digests) == 1 else "the data changed"]
    level = next(level for level, reasons in changes.items() if reasons)
    version = next_version(parse_version(last), level)
    return Proposal(".".join(map(str, version)), level, changes[level])


def choose_version(wish: str | None, last: str | None, proposal: Proposal | None) -> str:
    """The wished version if it is large enough; the proposed one if there is no wish.

    Raises:
        Refused: the changes need a larger version.
        DslpError: the wish is no version.
    """
    if wish is not None:
        parse_version(wish)
    if last is None or proposal is None:
        return wish or "1.0.0"
    if wish is None:
        return proposal.version
    if parse_version(wish) < parse_version(proposal.version):
        why = f"{proposal.version} at least ({proposal.level}: {'; '.join(proposal.reasons)})"
        raise Refused(f"{wish} is too small after {last}: it takes {why}")
    return wish


def _is_figure(value: Any) -> bool:
    """Whether a parameter's value is a number."""
    return bool(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", str(value), re.ASCII))


def _text(content: Mapping[str, str]) -> str:
    """A part as one text; if it is too long for a tag, its digest."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    if len(text) <= LONGEST:
        return text
    return json.dumps({"all": hashlib.sha256(text.encode()).hexdigest()})


def _changes(kind: str, old: str, new: str) -> list[str]:
    """The differences between two texts of a part, in words."""
    if old == new:
        return []
    before, after = json.loads(old), json.loads(new)
    if {"all"} in (set(before), set(after)):
        return [f"{kind}s changed"]
    changes = []
    for name in sorted({*before, *after}):
        if name not in after:
            changes.append(f"{kind} {name} is gone")
        elif name not in before:
            changes.append(f"{kind} {name} is new")
        elif before[name] != after[name]:
            short = max(len(before[name]), len(after[name])) <= 40
            values = f": {before[name]} before, now {after[name]}" if short else ""
            changes.append(f"{kind} {name} changed{values}")
    return changes
