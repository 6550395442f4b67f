"""The stand-in on the wire."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.github.standin.faults import Cut
from tests.github.standin.server import Request, Standin


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece, or the client waits 40 ms for the second
    standin: Standin

    def respond(self) -> None:
        split = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        query = parse_qs(split.query, keep_blank_values=True)
        token = self.headers.get("authorization", "").rpartition(" ")[2]
        try:
            version = self.headers.get("x-github-api-version", "")
            request = Request(self.command, split.path, query, raw, token, version)
            reply = self.standin.handle(request)
        except Cut:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for key, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // (2 if reply.is_cut else 1)])
        self.close_connection |= reply.is_cut

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = respond  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is `Standin.requests`."""


def serve(standin: Standin) -> ThreadingHTTPServer:
    """Answer on loopback until `shutdown`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"standin": standin}))
    standin.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
