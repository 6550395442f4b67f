"""A new model: a baseline and a better candidate, on the columns of a dataset's schema."""

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

from dslp.core.errors import DslpError, nearest
from dslp.core.settings import Project
from dslp.data.dataset import find_datasets
from dslp.data.schema import Column, Schema, read_schema, type_family
from dslp.experiments.leaks import is_identifier
from dslp.scaffold.dataset import column_name
from dslp.scaffold.kinds import (
    check_kind,
    longest_text,
    propose_kind,
    read_classes,
    read_target,
    repeated_part,
)
from dslp.scaffold.place import check_name, place_skeleton
from pydantic import BaseModel

# Families of a schema's types as the API's; of a time, only a forecast knows what to do with it.
TYPES = {"int": "int", "float": "float", "bool": "bool", "string": "str"}
TIMES = {"timestamp": "datetime", "date": "date", "int": "int"}
CALENDAR = ("timestamp", "date")
HOW = ("text", "function")  # kinds that say how it is predicted; the others say what
FIELD, RESERVED = re.compile("[a-z][a-z0-9_]*"), (*TYPES.values(), *TIMES.values(), *keyword.kwlist)


def new_model(
    project: Project,
    name: str,
    dataset: str | None,
    target: str | None,
    ask: int,
    time: str | None = None,
    kinds: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Write the model's folder and its test.

    Args:
        project: where it is written.
        name: of the model.
        dataset: what it is made from; may be left out where there is only one.
        target: the column to predict.
        ask: number of the Ask's issue.
        time: the column of the time, which makes it a forecast; by default the one in the key.
        kinds: what is predicted, by default what the target's values propose, and how (`HOW`).

    Returns:
        The paths that were written, and what was chosen, with the reasons.

    Raises:
        DslpError: a name or a kind cannot be used, the dataset has no such column or no key, or no
            column can be an input.
    """
    check_name(name, project)
    source, *others = find_datasets(project, [dataset] if dataset else None)
    if others:
        names = ", ".join(each.name for each in (source, *others))
        raise DslpError(f"say which dataset (--dataset): {names}")
    schema, where = read_schema(source), f"{source.folder / 'schema.yml'}"
    types = {c: kind for c, entry in schema.columns.items() if (kind := _field_type(entry))}
    target = _check_target(target, schema, types, where)
    column, values = schema.columns[target], read_target(source, target)
    what, how = ([k for k in kinds if (k in HOW) == side] for side in (False, True))
    if len(what) > 1 or len(how) > 1:
        raise DslpError(f"--kind {' and '.join(what if what[1:] else how)} exclude each other")
    explicit = bool(time or what)
    if time is None and (what == ["forecast"] or not kinds):
        times = [c for c, entry in schema.columns.items() if type_family(entry.type) in CALENDAR]
        chosen = [c for c in times if c in schema.key and types[target] in ("int", "float")]
        time = next(iter(chosen or (times if what else [])), None)
    if time is not None or what == ["forecast"]:
        hint = "is the time that tells rows apart: forecast; or say --kind regression"
        kind, reason = "forecast", "" if explicit else f"{time} {hint}"
        is_time = time in schema.columns and type_family(schema.columns[time].type) in TIMES
        if not is_time or "text" in how or what not in ([], ["forecast"]):
            needs = f"a column of {where} with times (--time), and no other kind than function"
            raise DslpError(f"a forecast needs {needs}")
    else:
        kind, reason = (what[0], "") if what else propose_kind(target, column, values)
    check_kind(kind, target, column, values)
    named = [c for c, field in types.items() if field[:3] in ("int", "str") and is_identifier(c)]
    inputs = [c for c in types if c not in (target, *schema.key, *named)]
    series = list[str]()
    if time is not None:
        if time in schema.key:
            series = [c for c in schema.key if c in types and c != time]
        beforehand = [c for c in inputs if types[c] in ("str", "bool") and c != time]
        inputs = [time, *series, *beforehand]
        types[time] = TIMES[type_family(schema.columns[time].type)]
    elif "text" in how:
        inputs = longest_text(source, [c for c in inputs if types[c] == "str"])
    if not schema.key or not inputs:
        missing = "column that can be an input (a forecast has a --time)"
        raise DslpError(f"{where} has no {missing if schema.key else 'key, by which rows divide'}")
    group = None if time else repeated_part(source, schema.key)
    classes = read_classes(source, target, column, values) if kind == "classification" else []
    paths = (
        f"{project.source.relative_to(project.root).as_posix()}/models/{name}",
        project.test_file("model", name),
    )
    written = place_skeleton(
        project,
        [*how, *(["forecast"] if time else []), "model"],
        *paths,
        name=name,
        dataset=source.name,
        version=source.version,
        ask=ask,
        target=target,
        kind=kind,
        how=how,
        numbers=not classes,
        classes=classes,
        positive=classes and classes[-1],
        time=time,
        series=series,
        group=group,
        inputs={c: types[c] for c in inputs},
        answer=types[target] if classes else "float",
        fields=_field_names([*inputs, target]),
    )
    unused = [c for c in schema.columns if c not in (*inputs, *schema.key, target)]
    left_out = [f"{c} (by its name an identifier)" if c in named else c for c in unused]
    notes = [
        reason,
        group and f"several rows have one {group}: the split keeps them together (group)",
        f"inputs: {', '.join(inputs)}; remove from schema.py what is not known beforehand",
        left_out and f"left out: {', '.join(left_out)}",
    ]
    return written, [note for note in notes if note]


def _check_target(target: str | None, schema: Schema, types: Mapping[str, str], where: str) -> str:
    """The column to predict.

    Raises:
        DslpError: there is none, or it cannot be predicted, with the reason.
    """
    possible = [c for c, field in types.items() if field in TYPES.values() and c not in schema.key]
    if target in possible:
        return target
    if not possible:
        raise DslpError(f"{where} has no column that can be predicted")
    if not target:
        raise DslpError(f"say which column to predict (--target): {', '.join(possible)}")
    if target not in schema.columns:
        raise DslpError(f"no column {target!r:.60} can be predicted{nearest(target, possible)}")
    problem = f"is {schema.columns[target].type}: make it numbers, text or bool in its pipeline.py"
    if target in schema.key:
        problem = "is in the key, by which rows are told apart"
    elif schema.columns[target].nullable:
        todo = "leave out those rows in its pipeline.py, and remove nullable from schema.yml"
        problem = f"has missing values: {todo}"
    raise DslpError(f"{target} {problem}")


def _field_type(column: Column) -> str | None:
    """The column's type in the API, or None where it cannot be a field of it."""
    field = TYPES.get(type_family(column.type))
    if column.type.startswith(("decimal", "numeric")) or (field == "bool" and column.nullable):
        return None
    if field and column.nullable:  # integers with missing values are read as floats
        return "str | None" if field == "str" else "float | None"
    return field


def _field_names(columns: Iterable[str]) -> dict[str, str]:
    """Names of the API's fields, by column: its own name, if it can be one, or else one like it."""
    names: dict[str, str] = {"probability": "probability"}
    for column in columns:
        name = column if FIELD.fullmatch(column) else column_name(column) or "column"
        while name in (*names.values(), *RESERVED) or hasattr(BaseModel, name):
            name += "_"
        names[column] = name
    return names
