"""A new dataset: for a file in `data/raw/`, or of made-up rows until there is a source."""

import json
import re
import shutil
import unicodedata
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import copy_path
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.data.build import build
from dslp.data.csv_types import read_header
from dslp.data.dataset import DataAt, Dataset, parquet_files
from dslp.data.proposal import personal_columns, write_suite
from dslp.data.reading import SUFFIXES, propose_types, reading_errors
from dslp.data.schema import key_columns
from dslp.data.schema_file import write_schema
from dslp.scaffold.place import check_name, place_skeleton

LONGEST = 30  # characters of a column's name


def new_dataset(
    project: Project, name: str, source: Path | None, in_place: bool, personal: bool | None
) -> tuple[list[str], list[str]]:
    """Write the dataset's folder and its test, with key, types and suite proposed from its data.

    A file is copied to `data/raw/`, and the dataset is built of it. Where that fails, nothing is
    left.

    Args:
        project: where it is written.
        name: of the dataset; if empty, the words in the name of `source`.
        source: a Parquet or CSV file, or a folder of Parquet files; by default the file of that
            name in `data/raw/`, or if there is none, made-up rows.
        in_place: another program writes it, and it is read where it is; so is a folder always.
        personal: whether it is personal data; by default, whether a column looks like it.

    Returns:
        The paths in the project, and what was proposed.

    Raises:
        DslpError: the name cannot be used or is in use, or the data has no rows, cannot be read or
            cannot be built.
    """
    name = name or (column_name(source.stem) if source else "")
    check_name(name, project)
    dataset, values = Dataset(project, name), dict[str, Any]()
    raws = [dataset.raw.with_suffix(suffix) for suffix in SUFFIXES]
    source = source or next(filter(Path.is_file, raws), None)
    if not source:
        made_up = f"its rows are made up: there is no {raws[1]} or {raws[0].suffix}"
        return _place(project, name, file=""), [made_up]
    place, in_place = source.expanduser().absolute(), in_place or source.is_dir()
    source = place.resolve()
    raw = source if in_place else dataset.raw.with_suffix(source.suffix.lower())
    if not (parquet_files(source) or (source.is_file() and raw.suffix in SUFFIXES)):
        raise DslpError(f"{source} is missing, or no .csv, .parquet or folder of .parquet files")
    if in_place:
        values["files"] = place.as_posix().removeprefix(f"{project.root.as_posix()}/")
    else:
        values = _describe(dataset, source)
        for path in (*raws, dataset.processed):
            if path.exists() and (path != source or path == dataset.processed):
                raise DslpError(f"{path} exists already; nothing was written")
    columns = personal_columns(DataAt(project, name, source)) if personal is None else []
    values |= {"file": raw.name, "personal": personal or columns}
    with ExitStack() as undo:
        if raw != source:
            copy_path(source, raw)
            undo.callback(raw.unlink)
        folder, *tests = paths = _place(project, name, **values)
        undo.callback(shutil.rmtree, project.root / folder)
        for test in tests:  # there is none in place
            undo.callback((project.root / test).unlink)
            undo.callback(dataset.processed.unlink, missing_ok=True)
            try:
                build(dataset)
            except DslpError as error:
                raise DslpError(f"{error}; to read the file as it is: --in-place") from None
        write_schema(dataset, proposed=True)
        count, key = write_suite(dataset), ", ".join(key_columns(dataset))
        undo.pop_all()
    notes = [
        f"proposed key: {key or 'none: no three columns or less tell all rows apart'}",
        f"proposed: {count} expectations, key and columns; look at them in suite.yml, schema.yml",
        f"personal, by {', '.join(columns)}: no value is written; else --no-personal",
    ]
    notes = notes[: 2 + bool(columns)]
    is_ignored = git_output(project, "check-ignore", "--", str(raw)) is not None
    if not in_place and git_output(project, "rev-parse", "--git-dir") and not is_ignored:
        notes.append(f"git does not ignore {raw}: add /data/ to .gitignore before you commit")
    return paths + [str(raw)] * (raw != source), notes


def _place(project: Project, name: str, **values: Any) -> list[str]:
    """Write the skeleton; returns the paths of the folder and of the test, if there is one."""
    values = {"files": "", "personal": False, **values, "name": name, "package": project.package}
    folder = f"{project.source.relative_to(project.root).as_posix()}/datasets/{name}"
    return place_skeleton(project, ["dataset"], folder, project.test_file("unit", name), **values)


def _describe(dataset: Dataset, file: Path) -> dict[str, Any]:
    """What the skeleton needs of raw data: new names for its columns, and types that they have."""
    import pyarrow.parquet as pq

    csv = file.suffix.lower() == ".csv"
    with reading_errors(dataset, file, {}, "correct the file"):
        columns = read_header(file)[1] if csv else list(pq.read_schema(file).names)
        types = propose_types(file) if csv else {}
    if not columns or len(set(columns)) < len(columns):
        raise DslpError(f"{file} has no columns, or two of one name")
    names: dict[str, str] = {}
    for number, column in enumerate(columns, 1):
        name = column_name(column) or f"column_{number}"
        names[column] = f"{name}_{number}" if name in names.values() else name
    quoted = {column: json.dumps(column, ensure_ascii=False) for column in columns}
    return {
        "names": {quoted[old]: new for old, new in names.items() if old != new},
        "types": {quoted[column]: kind for column, kind in types.items()},
        "column": quoted[columns[0]],
    }


def column_name(header: str) -> str:
    """A header in lower-case ASCII words joined by `_`, or nothing where it has no such letters."""
    plain = unicodedata.normalize("NFKD", header.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return (f"n_{name}" if name[:1].isdigit() else name)[:LONGEST].rstrip("_")
