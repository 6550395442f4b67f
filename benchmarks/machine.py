"""What every benchmark says of the machine, and how it says a figure."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def describe() -> str:
    """The machine in a few words: system, processors, Python."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} processors, Python {platform.python_version()}"


def row(name: str, seconds: Sequence[float]) -> str:
    """Median, minimum and maximum of a series, in seconds."""
    middle = statistics.median(seconds)
    return f"{name:<28} {middle:8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"


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
