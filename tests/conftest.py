"""What all tests share: the rule ledger, a neutral machine, and the template as people copy it."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import services
from tests.project.whole import WHOLE
from tests.template_copy import Template, publish

if TYPE_CHECKING:
    from tests.story.team import Team

pytest_plugins = ["tests.ledger"]


@pytest.fixture(scope="session", autouse=True)
def neutral_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that is nobody's: no settings or caches of the person who tests."""
    home = tmp_path_factory.mktemp("home")
    # What a shell starts in the background ignores it, and so would all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    (home / "gitconfig").write_text("[user]\n\tname = Somebody\n\temail = somebody@example.org\n")
    (home / "copier.yml").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "copier.yml"))
        patch.setenv("COPIER_CACHE_DIR", str(home / "cache"))
        # A worker of pytest has a core: threads that wait for a second one take ten times as long.
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in (
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "VIRTUAL_ENV",
            "PYTHONDONTWRITEBYTECODE",
        ):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(scope="session")
def machine(neutral_machine: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of somebody who has git, uv and Python, outside this repository's own."""
    tools = tmp_path_factory.mktemp("bin")
    own = Path(sys.executable).parent
    (tools / "python3").symlink_to(os.path.realpath(sys.executable))
    (tools / "uv").symlink_to(own / "uv")
    others = [path for path in os.environ["PATH"].split(os.pathsep) if Path(path) != own]
    return os.environ | {"PATH": os.pathsep.join([str(tools), *others])}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The template of the working tree as its newest release, in a git repository of its own."""
    return publish(tmp_path_factory.mktemp("published") / "template")


@pytest.fixture(scope="session")
def files(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The same without git, for the many copies in which no release matters: a fifth faster."""
    path = tmp_path_factory.mktemp("files") / "template"
    return Template(shutil.copytree(template.path, path, ignore=lambda *_: [".git"]), ())


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server; its tables are each test's to replace."""
    with services.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def story(files: Template, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Team]":
    """The example's story, played to its end; its GitHub still answers (`team.person.run`)."""
    from tests.github.standin.server import Standin  # here, since few tests need pandas
    from tests.github.standin.web import serve
    from tests.story.team import play

    project = files.copy(tmp_path_factory.mktemp("story") / "demo")
    gates = project / "src" / "demo" / "models" / "claim_frequency" / "gates.yml"
    few = gates.read_text(encoding="utf-8").partition("subgroups:")[0]  # the others take 30 s
    gates.write_text(few, encoding="utf-8")
    standin = Standin()
    server = serve(standin)
    yield play(project, standin)
    server.shutdown()
    server.server_close()
    assert standin.violations == []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is long to `make campaign`, which asks for it by its mark."""
    if "campaign" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("campaign")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


# Modules whose tests share what takes long to make: a cluster, a server, a registered model.
SHARING = "card|gates|monitor|score|serve|spark|sweep"


class OneWorkerForWhatIsShared(LoadScopeScheduling):  # type: ignore[misc]
    """Send all tests of one whole project, or of one such module, to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        found = re.search(rf"/project/.*\[({'|'.join(WHOLE)})[-\]]", nodeid)
        found = found or re.search(rf"/library/\w+/test_({SHARING})\.py", nodeid)
        found = found or re.search(r"/test_\w*(story)\w*\.py", nodeid)
        return found[1] if found else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share the tests among workers (the mark `xdist_group` has no effect in pytest 9.2)."""
    return OneWorkerForWhatIsShared(config, log)
