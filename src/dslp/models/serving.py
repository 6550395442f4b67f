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
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.models.api import Api
from dslp.models.live_model import Serving
from dslp.models.prediction_log import Answered
from dslp.models.predictor import Problem
from dslp.models.request_body import read_body, read_records, request_id
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PATIENCE = 30  # seconds for open requests when the server stops
UNABLE = "the model cannot answer this"

logger = logging.getLogger("dslp.serve")


def application(serving: Serving) -> FastAPI:
    """The web application."""
    api, metrics = serving.api, serving.metrics

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(serving.watch())
        yield
        watching.cancel()
        serving.log.close()  # after the last answer

    app = FastAPI(title=api.model.name, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.openapi = api.openapi  # type: ignore[method-assign]

    async def predict(request: Request) -> Response:
        started, arrival = time.perf_counter(), datetime.now(UTC)
        identifier = request_id(request)
        loaded = serving.choose(request.headers.get("x-split-key") or identifier)
        headers = {
            "X-Request-ID": identifier,
            "X-Model-Version": loaded.version,
            "X-Model-Role": loaded.role,
        }
        metrics.in_flight.inc()
        try:
            body = await read_body(request)
            records, single = read_records(api, body)
            answers = await serving.predictor.predict(loaded, records)
            content = answers[0].model_dump_json() if single else api.answers.dump_json(answers)
            response = Response(content, 200, headers, "application/json")
            took = time.perf_counter() - started
            line = {
                "request_id": identifier,
                "time": arrival.isoformat(timespec="microseconds"),
                "model": api.model.name,
                "version": loaded.version,
                "semantic": loaded.semantic,
                "role": loaded.role,
                "latency_ms": round(took * 1000, 3),
            }
            serving.log.add(Answered(line, records, answers))
        except Exception as error:  # whatever an estimator or a schema's own code raises
            problem = error if isinstance(error, Problem) else Problem(500, UNABLE)
            if problem is not error:
                facts = {"request_id": identifier, "version": loaded.version, "reason": str(error)}
                logger.error("not predicted", extra={"facts": facts})
            took = time.perf_counter() - started
            if problem.status in (408, 413):
                headers["Connection"] = "close"  # the rest of the body is not read
            if problem.status == 503:
                headers["Retry-After"] = "1"
            response = JSONResponse({"detail": problem.detail}, problem.status, headers)
        finally:
            metrics.in_flight.dec()
        metrics.answered(response.status_code, loaded, took)
        return response

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ready"})  # it does not listen before a model is loaded

    async def version(_: Request) -> Response:
        versions = {role: loaded.identity for role, loaded in serving.loaded.items()}
        return JSONResponse({"model": api.model.name, "share": serving.share, **versions})

    async def figures(_: Request) -> Response:
        return Response(metrics.text(), media_type=metrics.TYPE)

    app.add_route("/predict", predict, ["POST"])
    routes = {"/health": health, "/ready": health, "/version": version, "/metrics": figures}
    for path, answer in routes.items():
        app.add_route(path, answer, ["GET"])
    return app


class _JsonLines(logging.Formatter):
    """A line of JSON for each event."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return json.dumps(facts)


@contextmanager
def open_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A socket for the server; it does not listen yet.

    Raises:
        DslpError: the host or port cannot be used.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError as error:
            reason = f"nothing can listen at {host}:{port} ({error})"
            raise DslpError(f"{reason}; give another --host or --port") from None
        yield opened


def serve(api: Api, opened: socket.socket, share: float, log: Path, poll: float) -> None:
    """Serve until the process is told to stop; then answer open requests and write all of the log.

    Once it listens, it prints its address, and a command that requests a prediction if `schema.py`
    allows a simple example.

    Args:
        api: of the model.
        opened: the socket, from `open_socket`.
        share: of the requests, for the challenger.
        log: folder of the predictions.
        poll: seconds between two checks of the registry.

    Raises:
        DslpError: there is no champion, or it cannot be loaded.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    serving = Serving(api, share, log, poll)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # once uvicorn has stopped in order
    options: Any = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(application(serving), timeout_graceful_shutdown=PATIENCE, **options)
    opened.listen(1024)  # who connects from here on is answered
    host, port = opened.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    say(f"{api.model.name} at {address}")
    if api.example is not None:
        body = shlex.quote(api.example.model_dump_json(by_alias=True))
        say(f"curl -H 'Content-Type: application/json' -d {body} {address}/predict")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[opened])
