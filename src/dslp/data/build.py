"""Building a dataset: the pipeline's plain functions in the middle, reading and writing here."""

import inspect
import os
import warnings
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.files import written_aside
from dslp.core.text import error_line
from dslp.data.dataset import Dataset, find_datasets
from dslp.data.fingerprint import digest
from dslp.data.reading import read_frame

if TYPE_CHECKING:
    import pandas as pd


class RawMissing(DslpError):
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
        DslpError: an input is missing, the pipeline fails, or the disk does.
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
    frame = _frame(frame, f"{where}: build")
    _write(frame, dataset.processed, "us")  # Spark reads no nanoseconds
    for stage in ("raw", "interim"):  # beside processed: the three folders of D1
        (project.data / stage).mkdir(exist_ok=True)
    newest = max(dataset.changed, dataset.processed.stat().st_mtime_ns)
    os.utime(dataset.processed, ns=(newest, newest))  # whatever clock the pipeline was saved by
    if project.engine == "sql":
        from dslp.data.sql_tables import load_table

        load_table(frame, dataset.name, project)
    return Built(len(frame), len(frame.columns), digest(dataset))


def ensure_built(dataset: Dataset) -> None:
    """Build a dataset that is not built or stale, and those that it is built from before it.

    Raises:
        RawMissing: raw data is not there and cannot be fetched.
        DslpError: whatever else keeps it from being built.
    """
    for name in _inputs(_pipeline(dataset)):
        if name != "raw":
            (parent,) = find_datasets(dataset.project, [name])
            ensure_built(parent)
    if not dataset.is_built or dataset.stale:
        build(dataset)


def build_stand_in(dataset: Dataset) -> None:
    """Build a dataset as its datasheet says that it comes to where its data is not (`ci`).

    With `ci: sample`, the raw data is `tests/data/samples/NAME.parquet` (or .csv), or what
    `sample()` in its pipeline returns; the pipeline makes of it what it makes of the whole.

    Raises:
        RawMissing: it does not come, or its raw data cannot be fetched.
        DslpError: there is no sample, or whatever else keeps it from being built.
    """
    ci = dataset.sheet.ci
    if ci == "none":
        raise RawMissing(f"ci is none in {dataset.folder / 'datasheet.md'}")
    pipeline = _pipeline(dataset)
    for name in _inputs(pipeline):
        if name != "raw":
            (parent,) = find_datasets(dataset.project, [name])
            build_stand_in(parent)
        elif ci == "sample":
            _write(_sample(dataset, pipeline), dataset.raw)
    build(dataset)


def is_sample(dataset: Dataset) -> bool:
    """Whether what `stand_in` makes is a part of the dataset, because a sample is in it."""
    inputs = _inputs(_pipeline(dataset))
    parents = find_datasets(
        dataset.project, [each for each in inputs if each != "raw"] or [dataset.name]
    )
    return ("raw" in inputs and dataset.sheet.ci == "sample") or any(
        is_sample(parent) for parent in parents if parent != dataset
    )


def build_order(chosen: list[Dataset]) -> list[Dataset]:
    """The datasets with each after those that it is built from.

    Raises:
        DslpError: a dataset is built from itself, if by way of others.
    """
    by_name = {dataset.name: dataset for dataset in chosen}
    parents = {}
    for name, dataset in by_name.items():
        takes = dataset.takes
        if takes is None:  # `build` is somebody else's, so it must be imported to be seen
            takes = _inputs(_pipeline(dataset))
        parents[name] = set(takes) & by_name.keys()
    try:
        return [by_name[name] for name in TopologicalSorter(parents).static_order()]
    except CycleError as error:
        raise DslpError(f"datasets are built from each other: {', '.join(error.args[1])}") from None


def _pipeline(dataset: Dataset) -> ModuleType:
    pipeline = dataset.project.module(f"datasets.{dataset.name}.pipeline")
    if not callable(getattr(pipeline, "build", None)):
        raise DslpError(f"{dataset.folder / 'pipeline.py'} has no function build(raw)")
    return pipeline


def _inputs(pipeline: ModuleType) -> list[str]:
    """Parameters of `build` without a default: one with a default is a setting, not an input."""
    parameters = inspect.signature(pipeline.build).parameters.values()
    return [each.name for each in parameters if each.default is inspect.Parameter.empty]


def _raw(dataset: Dataset, pipeline: object, refresh: bool) -> "pd.DataFrame":
    import pandas as pd

    extract = getattr(pipeline, "extract", None)
    by_hand = dataset.raw.with_suffix(".csv")
    if extract is None and by_hand.is_file():
        return _csv(by_hand)
    if not dataset.raw.is_file() or (refresh and extract):
        if extract is None:
            raise RawMissing(
                f"{dataset.raw} is missing, and {dataset.folder / 'pipeline.py'} has no extract() "
                "to fetch it; put the file there (or a .csv file of that name)"
            )
        with dataset.project.running(f"{dataset.name}: extract"):
            raw = extract()
        _write(_frame(raw, f"{dataset.folder / 'pipeline.py'}: extract"), dataset.raw)
    try:
        return pd.read_parquet(dataset.raw)
    except (OSError, ValueError) as error:
        reason = error_line(error)
        again = f"uv run dslp data build {dataset.name} --refresh"
        todo = f"fetch it again: {again}" if extract else "put a whole file there"
        raise DslpError(f"{dataset.raw} cannot be read ({reason}); {todo}") from None


def _sample(dataset: Dataset, pipeline: ModuleType) -> "pd.DataFrame":
    """The raw rows that stand for all where the data is not."""
    import pandas as pd

    committed = dataset.project.root / "tests" / "data" / "samples" / f"{dataset.name}.parquet"
    if committed.is_file():
        return pd.read_parquet(committed)
    if committed.with_suffix(".csv").is_file():
        return _csv(committed.with_suffix(".csv"))
    where = dataset.folder / "pipeline.py"
    if not callable(getattr(pipeline, "sample", None)):
        raise DslpError(
            f"{dataset.name}: ci is sample in its datasheet, and there is neither {committed} "
            f"(or .csv) nor a function sample() in {where}"
        )
    with dataset.project.running(f"{dataset.name}: sample"):
        raw = pipeline.sample()
    return _frame(raw, f"{where}: sample")


def _csv(path: Path) -> "pd.DataFrame":
    """Raw data that somebody put there as CSV; a pipeline says what its columns mean."""
    import pandas as pd
    from dslp.data.reading import read_header

    delimiter, names = read_header(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            raw = pd.read_csv(path, sep=delimiter, encoding="utf-8-sig", index_col=False)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        reason = error_line(error)
        raise DslpError(f"{path} cannot be read ({reason}); put a whole file there") from None
    if len(raw.columns) != len(names) or list(raw.columns) != names:
        raise DslpError(
            f"{path}: the first line does not name the columns, each once; it begins with "
            f"{', '.join(names[:3])!r:.60}"
        )
    return raw


def _parent(dataset: Dataset, name: str, where: str) -> "pd.DataFrame":
    try:
        (parent,) = find_datasets(dataset.project, [name])
    except DslpError as error:
        raise DslpError(
            f"{where}: build takes {name!r}, which is neither raw nor a dataset ({error})"
        ) from None
    return read_frame(parent)


def _frame(value: object, what: str) -> "pd.DataFrame":
    import pandas as pd

    if hasattr(value, "__arrow_c_stream__") and not isinstance(value, pd.DataFrame):
        import pyarrow as pa  # Polars, DuckDB, Arrow: whatever speaks Arrow is a data frame too

        frame: pd.DataFrame = pa.table(value).to_pandas()
        return frame
    if not isinstance(value, pd.DataFrame):
        raise DslpError(f"{what} returned {type(value).__name__}, not a data frame")
    named = [str(name) for name in value.index.names if name is not None]
    if named or (len(value) and value.index.dtype.kind not in "iu"):  # files have no index
        held = ", ".join(named) or "values"
        raise DslpError(f"{what} returned a data frame with {held} in its index; use reset_index()")
    return value


def _write(frame: "pd.DataFrame", path: Path, unit: str | None = None) -> None:
    """Write a file with its times in that unit, or as they are where it would lose some of them."""
    import pyarrow as pa

    with written_aside(path) as made:
        try:
            try:
                frame.to_parquet(made, index=False, coerce_timestamps=unit)
            except pa.ArrowInvalid:
                frame.to_parquet(made, index=False)
        except (ValueError, pa.ArrowException) as error:
            raise OSError(error_line(error)) from None
