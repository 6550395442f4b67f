"""In a whole project, what `dslp new` writes works at once and is as clean as all else."""

import re
from collections.abc import Iterator

import pytest

from tests.project.whole import Project

pytestmark = [pytest.mark.slow, pytest.mark.only("no-example")]


@pytest.fixture
def begun(project: Project) -> Iterator[Project]:
    """The project with a dataset, two models and an exploration, for the time of the test."""
    project.dslp("new", "dataset", "orders")
    project.dslp("new", "model", "volume", "--target", "outcome", "--ask", "3")
    project.dslp("new", "model", "region", "--target", "segment")
    project.dslp("new", "exploration", "4-orders-by-region", "--issue", "4")
    project.succeed("git", "add", "--all")
    yield project
    project.succeed("git", "reset", "--hard", "--quiet")
    project.succeed("git", "clean", "-dfxq", "src", "tests", "data", "mlruns")


def test_a_new_dataset_validates_and_new_models_train(begun: Project) -> None:
    begun.dslp("data", "build")
    assert "orders holds" in begun.dslp("data", "validate")
    said = begun.dslp("experiment", "run", "volume")
    assert re.search(r"better .*\bmet", said), said
    assert "on the holdout" in begun.dslp("model", "train", "volume")
    begun.dslp("model", "register", "volume")
    assert "is the champion" in begun.dslp("model", "promote", "volume")
    begun.dslp("model", "train", "region", "--candidate", "better")


def test_what_is_new_passes_the_projects_own_checks(begun: Project) -> None:
    begun.succeed("uv", "run", "pre-commit", "run", "--all-files")
    begun.succeed("uv", "run", "ruff", "format", "--check")
    begun.succeed("uv", "run", "ruff", "check")
    begun.succeed("uv", "run", "mypy")
    said = begun.succeed("uv", "run", "pytest")
    assert re.search(r"\d+ passed", said), said
