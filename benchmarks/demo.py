"""How long `make demo` takes in a fresh clone: first, again, and where bytecode is switched off.

    uv run python -m benchmarks.demo [--runs 3]

Packages come from uv's cache. The first demo of a clone writes the bytecode of what it imports.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.generation import ROOT
from benchmarks.machine import spread, write_table


def demo(clone: Path, **variables: str) -> float:
    """Seconds of one `make demo`; one that fails ends the benchmark with what it printed."""
    names = ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    started = time.perf_counter()
    done = subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env=kept | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout)
    return time.perf_counter() - started


def main() -> None:
    """Clone and demonstrate, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {}
    for run in range(runs):
        print(f"clone {run + 1} of {runs}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as name:
            clone = Path(name) / "template"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            times.setdefault("first", []).append(demo(clone))
            times.setdefault("second", []).append(demo(clone))
            off = demo(clone, PYTHONDONTWRITEBYTECODE="1")
            times.setdefault("second, with `PYTHONDONTWRITEBYTECODE=1`", []).append(off)
    rows = [[kind, spread(seconds)] for kind, seconds in times.items()]
    write_table("demo", ["`make demo`", "seconds"], rows, "", runs)


if __name__ == "__main__":
    main()
