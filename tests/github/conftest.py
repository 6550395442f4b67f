"""GitHub's stand-in as a fixture; a test fails if anything said to or by it was not GitHub's."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services
from tests.github.evaluator import Evaluator
from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.github.workflows import Runner
from tests.template_copy import Template

UV = f"""\
#!/bin/sh
case "$*" in
  build*) exec "{shutil.which("uv")}" "$@" ;;
  run*" dslp "*) while [ "$1" != dslp ]; do shift; done; shift ;;
  *) exit 0 ;;
esac
exec "{sys.executable}" -m dslp "$@"
"""


@pytest.fixture
def github() -> Iterator[Standin]:
    """The stand-in on loopback, empty; what was not as GitHub describes it fails the test."""
    standin = Standin()
    server = serve(standin)
    yield standin
    server.shutdown()
    server.server_close()
    assert standin.violations == []


@pytest.fixture(scope="session")
def evaluator() -> Iterator[Evaluator]:
    """GitHub's own workflow parser and expression evaluator; skips where npm cannot have it."""
    evaluator = Evaluator(services.node_modules())
    with evaluator.process:
        yield evaluator


@pytest.fixture
def runner(evaluator: Evaluator, github: Standin, tmp_path: Path, default_project: Path) -> Runner:
    """Runs the workflows of a project in a folder of its own, against the stand-in."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return Runner(evaluator, github, folder, default_project / ".github" / "workflows")


@pytest.fixture
def uv(runner: Runner, tmp_path: Path) -> None:
    """`uv run dslp` is this library, and `uv build` is uv's; all else is taken as done."""
    file = tmp_path / "tools" / "uv"
    file.parent.mkdir()
    file.write_text(UV)
    file.chmod(0o755)
    runner.env["PATH"] = f"{file.parent}:/usr/bin:/bin"


@pytest.fixture(scope="session")
def default_project(files: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as the template makes it, for one Python."""
    folder = tmp_path_factory.mktemp("rendered") / "project"
    return files.copy(folder, {"python_versions": ["3.12"]})


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server, which outlives each job."""
    folder = tmp_path_factory.mktemp("server")
    with services.mlflow(folder, f"sqlite:///{folder / 'mlflow.db'}") as address:
        yield address
