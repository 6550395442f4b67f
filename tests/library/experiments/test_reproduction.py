"""A run comes out again from its record alone, whatever the working tree looks like by then."""

import os
import shutil

import pytest

from tests.library.experiments.conftest import runs
from tests.library.toy import Toy

pytestmark = [pytest.mark.slow, pytest.mark.rule("E6")]


def newest(toy: Toy, kind: str = "experiment") -> str:
    *_, run = runs(toy, kind)
    return str(run.info.run_id)


def test_a_run_comes_out_again_though_code_and_data_have_changed(tracked: Toy) -> None:
    params = tracked.model_folder / "params.yml"
    tracked.edit(params, "improvement: 0.1", "improvement: 0.1, by: difference")
    tracked.commit()
    tracked.done("experiment", "run")
    tracked.done("model", "train", "--candidate", "linear")
    experiment, training = newest(tracked), newest(tracked, "training")
    tracked.edit(params, "folds: 3", "folds: 4")
    tracked.edit(params, "regressor: linear", "regressor: mean")
    tracked.edit(tracked.model_folder / "features.py", '["amount"]', '["id"]')
    tracked.edit(tracked.dataset / "pipeline.py", "default_rng(1)", "default_rng(2)")
    head = tracked.commit()
    shutil.rmtree(tracked.root / "data")
    for run, number in ((experiment, 6), (training, 6)):
        out = tracked.done("experiment", "reproduce", run[:9]).out
        assert out == f"equal: {number} metrics of run {run} came out again\n"
    assert tracked.git("rev-parse", "HEAD") == head
    assert tracked.git("status", "--porcelain") == ""
    assert len(tracked.git("worktree", "list").splitlines()) == 1


def test_a_run_of_uncommitted_work_is_in_doubt_and_differs(experimented: Toy) -> None:
    experimented.edit(experimented.model_folder / "train.py", "LinearRegression", "Lasso")
    experimented.done("experiment", "run")
    run = newest(experimented)
    for name in ("fame", "seconds"):
        experimented.client.log_metric(run, name, 1.0)
    outcome = experimented.run("experiment", "reproduce", run)
    assert outcome.code == 1
    assert "made from uncommitted changes" in outcome.out
    assert "the model's files are not those of the run" in outcome.out
    names = {line.split()[0] for line in outcome.out.splitlines()}
    assert {"absolute_error", "fame"} <= names - {"seconds"}
    assert "of 7 metrics of run" in outcome.out.splitlines()[-1]


@pytest.mark.campaign
def test_data_and_environment_that_are_gone_are_named(tracked: Toy) -> None:
    tracked.edit(tracked.dataset / "pipeline.py", "default_rng(1)", "default_rng()")
    tracked.commit()
    tracked.done("data", "build", "--refresh")
    tracked.done("experiment", "run", "--candidate", "linear")
    shutil.rmtree(tracked.root / "data")
    lock = 'version = 1\n[[package]]\nname = "numpy"\nversion = "9.0"\n'
    (tracked.root / "uv.lock").write_text(lock)
    outcome = tracked.run("experiment", "reproduce", newest(tracked))
    assert outcome.code == 1
    assert "the data is not that of the run: the pipeline of its commit" in outcome.out
    assert "this environment is not that of the run (uv cannot make it: " in outcome.out


def test_a_run_without_a_commit_says_so_and_is_refused(experimented: Toy) -> None:
    outcome = experimented.run("experiment", "reproduce", "ffffffff")
    assert f"no run 'ffffffff' is recorded; known are {newest(experimented)}" in outcome.error
    shutil.rmtree(experimented.root / ".git")
    os.environ["GIT_CEILING_DIRECTORIES"] = str(experimented.root.parent)
    outcome = experimented.run("experiment", "reproduce", newest(experimented))
    assert outcome.code == 2
    assert "is not in this repository; fetch it: git fetch origin" in outcome.error
    (experimented.root / "uv.lock").unlink()
    outcome = experimented.done("experiment", "run", "--candidate", "baseline")
    assert "fatal" not in outcome.err
    *_, run = runs(experimented)
    names = ("commit", "clean", "environment", "environment_version")
    values = [run.data.tags[f"dslp.{name}"] for name in names]
    assert values == ["none", "false", "not locked", "not locked"]
    outcome = experimented.run("experiment", "reproduce", run.info.run_id)
    assert outcome.code == 1
    assert "it was made from no commit" in outcome.error
