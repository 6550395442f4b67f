"""A column that moved is seen, whatever its kind; one that did not moves in no report."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dslp.experiments.params import Split
from dslp.models import drift
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, fisher_exact

from benchmarks.drift import MIXED, compared, dependent, false_alarms

DRAW = np.random.default_rng(7)
NORMAL, DAYS = DRAW.normal(size=2000), [date(2020, 1, 1) + timedelta(n % 300) for n in range(2000)]
TEXTS = ["".join(DRAW.choice(list("abcdefg"), 20)) for _ in range(2000)]
WEEKS = [f"2024-W{n:03}" for n in range(130) for _ in range(10)]
CODES = [f"code {n}" for n in range(100)]
FAMILY: dict[str, tuple[Any, Any, str]] = {
    "0 and 1 become 0 and 99": ([0, 1] * 500, [0, 99] * 200, "moved"),
    "a constant is another one": ([3] * 1000, [7] * 400, "moved"),
    "a constant of few rows": ([3] * 5, [7] * 400, "moved"),
    "a constant is the same as text": ([3.0] * 1000, ["3"] * 400, "holds"),
    "a tenth is at 10⁹": (NORMAL, [*NORMAL[:360], *[1e9] * 40], "moved"),
    "large numbers move": (1e9 + NORMAL, 1e9 + NORMAL[:400] + 1, "moved"),
    "large numbers do not move": (1e9 + NORMAL, 1e9 + NORMAL[1200:1600], "holds"),
    "whole numbers beyond 2⁵³": ([2**53] * 1000, [2**53 + 1] * 400, "moved"),
    "numbers become constant": (NORMAL, [0.1] * 400, "moved"),
    "numbers become text": (NORMAL, ["much"] * 400, "moved"),
    "more are infinite": ([*NORMAL, np.inf], [*NORMAL[:360], *[np.inf] * 40], "moved"),
    "decimals move": ([Decimal("1.5"), None] * 500, [Decimal("2.5"), None] * 200, "moved"),
    "decimals do not": ([Decimal("1.5"), None] * 500, [Decimal("1.5"), None] * 200, "holds"),
    "all were missing": ([None] * 1000, ["a"] * 400, "moved"),
    "all are missing": (NORMAL, [np.nan] * 400, "moved"),
    "all are missing as before": ([None] * 1000, [None] * 400, "holds"),
    "true is seldom": ([True, False] * 500, [True] + [False] * 399, "moved"),
    "true and false as text": ([True, False] * 500, ["true", "false"] * 200, "holds"),
    "a new category": (["a", "b"] * 500, ["a", "b", "c", "c"] * 100, "moved"),
    "a category is spelt anew": (["Home", "Office"] * 500, ["home", "Office"] * 200, "moved"),
    "time goes on": (DAYS, [date(2022, 1, 1)] * 400, "not known"),
    "time goes on in whole numbers": ([*range(100)] * 10, [*range(100, 104)] * 60, "not known"),
    "time goes on in few whole numbers": ([*range(5)] * 100, [5, 6] * 200, "not known"),
    "time goes on in text": (WEEKS[:1200], WEEKS[1200:], "not known"),
    "time goes on, and what is known moves": (
        DAYS,
        [*[date(2020, 1, 3)] * 380, *[date(2022, 1, 1)] * 20],
        "moved",
    ),
    "birthdays are in the future": (DAYS, [date(2099, 1, 1)] * 400, "moved"),
    "dates are before all": (DAYS, [date(1970, 1, 1)] * 400, "moved"),
    "time goes on, and some of it is before all": (
        DAYS,
        [date(1, 1, 1), date(2022, 1, 1)] * 200,
        "moved",
    ),
    "dates do not move": (DAYS, DAYS[600:1200], "holds"),
    "other text of the same lengths": (TEXTS, [text[::-1] for text in TEXTS[:400]], "not known"),
    "text is longer": (TEXTS, [text * 2 for text in TEXTS[:400]], "moved"),
    "text of few rows": (list("abcde"), ["x"] * 400, "not known"),
    "all of 100 codes are others": (CODES * 20, [f"X{code}" for code in CODES * 4], "moved"),
    "a tenth of 100 codes is new": (CODES * 20, ["X"] * 40 + CODES * 4, "moved"),
    "all of 3,000 codes are others": (
        [str(n) for n in range(3000)] * 4,
        [f"X{n}" for n in range(400)],
        "moved",
    ),
    "100 codes do not move": (CODES * 20, CODES * 4, "holds"),
    "a common value among others vanishes": ([*TEXTS[:1100], *["a"] * 900], TEXTS[1200:], "moved"),
    "a change that few rows do not show": (NORMAL, NORMAL[:60] + 0.8, "not known"),
}


@pytest.mark.rule("M9")
@pytest.mark.parametrize("name", FAMILY)
def test_a_column_that_moved_is_seen_whatever_its_kind(name: str) -> None:
    before, after, expected = FAMILY[name]
    goes_on = name.startswith("time goes on")
    signals = compared(before, after, units=before if goes_on else None, goes_on=goes_on)
    states = [signal.status for signal in signals]
    assert ("moved" if "moved" in states else states[0]) == expected, signals
    assert not any(": 0.0 % in training, 0.0 % now" in signal.note for signal in signals)


SHOPS = pd.DataFrame({"week": np.repeat(np.arange(104), 50), "shop": [*range(50)] * 104})


@pytest.mark.parametrize(
    ("policy", "by", "units", "size"),
    [("random", None, 5200, 1), ("group", "shop", 50, 104), ("time", "week", 104 / 5, 250)],
)
def test_rows_that_may_be_alike_count_as_one(
    policy: str, by: str | None, units: float, size: float
) -> None:
    """Equal groups: as many units as groups, or as blocks of moments."""
    facts = {"policy": policy, "by": by, "holdout": 0.2, "folds": 2, "seed": 1}
    split = Split.model_validate(facts)
    assert drift.rows_per_unit(SHOPS, split) == pytest.approx(size) == len(SHOPS) / units
    assert drift.rows_per_unit(SHOPS[[]], split, 7) == (7 if by else 1)


def test_the_index_is_the_published_one_less_its_mean() -> None:
    """Siddiqi's formula by hand for 50/50 and 80/20; its mean by simulation of two samples."""
    half, other = np.array([500_000, 500_000]), np.array([800_000, 200_000])
    expected = 0.3 * np.log(1.6) + -0.3 * np.log(0.4)
    assert drift.stability(half, other) == pytest.approx(expected, abs=1e-4)
    draw, shares, mean = np.random.default_rng(3), np.full(20, 0.05), 19 * (1 / 800 + 1 / 400)
    pairs = [(draw.multinomial(800, shares), draw.multinomial(400, shares)) for _ in range(2000)]
    plain = [sum((a / 400 - e / 800) * np.log((a / 400) / (e / 800))) for e, a in pairs]
    assert np.mean(plain) == pytest.approx(mean, abs=0.004)
    excess = drift.excess_stability(half, other)
    assert excess == pytest.approx(expected - 2e-6, abs=1e-4)
    assert drift.excess_stability(*pairs[0]) == pytest.approx(max(0, plain[0] - mean), abs=0.01)


@pytest.mark.parametrize("count", [0, 2, 4, 6, 8, 10, 12, 16])
def test_chance_is_what_exact_tests_say(count: int) -> None:
    """Fisher's test where both sides are counted; the beta-binomial for a bin above all values."""
    expected, actual = np.array([390, 10]), np.array([200 - count, count])
    exact = fisher_exact([expected, actual]).pvalue
    if not 0.0008 < exact < 0.0012:
        assert drift.is_beyond_chance(expected, actual, 10) == (exact < 0.001), exact
    edge = betabinom.sf(count - 1, 200, 1, 400)
    if not 0.0008 < edge < 0.0012:
        outside = np.array([400, 0])
        assert drift.is_beyond_chance(outside, actual, 10, fixed=True) == (edge < 0.001), edge


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("groups", [4, 10])
def test_of_few_groups_no_column_is_said_to_hold(groups: int, shift: float) -> None:
    (signal,) = compared(NORMAL, NORMAL[: 20 * groups] + shift, (1, 20))
    assert (signal.status, drift.NOISE in signal.note) == ("not known", True)


@pytest.mark.rule("M9")
def test_without_a_change_hardly_a_report_says_moved() -> None:
    """A sample of benchmarks/drift.py."""
    assert false_alarms(MIXED, (400, 200), 20).startswith("0 of 20")
    assert false_alarms("30 categories, as frequent", (400, 200), 5).startswith("0 of 5")
    assert dependent((5200, 200), 20, "time", 50, 0) == "0 of 20"  # a year of shops, four weeks
    assert dependent((1000, 200), 20, "time", 1, 0.9) == "0 of 20"


def test_of_personal_data_no_end_of_a_range_is_of_fewer_than_ten_people() -> None:
    bins = drift.reference_bins(pd.Series(NORMAL), personal=True)
    assert min(bins["counts"][0], bins["counts"][-2]) == 9
    assert drift.reference_bins(pd.Series(NORMAL[:15]), personal=True)["edges"] == []
    names = ["Smith"] * 60 + ["Kowalczyk"] * 8 + TEXTS[:100]
    text = drift.reference_bins(pd.Series(names), personal=True)
    assert (text["values"], text["rarer"]) == (["Smith"], [])
    assert compared([None] * 5 + [1.5] * 4, [2.5] * 400)[0].moved is True


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=True, width=32), min_size=1), st.lists(st.floats(width=32)))
def test_every_value_is_in_one_bin(before: list[float], now: list[float]) -> None:
    bins = json.loads(json.dumps(drift.reference_bins(pd.Series(before, dtype=float))))
    assert sum(bins["counts"]) == len(before)
    counts = drift.count_values(pd.Series(now, dtype=float), bins)
    assert counts.sum() == len(now)
    names = drift.bin_names(bins)
    assert len(names) == len(counts) == len(bins["counts"])
    assert drift.stability(np.array(bins["counts"]), counts) >= 0
