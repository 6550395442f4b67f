"""What all tests share: the rule ledger, a neutral machine, and the template as people copy it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template_copy import Template, publish

pytest_plugins = ["pytester", "tests.ledger"]


@pytest.fixture(scope="session", autouse=True)
def neutral_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that is nobody's: no settings or caches of the person who tests."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text("[user]\n\tname = Somebody\n\temail = somebody@example.org\n")
    (home / "copier.yml").write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "copier.yml"))
        patch.setenv("COPIER_CACHE_DIR", str(home / "cache"))
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
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The template of the working tree as its newest release, in a git repository of its own."""
    return publish(tmp_path_factory.mktemp("published") / "template")
