"""GitHub's own description of its API: what is wrong with a request or a response.

Bodies that the stand-in makes are also completed from it: what GitHub requires and no test is about
(dozens of addresses, counters and flags) gets the emptiest value that the schema allows.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

FILE = Path(__file__).parents[1] / "api.github.com.json"
HOST = "https://api.github.com"
Schema = dict[str, Any]
TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}


@dataclass(frozen=True)
class Operation:
    """A method of a path of the description, and what it says about a request or a response."""

    content: Schema
    openapi: OpenAPI
    method: str
    template: str

    @property
    def schema(self) -> Schema:
        """What the description says of it."""
        return dict(self.content["paths"][self.template][self.method])

    def request(self, names: Mapping[str, str], query: Mapping[str, list[str]], body: bytes) -> Any:
        """A request in the shape that openapi-core reads; `names` are the values in its path."""
        path = self.template
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        values = ImmutableMultiDict([(key, value) for key in query for value in query[key]])
        return SimpleNamespace(
            host_url=HOST,
            path=path,
            method=self.method,
            parameters=RequestParameters(query=values),
            body=body or None,
            content_type="application/json",
        )

    def faults_of_request(self, request: Any) -> Iterator[str]:
        """What is wrong with a request; a name that GitHub would silently ignore is, too."""
        yield from map(words, self.openapi.iter_request_errors(request))
        parameters = self.schema.get("parameters", [])
        names = {resolve(self.content, one)["name"] for one in parameters}
        yield from (
            f"no such query parameter: {one}" for one in request.parameters.query.keys() - names
        )
        body = json.loads(request.body) if request.body else None
        if isinstance(body, dict):
            content = self.schema["requestBody"]["content"]["application/json"]["schema"]
            shapes = [content, *content.get("oneOf", []), *content.get("anyOf", [])]
            shapes = [resolve(self.content, one) for one in shapes]
            properties = {name for one in shapes for name in one.get("properties", {})}
            yield from (f"no such property of the body: {one}" for one in body.keys() - properties)

    def faults_of_response(self, request: Any, status: int, data: bytes) -> Iterator[str]:
        """What is wrong with a response; a refusal need not be mentioned by its path."""
        response = SimpleNamespace(
            status_code=status, data=data, content_type="application/json", headers=Headers()
        )
        if str(status) in self.schema["responses"]:
            if status != 204:
                faults = map(words, self.openapi.iter_response_errors(request, response))
                # GitHub lists shapes of refusals that a plain one fits equally well.
                several = "is valid under each of" if status >= 400 else "\0"
                yield from (one for one in faults if several not in one)
        elif status < 400:
            yield f"no such status: {status}"

    def complete(self, status: int, value: Any) -> Any:
        """The body of a response with all that GitHub requires of it."""
        response = resolve(self.content, self.schema["responses"].get(str(status), {}))
        content = response.get("content", {}).get("application/json")
        return complete(self.content, content["schema"], value) if content else value


def words(error: Any) -> str:
    """An error of openapi-core with its reasons, without the whole body."""
    cause = error.__cause__ or error
    reasons = [
        f"{'.'.join(map(str, one.absolute_path))}: {one.message[-300:]}"
        for one in getattr(cause, "schema_errors", [])
    ]
    return f"{type(error).__name__}: {'; '.join(reasons) or str(cause)[-300:]}"


def resolve(root: Schema, schema: Schema) -> Schema:
    """What a reference points to in `root`."""
    while "$ref" in schema:
        target: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        schema = target
    return schema


def complete(root: Schema, schema: Schema, value: Any) -> Any:
    """`value` with the required properties it lacks."""
    schema = resolve(root, schema)
    if value is None:
        return None
    for part in schema.get("allOf", []):
        value = complete(root, part, value)
    choices = [*schema.get("oneOf", []), *schema.get("anyOf", [])]
    if choices:
        value = complete(root, max(choices, key=lambda one: likeness(root, one, value)), value)
    if isinstance(value, list) and "items" in schema:
        return [complete(root, schema["items"], item) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    whole = {key: complete(root, properties.get(key, {}), item) for key, item in value.items()}
    missing = [key for key in schema.get("required", []) if key not in whole]
    return whole | {key: emptiest(root, properties.get(key, {})) for key in missing}


def likeness(root: Schema, schema: Schema, value: Any) -> tuple[int, int]:
    """How well one of several shapes fits: the more shared names, then the fewer missing ones."""
    schema = resolve(root, schema)
    if "allOf" in schema:
        return max(likeness(root, part, value) for part in schema["allOf"])
    if not isinstance(value, dict):
        return int(TYPES.get(type(value)) == schema.get("type")), 0
    properties = schema.get("properties", {})
    for key, item in value.items():
        allowed = resolve(root, properties.get(key, {})).get("enum")
        if allowed and isinstance(item, str) and item not in allowed:
            return -1, 0
    return len(properties.keys() & value.keys()), -len(set(schema.get("required", [])) - set(value))


def emptiest(root: Schema, schema: Schema) -> Any:
    """The value that says least and still fits."""
    schema = resolve(root, schema)
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("allOf", "oneOf", "anyOf"):
        if choice in schema:
            return emptiest(root, schema[choice][0])
    if schema.get("type") == "object":
        return complete(root, schema, {})
    texts = {"uri": f"{HOST}/", "date-time": "2026-01-05T09:00:00Z"}
    text, number = texts.get(schema.get("format", ""), ""), schema.get("minimum", 0)
    values = {"array": [], "boolean": False, "integer": number, "number": number, "string": text}
    return values.get(schema.get("type", ""))


@cache
def read() -> tuple[Schema, OpenAPI]:
    """The description in this folder; reading it takes a moment, so once."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return content, OpenAPI.from_dict(content, config=Config(spec_validator_cls=None))


def operation(method: str, template: str) -> Operation:
    """One operation of the description."""
    return Operation(*read(), method.lower(), template)
