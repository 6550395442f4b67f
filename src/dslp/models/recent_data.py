"""Data since a model was trained: predictions, new rows, and observed outcomes joined to them."""

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import fsspec
import pandas as pd
import pyarrow as pa
from dslp.core.errors import DslpError, nearest
from dslp.core.report import Finding
from dslp.core.text import error_line, redact
from dslp.data.dataset import DataAt, Dataset, dataset_names, find_dataset
from dslp.data.fingerprint import digest
from dslp.data.loading import load
from dslp.data.reading import (
    SUFFIXES,
    quote_identifier,
    quote_literal,
    read_frame,
    read_raw,
    to_frame,
)
from dslp.data.schema import key_columns
from dslp.data.suite import validate
from dslp.data.verdict import check_suite
from dslp.experiments.model import Model
from dslp.models.api import Api
from dslp.models.persistence import fetch_model, load_model

if TYPE_CHECKING:
    from dslp.tracking.registry import Release


MOST = 1_000_000  # logged predictions that are read; of more, a sample that is always the same

SERVED = "served"  # the source that is a log


class Unknown(DslpError):
    """One source cannot be compared; another one may still be."""


class TooFew(Unknown):
    """There are too few new rows yet."""


@dataclass(frozen=True)
class RecentData:
    """Rows that a model predicted, row by row the same in each part.

    Attributes:
        source: where they come from, for people.
        rows: at least the model's inputs.
        predicted: a column for each field of `Response`.
        versions: the version that predicted each row, by MLflow's number.
        truth: the observed outcome; missing where it is not known yet.
        checks: how many checks of the dataset's suite and schema were made.
        findings: of these checks.
    """

    source: str
    rows: pd.DataFrame
    predicted: pd.DataFrame
    versions: "pd.Series[Any]"
    truth: "pd.Series[Any] | None" = None
    checks: int = 0
    findings: list[Finding] = field(default_factory=list)


def check_sources(
    model: Model, predictions: str | None, data: str | None, truth: str | None
) -> None:
    """Check that the named sources exist, before anything is read.

    Raises:
        DslpError: one does not.
    """
    names = dataset_names(model.project)
    if data and data not in names and not (_is_table(data) and Path(data).exists()):
        problem = f"{data} is no dataset of the project, and no .parquet or .csv file"
        raise DslpError(f"{problem}{nearest(data, names)}")
    for option, path in (("--predictions", predictions), ("--truth", truth)):
        if path and "://" not in path and not Path(path).exists():
            raise DslpError(f"{option}: {path} is missing")


def predictions_address(model: Model) -> str:
    """Where the server's log is: `data/interim/predictions`, or what DSLP_PREDICTIONS says."""
    usual = str(model.project.data / "interim" / "predictions")
    return f"{os.environ.get('DSLP_PREDICTIONS') or usual}/{model.name}"


def source_name(model: Model, source: str) -> str:
    """A source for people: a dataset or a file by its name, and `served` for a server's log."""
    return source if _is_table(source) or source in dataset_names(model.project) else SERVED


def read_recent(
    model: Model, champion: "Release", source: str, days: int, truth: str | None
) -> RecentData:
    """Rows with predictions, of a dataset, a file, or the last days of a server's log.

    Of the dataset that the champion was trained on, these are the rows that are not in that
    version. The champion predicts rows that no server has. A log is a folder of JSON lines, or an
    address for fsspec. Observed outcomes are in the file `truth`, else in the rows, or for a log in
    `data/interim/truth` or at DSLP_TRUTH.

    Raises:
        TooFew: there are none.
        Unknown: new rows cannot be told from old ones.
        DslpError: they cannot be read or predicted.
    """
    if source_name(model, source) == SERVED:
        return _served_rows(model, source, days, truth)
    return _new_rows(model, champion, source, truth)


def _served_rows(model: Model, address: str, days: int, truth: str | None) -> RecentData:
    where, form = redact(address), Api(model).form
    kinds = dict.fromkeys(("request_id", "time", "version"), "VARCHAR") | {"row": "BIGINT"}
    kinds["inputs"] = _struct({field["name"]: "VARCHAR" for field in form["inputs"]})
    outputs = {field["name"]: field["type"] for field in form["outputs"]}  # DuckDB has these too
    kinds["prediction"] = _struct(outputs)
    columns = ", ".join(f"'{name}': {quote_literal(kind)}" for name, kind in kinds.items())
    with fetch_logs(address, "*.jsonl") as files:
        if not files:
            todo = "serve the model, or say --predictions FOLDER, or --data FILE"
            raise TooFew(f"no predictions are logged in {where}; {todo}")
        names = ", ".join(map(quote_literal, map(str, files)))
        query = (
            f"FROM read_json([{names}], format = 'newline_delimited', columns = {{{columns}}}, "
            f"ignore_errors = true) WHERE time::TIMESTAMPTZ > now() - INTERVAL {int(days)} DAY "
            'ORDER BY time, request_id, "row"'
        )
        try:
            with duckdb.connect() as connection:
                sample = f"USING SAMPLE reservoir({MOST} ROWS) REPEATABLE (1)"
                table = connection.sql(f"FROM ({query}) {sample}").to_arrow_table()
        except duckdb.Error as error:
            raise DslpError(f"predictions in {where}: {error_line(error)}") from None
    if not len(table):
        raise TooFew(f"no prediction of the last {days} days is in {where}")
    inputs, predicted = (
        to_frame(pa.Table.from_struct_array(table[side])) for side in ("inputs", "prediction")
    )
    requests = to_frame(table.select(["request_id", "row", "version"]))
    keyed = inputs.assign(request_id=requests["request_id"], row=requests["row"])
    observed = join_outcomes(model, truth, keyed)
    return RecentData(SERVED, inputs, predicted, requests["version"], observed)


def _new_rows(model: Model, champion: "Release", source: str, truth: str | None) -> RecentData:
    project, target, own = model.project, model.params.target, model.params.dataset.name
    whole = source in dataset_names(project)
    dataset = find_dataset(project, source if whole else own)
    if not whole:
        dataset = DataAt(project, dataset.name, Path(source).absolute())
    rows = read_frame(dataset)
    report = check_suite(dataset) if whole else validate(dataset, "embedded", part=True)
    findings = [finding for finding in report.findings if finding.severe]
    if target not in rows:  # it is not observed yet
        findings = [finding for finding in findings if not _is_about(finding, target)]
    if source == own:
        rows = _rows_since(rows, dataset, champion)
    if missing := [name for name in model.inputs if name not in rows]:
        raise DslpError(f"{source} has no column {', '.join(missing)}, which Request has")
    predicted = model.predict(load_model(fetch_model(project, champion)), rows)
    observed = rows.get(target)
    if truth is not None:
        observed = join_outcomes(model, truth, rows.drop(columns=target, errors="ignore"))
    versions = pd.Series(champion.version, index=rows.index)
    return RecentData(source, rows, predicted, versions, observed, report.checks, findings)


def _rows_since(rows: pd.DataFrame, dataset: Dataset, champion: "Release") -> pd.DataFrame:
    """The rows whose key is not in the version that the champion was trained on.

    If every key is in it, all rows: the same things were measured again. The old version is
    fetched if it is not on this machine.

    Raises:
        TooFew: the content is that of the old version.
        Unknown: the old version cannot be fetched, or the rows have no key.
    """
    if digest(dataset) == champion.tags.get("dslp.dataset_digest"):
        raise TooFew(f"nothing is new in {dataset.name} since {champion.label} was trained")
    version, keys = champion.tags.get("dslp.dataset_version", "none"), key_columns(dataset)
    unknown = f"the new rows of {dataset.name} are not known without"
    if not keys or not set(keys) <= set(rows):
        raise Unknown(f"{unknown} a key in schema.yml; or say --data FILE")
    try:
        before = pd.MultiIndex.from_frame(load(dataset.name, version, keys))
    except DslpError as error:
        raise Unknown(f"{unknown} {dataset.name} {version}: {error}") from None
    later = rows[~pd.MultiIndex.from_frame(rows[keys]).isin(before)]
    return later if len(later) else rows


def _is_table(path: str) -> bool:
    return Path(path).suffix in SUFFIXES


def _is_about(finding: Finding, column: str) -> bool:
    missing = finding.problem.startswith(f"column {column} of schema.yml is missing")
    return column in finding.subject.split(", ") or missing


def _struct(kinds: dict[str, str]) -> str:
    """The type of an object of JSON, for SQL."""
    fields = ", ".join(f"{quote_identifier(name)} {kind}" for name, kind in kinds.items())
    return f"STRUCT({fields})"


def join_outcomes(model: Model, truth: str | None, rows: pd.DataFrame) -> "pd.Series[Any] | None":
    """The observed outcome of each row, by request (and its row), else by the dataset's key.

    Raises:
        DslpError: the file cannot be read, or a named file has none of the rows.
    """
    target = model.params.target
    dataset = find_dataset(model.project, model.params.dataset.name)
    folder = os.environ.get("DSLP_TRUTH") or str(model.project.data / "interim" / "truth")
    pattern = f"{model.name}.*"
    if truth:
        folder, name = os.path.split(truth.rstrip("/"))
        pattern = glob.escape(name)
    address = redact(truth or f"{folder}/{pattern}")
    with fetch_logs(folder, pattern) as files:
        if not files and not truth:
            return None
        if len(files) != 1 or files[0].suffix not in SUFFIXES:
            raise DslpError(f"{address} is not one file of the kind {', '.join(SUFFIXES)}")
        types = {"request_id": "string", "row": "int64"}  # a name may look like a number
        observed = read_raw(dataset, files[0], types, "correct the file")
    by = [name for name in ("request_id", "row") if name in observed and name in rows]
    by = by if "request_id" in by else [name for name in key_columns(dataset) if name in observed]
    if target not in observed or not by or not set(by) <= set(rows):
        keys = f"request_id (and row) of the log or the key of {dataset.name}"
        raise DslpError(f"{address} must have {target}, and {keys}, whichever the rows have")
    if by == ["request_id"]:  # of a request with several rows, it can be about the first only
        observed, by = observed.assign(row=0), ["request_id", "row"]
    try:
        observed = observed.astype(rows[by].dtypes.to_dict())
    except (TypeError, ValueError) as error:
        problem = f"{', '.join(by)} is not as in the rows: {error_line(error)}"
        raise DslpError(f"{address}: {problem}") from None
    outcomes = observed.drop_duplicates(by, keep="last").set_index(by)[target]
    joined: pd.Series[Any] = rows[by].join(outcomes, on=by)[target]
    if truth and not joined.notna().any():
        raise DslpError(f"{address} has no row with the {', '.join(by)} of a recent row")
    return joined


@contextmanager
def fetch_logs(folder: str, pattern: str) -> Iterator[list[Path]]:
    """The files of a folder, or of an address for fsspec, from which they are copied.

    Raises:
        DslpError: they cannot be fetched.
    """
    if "://" not in folder:
        yield sorted(Path(folder).glob(pattern))
        return
    files = []
    with tempfile.TemporaryDirectory() as temporary:
        try:
            store, root = fsspec.url_to_fs(folder)
            for number, name in enumerate(sorted(store.glob(f"{root}/{pattern}"))):
                files.append(Path(temporary) / f"{number}-{Path(name).name}")
                store.get_file(name, str(files[-1]))
        except Exception as error:  # drivers pass on whatever their transport raises
            reason = f"{type(error).__name__}: {error_line(error)}"
            raise DslpError(f"{pattern} at {redact(folder)}: {reason}") from error
        yield files
