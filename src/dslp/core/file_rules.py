"""What may not enter the repository: data and large files (D1), and sprawl by name (X2)."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

LARGE = 500_000  # bytes; more than this is no source
SAMPLE = 100_000  # bytes; a small sample that a test needs is welcome, in one of these folders
SAMPLE_FOLDERS = {"fixtures", "samples", "tests"}

DATA = re.compile(
    r"\.(arrow|avro|csv|db|dta|duckdb|feather|h5|hdf5|joblib|jsonl|ndjson|npy|npz|onnx|orc|parquet"
    r"|pickle|pkl|pt|rdata|rds|sas7bdat|sav|skops|sqlite3?|tsv|xlsx?)(\.(bz2|gz|xz|zip|zst))?$",
    re.IGNORECASE,
)
ARCHIVE = re.compile(r"\.(7z|bz2|gz|tar|tgz|xz|zip|zst)$", re.IGNORECASE)
SPRAWL = re.compile(
    r"^untitled\d*$|^copy of |[-_ ](final|old|backup)(?![a-z0-9])|[- ]copy\d*$|[ -]?\(\d+\)$",
    re.IGNORECASE,
)
# Jupyter's, and marimo's, which are Python files.
NOTEBOOK = re.compile(r"\.ipynb$|(^|/)notebooks/[^/]+\.py$", re.IGNORECASE)
NOTEBOOK_SPRAWL = re.compile(r"[-_ ]v\d+$", re.IGNORECASE)


def file_problems(files: Iterable[str], root: Path) -> list[str]:
    """Say for each file (relative to `root`) why it should not be committed, if so.

    Returns:
        One line a finding: the file, what is wrong, the rule, and what to do.
    """
    problems = []
    for name in files:
        path = PurePosixPath(name.replace("\\", "/"))
        try:
            size = (root / name).stat().st_size
        except OSError:  # deleted or not a file: nothing to commit
            continue
        if problem := _problem(path, size):
            # A name may hold anything, a new line or bytes that are no text: still one line.
            problems.append(f"{path if name.isprintable() else repr(name)}: {problem}")
    return problems


def _problem(path: PurePosixPath, size: int) -> str | None:
    if path.parts[:1] == ("data",) and path.name != ".gitkeep":
        return "contents of data/ are not committed (D1); the dataset's pipeline.py rebuilds them"
    if DATA.search(path.name) or ARCHIVE.search(path.name):
        sampled = SAMPLE_FOLDERS.intersection(path.parts[:-1])
        if not sampled:
            return "data is not committed (D1); put it in data/, or a small sample in tests/"
        if size > SAMPLE:
            return f"{size:,} bytes of data are no small sample (D1); keep it under {SAMPLE:,}"
    if size > LARGE and path.name != "uv.lock":
        return f"{size:,} bytes is large (D1); keep it under {LARGE:,}, or outside the repository"
    stem = path.name.split(".")[0] or path.name
    if SPRAWL.search(stem) or (NOTEBOOK.search(str(path)) and NOTEBOOK_SPRAWL.search(stem)):
        return "git keeps the versions (X2); name it for what it asks, not for its place in a row"
    return None
