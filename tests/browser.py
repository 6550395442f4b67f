"""Pages as a browser shows them: Chromium, driven over its own protocol."""

import base64
import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
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
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of a script, once it is true; 10 seconds are enough for what a page does."""
        deadline = time.monotonic() + 10
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.05)
        return value

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


def type_text(tab: Browser, text: str) -> None:
    """Press the keys of a text, one after the other; line feed is Enter, and tab is Tab."""
    for letter in text:
        name, code = {"\n": ("Enter", 13), "\t": ("Tab", 9)}.get(letter, (letter, 0))
        key = {"key": name, "windowsVirtualKeyCode": code}
        shown = {"\n": {"text": "\r"}, "\t": {}}.get(letter, {"text": letter})
        tab.ask("Input.dispatchKeyEvent", type="keyDown", **key, **shown)
        tab.ask("Input.dispatchKeyEvent", type="keyUp", **key)


def axe(tab: Browser) -> list[str]:
    """What axe-core finds wrong with the page that is shown, one line each."""
    tab.run(axe_source())
    script = """axe.run({preload: false}).then(result => result.violations.map(one =>
        `${one.id}: ${one.help}: ${one.nodes.slice(0, 5).map(node => node.html).join("  ")}`))"""
    violations: list[str] = tab.run(script)
    return violations


@functools.cache
def axe_source() -> str:
    return (services.node_modules() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def screenshot(tab: Browser, name: str) -> None:
    """Keep a picture of the whole page in the folder that SCREENSHOTS names, if it does."""
    if folder := os.environ.get("SCREENSHOTS"):
        size = tab.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = size | {"height": min(size["height"], 4_000), "scale": 1}
        answer = tab.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path = Path(folder, f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))


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
