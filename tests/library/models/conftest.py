"""A trained model, and a champion: made once for all tests of a process, and copied for each."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.library.conftest import make
from tests.library.toy import Toy

# Columns in which MLflow keeps absolute paths: a copy must not write into the original.
ADDRESSES = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "model_versions": ["source", "storage_location"],
}


def copy(toy: Toy, folder: Path) -> Toy:
    """A toy project that goes on from where another one is."""
    shutil.copytree(toy.root, folder)
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as store:
        for table, columns in ADDRESSES.items():
            for column in columns:
                change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
                store.execute(change, (str(toy.root), str(folder)))
        store.commit()
    return Toy(folder, toy.package)


@pytest.fixture(scope="session")
def first_training(tmp_path_factory: pytest.TempPathFactory, data: Path, empty_store: Path) -> Toy:
    """The project that `trained` is a copy of."""
    toy = make(tmp_path_factory.mktemp("trained") / "toy")
    shutil.copytree(data, toy.root / "data")
    (toy.root / "mlruns").mkdir()
    shutil.copy(empty_store, toy.root / "mlruns" / "mlflow.db")
    toy.commit()
    toy.done("model", "train", "--candidate", "linear")
    return toy


@pytest.fixture(scope="session")
def first_champion(tmp_path_factory: pytest.TempPathFactory, first_training: Toy) -> Toy:
    """The project that `champion` is a copy of."""
    toy = copy(first_training, tmp_path_factory.mktemp("champion") / "toy")
    toy.done("model", "register")
    toy.done("model", "promote")
    return toy


@pytest.fixture
def trained(first_training: Toy, tmp_path: Path) -> Toy:
    """A toy project whose better candidate was trained."""
    return copy(first_training, tmp_path / "toy")


@pytest.fixture
def champion(first_champion: Toy, tmp_path: Path) -> Toy:
    """A toy project with a champion."""
    return copy(first_champion, tmp_path / "champion")
