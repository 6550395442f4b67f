"""Observed outcomes of what a model predicted, found for the rows that they are about (M9)."""

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.data.dataset import find_dataset
from dslp.data.reading import quote_literal
from dslp.experiments.model import Model

if TYPE_CHECKING:
    import pandas as pd

READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".jsonl": "read_json"}


def join_outcomes(model: Model, truth: str | None, rows: "pd.DataFrame") -> "pd.Series[Any] | None":
    """The observed outcome of each row, by request (and its row), else by the dataset's key.

    Raises:
        DslpError: the file cannot be read, or one that is named is about none of the rows.
    """
    from dslp.data.schema import key_columns

    target, usual = model.params.target, model.project.data / "interim" / "truth"
    folder = os.environ.get("DSLP_TRUTH") or str(usual)
    name = f"{model.name}.*"
    if truth:  # one file, whatever its name means in a pattern
        folder, name = os.path.split(truth.rstrip("/"))
        name = glob.escape(name) or "*"
    where = redact(truth or f"{folder}/{name}")
    with fetch_logs(folder, name) as files:
        if not files and not truth:
            return None
        if len(files) != 1 or files[0].suffix not in READERS:
            raise DslpError(f"{where} is not one file of the kind {', '.join(READERS)}")
        known = _read(files[0], where)
    by = [name for name in ("request_id", "row") if name in known and name in rows]
    dataset = find_dataset(model.project, model.params.dataset.name)
    by = by if "request_id" in by else [name for name in key_columns(dataset) if name in known]
    if target not in known or not by or not set(by) <= set(rows):
        raise DslpError(
            f"{where} must have {target}, and request_id (and row) of the log or the key of "
            f"{dataset.name}, whichever the rows have"
        )
    if by == ["request_id"]:  # of a request with several rows, it can be about the first only
        known, by = known.assign(row=0), ["request_id", "row"]
    try:
        known = known.astype(rows[by].dtypes.to_dict())
    except (TypeError, ValueError) as error:
        reason = error_line(error)
        raise DslpError(f"{where}: {', '.join(by)} is not as in the rows: {reason}") from None
    one = known.drop_duplicates(by, keep="last").set_index(by)[target]
    found: pd.Series[Any] = rows[by].join(one, on=by)[target]
    if truth and not found.notna().any():
        raise DslpError(f"{where} has no row with the {', '.join(by)} of one that arrived")
    return found


def _read(path: Path, where: str) -> "pd.DataFrame":
    """A file of observed outcomes; a request is text, even if it looks like a number or a UUID."""
    import duckdb

    source = f"{READERS[path.suffix]}({quote_literal(str(path))}"
    try:
        with duckdb.connect() as connection:
            there = connection.sql(f"FROM {source})")
            types = dict(zip(there.columns, map(str, there.types), strict=True))
            if "request_id" in types and path.suffix != ".parquet":
                stated = (types | {"request_id": "VARCHAR"}).items()
                option = "types" if path.suffix == ".csv" else "columns"
                pairs = ", ".join(
                    f"{quote_literal(name)}: {quote_literal(kind)}" for name, kind in stated
                )
                source += f", {option} = {{{pairs}}}"
            known: pd.DataFrame = connection.sql(f"FROM {source})").df()
            return known
    except duckdb.Error as error:
        reason = str(error).splitlines()[0][:160]
        raise DslpError(f"{where} cannot be read: {reason}") from None


@contextmanager
def fetch_logs(folder: str, names: str) -> Iterator[list[Path]]:
    """The files of such names in a folder, or at an address of fsspec's, from which they come.

    Raises:
        DslpError: they cannot be fetched.
    """
    if "://" not in folder:
        yield sorted(Path(folder).glob(names))
        return
    import fsspec

    found = []
    with tempfile.TemporaryDirectory() as aside:
        try:
            store, root = fsspec.url_to_fs(folder)
            for number, name in enumerate(sorted(store.glob(f"{root}/{names}"))):
                found.append(Path(aside) / f"{number}{Path(name).suffix}")
                store.get_file(name, str(found[-1]))
        except Exception as error:  # drivers pass on whatever their transport raises
            reason = redact(" ".join(f"{type(error).__name__}: {error}".split()))[:160]
            raise DslpError(f"{names} at {redact(folder)}: {reason}") from error
        yield found
