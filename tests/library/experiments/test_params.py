"""Mistakes in a model's configuration and code are explained by place and problem."""

import math
import shutil

import pandas as pd
import pytest
import yaml
from dslp.core.errors import DslpError
from dslp.experiments.gains import format_metric
from dslp.experiments.params import Metric, Params, share_problem
from dslp.experiments.runs import cross_validate
from dslp.experiments.splitting import read_model_data

from tests.library.toy import Toy

pytestmark = pytest.mark.rule("M1")


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("issue: 7", "issue: 0", "ask.issue", "greater than or equal to 1"),
        ("name: absolute_error", "name: error%", "metric.name", "MLflow keeps no name 'error%'"),
        ("target: visits", "taget: visits", "taget", "Extra inputs are not permitted"),
        ("by: person, ", "", "split", "policy group needs the column to split by"),
        ("{regressor: mean}", "", "candidates.baseline", "valid dictionary"),
        ("candidates:", "candidates: {}\nothers:", "candidates", "at least 1 item"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_place(
    toy: Toy, old: str, new: str, place: str, problem: str
) -> None:
    params = toy.model_folder / "params.yml"
    toy.edit(params, old, new)
    toy.edit(params, "question: How many visits?", "question: 5")
    outcome = toy.run("experiment", "run")
    assert outcome.code == 2
    assert str(params) in outcome.error
    assert f" {place}: " in outcome.error
    assert problem in outcome.error
    assert "ask.question" in outcome.error, "all that is wrong is said at once"


def test_a_model_is_complete_or_says_what_it_lacks(toy: Toy) -> None:
    (toy.model_folder / "params.yml").write_text("- 1\n")
    assert "params.yml must hold a mapping" in toy.run("experiment", "run").error
    (toy.model_folder / "train.py").unlink()
    (toy.model_folder / "gates.yml").unlink()
    outcome = toy.run("experiment", "run")
    assert f"{toy.model_folder} has no train.py, gates.yml" in outcome.error
    shutil.rmtree(toy.model_folder)
    outcome = toy.run("experiment", "run")
    assert "models has no model; make one: uv run dslp new model NAME" in outcome.error


RETURN = "    return Pipeline"


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("params.yml", "name: visits", "name: people", "no dataset 'people'"),
        (
            "params.yml",
            "version: 1.2.0",
            "version: 1.3.0",
            "uses visits 1.3.0, and the current version is 1.2.0",
        ),
        ("params.yml", "target: visits", "target: money", "has no column money"),
        ("params.yml", "by: person", "by: household", "goes by household"),
        ("schema.py", "    kind:", "    colour:", "has no column colour"),
        (
            "schema.py",
            "class Request(BaseModel)",
            "class Request",
            "Request is not a pydantic model",
        ),
        ("train.py", "def train(", "def trian(", "train.py has no function train"),
        ("train.py", "    regressors =", "    1 / 0\n    regressors =", "baseline: ZeroDivision"),
        ("train.py", "from .features", "from .future", "No module named"),
        ("train.py", RETURN, "    return 3 or Pipeline", "train returned int"),
        ("train.py", RETURN, "    return (lambda f: f) or Pipeline", "no visits"),
        ("train.py", RETURN, "    return (lambda f: [1]) or Pipeline", "1 rows of 1"),
        ("evaluate.py", '"absolute_error"', '"error"', "with the metric absolute_error"),
        ("evaluate.py", '"bias": float(', '"bias": float("nan") * (', "no finite number for bias"),
        ("evaluate.py", '"bias": "zero"', '"bias": "none"', "'none' of bias; it can be lower"),
        ("evaluate.py", '_error": "lower"', '_error": "higher"', "make them agree"),
        ("evaluate.py", '"bias": "zero"', '"rmse": "lower"', "with the metric rmse"),
    ],
)
def test_what_does_not_fit_together_is_named(
    built: Toy, file: str, old: str, new: str, problem: str
) -> None:
    built.edit(built.model_folder / file, old, new)
    model = built.model
    with pytest.raises(DslpError, match=problem):
        cross_validate(model, read_model_data(model).development, "baseline")


FUNCTION = """
def train(inputs, target, params):
    return lambda frame: frame.assign(at_most=9 + frame["amount"], visits=frame["amount"])
"""


def test_a_plain_function_is_a_model_and_may_answer_with_several_fields(built: Toy) -> None:
    schema, evaluate = built.model_folder / "schema.py", built.model_folder / "evaluate.py"
    built.edit(schema, "    visits: float", "    visits: float\n    at_most: float")
    built.edit(evaluate, "    return {", "    predicted = predicted['visits']\n    return {")
    (built.model_folder / "train.py").write_text(FUNCTION)
    model = built.model
    rows = read_model_data(model).development
    predicted = model.predict(model.fit("baseline", rows), rows)
    amount = rows["amount"]
    expected = pd.DataFrame({"visits": amount, "at_most": 9 + amount})
    pd.testing.assert_frame_equal(predicted, expected)
    error = model.evaluate(rows["visits"], predicted)["absolute_error"]
    assert error == pytest.approx((rows["visits"] - amount).abs().mean())


def test_improvement_is_a_share_in_the_metrics_direction() -> None:
    lower, higher = (Metric(name="m", better="lower"), Metric(name="m", better="higher"))
    assert lower.improvement(8, 10) == pytest.approx(0.2)
    assert higher.improvement(-8, -10) == pytest.approx(0.2)
    assert higher.improvement(1, 0) == -lower.improvement(1, 0) == math.inf
    assert lower.improvement(0, 0) == 0
    assert lower.improvement(8, 10, "difference") == 2


def test_a_gain_is_a_share_only_where_that_has_an_end(toy: Toy) -> None:
    """An accuracy of 1 after 0.496 is 0.504 better, and not 101.6 %."""
    params = toy.model_folder / "params.yml"
    content = yaml.safe_load(params.read_text())
    for better, by, expected in (
        ("lower", {}, "+5.0 %"),
        ("higher", {}, "+0.05"),
        ("higher", {"by": "share"}, "+5.0 %"),
        ("lower", {"by": "difference"}, "+0.05"),
    ):
        metric = {"name": "m", "better": better}
        criterion = {"improvement": 0.05, **by}
        read = Params.model_validate(content | {"metric": metric, "criterion": criterion})
        assert format_metric(0.05, read.criterion.by) == expected
    texts = [format_metric(gain, "share") for gain in (0.081, 10.4, math.inf, -10.4)]
    assert texts == ["+8.1 %", "above +1000 %", "above +1000 %", "below -1000 %"]
    lower = Metric(name="m", better="lower")
    assert "m to compare with is not above 0" in share_problem(lower, [2, 0.1, -3], "share")
    assert share_problem(lower, [0, -3], "difference") == share_problem(lower, [0.1], "share") == ""
