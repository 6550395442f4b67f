"""A run is recorded such that it is understood later, and never looks at the holdout."""

import hashlib
import json
import os
import platform
from pathlib import Path

import pytest
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from dslp.experiments.model_data import read_model_data

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy


@pytest.mark.rule("E1", "V1")
def test_a_run_carries_what_it_takes_to_understand_it(experiment: tuple[Toy, str]) -> None:
    toy, _ = experiment
    baseline, linear = runs(toy)
    tags = {name: value for name, value in linear.data.tags.items() if "dslp" in name}
    data = digest(Dataset(toy.project, "visits"))
    assert tags == {
        "dslp.kind": "experiment",
        "dslp.model": "frequency",
        "dslp.candidate": "linear",
        "dslp.ask": "7",
        "dslp.issue": "14",
        "dslp.branch": "experiment/14-lines",
        "dslp.commit": toy.git("rev-parse", "HEAD"),
        "dslp.clean": "true",
        "dslp.dataset": "visits",
        "dslp.dataset_version": "1.2.0",
        "dslp.dataset_digest": data,
        "dslp.code": tags["dslp.code"],
        "dslp.evaluate": tags["dslp.evaluate"],
        "dslp.environment": hashlib.sha256((toy.root / "uv.lock").read_bytes()).hexdigest(),
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
    (used,) = linear.inputs.dataset_inputs
    assert used.dataset.name == "visits"
    assert data.startswith(used.dataset.digest)
    assert used.dataset.source == str(toy.processed)
    assert [run.info.status for run in (baseline, linear)] == ["FINISHED"] * 2
    assert [run.info.run_name for run in (baseline, linear)] == ["baseline", "linear"]


def test_the_recorded_mean_is_that_of_the_folds(experiment: tuple[Toy, str]) -> None:
    toy, out = experiment
    for run in runs(toy):
        metrics = run.data.metrics
        assert metrics.keys() == {
            *("absolute_error", "absolute_error_deviation", "bias", "fold_absolute_error")
        }
        history = toy.client.get_metric_history(run.info.run_id, "fold_absolute_error")
        assert [metric.step for metric in history] == [0, 1, 2]
        mean = sum(metric.value for metric in history) / 3
        assert metrics["absolute_error"] == pytest.approx(mean)
        assert f"{mean:.4g} ±" in out
    assert "Ask #7: How many visits?" in out
    assert "sqlite:///mlruns/mlflow.db" in out


@pytest.mark.rule("B10")
def test_a_run_of_uncommitted_work_for_another_issue_says_so(experimented: Toy) -> None:
    experimented.git("remote", "add", "origin", "https://me:secret@github.com/octo/claims.git")
    (experimented.root / "notes.md").write_text("An untracked file.\n")
    experimented.done("experiment", "run", "--candidate", "linear", "--issue", "15")
    *_, baseline, linear = runs(experimented)
    assert [baseline.info.run_name, linear.info.run_name] == ["baseline", "linear"]
    for run in (baseline, linear):
        assert run.data.tags["dslp.clean"] == "false"
        assert run.data.tags["dslp.issue"] == "15"
        note = "Issue [#15](https://github.com/octo/claims/issues/15)"
        assert run.data.tags["mlflow.note.content"] == note


def test_without_git_the_record_says_so(tracked: Toy) -> None:
    (tracked.root / ".git").rename(tracked.root.parent / "git")
    (tracked.root / "uv.lock").unlink()
    above = str(tracked.root.parent)
    outcome = tracked.done(
        "experiment", "run", "--candidate", "baseline", GIT_CEILING_DIRECTORIES=above
    )
    assert "fatal" not in outcome.err
    (run,) = runs(tracked)
    names = ("commit", "clean", "environment", "environment_version")
    values = [run.data.tags[f"dslp.{name}"] for name in names]
    assert values == ["none", "false", "not locked", "not locked"]


@pytest.mark.parametrize(
    ("command", "error", "status"),
    [
        ("experiment run", "KeyError('linear')", "FAILED"),
        ("model train --candidate linear", "KeyError('linear')", "FAILED"),
        ("experiment run --candidate linear", "KeyboardInterrupt", "KILLED"),
    ],
)
def test_a_run_that_does_not_end_well_is_marked(
    tracked: Toy, command: str, error: str, status: str
) -> None:
    stop = f"    if params['regressor'] == 'linear':\n        raise {error}\n    regressors ="
    tracked.edit(tracked.model_folder / "train.py", "    regressors =", stop)
    outcome = tracked.run(*command.split())
    assert outcome.code != 0
    if status == "FAILED":
        assert "frequency: train linear: KeyError: 'linear'" in outcome.error
    kind = "experiment" if "experiment" in command else "training"
    (run,) = [run for run in runs(tracked, kind) if run.info.run_name == "linear"]
    assert run.info.status == status
    assert run.info.end_time


SEEN = """
import json, os
def note(rows):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(rows.index.tolist()) + "\\n")
"""


def watch_rows(toy: Toy) -> Path:
    """Let the toy's functions write down which rows they are passed."""
    (toy.source / "seen.py").write_text(SEEN)
    for file, first in (("train", "    regressors ="), ("evaluate", "    return {")):
        rows = "inputs" if file == "train" else "target"
        noted = f"    from ...seen import note\n    note({rows})\n{first}"
        toy.edit(toy.model_folder / f"{file}.py", first, noted)
    os.environ["SEEN"] = str(toy.root.parent / "seen")
    return toy.root.parent / "seen"


def test_only_the_judgement_of_a_training_sees_the_holdout(tracked: Toy) -> None:
    file = watch_rows(tracked)
    held = list(read_model_data(tracked.model).holdout.index)
    tracked.done("experiment", "run")
    seen = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(seen) == 2 * 2 * 3, "candidates, train and evaluate, folds"
    assert {row for rows in seen for row in rows} == set(range(300)) - set(held)
    file.unlink()
    tracked.done("model", "train", "--candidate", "linear")
    fit, scored, reference, baseline = map(json.loads, file.read_text().splitlines())
    assert not set(held) & {*fit, *reference}
    assert scored == baseline == held


def test_a_project_may_lie_in_a_folder_of_any_name(tracked: Toy) -> None:
    root = tracked.root.with_name("ünsere projekte 100% #1")
    moved = Toy(tracked.root.rename(root), tracked.package)
    for command in ("model train --candidate linear", "model register", "model promote"):
        moved.done(*command.split())
    assert (root / "mlruns" / "artifacts").is_dir()
    assert moved.git("status", "--porcelain") == ""
