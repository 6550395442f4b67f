"""The API schema as the model's signature, and as what training rows must be (M2, M5)."""

import json
import types
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from dslp.core.errors import DslpError
from dslp.experiments.model import Model
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

KINDS = {
    bool: "boolean",
    int: "long",
    float: "double",
    str: "string",
    datetime: "datetime",
    date: "datetime",
}
SIDES = ("Request", "Response")
WORDS = ("title", "description", "examples", "deprecated")  # of a field, without changing it
AT_ONCE = 100_000  # values checked in one go, so that wrong ones by the million need no memory


def model_signature(model: Model) -> "ModelSignature":
    """MLflow's signature of `Request` and `Response` in the model's `schema.py`.

    Raises:
        DslpError: one of them is missing, or a field has a type that a column cannot have.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    sides = [[ColSpec(**column) for column in signature_columns(model, name)] for name in SIDES]
    return ModelSignature(*map(Schema, sides))


def signature_columns(model: Model, name: str) -> list[dict[str, Any]]:
    """The fields of `Request` or `Response` as columns in MLflow's words, without MLflow."""
    found = []
    for field, information in read_side(model, name).model_fields.items():
        column, required = _column(information.annotation, f"{_where(model)}: {name}.{field}")
        found.append({"type": column, "name": field, "required": required})
    return found


def read_side(model: Model, name: str) -> type[BaseModel]:
    """`Request` or `Response` of the model's `schema.py`.

    Raises:
        DslpError: there is none.
    """
    kind = getattr(model.module("schema"), name, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        raise DslpError(f"{_where(model)}: {name} is not a pydantic model")
    return kind


def field_types(model: Model, name: str) -> dict[str, str]:
    """What each field of `Request` or `Response` takes, as one text, without its description."""
    schema = read_side(model, name).model_json_schema(by_alias=False)
    known = schema.get("$defs", {})

    def bare(part: Any) -> Any:
        if isinstance(part, list):
            return [bare(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return bare(known[part["$ref"].rsplit("/", 1)[-1]])
        return {key: bare(value) for key, value in part.items() if key not in WORDS}

    required = schema.get("required", [])
    return {
        field: json.dumps({**bare(part), "required": field in required}, sort_keys=True)
        for field, part in schema["properties"].items()
    }


def check_fit(model: Model, rows: "pd.DataFrame") -> None:
    """Whether the training rows are what `schema.py` lets a request ask.

    A column of whole numbers is as good as one with decimals. The target is checked where a field
    of `Response` has its name.

    Raises:
        DslpError: one line with each field that does not fit: how many rows, and an example.
    """
    request, response = (read_side(model, name) for name in SIDES)
    found = [_misfit(request, name, rows[name]) for name in request.model_fields]
    if model.params.target in response.model_fields:
        found.append(_misfit(response, model.params.target, rows[model.params.target]))
    wrong = [problem for problem in found if problem]
    if wrong:
        raise DslpError(
            f"{_where(model)} does not fit {model.params.dataset.name}: {'; '.join(wrong)}"
        )


def _misfit(kind: type[BaseModel], name: str, column: "pd.Series[Any]") -> str | None:
    """In words, which values of a column are none of the field."""
    field = kind.model_fields[name]
    inner = _inner(field.annotation)
    by_text = isinstance(inner, type) and issubclass(inner, date | Enum)  # a table's own types
    value: Any = Annotated[field.annotation, name]
    for limit in field.metadata:
        value = Annotated[value, limit]
    one: TypeAdapter[Any] = TypeAdapter(list[value], config=ConfigDict(strict=not by_text))
    try:
        counts = column.value_counts(dropna=False, sort=False)
    except TypeError:  # lists and mappings
        return f"{kind.__name__}.{name}: the column holds {type(column.iloc[0]).__name__}s"
    times, values = counts.to_numpy(), counts.index
    rows, example, reason = 0, None, ""
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        asked = [
            None if nothing else value
            for value, nothing in zip(part.tolist(), part.isna(), strict=True)
        ]
        if isinstance(inner, type) and issubclass(inner, date):
            wrong = {
                place: "Input should be a time"
                for place, value in enumerate(asked)
                if not isinstance(value, date | None)
            }
        else:
            wrong = {}
        try:
            one.validate_python(asked)
        except ValidationError as error:
            wrong |= {int(found["loc"][0]): found["msg"] for found in error.errors()}
        for place, message in sorted(wrong.items()):
            if not reason:
                example, reason = asked[place], message
            rows += int(times[start + place])
    if not reason:
        return None
    shown = "nothing" if example is None else f"{example!a:.40}"
    return f"{kind.__name__}.{name}: {rows:,} of {len(column):,} rows, such as {shown}: {reason}"


def _inner(annotation: Any) -> Any:
    """The type of a field that may be missing, without that."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [one for one in get_args(annotation) if one is not type(None)]
        return _inner(kinds[0]) if len(kinds) == 1 else annotation
    return annotation


def _column(annotation: Any, where: str) -> tuple[str, bool]:
    """The column's type in MLflow's words, and whether a value is required."""
    inner = _inner(annotation)
    kind = type(get_args(inner)[0]) if get_origin(inner) is Literal else inner
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            kind = type(next(iter(kind)).value)
        for known, column in KINDS.items():
            if issubclass(kind, known):
                return column, inner is annotation
    names = ", ".join(known.__name__ for known in KINDS)
    raise DslpError(f"{where} has type {annotation!r}; a column can have {names}, Literal")


def _where(model: Model) -> str:
    return str(model.folder / "schema.py")
