"""GitHub's own description of its API: judges every request and every response.

Bodies that the stand-in makes are also completed from it: what GitHub requires and no test is about
(dozens of addresses, counters and flags) gets the emptiest value that the schema allows.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

FILE = Path(__file__).parents[1] / "api.github.com.json"
HOST = "https://api.github.com"
Schema = dict[str, Any]


@dataclass
class Asked:
    """A request in the shape that openapi-core reads."""

    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = HOST


@dataclass
class Answered:
    """A response in the shape that openapi-core reads."""

    status_code: int
    data: bytes
    content_type: str = "application/json"
    headers: Headers = field(default_factory=Headers)


class Description:
    """The trimmed description, and what it says about a request or a response."""

    def __init__(self, content: Schema) -> None:
        self.content = content
        self.openapi = OpenAPI.from_dict(content, config=Config(spec_validator_cls=None))

    def asked(
        self,
        method: str,
        template: str,
        names: Mapping[str, str],
        query: Mapping[str, list[str]],
        body: bytes,
    ) -> Asked:
        """A request to a path of the description; `names` are the values in its path."""
        path = template
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        multi = ImmutableMultiDict([(key, value) for key in query for value in query[key]])
        parameters = RequestParameters(query=multi)
        return Asked(method.lower(), path, parameters, body or None, "application/json")

    def faults_of_request(self, asked: Asked, template: str) -> Iterator[str]:
        """What is wrong with a request; a name that GitHub would silently pass over is, too."""
        for error in self.openapi.iter_request_errors(asked):
            yield words(error)
        operation = self.content["paths"][template][asked.method]
        known = {self.resolve(one)["name"] for one in operation.get("parameters", [])}
        for name in asked.parameters.query.keys() - known:
            yield f"no such query parameter: {name}"
        properties = self.properties_of_body(operation)
        given = json.loads(asked.body) if asked.body else None
        if properties and isinstance(given, dict):
            for name in given.keys() - properties:
                yield f"no such property of the body: {name}"

    def properties_of_body(self, operation: Schema) -> set[str]:
        """The names that the body of an operation may have."""
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        choices = [schema, *schema.get("oneOf", []), *schema.get("anyOf", [])]
        return {name for one in choices for name in self.resolve(one).get("properties", {})}

    def faults_of_response(self, asked: Asked, template: str, answer: Answered) -> Iterator[str]:
        """What is wrong with a response; a refusal need not be mentioned by its path."""
        operation = self.content["paths"][template][asked.method]
        if str(answer.status_code) in operation["responses"]:
            if answer.status_code not in (204, 304):
                faults = map(words, self.openapi.iter_response_errors(asked, answer))
                # GitHub lists shapes of refusals that a plain one fits equally well.
                plain = "is valid under each of" if answer.status_code >= 400 else "\0"
                yield from (one for one in faults if plain not in one)
        elif answer.status_code < 400:
            yield f"no such status: {answer.status_code}"
        elif not isinstance(json.loads(answer.data).get("message"), str):
            yield "an error without a message"

    def complete(self, method: str, template: str, status: int, value: Any) -> Any:
        """The body of a response with all that GitHub requires of it."""
        operation = self.content["paths"][template][method.lower()]
        response = self.resolve(operation["responses"].get(str(status), {}))
        content = response.get("content", {}).get("application/json")
        return complete(self.content, content["schema"], value) if content else value

    def resolve(self, schema: Schema) -> Schema:
        """What a reference points to."""
        return resolve(self.content, schema)


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
        found: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        schema = found
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
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        whole = {
            key: complete(root, properties[key], item) if key in properties else item
            for key, item in value.items()
        }
        missing = [key for key in schema.get("required", []) if key not in whole]
        return whole | {key: emptiest(root, properties.get(key, {})) for key in missing}
    return value


def likeness(root: Schema, schema: Schema, value: Any) -> tuple[int, int]:
    """How well one of several shapes fits: the more known names, then the fewer missing ones."""
    schema = resolve(root, schema)
    if "allOf" in schema:
        return max(likeness(root, part, value) for part in schema["allOf"])
    kind = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}
    if not isinstance(value, dict):
        return int(kind.get(type(value)) == schema.get("type")), 0
    properties = schema.get("properties", {})
    for key, item in value.items():
        allowed = resolve(root, properties.get(key, {})).get("enum")
        if allowed and isinstance(item, str) and item not in allowed:
            return -1, 0
    return len(properties.keys() & value.keys()), -len(set(schema.get("required", [])) - set(value))


def emptiest(root: Schema, schema: Schema) -> Any:
    """The value that says least and still fits."""
    schema = resolve(root, schema)
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if schema.get("nullable") or "null" in kinds:
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for part in [
        *schema.get("allOf", []),
        *schema.get("oneOf", [])[:1],
        *schema.get("anyOf", [])[:1],
    ]:
        return emptiest(root, part)
    match kinds[0]:
        case "object":
            return complete(root, schema, {})
        case "array":
            return []
        case "boolean":
            return False
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "string":
            return {"uri": f"{HOST}/", "date-time": "2026-01-05T09:00:00Z"}.get(
                schema.get("format", ""), ""
            )
    return None if kind is None else {}


@cache
def read() -> Description:
    """The description in this folder; reading it takes a moment, so once."""
    return Description(json.loads(FILE.read_text(encoding="utf-8")))
