"""A project installs its library from a public template as it is, from a private one with a secret.

Git's own server over TLS on loopback stands for GitHub; uv and git are the real ones.
"""

import base64
import http.server
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.github import payloads
from tests.github.standin.server import Standin
from tests.github.workflows import Job, Runner
from tests.template_copy import Template, git
from tests.workspaces import self_signed

pytestmark = pytest.mark.slow

TOKEN = 'a token of $(touch stolen) "quotes" and 100 %s'
LIBRARY = """\
[project]
name = "dslp"
version = "0.1.0"
requires-python = ">=3.11"
[project.scripts]
dslp = "dslp:main"
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
"""
PROJECT = """\
[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.11"
[dependency-groups]
process = ["dslp"]
[tool.uv]
package = false
[tool.uv.sources]
dslp = {{ git = "{address}" }}
"""


@dataclass
class Host:
    """A host of git repositories, who may read them, and the credentials that it was shown."""

    repositories: Path
    address: str = ""
    private: bool = True
    shown: list[tuple[str, str]] = field(default_factory=list)


class Repositories(http.server.BaseHTTPRequestHandler):
    """Git's own `http-backend`, behind basic authentication."""

    host: Host

    def do_GET(self) -> None:
        """Answer as git does, to those who may read."""
        path, _, query = self.path.partition("?")
        said = self.headers.get("authorization", "")
        if said:
            self.host.shown.append((path, said))
        right = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.host.private and said != f"Basic {right}":
            self.send_response(401)
            self.send_header("www-authenticate", 'Basic realm="git"')
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        env = {
            "GIT_PROJECT_ROOT": str(self.host.repositories),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH": os.environ["PATH"],
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host with the template, which has a library of one command, and with another repository."""
    host = Host(tmp_path / "repositories")
    for name in ("template", "other"):
        folder = tmp_path / name
        (folder / "src" / "dslp").mkdir(parents=True)
        (folder / "pyproject.toml").write_text(LIBRARY)
        code = 'def main() -> None:\n    print("it runs")\n'
        (folder / "src" / "dslp" / "__init__.py").write_text(code)
        git("init", "--quiet", cwd=folder)
        git("add", "--all", cwd=folder)
        git("commit", "--quiet", "--message", "a library", cwd=folder)
        git("clone", "--quiet", "--bare", str(folder), str(host.repositories / f"{name}.git"))
    handler = type("Handler", (Repositories,), {"host": host})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self_signed(tmp_path / "certificate.pem"))
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        host.address = f"https://127.0.0.1:{serving.server_port}"
        yield host
        serving.shutdown()


@pytest.fixture
def project(host: Host, files: Template, runner: Runner, tmp_path: Path) -> Path:
    """A project of that template, whose labels workflow installs what its lock pins."""
    made = files.copy(tmp_path / "made", {"library": f"git+{host.address}/template.git"})
    shutil.copytree(made / ".github", runner.folder / ".github")
    runner.workflows = runner.folder / ".github" / "workflows"
    address = f"{host.address}/template.git"
    (runner.folder / "pyproject.toml").write_text(PROJECT.format(address=address))
    runner.env |= {
        "GIT_SSL_CAINFO": str(tmp_path / "certificate.pem"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "GIT_TRACE": str(tmp_path / "trace"),
    }
    host.private = False
    locking = os.environ | runner.env
    subprocess.run(["uv", "lock"], cwd=runner.folder, env=locking, check=True, capture_output=True)
    shutil.rmtree(tmp_path / "cache")
    host.private = True
    return runner.folder


def installed(runner: Runner, github: Standin) -> Job:
    """What becomes of a job that runs a command of the library."""
    claims = github.repositories.get("ada/claims") or github.add_repository("ada/claims")
    payload = payloads.workflow_dispatch(claims, "main")
    return runner.run("labels.yml", "workflow_dispatch", payload).jobs["labels"]


def test_a_public_template_needs_nothing(
    project: Path, host: Host, runner: Runner, github: Standin
) -> None:
    host.private = False
    job = installed(runner, github)
    assert job.conclusion == "success", job.log
    assert "it runs" in job.log
    assert host.shown == []


def test_a_private_template_needs_one_secret_which_nobody_else_sees(
    project: Path, host: Host, runner: Runner, github: Standin, tmp_path: Path
) -> None:
    assert installed(runner, github).conclusion == "failure"
    assert all("it runs" not in step.log for step in installed(runner, github).steps)
    host.shown.clear()
    runner.secrets["DSLP_TOKEN"] = TOKEN
    job = installed(runner, github)
    assert job.conclusion == "success", job.log
    assert "it runs" in job.log
    assert {path.split(".git")[0] for path, _ in host.shown} == {"/template"}
    assert "a token of" not in job.log
    assert "a token of" not in (tmp_path / "trace").read_text(), "in the command of a process"
    assert not list(tmp_path.rglob("*stolen*"))
    kept = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and b"a token of" in path.read_bytes()
    ]
    assert kept == [], "nothing of it stays on the machine"

    # The same secret is not for another repository of the same host.
    host.shown.clear()
    shutil.rmtree(tmp_path / "cache")
    for name in ("pyproject.toml", "uv.lock"):
        text = (project / name).read_text()
        (project / name).write_text(text.replace("/template.git", "/other.git"))
    assert installed(runner, github).conclusion == "failure"
    assert host.shown == []
