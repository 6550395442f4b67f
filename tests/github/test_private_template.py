"""A project installs its library from a public template as it is, from a private one with a secret.

A server of git's files over TLS on loopback stands for GitHub; uv and git are the real ones.
"""

import base64
import http.server
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.github import payloads
from tests.github.standin.server import Standin
from tests.github.workflows import Job, Runner
from tests.template_copy import Template, commit, git
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


class Host(http.server.ThreadingHTTPServer):
    """A host of git repositories, who may read them, and for which it was shown credentials."""

    folder: Path
    private = False
    shown: list[str]


class Repositories(http.server.SimpleHTTPRequestHandler):
    """The files of bare repositories, behind basic authentication."""

    server: Host

    def __init__(self, request: Any, address: Any, host: Host) -> None:
        super().__init__(request, address, host, directory=str(host.folder))

    def do_GET(self) -> None:
        credentials = self.headers.get("authorization", "")
        if credentials:
            self.server.shown.append(self.path)
        right = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if not self.server.private or credentials == f"Basic {right}":
            return super().do_GET()
        self.send_response(401)
        self.send_header("www-authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host with the template, which has a library of one command, and with another repository."""
    library = tmp_path / "library"
    (library / "src" / "dslp").mkdir(parents=True)
    (library / "pyproject.toml").write_text(LIBRARY)
    code = 'def main() -> None:\n    print("it runs")\n'
    (library / "src" / "dslp" / "__init__.py").write_text(code)
    commit(library)
    host = Host(("127.0.0.1", 0), Repositories)
    host.folder, host.shown = tmp_path / "repositories", []
    for name in ("template", "other"):
        bare = host.folder / f"{name}.git"
        git("clone", "--quiet", "--bare", str(library), str(bare))
        git("update-server-info", cwd=bare)
    with services.serving(host, self_signed(tmp_path / "certificate.pem")):
        yield host


@pytest.fixture
def project(host: Host, files: Template, runner: Runner, tmp_path: Path) -> Path:
    """A project of that template, whose labels workflow installs what its lock pins."""
    address = f"https://127.0.0.1:{host.server_port}/template.git"
    rendered = files.copy(tmp_path / "rendered", {"library": f"git+{address}"})
    shutil.copytree(rendered / ".github", runner.folder / ".github")
    runner.workflows = runner.folder / ".github" / "workflows"
    (runner.folder / "pyproject.toml").write_text(PROJECT.format(address=address))
    runner.env |= {
        "GIT_SSL_CAINFO": str(tmp_path / "certificate.pem"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "GIT_TRACE": str(tmp_path / "trace"),
    }
    locking = os.environ | runner.env
    subprocess.run(["uv", "lock"], cwd=runner.folder, env=locking, check=True, capture_output=True)
    shutil.rmtree(tmp_path / "cache")
    return runner.folder


def test_a_private_template_needs_one_secret_which_nobody_else_sees(
    project: Path, host: Host, runner: Runner, github: Standin, tmp_path: Path
) -> None:
    payload = payloads.workflow_dispatch(github.add_repository("ada/claims"), "main")

    def install() -> Job:
        """What becomes of a job that runs a command of the library."""
        host.shown.clear()
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return runner.run("labels.yml", "workflow_dispatch", payload).jobs["labels"]

    job = install()  # while it is public, nothing is needed
    assert (job.conclusion, "it runs" in job.log, host.shown) == ("success", True, []), job.log
    shutil.rmtree(project / ".venv")
    host.private = True
    assert install().conclusion == "failure"
    runner.secrets["DSLP_TOKEN"] = TOKEN
    job = install()
    assert (job.conclusion, "it runs" in job.log) == ("success", True), job.log
    assert {path.split(".git")[0] for path in host.shown} == {"/template"}
    assert "a token of" not in job.log
    assert "a token of" not in (tmp_path / "trace").read_text(), "in the command of a process"
    assert not list(tmp_path.rglob("*stolen*"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if b"a token of" in path.read_bytes()] == []

    # The same secret is not for another repository of the same host.
    for name in ("pyproject.toml", "uv.lock"):
        text = (project / name).read_text()
        (project / name).write_text(text.replace("/template.git", "/other.git"))
    assert install().conclusion == "failure"
    assert host.shown == []
