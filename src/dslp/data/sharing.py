"""Sharing the files of a dataset version with a team, in MLflow's own artifact stores.

With a tracking server they are artifacts of the run that registers the version, in its folder
`data`. With local tracking they are below an address that the team shares, a folder or a bucket, as
`NAME/VERSION/`, where no database is needed to fetch them. `_manifest.json` lies beside them.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

from dslp.core.console import step
from dslp.core.errors import DslpError, Refused
from dslp.core.files import copy_path, remove_path
from dslp.core.git import git_output
from dslp.core.semver import VERSION, parse_version
from dslp.core.text import error_line, redact
from dslp.data.dataset import DataAt, Dataset, check_current, parquet_files
from dslp.data.fingerprint import digest, digest_and_rows
from dslp.data.reading import read_frame
from dslp.data.registered_versions import is_registered, registered_runs
from dslp.tracking.connection import local_database, tracking_address
from pydantic import BaseModel, Field, StringConstraints, ValidationError

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

LONGEST_MANIFEST = 16 * 1024**2  # bytes
MANIFEST = "_manifest.json"  # Spark ignores names that begin with an underscore

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# A path below the version: each part begins as a name does, so no `..`, no drive and no root.
Name = Annotated[str, StringConstraints(pattern=r"^([\w=][\w=.%+ -]*/)*[\w=][\w=.%+ -]*$")]


class NotShared(DslpError):
    """The version is not shared, or there is no place to share it."""


class File(BaseModel):
    """One file of a version: its size in bytes, and the SHA-256 of those."""

    size: int = Field(ge=0)
    sha256: Sha256


class Manifest(BaseModel):
    """The files of a version, the digest of its content, and the commit behind it.

    `sent` are the files that are there. A push adds each when it is.
    """

    dataset: str
    version: Annotated[str, StringConstraints(pattern=f"^{VERSION}$")]
    digest: Sha256
    rows: int = Field(ge=0)
    commit: str = Field(max_length=64)
    files: dict[Name, File] = Field(min_length=1)
    sent: list[Name] = []

    @property
    def complete(self) -> bool:
        """Whether all files are there."""
        return set(self.sent) == self.files.keys()

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the files in bytes."""
        return {name: file.size for name, file in self.files.items()}


def push(dataset: Dataset) -> str:
    """Share the built data; files that an interrupted push has sent are not sent twice.

    Returns:
        The result in a sentence.

    Raises:
        Refused: the version is shared or registered with other content, or the data is stale.
        DslpError: the data cannot be read, or the place not be reached or written.
    """
    check_current(dataset)
    title = f"{dataset.name} {dataset.version}"
    place = _Place.find(dataset, dataset.version)
    with step(f"reading {title}"):
        manifest, paths = _describe(dataset)
    is_registered(dataset, manifest.version, manifest.digest)
    with place.errors():
        existing, sizes = place.manifest(), place.sizes()
        whole = existing is not None and existing.complete
        if existing and whole and existing.digest != manifest.digest:
            raise Refused(
                f"{title} is shared with other content (commit {existing.commit[:12]}); a "
                f"change is a new version (I6): uv run dslp data version {dataset.name}"
            )
        if existing and whole and existing.sizes.items() <= sizes.items():
            return f"{title} is shared already"
        if existing and existing.files == manifest.files:
            sent = {name for name in existing.sent if sizes.get(name) == existing.sizes[name]}
            manifest = manifest.model_copy(update={"sent": sorted(sent)})
        place.write(manifest)
        for name in sorted(manifest.files.keys() - set(manifest.sent)):
            with step(f"sending {name} ({_format_size(manifest.files[name].size)})"):
                place.send(paths[name], name)
            if not _is_file(paths[name], manifest.files[name]):
                raise DslpError(f"{paths[name]} changed while it was sent; push it again")
            if place.manifest() != manifest:
                raise DslpError(f"{title} was sent by somebody else at the same time; try again")
            manifest = manifest.model_copy(update={"sent": [*manifest.sent, name]})
            place.write(manifest)
    return f"{title} is shared: {manifest.rows:,} rows, {len(paths)} files, at {place.shown}"


def pull(dataset: Dataset, version: str | None = None) -> Path:
    """Fetch a version (`fetch`); the one in the datasheet becomes the processed data as well.

    Raises:
        Refused: as `fetch`, or a CSV file here was put there by hand; nothing was replaced.
        DslpError: as `fetch`.
    """
    target = fetch(dataset, version or dataset.version)
    if version in (None, dataset.version):
        _check_by_hand(dataset, target)
        current = dataset.processed.with_suffix(target.suffix)
        copy_path(target, current)
        other = ".csv" if target.suffix == ".parquet" else ".parquet"
        remove_path(current.with_suffix(other))
        if dataset.project.engine == "sql":
            from dslp.data.sql_tables import load_table

            load_table(read_frame(dataset), dataset.name, dataset.project)
    return target


def fetch(dataset: Dataset, version: str) -> Path:
    """Fetch a version, as `NAME-VERSION` beside the processed data.

    The files are verified before they replace anything, and files that an interrupted try has
    fetched are not fetched twice.

    Returns:
        The file, or the folder of part files.

    Raises:
        Refused: the files do not match the manifest, or the manifest not the registered version;
            nothing was replaced.
        NotShared: the version is not shared.
        DslpError: the place cannot be reached.
    """
    parse_version(version)
    place = _Place.find(dataset, version)
    with place.errors():
        manifest = place.manifest()
        if manifest is None or not manifest.complete:
            raise NotShared(
                f"{dataset.name} {version} is not shared at {place.shown}; a colleague who has it "
                f"can share it: uv run dslp data push {dataset.name}"
            )
        is_registered(dataset, version, manifest.digest)
        single, *others = manifest.files
        if others or single not in (f"{dataset.name}.parquet", f"{dataset.name}.csv"):
            single = ""  # the files are parts of a folder
        suffix = Path(single).suffix or ".parquet"
        target = dataset.processed.with_name(f"{dataset.name}-{version}{suffix}")
        if not _matches({single: target} if single else _parts(target), manifest):
            part = target.with_name(f".{target.name}.part")
            for path in [path for path in part.rglob("*") if path.is_file()]:
                if path.relative_to(part).as_posix() not in manifest.files:
                    path.unlink()  # of an interrupted try of another version
            sizes = place.sizes()
            for name, file in manifest.files.items():
                if _is_file(part / name, file):
                    continue
                with step(f"fetching {name} ({_format_size(file.size)})"):
                    if sizes.get(name) == file.size:
                        place.fetch(name, part)
                if not _is_file(part / name, file):
                    where = f"{place.shown}/{name}"
                    raise Refused(f"{where} is not what its manifest says; nothing was replaced")
            content = DataAt(dataset.project, dataset.name, part / single)
            if suffix == ".parquet" and digest(content) != manifest.digest:
                raise Refused(f"{place.shown} is not what its manifest says; nothing was replaced")
            copy_path(part / single, target)
            remove_path(part)
    return target


def is_shared(dataset: Dataset) -> bool:
    """Whether the version in the datasheet can be fetched.

    Raises:
        DslpError: the place cannot be reached.
    """
    try:
        place = _Place.find(dataset, dataset.version)
    except NotShared:
        return False
    with place.errors():
        manifest = place.manifest()
    return manifest is not None and manifest.complete


class _Place:
    """Where the files of one version are shared."""

    def __init__(self, dataset: Dataset, version: str, address: str) -> None:
        self.dataset, self.version, self.shown = dataset, version, redact(address)
        self.address = address

    @classmethod
    def find(cls, dataset: Dataset, version: str) -> "_Place":
        """The place of a version: in the run that registers it, or below the team's address.

        Raises:
            NotShared: there is none.
        """
        project, address = dataset.project, os.environ.get("DSLP_DATA_STORE", "")
        if not tracking_address(project):
            raise NotShared("data is shared by MLflow; answer components with experiments as well")
        if local_database(project) is None:
            runs = registered_runs(dataset, version)
            if not runs:
                raise NotShared(
                    f"{dataset.name} {version} is not registered, and its run carries the data; "
                    f"register it: uv run dslp data register {dataset.name}"
                )
            return cls(dataset, version, f"{runs[0].info.artifact_uri}/data")
        if not address:
            raise NotShared(
                "there is no place to share data: set MLFLOW_TRACKING_URI to a server, or write an "
                "address of the team in .env: DSLP_DATA_STORE=s3://bucket/folder, or a folder"
            )
        if "://" not in address:
            address = (project.root / Path(address).expanduser()).resolve().as_uri()
        return cls(dataset, version, f"{address.rstrip('/')}/{dataset.name}/{version}")

    @property
    def store(self) -> "ArtifactRepository":
        """MLflow's own store for the address."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(self.address)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn an error of the store into one line.

        Raises:
            DslpError: in place of whatever the store raises.
        """
        try:
            yield
        except DslpError:
            raise
        except ImportError as error:  # it names the package, such as boto3
            raise DslpError(f"{self.shown}: {error_line(error)}; add it with uv add") from None
        except Exception as error:  # a store passes on whatever its transport raises
            reason = error_line(f"{type(error).__name__}: {error}", 200)
            what = f"data cannot be shared at {self.shown}"
            raise DslpError(f"{what}: {reason}; what was done is kept: try again") from error

    def sizes(self, folder: str | None = None) -> dict[str, int]:
        """The files that are there, and their sizes in bytes."""
        sizes: dict[str, int] = {}
        for entry in self.store.list_artifacts(folder):
            sizes |= self.sizes(entry.path) if entry.is_dir else {entry.path: entry.file_size or 0}
        return sizes

    def send(self, path: Path, name: str) -> None:
        """Send a file, to be called `name`, which ends as its path does."""
        folder = PurePosixPath(name).parent.as_posix()
        self.store.log_artifact(str(path), None if folder == "." else folder)

    def write(self, manifest: Manifest) -> None:
        """Write the manifest."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MANIFEST
            path.write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
            self.send(path, MANIFEST)

    def manifest(self) -> Manifest | None:
        """The manifest, checked; None where there is none."""
        entries = {entry.path: entry.file_size or 0 for entry in self.store.list_artifacts()}
        if MANIFEST not in entries:
            return None
        where = f"{self.shown}/{MANIFEST}"
        if entries[MANIFEST] > LONGEST_MANIFEST:
            raise DslpError(f"{where} is no manifest: it is larger than {LONGEST_MANIFEST} bytes")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(self.store.download_artifacts(MANIFEST, folder))
            try:
                manifest = Manifest.model_validate_json(path.read_bytes())
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(map(str, first["loc"])) or "it"
                raise DslpError(f"{where} is no manifest: {name!r:.60}: {first['msg']}") from None
        if (manifest.dataset, manifest.version) != (self.dataset.name, self.version):
            raise DslpError(f"{where} is about {manifest.dataset!r:.60} {manifest.version}")
        return manifest

    def fetch(self, name: str, folder: Path) -> None:
        """Fetch a file into the folder."""
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        self.store.download_artifacts(name, str(folder))


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
        raise DslpError(f"{built}: a file called {name!r} cannot be shared") from None


def _parts(folder: Path) -> dict[str, Path]:
    """The part files of a folder, by their path in it; none where it is missing."""
    return {path.relative_to(folder).as_posix(): path for path in parquet_files(folder)}


def _digest_file(path: Path) -> File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(size=path.stat().st_size, sha256=sha256)


def _matches(paths: Mapping[str, Path], manifest: Manifest) -> bool:
    """Whether these are the files of the manifest, byte for byte."""
    return paths.keys() == manifest.files.keys() and all(
        _is_file(path, manifest.files[name]) for name, path in paths.items()
    )


def _is_file(path: Path, file: File) -> bool:
    return path.is_file() and _digest_file(path) == file


def _check_by_hand(dataset: Dataset, fetched: Path) -> None:
    """Check that the present CSV file is a version, so that it may be replaced.

    Raises:
        Refused: it was put there by hand.
    """
    present = dataset.processed.with_suffix(".csv")
    versions = {fetched, *present.parent.glob(f"{dataset.name}-*.csv")}
    digests = [_digest_file(path) for path in versions if path.is_file()]
    if present.is_file() and _digest_file(present) not in digests:
        raise Refused(f"{present} was put there by hand; move it away, and pull again")


def _format_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"
