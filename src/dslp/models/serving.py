"""Serving a model: champion and challenger behind the API of `schema.py` (M2, M9, M12).

One process, one event loop that reads and answers, one thread that predicts. Requests that wait
for the thread are predicted together, which costs about as much as one prediction.
"""

import asyncio
import json
import logging
import shlex
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import uvicorn
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.models.api import Api
from dslp.models.live_model import LiveModel, Predictor
from dslp.models.prediction_log import Log
from dslp.models.web_api import BYTES, declare
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD = 65_536  # bytes of the headers
PART = 16_384  # bytes that are counted at once
ARRIVAL = 10  # seconds in which a request must arrive
PATIENCE = 30  # seconds for open requests when the server stops
LATENCY = Histogram(
    "dslp_latency_seconds",
    "From the request to its answer.",
    ["status", "version", "role"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REFUSED = Counter("dslp_refused_requests", "Requests that `schema.py` does not allow.")
FAILURES: dict[type[Exception], tuple[int, str]] = {
    OverflowError: (422, "a number is too large"),
    asyncio.QueueFull: (503, "too many requests are waiting; try again"),
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body {{font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}}
pre {{background: #f4f4f4; padding: 1rem; white-space: pre-wrap}}</style>
<h1>{name}</h1><p><code>POST /predict</code> answers a record, or a list of records:</p>
<pre>{command}</pre><p>For machines: <a href="/openapi.json">/openapi.json</a>,
<a href="/health">/health</a>, <a href="/metrics">/metrics</a>.</p><pre>{schemas}</pre></html>
"""

logger = logging.getLogger("dslp.serve")


def application(api: Api, live: LiveModel, log: Log, poll: float) -> FastAPI:
    """The web application of a model; the registry is read each `poll` seconds."""
    predictor = Predictor(api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        ended = asyncio.Event()
        watching = asyncio.create_task(live.watch(poll))
        writing = asyncio.create_task(log.write_all(ended))
        yield
        watching.cancel()
        ended.set()  # after the last answer
        await writing

    async def predict(body: Any, identifier: str, key: str) -> Response:
        started, arrival = time.perf_counter(), datetime.now(UTC)
        loaded = live.choose(key or identifier)
        version, role = loaded.version, loaded.role
        headers = {"X-Request-ID": identifier, "X-Model-Version": version, "X-Model-Role": role}
        records, status = body if isinstance(body, list) else [body], 200
        try:
            answers = await predictor.predict(loaded, records)
            text = api.answers.dump_json(answers, by_alias=True)
            text = text if records is body else text[1:-1]  # a record gets its own answer
        except Exception as error:  # whatever an estimator or a schema's own code raises
            status, detail = FAILURES.get(type(error), (500, "the model cannot answer this"))
            logger.error("request %s, version %s: %s", identifier, version, error)
            text = json.dumps({"detail": detail}).encode()
        took = time.perf_counter() - started
        LATENCY.labels(status, version, role).observe(took)
        if status == 200:
            facts = {
                "request_id": identifier,
                "time": arrival.isoformat(timespec="microseconds"),
                "model": api.model.name,
                "version": version,
                "semantic": loaded.semantic,
                "role": role,
                "latency_ms": round(took * 1000, 3),
            }
            log.add(facts, records, answers)
        return Response(text, status, headers, "application/json")

    app = declare(api, predict, lifespan=lifespan)

    @app.exception_handler(RequestValidationError)
    async def refuse(_: Request, error: RequestValidationError) -> Response:
        # Without the values: they may be large, or no JSON.
        problems = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()]
        REFUSED.inc()
        return JSONResponse({"detail": problems[:100]}, 422)

    async def page(_: Request) -> Response:
        schemas = escape(json.dumps(app.openapi()["components"]["schemas"], indent=2))
        command = escape(example_command(api, "http://HOST:PORT"))
        return HTMLResponse(PAGE.format(name=api.model.name, command=command, schemas=schemas))

    async def health(_: Request) -> Response:  # it does not answer before a model is loaded
        facts = {"status": "ready", "model": api.model.name, "share": live.share}
        for role, one in live.loaded.items():
            facts[role] = {"version": one.version, "semantic": one.semantic, "run": one.run}
        return JSONResponse(facts)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    for path, answer in {"/": page, "/docs": page, "/health": health, "/metrics": metrics}.items():
        app.add_route(path, answer, ["GET"])
    return app


def example_command(api: Api, address: str) -> str:
    """A command that requests a prediction; empty if `schema.py` allows no simple example."""
    if api.example is None:
        return ""
    body = shlex.quote(api.example.model_dump_json(by_alias=True))
    return f"curl -H 'Content-Type: application/json' -d {body} {address}/predict"


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request does not arrive in time, or is much too large.

    FastAPI bounds the body that it reads; uvicorn has no setting for the rest.
    """

    deadline: asyncio.TimerHandle | None = None
    limit = received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait(ARRIVAL)

    def on_message_begin(self) -> None:
        """Wait for the headers."""
        super().on_message_begin()
        self._wait(ARRIVAL)
        self.limit, self.received = HEAD, 0

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        super().on_headers_complete()
        self.limit += 2 * BYTES

    def on_message_complete(self) -> None:
        """Wait no more."""
        super().on_message_complete()
        self._wait(None)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        for start in range(0, len(data), PART):
            part = data[start : start + PART]
            self.received += len(part)
            super().data_received(part)
            if self.received > self.limit:
                self.transport.abort()
            if self.transport.is_closing():
                return

    def _wait(self, seconds: float | None) -> None:
        if self.deadline:
            self.deadline.cancel()
        self.deadline = self.loop.call_later(seconds, self.transport.abort) if seconds else None


def serve(api: Api, host: str, port: int, share: float, folder: Path, poll: float) -> None:
    """Serve until the process is told to stop; then answer open requests and write all of the log.

    Once it answers, it prints its address, and a command that requests a prediction if `schema.py`
    allows a simple example.

    Args:
        api: of the model.
        host: the address to listen at.
        port: 0 is any free one.
        share: of the requests, for the challenger.
        folder: of the log of predictions.
        poll: seconds between two checks of the registry.

    Raises:
        DslpError: nothing can listen there, or there is no champion, or it cannot be loaded.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = f"nothing can listen at {host}:{port} ({error})"
        raise DslpError(f"{reason}; give another --host or --port") from None
    with opened:
        app = application(api, LiveModel(api, share), Log(folder), poll)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # once uvicorn has stopped in order
        options: Any = {"log_config": None, "access_log": False, "server_header": False}
        options |= {"proxy_headers": False, "ws": "none", "timeout_graceful_shutdown": PATIENCE}
        host, port = opened.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        say(f"{api.model.name} at {address}")
        say(example_command(api, address))
        with suppress(KeyboardInterrupt):
            config = uvicorn.Config(app, http=BoundedHttp, **options)
            uvicorn.Server(config).run(sockets=[opened])
