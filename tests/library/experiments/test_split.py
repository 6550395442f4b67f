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
    stated = {"policy": policy, "by": by, "holdout": 0.2, "folds": 4, "seed": 3}
    return Split.model_validate(stated | changes)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Five days of 400 people, shuffled."""
    draw, number = np.random.default_rng(0), np.arange(2000)
    return pd.DataFrame(
        {
            "id": number,
            "person": [f"p{n // 5}" for n in number],
            "day": np.datetime64("2024-01-01", "us") + number * np.timedelta64(1, "D"),
            "amount": draw.normal(size=2000),
            "visits": draw.poisson(3, 2000),
        }
    ).sample(frac=1, random_state=0, ignore_index=True)


def held(rows: pd.DataFrame, policy: Split) -> set[int]:
    return set(rows["id"][holdout(rows, policy, KEY)])


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_holdout_has_about_its_share(rows: pd.DataFrame, policy: str, share: float) -> None:
    part = holdout(rows, split(policy, holdout=share), KEY)
    assert part.mean() == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_order_of_rows_moves_no_record(rows: pd.DataFrame, policy: str) -> None:
    expected = held(rows, split(policy))
    assert held(rows.sample(frac=1, random_state=1), split(policy)) == expected
    assert held(rows.sort_values("amount"), split(policy)) == expected


@pytest.mark.parametrize("policy", POLICIES)
def test_the_order_of_rows_moves_no_fold(rows: pd.DataFrame, policy: str) -> None:
    other = rows.sort_values("amount")
    for one, two in zip(
        folds(rows, split(policy), KEY), folds(other, split(policy), KEY), strict=True
    ):
        for mine, its in zip(one, two, strict=True):
            assert set(rows["id"].iloc[mine]) == set(other["id"].iloc[its])


@pytest.mark.parametrize("policy", ["random", "group"])
def test_rows_that_are_added_or_removed_move_no_other(rows: pd.DataFrame, policy: str) -> None:
    before, few = held(rows, split(policy)), rows.iloc[:1500]
    assert held(few, split(policy)) == before & set(few["id"])


@pytest.mark.parametrize("policy", ["random", "group"])
def test_the_seed_decides_who_is_held_out(rows: pd.DataFrame, policy: str) -> None:
    one, other = held(rows, split(policy)), held(rows, split(policy, seed=4))
    assert len(one & other) == pytest.approx(0.2 * 0.2 * len(rows), rel=0.5)


def test_a_group_is_never_divided(rows: pd.DataFrame) -> None:
    part = holdout(rows, split("group"), KEY)
    assert not set(rows["person"][part]) & set(rows["person"][~part])
    for train, validate in folds(rows, split("group"), KEY):
        assert not set(rows["person"].iloc[train]) & set(rows["person"].iloc[validate])


def test_training_never_sees_the_future(rows: pd.DataFrame) -> None:
    part = holdout(rows, split("time"), KEY)
    assert rows["day"][~part].max() < rows["day"][part].min()
    for train, validate in folds(rows, split("time"), KEY):
        assert rows["day"].iloc[train].max() < rows["day"].iloc[validate].min()


@pytest.mark.parametrize("moments", [2, 6, 40])
def test_a_moment_is_never_on_both_sides(rows: pd.DataFrame, moments: int) -> None:
    tied = rows.assign(day=rows["id"] * moments // len(rows))
    part = holdout(tied, split("time"), KEY)
    assert 0.2 <= part.mean() <= 0.2 + 1 / moments
    assert tied["day"][~part].max() < tied["day"][part].min()
    if moments > 4:
        for train, validate in folds(tied, split("time"), KEY):
            assert tied["day"].iloc[train].max() < tied["day"].iloc[validate].min()


@pytest.mark.parametrize("policy", ["group", "time"])
def test_a_row_without_time_or_group_is_refused(rows: pd.DataFrame, policy: str) -> None:
    by = str(split(policy).by)
    gaps = rows.assign(**{by: rows[by].where(rows["id"] % 7 > 0)})
    with pytest.raises(DslpError, match=f"{by}, which is missing in 286 rows"):
        holdout(gaps, split(policy), KEY)


@pytest.mark.parametrize("policy", ["random", "group"])
def test_folds_are_disjoint_and_cover_each_row_once(rows: pd.DataFrame, policy: str) -> None:
    parts = list(folds(rows, split(policy), KEY))
    assert len(parts) == 4
    assert sorted(np.concatenate([validate for _, validate in parts])) == list(range(2000))
    for train, validate in parts:
        assert sorted([*train, *validate]) == list(range(2000))


@pytest.mark.parametrize("policy", POLICIES)
def test_folds_are_the_same_each_time(rows: pd.DataFrame, policy: str) -> None:
    for one, other in zip(
        folds(rows, split(policy), KEY), folds(rows, split(policy), KEY), strict=True
    ):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (split("group", by="nothing"), "goes by nothing"),
        (split("time", by="person"), "person, which is no time"),
        (split("random", holdout=1e-9), "leaves 0 of 2,000 rows"),
        (split("group", holdout=1 - 1e-12), "leaves 2,000 of 2,000 rows"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(
    rows: pd.DataFrame, policy: Split, problem: str
) -> None:
    with pytest.raises(DslpError, match=problem):
        holdout(rows, policy, KEY)


@pytest.mark.parametrize("policy", POLICIES)
def test_more_folds_than_there_is_to_divide_are_refused(rows: pd.DataFrame, policy: str) -> None:
    with pytest.raises(DslpError, match="the split into 3000 folds"):
        list(folds(rows, split(policy, folds=3000), KEY))


def test_a_key_that_the_data_does_not_have_is_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(DslpError, match="goes by nothing"):
        holdout(rows, split("random"), ["nothing"])


def found(rows: pd.DataFrame, *inputs: str, policy: str = "group") -> list[str]:
    part = holdout(rows, split(policy), KEY)
    return leaks(rows, part, split(policy), KEY, ["amount", *inputs], "visits")


@pytest.mark.parametrize("policy", POLICIES)
def test_good_data_has_no_leak(rows: pd.DataFrame, policy: str) -> None:
    assert found(rows, "day", policy=policy) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("visits", "input visits is the target"),
        ("id", "input id tells which record or group it is"),
        ("person", "input person tells which record or group it is"),
        ("copy", "input copy follows the target exactly"),
        ("scaled", "input scaled follows the target exactly"),
        ("falling", "input falling follows the target exactly"),
        ("curved", "input curved follows the target exactly"),
    ],
)
def test_an_input_that_tells_the_answer_is_a_leak(rows: pd.DataFrame, name: str, said: str) -> None:
    visits = rows["visits"]
    more = rows.assign(
        copy=visits, scaled=2.5 * visits + 1, falling=-visits, curved=np.exp(visits / 10)
    )
    assert found(more, name) == [said]


def test_a_copy_of_a_target_in_words_is_a_leak(rows: pd.DataFrame) -> None:
    words = rows["visits"].astype("str") + " times"
    more = rows.assign(visits=words, same=words, other=words.iloc[::-1].to_numpy())
    assert found(more, "same", "other") == ["input same follows the target exactly"]


def test_a_value_for_each_answer_is_a_leak_in_whatever_words(rows: pd.DataFrame) -> None:
    told = rows.assign(
        code=rows["visits"].map(lambda visits: f"v{visits * 7 % 101}"), level=rows["visits"] % 3
    )
    assert found(told, "code", "level") == ["input code follows the target exactly"]


def test_a_few_rows_that_agree_by_chance_are_no_leak(rows: pd.DataFrame) -> None:
    scarce = rows["visits"].where(rows.index < 5).astype("float64")
    assert found(rows.assign(scarce=scarce), "scarce") == []


def test_a_record_on_both_sides_is_a_leak(rows: pd.DataFrame) -> None:
    part = holdout(rows, split("group"), KEY)
    twice = rows.copy()
    twice.loc[np.flatnonzero(part)[:2], "id"] = twice.loc[
        np.flatnonzero(~part)[:2], "id"
    ].to_numpy()
    assert found(twice) == ["2 of id are in training and in holdout"]


def test_a_leak_stops_the_experiment_and_is_no_error_of_the_machine(tracked: Toy) -> None:
    tracked.edit(tracked.model_folder / "schema.py", "    amount: float\n", "    visits: int\n")
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 1
    assert "frequency leaks: input visits is the target" in outcome.error
