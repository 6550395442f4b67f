"""Pages as a browser shows them: Chromium, driven over its own protocol."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests import services


@dataclass
class Browser:
    """One tab of a browser, and what it said and asked for since the last page was opened."""

    socket: ClientConnection
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    session: str = ""

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        self.socket.send(
            json.dumps(message | ({"sessionId": self.session} if self.session else {}))
        )
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, address: str, width: int, scheme: str) -> None:
        """Show a page in a window of this width, as somebody sees it who prefers this scheme."""
        self._go("about:blank")  # so that no page before this one keeps the scheme
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.requests.clear()
        self.errors.clear()
        self._go(address)
        self.run("new Promise(done => setTimeout(done, 300))")  # what the page starts by itself

    def run(self, script: str) -> Any:
        answer = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    def _go(self, address: str) -> None:
        self.ask("Page.navigate", url=address)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=30))
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        level = params.get("entry", {}).get("level") or params.get("type")
        if method in ("Runtime.exceptionThrown", "Network.loadingFailed") or (
            method in ("Log.entryAdded", "Runtime.consoleAPICalled") and level == "error"
        ):
            self.errors.append(json.dumps(params))
        return message


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser without a network; `folder` gets its settings."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        services.missing("no chromium and no google-chrome to render the page with")
    command = [
        *(program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"),
        *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={folder}"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = next(
                re.findall(r"ws://\S+", line)[0] for line in process.stderr if "ws://" in line
            )
            with connect(address, max_size=None) as socket:
                tab = Browser(socket)
                target = tab.ask("Target.createTarget", url="about:blank")["targetId"]
                session = tab.ask("Target.attachToTarget", targetId=target, flatten=True)
                tab.session = session["sessionId"]
                for domain in ("Page", "Network", "Runtime", "Log"):
                    tab.ask(f"{domain}.enable")
                forget = "localStorage.clear()"  # a page keeps the scheme that it was seen in first
                tab.ask("Page.addScriptToEvaluateOnNewDocument", source=forget)
                yield tab
        finally:
            process.terminate()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    port = services.free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    address = f"http://127.0.0.1:{port}"
    with services.process(*command, folder=folder, is_ready=lambda: services.read(address)):
        yield address
