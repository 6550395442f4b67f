"""Building a dataset: the pipeline's plain functions in the middle, reading and writing here."""

import inspect
import os
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.files import written_aside
from dslp.core.text import error_line
from dslp.data.csv_types import TYPES, csv_type, read_header
from dslp.data.dataset import Dataset, check_current, find_dataset
from dslp.data.fingerprint import digest
from dslp.data.origin import Origin, files_read, read_origin
from dslp.data.reading import read_frame, read_raw

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class RawMissing(DslpError):
    """The raw data is missing, and the pipeline has no `extract()` to fetch it."""


@dataclass(frozen=True)
class Built:
    """The result of a build: size of the data frame, and digest of the content."""

    rows: int
    columns: int
    digest: str


def build(dataset: Dataset, refresh: bool = False) -> Built:
    """Build the processed data from the raw data, and extract that first where it must be.

    It is extracted if it is missing, if the code of `extract` or a file that it reads has changed
    since, or to `refresh` it. A pipeline has `build(raw)`, or `build` with the names of other
    datasets as its parameters, and `extract()` where the raw data can be fetched; both return data
    frames, or Arrow tables of any library (D2, D7). `TYPES` in it are the types of columns of a raw
    CSV file, by Arrow's names, such as `{"Trip km": "double"}`.

    Raises:
        Refused: a dataset that it is built from must be built again first, or raw data that
            somebody has put there would be overwritten.
        DslpError: an input is missing, the pipeline fails, or a file cannot be written.
    """
    project, pipeline = dataset.project, _pipeline(dataset)
    if dataset.sheet.files:
        raise DslpError(f"{dataset.folder} has pipeline.py, and files in its datasheet: keep one")
    inputs = {
        name: _read_raw(dataset, pipeline, refresh) if name == "raw" else _parent(dataset, name)
        for name in _parameters(pipeline)
    }
    rows, files = _run(dataset, pipeline, "build", **inputs)
    origin = dataset.origin("build", list(inputs), files)
    if "raw" in inputs and hasattr(pipeline, "extract") and (raw := read_origin(dataset.raw)):
        origin = Origin(origin.code | raw.code, origin.inputs, origin.files | raw.files)
    table = _write(rows, dataset.processed, origin, "us")
    for stage in ("raw", "interim"):  # beside processed: the three folders of D1
        (project.data / stage).mkdir(exist_ok=True)
    if project.engine == "sql":
        from dslp.data.sql_tables import load_table

        load_table(read_frame(dataset), dataset.name, project)
    return Built(table.num_rows, table.num_columns, digest(dataset))


def ensure_built(dataset: Dataset) -> None:
    """Build a dataset that is missing or stale, and its parents before it.

    Raises:
        RawMissing: raw data is missing and cannot be fetched.
        DslpError: it cannot be built for another reason.
    """
    for parent in _parents(dataset):
        ensure_built(parent)
    if not dataset.is_built or dataset.stale:
        build(dataset)


def ensure_data(dataset: Dataset) -> None:
    """Fetch a dataset where its version is shared (`sharing`), else build it.

    Raises:
        DslpError: CI does not build it (`ci` in its datasheet), or fetching or building fails.
    """
    from dslp.data.sharing import is_shared, pull

    if is_shared(dataset):
        pull(dataset)
    elif os.environ.get("CI") and (reason := unbuildable_reason(dataset, "build")):
        raise DslpError(reason)
    else:
        ensure_built(dataset)


def unbuildable_reason(dataset: Dataset, command: str) -> str:
    """Why CI cannot build the whole dataset, and where `command` can run; empty where it can."""
    pending = [dataset]
    for each in pending:
        if each.sheet.ci != "build":
            whose = "its" if each == dataset else f"{each.name}'s"
            return (
                f"{dataset.name}: ci is {each.sheet.ci} in {whose} datasheet; do this where the "
                f"data is: uv run dslp data {command} {dataset.name}"
            )
        parents = [find_dataset(each.project, name) for name in each.inputs or () if name != "raw"]
        pending += [parent for parent in parents if parent not in pending]
    return ""


def build_stand_in(dataset: Dataset) -> None:
    """Build a dataset from what its datasheet names in place of the data in CI (`ci`).

    With `ci: sample`, the raw data is `tests/data/samples/NAME.parquet` (or .csv), or the result of
    `sample()` in its pipeline.

    Raises:
        RawMissing: `ci` is none, or raw data cannot be fetched.
        DslpError: there is no sample, or it cannot be built for another reason.
    """
    ci = dataset.sheet.ci
    if ci == "none":
        raise RawMissing(f"ci is none in {dataset.folder / 'datasheet.md'}")
    pipeline = _pipeline(dataset)
    for parent in _parents(dataset):
        build_stand_in(parent)
    if ci == "sample" and "raw" in _parameters(pipeline):
        _write(_read_sample(dataset, pipeline), dataset.raw, dataset.origin("extract"))
    build(dataset)


def is_sample(dataset: Dataset) -> bool:
    """Whether `build_stand_in` builds a part of the dataset, from a sample of its raw data."""
    own = dataset.sheet.ci == "sample" and "raw" in _parameters(_pipeline(dataset))
    return own or any(map(is_sample, _parents(dataset)))


def build_order(datasets: list[Dataset]) -> list[Dataset]:
    """The datasets in an order in which each follows its parents.

    Raises:
        DslpError: a dataset is its own parent, directly or through others.
    """
    by_name = {dataset.name: dataset for dataset in datasets}
    graph = {}
    for name, dataset in by_name.items():
        inputs = dataset.inputs  # None where `build` is imported: run the pipeline's imports too
        graph[name] = _parameters(_pipeline(dataset)) if inputs is None else inputs
        graph[name] = [each for each in graph[name] if each in by_name]
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise DslpError(f"datasets are built from each other: {', '.join(error.args[1])}") from None


def _pipeline(dataset: Dataset) -> ModuleType:
    if not dataset.has_pipeline:
        problem = f"{dataset.name}: {dataset.processed} is missing"
        problem = "nothing to build" if dataset.is_built else problem
        raise RawMissing(f"{problem}; another program writes it (files in its datasheet)")
    pipeline = dataset.project.module(f"datasets.{dataset.name}.pipeline")
    if not callable(getattr(pipeline, "build", None)):
        raise DslpError(f"{dataset.folder / 'pipeline.py'} has no function build(raw)")
    return pipeline


def _parameters(pipeline: ModuleType) -> list[str]:
    """Parameters of `build` without a default: one with a default is a setting, not an input."""
    parameters = inspect.signature(pipeline.build).parameters.values()
    return [each.name for each in parameters if each.default is inspect.Parameter.empty]


def _parents(dataset: Dataset) -> list[Dataset]:
    if not dataset.has_pipeline:
        return []
    names = _parameters(_pipeline(dataset))
    return [find_dataset(dataset.project, name) for name in names if name != "raw"]


def _parent(dataset: Dataset, name: str) -> "pd.DataFrame":
    try:
        parent = find_dataset(dataset.project, name)
    except DslpError as error:
        raise DslpError(
            f"{dataset.folder / 'pipeline.py'}: build takes {name!r}, which is neither raw nor a "
            f"dataset ({error})"
        ) from None
    if parent.is_built:
        check_current(parent)
    return read_frame(parent)


def _run(
    dataset: Dataset, pipeline: ModuleType, function: str, **inputs: Any
) -> "tuple[pd.DataFrame | pa.Table, set[Path]]":
    """The data frame, or table of another library, that a function returns; and what it has read.

    Raises:
        DslpError: it fails, or returns something else.
    """
    import pandas as pd
    import pyarrow as pa

    project = dataset.project
    with project.running(f"{dataset.name}: {function}"), files_read(project.root) as files:
        frame = getattr(pipeline, function)(**inputs)
    name = f"{dataset.folder / 'pipeline.py'}: {function}"
    if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pd.DataFrame):
        return pa.table(frame), files  # Polars, DuckDB and Arrow have this interface
    if not isinstance(frame, pd.DataFrame):
        raise DslpError(f"{name} returned {type(frame).__name__}, not a data frame")
    named = [str(level) for level in frame.index.names if level is not None]
    if named or (len(frame) and frame.index.dtype.kind not in "iu"):  # files have no index
        held = ", ".join(named) or "values"
        raise DslpError(f"{name} returned a data frame with {held} in its index; use reset_index()")
    return frame, files


def _read_raw(dataset: Dataset, pipeline: ModuleType, refresh: bool) -> "pd.DataFrame":
    """The raw data, which is extracted first where it is not what `extract` would read."""
    raw, extracts, code = dataset.raw, hasattr(pipeline, "extract"), dataset.folder / "pipeline.py"
    refresh_command = f"uv run dslp data build {dataset.name} --refresh"
    if extracts and raw.is_file() and not refresh and read_origin(raw) is None:
        raise Refused(
            f"{raw} is not from extract() in {code}; remove that function to use the file, or "
            f"replace the file: {refresh_command}"
        )
    if extracts and (refresh or not raw.is_file() or not dataset.has_origin(raw)):
        rows, files = _run(dataset, pipeline, "extract")
        _write(rows, raw, dataset.origin("extract", files=files))
    if not dataset.raw_file.is_file():
        raise RawMissing(
            f"{raw} is missing, and {code} has no extract() "
            "to fetch it; put the file there (or a .csv file of that name)"
        )
    todo = f"fetch it again: {refresh_command}" if extracts else "put a whole file there"
    return _read_file(dataset, pipeline, dataset.raw_file, todo)


def _read_sample(dataset: Dataset, pipeline: ModuleType) -> "pd.DataFrame | pa.Table":
    """Raw rows for CI, from the committed sample or from `sample()`."""
    file = dataset.project.root / "tests" / "data" / "samples" / f"{dataset.name}.parquet"
    for path in (file, file.with_suffix(".csv")):
        if path.is_file():
            return _read_file(dataset, pipeline, path, "put a whole file there")
    if not callable(getattr(pipeline, "sample", None)):
        raise DslpError(
            f"{dataset.name}: ci is sample in its datasheet, and there is neither {file} "
            f"(or .csv) nor a function sample() in {dataset.folder / 'pipeline.py'}"
        )
    return _run(dataset, pipeline, "sample")[0]


def _read_file(dataset: Dataset, pipeline: ModuleType, path: Path, todo: str) -> "pd.DataFrame":
    """Raw data in Parquet, or in CSV with the types of `TYPES` and schema.yml.

    Raises:
        DslpError: it cannot be read, or `TYPES` has a column or a type that it has not.
    """
    types, where = getattr(pipeline, "TYPES", {}), f"{dataset.folder / 'pipeline.py'}: TYPES"
    if not isinstance(types, dict):
        raise DslpError(f'{where} is no mapping; write it as {{"COLUMN": "string"}}')
    if path.suffix == ".csv":
        names = read_header(path)[1]
        for name, kind in types.items():
            if name not in names:
                raise DslpError(
                    f"{where}: {path} has no column {name!r}{nearest(str(name), names)}"
                )
            if kind != "string" and csv_type(str(kind)) is None:
                raise DslpError(f"{where}: {name}: {kind!r} is no type{nearest(str(kind), TYPES)}")
        todo = f'{todo}; TYPES = {{"COLUMN": "string"}} in pipeline.py makes a column text'
    return read_raw(dataset, path, types, todo)


def _write(
    rows: "pd.DataFrame | pa.Table", path: Path, origin: Origin, unit: str | None = None
) -> "pa.Table":
    """Write a Parquet file with its times in that unit, or as they are where that loses digits.

    Spark reads no nanoseconds. Returns the rows as they were written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_aside(path) as part:
        try:
            if isinstance(rows, pa.Table):
                table = rows
            else:
                table = pa.Table.from_pandas(rows, preserve_index=False)
            metadata = (table.schema.metadata or {}) | origin.metadata
            table = table.replace_schema_metadata(metadata)
            with suppress(pa.ArrowInvalid):
                pq.write_table(table, part, coerce_timestamps=unit)
                return table
            pq.write_table(table, part)
        except (ValueError, pa.ArrowException) as error:
            raise OSError(error_line(error)) from None
        return table
