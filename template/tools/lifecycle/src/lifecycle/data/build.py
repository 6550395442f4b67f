"""Building a dataset: the pipeline's plain functions in the middle, reading and writing here."""

import inspect
import os
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lifecycle.data.catalogue import Dataset, datasets, digest
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    import pandas as pd


class RawMissing(LifecycleError):
    """The raw data is not there, and the pipeline has no `extract()` to fetch it."""


@dataclass(frozen=True)
class Built:
    """What a build made: the size of the data frame, and the digest of its content."""

    rows: int
    columns: int
    digest: str


def build(dataset: Dataset, refresh: bool = False) -> Built:
    """Extract the raw data if it is not there (or `refresh`), and build the processed data from it.

    A pipeline has `build(raw)`, or `build` with the names of other datasets as its parameters,
    and `extract()` where the raw data can be fetched; both return data frames (D2, D7).

    Raises:
        LifecycleError: an input is missing, the pipeline fails, or the disk does.
    """
    project, pipeline = dataset.project, _pipeline(dataset)
    where = f"{dataset.folder / 'pipeline.py'}"
    inputs: dict[str, pd.DataFrame] = {}
    for name in _inputs(pipeline):
        inputs[name] = (
            _raw(dataset, pipeline, refresh) if name == "raw" else _parent(dataset, name, where)
        )
    with project.running(f"{dataset.name}: build"):
        frame = pipeline.build(**inputs)
    _write(_frame(frame, f"{where}: build"), dataset.processed)
    if project.engine == "sql":
        from lifecycle.data.engines import load_table

        load_table(frame, dataset.name, project)
    return Built(len(frame), len(frame.columns), digest(dataset.read()))  # as models will read it


def ensure(dataset: Dataset) -> None:
    """Build a dataset that is not built, or not since its pipeline changed, and its parents first.

    Raises:
        RawMissing: raw data is not there and cannot be fetched.
        LifecycleError: whatever else keeps it from being built.
    """
    for name in _inputs(_pipeline(dataset)):
        if name != "raw":
            (parent,) = datasets(dataset.project, [name])
            ensure(parent)
    if not dataset.processed.is_file() or dataset.stale:
        build(dataset)


def ordered(chosen: list[Dataset]) -> list[Dataset]:
    """The datasets with each after those that it is built from.

    Raises:
        LifecycleError: a dataset is built from itself, if by way of others.
    """
    by_name = {dataset.name: dataset for dataset in chosen}
    parents = {
        name: set(_inputs(_pipeline(dataset))) & by_name.keys() for name, dataset in by_name.items()
    }
    try:
        return [by_name[name] for name in TopologicalSorter(parents).static_order()]
    except CycleError as error:
        raise LifecycleError(
            f"datasets are built from each other: {', '.join(error.args[1])}"
        ) from None


def _pipeline(dataset: Dataset) -> ModuleType:
    pipeline = dataset.project.module(f"datasets.{dataset.name}.pipeline")
    if not callable(getattr(pipeline, "build", None)):
        raise LifecycleError(f"{dataset.folder / 'pipeline.py'} has no function build(raw)")
    return pipeline


def _inputs(pipeline: ModuleType) -> list[str]:
    """Parameters of `build` without a default: one with a default is a setting, not an input."""
    parameters = inspect.signature(pipeline.build).parameters.values()
    return [each.name for each in parameters if each.default is inspect.Parameter.empty]


def _raw(dataset: Dataset, pipeline: object, refresh: bool) -> "pd.DataFrame":
    import pandas as pd

    extract = getattr(pipeline, "extract", None)
    if not dataset.raw.is_file() or (refresh and extract):
        if extract is None:
            raise RawMissing(
                f"{dataset.raw} is missing, and {dataset.folder / 'pipeline.py'} has no extract() "
                "to fetch it; put the file there"
            )
        with dataset.project.running(f"{dataset.name}: extract"):
            raw = extract()
        _write(_frame(raw, f"{dataset.folder / 'pipeline.py'}: extract"), dataset.raw)
    try:
        return pd.read_parquet(dataset.raw)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        again = f"uv run lifecycle data build {dataset.name} --refresh"
        todo = f"fetch it again: {again}" if extract else "put a whole file there"
        raise LifecycleError(f"{dataset.raw} cannot be read ({reason}); {todo}") from None


def _parent(dataset: Dataset, name: str, where: str) -> "pd.DataFrame":
    try:
        (parent,) = datasets(dataset.project, [name])
    except LifecycleError as error:
        raise LifecycleError(
            f"{where}: build takes {name!r}, which is neither raw nor a dataset ({error})"
        ) from None
    return parent.read()


def _frame(value: object, what: str) -> "pd.DataFrame":
    import pandas as pd

    if not isinstance(value, pd.DataFrame):
        raise LifecycleError(f"{what} returned {type(value).__name__}, not a data frame")
    return value


def _write(frame: "pd.DataFrame", path: Path) -> None:
    """Write beside `path` and move into place, so that an interrupted build leaves no half file."""
    import pyarrow as pa

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(aside, index=False)
        aside.replace(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LifecycleError(f"{path} cannot be written: {' '.join(str(error).split())}") from None
    finally:
        with suppress(OSError):
            aside.unlink()
