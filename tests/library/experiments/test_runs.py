"""A run is recorded such that it is understood later, and never looks at the holdout."""

import hashlib
import json
import os
import platform

import pytest
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from dslp.experiments.splitting import read_model_data

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy


@pytest.mark.rule("E1", "V1")
def test_a_run_carries_what_it_takes_to_understand_it(experiment: tuple[Toy, str]) -> None:
    toy, _ = experiment
    baseline, linear = runs(toy)
    data = digest(Dataset(toy.project, "visits"))
    tags = {n.removeprefix("dslp."): v for n, v in linear.data.tags.items() if "dslp" in n}
    assert len(tags.pop("code")) == len(tags.pop("evaluate")) == 64
    assert tags.pop("process").endswith(f":{os.getpid()}")
    history = toy.client.get_metric_history(linear.info.run_id, "fold_absolute_error")
    ratio = pytest.approx(1 / 2, rel=0.05)
    criterion = {"metric": "absolute_error", "better": "lower", "by": "share", "improvement": 0.1}
    folds = [one.value for one in sorted(history, key=lambda one: one.step)]
    candidate = {"baseline": "baseline", "is_baseline": False, "folds": folds, "ratio": ratio}
    assert json.loads(tags.pop("folds")) == criterion | candidate
    assert json.loads(baseline.data.tags["dslp.folds"])["is_baseline"]
    assert tags == {
        "kind": "experiment",
        "model": "frequency",
        "candidate": "linear",
        "ask": "7",
        "question": "How many visits?",
        "issue": "14",
        "branch": "experiment/14-lines",
        "commit": toy.git("rev-parse", "HEAD"),
        "clean": "true",
        "dataset": "visits",
        "dataset_version": "1.2.0",
        "dataset_digest": data,
        "environment": hashlib.sha256((toy.root / "uv.lock").read_bytes()).hexdigest(),
        "environment_version": "1.0",
        "python": platform.python_version(),
        "seed": "1",
        "assumptions": "none",
        "suite": "holds",
        "settings": '{"regressor": "linear", "settings": {"fit_intercept": true}}',
    }
    note = "How many visits?\n\nAsk #7, Issue #14"
    assert linear.data.tags["mlflow.note.content"] == note
    assert linear.data.tags["mlflow.source.git.commit"] == toy.git("rev-parse", "HEAD")
    assert linear.data.tags["mlflow.source.name"] == f"src/{toy.package}/models/frequency"
    split = {"policy": "group", "by": "person", "holdout": "0.2", "folds": "3", "seed": "1"}
    settings = {"candidate.regressor": "linear", "candidate.settings.fit_intercept": "True"}
    assert linear.data.params == settings | {f"split.{n}": value for n, value in split.items()}
    (used,) = linear.inputs.dataset_inputs
    assert used.dataset.name == "visits"
    assert data.startswith(used.dataset.digest)
    assert json.loads(used.dataset.source) == {"uri": str(toy.processed)}
    (first, *_) = json.loads(used.dataset.schema)["mlflow_colspec"]
    assert first == {"name": "id", "type": "int64"}
    assert json.loads(used.dataset.profile) == {"num_rows": 300}
    assert [run.info.status for run in (baseline, linear)] == ["FINISHED"] * 2
    assert [run.info.run_name for run in (baseline, linear)] == ["baseline", "linear"]


def test_the_recorded_mean_is_that_of_the_folds(experiment: tuple[Toy, str]) -> None:
    toy, out = experiment
    names = {"absolute_error", "absolute_error_deviation", "bias", "fold_absolute_error"}
    for run in runs(toy):
        assert run.data.metrics.keys() == names
        history = toy.client.get_metric_history(run.info.run_id, "fold_absolute_error")
        assert [metric.step for metric in history] == [0, 1, 2]
        mean = sum(metric.value for metric in history) / 3
        assert run.data.metrics["absolute_error"] == pytest.approx(mean)
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
    tags = linear.data.tags
    assert (tags["dslp.clean"], tags["dslp.issue"]) == ("false", "15")
    link = "https://github.com/octo/claims"
    assert tags["mlflow.note.content"].endswith(f"), Issue [#15]({link}/issues/15)")
    assert tags["mlflow.source.name"] == f"{link}#src/{experimented.package}/models/frequency"


@pytest.mark.parametrize(
    ("command", "error", "status"),
    [
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


NOTE = (
    "    with open(os.environ['SEEN'], 'a') as file:\n        print({}.index.tolist(), file=file)\n"
)


def test_only_the_evaluation_of_a_training_sees_the_holdout(tracked: Toy) -> None:
    for file, rows, first in (("train", "inputs", "regressors"), ("evaluate", "target", "return")):
        code = f"    import os\n{NOTE.format(rows)}    {first} "
        tracked.edit(tracked.model_folder / f"{file}.py", f"    {first} ", code)
    held = list(read_model_data(tracked.model).holdout.index)
    seen = tracked.root.parent / "seen"
    tracked.done("experiment", "run", SEEN=str(seen))
    parts = [json.loads(line) for line in seen.read_text().splitlines()]
    assert len(parts) == 2 * 2 * 3, "candidates, train and evaluate, folds"
    assert {row for part in parts for row in part} == set(range(300)) - set(held)
    seen.unlink()
    tracked.done("model", "train", "--candidate", "linear", SEEN=str(seen))
    fit, scored, reference, baseline, *drawn = map(json.loads, seen.read_text().splitlines())
    assert not set(held) & {*fit, *reference}
    assert scored == baseline == held
    assert {row for part in drawn for row in part} == set(held), "the samples of the interval"


def test_a_project_may_lie_in_a_folder_of_any_name(tracked: Toy) -> None:
    root = tracked.root.with_name("ünsere projekte 100% #1")
    moved = Toy(tracked.root.rename(root), tracked.package)
    for command in ("model train --candidate linear", "model register", "model promote"):
        moved.done(*command.split())
    assert (root / "mlruns" / "artifacts").is_dir()
    assert moved.git("status", "--porcelain") == ""
