"""A new model: a baseline and a better candidate, on the columns of a dataset's schema."""

import keyword
import re

from dslp.core.errors import DslpError, nearest
from dslp.core.settings import Project
from dslp.data.dataset import find_datasets
from dslp.data.schema import Column, read_schema
from dslp.scaffold.place import check_name, place_skeleton, plain_word
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


def new_model(
    project: Project,
    name: str,
    dataset: str | None,
    target: str | None,
    ask: int,
    time: str | None = None,
) -> tuple[list[str], list[str], list[str]]:
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

    Returns:
        The paths that were written, the inputs, and the columns that cannot be inputs.

    Raises:
        DslpError: a name cannot be used, the dataset has no such column or no key, or no column
            can be an input.
    """
    check_name(name, project)
    source, *others = find_datasets(project, [dataset] if dataset else None)
    if others:
        names = ", ".join(each.name for each in (source, *others))
        raise DslpError(f"say which dataset (--dataset): {names}")
    schema, where = read_schema(source), source.folder / "schema.yml"
    columns, keys = schema.columns, schema.key
    kinds = {column: _field_type(column, entry) for column, entry in columns.items()}
    possible = [c for c, kind in kinds.items() if kind in PREDICTED and c not in keys]
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
            needs = f"a --target of numbers and, as --time, a column of {where} of type timestamp"
            raise DslpError(f"a forecast needs {needs}; {target} and {time!r:.60} are not")
        inputs = {time: "datetime"} | {c: k for c, k in inputs.items() if k in ("str", "bool")}
    if not keys or not inputs:
        missing = "column that can be an input" if keys else "key, by which rows are divided"
        raise DslpError(f"{where} has no {missing}")
    kind = "regression" if numbers else "classification"
    skeletons = [*(["forecast"] if time else []), kind, "model"]
    paths = (f"src/{project.package}/models/{name}", f"tests/model/test_{name}.py")
    written = place_skeleton(
        project,
        skeletons,
        *paths,
        name=name,
        dataset=source.name,
        version=source.version,
        ask=ask,
        target=target,
        quoted=target if plain_word(target) else f'"{target}"',
        answer="float" if numbers else kinds[target],
        numbers=numbers,
        time=time,
        inputs=inputs,
        columns={**inputs, target: kinds[target]},
    )
    left_out = [column for column in columns if column not in (*inputs, *keys, target)]
    return written, list(inputs), left_out


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
    taken = column in (*PREDICTED, "datetime", *keyword.kwlist) or hasattr(BaseModel, column)
    return bool(re.fullmatch("[a-z][a-z0-9_]*", column)) and not taken
