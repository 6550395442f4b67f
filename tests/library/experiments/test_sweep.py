"""A sweep ends with every trial accounted for, on this machine or on a cluster, whatever dies."""

import os
import re
import shutil
import signal
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from dslp.experiments.params import Sweep
from dslp.experiments.sweep import draws, merged
from dslp.tracking.provenance import settings_tag
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from tests.library.experiments.conftest import make_tracked, runs
from tests.library.toy import Toy

pytestmark = pytest.mark.slow

PLAN = """
  ridge: {regressor: ridge, settings: {alpha: 1.0}}
sweep:
  candidate: ridge
  trials: 4
  seed: 7
  parameters:
    settings.alpha: {low: 0.001, high: 1000.0, log: true}
    settings.fit_intercept: {choices: [true, false]}
"""
# A fit without intercept kills its process each time, the first fit with it does so once.
KILLING = """\
    import os, signal
    from pathlib import Path

    marker, intercept = Path(os.environ["MARKER"]), params.get("settings", {}).get("fit_intercept")
    if intercept is False or (intercept is True and not marker.exists()):
        intercept is False or marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""
SLOW = """\
    import os, time
    from pathlib import Path

    if params["regressor"] == "ridge":
        Path(os.environ["FITS"], f"fit-{time.time()}-{os.getpid()}").touch()
        time.sleep(0.3)
"""


def make_sweepable(toy: Toy, before_fits: str = "") -> Toy:
    """The same project with a candidate to sweep, whose fits begin with some code."""
    params, train = toy.model_folder / "params.yml", toy.model_folder / "train.py"
    params.write_text(params.read_text().rstrip() + PLAN)
    toy.edit(train, '"linear": LinearRegression', '"linear": LinearRegression, "ridge": Ridge')
    toy.edit(train, "import LinearRegression", "import LinearRegression, Ridge")
    toy.edit(train, "    regressors =", f"{before_fits}    regressors =")
    return toy


@pytest.fixture
def sweepable(tracked: Toy) -> Toy:
    return make_sweepable(tracked)


@pytest.fixture(scope="module")
def swept(
    tmp_path_factory: pytest.TempPathFactory, data: Path, empty_store: Path
) -> tuple[Toy, str]:
    """A sweep in which trials fail and processes are killed; and what was printed."""
    toy = make_tracked(tmp_path_factory.mktemp("sweep"), data, empty_store)
    choices = ("choices: [true, false]", "choices: [true, false, 'no']")
    make_sweepable(toy, KILLING).edit(toy.model_folder / "params.yml", *choices)
    toy.commit()
    marker = str(toy.root.parent / "marker")
    return toy, toy.done("experiment", "sweep", "--issue", "14", MARKER=marker).out


def folds_recorded(toy: Toy, run: Run) -> list[int]:
    history = toy.client.get_metric_history(run.info.run_id, "fold_absolute_error")
    return [metric.step for metric in history]


def test_every_trial_is_a_run_beneath_the_sweep_whatever_dies(swept: tuple[Toy, str]) -> None:
    toy, out = swept
    (parent,) = runs(toy, "sweep")
    assert parent.info.status == "FINISHED"
    seen = {}
    for run in runs(toy, "trial"):
        tags, intercept = run.data.tags, run.data.params["candidate.settings.fit_intercept"]
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert tags["dslp.issue"] == "14"
        assert tags["dslp.commit"] == toy.git("rev-parse", "HEAD")
        seen[run.info.run_name] = (intercept, run.info.status)
        if intercept == "True":
            assert folds_recorded(toy, run) == [0, 1, 2], "recorded once"
        elif intercept == "False":
            assert "its process was killed" in tags["dslp.reason"]
        else:
            assert "fit_intercept" in tags["dslp.reason"]
            assert "dslp-sweep-" not in tags["dslp.reason"]
    expected = {("True", "FINISHED"), ("False", "FAILED"), ("no", "FAILED")}
    assert (len(seen), set(seen.values())) == (4, expected)
    assert "2 of 4 trials ended" in out
    assert "failed: frequency: train ridge: " in out


def test_the_best_trial_is_shown_as_a_candidate_that_can_be_run(
    swept: tuple[Toy, str], tmp_path: Path
) -> None:
    source, out = swept
    toy = Toy(shutil.copytree(source.root, tmp_path / "toy"), source.package)
    trials = [run for run in runs(toy, "trial") if run.info.status == "FINISHED"]
    best = min(trials, key=lambda run: run.data.metrics["absolute_error"])
    (parent,) = runs(toy, "sweep")
    error = best.data.metrics["absolute_error"]
    assert parent.data.metrics["absolute_error"] == error
    block = "\n  ridge_best:" + out.partition("\n  ridge_best:")[2].partition("\ntrial")[0]
    toy.edit(toy.model_folder / "params.yml", "\nsweep:", f"{block}\nsweep:")
    os.environ["MARKER"] = str(source.root)
    rerun = toy.done("experiment", "run", "--issue", "14", "--candidate", "ridge_best")
    says = "the best of 2 trials, so its gain is optimistic; the holdout decides"
    *_, candidate = runs(toy)
    assert says in rerun.out
    assert candidate.data.metrics["absolute_error"] == pytest.approx(error)
    compared = toy.done("experiment", "compare", "--issue", "14").out
    for name in (best.info.run_name, "ridge_best"):
        assert re.search(rf"\n{name}: [\d.]+ % better than the baseline", compared)
    assert (says in out, compared.count(says)) == (True, 2)
    assert "(best of 2)" in (toy.root / "data" / "interim" / "compare-14" / "gains.svg").read_text()
    assert says in toy.done("model", "train", "--candidate", "ridge_best").out


@pytest.mark.campaign
def test_a_dask_cluster_loses_a_worker_and_no_trial(tracked: Toy, tmp_path: Path) -> None:
    def kill_at_the_third_fit() -> None:
        while (
            len(fits := sorted(tmp_path.glob("fit-*"), key=lambda path: path.stat().st_mtime)) < 3
        ):
            time.sleep(0.05)
        os.kill(int(fits[-1].name.rpartition("-")[2]), signal.SIGKILL)

    from distributed import LocalCluster

    thread = threading.Thread(target=kill_at_the_third_fit, daemon=True)
    os.environ["FITS"] = str(tmp_path)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        thread.start()
        address = cluster.scheduler_address
        out = make_sweepable(tracked, SLOW).done("experiment", "sweep", "--on", address).out
        assert not thread.is_alive()
    assert "4 of 4 trials ended" in out
    trials = runs(tracked, "trial")
    assert [folds_recorded(tracked, run) for run in trials] == [[0, 1, 2]] * 4, "recorded once"


@pytest.mark.campaign
def test_spark_computes_the_same(sweepable: Toy) -> None:
    local = sweepable.done("experiment", "sweep", "--trials", "2").out
    spark = sweepable.done("experiment", "sweep", "--trials", "2", "--on", "local[2]").out
    sides = (out.split("the run of the sweep")[0] for out in (local, spark))
    assert len(set(sides)) == 1


def test_a_cluster_that_does_not_answer_is_named_before_a_trial_is_begun(
    sweepable: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslp.experiments.sweep.CONNECT", 1.0)
    outcome = sweepable.run("experiment", "sweep", "--on", "tcp://127.0.0.1:1")
    assert outcome.code == 2
    assert "the cluster at tcp://127.0.0.1:1 does not answer" in outcome.error
    assert runs(sweepable, "trial") == []


@pytest.mark.parametrize(
    ("error", "status"), [(MlflowException("no room"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_sweep_that_is_stopped_leaves_no_run_running(
    sweepable: Toy, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str
) -> None:
    create_run = MlflowClient.create_run

    def refuse(client: MlflowClient, *arguments: Any, **options: Any) -> Run:
        if options.get("run_name") == "ridge 3":
            raise error
        return create_run(client, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "create_run", refuse)
    outcome = sweepable.run("experiment", "sweep")
    assert outcome.code != 0
    assert status == "KILLED" or "no room" in outcome.error
    assert {run.info.status for run in runs(sweepable, "trial")} <= {"FINISHED"}
    assert [run.info.status for run in runs(sweepable, "sweep")] == [status]


def test_settings_that_a_tag_would_change_are_not_recorded_as_such() -> None:
    tag = settings_tag({"a": 1, "b": [1.5, None]})
    assert tag == {"dslp.settings": '{"a": 1, "b": [1.5, null]}'}
    assert settings_tag({"day": date(2024, 1, 1)}) == settings_tag({"a": "x" * 5000}) == {}


@pytest.mark.rule("M1")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("candidate: ridge\n", "candidate: magic\n", "sweep.candidate 'magic' is none"),
        ("low: 0.001", "low: 2000", "low that is less than high"),
        ("low: 0.001, ", "", "needs low and high, or choices"),
        ("choices: [true, false]", "choices: [1], low: 1", "choices, or low and high, not both"),
        ("settings.alpha", "regressor.alpha", "regressor has no parameters within"),
        ("settings.alpha", "settings.al%pha", "MLflow keeps no name 'settings.al%pha'"),
    ],
)
def test_a_sweep_that_cannot_be_is_explained(toy: Toy, old: str, new: str, problem: str) -> None:
    make_sweepable(toy).edit(toy.model_folder / "params.yml", old, new)
    outcome = toy.run("experiment", "sweep")
    assert problem in outcome.error


RANGES: dict[str, dict[str, Any]] = {
    "whole": {"low": 1, "high": 500, "log": True},
    "few": {"low": 1, "high": 3},
    "real": {"low": 0.001, "high": 9.0, "log": True},
    "b.flat": {"low": 0.5, "high": 90.0},
    "b.choice": {"choices": ["a", None]},
}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_drawn_lies_where_it_may_and_is_the_same_each_time(seed: int) -> None:
    content = {"candidate": "x", "trials": 5, "seed": seed, "parameters": RANGES}
    plan = Sweep.model_validate(content)
    assert draws(plan, 5) == draws(plan, 5)
    for values in draws(plan, 5):
        assert merged({"b": {"unchanged": 1}}, values)["b"]["unchanged"] == 1
        assert values.pop("b.choice") in ("a", None)
        for name, value in values.items():
            low, high = RANGES[name]["low"], RANGES[name]["high"]
            assert low <= value <= high
            assert type(value) is type(low)
