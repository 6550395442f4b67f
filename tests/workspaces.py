"""Workspaces of vendors, as far as runs go: their own paths, names and refusals before MLflow's.

What a workspace has in common with MLflow's server, a real one answers behind it.
"""

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

API = "/api/2.0/mlflow"


class Serving(http.server.ThreadingHTTPServer):
    """A workspace that serves: what is behind it, and what it was asked."""

    behind: str
    seen: list[tuple[str, str]]


class Workspace(http.server.BaseHTTPRequestHandler):
    """What a workspace of any vendor does; which paths are its own is the vendor's."""

    server: Serving
    protocol_version = "HTTP/1.1"

    def asked(self) -> str:
        """The body of the request, noted with its path."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        self.server.seen.append((self.path.partition("?")[0], body))
        return body

    def answer(self) -> None:
        """What the vendor answers."""
        raise NotImplementedError

    def forwarded(self, path: str, body: str) -> tuple[int, bytes]:
        """What MLflow's server says; its own scheme of artifacts is an address for the client."""
        there = f"{self.server.behind}/api/2.0/mlflow-artifacts/artifacts/"
        request = urllib.request.Request(
            self.server.behind + path,
            body.replace(there, "mlflow-artifacts:/").encode() or None,
            {"content-type": "application/json"},
            method=self.command,
        )
        try:
            with urllib.request.urlopen(request) as response:
                said = response.read().replace(b"mlflow-artifacts:/", there.encode())
                return response.status, said
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def say(self, status: int, content: bytes = b"{}") -> None:
        """Answer with JSON."""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        """Whatever the method is."""
        self.answer()

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Databricks(Workspace):
    """Databricks: a token, experiments that are paths, and models in Unity Catalog."""

    def answer(self) -> None:
        """Unity Catalog is said to hold one version; MLflow's server says the rest."""
        body = self.asked()
        if not self.path.startswith(API):
            return self.say(200)
        if self.headers.get("authorization") != "Bearer a-token":
            return self.say(401)
        if "/unity-catalog/" in self.path:
            version = {"name": "main.pricing.frequency", "version": "1"}
            found = {"model_versions": [version], "model_version": version}
            known = "/unity-catalog/model-versions/" in self.path
            return self.say(200, json.dumps(found).encode() if known else b"{}")
        if self.path.endswith("/experiments/create"):
            assert json.loads(body)["name"].startswith("/"), "Databricks takes paths only"
        return self.say(*self.forwarded(self.path, body))


class AzureML(Workspace):
    """Azure Machine Learning: a scope before each path, no logged models, no aliases.

    It gives the token of a managed identity too, which Azure has at another address.
    """

    SCOPE = (
        "/mlflow/v2.0/subscriptions/s/resourceGroups/g/providers"
        "/Microsoft.MachineLearningServices/workspaces/w"
    )

    def answer(self) -> None:
        """MLflow's server says what the workspace has too."""
        body = self.asked()
        if self.path.startswith("/identity?"):
            good = self.headers.get("x-identity-header") == "a-secret"
            token = {"access_token": "a-token", "expires_on": "4102444800", "resource": "azure"}
            return self.say(200 if good else 401, json.dumps(token).encode())
        if self.headers.get("authorization") != "Bearer a-token":
            return self.say(401)
        path = self.path.removeprefix(self.SCOPE)
        if not path.startswith(API) or "/logged-models" in path or path.endswith("/alias"):
            return self.say(404, b'{"error": {"code": "NotFound"}}')
        return self.say(*self.forwarded(path, body))


@contextmanager
def workspace(
    kind: type[Workspace], behind: str, certificate: Path | None = None
) -> Iterator[Serving]:
    """A workspace on loopback, before the MLflow server at `behind`.

    With a certificate (a file with its key), it is asked over TLS.
    """
    with Serving(("127.0.0.1", 0), kind) as serving:
        serving.behind, serving.seen = behind, []
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            serving.socket = context.wrap_socket(serving.socket, server_side=True)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def self_signed(file: Path) -> Path:
    """Write a certificate for 127.0.0.1, and its key, to a file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
