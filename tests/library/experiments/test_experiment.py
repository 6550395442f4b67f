"""An experiment is recorded such that it is understood later, and never looks at the holdout."""

import hashlib
import json
import os
import platform
from pathlib import Path

import pytest
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from dslp.experiments.model_data import read_model_data
from mlflow.entities import Run

from tests.library.toy import Toy


def runs(toy: Toy, kind: str = "experiment") -> list[Run]:
    """The recorded runs, in the order in which they were made."""
    store = toy.client
    found = store.get_experiment_by_name("frequency")
    return list(
        store.search_runs(
            [found.experiment_id],
            f"tags.`dslp.kind` = '{kind}'",
            order_by=["attributes.start_time ASC"],
        )
    )


@pytest.mark.rule("E1", "V1")
def test_a_run_carries_what_it_takes_to_understand_it(tracked: Toy) -> None:
    commit = tracked.git("rev-parse", "HEAD")
    tracked.git("switch", "--quiet", "--create", "experiment/14-lines")
    tracked.done("experiment", "run")
    baseline, linear = runs(tracked)
    tags = {name: value for name, value in linear.data.tags.items() if "dslp" in name}
    assert tags == {
        "dslp.kind": "experiment",
        "dslp.model": "frequency",
        "dslp.candidate": "linear",
        "dslp.ask": "7",
        "dslp.issue": "14",
        "dslp.branch": "experiment/14-lines",
        "dslp.commit": commit,
        "dslp.clean": "true",
        "dslp.dataset": "visits",
        "dslp.dataset_version": "1.2.0",
        "dslp.dataset_digest": digest(Dataset(tracked.project, "visits")),
        "dslp.code": linear.data.tags["dslp.code"],
        "dslp.evaluate": linear.data.tags["dslp.evaluate"],
        "dslp.environment": hashlib.sha256((tracked.root / "uv.lock").read_bytes()).hexdigest(),
        "dslp.environment_version": "1.0",
        "dslp.python": platform.python_version(),
        "dslp.seed": "1",
        "dslp.assumptions": "none",
        "dslp.settings": '{"regressor": "linear", "settings": {"fit_intercept": true}}',
    }
    assert linear.data.tags["mlflow.note.content"] == "Issue #14"
    assert linear.data.params == {
        "candidate.regressor": "linear",
        "candidate.settings.fit_intercept": "True",
        "split.policy": "group",
        "split.by": "person",
        "split.holdout": "0.2",
        "split.folds": "3",
        "split.seed": "1",
    }
    assert linear.data.metrics.keys() == {
        "absolute_error",
        "absolute_error_deviation",
        "bias",
        "fold_absolute_error",
    }
    (given,) = linear.inputs.dataset_inputs
    assert given.dataset.name == "visits"
    assert digest(Dataset(tracked.project, "visits")).startswith(given.dataset.digest)
    assert given.dataset.source == str(tracked.processed)
    assert [run.info.status for run in (baseline, linear)] == ["FINISHED"] * 2
    assert [run.info.run_name for run in (baseline, linear)] == ["baseline", "linear"]


def test_the_issue_that_is_said_counts_more_than_the_branch(tracked: Toy) -> None:
    tracked.git("remote", "add", "origin", "https://me:secret@github.com/octo/claims.git")
    tracked.git("switch", "--quiet", "--create", "experiment/14-lines")
    tracked.done("experiment", "run", "--issue", "15")
    for run in runs(tracked):
        assert run.data.tags["dslp.issue"] == "15"
        note = "Issue [#15](https://github.com/octo/claims/issues/15)"
        assert run.data.tags["mlflow.note.content"] == note


def test_the_mean_that_is_recorded_is_that_of_the_folds(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    store = tracked.client
    for run in runs(tracked):
        history = store.get_metric_history(run.info.run_id, "fold_absolute_error")
        assert [metric.step for metric in history] == [0, 1, 2]
        mean = sum(metric.value for metric in history) / 3
        assert run.data.metrics["absolute_error"] == pytest.approx(mean)


@pytest.mark.rule("B10")
def test_a_run_of_uncommitted_work_says_that_it_is(tracked: Toy) -> None:
    for name in ("notes.md", "src/more.py"):
        (tracked.root / name).write_text("x = 1\n")
        tracked.done("experiment", "run", "--candidate", "baseline")
        tracked.commit()
        tracked.done("experiment", "run", "--candidate", "baseline")
    assert [run.data.tags["dslp.clean"] for run in runs(tracked)] == ["false", "true"] * 2


def test_without_git_the_record_says_so(tracked: Toy) -> None:
    (tracked.root / ".git").rename(tracked.root.parent / "git")
    (tracked.root / "uv.lock").unlink()
    outcome = tracked.done("experiment", "run", GIT_CEILING_DIRECTORIES=str(tracked.root.parent))
    assert "fatal" not in outcome.err
    for run in runs(tracked):
        assert run.data.tags["dslp.commit"] == "none"
        assert run.data.tags["dslp.clean"] == "false"
        assert run.data.tags["dslp.environment"] == "not locked"
        assert run.data.tags["dslp.environment_version"] == "not locked"


def test_the_baseline_comes_first_and_is_always_there(tracked: Toy) -> None:
    outcome = tracked.done("experiment", "run", "--candidate", "linear")
    assert [run.info.run_name for run in runs(tracked)] == ["baseline", "linear"]
    assert outcome.out.index("baseline") < outcome.out.index("linear")
    assert "Ask #7: How many visits?" in outcome.out
    assert "met" in outcome.out
    assert "sqlite:///mlruns/mlflow.db" in outcome.out


def test_a_candidate_that_does_not_exist_leaves_no_run(tracked: Toy) -> None:
    outcome = tracked.run("experiment", "run", "--candidate", "magic")
    assert outcome.code == 2
    assert "no candidate 'magic'" in outcome.error
    assert "there are: baseline, linear" in outcome.error
    assert tracked.client.get_experiment_by_name("frequency") is None


@pytest.mark.parametrize("command", ["experiment run", "model train --candidate linear"])
def test_a_run_that_fails_is_marked_as_failed(tracked: Toy, command: str) -> None:
    tracked.edit(tracked.model_folder / "train.py", '"linear": LinearRegression', '"line": 1')
    outcome = tracked.run(*command.split())
    assert outcome.code == 2
    assert "frequency: train linear: KeyError: 'linear'" in outcome.error
    kind = "experiment" if "experiment" in command else "training"
    (failed,) = [run for run in runs(tracked, kind) if run.info.run_name == "linear"]
    assert failed.info.status == "FAILED"
    assert failed.info.end_time


def test_a_run_that_is_interrupted_is_marked_as_killed(tracked: Toy) -> None:
    tracked.edit(
        tracked.model_folder / "train.py",
        "    regressors =",
        "    raise KeyboardInterrupt\n    regressors =",
    )
    assert tracked.run("experiment", "run").code != 0
    (killed,) = runs(tracked)
    assert killed.info.status == "KILLED"


SEEN = """
import json, os
def note(rows):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(rows.index.tolist()) + "\\n")
"""


def watched(toy: Toy) -> Path:
    """Let the toy's functions write down which rows they are given."""
    (toy.source / "seen.py").write_text(SEEN)
    for file, first in (("train", "    regressors ="), ("evaluate", "    return {")):
        path = toy.model_folder / f"{file}.py"
        rows = "inputs" if file == "train" else "target"
        toy.edit(path, first, f"    from ...seen import note\n    note({rows})\n{first}")
    os.environ["SEEN"] = str(toy.root.parent / "seen")
    return toy.root.parent / "seen"


def test_an_experiment_never_sees_the_holdout(tracked: Toy) -> None:
    file = watched(tracked)
    held = set(read_model_data(tracked.model).holdout.index)
    tracked.done("experiment", "run")
    seen = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(seen) == 2 * 2 * 3, "candidates, train and evaluate, folds"
    assert held
    assert not held & {row for rows in seen for row in rows}
    assert len({row for rows in seen for row in rows}) + len(held) == 300


def test_training_never_sees_the_holdout_and_is_judged_on_all_of_it(tracked: Toy) -> None:
    file = watched(tracked)
    held = list(read_model_data(tracked.model).holdout.index)
    tracked.done("model", "train", "--candidate", "linear")
    fit, judged, reference, judged_too = map(json.loads, file.read_text().splitlines())
    assert not set(held) & {*fit, *reference}
    assert judged == judged_too == held


def test_a_project_may_lie_in_a_folder_that_is_called_anything(built: Toy) -> None:
    root = built.root.with_name("ünsere projekte 100% #1")
    built.root.rename(root)
    moved = Toy(root, built.package)
    moved.commit()
    for command in ("experiment run", "model train", "model register", "model promote"):
        moved.done(*command.split())
    assert (root / "mlruns" / "artifacts").is_dir()
    assert moved.git("status", "--porcelain") == ""


FUNCTION = """
def train(inputs, target, params):
    level = float(target.mean()) if params["regressor"] == "mean" else None
    return lambda frame: frame["amount"] * 0 + level if level else 1 + frame["amount"]
"""


def test_a_plain_function_is_a_model_too(tracked: Toy) -> None:
    (tracked.model_folder / "train.py").write_text(FUNCTION)
    tracked.done("experiment", "run")
    baseline, linear = runs(tracked)
    assert linear.data.metrics["absolute_error"] < baseline.data.metrics["absolute_error"]


def test_a_model_may_answer_with_several_fields(tracked: Toy) -> None:
    tracked.edit(
        tracked.model_folder / "schema.py",
        "    visits: float",
        "    visits: float\n    at_most: float",
    )
    (tracked.model_folder / "train.py").write_text(
        "import pandas as pd\n\n\n"
        "def train(inputs, target, params):\n"
        "    return lambda frame: pd.DataFrame(\n"
        "        {'at_most': 9.0 + frame['amount'], 'more': 1, 'visits': frame['amount']}\n    )\n"
    )
    tracked.edit(
        tracked.model_folder / "evaluate.py",
        "    return {",
        "    predicted = predicted['visits']\n    return {",
    )
    tracked.done("experiment", "run", "--candidate", "baseline")
    model = tracked.model
    rows = read_model_data(model).development
    predicted = model.predict(model.fit("baseline", rows), rows)
    assert list(predicted) == ["visits", "at_most"]
    assert predicted.index.equals(rows.index)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("train.py", "    return Pipeline", "    return 3 or Pipeline", "train returned int"),
        ("train.py", "    return Pipeline", "    return (lambda f: f) or Pipeline", "no visits"),
        (
            "train.py",
            "    return Pipeline",
            "    return (lambda f: [1]) or Pipeline",
            "1 rows of 1",
        ),
        ("train.py", "    return Pipeline", "    return (lambda f: 1) or Pipeline", "no table"),
        ("evaluate.py", '"bias": "zero"', '"bias": "none"', "'none' of bias; it can be lower"),
        (
            "evaluate.py",
            '"absolute_error": "lower"',
            '"absolute_error": "higher"',
            "make them agree",
        ),
        ("evaluate.py", '"bias": "zero"', '"rmse": "lower"', "with the metric rmse"),
    ],
)
def test_what_no_model_can_be_is_named(
    tracked: Toy, file: str, old: str, new: str, said: str
) -> None:
    tracked.edit(tracked.model_folder / file, old, new)
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 2
    assert said in outcome.error
