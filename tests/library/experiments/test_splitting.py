"""The split is a policy: stable, disjoint, and blind to the future."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from dslp.core.errors import DslpError
from dslp.experiments.params import Split
from dslp.experiments.splitting import folds, holdout

KEY = ["id"]
COLUMNS = {"random": None, "group": "person", "time": "day"}


def split(policy: str, **changes: Any) -> Split:
    fields = {"policy": policy, "by": COLUMNS[policy], "holdout": 0.2, "folds": 4, "seed": 3}
    return Split.model_validate(fields | changes)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Five days of 400 people, shuffled."""
    draw, number = np.random.default_rng(0), np.arange(2000)
    columns = {"id": number, "person": number // 5, "day": number, "amount": draw.normal(size=2000)}
    columns["visits"] = draw.poisson(3, 2000)
    return pd.DataFrame(columns).sample(frac=1, random_state=0, ignore_index=True)


def divide(rows: pd.DataFrame, policy: Split, key: list[str] = KEY) -> list[set[int]]:
    """The ids of the holdout, then of the training and the validation rows of each fold."""
    ids, held = rows["id"], holdout(rows, policy, key)
    parts = [part for fold in folds(rows, policy, key) for part in fold]
    return [set(ids[held]), *(set(ids.iloc[part]) for part in parts)]


@pytest.mark.parametrize("policy", COLUMNS)
def test_the_parts_are_stable_disjoint_and_have_their_shares(
    rows: pd.DataFrame, policy: str
) -> None:
    held, *parts = divide(rows, split(policy))
    assert divide(rows.sort_values("amount"), split(policy)) == [held, *parts]
    assert len(held) == pytest.approx(400, abs=100)
    for train, validate in zip(parts[::2], parts[1::2], strict=True):
        assert not train & validate
        assert policy == "time" or len(train | validate) == 2000
        people = ({one // 5 for one in part} for part in (train, validate))
        assert policy != "group" or not set.intersection(*people), "a group is never divided"
    if policy != "time":
        assert len(set.union(*parts[1::2])) == sum(map(len, parts[1::2])) == 2000
        few = rows.iloc[:1500]
        assert divide(few, split(policy))[0] == held & set(few["id"]), "no row moves"
        other = divide(rows, split(policy, seed=4))[0]
        assert len(held & other) == pytest.approx(0.2 * 0.2 * 2000, rel=0.5), "the seed decides"


@pytest.mark.parametrize("moments", [6, 40, 2000])
def test_training_never_sees_the_future_nor_the_same_moment(
    rows: pd.DataFrame, moments: int
) -> None:
    tied = rows.assign(day=rows["id"] * moments // len(rows))
    part = holdout(tied, split("time"), KEY)
    assert 0.2 <= part.mean() <= 0.2 + 1 / moments
    assert tied["day"][~part].max() < tied["day"][part].min()
    for train, validate in folds(tied, split("time"), KEY):
        assert tied["day"].iloc[train].max() < tied["day"].iloc[validate].min()


@pytest.mark.parametrize(
    ("policy", "key", "problem"),
    [
        (split("group", by="nothing"), KEY, "goes by nothing"),
        (split("random"), ["nothing"], "goes by nothing"),
        (split("time", by="text"), KEY, "text, which is no time"),
        (split("random", holdout=1e-9), KEY, "leaves 0 of 2,000 rows"),
        (split("group", holdout=1 - 1e-12), KEY, "leaves 2,000 of 2,000 rows"),
        (split("group", by="gaps"), KEY, "gaps, which is missing in 286 rows"),
        (split("random", folds=3000), KEY, "the split into 3000 folds"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(
    rows: pd.DataFrame, policy: Split, key: list[str], problem: str
) -> None:
    more = rows.assign(gaps=rows["person"].where(rows["id"] % 7 > 0), text="a")
    with pytest.raises(DslpError, match=problem):
        divide(more, policy, key)
