"""A model's server as a process of its own, and clients of it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.library.toy import Toy


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: "subprocess.Popen[str]"
    port: int
    curl: str
    log: Path
    errors: Path

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Get a path, or post a body to it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Content-Type": "application/json", **named}
        connection.request("GET" if body is None else "POST", path, text, named)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, received, response.read())
        connection.close()
        return answer

    def metric(self, line: str) -> float:
        """A figure of `/metrics`."""
        lines = self.ask("/metrics").body.decode().splitlines()
        return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(line))

    def champion(self) -> str:
        """Number of the version that is the champion for it."""
        return str(self.ask("/health").json["champion"]["version"])

    def logged(self) -> list[dict[str, Any]]:
        """All lines of its log of predictions."""
        return [json.loads(line) for file in self.log.glob("*") for line in file.open()]


@contextmanager
def serving(toy: Toy, log: Path, *options: str, python: str = sys.executable) -> Iterator[Server]:
    """A server of the toy's model at a free port."""
    errors = log.with_suffix(".err")
    command = [python, "-m", "dslp", "model", "serve", "--port", "0"]
    command += ["--poll", "0.1", "--log", str(log), *options]
    with errors.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=toy.root, stdout=subprocess.PIPE, stderr=stream, text=True, env=os.environ
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("frequency at http://"), errors.read_text()
        port, curl = int(line.rpartition(":")[2]), process.stdout.readline()
        server = Server(process, port, curl, log, errors)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        process.stdout.close()


@contextmanager
def load(server: Server, record: Any, clients: int = 4) -> Iterator[list[Answer]]:
    """Clients that request all the while, and the answers they got."""
    answers: list[Answer] = []
    ended = threading.Event()

    def request(_: int) -> None:
        while not ended.is_set():
            answers.append(server.ask("/predict", record))

    with ThreadPoolExecutor(clients) as pool:
        running = pool.map(request, range(clients))
        yield answers
        ended.set()
        list(running)


def until(condition: Any, seconds: float = 30) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
