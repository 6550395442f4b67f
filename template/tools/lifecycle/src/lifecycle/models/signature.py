"""The model's signature from its API schema, so that there is one definition of both (M2, M5)."""

import types
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from lifecycle.errors import LifecycleError
from lifecycle.experiments.model import Model
from pydantic import BaseModel

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

KINDS = {
    bool: "boolean",
    int: "long",
    float: "double",
    str: "string",
    datetime: "datetime",
    date: "datetime",
}


def signature(model: Model) -> "ModelSignature":
    """MLflow's signature of `Request` and `Response` in the model's `schema.py`.

    Raises:
        LifecycleError: one of them is missing, or a field has a type that a column cannot have.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    sides = []
    for name in ("Request", "Response"):
        where = f"{model.folder / 'schema.py'}: {name}"
        kind = getattr(model.module("schema"), name, None)
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            raise LifecycleError(f"{where} is not a pydantic model")
        columns = []
        for field, information in kind.model_fields.items():
            column, required = _column(information.annotation, f"{where}.{field}")
            columns.append(ColSpec(column, field, required=required))
        sides.append(Schema(columns))
    return ModelSignature(*sides)


def _column(annotation: Any, where: str) -> tuple[str, bool]:
    """The column's type in MLflow's words, and whether a value is required."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        if len(inner) == 1:
            return _column(inner[0], where)[0], False
    if origin is Literal:
        annotation = type(arguments[0])
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            annotation = type(next(iter(annotation)).value)
        for kind, column in KINDS.items():
            if issubclass(annotation, kind):
                return column, True
    known = ", ".join(kind.__name__ for kind in KINDS)
    raise LifecycleError(f"{where} has type {annotation!r}; a column can have {known}, Literal")
