"""How long a project takes to generate, beside copier's floor for as many files and questions.

    uv run python -m benchmarks.generation [--runs 7]

The floor is a template without conditions: the files of a generated project as they are, with
as many questions. Both are rendered in turn in the same process, from folders without git.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import yaml
from copier import run_copy

from benchmarks.machine import describe, row

ROOT = Path(__file__).resolve().parent.parent


def render(template: Path, project: Path) -> float:
    """Seconds that one project takes."""
    started = time.perf_counter()
    run_copy(str(template), project, defaults=True, quiet=True)
    return time.perf_counter() - started


def ours(folder: Path) -> Path:
    """The template's own files, without git and caches."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
    for name in ("includes", "template", "hooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "copier.yml", folder)
    return folder


def floor(folder: Path, project: Path, questions: int) -> Path:
    """A template that has the files of `project` and nothing to decide."""
    shutil.copytree(project, folder / "template")
    (folder / "template" / ".copier-answers.yml").unlink()
    config = {f"question_{number}": {"type": "str", "default": "x"} for number in range(questions)}
    (folder / "copier.yml").write_text(yaml.safe_dump({"_subdirectory": "template", **config}))
    return folder


def main() -> None:
    """Render both in turn and print medians, spread and ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = ours(folder / "ours")
        render(template, folder / "project")
        files = sum(path.is_file() for path in (folder / "project").rglob("*"))
        config = yaml.safe_load((template / "copier.yml").read_text(encoding="utf-8"))
        questions = sum(not key.startswith("_") for key in config)
        bare = floor(folder / "floor", folder / "project", questions)
        times: dict[str, list[float]] = {"template": [], "floor": []}
        for run in range(runs + 1):
            for kind, source in (("template", template), ("floor", bare)):
                seconds = render(source, folder / f"{kind}-{run}")
                if run:  # the first one warms caches
                    times[kind].append(seconds)
    print(f"{describe()}; {files} files, {questions} questions, {runs} runs in turn")
    for kind, series in times.items():
        print(row(kind, series))
    ratio = statistics.median(times["template"]) / statistics.median(times["floor"])
    print(f"ratio of medians: {ratio:.2f}")


if __name__ == "__main__":
    main()
