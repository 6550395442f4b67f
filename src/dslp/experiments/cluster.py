"""Where the trials of a sweep are computed: on the cores of this machine, or on a cluster.

Each place takes trials by number and yields each result exactly once, in the order in which they
end. A worker that dies loses no trial.
"""

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Generator, Mapping
from concurrent import futures
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.experiments.trial import Bundle, TrialResult, run_trial

CONNECT = 10.0  # seconds in which a scheduler must answer, and have a worker

Trials = Mapping[int, Mapping[str, Any]]  # settings by number
Results = Generator[tuple[int, TrialResult]]


def cluster_kind(address: str | None) -> Literal["local", "dask", "spark"]:
    """What computes the trials; nothing is connected yet.

    Args:
        address: `tcp://HOST:8786` of a Dask scheduler, `spark://HOST:7077` of a Spark master;
            None or `local` for the cores of this machine.

    Raises:
        DslpError: the address is of another kind, or the client for it is not installed.
    """
    if address in (None, "", "local"):
        return "local"
    assert address is not None
    if address.startswith(("tcp://", "tls://", "ws://", "wss://")):
        if find_spec("distributed"):
            return "dask"
        raise DslpError(
            "a sweep on Dask needs dslp[cluster]: "
            f"uv run --group cluster dslp experiment sweep --on {redact(address)}"
        )
    if address.startswith(("spark://", "yarn", "k8s://", "local[")):
        if find_spec("pyspark"):
            return "spark"
        raise DslpError("a sweep on Spark needs dslp[spark]: uv add --dev 'dslp[spark]'")
    raise DslpError(
        f"{redact(address)!r:.60} is no cluster; write tcp://HOST:8786 (Dask), spark://HOST:7077 "
        "(Spark), or local"
    )


def compute_trials(address: str | None, bundle: Bundle, candidate: str, trials: Trials) -> Results:
    """The results of the trials, in the order in which they end.

    Args:
        address: of the cluster, see `cluster_kind`.
        bundle: what the workers need.
        candidate: whose settings the trials are.
        trials: settings by number.

    Raises:
        DslpError: the cluster does not answer.
    """
    kind = cluster_kind(address)
    if kind == "local":
        return _compute_locally(bundle, candidate, trials)
    try:
        if kind == "dask":
            from distributed import Client

            client = Client(address, timeout=CONNECT, set_as_default=False)
            client.wait_for_workers(1, timeout=CONNECT)
            return _compute_on_dask(client, bundle, candidate, trials)
        from pyspark.sql import SparkSession

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master(address).appName("dslp sweep")
        session = builder.config("spark.ui.enabled", "false").getOrCreate()
        return _compute_on_spark(session, bundle, candidate, trials)
    except Exception as error:  # each client has errors of its own
        where = redact(address or "")
        raise DslpError(f"the cluster at {where} does not answer: {error_line(error)}") from None


def cores() -> int:
    """How many trials this machine computes at once."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _compute_locally(bundle: Bundle, candidate: str, trials: Trials) -> Results:
    """Compute in processes of this machine, one trial at a time in each.

    A trial whose process dies is computed once more. So a trial that kills its process, because it
    needs too much memory for example, fails alone.
    """
    processes: dict[Connection, BaseProcess] = {}
    idle, running = list[Connection](), dict[Connection, int]()
    queue, repeated = list(trials), set[int]()
    try:
        while queue or running:
            while queue and len(running) < cores():
                pipe = idle.pop() if idle else _start_process(bundle, candidate, processes)
                running[pipe] = queue.pop(0)
                with suppress(OSError):  # the process has died: `recv` says so too
                    pipe.send(trials[running[pipe]])
            ended = wait(list(running))
            for pipe in [pipe for pipe in running if pipe in ended]:
                number = running.pop(pipe)
                try:
                    result = pipe.recv()
                    idle.append(pipe)
                except (EOFError, OSError):
                    if number not in repeated:
                        repeated.add(number)
                        queue.insert(0, number)
                        continue
                    reason = "its process was killed twice: by hand, or for want of memory"
                    result = TrialResult(reason=reason)
                yield number, result
    finally:
        for process in processes.values():
            process.terminate()


def _start_process(
    bundle: Bundle, candidate: str, processes: dict[Connection, BaseProcess]
) -> Connection:
    """Start one more process; trials are sent to it, and results received, by its pipe."""
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    process = context.Process(target=_work, args=(end, bundle, candidate))
    process.start()
    end.close()  # the process alone has it, so that the pipe ends with the process
    processes[pipe] = process
    return pipe


def _work(pipe: Connection, bundle: Bundle, candidate: str) -> None:
    """Compute trials until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted command ends its processes
    with suppress(EOFError):
        while True:
            pipe.send(run_trial(bundle, candidate, pipe.recv()))


def _compute_on_dask(client: Any, bundle: Bundle, candidate: str, trials: Trials) -> Results:
    """Compute on Dask, whose scheduler gives the trials of a dead worker to another one."""
    from distributed import as_completed

    with client:
        with client.as_current(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the bundle is in the graph: no worker can lose it
            shared = client.submit(_identity, bundle, pure=False)
            pending = {
                client.submit(run_trial, shared, candidate, settings, pure=False): number
                for number, settings in trials.items()
            }
            ended = as_completed(pending)
        for future in ended:
            if future.status == "finished":
                yield pending[future], future.result()
            else:
                error = future.exception() if future.status == "error" else "its cluster went away"
                yield pending[future], TrialResult.failed(error)


def _identity(bundle: Bundle) -> Bundle:
    return bundle


def _compute_on_spark(session: Any, bundle: Bundle, candidate: str, trials: Trials) -> Results:
    """Compute on Spark: each trial is a job of one task, which Spark repeats on another worker."""
    context = session.sparkContext
    shared = context.broadcast(bundle)

    def compute(settings: Mapping[str, Any]) -> TrialResult:
        rows = context.parallelize([settings], 1)
        result: TrialResult = rows.map(lambda one: run_trial(shared.value, candidate, one)).first()
        return result

    threads = futures.ThreadPoolExecutor(max(context.defaultParallelism, 1))
    try:
        pending = {threads.submit(compute, settings): n for n, settings in trials.items()}
        for future in futures.as_completed(pending):
            error = future.exception()
            yield pending[future], TrialResult.failed(error) if error else future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        session.stop()
