"""Dividing records: an untouched holdout, folds for the experiments, and a check for leaks.

A record's part follows from a hash of its key (or its group), so it stays the same when records
are added or sorted.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.experiments.params import Split

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ENOUGH = 30  # rows; fewer may follow the target by chance


def holdout(rows: "pd.DataFrame", split: Split, key: Sequence[str]) -> "NDArray[np.bool_]":
    """Mark the rows that belong to the holdout.

    Args:
        rows: the dataset.
        split: the policy.
        key: columns that identify a row; the policy `random` divides by them.

    Raises:
        DslpError: a column is missing, or one of the two parts would be empty.
    """
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    by = [split.by] if split.by else list(key)
    missing = [name for name in (*by, *key) if name not in rows]
    if missing or not by:
        raise DslpError(
            f"the split goes by {', '.join(missing) or 'a key'}, which the dataset does not have"
        )
    if split.by and rows[split.by].isna().any():
        raise DslpError(
            f"the split goes by {split.by}, which is missing in {rows[split.by].isna().sum():,} "
            "rows; fill it, or leave these rows out of the dataset"
        )
    part: NDArray[np.bool_]
    if split.policy == "time":
        if not (is_datetime64_any_dtype(rows[split.by]) or is_numeric_dtype(rows[split.by])):
            kind = rows[split.by].dtype
            raise DslpError(f"the split goes by {split.by}, which is no time but {kind}")
        later = rows[split.by].value_counts(normalize=True).sort_index(ascending=False).cumsum()
        first = later.index[int((later < split.holdout).sum())]
        part = (rows[split.by] >= first).to_numpy(dtype=bool)
    else:
        part = _hashed(rows, by, split) / 2**64 < split.holdout
    if part.all() or not part.any():
        raise DslpError(
            f"the split leaves {part.sum():,} of {len(rows):,} rows in the holdout; there are too "
            f"few different values of {', '.join(by)} for a share of {split.holdout}"
        )
    return part


def folds(
    rows: "pd.DataFrame", split: Split, key: Sequence[str]
) -> "Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]":
    """Positions of the training and the validation rows of each fold, for any order of the rows.

    Raises:
        DslpError: there are fewer groups or rows than folds.
    """
    import numpy as np
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


def leaks(
    rows: "pd.DataFrame",
    part: "NDArray[np.bool_]",
    split: Split,
    key: Sequence[str],
    inputs: Sequence[str],
    target: str,
) -> list[str]:
    """The leaks of a division, one sentence each.

    A leak is a record or group in both parts, training data later than the holdout, or an input
    that is the target, the key or the group, or that follows the target exactly.
    """
    problems = []
    for name in inputs:
        if name == target:
            problems.append(f"input {name} is the target")
        elif name in key or (split.policy == "group" and name == split.by):
            problems.append(f"input {name} tells which record or group it is")
        elif _determines(rows, name, target):
            problems.append(f"input {name} follows the target exactly")
    for names in ([*key], [split.by] if split.policy == "group" and split.by else []):
        if names and (shared := _count_shared(rows, part, names)):
            problems.append(f"{shared:,} of {', '.join(names)} are in training and in holdout")
    if split.policy == "time" and rows[split.by][~part].max() > rows[split.by][part].min():
        problems.append(f"training data is later than holdout data by {split.by}")
    return problems


def _hashed(rows: "pd.DataFrame", by: Sequence[str], split: Split) -> "NDArray[np.uint64]":
    """A number for each row that depends on these columns and the seed only."""
    import numpy as np
    import pandas as pd

    hashed = pd.util.hash_pandas_object(rows[[*by]], index=False).to_numpy()
    return pd.util.hash_array(hashed ^ np.uint64(split.seed))  # pandas' own key skips numbers


def _count_shared(rows: "pd.DataFrame", part: "NDArray[np.bool_]", names: list[str]) -> int:
    """How many different values of these columns are in both parts."""
    inside, outside = (rows.loc[side, names].drop_duplicates() for side in (part, ~part))
    return len(inside.merge(outside, on=names))


def _determines(rows: "pd.DataFrame", name: str, target: str) -> bool:
    """Whether an input determines the target, by its values or by their order."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    pairs = rows[[name, target]].dropna()
    if len(pairs) < ENOUGH or pairs[target].nunique() < 2:
        return False
    targets = pairs.groupby(name, observed=True)[target].nunique()
    if len(targets) <= len(pairs) / 2:
        return bool(targets.max() == 1)
    if any(not is_numeric_dtype(pairs[c]) or is_bool_dtype(pairs[c]) for c in (name, target)):
        return bool(pairs[name].astype("str").equals(pairs[target].astype("str")))
    return bool(abs(pairs[name].rank().corr(pairs[target].rank())) > 1 - 1e-9)
