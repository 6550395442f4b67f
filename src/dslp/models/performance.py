"""What a model costs to use (M3): latency, throughput, memory, size, time to start.

Measured in a process of its own that does what the server does: it loads the model natively, and
predicts with one OpenMP thread. What other programs take does not count: time in which the thread
waited for a processor is subtracted (Linux counts it), and the best of several rounds is taken.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.data.reading import read_frame

if TYPE_CHECKING:
    import pandas as pd
    from dslp.experiments.model import Model

ROUNDS = 5  # of latency
SINGLE = 60  # predictions of one row in a round
WAITS = Path("/proc/thread-self/schedstat")  # of Linux: its second number is nanoseconds waited
BATCH = 10_000  # rows of a batch
SECONDS = 1.0  # that batches are predicted for
ENOUGH = 5.0  # seconds after which no further round begins
FIGURES = {
    "p50_ms": "one row, median, ms",
    "p95_ms": "one row, 95th percentile, ms",
    "p99_ms": "one row, 99th percentile, ms",
    "rows_per_second": f"batches of {BATCH:,}, rows/s",
    "memory_mb": "memory once loaded, MB",
    "size_mb": "size on disk, MB",
    "start_s": "time to load, s",
}


def measure_latency(estimator: Any, rows: "pd.DataFrame") -> dict[str, float]:
    """How long one row takes, in milliseconds: `p50_ms`, `p95_ms` and `p99_ms`; and `waited`.

    `waited` is the share of the time in which the thread waited for a processor.

    Args:
        estimator: what `persistence.load_model` returns.
        rows: real inputs, as the model was trained on; each prediction is for one of them.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    predict = getattr(estimator, "predict", estimator)
    single = [rows.iloc[[number % len(rows)]] for number in range(SINGLE)]
    rounds, total, waits, begun = list[list[float]](), 0.0, 0.0, time.perf_counter()
    with threadpool_limits(1):  # as in serving: more threads for one row only wait for each other
        for row in single[:20]:  # the first calls import modules
            predict(row)
        while len(rounds) < ROUNDS and (not rounds or time.perf_counter() - begun < ENOUGH):
            rounds.append([])
            for row in single:
                before, started = _waited(), time.perf_counter()
                predict(row)
                took = time.perf_counter() - started
                waited = min(_waited() - before, took)
                rounds[-1].append((took - waited) * 1000)
                total, waits = total + took, waits + waited
    best = np.percentile(rounds, (50, 95, 99), axis=1).min(axis=1)
    return dict(zip(("p50_ms", "p95_ms", "p99_ms"), best.tolist(), strict=True)) | {
        "waited": waits / total
    }


def measure(model: "Model", folder: Path) -> dict[str, float]:
    """The figures of a saved model by name, on rows of the dataset that it is made from.

    Raises:
        DslpError: the data is not built, or the model cannot be loaded or cannot predict.
    """
    rows = model.request_frame(read_frame(model.dataset).head(BATCH))
    if rows.empty:
        raise DslpError(f"{model.dataset.built} has no rows to measure {model.name} with")
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / "rows.parquet"
        rows.to_parquet(file)
        command = [sys.executable, "-m", __name__, str(folder), str(file)]
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = error_line((done.stderr.strip().splitlines() or ["it printed no error"])[-1])
        raise DslpError(f"{model.name} cannot be measured: {reason}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {name: figures[name] for name in FIGURES}


def model_size(folder: Path) -> float:
    """The size of a model's files in megabytes (10⁶ bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def performance_tags(figures: dict[str, float]) -> dict[str, str]:
    """The figures as tags of a version."""
    return {f"dslp.performance.{name}": f"{value:.6g}" for name, value in figures.items()}


def _measure(folder: Path, file: Path) -> dict[str, float]:
    """All figures, measured in a process that has done nothing else."""
    started = time.perf_counter()
    from dslp.models.persistence import load_model

    estimator = load_model(folder)
    start = time.perf_counter() - started
    import pandas as pd

    rows = pd.read_parquet(file)
    predict = getattr(estimator, "predict", estimator)
    predict(rows.head(1))
    memory = _memory()
    figures = measure_latency(estimator, rows)
    batch = pd.concat([rows] * -(-BATCH // len(rows)), ignore_index=True).head(BATCH)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        predict(batch)
        count += len(batch)
    figures["rows_per_second"] = count / (time.perf_counter() - started)
    return figures | {"memory_mb": memory, "size_mb": model_size(folder), "start_s": start}


def _waited() -> float:
    """Seconds for which this thread could have run, but no processor was free, since it began."""
    return int(WAITS.read_text().split()[1]) / 1e9 if WAITS.exists() else 0.0


def _memory() -> float:
    """Resident memory of this process in MB; on other systems than Linux, its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), Path(sys.argv[2]))))
