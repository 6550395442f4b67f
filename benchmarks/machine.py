"""What every benchmark says of the machine, and how it says a figure."""

import os
import platform
import statistics
from collections.abc import Sequence


def describe() -> str:
    """The machine in a few words: system, processors, Python."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} processors, Python {platform.python_version()}"


def row(name: str, seconds: Sequence[float]) -> str:
    """Median, minimum and maximum of a series, in seconds."""
    middle = statistics.median(seconds)
    return f"{name:<28} {middle:8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"
