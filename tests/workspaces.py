"""Workspaces of vendors, as far as runs go: their own paths and refusals before a real MLflow's."""

import http.server
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import services

API = "/api/2.0/mlflow"


class Serving(http.server.ThreadingHTTPServer):
    """A workspace that serves: what is behind it, and what it was asked."""

    behind: str
    seen: list[tuple[str, str]]


class Workspace(http.server.BaseHTTPRequestHandler):
    """What a workspace of any vendor does; which paths are its own is the vendor's."""

    server: Serving
    protocol_version = "HTTP/1.1"

    def read_body(self) -> str:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        self.server.seen.append((self.path.partition("?")[0], body))
        return body

    def forward(self, path: str, body: str) -> None:
        """Answer as MLflow's server does; its own scheme of artifacts is an address for clients."""
        artifacts = f"{self.server.behind}/api/2.0/mlflow-artifacts/artifacts/"
        request = urllib.request.Request(
            self.server.behind + path,
            body.replace(artifacts, "mlflow-artifacts:/").encode() or None,
            {"content-type": "application/json"},
            method=self.command,
        )
        try:
            with urllib.request.urlopen(request) as response:
                content = response.read().replace(b"mlflow-artifacts:/", artifacts.encode())
                self.reply(response.status, content)
        except urllib.error.HTTPError as error:
            self.reply(error.code, error.read())

    def reply(self, status: int, content: bytes = b"{}") -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        """What the vendor answers, whatever the method is."""
        raise NotImplementedError

    def do_POST(self) -> None:
        self.do_GET()

    do_PATCH = do_DELETE = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Databricks(Workspace):
    """Databricks: a token, experiments that are paths, and models in Unity Catalog."""

    def do_GET(self) -> None:
        """Unity Catalog is said to hold one version; MLflow's server says the rest."""
        body = self.read_body()
        if not self.path.startswith(API):
            return self.reply(200)
        if self.headers.get("authorization") != "Bearer a-token":
            return self.reply(401)
        if "/unity-catalog/" in self.path:
            version = {"name": "main.pricing.frequency", "version": "1"}
            answer = {"model_versions": [version], "model_version": version}
            is_version = "/unity-catalog/model-versions/" in self.path
            return self.reply(200, json.dumps(answer if is_version else {}).encode())
        if self.path.endswith("/experiments/create"):
            assert json.loads(body)["name"].startswith("/"), "Databricks takes paths only"
        return self.forward(self.path, body)


class AzureML(Workspace):
    """Azure Machine Learning: a scope before each path, no logged models, no aliases.

    It gives the token of a managed identity too, which Azure has at another address.
    """

    SCOPE = (
        "/mlflow/v2.0/subscriptions/s/resourceGroups/g/providers"
        "/Microsoft.MachineLearningServices/workspaces/w"
    )

    def do_GET(self) -> None:
        """MLflow's server says what the workspace has too."""
        body = self.read_body()
        if self.path.startswith("/identity?"):
            good = self.headers.get("x-identity-header") == "a-secret"
            token = {"access_token": "a-token", "expires_on": "4102444800", "resource": "azure"}
            return self.reply(200 if good else 401, json.dumps(token).encode())
        if self.headers.get("authorization") != "Bearer a-token":
            return self.reply(401)
        path = self.path.removeprefix(self.SCOPE)
        if not path.startswith(API) or "/logged-models" in path or path.endswith("/alias"):
            return self.reply(404, b'{"error": {"code": "NotFound"}}')
        return self.forward(path, body)


@contextmanager
def workspace(
    kind: type[Workspace], behind: str, certificate: Path | None = None
) -> Iterator[Serving]:
    """A workspace on loopback, before the MLflow server at `behind`.

    With a certificate (a file with its key), it is asked over TLS.
    """
    serving = Serving(("127.0.0.1", 0), kind)
    serving.behind, serving.seen = behind, []
    with services.serving(serving, certificate):
        yield serving


def self_signed(file: Path) -> Path:
    """Write a certificate for 127.0.0.1, and its key, to a file."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(file), "-out", str(file), "-subj", "/CN=127.0.0.1"]
    subject = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return file
