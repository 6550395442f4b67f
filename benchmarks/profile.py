"""How long the profile of a dataset takes, as a whole process with its imports, and its peak.

    uv run python -m benchmarks.profile [--rows 100000 1000000 10000000] [--runs 3]

The rows are those of benchmarks/data.py: real claims drawn again and again, 12 columns. Each run is
`dslp data profile claims` from the Parquet file to the page, whose bytes must be the same.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.data import EXAMPLE, make
from benchmarks.machine import describe, row, whole

COMMAND = [sys.executable, "-m", "dslp", "data", "profile", "claims"]


def main() -> None:
    """Profile each size a few times, in a process of its own each time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text('[tool.dslp]\npackage = "example"\n')
        shutil.copytree(EXAMPLE, folder / "src" / "example" / "datasets" / "claims")
        (folder / "data" / "processed").mkdir(parents=True)
        for rows in arguments.rows:
            make(folder / "data" / "processed" / "claims.parquet", rows)
            pages, taken = set(), []
            for _ in range(arguments.runs):
                taken.append(whole(COMMAND, folder))
                pages.add((folder / "docs" / "data" / "claims.md").read_bytes())
            assert len(pages) == 1, "the same data gave another page"
            peak = max(one.peak for one in taken)
            print(row(f"{rows:,} rows", [one.wall for one in taken]), f"  peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
