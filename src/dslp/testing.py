"""For the tests of a project: its datasets as they were built, its models as they are served."""

import atexit
import functools
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dslp.core.actions import add_summary_line
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.data.build import RawMissing, build_stand_in, is_sample
from dslp.data.dataset import Dataset, dataset_names, find_dataset
from dslp.data.reading import read_frame
from dslp.data.verdict import check_suite

if TYPE_CHECKING:
    import pandas as pd
    from dslp.core.report import Report
    from dslp.experiments.model import Model


def project_datasets() -> list[str]:
    """The datasets of the project that the tests run in."""
    return dataset_names(Project.find())


@functools.cache
def built_dataset(name: str) -> Dataset:
    """A dataset as it is in `data/`, or else built in a temporary folder by today's pipeline.

    `ci` in its datasheet says from what: its source, a sample, or nothing (then the test is
    skipped). A pipeline that fails is a failure, never a skip.
    """
    try:
        dataset = find_dataset(Project.find(), name)
        if not dataset.is_built or dataset.stale:
            dataset = find_dataset(Project.find(data=_folder("built")), name)
            if not dataset.is_built:
                build_stand_in(dataset)
    except RawMissing as error:
        todo = f"run it where the data is: uv run dslp data validate {name}"
        add_summary_line(f"{name}: the suite was NOT run, the data is missing; {todo}")
        pytest.skip(f"{name}: {error}; the suite was not run; {todo}")
    except DslpError as error:
        pytest.fail(str(error), pytrace=False)
    return dataset


def check_dataset(name: str) -> None:
    """Fail unless the dataset matches its schema and passes its suite (D3)."""
    dataset = built_dataset(name)
    try:
        report = check_suite(dataset, part=not dataset.project.usual and is_sample(dataset))
    except DslpError as error:
        pytest.fail(str(error), pytrace=False)
    if report.skipped:
        add_summary_line(f"{name}: not checked on the sample: {'; '.join(report.skipped)}")
    if not report.ok:
        pytest.fail(str(report), pytrace=False)


def dataset_rows(name: str) -> "pd.DataFrame":
    """The rows of a dataset (`built_dataset`)."""
    return read_frame(built_dataset(name))


def validate_rows(name: str, rows: "pd.DataFrame") -> "Report":
    """What schema and suite of a dataset say of other rows, such as ones with planted faults."""
    dataset = built_dataset(name)
    other = find_dataset(replace(dataset.project, data=_folder("rows"), usual=False), name)
    other.processed.parent.mkdir(exist_ok=True)
    rows.to_parquet(other.processed, index=False)
    return check_suite(other)


def find_model(name: str) -> "Model":
    """A model of the project that the tests run in."""
    from dslp.experiments import model

    return model.find_model(Project.find(), name)


def predictor(model: "Model", candidate: str, rows: "pd.DataFrame") -> Any:
    """The candidate trained on `rows`, or the version that `dslp model test` is about.

    The gate `behaviour` sets the environment variable DSLP_MODEL_FOLDER for a model's tests, so
    that the version itself is tested, and not another one of its kind (M4).

    Returns:
        What `train` returned; `Model.predict` takes it, whatever it is.
    """
    folder = os.environ.get("DSLP_MODEL_FOLDER")
    if not folder:
        return model.fit(candidate, rows)
    from dslp.models.persistence import load_model

    return load_model(Path(folder))


@functools.cache
def _folder(purpose: str) -> Path:
    """A temporary folder, which is removed when the tests end."""
    folder = tempfile.TemporaryDirectory(prefix=f"dslp-{purpose}-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
