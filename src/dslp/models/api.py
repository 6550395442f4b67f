"""The API of a model as its `schema.py` defines it: one for training, batch and serving (M2)."""

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from dslp.core.errors import DslpError
from dslp.experiments.model import Model, plain_times
from dslp.models.signature import SIDES, field_types, read_side, signature_columns
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    import pandas as pd

RECORDS = 1_000  # of a request
API = "dslp.api"  # what MLmodel says of a model's API, bounds and all
KINDS = {"double": "float64", "long": "int64", "boolean": "bool", "string": "str"}
GAPS = {"long": "float64", "boolean": "object"}  # where a value may be missing


@dataclass(frozen=True)
class Api:
    """What a model is asked and what it answers."""

    model: Model

    @cached_property
    def request(self) -> type[BaseModel]:
        """`Request`, in which a number is a finite one: JSON has no other."""
        return self._finite("Request")

    @cached_property
    def response(self) -> type[BaseModel]:
        """`Response`, likewise."""
        return self._finite("Response")

    def _finite(self, name: str) -> type[BaseModel]:
        kind, config = read_side(self.model, name), ConfigDict(allow_inf_nan=False)
        return type(name, (kind,), {"model_config": config, "__doc__": kind.__doc__})

    @cached_property
    def one(self) -> TypeAdapter[Any]:
        """Reads one record."""
        return TypeAdapter(self.request)

    @cached_property
    def many(self) -> TypeAdapter[Any]:
        """Reads a list of records, and no more of a longer one than it takes to say so."""
        kind: Any = Annotated[list[self.request], Field(max_length=RECORDS)]  # type: ignore[name-defined]
        return TypeAdapter(kind)

    @cached_property
    def answers(self) -> TypeAdapter[Any]:
        """Reads a list of predictions."""
        return TypeAdapter(list[self.response])  # type: ignore[name-defined]

    @cached_property
    def form(self) -> dict[str, list[dict[str, Any]]]:
        """The signature that MLflow keeps with a model of this API, as `MLmodel` holds it."""
        sides = {"inputs": "Request", "outputs": "Response"}
        return {kept: signature_columns(self.model, name) for kept, name in sides.items()}

    def frame(self, records: list[Any], side: str = "inputs") -> "pd.DataFrame":
        """Records that were read, as the data frame that the model was trained on.

        With the side `outputs` they are what `Response` made of predictions.
        """
        import numpy as np
        import pandas as pd

        made: dict[str, Any] = {}
        for column in self.form[side]:
            name, kind = column["name"], column["type"]
            values = [getattr(record, name) for record in records]
            values = [value.value if isinstance(value, Enum) else value for value in values]
            # As data with gaps is read, whether these records have one or not.
            dtype = KINDS.get(kind) if column["required"] else GAPS.get(kind, KINDS.get(kind))
            if dtype is None:
                made[name] = plain_times(values)
            else:
                made[name] = (pd if dtype == "str" else np).array(values, dtype=dtype)
        return pd.DataFrame(made)

    def records(self, rows: "pd.DataFrame") -> list[Any]:
        """Rows of the dataset as a request brings them.

        Raises:
            DslpError: `Request` does not allow one.
        """
        values = rows[self.model.inputs].astype(object).where(rows.notna(), None)
        body = json.dumps(values.to_dict("records"), default=str)
        try:
            return self.many.validate_json(body, by_name=True)  # type: ignore[no-any-return]
        except ValidationError as error:
            raise DslpError(
                f"{self.model.name}: a row is not what Request allows: {validation_message(error)}"
            ) from None

    def beyond(self, record: Any) -> list[str]:
        """The fields whose whole number is too large for a column."""
        whole = [column["name"] for column in self.form["inputs"] if column["type"] == "long"]
        return [name for name in whole if not -(2**63) <= (getattr(record, name) or 0) < 2**63]

    def predict(self, estimator: Any, records: list[Any]) -> list[Any]:
        """A `Response` for each record.

        Raises:
            DslpError: the estimator fails, or what it predicts does not fit `Response`.
        """
        return self.answered(self.model.predict(estimator, self.frame(records)))

    def answered(self, predicted: "pd.DataFrame") -> list[Any]:
        """Predictions, each as a `Response`.

        Raises:
            DslpError: one does not fit.
        """
        try:
            return self.answers.validate_python(predicted.to_dict("records"))  # type: ignore[no-any-return]
        except ValidationError as error:
            raise DslpError(
                f"{self.model.name}: a prediction does not fit Response: "
                f"{validation_message(error)}"
            ) from None

    def check(self, folder: Path) -> None:
        """See that a saved model has this API.

        Raises:
            DslpError: it has another one, since `schema.py` was changed, or is no model.
        """
        import yaml

        try:
            content = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
            saved = {where: content["metadata"][API][where] for where in SIDES}
        except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError, yaml.YAMLError):
            raise DslpError(
                f"{folder} is no model of this tool: MLmodel does not say its API"
            ) from None
        for where, kept in saved.items():
            here = field_types(self.model, where)
            if kept != here:
                changed = sorted(n for n in {*kept, *here} if kept.get(n) != here.get(n))
                raise DslpError(
                    f"{self.model.folder / 'schema.py'} is not the API of {folder} "
                    f"({where}: {', '.join(changed)}); train, register and promote again"
                )

    def openapi(self) -> dict[str, Any]:
        """The API as an OpenAPI document, which needs no server to be made.

        Its version is the digest of what is asked and answered: many versions of a model share it.
        """
        stated = json.dumps([field_types(self.model, where) for where in SIDES])
        digest = hashlib.sha256(stated.encode()).hexdigest()[:12]
        sides: list[tuple[type[BaseModel], Any]] = [
            (self.request, "validation"),
            (self.response, "serialization"),
        ]
        _, known = models_json_schema(sides, ref_template="#/components/schemas/{model}")
        place, name = "#/components/schemas/", self.model.name

        def content(kind: str) -> dict[str, Any]:
            one = {"$ref": place + kind}
            both = {"oneOf": [one, {"type": "array", "items": one}]}
            return {"application/json": {"schema": both}}

        statuses = {
            "413": "Too much at once.",
            "415": "The body is not JSON.",
            "422": "A field is missing or not what it should be; `detail` names each.",
            "500": "The model cannot answer this.",
            "503": "Too many requests are waiting.",
        }
        answers: dict[str, Any] = {
            status: {"description": text} for status, text in statuses.items()
        }
        answers["200"] = {
            "description": "A prediction for each record, in their order.",
            "headers": {
                header: {"schema": {"type": "string"}}
                for header in ("X-Request-ID", "X-Model-Version", "X-Model-Role")
            },
            "content": content(self.response.__name__),
        }
        headers = {
            "X-Request-ID": "What the request is called in the log of predictions.",
            "X-Split-Key": "The same model answers a key each time, such as a customer's number.",
        }
        operation = {
            "operationId": "predict",
            "summary": (self.request.__doc__ or name).strip().splitlines()[0],
            "parameters": [
                {"name": key, "in": "header", "description": text, "schema": {"type": "string"}}
                for key, text in headers.items()
            ],
            "requestBody": {"required": True, "content": content(self.request.__name__)},
            "responses": answers,
        }
        return {
            "openapi": "3.1.0",
            "info": {"title": name, "version": digest},
            "paths": {"/predict": {"post": operation}},
            "components": {"schemas": known.get("$defs", {})},
        }

    @cached_property
    def example(self) -> Any:
        """A record that `Request` allows, or none where no simple one does."""
        schema = self.request.model_json_schema()
        fields = {
            name: _example(part, schema) for name, part in schema.get("properties", {}).items()
        }
        try:
            return self.request.model_validate(fields)
        except ValidationError:
            return None


def validation_message(error: ValidationError, values: bool = False) -> str:
    """What is wrong with a record, by field, in one line; with the values if they may be seen."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
        + (f", not {one['input']!a:.40}" if values else "")
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
    low = part.get("minimum", part.get("exclusiveMinimum"))
    high = part.get("maximum", part.get("exclusiveMaximum"))
    number = low if high is None else high if low is None else (low + high) / 2
    if number is not None and "exclusiveMinimum" in part and high is None:
        number += 1
    if part.get("type") == "integer":
        return int(number or 0)
    texts = {"date": "2024-01-01", "date-time": "2024-01-01T00:00:00"}
    text = texts.get(part.get("format", ""), "a" * max(1, part.get("minLength", 0)))
    return {"number": number or 0.0, "boolean": False, "string": text}.get(part.get("type", ""))
