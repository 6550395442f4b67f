"""Datasets in a place that a team shares: a folder, S3, Azure or Google, by its address (fsspec).

A version is `STORE/NAME/VERSION/` with the very files that were built, for any tool to read, and
`_manifest.json`, which is written last. Spark ignores names that begin with an underscore.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from dslp.core.console import notice, step
from dslp.core.errors import DslpError, Refused
from dslp.core.files import copy_path, remove_path
from dslp.core.git import git_output
from dslp.core.semver import VERSION, parse_version
from dslp.core.text import error_line, redact
from dslp.data.dataset import Dataset, check_current, parquet_files
from dslp.data.fingerprint import digest_and_rows
from dslp.data.reading import read_frame
from dslp.data.registered_versions import is_registered
from fsspec import AbstractFileSystem, url_to_fs
from pydantic import BaseModel, Field, StringConstraints, ValidationError

LONGEST_MANIFEST = 16 * 1024**2  # bytes
MANIFEST, PLAN = "_manifest.json", "_sending.json"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# A path below the version: each part begins as a name does, so no `..`, no drive and no root.
Name = Annotated[str, StringConstraints(pattern=r"^([\w=][\w=.%+ -]*/)*[\w=][\w=.%+ -]*$")]


class File(BaseModel):
    """One file of a version: its size in bytes, and the SHA-256 of those."""

    size: int = Field(ge=0)
    sha256: Sha256


class Manifest(BaseModel):
    """The files of a version, the digest of its content, and the commit behind it."""

    dataset: str
    version: Annotated[str, StringConstraints(pattern=f"^{VERSION}$")]
    digest: Sha256
    rows: int = Field(ge=0)
    commit: str = Field(max_length=64)
    files: dict[Name, File] = Field(min_length=1)


def push(dataset: Dataset, url: str | None = None) -> str:
    """Send the built data to the store; files that an interrupted push has sent are not sent twice.

    Returns:
        The result in a sentence.

    Raises:
        Refused: the version has other content in the store or on record, or the data is stale.
        DslpError: the data cannot be read, or the store not be reached or written.
    """
    check_current(dataset)
    title = f"{dataset.name} {dataset.version}"
    with step(f"reading {title}"):
        manifest, paths = _describe(dataset)
    is_registered(dataset, manifest.version, manifest.digest)
    with _open_version(dataset, manifest.version, url) as (store, base):
        existing = _read_manifest(store, f"{base}/{MANIFEST}", dataset, manifest.version)
        if existing is not None and existing.digest == manifest.digest:
            return f"{title} is in the store already"
        if existing is not None:
            raise Refused(
                f"{title} is in the store with other content (commit {existing.commit[:12]}); a "
                f"change is a new version (I6): uv run dslp data version {dataset.name}"
            )
        interrupted = _read_manifest(store, f"{base}/{PLAN}", dataset, manifest.version)
        for name in interrupted.files.keys() - manifest.files.keys() if interrupted else ():
            if _size(store, f"{base}/{name}") is not None:
                store.rm_file(f"{base}/{name}")
        text = manifest.model_dump_json(indent=2)
        _write_text(store, f"{base}/{PLAN}", text)
        for name, file in manifest.files.items():
            target = f"{base}/{name}"
            if not _is_complete(store, target, file):
                with step(f"sending {name} ({_format_size(file.size)})"):
                    store.put_file(str(paths[name]), target)
            if _size(store, target) != file.size:
                raise DslpError(f"{paths[name]} changed while it was sent; push it again")
        if _read_manifest(store, f"{base}/{PLAN}", dataset, manifest.version) != manifest:
            raise DslpError(f"{title} was sent by somebody else at the same time; try again")
        _write_text(store, f"{base}/{MANIFEST}", text)
        store.rm_file(f"{base}/{PLAN}")
    return f"{title} is in the store: {manifest.rows:,} rows, {len(paths)} files"


def pull(dataset: Dataset, version: str | None = None, url: str | None = None) -> Path:
    """Fetch a version; the one in the datasheet becomes the processed data as well.

    The files are verified before they replace anything, and files that an interrupted pull has
    fetched are not fetched twice.

    Returns:
        The file, or the folder of part files.

    Raises:
        Refused: the files do not match the manifest, or the manifest not the registered version,
            or a CSV file here was put there by hand; nothing was replaced.
        DslpError: the store cannot be reached, or has no such version.
    """
    version = version or dataset.version
    parse_version(version)
    with _open_version(dataset, version, url) as (store, base):
        manifest = _read_manifest(store, f"{base}/{MANIFEST}", dataset, version)
        if manifest is None:
            raise DslpError(
                f"the store has no {dataset.name} {version}, but {_list_versions(store, base)}; a "
                f"colleague who has it can send it: uv run dslp data push {dataset.name}"
            )
        try:
            is_registered(dataset, version, manifest.digest)
        except Refused:
            raise
        except DslpError as error:
            notice(f"{dataset.name} is not compared with what is registered: {error}")
        single, *others = manifest.files
        if others or single not in (f"{dataset.name}.parquet", f"{dataset.name}.csv"):
            single = ""  # the files are parts of a folder
        suffix = Path(single).suffix or ".parquet"
        target = dataset.processed.with_name(f"{dataset.name}-{version}{suffix}")
        if version == dataset.version:
            _check_by_hand(dataset, manifest)
        if not _matches({single: target} if single else _parts(target), manifest):
            part = target.with_name(f".{target.name}.part")
            for name, file in manifest.files.items():
                with step(f"fetching {name} ({_format_size(file.size)})"):
                    _fetch(store, f"{base}/{name}", part / name, file)
            for path in [path for path in part.rglob("*") if path.is_file()]:
                if path.relative_to(part).as_posix() not in manifest.files:
                    path.unlink()  # of an interrupted pull of another version
            copy_path(part / single, target)
            remove_path(part)
    if version == dataset.version:
        current = dataset.processed.with_suffix(suffix)
        copy_path(target, current)
        remove_path(current.with_suffix(".csv" if suffix == ".parquet" else ".parquet"))
        if dataset.project.engine == "sql":
            from dslp.data.sql_tables import load_table

            load_table(read_frame(dataset), dataset.name, dataset.project)
    return target


def _describe(dataset: Dataset) -> tuple[Manifest, dict[str, Path]]:
    """The manifest of the built data, and the path of each of its files."""
    built = dataset.built
    paths = _parts(built) if built.is_dir() else {built.name: built}
    digest, rows = digest_and_rows(dataset)
    try:
        return Manifest(
            dataset=dataset.name,
            version=dataset.version,
            digest=digest,
            rows=rows,
            commit=git_output(dataset.project, "rev-parse", "HEAD") or "none",
            files={name: _digest_file(path) for name, path in paths.items()},
        ), paths
    except ValidationError as error:
        name = error.errors()[0]["loc"][1]
        raise DslpError(f"{built}: a store cannot have a file called {name!r}") from None


def _parts(folder: Path) -> dict[str, Path]:
    """The part files of a folder, by their path in it; none where it is missing."""
    return {path.relative_to(folder).as_posix(): path for path in parquet_files(folder)}


def _digest_file(path: Path) -> File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(size=path.stat().st_size, sha256=sha256)


def _matches(paths: dict[str, Path], manifest: Manifest) -> bool:
    """Whether these are the files of the manifest, byte for byte."""
    return paths.keys() == manifest.files.keys() and all(
        path.is_file() and _digest_file(path) == manifest.files[name]
        for name, path in paths.items()
    )


def _check_by_hand(dataset: Dataset, manifest: Manifest) -> None:
    """Check that the present CSV file is a version, so that it may be replaced.

    Raises:
        Refused: it was put there by hand.
    """
    present = dataset.processed.with_suffix(".csv")
    versions = map(_digest_file, present.parent.glob(f"{dataset.name}-*.csv"))
    if present.is_file() and _digest_file(present) not in [*versions, *manifest.files.values()]:
        raise Refused(f"{present} is not from a store; move it away, and pull again")


def _read_manifest(
    store: AbstractFileSystem, path: str, dataset: Dataset, version: str
) -> Manifest | None:
    """The manifest of a version, checked; None where the store has none."""
    if _size(store, path) is None:
        return None
    try:
        manifest = Manifest.model_validate_json(store.cat_file(path, end=LONGEST_MANIFEST))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise DslpError(f"{path} is no manifest: {where!r:.60}: {first['msg']}") from None
    if (manifest.dataset, manifest.version) != (dataset.name, version):
        raise DslpError(f"{path} is about {manifest.dataset!r:.60} {manifest.version}")
    return manifest


def _size(store: AbstractFileSystem, path: str) -> int | None:
    try:
        return int(store.info(path)["size"])
    except FileNotFoundError:
        return None


def _is_complete(store: AbstractFileSystem, path: str, file: File) -> bool:
    """Whether the store has this very file; it is read where its size is right."""
    if _size(store, path) != file.size:
        return False
    with store.open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _fetch(store: AbstractFileSystem, source: str, target: Path, file: File) -> None:
    """Fetch a file, unless an earlier pull has, and verify it."""
    if not target.is_file() or _digest_file(target) != file:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _size(store, source) == file.size:
            store.get_file(source, str(target))
        if not target.is_file() or _digest_file(target) != file:
            raise Refused(f"{source} is not what its manifest says; nothing here was replaced")


def _write_text(store: AbstractFileSystem, target: str, text: str) -> None:
    """Write a text as a whole: an object store does so itself, a folder by a rename."""
    if "file" in store.protocol:
        store.pipe_file(f"{target}.new", text.encode())
        store.mv(f"{target}.new", target)
    else:
        store.pipe_file(target, text.encode())


def _list_versions(store: AbstractFileSystem, base: str) -> str:
    paths = []
    with suppress(FileNotFoundError):
        paths = store.ls(base.rpartition("/")[0], detail=False)
    names = [path.rstrip("/").rpartition("/")[2] for path in paths]
    return ", ".join(sorted(name for name in names if re.fullmatch(VERSION, name))) or "none at all"


def _format_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"


@contextmanager
def _open_version(
    dataset: Dataset, version: str, url: str | None
) -> Iterator[tuple[AbstractFileSystem, str]]:
    """The store, and the path of a version in it.

    Raises:
        DslpError: no store is named, its driver is missing, or whatever the driver raises.
    """
    address = url or os.environ.get("DSLP_DATA_STORE")
    if not address:
        raise DslpError(
            "no data store is set; write DSLP_DATA_STORE=s3://bucket/folder in .env (any address "
            "that fsspec knows, or a folder)"
        )
    scheme = address.partition("://")[0] if "://" in address else "file"
    if "://" not in address:
        address = str(dataset.project.root / Path(address).expanduser())
    options = {"auto_mkdir": True} if scheme in ("file", "local") else {}
    try:
        store, root = url_to_fs(
            address, skip_instance_cache=True, use_listings_cache=False, **options
        )
        yield store, f"{root.rstrip('/')}/{dataset.name}/{version}"
    except DslpError:
        raise
    except ImportError as error:  # it names the package, such as gcsfs
        raise DslpError(f"{redact(address)}: {error_line(error)}; add it with uv add") from None
    except Exception as error:  # a driver passes on whatever its transport raises
        reason = error_line(f"{type(error).__name__}: {error}", 200)
        raise DslpError(
            f"the store {redact(address)}: {reason}; what was done is kept: try again"
        ) from error
