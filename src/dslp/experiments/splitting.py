"""Dividing records: an untouched holdout, folds for the experiments, and a check for leaks.

A record's part follows from a hash of its key (or its group's), so it stays in its part when
records are added, and nobody can move a record by sorting the data.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.experiments.params import Split

AGREEING = 30  # rows at least, before an input is said to follow the target

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def holdout(rows: "pd.DataFrame", split: Split, key: Sequence[str]) -> "NDArray[np.bool_]":
    """For each row, whether it belongs to the holdout.

    Args:
        rows: the dataset.
        split: the policy.
        key: columns that identify a row, which the policy `random` goes by.

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
    """Positions of the training and the validation rows of each fold, whatever their order is.

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
            times = np.sort(rows[split.by].unique())  # a moment is never on both sides
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
    """Ways in which the answer could be known beforehand, in words; empty if none was found.

    Looked for: a record or group on both sides, a past that holds the future, and inputs that are
    the target, the key or the group, or that follow the target exactly.
    """
    found = []
    for name in inputs:
        if name == target:
            found.append(f"input {name} is the target")
        elif name in key or (split.policy == "group" and name == split.by):
            found.append(f"input {name} tells which record or group it is")
        elif _determines(rows, name, target):
            found.append(f"input {name} follows the target exactly")
    for names in ([*key], [split.by] if split.policy == "group" and split.by else []):
        both = _on_both_sides(rows, part, names) if names else 0
        if both:
            found.append(f"{both:,} of {', '.join(names)} are in training and in holdout")
    if split.policy == "time" and rows[split.by][~part].max() > rows[split.by][part].min():
        found.append(f"training data is later than holdout data by {split.by}")
    return found


def _hashed(rows: "pd.DataFrame", by: Sequence[str], split: Split) -> "NDArray[np.uint64]":
    """A number for each row that depends on these columns and the seed alone."""
    import numpy as np
    import pandas as pd

    hashed = pd.util.hash_pandas_object(rows[[*by]], index=False).to_numpy()
    return pd.util.hash_array(hashed ^ np.uint64(split.seed))  # pandas' own key skips numbers


def _on_both_sides(rows: "pd.DataFrame", part: "NDArray[np.bool_]", names: list[str]) -> int:
    return len(rows.loc[part, names].drop_duplicates().merge(
        rows.loc[~part, names].drop_duplicates(), on=names
    ))  # fmt: skip


def _determines(rows: "pd.DataFrame", name: str, target: str) -> bool:
    """Whether an input tells the target wholly, by a value for each of its own or by its order."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    known = rows[[name, target]].dropna()
    if len(known) < AGREEING or known[target].nunique() < 2:
        return False  # a few rows agree by chance
    levels = known.groupby(name, observed=True)[target].nunique()
    if len(levels) <= len(known) / 2:
        return bool(levels.max() == 1)
    if any(not is_numeric_dtype(known[c]) or is_bool_dtype(known[c]) for c in (name, target)):
        return bool(known[name].astype("str").equals(known[target].astype("str")))
    return bool(abs(known[name].rank().corr(known[target].rank())) > 1 - 1e-9)
