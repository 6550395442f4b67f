"""An experiment that was run once, copies of it, and what MLflow holds of its runs."""

import shutil
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.library.conftest import make
from tests.library.toy import Toy


def runs(toy: Toy, kind: str = "experiment") -> list[Run]:
    """The recorded runs of one kind, the oldest first."""
    name = toy.client.get_experiment_by_name("frequency").experiment_id
    condition = f"tags.`dslp.kind` = '{kind}'"
    return list(toy.client.search_runs([name], condition, order_by=["start_time ASC"]))


def make_tracked(folder: Path, data: Path, store: Path) -> Toy:
    """What the fixture `tracked` is, to be shared by several tests."""
    toy = make(folder / "toy")
    shutil.copytree(data, toy.root / "data")
    (toy.root / "mlruns").mkdir()
    shutil.copy(store, toy.root / "mlruns" / "mlflow.db")
    toy.commit()
    return toy


@pytest.fixture(scope="session")
def experiment(
    tmp_path_factory: pytest.TempPathFactory, data: Path, empty_store: Path
) -> tuple[Toy, str]:
    """A project on the branch of issue 14 with a run of each candidate; and what was printed."""
    toy = make_tracked(tmp_path_factory.mktemp("experiment"), data, empty_store)
    toy.git("switch", "--quiet", "--create", "experiment/14-lines")
    return toy, toy.done("experiment", "run").out


@pytest.fixture
def experimented(experiment: tuple[Toy, str], tmp_path: Path) -> Toy:
    """A copy of that project, for tests that change it."""
    toy, _ = experiment
    return Toy(shutil.copytree(toy.root, tmp_path / "experimented"), toy.package)
