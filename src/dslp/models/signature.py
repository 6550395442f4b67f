"""The API schema as the model's signature, and the training rows checked by it (M2, M5)."""

import json
import types
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import pandas as pd
from dslp.core.errors import DslpError
from dslp.experiments.model import Model
from pydantic import ConfigDict, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from pydantic.fields import FieldInfo

KINDS = {bool: "boolean", int: "long", float: "double", str: "string"}
KINDS |= {datetime: "datetime", date: "datetime"}
SIDES = ("Request", "Response")
WORDS = ("title", "description", "examples", "deprecated")  # of a field; they change no value


def model_signature(model: Model) -> "ModelSignature":
    """MLflow's signature of `Request` and `Response` in the model's `schema.py`.

    Raises:
        DslpError: one of them is missing, or a field has a type that a column cannot have.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    def specification(column: dict[str, Any]) -> ColSpec:
        # MLflow's loader refuses a gap in `long`, and an int64 column without one in `double`.
        gaps = column["type"] == "long" and not column["required"]
        return ColSpec(**(column | {"type": AnyType()} if gaps else column))

    sides = [list(map(specification, signature_columns(model, name))) for name in SIDES]
    return ModelSignature(*map(Schema, sides))


def signature_columns(model: Model, name: str) -> list[dict[str, Any]]:
    """The fields of `Request` or `Response` as columns with MLflow's types, without MLflow."""
    columns = []
    for column, field in model.fields(name).items():
        kind, required = _column_type(field.annotation, f"{_file(model)}: {name}.{column}")
        columns.append({"type": kind, "name": column, "required": required})
    return columns


def field_types(model: Model, name: str) -> dict[str, str]:
    """The JSON schema of each field of `Request` or `Response` as text, without its description."""
    schema = model.side(name).model_json_schema()
    definitions = schema.get("$defs", {})

    def bare(part: Any) -> Any:
        if isinstance(part, list):
            return [bare(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return bare(definitions[part["$ref"].rsplit("/", 1)[-1]])
        return {key: bare(value) for key, value in part.items() if key not in WORDS}

    required = schema.get("required", [])
    return {
        field: json.dumps({**bare(part), "required": field in required}, sort_keys=True)
        for field, part in schema["properties"].items()
    }


def check_fit(model: Model, rows: pd.DataFrame) -> None:
    """Check that the training rows are what `schema.py` allows in a request.

    Whole numbers fit a float. The target is checked if a field of `Response` has its name.

    Raises:
        DslpError: one line with each field that does not fit: how many rows, and an example.
    """
    target, response = model.params.target, model.fields("Response")
    pairs = [(f"Request.{name}", name, field) for name, field in model.fields("Request").items()]
    if target in response:
        pairs.append((f"Response.{target}", target, response[target]))
    problems = [f"{at}: {misfit}" for at, n, field in pairs if (misfit := _misfit(field, rows[n]))]
    if problems:
        text = "; ".join(problems)
        raise DslpError(f"{_file(model)} does not fit {model.params.dataset.name}: {text}")


def _misfit(field: "FieldInfo", column: "pd.Series[Any]") -> str:
    """The values of a column that its field does not allow, in words."""
    kind: Any = Annotated[field.annotation, *field.metadata, "a column"]
    inner = _inner(field.annotation)
    lax = isinstance(inner, type) and issubclass(inner, date | Enum)  # tables have other types
    adapter: TypeAdapter[Any] = TypeAdapter(list[kind], config=ConfigDict(strict=not lax))
    try:
        counts = column.value_counts(dropna=False, sort=False)
    except TypeError:  # lists and mappings
        return f"the column holds {type(column.iloc[0]).__name__}s"
    pairs = zip(counts.index.tolist(), counts.index.isna(), strict=True)
    values = [None if gap else value for value, gap in pairs]
    wrong: dict[int, str] = {}
    if isinstance(inner, type) and issubclass(inner, date):
        odd = [place for place, value in enumerate(values) if not isinstance(value, date | None)]
        wrong = dict.fromkeys(odd, "Input should be a time")
    try:
        adapter.validate_python(values)
    except ValidationError as error:
        wrong |= {int(each["loc"][0]): each["msg"] for each in error.errors()}
    if not wrong:
        return ""
    first, rows = min(wrong), int(counts.to_numpy()[list(wrong)].sum())
    example = "nothing" if values[first] is None else f"{values[first]!r:.40}"
    return f"{rows:,} of {len(column):,} rows, such as {example}: {wrong[first]}"


def _inner(annotation: Any) -> Any:
    """The type of a field without `None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _inner(kinds[0]) if len(kinds) == 1 else annotation
    return annotation


def _column_type(annotation: Any, where: str) -> tuple[str, bool]:
    """MLflow's type of the column, and whether a value is required."""
    inner = _inner(annotation)
    kind = type(get_args(inner)[0]) if get_origin(inner) is Literal else inner
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            kind = type(next(iter(kind)).value)
        for python_type, column in KINDS.items():
            if issubclass(kind, python_type):
                return column, inner is annotation
    names = ", ".join(python_type.__name__ for python_type in KINDS)
    raise DslpError(f"{where} has type {annotation!r}; a column can have {names}, Literal")


def _file(model: Model) -> str:
    return str(model.folder / "schema.py")
