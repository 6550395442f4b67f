"""The data of experiments and training: an untouched holdout, folds, and a check for leaks.

A record's part follows from a hash of its key (or its group), so it stays the same when records
are added or sorted.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from dslp.core.errors import DslpError, Refused
from dslp.data.dataset import Dataset, stale_reason
from dslp.data.fingerprint import digest
from dslp.data.reading import read_frame
from dslp.data.schema import key_columns
from dslp.data.verdict import check_suite
from dslp.experiments.leaks import LeakCheck
from dslp.experiments.model import Model, is_time
from dslp.experiments.params import Split
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

if TYPE_CHECKING:
    from dslp.core.report import Report


def holdout(rows: pd.DataFrame, split: Split, key: Sequence[str]) -> NDArray[np.bool_]:
    """Mark the rows that belong to the holdout.

    Args:
        rows: the dataset.
        split: the policy.
        key: columns that identify a row; the policy `random` divides by them.

    Raises:
        DslpError: a column is missing, or one of the two parts would be empty.
    """
    by = [split.by] if split.by else list(key)
    missing = [name for name in (*by, *key) if name not in rows]
    if missing or not by:
        names = ", ".join(missing) or "a key"
        raise DslpError(f"the split goes by {names}, which the dataset does not have")
    if split.by and rows[split.by].isna().any():
        problem = f"which is missing in {rows[split.by].isna().sum():,} rows"
        raise DslpError(f"the split goes by {split.by}, {problem}; fill it, or remove these rows")
    part: NDArray[np.bool_]
    if split.policy == "time":
        if not (is_time(rows[split.by]) or is_numeric_dtype(rows[split.by])):
            problem = f"the split goes by {split.by}, which is no time but {rows[split.by].dtype}"
            week = "pd.to_datetime(week + '-1', format='%G-W%V-%u')"
            raise DslpError(f"{problem}; make it one in pipeline.py (of 2024-W05, {week})")
        later = rows[split.by].value_counts(normalize=True).sort_index(ascending=False).cumsum()
        first = later.index[int((later < split.holdout).sum())]
        part = (rows[split.by] >= first).to_numpy(dtype=bool)
    else:
        part = _hashed(rows, by, split) / 2**64 < split.holdout
    if part.all() or not part.any():
        problem = f"the split leaves {part.sum():,} of {len(rows):,} rows in the holdout"
        reason = f"too few different values of {', '.join(by)} for a share of {split.holdout}"
        raise DslpError(f"{problem}; there are {reason}")
    return part


def folds(
    rows: pd.DataFrame, split: Split, key: Sequence[str]
) -> "Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]":
    """Positions of the training and the validation rows of each fold, for any order of the rows.

    Raises:
        DslpError: there are fewer groups or rows than folds.
    """
    from sklearn.model_selection import GroupKFold, KFold, TimeSeriesSplit

    try:
        if split.policy == "group":
            parts = GroupKFold(split.folds, shuffle=True, random_state=split.seed % 2**32)
            yield from parts.split(rows, groups=rows[split.by])
        elif split.policy == "random":
            order = np.argsort(_hashed(rows, key, split), kind="stable")
            for train, validate in KFold(split.folds).split(order):
                yield np.sort(order[train]), np.sort(order[validate])
        else:
            times = np.sort(rows[split.by].unique())  # equal times stay on one side
            for train, validate in TimeSeriesSplit(split.folds).split(times):
                before = rows[split.by].isin(times[train]).to_numpy()
                after = rows[split.by].isin(times[validate]).to_numpy()
                yield np.flatnonzero(before), np.flatnonzero(after)
    except ValueError as error:
        raise DslpError(f"the split into {split.folds} folds: {error}") from None


def _hashed(rows: pd.DataFrame, by: Sequence[str], split: Split) -> NDArray[np.uint64]:
    """A number for each row that depends on these columns and the seed only."""
    hashed = pd.util.hash_pandas_object(rows[[*by]], index=False).to_numpy()
    return pd.util.hash_array(hashed ^ np.uint64(split.seed))  # pandas' own key skips numbers


@dataclass(frozen=True)
class ModelData:
    """The rows of a dataset version; `held` marks those that no experiment may see."""

    rows: pd.DataFrame
    held: NDArray[np.bool_]
    digest: str
    dataset: Dataset
    check: LeakCheck

    @cached_property
    def suite(self) -> "Report":
        """What the dataset's own schema and suite say of it."""
        return check_suite(self.dataset)

    @property
    def warning(self) -> str:
        """Lines: the data is stale, does not pass its own suite, or may leak; mostly empty."""
        name, findings = self.dataset.name, len(self.suite.findings)
        failure = (
            f"{name} does not pass its own suite ({findings} of {self.suite.checks} checks), so a "
            f"model of it is not registered; see: uv run dslp data validate {name}"
        )
        leaks = [f"{name} may leak: {suspicion}" for suspicion in self.check.suspicions]
        reasons = [
            f"params.yml says that input {column} of {name} is known before: {reason}"
            for column, reason in self.check.known_before.items()
        ]
        lines = [stale_reason(self.dataset), "" if self.suite.ok else failure, *leaks, *reasons]
        return "\n".join(filter(None, lines))

    @property
    def development(self) -> pd.DataFrame:
        """The rows that experiments see."""
        return self.rows[~self.held]

    @property
    def holdout(self) -> pd.DataFrame:
        """The rows that only the evaluation of a trained model sees."""
        return self.rows[self.held]


def fold_ratio(model: Model, data: ModelData) -> float:
    """How many rows a fold validates on for each row that it trains on, on average."""
    parts = folds(data.development, model.params.split, key_columns(model.dataset))
    return statistics.fmean(len(validate) / len(train) for train, validate in parts)


def read_model_data(model: Model) -> ModelData:
    """The model's dataset, divided by its policy.

    Raises:
        Refused: the division leaks.
        DslpError: the data is not built, or a column is missing.
    """
    params, dataset = model.params, model.dataset
    rows, inputs, key = read_frame(dataset), model.inputs, key_columns(dataset)
    if missing := [name for name in (*inputs, params.target) if name not in rows]:
        problem = f"{dataset.processed} has no column {', '.join(missing)}"
        files = f"params.yml (target) or schema.py (Request) of {model.folder}"
        raise DslpError(f"{problem}, which {files} names")
    held = holdout(rows, params.split, key)
    if others := {*params.known_before} - {*inputs}:
        names = ", ".join(sorted(others))
        raise DslpError(f"params.yml: known_before names {names}, which is no input of schema.py")
    check = LeakCheck(rows, held, params.split, key, inputs, params.target, params.known_before)
    if check.leaks:
        raise Refused(f"{model.name} leaks: {'; '.join(check.leaks)}")
    return ModelData(rows, held, digest(dataset), dataset, check)
