"""A new dataset: for a file in `data/raw/`, or of made-up rows until there is a source."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.scaffold.place import check_name, place_skeleton

LONGEST = 30  # characters of a column's name


def new_dataset(project: Project, name: str) -> tuple[list[str], Path | None]:
    """Write the dataset's folder and its test.

    Returns:
        Their paths in the project, and the raw data's file that they are written for.

    Raises:
        DslpError: the name cannot be used or is in use, or the raw data cannot be read.
    """
    check_name(name, project)
    files = (project.data / "raw" / f"{name}{suffix}" for suffix in (".csv", ".parquet"))
    raw = next((file for file in files if file.is_file()), None)
    values = _describe(raw) if raw else {"file": ""}
    values |= {"name": name, "package": project.package}
    paths = (
        f"{project.source.relative_to(project.root).as_posix()}/datasets/{name}",
        project.test_file("unit", name),
    )
    return place_skeleton(project, ["dataset"], *paths, **values), raw


def _describe(file: Path) -> dict[str, Any]:
    """What the skeleton needs of raw data: new names for its columns, and types that they have."""
    columns, types = _read_columns(file)
    names: dict[str, str] = {}
    for number, column in enumerate(columns, 1):
        name = column_name(column) or f"column_{number}"
        names[column] = f"{name}_{number}" if name in names.values() else name
    quoted = {column: json.dumps(column, ensure_ascii=False) for column in columns}
    return {
        "file": file.name,
        "names": {quoted[old]: new for old, new in names.items() if old != new},
        "types": {quoted[column]: kind for column, kind in types.items()},
        "column": quoted[columns[0]],
    }


def _read_columns(file: Path) -> tuple[list[str], dict[str, str]]:
    """The columns of a file, and of a CSV file the types that they seem to have."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq
    from dslp.data.csv_types import read_header
    from dslp.data.reading import propose_types

    try:
        if file.suffix == ".parquet":
            return list(pq.read_schema(file).names), {}
        return read_header(file)[1], propose_types(file)
    except (OSError, duckdb.Error, pa.ArrowException) as error:
        raise DslpError(f"{file} cannot be read ({error_line(error)})") from None


def column_name(header: str) -> str:
    """A header in lower-case ASCII words joined by `_`, or nothing where it has no such letters."""
    plain = unicodedata.normalize("NFKD", header.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return (f"n_{name}" if name[:1].isdigit() else name)[:LONGEST].rstrip("_")
