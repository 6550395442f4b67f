"""The stand-in on the wire: loopback for most clients, a unix socket for Debian's `gh`."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.github.standin.description import HOST
from tests.github.standin.faults import Cut
from tests.github.standin.server import Request, Standin


def rehost(value: Any, host: str) -> Any:
    """Addresses within a body as the client reaches them; texts of people stay as they are."""
    if isinstance(value, list):
        return [rehost(one, host) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: one.replace(HOST, host, 1)
        if isinstance(one, str) and (key.endswith(("url", "href")) or key in ("self", "git"))
        else rehost(one, host)
        for key, one in value.items()
    }


class Handler(BaseHTTPRequestHandler):
    """HTTP, and nothing else."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece, or the client waits 40 ms for the second
    standin: Standin

    def respond(self) -> None:
        split = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {key.lower(): value for key, value in self.headers.items()}
        query = parse_qs(split.query, keep_blank_values=True)
        request = Request(0, self.command, split.path, query, parse(raw), headers)
        try:
            status, body, extra = self.standin.handle(request, raw)
        except Cut:
            self.close_connection = True
            return
        except Exception as error:  # ours, not the client's: the test must hear of it
            self.standin.violations.append(f"{request}: the stand-in broke: {error!r}")
            status, body, extra = 500, {"message": "Server Error"}, {}
        plain = headers.get("host", "") == "api.github.com"
        host = HOST if plain else self.standin.url
        data = b"" if body is None else json.dumps(rehost(body, host)).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            for key, value in extra.items():
                self.send_header(key, value.replace(HOST, host))
            self.end_headers()
            self.wfile.write(data)
        except OSError:  # the client did not wait
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = respond  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is `Standin.requests`."""

    def address_string(self) -> str:
        return "client"


def parse(raw: bytes) -> Any:
    """A body as JSON, or as it came."""
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The same over a socket in a folder, which Debian's `gh` takes for api.github.com."""

    daemon_threads = True


def serve(standin: Standin, socket: Path | None = None) -> socketserver.BaseServer:
    """Answer on loopback, or on a unix socket, until `shutdown`."""
    handler = type("Bound", (Handler,), {"standin": standin})
    server: socketserver.BaseServer
    if socket:
        server = UnixServer(str(socket), handler)
    else:
        tcp = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        standin.url = f"http://127.0.0.1:{tcp.server_port}"
        server = tcp
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
