"""A run comes out again from its record alone, whatever the working tree looks like by now."""

import shutil

import pytest

from tests.library.experiments.test_experiment import runs
from tests.library.toy import Toy

pytestmark = pytest.mark.slow


def newest(toy: Toy, kind: str = "experiment") -> str:
    *_, run = runs(toy, kind)
    return str(run.info.run_id)


@pytest.mark.rule("E6")
def test_a_run_comes_out_again_though_code_and_data_have_changed(tracked: Toy) -> None:
    tracked.done("experiment", "run")
    tracked.done("model", "train", "--candidate", "linear")
    experiment, training = newest(tracked), newest(tracked, "training")
    tracked.edit(tracked.model_folder / "params.yml", "folds: 3", "folds: 4")
    tracked.edit(tracked.model_folder / "params.yml", "regressor: linear", "regressor: mean")
    tracked.edit(tracked.model_folder / "features.py", '["amount"]', '["id"]')
    tracked.edit(tracked.dataset / "pipeline.py", "default_rng(1)", "default_rng(2)")
    tracked.commit()
    shutil.rmtree(tracked.root / "data")
    tracked.done("data", "build")
    head = tracked.git("rev-parse", "HEAD")
    for run, number in ((experiment, 6), (training, 4)):
        out = tracked.done("experiment", "reproduce", run).out
        assert f"equal: {number} metrics of run {run} came out again" in out
        assert out.count("\n") == 1
    assert tracked.git("rev-parse", "HEAD") == head
    assert tracked.git("status", "--porcelain") == ""
    assert len(tracked.git("worktree", "list").splitlines()) == 1


@pytest.mark.rule("E6")
def test_a_training_judged_by_difference_comes_out_again(tracked: Toy) -> None:
    params = tracked.model_folder / "params.yml"
    tracked.edit(params, "improvement: 0.1", "improvement: 0.1, by: difference")
    tracked.commit()
    tracked.done("model", "train", "--candidate", "linear")
    assert "equal: " in tracked.done("experiment", "reproduce", newest(tracked, "training")).out


def test_a_metric_that_does_not_come_out_at_all_is_no_equal(tracked: Toy) -> None:
    tracked.done("experiment", "run", "--candidate", "baseline")
    run = newest(tracked)
    tracked.client.log_metric(run, "fame", 1.0)
    tracked.client.log_metric(run, "seconds", 1.0)
    outcome = tracked.run("experiment", "reproduce", run)
    assert outcome.code == 1
    assert "1 of 7 metrics" in outcome.out


def test_a_run_of_uncommitted_work_is_said_to_be_in_doubt_and_differs(tracked: Toy) -> None:
    tracked.edit(tracked.model_folder / "train.py", "LinearRegression", "Lasso")
    tracked.done("experiment", "run")
    outcome = tracked.run("experiment", "reproduce", newest(tracked))
    assert outcome.code == 1
    assert "made from uncommitted changes" in outcome.out
    assert "not reproducible for sure" in outcome.out
    assert "the model's files are not those of the run" in outcome.out
    assert "absolute_error" in outcome.out
    assert "of run" in outcome.out.splitlines()[-1]


def test_data_and_environment_that_are_no_longer_there_are_named(tracked: Toy) -> None:
    tracked.edit(tracked.dataset / "pipeline.py", "default_rng(1)", "default_rng()")
    tracked.commit()
    tracked.done("data", "build", "--refresh")
    tracked.done("experiment", "run", "--candidate", "linear")
    run = newest(tracked)
    shutil.rmtree(tracked.root / "data")
    lock = '[[package]]\nname = "numpy"\nversion = "9.0"\n'
    (tracked.root / "uv.lock").write_text(f"version = 1\n{lock}")
    outcome = tracked.run("experiment", "reproduce", run)
    assert outcome.code == 1
    assert "the data is not that of the run: the pipeline of its commit" in outcome.out
    assert "this environment is not that of the run: numpy none is 9.0" in outcome.out


def test_a_run_that_is_none_or_has_no_commit_is_refused(tracked: Toy) -> None:
    outcome = tracked.run("experiment", "reproduce", "f" * 32)
    assert outcome.code == 2
    assert "no run 'ffff" in outcome.error
    shutil.rmtree(tracked.root / ".git")
    above = str(tracked.root.parent)
    tracked.done("experiment", "run", GIT_CEILING_DIRECTORIES=above)
    run = newest(tracked)
    outcome = tracked.run("experiment", "reproduce", run, GIT_CEILING_DIRECTORIES=above)
    assert outcome.code == 1
    assert "it was made from no commit" in outcome.error
    tracked.commit()
    tracked.done("experiment", "run")
    run = newest(tracked)
    shutil.rmtree(tracked.root / ".git")
    tracked.commit("another")  # the same message in the same second would be the same commit
    outcome = tracked.run("experiment", "reproduce", run)
    assert outcome.code == 2
    assert "is not in this repository; fetch it: git fetch origin" in outcome.error
