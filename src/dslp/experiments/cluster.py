"""Where the trials of a sweep are computed: the cores of this machine, or a cluster that exists.

Each place takes trials by number and gives back each exactly once, with its outcome, in the order
in which they end: a worker that dies takes none with it.
"""

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.experiments import trial
from dslp.experiments.trial import Outcome, Parcel

PATIENCE = 60.0  # seconds that a cluster may be without a single worker
CONNECT = 10.0  # seconds

Trials = Mapping[int, Mapping[str, Any]]  # settings by number
Ended = Iterator[tuple[int, Outcome]]

_parcel: Parcel | None = None  # of a process on this machine


def compute_trials(address: str | None, parcel: Parcel, candidate: str, trials: Trials) -> Ended:
    """The trials' outcomes, computed where `address` says, as they come.

    Args:
        address: `tcp://HOST:8786` of a Dask scheduler, `spark://HOST:7077` of a Spark master;
            None or `local` for the cores of this machine.
        parcel: what the workers need.
        candidate: whose settings the trials are.
        trials: settings by number.

    Raises:
        DslpError: there is no cluster at the address, or what speaks to it is not installed.
    """
    if address in (None, "", "local"):
        return _here(parcel, candidate, trials)
    assert address is not None
    if address.startswith(("tcp://", "tls://", "ws://", "wss://")):
        return _dask(address, parcel, candidate, trials)
    if address.startswith(("spark://", "yarn", "k8s://", "local[")):
        return _spark(address, parcel, candidate, trials)
    raise DslpError(
        f"{redact(address)!r:.60} is no cluster; write tcp://HOST:8786 (Dask), spark://HOST:7077 "
        "(Spark), or local"
    )


def cores() -> int:
    """How many processes this machine computes at once."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _here(parcel: Parcel, candidate: str, trials: Trials) -> Ended:
    """On the cores of this machine.

    When a process dies, the trials that were being computed are tried again one at a time, so that
    the one that kills its process (by its hunger for memory, say) is told from its neighbours.
    """
    left, suspects = dict(trials), list[int]()
    while left:
        chosen = suspects[:1] or list(left)
        flying: dict[futures.Future[Outcome], int] = {}
        died = False
        with _processes(min(cores(), len(chosen)), parcel) as (pool, size):
            queue = iter(chosen)
            while not died:
                try:
                    for number in islice(queue, size - len(flying)):
                        flying[pool.submit(_own, candidate, left[number])] = number
                except BrokenProcessPool:
                    flying.setdefault(futures.Future(), number)
                    break
                if not flying:
                    break
                for future in futures.wait(flying, return_when=futures.FIRST_COMPLETED).done:
                    try:
                        outcome = future.result()
                    except BrokenProcessPool:
                        died = True
                    else:
                        number = flying.pop(future)
                        del left[number]
                        yield number, outcome
        if suspects and flying:
            del left[suspects[0]]
            reason = "its process was killed, and again: by hand, or for want of memory"
            yield suspects[0], Outcome(reason=reason)
        suspects = suspects[1:] if suspects else list(flying.values())


@contextmanager
def _processes(number: int, parcel: Parcel) -> Iterator[tuple[futures.ProcessPoolExecutor, int]]:
    """Processes that have the parcel; none outlives the block, whatever it computes."""
    before = set(multiprocessing.active_children())
    pool = futures.ProcessPoolExecutor(
        number, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(parcel,)
    )
    try:
        yield pool, number
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parcel: Parcel) -> None:
    global _parcel
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is interrupted ends its processes
    _parcel = parcel


def _own(candidate: str, settings: Mapping[str, Any]) -> Outcome:
    assert _parcel is not None
    return trial.run_trial(_parcel, candidate, settings)


def _dask(address: str, parcel: Parcel, candidate: str, trials: Trials) -> Ended:
    """On a Dask cluster, whose scheduler gives the trials of a dead worker to another one."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise DslpError(
            "a sweep on Dask needs dslp[cluster]: "
            f"uv run --group cluster dslp experiment sweep --on {redact(address)}"
        ) from None
    try:
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = error_line(error)
        raise DslpError(f"the cluster at {redact(address)} does not answer: {reason}") from None
    return _on_dask(client, parcel, candidate, trials)


def _on_dask(client: Any, parcel: Parcel, candidate: str, trials: Trials) -> Ended:
    from distributed import wait as wait_for

    with client:
        with warnings.catch_warnings():  # the parcel is in the graph, where no worker can lose it
            warnings.simplefilter("ignore")
            shared = client.submit(_same, parcel, pure=False)
            left = {
                client.submit(trial.run_trial, shared, candidate, settings, pure=False): number
                for number, settings in trials.items()
            }
        seen = time.monotonic()
        while left:
            try:
                with client.as_current():
                    done = wait_for(list(left), timeout=2, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                done = set()
            for future in done:
                number, error = left.pop(future), None
                if future.status != "finished":
                    error = future.exception() if future.status == "error" else None
                    reason = f"{type(error).__name__}: {error}" if error else "cancelled"
                    yield number, Outcome(reason=" ".join(reason.split())[:240])
                else:
                    yield number, future.result()
            lost = client.status != "running"
            if done or (not lost and client.scheduler_info(n_workers=-1)["workers"]):
                seen = time.monotonic()
            if lost or time.monotonic() - seen > PATIENCE:
                reason = f"the cluster had no worker for {PATIENCE:.0f} s"
                reason = "the scheduler of the cluster went away" if lost else reason
                yield from [(number, Outcome(reason=reason)) for number in left.values()]
                return


def _same(parcel: Parcel) -> Parcel:
    return parcel


def _spark(address: str, parcel: Parcel, candidate: str, trials: Trials) -> Ended:
    """On a Spark cluster: each trial is a job of one task, which Spark repeats elsewhere."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise DslpError("a sweep on Spark needs dslp[spark]: uv add --dev 'dslp[spark]'") from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        builder = SparkSession.builder.master(address).appName("dslp sweep")
        session = builder.config("spark.ui.enabled", "false").getOrCreate()
    except Exception as error:
        reason = error_line(error)
        raise DslpError(f"the cluster at {redact(address)} does not answer: {reason}") from None
    return _on_spark(session, parcel, candidate, trials)


def _on_spark(session: Any, parcel: Parcel, candidate: str, trials: Trials) -> Ended:
    context = session.sparkContext
    shared = context.broadcast(parcel)

    def job(settings: Mapping[str, Any]) -> Outcome:
        rows = context.parallelize([settings], 1)
        done = rows.map(lambda chosen: trial.run_trial(shared.value, candidate, chosen))
        outcome: Outcome = done.first()
        return outcome

    threads = futures.ThreadPoolExecutor(max(context.defaultParallelism, 1))
    try:
        left = {threads.submit(job, settings): number for number, settings in trials.items()}
        for future in futures.as_completed(left):
            error = future.exception()
            reason = error_line(error)
            yield left[future], Outcome(reason=reason) if error else future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        session.stop()
