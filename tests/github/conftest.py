"""GitHub's stand-in as a fixture; a test fails if anything said to or by it was not GitHub's."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from github import Auth, Github

from tests import services
from tests.github.evaluator import HERE, Evaluator
from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.github.workflows import Runner
from tests.node import Missing, install
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


@pytest.fixture
def client(github: Standin) -> Callable[..., Github]:
    """PyGithub for a token (by default of ada, who owns everything), which does not try again."""

    def connect(token: str = "", **options: Any) -> Github:
        calm = {"seconds_between_requests": 0, "seconds_between_writes": 0, "retry": None}
        usual: dict[str, Any] = {**calm, "api_version": "2022-11-28"}
        auth = Auth.Token(token or github.add_token())
        return Github(base_url=github.url, auth=auth, **{**usual, **options})

    return connect


@pytest.fixture(scope="session")
def evaluator(request: pytest.FixtureRequest) -> Iterator[Evaluator]:
    """GitHub's own workflow parser and expression evaluator; skips where it cannot be had."""
    cache: Path = request.config.cache.mkdir("node")
    try:
        evaluator = Evaluator(install(HERE, cache))
        evaluator.evaluate("true", {})
    except Missing as missing:
        services.missing(f"workflows cannot be run: {missing}")
    yield evaluator
    evaluator.close()


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
