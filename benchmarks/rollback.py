"""How long the way back takes: `dslp model rollback` as a whole process, imports and all.

    uv run python -m benchmarks.rollback [--runs 7]

The example's model has two versions, and the registry is the local file. The champion's files are
taken away before, since a rollback is needed most when the champion cannot even be loaded.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.machine import describe, row, whole
from benchmarks.serving import DSLP, again, project


def main() -> None:
    """Go back and forth between two versions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        again(folder)
        shutil.rmtree(folder / "mlruns" / "artifacts")
        command = [*DSLP, "model", "rollback", "--to"]
        taken = [whole([*command, "12"[run % 2]], folder) for run in range(runs)]
        print(row("rollback", [one.wall for one in taken]))
        print(row("  of which processor", [one.cpu for one in taken]))


if __name__ == "__main__":
    main()
