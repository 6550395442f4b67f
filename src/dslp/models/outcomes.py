"""Observed outcomes, joined to the rows that a model predicted (M9)."""

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.data.dataset import find_dataset
from dslp.data.reading import read_raw
from dslp.data.schema import key_columns
from dslp.experiments.model import Model

SUFFIXES = (".parquet", ".csv")


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
