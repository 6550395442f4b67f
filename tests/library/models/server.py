"""A model's server as a process of its own, and clients of it."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import services
from tests.library.conftest import make
from tests.library.toy import Toy

JSON = {"Content-Type": "application/json"}


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
    log: Path
    errors: Path

    def connection(self) -> http.client.HTTPConnection:
        """A connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Get a path, or post a body to it."""
        connection = self.connection()
        text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", path, text, {**JSON, **named})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, found, response.read())
        connection.close()
        return answer

    def metric(self, line: str) -> float:
        """A figure of `/metrics`."""
        lines = self.ask("/metrics").body.decode().splitlines()
        return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(line))

    def champion(self) -> str:
        """Number of the version that is the champion for it."""
        return str(self.ask("/version").json["champion"]["version"])

    def stop(self) -> None:
        """Tell it to stop, in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.errors.read_text()

    def logged(self) -> list[dict[str, Any]]:
        """All lines of its log of predictions."""
        return [json.loads(line) for file in self.log.glob("*") for line in file.open()]

    def said(self) -> list[dict[str, Any]]:
        """What it said of itself."""
        return [json.loads(line) for line in self.errors.read_text().splitlines()]


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
        server = Server(process, int(line.rpartition(":")[2]), log, errors)
        until(lambda: answers(server))
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        process.stdout.close()


LOAD = """
local number = 0
request = function()
  number = number + 1
  local headers = {["Content-Type"] = "application/json", ["X-Request-ID"] = "wrk-" .. number}
  return wrk.format("POST", nil, headers, [[%s]])
end
done = function(summary)
  local e = summary.errors
  print(summary.requests, e.connect + e.read + e.write + e.status + e.timeout)
end
"""


@dataclass
class Load:
    """How many requests were answered, and how many were not, or not as they should be."""

    requests: int = 0
    errors: int = 0


@contextmanager
def load(server: Server, record: Any, clients: int = 8) -> Iterator[Load]:
    """Clients that ask for predictions all the while, each request with a name of its own."""
    if shutil.which("wrk") is None:
        services.missing("no wrk on PATH (apt-get install wrk)")
    script = server.log.with_suffix(".lua")
    script.write_text(LOAD % json.dumps(record))
    command = ["wrk", "-t1", f"-c{clients}", "-d900s", "--timeout", "30s", "-s", str(script)]
    address = f"http://127.0.0.1:{server.port}/predict"
    held = Load()
    with subprocess.Popen([*command, address], stdout=subprocess.PIPE, text=True) as running:
        try:
            yield held
        finally:
            running.send_signal(signal.SIGINT)
            said, _ = running.communicate(timeout=30)
    held.requests, held.errors = map(int, said.splitlines()[-1].split())


def release(folder: Path, data: Path, store: Path) -> Toy:
    """A toy project with a champion, from built data and an empty tracking database."""
    toy = make(folder)
    shutil.copytree(data, toy.root / "data")
    (toy.root / "mlruns").mkdir()
    shutil.copy(store, toy.root / "mlruns" / "mlflow.db")
    toy.commit()
    toy.train_and_register()
    toy.done("model", "promote")
    return toy


def answers(server: Server) -> bool:
    """Whether it is ready."""
    try:
        return server.ask("/ready").status == 200
    except OSError:
        return False


def until(condition: Any, seconds: float = 30) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
