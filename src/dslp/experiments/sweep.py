"""A sweep: a candidate tried with many settings, each trial a run beneath the sweep's own run.

Trials are computed by joblib, on this machine's cores or on a cluster. A worker needs neither the
project's files nor its data: it gets both, and on a cluster this library too. A worker that dies
loses no trial. Each is recorded by the process that sweeps, once, when its result is there.
"""

import copy
import io
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import dslp
from dslp.core.errors import DslpError
from dslp.core.text import error_line, redact
from dslp.experiments.model import Model
from dslp.experiments.params import ParameterRange, Sweep
from dslp.experiments.runs import (
    CandidateRun,
    Experiment,
    Scores,
    cross_validate,
    record_run,
)

if TYPE_CHECKING:
    import pandas as pd

    Run = Callable[[int, "Bundle", Mapping[str, Any]], tuple[int, "TrialResult"]]
CONNECT = 10.0  # seconds in which a scheduler must answer, and have a worker
DEATHS = {"TerminatedWorkerError", "KilledWorker"}  # the errors of loky and Dask
DEATH_ON_SPARK = "ExecutorLost|worker exited unexpectedly"
_LOCK = Lock()


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        run_id: of the sweep's own run.
        finished: recorded runs by number of the trial, the best first.
        failed: reasons by number of the trial.
        settings: of the candidate, by number of the trial.
    """

    run_id: str
    finished: dict[int, CandidateRun]
    failed: dict[int, str]
    settings: dict[int, dict[str, Any]]


class TrialFailed(Exception):
    """Ends the run of a trial as failed."""


def sweep(
    experiment: Experiment,
    trials: int | None = None,
    address: str | None = None,
    report: Callable[[str], None] = lambda progress: None,
) -> SweepResult:
    """Try the candidate that `sweep` in `params.yml` names, with settings drawn from its ranges.

    Args:
        experiment: the model and its data.
        trials: how many, by default as many as `params.yml` says.
        address: of a cluster, see `cluster_kind`.
        report: is called after each trial with the number of trials that have ended.

    Raises:
        DslpError: `params.yml` has no sweep, the cluster does not answer, or every trial failed.
    """
    model, metric = experiment.model, experiment.model.params.metric
    plan = model.sweep
    samples = enumerate(draws(plan, trials or plan.trials), start=1)
    base = model.params.candidates[plan.candidate]
    settings = {number: merged(base, values) for number, values in samples}
    finished, failed = dict[int, CandidateRun](), dict[int, str]()
    results = compute_trials(address, Bundle.of(experiment, plan.candidate), settings)
    made_from = (experiment.tracking, model, experiment.data, plan.candidate)
    record, name = partial(record_run, *made_from, issue=experiment.issue), plan.candidate
    with record(experiment.tags("sweep"), name=f"sweep of {name}") as parent, closing(results):
        own = parent.client.get_run(parent.run_id).data.tags
        tags = {n: v for n, v in own.items() if n.startswith("dslp.") and n != "dslp.settings"}
        tags |= {"dslp.kind": "trial", "mlflow.parentRunId": parent.run_id}
        for number, result in results:
            trial = record(tags, name=f"{name} {number}", settings=settings[number])
            with suppress(TrialFailed), trial as run:
                run.log_metrics({"seconds": result.seconds})
                if result.reason:
                    failed[number] = result.reason
                    run.set_tags({"dslp.reason": result.reason})
                    raise TrialFailed
                finished[number] = experiment.log_scores(run, plan.candidate, result.scores)
            report(f"{len(finished) + len(failed)} of {len(settings)}")
        parent.log_metrics({"trials": len(settings), "failed": len(failed)})
        if not finished:
            raise DslpError(f"each of {len(settings)} trials failed; first: {failed[min(failed)]}")
        sign = -1 if metric.better == "higher" else 1
        ranked = sorted(finished.items(), key=lambda pair: sign * pair[1].mean)
        best = ranked[0][1]
        parent.log_metrics({metric.name: best.mean})
        parent.set_tags({"dslp.best": best.run_id})
    return SweepResult(parent.run_id, dict(ranked), dict(sorted(failed.items())), settings)


def draws(plan: Sweep, trials: int) -> list[dict[str, Any]]:
    """Values of the parameters for each trial, the same for the same seed.

    Where all parameters are choices, and there are fewer combinations than trials, each is drawn
    once.
    """
    import warnings

    from sklearn.model_selection import ParameterSampler

    distributions = {name: _distribution(values) for name, values in plan.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer combinations than trials
        sample = list(ParameterSampler(distributions, trials, random_state=plan.seed))
    return [
        {name: plan.parameters[name].cut(value) for name, value in values.items()}
        for values in sample
    ]


def merged(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with these values in their places; a dot in a name is a level.

    Raises:
        DslpError: a value belongs within a setting that has no parameters.
    """
    result = copy.deepcopy(dict(settings))
    for name, value in values.items():
        *levels, last = name.split(".")
        place = result
        for level in levels:
            place = place.setdefault(level, {})
            if not isinstance(place, dict):
                raise DslpError(f"sweep.parameters.{name}: {level} has no parameters within")
        place[last] = value
    return result


def _distribution(values: ParameterRange) -> Any:
    from scipy.stats import loguniform, uniform

    if values.choices is not None:
        return values.choices
    low, high = values.ends
    return loguniform(low, high) if values.log else uniform(low, high - low)


def snippet(model: Model, result: SweepResult) -> str:
    """The best trial as lines for `candidates` in `params.yml`."""
    import yaml

    best = result.settings[next(iter(result.finished))]
    text = yaml.safe_dump({f"{model.sweep.candidate}_best": best}, sort_keys=False)
    return "\n".join(f"  {line}" for line in text.splitlines())


_UNPACKED: dict[str, tuple[Model, tempfile.TemporaryDirectory[str]]] = {}  # the last, by bundle


@dataclass(frozen=True)
class Bundle:
    """What a worker needs: the model, the project's code as it is, the rows, and the candidate."""

    model: Model
    rows: "pd.DataFrame"
    candidate: str
    code: bytes
    name: str

    @classmethod
    def of(cls, experiment: Experiment, candidate: str) -> "Bundle":
        """Trials of a candidate of the experiment's model."""
        model, source = experiment.model, experiment.model.project.source
        with tempfile.TemporaryDirectory() as folder:
            archive = shutil.make_archive(f"{folder}/code", "zip", source.parent, source.name)
            code = Path(archive).read_bytes()
        return cls(model, experiment.data.development, candidate, code, uuid.uuid4().hex)


@dataclass(frozen=True)
class TrialResult:
    """The metrics of each fold; or the reason why the trial failed."""

    scores: Scores = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0


def cluster_kind(address: str | None) -> str:
    """What computes the trials: `loky` for the cores of this machine, `dask` or `spark`.

    Args:
        address: `tcp://HOST:8786` of a Dask scheduler, `spark://HOST:7077` of a Spark master;
            None or `local` for this machine.

    Raises:
        DslpError: the address is of another kind, or the client for it is not installed.
    """
    if address in (None, "", "local"):
        return "loky"
    where = redact(address or "")
    if re.match(r"(tcp|tls|wss?)://", where):
        kind, needed, extra = "dask", "distributed", "cluster"
    elif re.match(r"spark://|yarn|k8s://|local\[", where):
        kind, needed, extra = "spark", "pyspark", "spark"
    else:
        clusters = "tcp://HOST:8786 (Dask), spark://HOST:7077 (Spark), or local"
        raise DslpError(f"{where!r:.60} is no cluster; write {clusters}")
    if not find_spec(needed):
        raise DslpError(f"a sweep at {where} needs dslp[{extra}]: uv add --dev 'dslp[{extra}]'")
    return kind


def compute_trials(
    address: str | None, bundle: Bundle, trials: Mapping[int, Mapping[str, Any]]
) -> Generator[tuple[int, TrialResult]]:
    """The result of each trial, by number, in the order in which they end.

    If a worker dies, the trials that it may have computed are computed again, each without others
    beside it, and twice if need be: a trial that kills its worker, for want of memory for example,
    fails alone.

    Args:
        address: of the cluster, see `cluster_kind`.
        bundle: what the workers need.
        trials: settings by number.

    Raises:
        DslpError: the cluster does not answer, or what it raises is not the death of a worker.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    with ExitStack() as stack:
        run, options = _connect(address, bundle, stack)
        remaining, suspects, alone = dict(trials), list[int](), list[int]()
        while remaining:
            part = suspects[:1] or list(remaining)
            tasks = (delayed(run)(number, bundle, trials[number]) for number in part)
            try:
                for number, result in Parallel(return_as="generator_unordered", **options)(tasks):
                    del remaining[number]
                    yield number, result
            except Exception as error:  # each kind of worker dies with an error of its own
                name = type(error).__name__
                if name not in DEATHS and not re.search(DEATH_ON_SPARK, str(error)):
                    reason = error_line(f"{name}: {error}")
                    raise DslpError(f"the trials cannot be computed: {reason}") from error
                if part == alone:
                    del remaining[part[0]]
                    reason = "its process was killed twice: by hand, or for want of memory"
                    yield part[0], TrialResult(reason=f"{reason} ({name})")
                alone = part if len(part) == 1 else []
                suspects = suspects or list(remaining)[: 2 * effective_n_jobs(-1)]
            suspects = [number for number in suspects if number in remaining]


def _connect(address: str | None, bundle: Bundle, stack: ExitStack) -> "tuple[Run, dict[str, Any]]":
    """What computes a trial, and options of joblib's `Parallel`; the stack ends the connection."""
    kind = cluster_kind(address)
    if kind == "loky":
        return run_trial, {"n_jobs": -1}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    library = shutil.make_archive(
        str(folder / "dslp"), "zip", Path(dslp.__file__).parents[1], "dslp"
    )
    try:
        if kind == "dask":
            from distributed import Client
            from distributed.diagnostics.plugin import UploadFile
            from joblib import parallel_config

            client = stack.enter_context(Client(address, timeout=CONNECT))
            client.wait_for_workers(1, timeout=CONNECT)
            client.register_plugin(UploadFile(library))  # of workers; later ones get it too
            stack.enter_context(parallel_config("dask", scatter=[bundle]))
            return run_trial, {}
        from pyspark.sql import SparkSession

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master(address).appName("dslp sweep")
        session = builder.config("spark.ui.enabled", "false").getOrCreate()
        stack.callback(session.stop)
        context = session.sparkContext
        context.addPyFile(library)
        shared = context.broadcast(bundle)

        def run_on_spark(number: int, _: Bundle, settings: Mapping[str, Any]) -> Any:
            one = context.parallelize([settings], 1)  # a job of one task, which Spark repeats
            return one.map(lambda row: run_trial(number, shared.value, row)).first()

        return run_on_spark, {"n_jobs": context.defaultParallelism, "backend": "threading"}
    except Exception as error:  # each client has errors of its own
        where = redact(address or "")
        raise DslpError(f"the cluster at {where} does not answer: {error_line(error)}") from None


def run_trial(number: int, bundle: Bundle, settings: Mapping[str, Any]) -> tuple[int, TrialResult]:
    """Cross-validate the candidate with these settings; an error becomes a failed result."""
    from threadpoolctl import threadpool_limits

    scores, reason, started = list[dict[str, float]](), "", time.monotonic()
    try:
        model = _unpack(bundle)
        with threadpool_limits(1):  # there is a worker for each core
            scores = cross_validate(model, bundle.rows, bundle.candidate, settings)
    except Exception as error:  # the model's own code raises anything
        kind = "" if isinstance(error, DslpError) else f"{type(error).__name__}: "
        reason = error_line(f"{kind}{error}")
    return number, TrialResult(scores, reason, time.monotonic() - started)


def _unpack(bundle: Bundle) -> Model:
    """The model in a folder of this process; what an earlier sweep left is removed."""
    with _LOCK:
        if bundle.name not in _UNPACKED:
            for _, old in _UNPACKED.values():
                sys.path.remove(str(Path(old.name) / "src"))
                old.cleanup()
            _UNPACKED.clear()
            package = bundle.model.project.package
            for name in [name for name in sys.modules if name.split(".")[0] == package]:
                del sys.modules[name]
            folder = tempfile.TemporaryDirectory(prefix="dslp-sweep-")
            root = Path(folder.name)
            with zipfile.ZipFile(io.BytesIO(bundle.code)) as code:
                code.extractall(root / "src")
            project = replace(bundle.model.project, root=root, code="src", data=root / "data")
            model = replace(bundle.model, project=project)
            _UNPACKED[bundle.name] = model, folder
            model.function("train"), model.function("evaluate")  # before threads may race
        return _UNPACKED[bundle.name][0]
