"""How long `copier copy` of a default project takes, beside a peer's template.

    uv run python -m benchmarks.generation [--runs 9] [--peer diamond=FOLDER]

FOLDER is a checkout of DiamondLight's python-copier-template, with its own example answers. Both
are whole processes of the same copier, in turns, each from a git repository with one commit.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.machine import Peer, peers, spread, write_table

ROOT = Path(__file__).resolve().parent.parent


def publish(folder: Path, source: Path = ROOT) -> Path:
    """A git repository of the files that a template has committed, with one release."""
    address = f"file://{source.resolve()}"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", address, folder], check=True)
    shutil.rmtree(folder / ".git")
    for command in (
        ["init", "--quiet"],
        ["add", "--all", "--force"],
        ["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "--quiet", "-m", "All"],
        ["tag", "v1.0.0"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def copy(template: Path, project: Path, options: list[str]) -> float:
    """Seconds of the whole command."""
    command = ["copier", "copy", "--quiet", "--defaults", *options, str(template), str(project)]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Copy in turns, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--peer", type=Peer.parse, action="append", default=[])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways: dict[str, tuple[Path, list[str]]] = {"ours": (publish(folder / "ours"), [])}
        for peer in asked.peer:
            answers = ["--trust", "--data-file", str(peer.folder / "example-answers.yml")]
            ways[peer.name] = (publish(folder / peer.name, peer.folder), answers)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for run in range(asked.runs + 1):
            for way, (template, options) in ways.items():
                seconds = copy(template, folder / f"{way}-{run}", options)
                if run:  # the first one warms caches
                    times[way].append(seconds)
        files = {
            way: sum(path.is_file() for path in (folder / f"{way}-0").rglob("*")) for way in ways
        }
    rows = [[f"{way}, {files[way]} files", spread(times[way])] for way in ways]
    middle = statistics.median(times["ours"])
    for peer in asked.peer:
        rows.append([f"ours ÷ {peer.name}", f"{middle / statistics.median(times[peer.name]):.2f}"])
    if not asked.peer:
        rows.append(["a peer's template", "not measured"])
    write_table("generation", ["`copier copy`", "seconds"], rows, peers(asked.peer), asked.runs)


if __name__ == "__main__":
    main()
