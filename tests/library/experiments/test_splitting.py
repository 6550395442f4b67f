"""The split is a policy: stable, disjoint, blind to the future, and checked for leaks."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from dslp.core.errors import DslpError
from dslp.experiments.params import Split
from dslp.experiments.splitting import folds, holdout, leaks

from tests.library.toy import Toy

KEY = ["id"]
POLICIES = ("random", "group", "time")


def split(policy: str, **changes: Any) -> Split:
    by = {"random": None, "group": "person", "time": "day"}[policy]
    fields = {"policy": policy, "by": by, "holdout": 0.2, "folds": 4, "seed": 3}
    return Split.model_validate(fields | changes)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Five days of 400 people, shuffled."""
    draw, number = np.random.default_rng(0), np.arange(2000)
    columns = {
        "id": number,
        "person": [f"p{n // 5}" for n in number],
        "day": np.datetime64("2024-01-01", "us") + number * np.timedelta64(1, "D"),
        "amount": draw.normal(size=2000),
        "visits": draw.poisson(3, 2000),
    }
    return pd.DataFrame(columns).sample(frac=1, random_state=0, ignore_index=True)


def divide(rows: pd.DataFrame, policy: Split, key: list[str]) -> tuple[Any, list[Any]]:
    return holdout(rows, policy, key), list(folds(rows, policy, key))


def held(rows: pd.DataFrame, policy: Split) -> set[int]:
    return set(rows["id"][holdout(rows, policy, KEY)])


def fold_ids(rows: pd.DataFrame, policy: Split) -> list[list[set[int]]]:
    ids = rows["id"]
    return [[set(ids.iloc[part]) for part in fold] for fold in folds(rows, policy, KEY)]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_order_of_rows_moves_no_record(rows: pd.DataFrame, policy: str) -> None:
    other = rows.sort_values("amount")
    assert held(other, split(policy)) == held(rows, split(policy))
    assert fold_ids(other, split(policy)) == fold_ids(rows, split(policy))


@pytest.mark.parametrize("policy", ["random", "group"])
def test_added_rows_move_no_other_and_the_seed_decides(rows: pd.DataFrame, policy: str) -> None:
    before, few = held(rows, split(policy)), rows.iloc[:1500]
    assert held(few, split(policy)) == before & set(few["id"])
    other = held(rows, split(policy, seed=4))
    assert len(before & other) == pytest.approx(0.2 * 0.2 * len(rows), rel=0.5)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_parts_have_their_shares_and_cover_each_row(rows: pd.DataFrame, policy: str) -> None:
    for share in (0.1, 0.5):
        part = holdout(rows, split(policy, holdout=share), KEY)
        assert part.mean() == pytest.approx(share, abs=0.05)
    parts = fold_ids(rows, split(policy))
    assert [train & validate for train, validate in parts] == [set()] * 4
    if policy != "time":
        assert sum(len(validate) for _, validate in parts) == 2000
        assert {len(train | validate) for train, validate in parts} == {2000}


def test_a_group_is_never_divided(rows: pd.DataFrame) -> None:
    part = holdout(rows, split("group"), KEY)
    assert not set(rows["person"][part]) & set(rows["person"][~part])
    for train, validate in folds(rows, split("group"), KEY):
        assert not set(rows["person"].iloc[train]) & set(rows["person"].iloc[validate])


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
        (split("time", by="person"), KEY, "person, which is no time"),
        (split("random", holdout=1e-9), KEY, "leaves 0 of 2,000 rows"),
        (split("group", holdout=1 - 1e-12), KEY, "leaves 2,000 of 2,000 rows"),
        (split("group", by="gaps"), KEY, "gaps, which is missing in 286 rows"),
        (split("random", folds=3000), KEY, "the split into 3000 folds"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(
    rows: pd.DataFrame, policy: Split, key: list[str], problem: str
) -> None:
    gaps = rows.assign(gaps=rows["person"].where(rows["id"] % 7 > 0))
    with pytest.raises(DslpError, match=problem):
        divide(gaps, policy, key)


def check_leaks(rows: pd.DataFrame, *inputs: str, policy: str = "group") -> list[str]:
    part = holdout(rows, split(policy), KEY)
    return leaks(rows, part, split(policy), KEY, ["amount", *inputs], "visits")


@pytest.mark.parametrize("policy", POLICIES)
def test_good_data_has_no_leak(rows: pd.DataFrame, policy: str) -> None:
    scarce = rows["visits"].where(rows.index < 5).astype("float64")  # too few rows to judge by
    more = rows.assign(scarce=scarce, level=rows["visits"] % 3)
    assert check_leaks(more, "day", "scarce", "level", policy=policy) == []


def test_an_input_that_tells_the_answer_is_a_leak(rows: pd.DataFrame) -> None:
    visits = rows["visits"]
    columns = {"scaled": 2.5 * visits, "falling": -visits, "curved": np.exp(visits / 10)}
    columns["code"] = visits.map(lambda value: f"v{value * 7 % 101}")
    assert check_leaks(rows.assign(**columns), "visits", "id", "person", *columns) == [
        "input visits is the target",
        *(f"input {name} tells which record or group it is" for name in ("id", "person")),
        *(f"input {name} follows the target exactly" for name in columns),
    ]
    words = rows["id"].astype("str") + " times"
    texts = rows.assign(visits=words, same=words, other=words.iloc[::-1].to_numpy())
    assert check_leaks(texts, "same", "other") == ["input same follows the target exactly"]


def test_a_record_on_both_sides_is_a_leak(rows: pd.DataFrame) -> None:
    part, twice = holdout(rows, split("group"), KEY), rows.copy()
    others = twice.loc[np.flatnonzero(~part)[:2], "id"]
    twice.loc[np.flatnonzero(part)[:2], "id"] = others.to_numpy()
    assert check_leaks(twice) == ["2 of id are in training and in holdout"]


def test_a_leak_stops_the_experiment_and_is_no_error_of_the_machine(built: Toy) -> None:
    built.edit(built.model_folder / "schema.py", "    amount: float\n", "    visits: int\n")
    outcome = built.run("experiment", "run")
    assert outcome.code == 1
    assert "frequency leaks: input visits is the target" in outcome.error
