"""Versions of a dataset, kept as `NAME-VERSION` beside what is built today."""

import glob
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.data.catalogue import Dataset, datasets
from dslp.errors import DslpError
from dslp.project import Project

if TYPE_CHECKING:
    import pandas as pd

ABANDONED = 3600  # seconds without a byte written


@dataclass(frozen=True)
class Kept(Dataset):
    """A dataset as one of its versions was; `of` is that version."""

    of: str = ""

    @property
    def processed(self) -> Path:
        """The data of that version."""
        return self.project.data / "processed" / f"{self.name}-{self.of}.parquet"


def load(
    name: str, version: str | None = None, columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    """A dataset as a data frame, from anywhere in the project, such as a notebook.

    Args:
        name: the dataset's.
        version: the one to load, such as 1.2.0; without it, what is built here now.
        columns: the ones to read; all without it.

    Raises:
        DslpError: it is not here (and this is how to get it), or cannot be read.
    """
    from dslp.data.digest import digest
    from dslp.data.registered import DIGEST, address, known
    from dslp.data.version import number

    (dataset,) = datasets(Project.find(), [name])
    if version is None:
        return dataset.read(columns)
    number(version)
    kept = Kept(dataset.project, name, version)
    if kept.is_built:
        return kept.read(columns)
    registered = []
    with suppress(DslpError):  # such as for lack of a network
        registered = known(dataset, version)
    digests = [run.data.tags[DIGEST] for run in registered]
    if digests and dataset.is_built and digest(dataset) in digests:
        return dataset.read(columns)
    tracked = bool(address(dataset.project))
    if not tracked and version == dataset.version and dataset.is_built and not dataset.stale:
        return dataset.read(columns)  # nothing else can tell
    commits = {run.data.tags.get("dslp.commit", "none") for run in registered} - {"none"}
    how = "".join(f", or build it from commit {commit[:12]}" for commit in commits)
    if tracked and not registered and version == dataset.version:
        how = f", or register what is built here: uv run dslp data register {name}"
    raise DslpError(
        f"{name} {version} is not here; fetch it: uv run dslp data pull {name} "
        f"--version {version}{how}"
    )


def keep(dataset: Dataset) -> Path:
    """Keep the built data as the version that its datasheet states."""
    built = dataset.built
    target = built.with_name(f"{dataset.name}-{dataset.version}{built.suffix}")
    put(built, target)
    return target


def put(source: Path, target: Path) -> None:
    """Let `target` be a copy of a file or a folder: a link would change with what it links to."""
    with aside(target) as made:
        if source.is_dir():
            shutil.copytree(source, made)
        else:
            shutil.copy2(source, made)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path`, whole, once the block has ended well.

    Raises:
        DslpError: the disk says no; what was there is there still.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}")
    before = path.with_name(f"{made.name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.old"):
            if not path.exists():  # who was killed had put it aside, and nothing in its place
                left.replace(path)
        for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*"):  # by who was killed
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    remove(left)
        yield made
        if path.is_dir() or (made.is_dir() and path.exists()):  # replaced in two steps
            path.replace(before)
        made.replace(path)
    except (OSError, shutil.Error) as error:
        raise DslpError(f"{path} cannot be written: {' '.join(str(error).split())}") from None
    finally:
        if before.exists() and not path.exists():
            before.replace(path)
        for left in (made, before):
            with suppress(OSError):
                remove(left)


def remove(path: Path) -> None:
    """Let nothing be there, neither file nor folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
