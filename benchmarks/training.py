"""What `experiment run` and `model train` take beside a plain script of the same fits.

    uv run python -m benchmarks.training [--runs 3]

Each is a whole process in the example's project, in turns; the ratio is that of the medians. The
plain script logs to MLflow by hand: `benchmarks/plain_training.py`.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import Process, spread, whole, write_table
from benchmarks.serving import DSLP, project

PLAIN = [sys.executable, str(Path(__file__).with_name("plain_training.py"))]
COMMANDS = {
    "a plain script, two candidates in five folds": [*PLAIN, "experiment"],
    "`dslp experiment run`": [*DSLP, "experiment", "run"],
    "a plain script, one model trained": [*PLAIN, "train"],
    "`dslp model train --candidate boosted`": [*DSLP, "model", "train", "--candidate", "boosted"],
}


def main() -> None:
    """Measure in turns, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    taken: dict[str, list[Process]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        for _ in range(runs):
            for name, command in COMMANDS.items():
                taken[name].append(whole(command, folder))
    rows, base = list[list[str]](), list[Process]()
    for name, times in taken.items():
        base = base if name.startswith("`") else times
        cells = [name]
        for part in ("wall", "cpu", "peak"):
            own, plain = ([getattr(one, part) for one in series] for series in (times, base))
            cells += [spread(own), f"{statistics.median(own) / statistics.median(plain):.2f}"]
        rows.append(cells)
    heads = ["whole process", "seconds", "÷ plain", "of processors", "÷ plain", "MB", "÷ plain"]
    write_table("training", heads, rows, "", runs)


if __name__ == "__main__":
    main()
