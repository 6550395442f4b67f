"""What every benchmark says of the machine, and how it says a figure."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def describe() -> str:
    """The machine in a few words: system, processors and how busy they are, Python."""
    system = f"{platform.system()} {platform.machine()}"
    load = f"{os.getloadavg()[2]:.0f} processes waiting for them in the last quarter of an hour"
    return f"{system}, {os.cpu_count()} processors ({load}), Python {platform.python_version()}"


def row(name: str, seconds: Sequence[float]) -> str:
    """Median, minimum and maximum of a series, in seconds."""
    middle = statistics.median(seconds)
    return f"{name:<28} {middle:8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"


def spread(seconds: Sequence[float]) -> str:
    """The same as the cell of a table."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


@dataclass(frozen=True)
class Peer:
    """A checkout of somebody else's project, and what it is called in a table."""

    name: str
    folder: Path

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Read `NAME=FOLDER`.

        Raises:
            ValueError: there is no such folder.
        """
        name, _, folder = text.partition("=")
        if not Path(folder).is_dir():
            raise ValueError(f"{folder} is no folder")
        return cls(name, Path(folder).resolve())


def commit(folder: Path) -> str:
    """The commit that is checked out, with a `+` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.strip()


def peers(used: Sequence[Peer]) -> str:
    """The peers with their commits, for the line below a table."""
    return "".join(f"; {peer.name} at {commit(peer.folder)}" for peer in used)


def write_table(
    name: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: str,
    runs: int,
    method: str = "",
) -> None:
    """Print a table, and write it to `benchmarks/results/` with the commit it was made from.

    `method` says what the figures are where they are no medians.
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    root = Path(__file__).resolve().parent
    method = method or f"Medians of {runs}, smallest and largest in brackets"
    made = f"{method}, at {commit(root)}{notes}."
    text = "\n".join([*lines, "", f"{made} {describe()}."]) + "\n"
    (root / "results").mkdir(exist_ok=True)
    (root / "results" / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


@dataclass(frozen=True)
class Process:
    """What a whole process took: seconds on the clock, of its processors, and its peak in MB."""

    wall: float
    cpu: float
    peak: float


def whole(command: Sequence[str], folder: Path) -> Process:
    """Run a command to its end in a folder.

    Raises:
        SystemExit: it fails.
    """
    started = time.perf_counter()
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"run it by hand in {folder}, it fails: {' '.join(command)}")
    wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return Process(wall, cpu, usage.ru_maxrss / 1024)  # Linux counts in KiB
