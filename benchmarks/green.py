"""From nothing to a green project: copied, set up, its own tests passed.

    uv run python -m benchmarks.green [--runs 3]

`cold` begins with an empty uv cache, so every package is downloaded; `warm` begins with that
cache filled. Both are run in turn. The time of each step is shown too.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.generation import ours
from benchmarks.machine import describe, row

STEPS = {
    "copy": ["copier", "copy", "--quiet", "--defaults", "TEMPLATE", "."],
    "post_generate": [sys.executable, "hooks/post_generate.py"],
    "pytest": ["uv", "run", "pytest", "--quiet"],
}


def environment(cache: Path) -> dict[str, str]:
    """The environment of a user: this process's own virtual environment does not count."""
    dropped = ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    identity = {
        f"GIT_{role}_{part}": "bench@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    return kept | identity | {"UV_CACHE_DIR": str(cache)}


def walk(template: Path, project: Path, cache: Path) -> dict[str, float]:
    """Seconds that each step takes; a step that fails ends the benchmark with its output."""
    project.mkdir()
    times = {}
    for name, command in STEPS.items():
        command = [str(template) if word == "TEMPLATE" else word for word in command]
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=project,
            env=environment(cache),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        times[name] = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stdout}")
    return times


def main() -> None:
    """Walk cold and warm in turn and print each step's median and spread."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = ours(folder / "template")
        for run in range(runs):
            for kind in ("cold", "warm"):  # the warm one finds what the cold one downloaded
                print(f"run {run + 1} of {runs}, {kind}", file=sys.stderr)
                steps = walk(template, folder / f"{kind}-{run}", folder / f"cache-{run}")
                for step, seconds in steps.items():
                    times[f"{kind}: {step}"].append(seconds)
                times[f"{kind}: nothing to green"].append(sum(steps.values()))
    print(f"{describe()}; {runs} runs, cold and warm in turn")
    for label, seconds_of in times.items():
        print(row(label, seconds_of))


if __name__ == "__main__":
    main()
