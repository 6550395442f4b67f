"""What a version in a store consists of: its files, byte for byte, and what they hold."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dslp.core.errors import DslpError
from dslp.core.files import read_text
from dslp.core.git import git_output
from dslp.core.semver import VERSION
from dslp.data.dataset import Dataset, parquet_parts
from dslp.data.fingerprint import digest_and_rows
from dslp.tracking.provenance import code_digest
from pydantic import BaseModel, Field, StringConstraints, ValidationError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LONG = 16 * 1024**2  # bytes; a manifest is shorter

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# A path below the version: each part begins as a name does, so no `..`, no drive and no root.
Name = Annotated[str, StringConstraints(pattern=r"^([\w=][\w=.%+ -]*/)*[\w=][\w=.%+ -]*$")]


class File(BaseModel):
    """One file of a version: its size in bytes, and the SHA-256 of those."""

    size: int = Field(ge=0)
    sha256: Sha256


class Manifest(BaseModel):
    """What a version consists of, and which commit and which code of its pipeline made it."""

    dataset: str
    version: Annotated[str, StringConstraints(pattern=f"^{VERSION}$")]
    digest: Sha256
    rows: int = Field(ge=0)
    commit: str = Field(max_length=64)
    pipeline: Sha256
    files: dict[Name, File] = Field(min_length=1)


def describe(dataset: Dataset) -> tuple[Manifest, dict[str, Path]]:
    """The manifest of what is built, and where its files are."""
    built = dataset.built
    paths = parts(built) if built.is_dir() else {built.name: built}
    digest, rows = digest_and_rows(dataset)
    try:
        return Manifest(
            dataset=dataset.name,
            version=dataset.version,
            digest=digest,
            rows=rows,
            pipeline=code_digest(read_text(dataset.folder / "pipeline.py")),
            commit=git_output(dataset.project, "rev-parse", "HEAD") or "none",
            files={name: file_digest(path) for name, path in paths.items()},
        ), paths
    except ValidationError as error:
        name = error.errors()[0]["loc"][1]
        raise DslpError(f"{built}: the file name {name!r} is none for a store") from None


def parts(folder: Path) -> dict[str, Path]:
    """The part files of a folder, by their path in it; none where there is no folder."""
    return {path.relative_to(folder).as_posix(): path for path in parquet_parts(folder)}


def file_digest(path: Path) -> File:
    """What the manifest says of a file."""
    with path.open("rb") as file:
        return File(
            size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest()
        )


def is_complete(store: "AbstractFileSystem", path: str, file: File) -> bool:
    """Whether the store has this very file there; it is read where its size is right."""
    if size_of(store, path) != file.size:
        return False
    with store.open(path, "rb") as there:
        return hashlib.file_digest(there, "sha256").hexdigest() == file.sha256


def size_of(store: "AbstractFileSystem", path: str) -> int | None:
    """Bytes of a file in the store; nothing where there is none."""
    try:
        return int(store.info(path)["size"])
    except FileNotFoundError:
        return None


def read_manifest(
    store: "AbstractFileSystem", path: str, dataset: Dataset, version: str
) -> Manifest | None:
    """A manifest in the store, if it is there, and if what it says can be believed."""
    length = size_of(store, path)
    if length is None:
        return None
    try:
        found = Manifest.model_validate_json(store.cat_file(path, end=LONG))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise DslpError(f"{path} is no manifest: {where!r:.60}: {first['msg']}") from None
    if (found.dataset, found.version) != (dataset.name, version):
        raise DslpError(f"{path} is about {found.dataset!r:.60} {found.version}")
    return found
