"""The API of a model as its `schema.py` defines it: for training, batch and serving (M2, M5)."""

import hashlib
import json
import types
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pandas as pd
from dslp.core.errors import DslpError
from dslp.experiments.model import Model, plain_times
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from pydantic.fields import FieldInfo


RECORDS = 1_000  # of a request
API = "dslp.api"  # the metadata in MLmodel with the fields of the API
DTYPES = {"double": "float64", "long": "int64", "boolean": "bool", "string": "str"}
GAPS = {"long": "float64", "boolean": "object"}  # where a value may be missing
KINDS = {bool: "boolean", int: "long", float: "double", str: "string", date: "datetime"}
SIDES = ("Request", "Response")
WORDS = ("title", "description", "examples", "deprecated")  # of a field; they change no value


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
            dtype = DTYPES.get(kind) if column["required"] else GAPS.get(kind, DTYPES.get(kind))
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
