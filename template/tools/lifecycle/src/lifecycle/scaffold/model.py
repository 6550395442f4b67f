"""A new model: a baseline and boosted trees, on the columns that a dataset's schema states."""

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.data.catalogue import Dataset, datasets
from lifecycle.data.schema import key
from lifecycle.errors import LifecycleError
from lifecycle.project import Project
from lifecycle.scaffold.place import checked, place, plain, skeleton
from pydantic import BaseModel

# Types of a schema as the API's, and how a test makes up values of them.
KINDS = {
    **dict.fromkeys(("int8", "int16", "int32", "int64"), "int"),
    **dict.fromkeys(("float", "double"), "float"),
    "bool": "bool",
    "string": "str",
}
MADE_UP = {
    "int": "draw.integers(0, 10, ROWS)",
    "float": "draw.uniform(0, 10, ROWS)",
    "bool": "draw.integers(0, 2, ROWS).astype(bool)",
    "str": 'draw.choice(["a", "b"], ROWS)',
}


@dataclass(frozen=True)
class Begun:
    """What was written, and which columns the model predicts from."""

    paths: list[str]
    inputs: list[str]
    left_out: list[str]


def model(project: Project, name: str, dataset: str | None, target: str | None, ask: int) -> Begun:
    """Write the model's folder and its test.

    A target of numbers makes it a regression, one of text or truth a classification.

    Args:
        project: where it is written.
        name: of the model.
        dataset: what it is made from; may be left out where there is only one.
        target: the column to predict.
        ask: number of the Ask's issue.

    Raises:
        LifecycleError: a name cannot be used, the dataset has no such column or no key, or there
            is nothing to predict from.
    """
    name, source = checked(name, project), _source(project, dataset)
    columns = _columns(source)
    kinds = {column: _kind(column, stated) for column, stated in columns.items()}
    where, keys = f"{source.folder / 'schema.yml'}", key(source)
    possible = [column for column, kind in kinds.items() if kind in MADE_UP and column not in keys]
    if target not in possible:
        wrong = f"{target!a:.60} is none of the columns" if target else "say which column"
        known = ", ".join(possible) or "none, see " + where
        raise LifecycleError(f"{wrong} that can be predicted (--target): {known}")
    inputs = {c: kind for c, kind in kinds.items() if kind and c != target and c not in keys}
    if not keys or not inputs:
        missing = "inputs beside the target" if keys else "key, which the split goes by"
        raise LifecycleError(f"{where} states no {missing}")
    numbers = kinds[target] in ("int", "float")
    values = {
        "name": name,
        "dataset": source.name,
        "version": source.version,
        "ask": ask,
        "target": target,
        "quoted": target if plain(target) else f'"{target}"',
        "answer": "float" if numbers else kinds[target],
        "metric": "absolute_error" if numbers else "balanced_accuracy",
        "better": "lower" if numbers else "higher",
        "strategy": "median" if numbers else "prior",
        "inputs": "\n".join(f"    {column}: {kind}" for column, kind in inputs.items()),
        "rows": "\n".join(
            f'            "{column}": {MADE_UP[str(kinds[column]).removesuffix(" | None")]},'
            for column in (*inputs, target)
        ),
    }
    texts = skeleton("model", **values)
    texts |= skeleton("regression" if numbers else "classification", **values)
    test = texts.pop("test.py")
    folder = f"src/{project.package}/models/{name}"
    paths = place(project.root, {folder: texts, f"tests/model/test_{name}.py": test})
    return Begun(paths, list(inputs), [c for c in columns if c not in (*inputs, *keys, target)])


def _source(project: Project, name: str | None) -> Dataset:
    found = datasets(project, [name] if name else None)
    if len(found) > 1:
        names = ", ".join(dataset.name for dataset in found)
        raise LifecycleError(f"say which dataset (--dataset): {names}")
    return found[0]


def _columns(dataset: Dataset) -> dict[str, Mapping[str, Any]]:
    """What the schema states, by column."""
    stated = dataset.yaml("schema.yml").get("columns")
    columns = stated.items() if isinstance(stated, dict) else ()
    return {str(name): column for name, column in columns if isinstance(column, Mapping)}


def _kind(column: str, stated: Mapping[str, Any]) -> str | None:
    """The column's type in the API, or None where it cannot be a field of it as it is."""
    kind = KINDS.get(str(stated.get("type")))
    field = column.isascii() and column.isidentifier() and column == column.lower()
    if not field or column.startswith("_") or keyword.iskeyword(column) or column in MADE_UP:
        return None
    if hasattr(BaseModel, column) or (kind == "bool" and stated.get("nullable")):
        return None
    if kind and stated.get("nullable"):  # numbers with gaps are read as floats
        return "str | None" if kind == "str" else "float | None"
    return kind
