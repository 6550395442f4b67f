"""From how many values of a table on two threads fit a model faster than one.

    uv run python -m benchmarks.threads [--runs 3]

The example's regressor on made-up counts, eight columns, with one thread and with one for each
processor, in turns. `FEW` in `src/dslp/experiments/model.py` is the crossing point.
"""

import argparse
import os
import statistics
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from benchmarks.machine import spread, write_table

COLUMNS = 8


def fit(values: int, threads: int) -> float:
    """Seconds of one fit."""
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(values // COLUMNS, COLUMNS))
    counts = draw.poisson(np.exp(inputs[:, 0] * 0.3))
    model = HistGradientBoostingRegressor(loss="poisson", random_state=0)
    started = time.perf_counter()
    with threadpool_limits(threads):
        model.fit(inputs, counts)
    return time.perf_counter() - started


def main() -> None:
    """Fit in turns, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs, cores = parser.parse_args().runs, os.cpu_count() or 1
    rows = []
    for values in (10_000, 100_000, 1_000_000, 10_000_000):
        times: dict[int, list[float]] = {1: [], cores: []}
        for _ in range(runs):
            for threads in times:
                times[threads].append(fit(values, threads))
        ratio = statistics.median(times[cores]) / statistics.median(times[1])
        rows.append([f"{values:,}", spread(times[1]), spread(times[cores]), f"{ratio:.2f}"])
    heads = ["values", "one thread, s", f"{cores} threads, s", f"{cores} ÷ 1"]
    write_table("threads", heads, rows, "", runs)


if __name__ == "__main__":
    main()
