"""How long the profile of a dataset takes, as a whole process with its imports, and its peak.

    uv run python -m benchmarks.profile [--rows 100000 1000000 10000000] [--runs 3]

The rows are those of benchmarks/data.py: real claims drawn again and again, 12 columns. Each run is
`lifecycle data profile claims` from the Parquet file to the page, whose bytes must be the same.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.data import EXAMPLE, make
from benchmarks.machine import describe, row


def main() -> None:
    """Profile each size a few times, in a process of its own each time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text('[tool.lifecycle]\npackage = "example"\n')
        shutil.copytree(EXAMPLE, folder / "src" / "example" / "datasets" / "claims")
        (folder / "data" / "processed").mkdir(parents=True)
        for rows in arguments.rows:
            make(folder / "data" / "processed" / "claims.parquet", rows)
            pages, seconds, peaks = set(), [], []
            for _ in range(arguments.runs):
                took, peak = profile(folder)
                seconds.append(took)
                peaks.append(peak)
                pages.add((folder / "docs" / "data" / "claims.md").read_bytes())
            assert len(pages) == 1, "the same data gave another page"
            print(row(f"{rows:,} rows", seconds), f"  peak {max(peaks):,.0f} MB")


def profile(folder: Path) -> tuple[float, float]:
    """Seconds and peak memory, in MB, of one process."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "lifecycle", "data", "profile", "claims"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "the command fails; run it by hand"
    return time.perf_counter() - started, usage.ru_maxrss / 1024  # Linux counts in KiB


if __name__ == "__main__":
    main()
