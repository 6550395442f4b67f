"""How long the policy check of a pull request takes, as a whole process with its imports.

    uv run python -m benchmarks.policy [--runs 7]

The pull request is that of a model: its issue, the two that it names, its files, one status;
eight requests, answered on loopback by the stand-in that the tests use, which also validates
each of them. What the stand-in needs for that is told apart.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe, row
from tests.github.scene import DONE, make
from tests.github.standin.server import Standin
from tests.github.standin.web import serve


def main() -> None:
    """Judge the same pull request in a new process each time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    github = Standin()
    server = serve(github)
    answering: list[float] = []
    handle = github.handle

    def timed(*arguments: object) -> object:
        started = time.perf_counter()
        try:
            return handle(*arguments)  # type: ignore[arg-type]
        finally:
            answering[-1] += time.perf_counter() - started

    github.handle = timed  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as name:
        scene = make(Path(name), github)
        scene.issue("Ask")
        scene.issue("Experiment", DONE, "succeeded")
        scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2")
        pull = scene.pull("model/3-frequency")
        variables = {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": scene.repository.full_name,
            "GITHUB_TOKEN": scene.token,
        }
        kept = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-m", "dslp", "check", "--publish"]
        seconds = []
        for run in range(runs + 1):
            answering.append(0.0)
            started = time.perf_counter()
            subprocess.run(
                [*command, "--pull-request", str(pull.number)],
                cwd=name,
                env=kept | variables,
                check=True,
                capture_output=True,
            )
            if run:  # the first one compiles bytecode
                seconds.append(time.perf_counter() - started)
    server.shutdown()
    print(f"{describe()}; 8 requests, {runs} runs")
    print(row("whole process", seconds))
    print(row("of it, the stand-in answering", answering[1:]))
    both = zip(seconds, answering[1:], strict=True)
    print(row("without the network's part", [whole - part for whole, part in both]))


if __name__ == "__main__":
    main()
