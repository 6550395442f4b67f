"""Reading a request: at most the allowed number of bytes, and by the schema."""

import asyncio
from typing import Any
from uuid import uuid4

from dslp.models.api import RECORDS, Api
from dslp.models.predictor import Problem
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

BYTES = 1_000_000  # of a body
PATIENCE = 30  # seconds for a body to arrive


def request_id(request: Request) -> str:
    """The client's name for the request; a new one if it has none, or one that is not text."""
    name = request.headers.get("x-request-id", "")
    return name if 0 < len(name) <= 128 and name.isprintable() else uuid4().hex


async def read_body(request: Request) -> bytes:
    """The body; reading stops at the limit, whatever the headers say."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, "Content-Type must be application/json")
    parts, size = [], 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                size += len(part)
                if size > BYTES:
                    raise Problem(413, f"a body has at most {BYTES:,} bytes")
                parts.append(part)
    except (TimeoutError, ClientDisconnect):
        raise Problem(408, "the body did not arrive") from None
    return b"".join(parts)


def read_records(api: Api, body: bytes) -> tuple[list[Any], bool]:
    """The records of a body, and whether it is a single record, not a list."""
    single = body.lstrip()[:1] != b"["
    try:
        records = [api.one.validate_json(body)] if single else api.many.validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        if problems[0]["type"] == "too_long" and not problems[0]["loc"]:
            raise Problem(413, f"a request has at most {RECORDS:,} records") from None
        detail = [{**one, "loc": ["body", *one["loc"]]} for one in problems[:100]]
        raise Problem(422, detail) from None
    if not records:
        raise Problem(422, [{"type": "too_short", "loc": ["body"], "msg": "There is no record"}])
    for place, record in enumerate(records):
        for name in api.too_large(record):
            where, text = ["body", *([] if single else [place]), name], "The number is too large"
            raise Problem(422, [{"type": "int_size", "loc": where, "msg": text}])
    return records, single
