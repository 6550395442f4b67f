"""What the commands that only read or move an alias take beside MLflow itself, imports and all.

    uv run python -m benchmarks.rollback [--runs 7]

The example's model has two versions, and the registry is the local file. The versions' files are
taken away before, since a rollback is needed most when the champion cannot even be loaded. Each is
a whole process, in turns; the ratio is that of the medians.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import Process, spread, whole, write_table
from benchmarks.serving import DSLP, again, project

MLFLOW = "import mlflow; mlflow.MlflowClient('sqlite:///mlruns/mlflow.db').search_experiments()"


def main() -> None:
    """Measure in turns, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    taken: dict[str, list[Process]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        again(folder)
        shutil.rmtree(folder / "mlruns" / "artifacts")
        for run in range(runs):
            for name, command in {
                "MLflow's client, `search_experiments()`": [sys.executable, "-c", MLFLOW],
                "`dslp model history`": [*DSLP, "model", "history"],
                "`dslp doctor`": [*DSLP, "doctor"],
                "`dslp model rollback`": [*DSLP, "model", "rollback", "--to", "12"[run % 2]],
            }.items():
                taken.setdefault(name, []).append(whole(command, folder))
    rows, first = [], next(iter(taken.values()))
    for name, times in taken.items():
        cells = []
        for part in ("wall", "cpu"):
            own, base = ([getattr(one, part) for one in series] for series in (times, first))
            ratio = statistics.median(own) / statistics.median(base)
            cells += [spread(own), f"{ratio:.2f}"]
        rows.append([name, *cells])
    heads = ["whole process", "seconds", "÷ MLflow", "of processors", "÷ MLflow"]
    write_table("rollback", heads, rows, "", runs)


if __name__ == "__main__":
    main()
