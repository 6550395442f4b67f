"""A sweep ends with every trial accounted for, on this machine or on a cluster, whatever dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from dslp.experiments.params import Sweep
from dslp.experiments.sweep import draws, merged
from dslp.tracking.provenance import settings_tag
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Run

from tests.library.experiments.test_experiment import runs
from tests.library.toy import Toy
from tests.services import free_port

PLAN = """
sweep:
  candidate: ridge
  trials: 6
  seed: 3
  parameters:
    settings.alpha: {low: 0.001, high: 1000.0, log: true}
    settings.fit_intercept: {choices: [true, false]}
"""
SLOW = """\
    if params["regressor"] == "ridge":
        import os, time
        from pathlib import Path

        place = Path(os.environ["SWEEP_TEST"])
        (place / f"{params['settings']}-{os.getpid()}").touch()
        time.sleep(float(os.environ["SWEEP_PAUSE"]))
"""


@pytest.fixture
def swept(tracked: Toy) -> Toy:
    """A toy project with a candidate to sweep."""
    params = tracked.model_folder / "params.yml"
    params.write_text(
        params.read_text() + "  ridge: {regressor: ridge, settings: {alpha: 1.0}}\n" + PLAN
    )
    train = tracked.model_folder / "train.py"
    tracked.edit(train, '"linear": LinearRegression', '"linear": LinearRegression, "ridge": Ridge')
    tracked.edit(train, "import LinearRegression", "import LinearRegression, Ridge")
    tracked.commit()
    return tracked


def trials(toy: Toy) -> list[Run]:
    return runs(toy, "trial")


def statuses(toy: Toy) -> Counter[str]:
    return Counter(run.info.status for run in trials(toy))


@pytest.mark.slow
def test_every_trial_is_a_run_beneath_the_sweep_and_the_best_is_shown(swept: Toy) -> None:
    out = swept.done("experiment", "sweep", "--issue", "14").out
    (own,) = runs(swept, "sweep")
    assert own.info.status == "FINISHED"
    found = trials(swept)
    assert statuses(swept) == {"FINISHED": 6}
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {own.info.run_id}
    assert {run.data.tags["dslp.issue"] for run in found} == {"14"}
    assert {run.data.tags["dslp.commit"] for run in found} == {swept.git("rev-parse", "HEAD")}
    best = min(run.data.metrics["absolute_error"] for run in found)
    assert own.data.metrics["absolute_error"] == best
    assert "6 of 6 trials ended" in out
    block = out[out.index("  ridge_2:") : out.index("look at")]
    params = swept.model_folder / "params.yml"
    params.write_text(params.read_text().replace("\nsweep:", f"{block.rstrip()}\n\nsweep:"))
    swept.done("experiment", "run", "--issue", "14", "--candidate", "ridge_2")
    *_, again = runs(swept)
    assert again.data.metrics["absolute_error"] == pytest.approx(best)
    (name,) = [run.info.run_name for run in found if run.data.metrics["absolute_error"] == best]
    compared = swept.done("experiment", "compare", "--issue", "14").out
    assert f"\n{name} is better than the baseline" in compared
    assert "\nridge_2 is better than the baseline" in compared


@pytest.mark.slow
def test_a_trial_that_fails_says_why_and_the_others_go_on(swept: Toy) -> None:
    swept.edit(swept.model_folder / "params.yml", "choices: [true, false]", "choices: [true, 'no']")
    out = swept.done("experiment", "sweep", "--trials", "8").out
    count = statuses(swept)
    assert count["FINISHED"] + count["FAILED"] == 8
    assert count["FINISHED"] > 0
    assert count["FAILED"] > 0
    for run in trials(swept):
        if run.info.status == "FAILED":
            assert "fit_intercept" in run.data.tags["dslp.reason"]
            assert "dslp-sweep-" not in run.data.tags["dslp.reason"]
    assert "failed: frequency: train ridge: " in out


def paused(toy: Toy, place: Path, pause: float) -> None:
    """Let each fit write down its process, and take its time."""
    place.mkdir()
    os.environ |= {"SWEEP_TEST": str(place), "SWEEP_PAUSE": str(pause)}
    toy.edit(toy.model_folder / "train.py", "    regressors =", f"{SLOW}    regressors =")


def killed_meanwhile(place: Path, kill: Callable[[int], None]) -> threading.Thread:
    """Kill the process that began the third fit, while it is at it."""

    def work() -> None:
        for _ in range(2400):
            seen = sorted(place.iterdir(), key=lambda path: path.stat().st_mtime)
            if len(seen) >= 3:
                kill(int(seen[-1].name.rsplit("-", 1)[1]))
                return
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_process_that_is_killed_takes_no_trial_with_it(swept: Toy, tmp_path: Path) -> None:
    paused(swept, tmp_path / "place", 0.3)
    thread = killed_meanwhile(tmp_path / "place", lambda pid: os.kill(pid, signal.SIGKILL))
    swept.done("experiment", "sweep", "--trials", "4")
    thread.join()
    assert statuses(swept) == {"FINISHED": 4}
    for run in trials(swept):
        history = swept.client.get_metric_history(run.info.run_id, "fold_absolute_error")
        assert [one.step for one in history] == [0, 1, 2], "recorded once"


@pytest.mark.campaign
def test_a_trial_that_kills_its_process_fails_alone(swept: Toy) -> None:
    swept.edit(
        swept.model_folder / "train.py",
        "    regressors =",
        "    import os, signal\n\n"
        "    if params.get('settings', {}).get('fit_intercept') is False:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n    regressors =",
    )
    swept.done("experiment", "sweep", "--trials", "4")
    for run in trials(swept):
        lethal = run.data.params["candidate.settings.fit_intercept"] == "False"
        assert run.info.status == ("FAILED" if lethal else "FINISHED")
        if lethal:
            assert "its process was killed, and again" in run.data.tags["dslp.reason"]
    assert set(statuses(swept)) == {"FAILED", "FINISHED"}


@pytest.mark.slow
def test_a_sweep_that_is_interrupted_marks_the_rest_as_killed(swept: Toy, tmp_path: Path) -> None:
    paused(swept, tmp_path / "place", 1.0)
    with subprocess.Popen(
        [sys.executable, "-m", "dslp", "experiment", "sweep"],
        cwd=swept.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        thread = killed_meanwhile(tmp_path / "place", lambda _: os.kill(running.pid, signal.SIGINT))
        running.communicate(timeout=120)
        thread.join()
    assert running.returncode != 0
    count = statuses(swept)
    assert count["KILLED"] > 0
    assert count["KILLED"] + count["FINISHED"] == 6
    (own,) = runs(swept, "sweep")
    assert own.info.status == "KILLED"


@contextmanager
def dask(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask cluster on loopback: its address, and its workers."""
    address = f"tcp://127.0.0.1:{free_port()}"
    folder.mkdir()

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        log = (folder / f"log-{len(started)}").open("wb")
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
            cwd=folder,
            stdout=log,
            stderr=log,
        )

    started: list[subprocess.Popen[bytes]] = []
    try:
        port = address.rsplit(":", 1)[1]
        started.append(start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"))
        for _ in range(workers):
            started.append(
                start("worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard")
            )
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_dask_cluster_loses_a_worker_and_no_trial(swept: Toy, tmp_path: Path) -> None:
    paused(swept, tmp_path / "place", 0.3)
    with dask(tmp_path / "dask", 2) as (address, workers):
        thread = killed_meanwhile(tmp_path / "place", lambda pid: os.kill(pid, signal.SIGKILL))
        out = swept.done("experiment", "sweep", "--on", address).out
        thread.join()
        assert sorted(worker.poll() is None for worker in workers) == [False, True]
    assert "6 of 6 trials ended" in out
    assert statuses(swept) == {"FINISHED": 6}
    for run in trials(swept):
        history = swept.client.get_metric_history(run.info.run_id, "fold_absolute_error")
        assert [one.step for one in history] == [0, 1, 2], "recorded once"


@pytest.mark.campaign
def test_a_cluster_without_workers_does_not_hold_a_sweep_forever(
    swept: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslp.experiments.cluster.PATIENCE", 3.0)
    with dask(tmp_path / "dask", 0) as (address, _):
        outcome = swept.run("experiment", "sweep", DSLP_CLUSTER=address)
    assert outcome.code == 2
    assert "each of 6 trials failed; first: the cluster had no worker for 3 s" in outcome.error
    assert statuses(swept) == {"FAILED": 6}


@pytest.mark.campaign
def test_spark_computes_the_same(swept: Toy) -> None:
    here = swept.done("experiment", "sweep", "--trials", "2").out
    there = swept.done("experiment", "sweep", "--trials", "2", "--on", "local[2]").out
    assert here.split("look at")[0] == there.split("look at")[0]
    assert statuses(swept) == {"FINISHED": 4}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "the cluster at tcp://127.0.0.1:1 does not answer"),
        ("http://me:secret@host", "'http://host' is no cluster; write tcp://HOST:8786 (Dask)"),
    ],
)
def test_a_cluster_that_is_none_is_named_before_a_trial_is_begun(
    swept: Toy, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setattr("dslp.experiments.cluster.CONNECT", 1.0)
    outcome = swept.run("experiment", "sweep", "--on", address)
    assert outcome.code == 2
    assert said in outcome.error
    assert trials(swept) == []


def test_a_server_that_refuses_a_trial_leaves_none_running(
    swept: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    create = MlflowClient.create_run

    def refuse(self: MlflowClient, *given: Any, **more: Any) -> Run:
        if more.get("run_name") == "ridge 3":
            raise MlflowException("no room")
        return create(self, *given, **more)

    monkeypatch.setattr(MlflowClient, "create_run", refuse)
    assert "no room" in swept.run("experiment", "sweep").error
    assert statuses(swept) == {"FAILED": 2}


def test_settings_that_a_tag_would_change_are_not_recorded_as_such() -> None:
    assert settings_tag({"a": 1, "b": [1.5, None]}) == {
        "dslp.settings": '{"a": 1, "b": [1.5, null]}'
    }
    assert settings_tag({"day": date(2024, 1, 1)}) == {}
    assert settings_tag({"a": "x" * 5000}) == {}


def test_a_model_without_a_sweep_says_what_one_is(tracked: Toy) -> None:
    outcome = tracked.run("experiment", "sweep")
    assert outcome.code == 2
    assert "has no sweep; write, say, sweep: {candidate: linear, trials: 20" in outcome.error


@pytest.mark.rule("M1")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("candidate: ridge\n", "candidate: magic\n", "sweep.candidate 'magic' is none"),
        ("low: 0.001", "low: 2000", "low that is less than high"),
        ("low: 0.001", "low: 0", "low above 0 where log is true"),
        ("low: 0.001, ", "", "needs low and high, or choices"),
        ("choices: [true, false]", "choices: [1], low: 1", "choices, or low and high, not both"),
        ("trials: 6", "trials: 0", "greater than or equal to 1"),
        ("settings.alpha", "regressor.alpha", "regressor has no parameters within"),
    ],
)
def test_a_sweep_that_cannot_be_is_explained(swept: Toy, old: str, new: str, said: str) -> None:
    swept.edit(swept.model_folder / "params.yml", old, new)
    outcome = swept.run("experiment", "sweep")
    assert outcome.code == 2
    assert said in outcome.error


ranges = st.tuples(st.integers(1, 50), st.integers(1, 500), st.booleans()).map(
    lambda given: {"low": given[0], "high": given[0] + given[1], "log": given[2]}
)
decimals = st.tuples(st.floats(0.001, 9), st.floats(0.1, 90), st.booleans()).map(
    lambda given: {"low": given[0], "high": given[0] + given[1], "log": given[2]}
)
choices = st.lists(st.sampled_from(["a", 1, 2.5, None]), min_size=1, unique=True).map(
    lambda given: {"choices": given}
)


@given(
    st.dictionaries(st.sampled_from(["a", "b.c", "b.d"]), ranges | decimals | choices, min_size=1),
    st.integers(0, 99),
)
def test_what_is_drawn_lies_where_it_may_and_is_the_same_each_time(
    parameters: dict[str, Any], seed: int
) -> None:
    content = {"candidate": "x", "trials": 5, "seed": seed, "parameters": parameters}
    plan = Sweep.model_validate(yaml.safe_load(yaml.safe_dump(content)))
    drawn = draws(plan, 5)
    assert drawn == draws(plan, 5)
    for one in drawn:
        assert one.keys() == parameters.keys()
        for name, value in one.items():
            tried = parameters[name]
            if "choices" in tried:
                assert value in tried["choices"]
            else:
                assert tried["low"] <= value <= tried["high"]
                assert type(value) is type(tried["low"])
        result = merged({"b": {"kept": 1}}, one)
        assert result["b"]["kept"] == 1
