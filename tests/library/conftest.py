"""The toy project, alone in its folder and in its process."""

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services
from tests.library.toy import FILES, NEUTRAL, Toy, restore

NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def unchanged_process() -> Iterator[None]:
    """Environment variables and import paths are after a test what they were before."""
    before, path = dict(os.environ), list(sys.path)
    for name in filter(NEUTRAL.fullmatch, before):
        del os.environ[name]
    yield
    restore(before)
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith("toy_")]:
        del sys.modules[name]  # a copy of the project may have modules of the same name


def make(folder: Path) -> Toy:
    """A toy project in `folder`, whose package is called like no other in this process."""
    toy = Toy(folder, f"toy_{next(NUMBERS)}")
    shutil.copytree(FILES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src" / "toy").rename(toy.source)
    (folder / ".gitignore").write_text("/data/\n/mlruns/\n__pycache__/\n.env\n")
    (folder / "uv.lock").write_text("version = 1\n")
    toy.edit(folder / "pyproject.toml", 'package = "toy"', f'package = "{toy.package}"')
    return toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A toy project in which nothing has been done yet."""
    return make(tmp_path / "toy")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a toy project that was built."""
    toy = make(tmp_path_factory.mktemp("data") / "toy")
    toy.done("data", "build")
    return toy.root / "data"


@pytest.fixture
def built(toy: Toy, data: Path) -> Toy:
    """A toy project whose dataset is built."""
    shutil.copytree(data, toy.root / "data")
    return toy


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database without runs: to make one takes seconds, to copy it does not."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def tracked(built: Toy, empty_store: Path) -> Toy:
    """A toy project whose dataset is built, committed, with a tracking database."""
    return begin_tracking(built, empty_store)


def begin_tracking(toy: Toy, store: Path) -> Toy:
    """Put the tracking database into a toy project, and commit."""
    (toy.root / "mlruns").mkdir()
    shutil.copy(store, toy.root / "mlruns" / "mlflow.db")
    toy.commit()
    return toy


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, data: Path, empty_store: Path) -> Toy:
    """The project that `trained` copies."""
    toy = make(tmp_path_factory.mktemp("trained") / "toy")
    shutil.copytree(data, toy.root / "data")
    begin_tracking(toy, empty_store).done("model", "train", "--candidate", "linear")
    return toy


@pytest.fixture(scope="session")
def champion_once(trained_once: Toy, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The project that `champion` copies."""
    toy = trained_once.copy(tmp_path_factory.mktemp("champion") / "toy")
    toy.done("model", "register")
    toy.done("model", "promote")
    return toy


@pytest.fixture
def trained(trained_once: Toy, tmp_path: Path) -> Toy:
    """A toy project whose better candidate was trained."""
    return trained_once.copy(tmp_path / "toy")


@pytest.fixture
def champion(champion_once: Toy, tmp_path: Path) -> Toy:
    """A toy project with a champion."""
    return champion_once.copy(tmp_path / "toy")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[str]:
    """The address of an MLflow server on PostgreSQL; its tests are of the group `mlflow-server`."""
    from sqlalchemy import create_engine, text

    with create_engine(postgres, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("CREATE DATABASE mlflow"))
    store = f"{postgres.rpartition('/')[0]}/mlflow"
    with services.mlflow(tmp_path_factory.mktemp("server"), store) as address:
        yield address
