"""The datasets of a project: one folder each, with pipeline, schema, suite and datasheet (D2)."""

import ast
import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.files import parse_yaml, read_text, read_yaml
from dslp.core.settings import Project
from dslp.data.csv_types import used_types
from dslp.data.datasheet import Datasheet, parse_datasheet
from dslp.data.origin import (
    Origin,
    content_digest,
    defines,
    function_digest,
    literal_value,
    named_files,
    read_origin,
)

FILES = ("pipeline.py", "schema.yml", "suite.yml", "datasheet.md")


@dataclass(frozen=True)
class Dataset:
    """One dataset of the project; each property reads the files anew."""

    project: Project
    name: str

    @property
    def folder(self) -> Path:
        """The folder of its pipeline, schema, suite and datasheet."""
        return self.project.source / "datasets" / self.name

    @property
    def raw(self) -> Path:
        """The raw data, as it came from the source."""
        return self.project.data / "raw" / f"{self.name}.parquet"

    @property
    def has_pipeline(self) -> bool:
        """Whether a pipeline builds it; else another program writes what its datasheet names."""
        folder = self.folder
        return (folder / "pipeline.py").is_file() or not (folder / "datasheet.md").is_file()

    @property
    def own_files(self) -> tuple[str, ...]:
        """The names of the files that make it: `FILES`, without a pipeline where it has none."""
        return FILES if self.has_pipeline else FILES[1:]

    @property
    def processed(self) -> Path:
        """The file that a build writes, or what another program writes (`files` in its datasheet).

        `files` is a path from the project's root; `$NAME` in it is an environment variable.
        """
        if not self.has_pipeline and (files := self.sheet.files):
            return self.project.root / Path(os.path.expandvars(files)).expanduser()
        return self.project.data / "processed" / f"{self.name}.parquet"

    @property
    def built(self) -> Path:
        """The processed data: a Parquet file, a folder of Parquet files, or a CSV file.

        Raises:
            DslpError: it is missing, or a folder without Parquet files.
        """
        csv, problem = self.processed.with_suffix(".csv"), "is missing"
        if self.processed.is_file() or parquet_files(self.processed):
            return self.processed
        if self.processed.is_dir():
            problem = "is a folder without Parquet files in it; remove it"
        elif csv.is_dir():
            raise DslpError(f"{csv} is a folder; put the CSV file itself there")
        elif csv.is_file():
            return csv
        todo = f"build it: uv run dslp data build {self.name}"
        todo = todo if self.has_pipeline else "another program writes it (files in its datasheet)"
        raise DslpError(f"{self.processed} {problem}; {todo}")

    @property
    def files(self) -> list[Path]:
        """The files of the processed data: one, or all in the folder."""
        path = self.built
        return parquet_files(path) if path.is_dir() else [path]

    @property
    def is_built(self) -> bool:
        """Whether processed data exists, readable or not."""
        return self.processed.exists() or self.processed.with_suffix(".csv").exists()

    @property
    def stale(self) -> bool:
        """Whether it, or a dataset that it is built from, has another origin by now."""
        pending = [self] if self.has_pipeline else []
        names = dataset_names(self.project)
        for each in pending:  # which grows
            if not each.has_origin(each.processed):
                return True
            parents = [Dataset(self.project, name) for name in each.inputs or () if name in names]
            pending += [parent for parent in parents if parent not in pending]
        return False

    @property
    def content(self) -> str:
        """A digest of all that a suite reads of it: data, schema, suite and datasheet."""
        paths = [self.built, *(self.folder / name for name in FILES[1:])]
        parts = [f"{path.name} {content_digest(path)}" for path in paths if path.exists()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def raw_file(self) -> Path:
        """The raw data: what `extract` has written, or a file that was put there by hand."""
        csv = self.raw.with_suffix(".csv")
        extracts = defines(self.folder / "pipeline.py", "extract")
        return csv if csv.is_file() and not extracts else self.raw

    def origin(
        self, function: str, inputs: Sequence[str] = (), files: Iterable[Path] = ()
    ) -> Origin:
        """What a function of the pipeline makes data from at present.

        Args:
            function: `build` or `extract`.
            inputs: of it: `raw`, and names of datasets.
            files: that it has read, besides those that its code names.
        """
        root = self.project.root
        paths = self._sources([function], files)
        names = {path.relative_to(root) if path.is_relative_to(root) else path for path in paths}
        return Origin(
            {function: self._code(function)},
            {name: self._input_digest(name) for name in inputs},
            {name.as_posix(): content_digest(root / name) for name in sorted(names)},
        )

    def has_origin(self, path: Path) -> bool:
        """Whether a built file has the present origin, as far as that is on this machine.

        A file that another program wrote has none, and counts as having it.
        """
        origin = read_origin(path)
        if origin is None:
            return True
        files = {self.project.root / name: digest for name, digest in origin.files.items()}
        return (
            all(self._code(name) == digest for name, digest in origin.code.items())
            and self._sources(origin.code) <= files.keys()
            and all(self._has_content(*item) for item in files.items())
            and all(
                self._input_digest(name) == digest
                for name, digest in origin.inputs.items()
                if self._input(name).exists()
            )
        )

    def _has_content(self, file: Path, digest: str) -> bool:
        """Whether a file is unchanged; without its whole folder, this is another machine."""
        if file.exists():
            return content_digest(file) == digest
        return file.parent == self.project.root or not file.parent.exists()

    def _sources(self, functions: Collection[str], files: Iterable[Path] = ()) -> set[Path]:
        """The files that the code of functions names, and these, without what a build writes."""
        root, code = self.project.root, self.folder / "pipeline.py"
        named = named_files(code, functions, root, self.project.code_root)
        return named.union(files) - {self.raw, self.processed}

    def _code(self, function: str) -> str:
        names = (function, "TYPES") if function == "build" else (function,)
        return function_digest(self.folder / "pipeline.py", names, self.project.code_root)

    def _input(self, name: str) -> Path:
        if name == "raw":
            return self.raw_file
        other = Dataset(self.project, name)
        return other.built if other.is_built else other.processed

    def _input_digest(self, name: str) -> str:
        """The digest of an input; a CSV file counts with the types that it is read by."""
        path, owner = self._input(name), self if name == "raw" else Dataset(self.project, name)
        if path.suffix.lower() != ".csv":
            return content_digest(path)
        first = literal_value(self.folder / "pipeline.py", "TYPES") if name == "raw" else None
        types = used_types(path, {**owner.types, **(first if isinstance(first, dict) else {})})
        return f"{content_digest(path)} {types}"

    @property
    def types(self) -> dict[str, str]:
        """Types of the columns in schema.yml, by Arrow's names, as far as that can be read."""
        path = self.folder / "schema.yml"
        content = parse_yaml(read_text(path), path)
        columns = content.get("columns") if isinstance(content, dict) else None
        return {
            str(name): str(column.get("type"))
            for name, column in (columns.items() if isinstance(columns, dict) else ())
            if isinstance(column, dict)
        }

    @property
    def inputs(self) -> list[str] | None:
        """`raw` and the datasets that `build` takes: its parameters without a default.

        The pipeline is read and not run. None where `pipeline.py` imports its `build`.
        """
        if not self.has_pipeline:
            return []
        try:
            body = ast.parse((self.folder / "pipeline.py").read_bytes()).body
        except (SyntaxError, ValueError):  # the build shows the error
            return []
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name == "build":
                names = node.args.posonlyargs + node.args.args
                names = names[: len(names) - len(node.args.defaults)]
                pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                names += [name for name, default in pairs if default is None]
                return [name.arg for name in names]
        return None

    @property
    def sheet(self) -> Datasheet:
        """The front matter of its datasheet, checked."""
        path = self.folder / "datasheet.md"
        return parse_datasheet(read_text(path), str(path))

    @property
    def version(self) -> str:
        """The semantic version in its datasheet (D8)."""
        return self.sheet.version

    def yaml(self, file: str) -> dict[str, object]:
        """The content of one of its YAML files."""
        return read_yaml(self.folder / file)


@dataclass(frozen=True)
class DataAt(Dataset):
    """Rows of a dataset in another file, such as those of one more month."""

    path: Path = Path()

    @property
    def built(self) -> Path:
        """That file."""
        return self.path


def check_current(dataset: Dataset) -> None:
    """Check that the processed data was built by the present pipeline from the present inputs.

    Raises:
        Refused: it was built from others.
    """
    if reason := stale_reason(dataset):
        raise Refused(reason)


def stale_reason(dataset: Dataset) -> str:
    """A sentence that says that the processed data is stale; empty where it is not."""
    if not dataset.is_built or not dataset.stale:
        return ""
    return (
        f"{dataset.name}: the processed data is not from the present pipeline.py and inputs; "
        f"build it again: uv run dslp data build {dataset.name}"
    )


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files below a folder, without those of an unfinished job (`_temporary`)."""
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


def find_dataset(project: Project, name: str) -> Dataset:
    """The dataset of that name.

    Raises:
        DslpError: the project has none of that name, or its folder is not complete (D2).
    """
    dataset, names = Dataset(project, name), dataset_names(project)
    if name not in names:
        hint = nearest(name, names) if names else "; make it: uv run dslp new dataset NAME"
        raise DslpError(f"{dataset.folder.parent} has no dataset {name!r}{hint}")
    missing, todo = [f for f in FILES if not (dataset.folder / f).is_file()], ""
    if missing == ["pipeline.py"]:
        if dataset.sheet.files:
            return dataset
        todo = "; where another program writes the data, say so by files in datasheet.md"
    if missing:
        raise DslpError(f"{dataset.folder} has no {', '.join(missing)} (D2){todo}")
    return dataset


def find_datasets(project: Project, names: Sequence[str] | None = None) -> list[Dataset]:
    """The datasets of these names, or all of the project in the order of their names.

    Raises:
        DslpError: as `find_dataset`, or the project has no dataset.
    """
    names = names or dataset_names(project)
    if not names:
        folder = project.source / "datasets"
        raise DslpError(f"{folder} has no dataset; make one: uv run dslp new dataset NAME")
    return [find_dataset(project, name) for name in names]
