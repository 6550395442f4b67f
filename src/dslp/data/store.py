"""Datasets in a place that a team shares: a folder, S3, Azure or Google, by its address (fsspec).

A version is `STORE/NAME/VERSION/` with the very files that were built, for any tool to read, and
`_manifest.json`, which is written last. To Spark, names with an underscore in front are not data.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.console import say, step
from dslp.core.errors import DslpError, Refused
from dslp.core.files import copy_path, read_text, remove_path
from dslp.core.semver import VERSION, parse_version
from dslp.core.text import redact
from dslp.data.dataset import Dataset, check_current
from dslp.data.manifest import (
    File,
    Manifest,
    describe,
    file_digest,
    is_complete,
    parts,
    read_manifest,
    size_of,
)
from dslp.data.reading import read_frame
from dslp.data.registered_versions import is_registered, registrations_of
from dslp.tracking.provenance import code_digest

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PIECE = 16 * 1024**2  # bytes that are fetched at once, and lost at most when a transfer breaks
DRIVERS = dict.fromkeys(("s3", "s3a"), "s3fs") | dict.fromkeys(("gs", "gcs"), "gcsfs")
DRIVERS |= dict.fromkeys(("abfs", "abfss", "az", "adl"), "adlfs")
FOLDERS = {"file": {"auto_mkdir": True}, "local": {"auto_mkdir": True}}
SECOND = 10**9  # nanoseconds
MANIFEST, PLAN = "_manifest.json", "_sending.json"


def push(dataset: Dataset, url: str | None = None) -> str:
    """Send the built data to the store; what an interrupted push has sent is not sent again.

    Returns:
        What became of it, in a sentence.

    Raises:
        Refused: the version has other content in the store or on record, or the data is stale.
        DslpError: the data cannot be read, or the store not be reached or written.
    """
    check_current(dataset)
    said = f"{dataset.name} {dataset.version}"
    with step(f"reading {said}"):
        manifest, paths = describe(dataset)
    is_registered(
        registrations_of(dataset, manifest.version), dataset.name, manifest.version, manifest.digest
    )
    written = manifest.model_dump_json(indent=2).encode()
    with _version(dataset, manifest.version, url) as (store, base):
        there = read_manifest(store, f"{base}/{MANIFEST}", dataset, manifest.version)
        if there is not None and there.digest == manifest.digest:
            return f"{said} is in the store already"
        if there is not None:
            raise Refused(
                f"{said} is in the store with other content (commit {there.commit[:12]}); what "
                f"changed is a new version (I6): uv run dslp data version {dataset.name}"
            )
        left = read_manifest(store, f"{base}/{PLAN}", dataset, manifest.version)
        for name in left.files.keys() - manifest.files.keys() if left else ():
            if size_of(store, f"{base}/{name}") is not None:  # of other content, and interrupted
                store.rm_file(f"{base}/{name}")
        _send(store, f"{base}/{PLAN}", written)
        for name, file in manifest.files.items():
            target = f"{base}/{name}"
            if is_complete(store, target, file):
                continue
            with step(f"sending {name} ({_shown(file.size)})"):
                _send(store, target, paths[name])
            if size_of(store, target) != file.size:
                raise DslpError(f"{paths[name]} changed while it was sent; push it again")
        if read_manifest(store, f"{base}/{PLAN}", dataset, manifest.version) != manifest:
            raise DslpError(f"{said} was sent by somebody else at the same time; try again")
        _send(store, f"{base}/{MANIFEST}", written)
        store.rm_file(f"{base}/{PLAN}")
    return f"{said} is in the store: {manifest.rows:,} rows, {len(paths)} files"


def pull(dataset: Dataset, version: str | None = None, url: str | None = None) -> Path:
    """Fetch a version; the one that the datasheet states becomes the processed data as well.

    What is fetched is verified before it takes its place, and what an interrupted pull has fetched
    is not fetched again.

    Returns:
        The file, or the folder of part files.

    Raises:
        Refused: the store does not have what its manifest says, or what is on record, or what is
            here was put there by hand; nothing was replaced.
        DslpError: the store cannot be reached, or has no such version.
    """
    version = version or dataset.version
    parse_version(version)
    with _version(dataset, version, url) as (store, base):
        manifest = read_manifest(store, f"{base}/{MANIFEST}", dataset, version)
        if manifest is None:
            raise DslpError(
                f"the store has no {dataset.name} {version}, but {_versions(store, base)}; "
                f"who has it can send it: uv run dslp data push {dataset.name}"
            )
        try:
            registered = registrations_of(dataset, version)
        except DslpError as error:
            say(f"{dataset.name} is not compared with what is registered: {error}", "yellow")
            registered = []
        is_registered(registered, dataset.name, version, manifest.digest)
        one = next(iter(manifest.files)) if len(manifest.files) == 1 else ""
        alone = one in (f"{dataset.name}.parquet", f"{dataset.name}.csv")  # or a part of a folder
        suffix = Path(one).suffix if alone else ".parquet"
        target = dataset.processed.with_name(f"{dataset.name}-{version}{suffix}")
        if version == dataset.version:
            _keep_by_hand(dataset, manifest)
        if not _holds({one: target} if alone else parts(target), manifest):
            aside = target.with_name(f".{target.name}.part")
            for name, file in manifest.files.items():
                with step(f"fetching {name} ({_shown(file.size)})"):
                    _fetch(store, f"{base}/{name}", aside / name, file)
            for path in [path for path in aside.rglob("*") if path.is_file()]:
                if path.relative_to(aside).as_posix() not in manifest.files:
                    path.unlink()  # left by a pull of something else
            copy_path(aside / one if alone else aside, target)
            remove_path(aside)
    if version == dataset.version:
        current = dataset.processed.with_suffix(suffix)
        copy_path(target, current)
        remove_path(current.with_suffix(".csv" if suffix == ".parquet" else ".parquet"))
        same_code = manifest.pipeline == code_digest(read_text(dataset.folder / "pipeline.py"))
        made = max(time.time_ns(), dataset.changed) if same_code else dataset.changed - SECOND
        os.utime(current, ns=(made, made))  # by the pipeline as it is, or before that
        if dataset.project.engine == "sql":
            from dslp.data.sql_tables import load_table

            load_table(read_frame(dataset), dataset.name, dataset.project)
    return target


def _holds(paths: dict[str, Path], manifest: Manifest) -> bool:
    """Whether these are the files of the manifest, byte for byte."""
    return paths.keys() == manifest.files.keys() and all(
        path.is_file() and file_digest(path) == manifest.files[name] for name, path in paths.items()
    )


def _keep_by_hand(dataset: Dataset, manifest: Manifest) -> None:
    """See to it that no CSV file is replaced which is neither fetched nor kept as a version.

    Raises:
        Refused: there is one.
    """
    here = dataset.processed.with_suffix(".csv")
    kept = [file_digest(path) for path in here.parent.glob(f"{dataset.name}-*.csv")]
    if here.is_file() and file_digest(here) not in [*kept, *manifest.files.values()]:
        raise Refused(f"{here} is not from a store; move it away, and pull again")


def _fetch(store: "AbstractFileSystem", source: str, target: Path, file: File) -> None:
    """Fetch a file piece by piece, from where it was left, and see that it is the right one."""
    part = target.with_name(f"{target.name}.part")
    if target.is_file() and file_digest(target) == file:
        return
    while size_of(store, source) == file.size:
        have = part.stat().st_size if part.is_file() else 0
        for start in range(have, file.size, PIECE):
            piece = store.cat_file(source, start=start, end=min(start + PIECE, file.size))
            _append(part, piece)
        if part.is_file() and file_digest(part) == file:
            part.replace(target)
            return
        part.unlink(missing_ok=True)
        if not have:
            break  # what was left may have been of something else; but this was fetched whole
    raise Refused(f"{source} is not what its manifest says; nothing here was replaced")


def _append(part: Path, piece: bytes) -> None:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as out:
            out.write(piece)
    except OSError as error:
        raise DslpError(
            f"{part} cannot be written: {error.strerror}; what was fetched is kept: try again"
        ) from None


def _send(store: "AbstractFileSystem", target: str, what: Path | bytes) -> None:
    """Send a file as it is, or a text at once: an object store has all of it or none."""
    from fsspec.implementations.local import LocalFileSystem

    if isinstance(what, Path):
        store.put_file(str(what), target)
    elif isinstance(store, LocalFileSystem):
        store.pipe_file(f"{target}.new", what)
        store.mv(f"{target}.new", target)
    else:
        store.pipe_file(target, what)


def _versions(store: "AbstractFileSystem", base: str) -> str:
    """Which versions of the dataset the store has, in words."""
    try:
        listed = store.ls(base.rpartition("/")[0], detail=False)
    except FileNotFoundError:
        listed = []
    names = [each.rstrip("/").rpartition("/")[2] for each in listed]
    return ", ".join(sorted(name for name in names if re.fullmatch(VERSION, name))) or "none at all"


def _shown(size: int) -> str:
    """A size in bytes for a person."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"


@contextmanager
def _version(
    dataset: Dataset, version: str, url: str | None
) -> Iterator[tuple["AbstractFileSystem", str]]:
    """The store, and the path of a version in it; whatever a driver raises becomes one line.

    Raises:
        DslpError: no store is known, its driver is missing, or it does not do what is asked.
    """
    address = url or os.environ.get("DSLP_DATA_STORE")
    if not address:
        raise DslpError(
            "no store is known; write DSLP_DATA_STORE=s3://bucket/folder in .env (any address "
            "that fsspec knows, or a folder)"
        )
    import fsspec

    scheme = address.partition("://")[0] if "://" in address else "file"
    if scheme == "file" and "://" not in address:
        address = str(dataset.project.root / Path(address).expanduser())
    try:
        store, root = fsspec.url_to_fs(
            address, skip_instance_cache=True, use_listings_cache=False, **FOLDERS.get(scheme, {})
        )
        yield store, f"{root.rstrip('/')}/{dataset.name}/{version}"
    except DslpError:
        raise
    except ImportError as error:
        driver = DRIVERS.get(scheme)
        todo = f"uv add {driver}" if driver else redact(str(error))
        raise DslpError(f"{scheme}:// needs a driver that is not installed; {todo}") from None
    except Exception as error:  # drivers pass on whatever their transport raises
        reason = redact(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
        raise DslpError(
            f"the store {redact(address)}: {reason}; what was done is kept: try again"
        ) from error
