"""The datasets of a project: one folder each, with pipeline, schema, suite and datasheet (D2)."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from lifecycle.errors import LifecycleError
from lifecycle.project import Project, read_yaml

if TYPE_CHECKING:
    import pandas as pd

FILES = ("pipeline.py", "schema.yml", "suite.yml", "datasheet.md")
FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)


@dataclass(frozen=True)
class Dataset:
    """One dataset of the project; its files are read when they are asked for."""

    project: Project
    name: str

    @property
    def folder(self) -> Path:
        """Where its pipeline, schema, suite and datasheet are."""
        return self.project.source / "datasets" / self.name

    @property
    def raw(self) -> Path:
        """What came from the source, as it came."""
        return self.project.data / "raw" / f"{self.name}.parquet"

    @property
    def processed(self) -> Path:
        """What the pipeline made of it."""
        return self.project.data / "processed" / f"{self.name}.parquet"

    @property
    def built(self) -> Path:
        """The processed file, which must be there.

        Raises:
            LifecycleError: it has not been built.
        """
        if not self.processed.is_file():
            raise LifecycleError(
                f"{self.processed} is missing; build it: uv run lifecycle data build {self.name}"
            )
        return self.processed

    @property
    def stale(self) -> bool:
        """Whether the pipeline was changed after the processed file was built."""
        pipeline = self.folder / "pipeline.py"
        return self.built.stat().st_mtime < pipeline.stat().st_mtime

    @property
    def version(self) -> str:
        """The semantic version that the datasheet states (D8)."""
        path = self.folder / "datasheet.md"
        try:
            match = FRONT_MATTER.match(path.read_text(encoding="utf-8"))
            front = yaml.safe_load(match.group(1)) if match else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise LifecycleError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
        version = front.get("version") if isinstance(front, dict) else None
        if not re.fullmatch(r"\d+\.\d+\.\d+", str(version)):
            raise LifecycleError(
                f"{path} states no version; begin it with the lines ---, version: 1.0.0, ---"
            )
        return str(version)

    def yaml(self, file: str) -> dict[str, object]:
        """Content of one of its YAML files."""
        return read_yaml(self.folder / file)

    def read(self) -> "pd.DataFrame":
        """The processed data as a data frame."""
        import pandas as pd

        try:
            return pd.read_parquet(self.built)
        except (OSError, ValueError) as error:
            raise LifecycleError(
                f"{self.processed} cannot be read ({' '.join(str(error).split())[:120]}); "
                f"build it again: uv run lifecycle data build {self.name}"
            ) from None


def names(project: Project) -> list[str]:
    """Names of the project's datasets: the folders in `datasets/`, in order."""
    folder = project.source / "datasets"
    return sorted(
        path.name
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.is_dir() and not path.name.startswith(("_", "."))
    )


def datasets(project: Project, chosen: list[str] | None = None) -> list[Dataset]:
    """The datasets called `chosen`, or all of the project in the order of their names.

    Raises:
        LifecycleError: there is none of that name, or its folder is not complete (D2).
    """
    folder = project.source / "datasets"
    here = names(project)
    if not here:
        raise LifecycleError(
            f"no dataset in {folder} yet; make a folder there with {', '.join(FILES)} (D2)"
        )
    for name in chosen or ():
        if name not in here:
            raise LifecycleError(f"no dataset {name!r} in {folder}; there are: {', '.join(here)}")
    found = [Dataset(project, name) for name in (chosen or here)]
    for dataset in found:
        missing = [file for file in FILES if not (dataset.folder / file).is_file()]
        if missing:
            raise LifecycleError(f"{dataset.folder} has no {', '.join(missing)} (D2)")
    return found


def digest(frame: "pd.DataFrame") -> str:
    """SHA-256 of what a data frame holds, whatever the order of its rows.

    Column names, types and every value count; the file format and the index do not.
    """
    import numpy as np
    import pandas as pd

    total = hashlib.sha256(
        repr([(name, str(kind)) for name, kind in frame.dtypes.items()]).encode()
    )
    try:
        rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    except TypeError:  # lists and mappings have no hash; what they print as has
        rows = pd.util.hash_pandas_object(frame.astype("str"), index=False).to_numpy()
    total.update(np.sort(rows).tobytes())
    return total.hexdigest()
