"""What is recorded of predictions is what scikit-learn, statsmodels and plain sums say of them."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from dslp.experiments import evaluation
from dslp.experiments.evaluation import draw_views, evaluate_pairs, mean_interval, truth_pairs
from dslp.experiments.model import Model
from dslp.experiments.params import Metric, Split
from dslp.experiments.uncertainty import Measured, draw_samples
from scipy.stats import norm, poisson, t
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy

HOSTILE = "<script>alert(1)</script> [x](javascript:y) `a` | *b* ${{ c }} \u202e"


def of_kind(toy: Toy, kind: str, policy: str = "random", by: str | None = None) -> Model:
    """The toy model, as if it predicted this kind."""
    split = Split(policy=policy, by=by, holdout=0.2, folds=3, seed=1)  # type: ignore[arg-type]
    model = toy.model
    return replace(model, params=model.params.model_copy(update={"kind": kind, "split": split}))


def labelled(classes: list[Any], rows: int = 2000) -> pd.DataFrame:
    """Rows of classes, of which four fifths are predicted right, with a probability of the last."""
    draw = np.random.default_rng(0)
    weights = 1 / np.arange(1, len(classes) + 1) ** 1.5
    truth = draw.choice(len(classes), rows, p=weights / weights.sum())
    predicted = np.where(draw.random(rows) < 0.8, truth, draw.integers(0, len(classes), rows))
    probability = np.clip(0.3 + 0.4 * (truth == len(classes) - 1) + draw.normal(0, 0.2, rows), 0, 1)
    pairs = {"truth": [classes[n] for n in truth], "predicted": [classes[n] for n in predicted]}
    return pd.DataFrame(pairs | {"probability": probability})


def test_an_interval_is_that_of_clustered_rows_and_covers_the_truth() -> None:
    draw = np.random.default_rng(1)
    rows = pd.DataFrame({"unit": draw.integers(0, 40, 500), "y": draw.normal(5, 2, 500)})
    rows["y"] += draw.normal(0, 1, 40)[rows["unit"]]
    clusters = {"cov_type": "cluster", "cov_kwds": {"groups": rows["unit"]}, "use_t": True}
    fit = sm.OLS(rows["y"], np.ones(500)).fit(**clusters)
    expected = [rows["y"].mean(), *fit.conf_int().to_numpy()[0], 500]
    assert mean_interval(rows, "y") == pytest.approx(expected)
    for hits in (0, 3, 60, 200):  # independent rows: Wilson's interval, with t for the normal
        rows = pd.DataFrame({"unit": range(200), "hit": np.arange(200) < hits})
        wilson = proportion_confint(hits, 200, 2 * norm.sf(t.ppf(0.975, 199)), "wilson")
        expected = [hits / 2, *(100 * end for end in wilson), 200]
        assert mean_interval(rows, "hit") == pytest.approx(expected, abs=1e-8)
        assert (mean_interval(rows, "hit")[1] == 0, mean_interval(rows, "hit")[2] == 100) == (
            hits == 0,
            hits == 200,
        )
    covered = 0
    for _ in range(300):  # 30 units of 10 rows, each with a share of its own; 0.2 on average
        share = np.repeat(draw.beta(2, 8, 30), 10)
        rows = pd.DataFrame({"unit": np.arange(300) // 10, "hit": draw.random(300) < share})
        _, low, high, _ = mean_interval(rows, "hit")
        covered += low <= 20 <= high
    assert 0.92 < covered / 300 < 0.98
    assert mean_interval(rows[rows["unit"] < 2], "hit")[1:] == [None, None, 20]
    assert mean_interval(rows[:0], "hit") == [None, None, None, 0]


@pytest.mark.parametrize(
    ("policy", "moments", "rows", "dependence", "least"),
    [
        ("group", 3, 20, 0.0, 0.93),  # groups are independent, the rows of one nearly equal
        ("group", 5, 20, 0.0, 0.93),
        ("time", 24, 1, 0.5, 0.9),  # the correlation of a moment with the next one
        ("time", 100, 1, 0.5, 0.92),
        ("time", 100, 1, 0.8, 0.9),
    ],
)
def test_samples_of_units_tell_how_sure_a_mean_is(
    policy: Any, moments: int, rows: int, dependence: float, least: float
) -> None:
    draw, covered, exact = np.random.default_rng(3), 0, Metric(name="m", better="higher")
    frame = pd.DataFrame({"by": np.arange(moments).repeat(rows)})
    for seed in range(200):
        noise = draw.normal(size=moments + 50)
        for place in range(1, len(noise)):
            noise[place] += dependence * noise[place - 1]
        values = noise[50:].repeat(rows) + draw.normal(0, 0.1, len(frame))
        split = Split(policy=policy, by="by", holdout=0.2, folds=2, seed=seed)
        samples = draw_samples(frame, split)
        means = np.array([values[positions].mean() for positions in samples])
        mean = Measured(values.mean(), means, samples.units)
        gain = mean.gain(Measured(0.0, 0 * means, samples.units), exact, "difference")
        covered += gain.low <= 0 <= gain.high
    assert least <= covered / 200 <= 0.985


@pytest.mark.parametrize(
    "classes", [[False, True], [0, 1], ["no", "yes"], [*range(14)], [HOSTILE, *"abcdefghijkl"]]
)
def test_classes_are_counted_as_scikit_learn_counts_them(toy: Toy, classes: list[Any]) -> None:
    pairs, two = labelled(classes), len(classes) == 2
    truth, predicted = pairs["truth"], pairs["predicted"]
    result = evaluate_pairs(of_kind(toy, "classification"), pairs, truth)
    precision, recall, *_ = precision_recall_fscore_support(truth, predicted)
    assert result["right"][0] == pytest.approx(100 * (truth == predicted).mean(), rel=1e-4)
    for name, *figures in result["classes"]:
        place = [str(one) for one in sorted(classes)].index(name)
        expected = [100 * recall[place], 100 * precision[place]]
        assert figures[:5:4] == pytest.approx(expected, rel=1e-4)
    assert (result["confusion"][-1][0] == "other classes") == (len(classes) > 10)
    assert sum(sum(row[1:]) for row in result["confusion"]) == len(pairs)
    assert set(draw_views(result)) == {"confusion", "reliability", *(["gains"] if two else [])}
    if not two:
        return
    matrix = confusion_matrix(truth, predicted)
    assert [row[1:] for row in result["confusion"]] == matrix.tolist()
    event, probability = truth == classes[-1], pairs["probability"]
    assert result["positive"] == str(classes[-1])
    rows = np.array([row[:2] for row in result["reliability"]])
    share, mean = calibration_curve(event, probability, n_bins=10, strategy="quantile")
    assert rows == pytest.approx(100 * np.column_stack([mean, share]), rel=0.02)
    sizes = np.array([row[4] for row in result["reliability"]])
    error = (sizes * abs(rows[:, 0] - rows[:, 1])).sum() / len(pairs)
    assert result["calibration_error"] == pytest.approx(error, rel=1e-3)
    best = probability.sort_values(ascending=False).index[: len(pairs) // 5]
    share_of_best = 100 * event[best].sum() / event.sum()
    assert result["gains"][2][:2] == pytest.approx([20, share_of_best], rel=1e-4)


@pytest.mark.parametrize(
    ("classes", "personal", "positive", "views", "named"),
    [
        (["a", "b", "c"], False, None, {"reliability"}, ["a", "b"]),  # the sample has no c
        (["no", "yes"], False, "yes", {"reliability", "gains"}, ["no", "yes"]),
        ([0, 1], False, "1", {"reliability"}, ["0", "1"]),  # the sample has no 1
        (["no", "rare"], False, "rare", {"reliability", "gains"}, ["no", "rare"]),  # one row
        (["no", "rare"], True, None, set(), ["no"]),
    ],
)
def test_the_classes_are_those_of_all_rows(
    toy: Toy, classes: list[Any], personal: bool, positive: Any, views: set[str], named: list[str]
) -> None:
    if personal:
        toy.edit(toy.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
    model, draw = of_kind(toy, "classification"), np.random.default_rng(5)
    size = 1 if "rare" in classes else 0 if 1 in classes else 300
    truth = pd.Series([*classes[:1] * 700, *classes[1:2] * size])
    event = truth == classes[-1] if len(classes) == 2 else draw.random(1000) < 0.8
    probability = np.clip(np.where(event, 0.8, 0.1) + draw.normal(0, 0.02, len(truth)), 0, 1)
    if len(classes) == 3:  # the prediction is right where the event is; its probability is 0.8
        other = truth.map({"a": "b", "b": "a"})
        probability = np.full(1000, 0.8)
        pairs = pd.DataFrame({"truth": truth, "predicted": truth.where(event, other)})
        pairs["probability"] = probability
    else:  # with a probability only, the prediction follows from it
        past, rows = (pd.DataFrame({"visits": side}) for side in (classes, truth))
        pairs = truth_pairs(model, past, rows, pd.DataFrame({"probability": probability}))
        assert (pairs["predicted"] == truth).all()
    result = evaluate_pairs(model, pairs, pd.concat([truth, pd.Series(classes)]))
    assert (result.get("positive"), {"reliability", "gains"} & set(result)) == (positive, views)
    assert [name for name, *_ in result["classes"]] == named
    if views:  # 0.8 and 0.1 are off by 0.2 and 0.1, 0.8 of about 80 % right by little
        off = (
            100 * abs(probability - event).mean()
            if len(classes) == 2
            else 100 * abs(0.8 - event.mean())
        )
        assert result["calibration_error"] == pytest.approx(off, rel=0.05, abs=0.2)


def test_numbers_are_calibrated_by_tenths_of_the_prediction(toy: Toy) -> None:
    draw = np.random.default_rng(2)
    predicted = draw.gamma(2, 1, 1000)
    pairs = pd.DataFrame({"truth": draw.poisson(predicted), "predicted": predicted})
    result = evaluate_pairs(of_kind(toy, "counts"), pairs, pairs["truth"])
    parts = np.array_split(np.argsort(predicted), 10)
    truth = pairs["truth"].to_numpy()
    residual = truth - predicted
    for part, row, spread in zip(parts, result["calibration"], result["residuals"], strict=True):
        assert row[:2] == pytest.approx([predicted[part].mean(), truth[part].mean()], rel=1e-4)
        ends = np.quantile(residual[part], [0.1, 0.9])
        assert spread[1:4] == pytest.approx([residual[part].mean(), *ends], rel=1e-3, abs=1e-4)
    assert result["off"] == pytest.approx(np.quantile(abs(residual), [0.5, 0.9]), rel=1e-4)
    none = result["frequencies"][0]
    expected = [100 * (truth == 0).mean(), 100 * poisson(predicted).pmf(0).mean()]
    assert [none[1], none[5]] == pytest.approx(expected, rel=1e-4)
    evaluate = partial(evaluate_pairs, of_kind(toy, "regression"), observed=pairs["truth"])
    constant = evaluate(pairs.assign(predicted=2.0))
    assert [row[4] for row in constant["calibration"]] == [1000]
    assert len(json.dumps(evaluate(pairs[:9]))) < 100
    broken = pairs.assign(predicted=pairs["predicted"].where(pairs.index > 4, np.inf))
    assert evaluate(broken)["rows"] == 995


def test_a_forecast_is_seen_over_its_horizon_beside_the_last_value(toy: Toy) -> None:
    toy.edit(toy.dataset / "schema.yml", "key: [", "key: [week, shop] # [")
    weeks = pd.date_range("2024-01-01", periods=60, freq="W")
    rows = pd.DataFrame({"week": weeks.repeat(2), "shop": ["north", HOSTILE] * 60})
    number = rows.groupby("week").ngroup()
    rows["visits"] = 100.0 + number * np.where(rows["shop"] == "north", 1, 3)
    past, future = rows[number < 20], rows[number >= 20]
    model = of_kind(toy, "forecast", "time", "week")
    predicted = pd.DataFrame({"visits": future["visits"] - 2}, index=future.index)
    pairs = truth_pairs(model, past, future, predicted)
    assert pairs["naive"].unique().tolist() == [119, 157]
    result = evaluate_pairs(model, pairs, rows["visits"])
    assert result["units"] == 5  # 40 ** 0.4 = 4.4
    for row in result["horizon"]:  # a step is worth 1 in the north, and 3 in the other shop
        assert (row[1], row[5]) == pytest.approx((2, 2 * row[0]))
    assert [row[0] for row in result["horizon"]] == [2.5 + 4 * n for n in range(10)]
    assert result["time"][0][:2] == ["2024-05-26", 2]
    assert [(row[0], row[5]) for row in result["series"]] == [(HOSTILE, 61.5), ("north", 20.5)]
    toy.edit(toy.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
    assert "series" not in evaluate_pairs(
        of_kind(toy, "forecast", "time", "week"), pairs, rows["visits"]
    )


@pytest.mark.slow
@pytest.mark.rule("E3")
def test_the_page_of_a_comparison_shows_what_fits_the_kind(experimented: Toy) -> None:
    numbers = {"truth": [1.0, 2, 5] * 9, "predicted": [1.5] * 27}
    past = {"by": [*range(27)], "step": [*range(27)], "naive": [2.0] * 27, "series": HOSTILE}
    single = {"truth": [*range(27)], "predicted": 0}
    cases = [
        ("classification", labelled([False, True]), "for which it predicts visits = True"),
        ("classification", labelled([HOSTILE, *"abc"]), "Of 100 cases, it is right in"),
        ("classification", pd.DataFrame(single), "Of 100 cases, it is right in"),
        ("counts", pd.DataFrame(numbers), "Half of the predictions are off by"),
        ("forecast", pd.DataFrame(numbers | past), "repeating the last known value would be off"),
        ("regression", pd.DataFrame(numbers)[:3], "too few for pictures"),
    ]
    experimented.done("experiment", "compare")  # corrects the addresses of a copy's artifacts
    for kind, pairs, words in cases:
        by = ("time", "week") if kind == "forecast" else ("random", None)
        result = evaluate_pairs(of_kind(experimented, kind, *by), pairs, pairs["truth"])
        for run in runs(experimented):
            artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
            (artifacts / evaluation.FILE).write_text(json.dumps(result))
        experimented.done("experiment", "compare", "--page", "docs/a page.md")
        text = (experimented.root / "docs" / "a page.md").read_text()
        assert text.count(words) == 2
        assert "<script" not in text
        pictures = sorted((experimented.root / "docs" / "a page").glob("*.svg"))
        assert len(pictures) == 1 + 2 * len(draw_views(result))
        for picture in pictures:
            assert f"(a%20page/{picture.name})" in text
            assert not list(ET.fromstring(picture.read_text()).iter("{*}script"))
