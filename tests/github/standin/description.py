"""GitHub's own descriptions of its API: what is wrong with a request or a response.

A request is to fit GitHub Enterprise Server too; a response, github.com.

GitHub answers with dozens of addresses, counters and flags that no test is about. The stand-in
leaves them out, so `required` counts in what it receives, not in what it sends.
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
ENTERPRISE = FILE.with_name("ghes-3.19.json")
HOST = "https://api.github.com"
Schema = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """A method of a path of the description, and what it says about a request or a response."""

    content: Schema
    requests: OpenAPI
    responses: OpenAPI
    method: str
    template: str

    @property
    def schema(self) -> Schema:
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
        yield from map(words, self.requests.iter_request_errors(request))
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

    def faults_of_response(self, request: Any, status: int, data: bytes) -> list[str]:
        """What is wrong with a response; a refusal need not be mentioned by its path."""
        response = SimpleNamespace(
            status_code=status, data=data, content_type="application/json", headers=Headers()
        )
        if str(status) not in self.schema["responses"]:
            return [f"no such status: {status}"] if status < 400 else []
        if status == 204:
            return []
        faults = map(words, self.responses.iter_response_errors(request, response))
        # Of shapes that differ in what they require, several fit.
        return [one for one in faults if "is valid under each of" not in one]


def words(error: Any) -> str:
    """An error of openapi-core with its reasons, without the whole body."""
    cause = error.__cause__ or error
    reasons = [
        f"{'.'.join(map(str, one.absolute_path))}: {one.message[-300:]}"
        for one in getattr(cause, "schema_errors", [])
    ]
    return f"{type(error).__name__}: {'; '.join(reasons) or str(cause)[-300:]}"


def resolve(root: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        schema = target
    return schema


def without_required(node: Any) -> Any:
    """A schema in which everything may be left out."""
    if isinstance(node, list):
        return [without_required(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_required(value)
        for key, value in node.items()
        if key != "required" or isinstance(value, dict)
    }


@cache
def read(file: Path) -> tuple[Schema, OpenAPI, OpenAPI]:
    """A description in this folder, for requests and for responses; reading takes a moment."""
    content, config = json.loads(file.read_bytes()), Config(spec_validator_cls=None)
    requests, responses = (
        OpenAPI.from_dict(one, config=config) for one in (content, without_required(content))
    )
    return content, requests, responses


def operation(method: str, template: str, file: Path = FILE) -> Operation:
    return Operation(*read(file), method.lower(), template)
