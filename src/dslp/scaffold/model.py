"""A new model: a baseline and a better candidate, on the columns of a dataset's schema."""

import keyword
from dataclasses import dataclass

from dslp.core.errors import DslpError, nearest
from dslp.core.settings import Project
from dslp.data.dataset import Dataset, find_datasets
from dslp.data.schema import Column, read_schema
from dslp.scaffold.place import check_name, name_files, place_files, plain_word, render_skeleton
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
class NewModel:
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
) -> NewModel:
    """Write the model's folder and its test.

    A target of numbers makes it a regression, with a time a forecast; text or truth values make it
    a classification.

    Args:
        project: where it is written.
        name: of the model.
        dataset: what it is made from; may be left out where there is only one.
        target: the column to predict.
        ask: number of the Ask's issue.
        time: the column of the time, which makes it a forecast.

    Raises:
        DslpError: a name cannot be used, the dataset has no such column or no key, or no column
            can be an input.
    """
    name, source = check_name(name, project), _find_source(project, dataset)
    schema, where = read_schema(source), source.folder / "schema.yml"
    columns, keys = schema.columns, schema.key
    kinds = {column: _field_type(column, entry) for column, entry in columns.items()}
    possible = [
        column for column, kind in kinds.items() if kind in PREDICTED and column not in keys
    ]
    if target not in possible:
        if not possible:
            raise DslpError(f"{where} has no column that can be predicted")
        if not target:
            raise DslpError(f"say which column to predict (--target): {', '.join(possible)}")
        if target in columns and columns[target].nullable:
            todo = "leave out those rows in its pipeline.py, and remove nullable from schema.yml"
            raise DslpError(f"{target} has missing values: {todo}")
        raise DslpError(f"no column {target!r:.60} can be predicted{nearest(target, possible)}")
    inputs = {c: kind for c, kind in kinds.items() if kind and c != target and c not in keys}
    numbers = kinds[target] in ("int", "float")
    if time is not None:
        is_time = time in columns and columns[time].type in TIMES and _is_field_name(time)
        if not is_time or not numbers:
            raise DslpError(
                f"a forecast needs a --target of numbers and, as --time, a column of {where} with "
                f"the type timestamp; {target} and {time!r:.60} are not"
            )
        inputs = {time: "datetime"} | {c: k for c, k in inputs.items() if k in ("str", "bool")}
    if not keys or not inputs:
        missing = "column that can be an input" if keys else "key, by which rows are divided"
        raise DslpError(f"{where} has no {missing}")
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
    paths = [f"src/{project.package}/models/{name}", f"tests/model/test_{name}.py"]
    place_files(project.root, name_files(texts, *paths))
    return NewModel(paths, list(inputs), [c for c in columns if c not in (*inputs, *keys, target)])


def _find_source(project: Project, name: str | None) -> Dataset:
    datasets = find_datasets(project, [name] if name else None)
    if len(datasets) > 1:
        names = ", ".join(dataset.name for dataset in datasets)
        raise DslpError(f"say which dataset (--dataset): {names}")
    return datasets[0]


def _field_type(name: str, column: Column) -> str | None:
    """The column's type in the API, or None where it cannot be a field of it."""
    kind = KINDS.get(column.type)
    if not _is_field_name(name) or (kind == "bool" and column.nullable):
        return None
    if kind and column.nullable:  # integers with missing values are read as floats
        return "str | None" if kind == "str" else "float | None"
    return kind


def _is_field_name(column: str) -> bool:
    """Whether a field of the API can have the column's name."""
    field = column.isascii() and column.isidentifier() and column == column.lower()
    taken = (
        keyword.iskeyword(column)
        or column in (*PREDICTED, "datetime")
        or hasattr(BaseModel, column)
    )
    return field and not column.startswith("_") and not taken
