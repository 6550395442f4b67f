"""Mistakes in a model's configuration are explained by place and problem."""

import math
import shutil

import pytest
from dslp.experiments.params import Metric

from tests.library.toy import Toy


@pytest.mark.rule("M1")
@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("issue: 7", "issue: seven", "ask.issue", "valid integer"),
        ("issue: 7", "issue: 0", "ask.issue", "greater than or equal to 1"),
        ("better: lower", "better: smaller", "metric.better", "'lower' or 'higher'"),
        ("improvement: 0.1", "improvement: -1", "criterion.improvement", "greater than 0"),
        ("version: 1.2.0", "version: 1.2", "dataset.version", "string"),
        ("target: visits\n", "", "target", "Field required"),
        ("target: visits", "taget: visits", "taget", "Extra inputs are not permitted"),
        ("policy: group", "policy: cluster", "split.policy", "'random', 'group' or 'time'"),
        ("by: person, ", "", "split", "policy group needs the column to split by"),
        ("policy: group", "policy: random", "split", "policy random takes no column by"),
        ("holdout: 0.2", "holdout: 20", "split.holdout", "less than 1"),
        ("folds: 3", "folds: 1", "split.folds", "greater than or equal to 2"),
        ("{regressor: mean}", "", "candidates.baseline", "valid dictionary"),
        ("candidates:", "candidates: {}\nothers:", "candidates", "at least 1 item"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_place(
    toy: Toy, old: str, new: str, place: str, problem: str
) -> None:
    params = toy.model_folder / "params.yml"
    toy.edit(params, old, new)
    outcome = toy.run("experiment", "run")
    assert outcome.code == 2
    assert str(params) in outcome.error
    assert f" {place}: " in outcome.error
    assert problem in outcome.error


@pytest.mark.rule("M1")
def test_all_that_is_wrong_is_said_at_once(toy: Toy) -> None:
    toy.edit(toy.model_folder / "params.yml", "folds: 3", "folds: 1")
    toy.edit(toy.model_folder / "params.yml", "issue: 7", "issue: seven")
    error = toy.run("model", "train").error
    assert "ask.issue" in error
    assert "split.folds" in error


@pytest.mark.parametrize("content", ["", "- 1\n", "a: [\n", "text\n"])
@pytest.mark.parametrize("command", [["experiment", "run"], ["model", "train"]])
def test_a_file_that_holds_no_mapping_is_refused(
    toy: Toy, content: str, command: list[str]
) -> None:
    (toy.model_folder / "params.yml").write_text(content)
    outcome = toy.run(*command)
    assert outcome.code == 2
    assert "params.yml" in outcome.error


def test_another_dataset_version_is_looked_at_before_it_is_used(built: Toy) -> None:
    built.edit(built.dataset / "datasheet.md", "1.2.0", "1.3.0")
    outcome = built.run("experiment", "run")
    assert outcome.code == 2
    assert "is for visits 1.2.0, which is 1.3.0 by now" in outcome.error


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("params.yml", "name: visits", "name: people", "no dataset 'people'"),
        ("params.yml", "target: visits", "target: money", "has no column money"),
        ("params.yml", "by: person", "by: household", "goes by household"),
        ("schema.py", "    kind:", "    colour:", "has no column colour"),
        ("schema.py", "class Request(BaseModel)", "class Request", "no pydantic model Request"),
        ("train.py", "def train(", "def trian(", "train.py has no function train"),
        (
            "train.py",
            "    regressors =",
            "    raise ValueError('flat')\n    regressors =",
            "train baseline: ValueError",
        ),
        ("evaluate.py", '"absolute_error"', '"error"', "with the metric absolute_error"),
        ("evaluate.py", '"bias": float(', '"bias": "none" or (', "no number"),
        ("evaluate.py", '"bias": float(', '"bias": float("nan") * (', "no finite number for bias"),
        ("evaluate.py", '"bias"', '"bias %"', "the tracking server says no"),
        ("params.yml", "fit_intercept", "fit intercept %", "the tracking server says no"),
        ("train.py", "from .features", "from .future", "No module named"),
    ],
)
def test_what_does_not_fit_together_is_named(
    tracked: Toy, file: str, old: str, new: str, problem: str
) -> None:
    tracked.edit(tracked.model_folder / file, old, new)
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 2
    assert problem in outcome.error


@pytest.mark.parametrize("file", ["features.py", "train.py", "schema.py", "gates.yml"])
def test_a_model_without_one_of_its_files_is_refused(toy: Toy, file: str) -> None:
    (toy.model_folder / file).unlink()
    outcome = toy.run("experiment", "run")
    assert outcome.code == 2
    assert f"{toy.model_folder} has no {file}" in outcome.error


def test_the_model_is_named_when_there_are_several(toy: Toy) -> None:
    shutil.copytree(toy.model_folder, toy.model_folder.with_name("severity"))
    assert "say which model: frequency, severity" in toy.run("model", "train").error
    assert "no model 'speed'" in toy.run("model", "train", "speed").error


def test_a_project_without_models_says_what_one_is(toy: Toy) -> None:
    shutil.rmtree(toy.model_folder)
    outcome = toy.run("experiment", "run")
    assert outcome.code == 2
    assert "params.yml, features.py, train.py, evaluate.py, schema.py, gates.yml" in outcome.error


@pytest.mark.parametrize(
    ("better", "value", "reference", "gain"),
    [
        ("lower", 8, 10, 0.2),
        ("lower", 12, 10, -0.2),
        ("higher", 12, 10, 0.2),
        ("higher", -8, -10, 0.2),
        ("higher", 1, 0, math.inf),
        ("lower", 100, 0, -math.inf),
        ("lower", 0, 0, 0.0),
    ],
)
def test_improvement_is_a_share_in_the_metrics_direction(
    better: str, value: float, reference: float, gain: float
) -> None:
    metric = Metric.model_validate({"name": "m", "better": better})
    assert metric.improvement(value, reference) == pytest.approx(gain)
    difference = metric.improvement(value, reference, "difference")
    assert difference == pytest.approx(
        value - reference if better == "higher" else reference - value
    )
