"""The datasets of a project: one folder each, with pipeline, schema, suite and datasheet (D2)."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError, Refused
from dslp.core.files import read_yaml
from dslp.core.settings import Project
from dslp.data.datasheet import Datasheet, read_datasheet

if TYPE_CHECKING:
    pass

FILES = ("pipeline.py", "schema.yml", "suite.yml", "datasheet.md")


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
        """The processed data, which must be there: a Parquet file, a folder of parts, or CSV.

        Raises:
            DslpError: it has not been built, or what is there is something else.
        """
        for path in (self.processed, self.processed.with_suffix(".csv")):
            if path.suffix == ".parquet" and path.is_dir():
                if not parquet_parts(path):
                    raise DslpError(
                        f"{path} is a folder without Parquet files in it; remove it, and build: "
                        f"uv run dslp data build {self.name}"
                    )
                return path
            if path.is_dir():
                raise DslpError(f"{path} is a folder; put the CSV file itself there")
            if path.is_file():
                return path
        raise DslpError(
            f"{self.processed} is missing; build it: uv run dslp data build {self.name}"
        )

    @property
    def files(self) -> list[Path]:
        """The files of the processed data: one, or the parts in the folder."""
        path = self.built
        return parquet_parts(path) if path.is_dir() else [path]

    @property
    def is_built(self) -> bool:
        """Whether there is processed data, readable or not."""
        return self.processed.exists() or self.processed.with_suffix(".csv").exists()

    @property
    def stale(self) -> bool:
        """Whether its pipeline, or what that takes, is newer than the processed data."""
        return self.built.stat().st_mtime_ns < self.changed

    @property
    def changed(self) -> int:
        """When its pipeline was changed, or what that takes (nanoseconds since 1970)."""
        pipeline = self.folder / "pipeline.py"
        others = [Dataset(self.project, name) for name in self.takes or ()]
        files = [other.built for other in others if other.is_built]
        raw = [path for path in (self.raw, self.raw.with_suffix(".csv")) if path.is_file()]
        return max(path.stat().st_mtime_ns for path in (pipeline, *files, *raw))

    @property
    def takes(self) -> list[str] | None:
        """Datasets by the parameters of `build` without a default; the pipeline is not run.

        None where `pipeline.py` has its `build` from elsewhere.
        """
        try:
            body = ast.parse((self.folder / "pipeline.py").read_bytes()).body
        except (SyntaxError, ValueError):  # a build says so
            return []
        for each in body:
            if isinstance(each, ast.FunctionDef) and each.name == "build":
                given = each.args.posonlyargs + each.args.args
                given = given[: len(given) - len(each.args.defaults)]
                for only, default in zip(each.args.kwonlyargs, each.args.kw_defaults, strict=True):
                    given += [only] if default is None else []
                return [one.arg for one in given if one.arg != "raw"]
        return None

    @property
    def sheet(self) -> Datasheet:
        """The front matter of its datasheet, checked."""
        return read_datasheet(self.folder / "datasheet.md")

    @property
    def version(self) -> str:
        """The semantic version that the datasheet states (D8)."""
        return self.sheet.version

    def yaml(self, file: str) -> dict[str, object]:
        """Content of one of its YAML files."""
        return read_yaml(self.folder / file)


def check_current(dataset: Dataset) -> None:
    """See to it that the processed data is what today's pipeline makes.

    Raises:
        Refused: it is older.
    """
    if dataset.stale:
        raise Refused(
            f"{dataset.name}: its pipeline.py, or what that takes, is newer than what it built; "
            f"build it again: uv run dslp data build {dataset.name}"
        )


def parquet_parts(folder: Path) -> list[Path]:
    """The Parquet files below a folder, but for what a job that runs or was stopped keeps there."""
    return sorted(
        path
        for path in folder.rglob("*.parquet")
        if not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)
    )


def dataset_names(project: Project) -> list[str]:
    """Names of the project's datasets: the folders in `datasets/`, in order."""
    folder = project.source / "datasets"
    return sorted(
        path.name
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.is_dir() and not path.name.startswith(("_", "."))
    )


def find_datasets(project: Project, chosen: list[str] | None = None) -> list[Dataset]:
    """The datasets called `chosen`, or all of the project in the order of their names.

    Raises:
        DslpError: there is none of that name, or its folder is not complete (D2).
    """
    folder = project.source / "datasets"
    here = dataset_names(project)
    if not here:
        raise DslpError(
            f"no dataset in {folder} yet; make a folder there with {', '.join(FILES)} (D2)"
        )
    for name in chosen or ():
        if name not in here:
            raise DslpError(f"no dataset {name!r} in {folder}; there are: {', '.join(here)}")
    found = [Dataset(project, name) for name in (chosen or here)]
    for dataset in found:
        missing = [file for file in FILES if not (dataset.folder / file).is_file()]
        if missing:
            raise DslpError(f"{dataset.folder} has no {', '.join(missing)} (D2)")
    return found
