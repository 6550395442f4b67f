"""`dslp new model` of each kind, with several libraries, from the first file to predictions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dslp.experiments.model import predict_fields
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score

from tests import clean
from tests.library.data.suites import write_suite
from tests.library.toy import Toy

ROWS, SIZE = 400, "Size (m²)"
LIGHTGBM = ("lightgbm", "LGBM", "max_iter: 100", "n_estimators: 30\n    verbosity: -1")
XGBOOST = ("xgboost", "XGB", "max_iter: 100", "n_estimators: 30")
LONG = pytest.mark.campaign


def made_up() -> pd.DataFrame:
    """Rows whose targets follow from `SIZE` and `words` but for chance."""
    draw = np.random.default_rng(5)
    size = draw.uniform(0, 10, ROWS).round(3)
    rows = pd.DataFrame({"id": np.arange(ROWS), SIZE: size})
    rows["area"] = draw.choice(["north", "south"], ROWS)
    rows["churned"] = (size + draw.normal(0, 1, ROWS) > 7).astype("int64")
    rows["flag"] = rows["churned"] == 1
    rows["answer"] = rows["flag"].map({True: "yes", False: "no"})
    rows["level"] = np.digitize(size + draw.normal(0, 0.5, ROWS), [3, 6])
    rows["visits"] = draw.poisson(1 + size)
    rows["price"] = (3 * size + draw.normal(0, 1, ROWS)).round(4)
    noise = draw.choice(["the", "a house", "with", "windows"], (ROWS, 2))
    good = (rows["flag"] ^ (rows["id"] % 25 == 0)).map({True: "splendid", False: "shabby"})
    rows["words"] = good + " " + noise[:, 0] + " " + noise[:, 1]
    return rows


def write_dataset(toy: Toy, rows: pd.DataFrame, key: list[str], nullable: str = "") -> None:
    """Put these rows and their schema in place of the toy's."""
    toy.with_rows(rows)
    kinds = {"f": "double", "i": "int64", "b": "bool", "M": "timestamp[us]"}
    types = {name: kinds.get(rows[name].dtype.kind, "string") for name in rows}
    columns = {name: {"type": kind, "nullable": name == nullable} for name, kind in types.items()}
    schema = yaml.safe_dump({"key": key, "columns": columns}, sort_keys=False, allow_unicode=True)
    (toy.dataset / "schema.yml").write_text(schema, encoding="utf-8")
    write_suite(toy, f"column_values_to_not_be_null | column: {key[0]}")


def whole_life(toy: Toy, library: tuple[str, str, str, str] | None = None) -> pd.DataFrame:
    """Try, train, test, promote and score the model `new`; the rows with its predictions."""
    folder, test = toy.model_folder.with_name("new"), toy.root / "tests/model/test_new.py"
    if library:
        package, prefix, before, after = library
        toy.edit(folder / "train.py", "from sklearn.ensemble", f"from {package}")
        toy.edit(folder / "train.py", "HistGradientBoosting", prefix)
        toy.edit(folder / "params.yml", before, after)
    toy.edit(folder / "gates.yml", "p95_ms: 100", "p95_ms: 10000")  # other tests run beside it
    assert test.is_file()
    toy.done("experiment", "run", "new")
    toy.done("model", "train", "new", "--candidate", "better")
    toy.done("model", "register", "new")
    promoted = toy.run("model", "promote", "new")
    assert promoted.code == 0, promoted.out + promoted.err
    assert " passed" in promoted.out
    scored = toy.root / "scored.parquet"
    toy.done("model", "score", "new", "--input", str(toy.processed), "--output", str(scored))
    return pd.read_parquet(scored)


@pytest.mark.slow
@pytest.mark.rule("M2")
@pytest.mark.rule("M4")
@pytest.mark.parametrize(
    ("target", "kind", "message", "library"),
    [
        pytest.param("price", [], "different values: regression", None, marks=LONG),
        pytest.param("price", [], "", LIGHTGBM, marks=LONG),
        pytest.param("price", [], "", XGBOOST, marks=LONG),
        pytest.param("price", ["function"], ": regression", None, marks=LONG),
        pytest.param("price", ["text", "regression"], "", None, marks=LONG),
        pytest.param("visits", [], "0 is the least: counts; for a regression", None, marks=LONG),
        pytest.param("visits", ["function", "counts"], "", None, marks=LONG),
        pytest.param("churned", [], "2 different whole values: class", XGBOOST),
        pytest.param("flag", [], "flag is bool: classification", None, marks=LONG),
        pytest.param("flag", ["function"], "flag is bool: classification", None, marks=LONG),
        pytest.param("answer", [], "answer is string: classification", LIGHTGBM, marks=LONG),
        pytest.param("answer", ["text"], "inputs: words;", None),
        pytest.param("level", [], "the highest is not rare: classification", None, marks=LONG),
        pytest.param("level", [], "for counts --kind counts", LIGHTGBM, marks=LONG),
        pytest.param("level", ["function"], "", None, marks=LONG),
    ],
)
def test_a_model_of_each_kind_is_tried_promoted_and_predicts_what_is_true(
    tracked: Toy, target: str, kind: list[str], message: str, library: Any
) -> None:
    rows = made_up()
    text = ["words"] if "text" in kind else []
    write_dataset(tracked, rows[["id", SIZE, "area", *text, target]], ["id"])
    settings = tracked.root / "pyproject.toml"
    settings.write_text(settings.read_text() + "[tool.ruff]\nline-length = 100\n")
    options = [part for each in kind for part in ("--kind", each)]
    assert message in tracked.done("new", "model", "new", "--target", target, *options).out
    assert list(clean.linter_faults(tracked.model_folder.with_name("new"))) == []
    scored = whole_life(tracked, library)
    predicted, truth = scored[f"predicted_{target}"], rows[target]
    if target in ("churned", "flag", "answer"):
        assert scored["predicted_probability"].between(0, 1).all()
        assert roc_auc_score(rows["flag"], scored["predicted_probability"]) > 0.9
        assert (predicted == truth).mean() > 0.85
    elif target == "level":
        right = predicted == truth
        assert right.mean() > 0.6
        assert abs(scored["predicted_probability"].mean() - right.mean()) < 0.2
    else:
        assert np.corrcoef(predicted, rows[SIZE])[0, 1] > (0.5 if text else 0.8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("series", "kind"),
    [(["shop"], []), pytest.param([], [], marks=LONG), pytest.param([], ["function"], marks=LONG)],
)
def test_a_forecast_needs_nothing_but_the_time_and_the_target(
    tracked: Toy, series: list[str], kind: list[str]
) -> None:
    """A line with a jump each June; a second shop sells 50 more."""
    weeks = pd.date_range("2021-01-04", periods=200, freq="W-MON").as_unit("us")
    draw, shops = np.random.default_rng(3), range(2 if series else 1)
    parts = [pd.DataFrame({"shop": shop, "week": weeks}) for shop in shops]
    rows = pd.concat(parts, ignore_index=True)
    rows["sales"] = np.arange(len(rows)) % 200 + 50.0 * rows["shop"] + draw.normal(0, 1, len(rows))
    rows["sales"] += 30 * (rows["week"].dt.month == 6)
    key = [*series, "week"]
    write_dataset(tracked, rows[[*key, "sales"]], key)
    options = [part for each in kind for part in ("--time", "week", "--kind", each)]
    begun = tracked.done("new", "model", "new", "--target", "sales", *options).out
    assert f"inputs: {', '.join(['week', *series])};" in begun
    assert ("week is the time that tells rows apart: forecast" in begun) != bool(kind)
    assert "kind: forecast" in (tracked.model_folder.with_name("new") / "params.yml").read_text()
    scored = whole_life(tracked)
    error = (scored["predicted_sales"] - rows["sales"])[rows["week"] > "2024-01-01"].abs()
    assert error.mean() < (15 if kind else 5)


def test_the_kind_is_proposed_from_the_values_and_what_does_not_fit_is_refused(toy: Toy) -> None:
    draw, number = np.random.default_rng(2), np.arange(ROWS)
    toy.processed.parent.mkdir(parents=True)
    rows = pd.DataFrame({"id": number, "person": number // 2, "x": draw.uniform(size=ROWS)})
    cases: dict[str, tuple[Any, str]] = {
        "same": (1, "same is the same in all rows of visits: nothing to predict"),
        "rare": (number % 100 == 0, "rare is bool: classification"),
        "fraud": ((number % 100 == 0) * 1.0, "2 different whole values: classification"),
        "rating": (draw.choice(5, ROWS, p=[0.05, 0.05, 0.2, 0.4, 0.3]) + 1, ": classification"),
        "grade": (draw.binomial(10, 0.8, ROWS), "the highest is not rare: classification"),
        "code": (
            np.append(number[1:] % 4, 4),
            "0 to 4, 0 is the least: counts; for a regression say --kind regression; for grades",
        ),
        "events": (draw.poisson(0.5, ROWS), "0 is the least: counts; for a regression say"),
        "age": (18 + number % 60, ": regression; for counts say --kind counts"),
        "change": (number % 50 - 25, "50 different whole values: regression"),
        "town": ([f"town {n}" for n in number % 40], "town is string: classification"),
        "name": ([f"name {n}" for n in number], "name has 400 different values in 400 rows, which"),
    }
    for target, (values, words) in cases.items():
        write_dataset(toy, rows.assign(**{target: values}), ["id"])
        outcome = toy.run("new", "model", f"m_{target}", "--target", target)
        assert words in outcome.out + outcome.err, outcome
    rows = rows.assign(change=number % 50 - 25, customer="c", has_email=True)
    write_dataset(toy, rows, ["person", "id"], nullable="x")
    for words, *options in (
        ("counts are whole numbers from 0", "change", "--kind", "counts"),
        (
            "--kind counts and regression exclude",
            "change",
            "--kind",
            "counts",
            "--kind",
            "regression",
        ),
        ("a forecast needs a column of", "change", "--kind", "forecast"),
        ("no column that can be an input (", "change", "--kind", "text"),
        ("person is in the key", "person"),
        ("x has missing values", "x"),
    ):
        error = toy.run("new", "model", "m", "--target", *options).error
        assert words in error
    printed = toy.done("new", "model", "m_group", "--target", "change").out
    assert "several rows have one person: the split keeps them together (group)" in printed
    assert "inputs: x, has_email;" in printed
    assert "left out: customer (by its name an identifier)" in printed
    params = toy.model_folder.with_name("m_group") / "params.yml"
    assert "policy: group # several rows" in params.read_text()
    toy.processed.unlink()
    printed = toy.done("new", "model", "m_type", "--target", "change").out
    assert "not built, so only the type of change is known (int64): regression" in printed
    error = toy.run("new", "model", "m", "--target", "change", "--kind", "classification").error
    assert "the classes of change are not known: build it first" in error


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ([False, False, False, True], 0.25),
        ([1, 2, 2, 2], 0.75),
        (["yes", "no", "no", "no"], 0.25),
        (["a", "b", "b", "c"], 0.5),  # of the predicted class, b
    ],
)
def test_the_probability_is_that_of_the_positive_class(target: list[Any], expected: float) -> None:
    inputs = pd.DataFrame({"x": range(4)})
    classifier = DummyClassifier(strategy="prior").fit(inputs, target)
    predicted = predict_fields(classifier, inputs, ["label", "probability"])
    assert predicted["probability"].tolist() == [expected] * 4
    assert predicted["label"].tolist() == [max(target, key=target.count)] * 4
    with pytest.raises(ValueError, match="one class only"):
        predict_fields(classifier.fit(inputs, ["a"] * 4), inputs, ["label", "probability"])
