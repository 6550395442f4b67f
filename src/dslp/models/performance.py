"""What a model costs to use (M3): latency, throughput, memory, size, time to start.

Measured in a process of its own that does what the server does: it loads the model natively, and
predicts with one OpenMP thread.
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
from dslp.data.reading import read_frame

if TYPE_CHECKING:
    import pandas as pd
    from dslp.experiments.model import Model

SINGLE = 300  # predictions of one row that latency is measured on
BATCH = 10_000  # rows of a batch
SECONDS = 1.0  # that batches are predicted for
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
    """How long one row takes, in milliseconds: `p50_ms`, `p95_ms` and `p99_ms`.

    Args:
        estimator: whatever `flavours.load` returns.
        rows: real inputs, as the model was trained on; they are asked one at a time, in turn.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    ask = getattr(estimator, "predict", estimator)
    single = [rows.iloc[[number % len(rows)]] for number in range(SINGLE)]
    took = np.empty(SINGLE)
    with threadpool_limits(1):  # as it is served: more threads for one row only wait for each other
        for row in single[:20]:  # the first ones load what is loaded late
            ask(row)
        for number, row in enumerate(single):
            started = time.perf_counter()
            ask(row)
            took[number] = (time.perf_counter() - started) * 1000
    return {f"p{share}_ms": float(np.percentile(took, share)) for share in (50, 95, 99)}


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
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(folder), str(file)],
            env={"OMP_NUM_THREADS": "1", **os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise DslpError(f"{model.name} cannot be measured: {reason[:200]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {name: found[name] for name in FIGURES}


def performance_tags(found: dict[str, float]) -> dict[str, str]:
    """The figures as tags of a version."""
    return {f"dslp.performance.{name}": f"{value:.6g}" for name, value in found.items()}


def _measure(folder: Path, file: Path) -> dict[str, float]:
    """All figures; nothing but this must have been done in the process."""
    started = time.perf_counter()
    from dslp.models.persistence import load_model

    estimator = load_model(folder)
    start = time.perf_counter() - started
    import pandas as pd

    rows = pd.read_parquet(file)
    ask = getattr(estimator, "predict", estimator)
    ask(rows.head(1))
    memory = _memory()
    found = measure_latency(estimator, rows)
    batch = pd.concat([rows] * -(-BATCH // len(rows)), ignore_index=True).head(BATCH)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        ask(batch)
        count += len(batch)
    found["rows_per_second"] = count / (time.perf_counter() - began)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return found | {"memory_mb": memory, "size_mb": size / 1e6, "start_s": start}


def _memory() -> float:
    """Resident memory of this process in MB; where the system does not say, the most it had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), Path(sys.argv[2]))))
