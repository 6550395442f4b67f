"""The API of a model as its `schema.py` defines it: one for training, batch and serving (M2)."""

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from dslp.core.errors import DslpError
from dslp.experiments.model import Model, plain_times
from dslp.models.signature import SIDES, field_types, signature_columns
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

RECORDS = 1_000  # of a request
API = "dslp.api"  # the metadata in MLmodel with the fields of the API
KINDS = {"double": "float64", "long": "int64", "boolean": "bool", "string": "str"}
GAPS = {"long": "float64", "boolean": "object"}  # where a value may be missing


@dataclass(frozen=True)
class Api:
    """The requests and the responses of a model."""

    model: Model

    @cached_property
    def request(self) -> type[BaseModel]:
        """`Request` with finite numbers only: JSON has no others."""
        return self._finite("Request")

    @cached_property
    def response(self) -> type[BaseModel]:
        """`Response`, likewise."""
        return self._finite("Response")

    def _finite(self, name: str) -> type[BaseModel]:
        kind, config = self.model.side(name), ConfigDict(allow_inf_nan=False)
        return type(name, (kind,), {"model_config": config, "__doc__": kind.__doc__})

    @cached_property
    def many(self) -> Any:
        """The type of a list of 1 to `RECORDS` records."""
        return Annotated[list[self.request], Field(min_length=1, max_length=RECORDS)]  # type: ignore[name-defined]

    @cached_property
    def answers(self) -> TypeAdapter[Any]:
        """Reads a list of predictions."""
        return TypeAdapter(list[self.response])  # type: ignore[name-defined]

    @cached_property
    def form(self) -> dict[str, list[dict[str, Any]]]:
        """The signature that MLflow keeps with a model of this API, as `MLmodel` holds it."""
        sides = {"inputs": "Request", "outputs": "Response"}
        return {kept: signature_columns(self.model, name) for kept, name in sides.items()}

    def frame(self, records: list[Any], side: str = "inputs") -> pd.DataFrame:
        """Records as a data frame with the types of the training data.

        With the side `outputs`, they are instances of `Response`.
        """
        columns: dict[str, Any] = {}
        fields = (self.request if side == "inputs" else self.response).model_fields
        for field, column in zip(fields, self.form[side], strict=True):
            name, kind = column["name"], column["type"]
            values = [getattr(record, field) for record in records]
            values = [value.value if isinstance(value, Enum) else value for value in values]
            # The type of a column with missing values, whether these records have one or not.
            dtype = KINDS.get(kind) if column["required"] else GAPS.get(kind, KINDS.get(kind))
            if dtype is None:
                columns[name] = plain_times(values)
            else:
                columns[name] = (pd if dtype == "str" else np).array(values, dtype=dtype)
        return pd.DataFrame(columns)

    def records(self, rows: pd.DataFrame) -> list[Any]:
        """Rows of the dataset as records of a request.

        Raises:
            DslpError: `Request` does not allow one.
        """
        values = rows[self.model.inputs].astype(object).where(rows.notna(), None)
        body = json.dumps(values.to_dict("records"), default=str)
        try:
            adapter: TypeAdapter[list[Any]] = TypeAdapter(self.many)
            return adapter.validate_json(body)
        except ValidationError as error:
            problem = f"a row is not what Request allows: {validation_message(error)}"
            raise DslpError(f"{self.model.name}: {problem}") from None

    def predict(self, estimator: Any, records: list[Any]) -> list[Any]:
        """A `Response` for each record.

        Raises:
            DslpError: the estimator fails, or what it predicts does not fit `Response`.
        """
        frame = self.frame(records)
        return self.answered(self.model.predict(estimator, frame, frame))

    def answered(self, predicted: pd.DataFrame) -> list[Any]:
        """Predictions, each as a `Response`.

        Raises:
            DslpError: one does not fit.
        """
        try:
            return self.answers.validate_python(predicted.to_dict("records"))  # type: ignore[no-any-return]
        except ValidationError as error:
            problem = f"a prediction does not fit Response: {validation_message(error)}"
            raise DslpError(f"{self.model.name}: {problem}") from None

    def check(self, folder: Path) -> None:
        """Check that a saved model has this API.

        Raises:
            DslpError: it has another one, because `schema.py` was changed, or is no model.
        """
        import yaml

        try:
            content = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
            saved = {side: content["metadata"][API][side] for side in SIDES}
        except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
            problem = "is no model of this library: MLmodel does not have its API"
            raise DslpError(f"{folder} {problem}") from None
        for side, before in saved.items():
            fields = field_types(self.model, side)
            if changed := sorted(n for n in {*before, *fields} if before.get(n) != fields.get(n)):
                problem = f"is not the API of {folder} ({side}: {', '.join(changed)})"
                todo = "train, register and promote again"
                raise DslpError(f"{self.model.folder / 'schema.py'} {problem}; {todo}")

    @property
    def digest(self) -> str:
        """Of the fields: the version of the OpenAPI document, which versions of a model share."""
        fields = json.dumps([field_types(self.model, side) for side in SIDES])
        return hashlib.sha256(fields.encode()).hexdigest()[:12]

    @cached_property
    def example(self) -> Any:
        """A record that `Request` allows; None if no simple one is allowed."""
        schema = self.request.model_json_schema()
        fields = schema.get("properties", {}).items()
        try:
            return self.request.model_validate({name: _example(f, schema) for name, f in fields})
        except ValidationError:
            return None


def validation_message(error: ValidationError, values: bool = False) -> str:
    """The problems of a record, by field, in one line; with its values if they may be shown."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
        + (f", not {one['input']!r:.40}" if values else "")
        for one in error.errors(include_url=False, include_context=False)[:3]
    )


def _example(part: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value for a part of a JSON schema."""
    if "$ref" in part:
        return _example(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    for name in ("examples", "enum", "anyOf"):
        if part.get(name):
            first = part[name][0]
            return _example(first, schema) if name == "anyOf" else first
    if "const" in part or "default" in part:
        return part.get("const", part.get("default"))
    ends = [part[name] for name in ("minimum", "exclusiveMinimum") if name in part]
    ends += [part[name] for name in ("maximum", "exclusiveMaximum") if name in part] or [
        end + 2 for end in ends
    ]
    number = sum(ends) / len(ends) if ends else 0.0
    texts = {"date": "2024-01-01", "date-time": "2024-01-01T00:00:00"}
    text = texts.get(part.get("format", ""), "a" * max(1, part.get("minLength", 0)))
    values = {"integer": int(number), "number": number, "boolean": False, "string": text}
    return values.get(part.get("type", ""))
