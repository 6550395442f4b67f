"""Serving a model: champion and challenger behind the API of `schema.py` (M2, M9, M12).

One process, one event loop that reads and answers, one thread that predicts: requests that wait
while it does are predicted together, which costs about as much as one of them.
"""

import asyncio
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from dslp.core.errors import DslpError
from dslp.models.api import Api
from dslp.models.live_model import Serving
from dslp.models.prediction_log import Answered
from dslp.models.predictor import Problem
from dslp.models.request_body import body_of, read_records, request_id
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PATIENCE = 30  # seconds for the last answers to leave

logger = logging.getLogger("dslp.serve")


def application(serving: Serving) -> FastAPI:
    """The web application."""
    api, metrics = serving.api, serving.metrics

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(serving.watch())
        yield
        watching.cancel()
        serving.log.close()  # all requests have been answered by now

    app = FastAPI(title=api.model.name, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.openapi = api.openapi  # type: ignore[method-assign]

    async def predict(request: Request) -> Response:
        started, at = time.perf_counter(), datetime.now(UTC)
        identifier = request_id(request)
        loaded = serving.choose(request.headers.get("x-split-key") or identifier)
        headers = {
            "X-Request-ID": identifier,
            "X-Model-Version": loaded.version,
            "X-Model-Role": loaded.role,
        }
        metrics.in_flight.inc()
        try:
            body = await body_of(request)
            records, single = read_records(api, body)
            answers = await serving.predictor.predict(loaded, records)
            content = answers[0].model_dump_json() if single else api.answers.dump_json(answers)
            response = Response(content, 200, headers, "application/json")
            took = time.perf_counter() - started
            line = {
                "request_id": identifier,
                "time": at.isoformat(timespec="microseconds"),
                "model": api.model.name,
                "version": loaded.version,
                "semantic": loaded.semantic,
                "role": loaded.role,
                "latency_ms": round(took * 1000, 3),
            }
            serving.log.add(Answered(line, records, answers))
            serving.last = records[0]
        except Exception as error:  # whatever an estimator or a schema's own code raises
            if isinstance(error, Problem):
                problem = error
            else:
                facts = {"request_id": identifier, "version": loaded.version, "reason": str(error)}
                logger.error("not predicted", extra={"facts": facts})
                problem = Problem(500, "the model cannot answer this")
            took = time.perf_counter() - started
            if problem.status in (408, 413):
                headers["Connection"] = "close"  # what is left of the body is not read
            if problem.status == 503:
                headers["Retry-After"] = "1"
            response = JSONResponse({"detail": problem.detail}, problem.status, headers)
        finally:
            metrics.in_flight.dec()
        metrics.answered(response.status_code, loaded, took)
        return response

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        return JSONResponse({"status": "ready"})  # it does not listen before a model is loaded

    async def version(_: Request) -> Response:
        known = {role: one.identity for role, one in serving.loaded.items()}
        return JSONResponse({"model": api.model.name, "share": serving.share, **known})

    async def measured(_: Request) -> Response:
        return Response(metrics.text(), media_type=metrics.TYPE)

    app.add_route("/predict", predict, ["POST"])
    for path, answer in (
        ("/health", health),
        ("/ready", ready),
        ("/version", version),
        ("/metrics", measured),
    ):
        app.add_route(path, answer, ["GET"])
    return app


class _Json(logging.Formatter):
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


def serve(
    api: Api,
    host: str,
    port: int,
    share: float,
    log: Path,
    poll: float,
    listening: Callable[[str], None],
) -> None:
    """Serve until told to stop; then answer what is in flight, and write all of the log.

    Raises:
        DslpError: the port is taken, or there is nothing to serve.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        door = socket.socket(family)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))  # it listens, and so is ready, once a model is loaded
    except (OSError, OverflowError) as error:
        raise DslpError(
            f"nothing can listen at {host}:{port} ({error}); say another --host or --port"
        ) from None
    with door:
        serving = Serving(api, share, log, poll)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # once uvicorn has stopped in order
        config = uvicorn.Config(
            application(serving),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
        door.listen(1024)  # from here on, who connects is answered
        address, number = door.getsockname()[:2]
        listening(f"http://{f'[{address}]' if ':' in address else address}:{number}")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[door])
