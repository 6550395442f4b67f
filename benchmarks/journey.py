"""From nothing to a model in use, beside a peer's way from nothing to green.

    uv run python -m benchmarks.journey [--runs 3] [--peer kedro=FOLDER]

Ours: copy, set up, build and validate the data, compare two candidates, train, register, promote,
and the project's own tests. Kedro's (FOLDER is a checkout of kedro-starters): its spaceflights,
generated, installed, run, and its own tests. Both with a warm package cache, in turns; the first
turn fills the cache and does not count. Bytecode is written, as on anybody's machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.generation import publish
from benchmarks.machine import Peer, peers, spread, write_table

Steps = list[tuple[str, list[str]]]

DSLP = ["data build", "data validate", "experiment run", "model train"]
DSLP += ["model register", "model promote"]
KEDRO = """project_name: Spaceflights
repo_name: project
python_package: spaceflights
"""


def ours(template: Path) -> Steps:
    """What a newcomer types after the README."""
    copy = ["copier", "copy", "--quiet", "--defaults", str(template), "project"]
    return [
        ("copy", copy),
        ("set up", [sys.executable, "project/hooks/post_generate.py"]),
        *((words, ["uv", "run", "dslp", *words.split()]) for words in DSLP),
        ("pytest", ["uv", "run", "pytest", "--quiet"]),
    ]


def kedro(starters: Path) -> Steps:
    """The same of Kedro's documentation."""
    starter = ["--starter", str(starters), "--directory", "spaceflights-pandas"]
    return [
        ("kedro new", ["uvx", "kedro", "new", *starter, "--config", "answers.yml"]),
        ("uv sync", ["uv", "sync", "--extra", "dev"]),
        ("kedro run", ["uv", "run", "kedro", "run"]),
        ("pytest", ["uv", "run", "pytest", "--quiet"]),
    ]


def environment() -> dict[str, str]:
    """That of a user: this process's own environment and settings do not count."""
    dropped = ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    identity = {
        f"GIT_{role}_{part}": "bench@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    return kept | identity | {"DO_NOT_TRACK": "1"}


def walk(steps: Steps, folder: Path) -> dict[str, float]:
    """Seconds that each step takes; one that fails ends the benchmark with what it printed."""
    folder.mkdir()
    (folder / "answers.yml").write_text(KEDRO)
    times = {}
    for name, command in steps:
        project = folder / "project"
        inside = project.is_dir() and "project/" not in " ".join(command)
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=project if inside else folder,
            env=environment(),
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
    """Walk in turns, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", type=Peer.parse, action="append", default=[])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = {"ours": ours(publish(folder / "template"))}
        for peer in asked.peer:
            ways[peer.name] = kedro(peer.folder)
        taken: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for run in range(asked.runs + 1):
            for way, steps in ways.items():
                print(f"{way}, turn {run} of {asked.runs}", file=sys.stderr)
                times = walk(steps, folder / f"{way}-{run}")
                if run:
                    taken[way].append(times)
    rows = []
    for way, all_times in taken.items():
        for step, _ in ways[way]:
            rows.append([f"{way}: {step}", spread([times[step] for times in all_times])])
        rows.append([f"**{way}**", f"**{spread([sum(t.values()) for t in all_times])}**"])
    total = {w: statistics.median(sum(t.values()) for t in turns) for w, turns in taken.items()}
    for peer in asked.peer:
        ratio = total["ours"] / total[peer.name]
        rows.append([f"**ours ÷ {peer.name}**", f"**{ratio:.2f}**"])
    if not asked.peer:
        rows.append(["kedro", "not measured"])
    write_table("journey", ["", "seconds"], rows, peers(asked.peer), asked.runs)


if __name__ == "__main__":
    main()
