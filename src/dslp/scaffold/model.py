"""A new model: a baseline and a better one, on the columns that a dataset's schema states."""

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.data.dataset import Dataset, find_datasets
from dslp.data.schema import key_columns
from dslp.scaffold.place import check_name, place_files, plain_word, render_skeleton
from pydantic import BaseModel

# Types of a schema as the API's; of a time, only a forecast knows what to do with it.
KINDS = {
    **dict.fromkeys(("int8", "int16", "int32", "int64"), "int"),
    **dict.fromkeys(("float", "double"), "float"),
    "bool": "bool",
    "string": "str",
}
TIMES = ("timestamp[s]", "timestamp[ms]", "timestamp[us]", "timestamp[ns]")
PREDICTED = ("int", "float", "bool", "str")


@dataclass(frozen=True)
class Begun:
    """What was written, and which columns the model predicts from."""

    paths: list[str]
    inputs: list[str]
    left_out: list[str]


def new_model(
    project: Project,
    name: str,
    dataset: str | None,
    target: str | None,
    ask: int,
    time: str | None = None,
) -> Begun:
    """Write the model's folder and its test.

    A target of numbers makes it a regression, or a forecast where a time is given; one of text or
    truth a classification.

    Args:
        project: where it is written.
        name: of the model.
        dataset: what it is made from; may be left out where there is only one.
        target: the column to predict.
        ask: number of the Ask's issue.
        time: the column of the time, where what comes is to be known from what was.

    Raises:
        DslpError: a name cannot be used, the dataset has no such column or no key, or there
            is nothing to predict from.
    """
    name, source = check_name(name, project), _source(project, dataset)
    columns = _columns(source)
    kinds = {column: _kind(column, stated) for column, stated in columns.items()}
    where, keys = f"{source.folder / 'schema.yml'}", key_columns(source)
    possible = [
        column for column, kind in kinds.items() if kind in PREDICTED and column not in keys
    ]
    if target not in possible:
        wrong = f"{target!a:.60} is none of the columns" if target else "say which column"
        known = ", ".join(possible) or "none, see " + where
        raise DslpError(f"{wrong} that can be predicted (--target): {known}")
    inputs = {c: kind for c, kind in kinds.items() if kind and c != target and c not in keys}
    numbers = kinds[target] in ("int", "float")
    if time is not None:
        if str(columns.get(time, {}).get("type")) not in TIMES or not _name(time) or not numbers:
            raise DslpError(
                f"a forecast is of numbers, by a column of {where} with the type timestamp; "
                f"--target {target} and --time {time!a:.60} are not"
            )
        inputs = {time: "datetime"} | {c: k for c, k in inputs.items() if k in ("str", "bool")}
    if not keys or not inputs:
        missing = "inputs beside the target" if keys else "key, which the split goes by"
        raise DslpError(f"{where} states no {missing}")
    values = {
        "name": name,
        "dataset": source.name,
        "version": source.version,
        "ask": ask,
        "target": target,
        "quoted": target if plain_word(target) else f'"{target}"',
        "answer": "float" if numbers else kinds[target],
        "numbers": numbers,
        "time": time,
        "inputs": inputs,
        "columns": {**inputs, target: kinds[target]},
    }
    texts = render_skeleton("model", **values)
    texts |= render_skeleton("regression" if numbers else "classification", **values)
    texts |= render_skeleton("forecast", **values) if time else {}
    test = texts.pop("test.py")
    folder = f"src/{project.package}/models/{name}"
    paths = place_files(project.root, {folder: texts, f"tests/model/test_{name}.py": test})
    return Begun(paths, list(inputs), [c for c in columns if c not in (*inputs, *keys, target)])


def _source(project: Project, name: str | None) -> Dataset:
    found = find_datasets(project, [name] if name else None)
    if len(found) > 1:
        names = ", ".join(dataset.name for dataset in found)
        raise DslpError(f"say which dataset (--dataset): {names}")
    return found[0]


def _columns(dataset: Dataset) -> dict[str, Mapping[str, Any]]:
    """What the schema states, by column."""
    stated = dataset.yaml("schema.yml").get("columns")
    columns = stated.items() if isinstance(stated, dict) else ()
    return {str(name): column for name, column in columns if isinstance(column, Mapping)}


def _kind(column: str, stated: Mapping[str, Any]) -> str | None:
    """The column's type in the API, or None where it cannot be a field of it as it is."""
    kind = KINDS.get(str(stated.get("type")))
    if not _name(column) or (kind == "bool" and stated.get("nullable")):
        return None
    if kind and stated.get("nullable"):  # numbers with gaps are read as floats
        return "str | None" if kind == "str" else "float | None"
    return kind


def _name(column: str) -> bool:
    """Whether a field of the API can have the column's name."""
    field = column.isascii() and column.isidentifier() and column == column.lower()
    taken = (
        keyword.iskeyword(column)
        or column in (*PREDICTED, "datetime")
        or hasattr(BaseModel, column)
    )
    return field and not column.startswith("_") and not taken
