"""A shared version of a dataset is the very one that was sent, or it is refused."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dslp
import pandas as pd
import pytest
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from tests.library.conftest import make
from tests.library.data.suites import fails
from tests.library.toy import Toy

send = LocalArtifactRepository.log_artifact
PUSH, PULL = ("data", "push", "visits"), ("data", "pull", "visits")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a team without a server shares, which is not there yet."""
    monkeypatch.setenv("DSLP_DATA_STORE", str(tmp_path / "shared"))
    return tmp_path / "shared"


@pytest.fixture
def colleague(tmp_path: Path, built: Toy) -> Toy:
    """The same project on another machine, where there is no data."""
    return make(tmp_path / "colleague")


@pytest.fixture
def version(built: Toy, shared: Path) -> Path:
    """The folder of a version that was sent."""
    built.done(*PUSH)
    return shared / "visits" / "1.2.0"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket, at a server of S3's interface."""
    import boto3
    from moto.server import ThreadedMotoServer

    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "key", "region_name": "us-east-1"}
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="team")
    for name, value in {"MLFLOW_S3_ENDPOINT_URL": address, **keys}.items():
        monkeypatch.setenv(name.upper(), value)
    yield "s3://team/data"
    server.stop()


def in_parts(toy: Toy) -> None:
    """The built rows as a folder of part files, and what a job left there that was killed."""
    rows = toy.rows()
    toy.processed.unlink()
    for name, part in (("part-0", rows[:100]), ("more/part=1", rows[100:])):
        file = toy.processed / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        part.to_parquet(file, index=False)
    left = toy.processed / "_temporary" / "0" / "part-1.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")


def content(toy: Toy) -> str:
    return digest(Dataset(toy.project, "visits"))


def transferred(outcome: Any) -> list[str]:
    """The files that were sent or fetched."""
    return re.findall(r"^(?:sending|fetching) (\S+) .*\.\.\.$", outcome.err, re.MULTILINE)


def test_a_colleague_gets_the_very_bytes(
    built: Toy, colleague: Toy, shared: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "visits 1.2.0 is shared: 300 rows, 1 files, at file://" in built.done(*PUSH).out
    files = {path.name for path in (shared / "visits" / "1.2.0").iterdir()}
    assert files == {"_manifest.json", "visits.parquet"}
    monkeypatch.setenv("DSLP_DATABASE_URL", postgres)
    colleague.done(*PULL, DSLP_ENGINE="sql")
    assert colleague.processed.read_bytes() == built.processed.read_bytes()
    assert not list(colleague.processed.parent.glob(".*"))
    assert not (colleague.root / "mlruns").exists(), "no database is needed"
    assert not Dataset(colleague.project, "visits").stale
    colleague.done("data", "validate", DSLP_ENGINE="sql")
    with colleague.processed.open("r+b") as file:  # in place, as pandas writes
        file.write(b"x" * 99)
    kept = colleague.processed.with_name("visits-1.2.0.parquet")
    assert kept.read_bytes() == built.processed.read_bytes()
    assert transferred(colleague.done(*PULL)) == []
    pipeline = colleague.dataset / "pipeline.py"
    pipeline.write_text(f"{pipeline.read_text()[:-1]}.head()\n")
    colleague.done(*PULL)
    assert Dataset(colleague.project, "visits").stale, "another pipeline made it"


def test_parts_stay_parts_and_an_older_version_is_loaded_from_afar(
    built: Toy, colleague: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(built)
    built.done(*PUSH)
    colleague.done("data", "build")
    current = colleague.processed.read_bytes()
    colleague.edit(colleague.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    monkeypatch.chdir(colleague.root)
    assert len(dslp.load("visits", version="1.2.0")) == 300
    older = colleague.processed.with_name("visits-1.2.0.parquet")
    assert len(pd.read_parquet(older / "part-0.parquet")) == 100
    assert colleague.processed.read_bytes() == current
    colleague.edit(colleague.dataset / "datasheet.md", "version: 1.3.0", "version: 1.2.0")
    assert transferred(colleague.done(*PULL)) == []
    assert (colleague.processed.is_dir(), content(colleague)) == (True, content(built))


def test_a_bucket_is_a_place(
    built: Toy, colleague: Toy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(built)
    monkeypatch.setenv("DSLP_DATA_STORE", bucket)
    built.done(*PUSH)
    assert "is shared already" in built.done(*PUSH).out
    colleague.done(*PULL)
    for part in ("part-0.parquet", "more/part=1.parquet"):
        assert (colleague.processed / part).read_bytes() == (built.processed / part).read_bytes()
    assert "1.0.0 is not shared at s3://team/data/" in fails(colleague, *PULL, "--version", "1.0.0")
    monkeypatch.setenv("DSLP_DATA_STORE", "s3://no-such-bucket/data")
    assert "s3://no-such-bucket/data" in fails(built, *PUSH)


@pytest.mark.xdist_group("mlflow-server")
@pytest.mark.rule("D6")
def test_with_a_server_the_run_that_registers_a_version_carries_its_files(
    tracked: Toy, colleague: Toy, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("DSLP_EXPERIMENT_PREFIX", "sharing-")
    assert "visits 1.2.0 is not registered" in fails(tracked, *PUSH)
    tracked.done("data", "register", "visits")
    assert "is not shared at mlflow-artifacts:" in fails(colleague, *PULL)
    in_parts(tracked)
    tracked.done(*PUSH)
    assert "is shared already" in tracked.done(*PUSH).out
    colleague.done(*PULL)
    assert content(colleague) == content(tracked)


@pytest.mark.rule("D6", "I6")
def test_a_version_is_sent_once_and_is_the_registered_one(
    tracked: Toy, version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tracked.rows()
    tracked.with_rows(before.iloc[::-1])  # other bytes, and the same content
    assert "is shared already" in tracked.done(*PUSH).out
    tracked.with_rows(before.iloc[:299])
    assert "is shared with other content" in fails(tracked, *PUSH, code=1)
    tracked.done("data", "register", "visits")
    message = "visits 1.2.0 is registered with other content"
    assert message in fails(tracked, *PULL, code=1)
    tracked.with_rows(before.iloc[:298])
    monkeypatch.setenv("DSLP_DATA_STORE", str(version.parents[2] / "other"))
    assert message in fails(tracked, *PUSH, code=1)


def test_an_interrupted_push_is_no_version_and_goes_on_where_it_was(
    built: Toy, colleague: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(built)

    def half(self: Any, path: str, folder: str | None = None) -> None:
        if path.endswith("part-0.parquet"):
            raise KeyboardInterrupt
        send(self, path, folder)

    with monkeypatch.context() as patched:
        patched.setattr(LocalArtifactRepository, "log_artifact", half)
        built.run(*PUSH)
    folder = shared / "visits" / "1.2.0"
    assert "visits 1.2.0 is not shared" in colleague.run(*PULL).error
    (folder / "part-0.parquet").write_bytes(b"half")
    (folder / "precious.txt").write_text("not of this push")
    assert transferred(built.done(*PUSH)) == ["part-0.parquet"]
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert files == {"part-0.parquet", "part=1.parquet", "_manifest.json", "precious.txt"}
    colleague.done(*PULL)
    assert content(colleague) == content(built)


def test_what_a_push_of_other_rows_has_left_does_not_count(
    built: Toy, colleague: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same number of bytes, so that the size says nothing."""
    first = built.rows()

    def killed(self: Any, path: str, folder: str | None = None) -> None:
        send(self, path, folder)
        if path.endswith("visits.parquet"):
            raise KeyboardInterrupt

    for rows in (first.assign(visits=first["visits"] + 1), first):
        built.with_rows(rows)
        with monkeypatch.context() as patched:
            patched.setattr(LocalArtifactRepository, "log_artifact", killed)
            built.run(*PUSH)
    built.done(*PUSH)
    colleague.done(*PULL)
    assert content(colleague) == content(built)
    (shared / "visits" / "1.2.0" / "visits.parquet").unlink()
    assert transferred(built.done(*PUSH)) == ["visits.parquet"], "what is damaged is sent again"


def test_of_two_pushes_at_once_one_gives_way(
    built: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interfere(self: Any, path: str, folder: str | None = None) -> None:
        send(self, path, folder)
        manifest = shared / "visits" / "1.2.0" / "_manifest.json"
        manifest.write_text(manifest.read_text().replace('"rows": 300', '"rows": 299'))

    monkeypatch.setattr(LocalArtifactRepository, "log_artifact", interfere)
    assert "was sent by somebody else at the same time" in fails(built, *PUSH)
    manifest = json.loads((shared / "visits" / "1.2.0" / "_manifest.json").read_text())
    assert manifest["sent"] == []


def test_what_an_interrupted_pull_has_fetched_is_verified(
    built: Toy, colleague: Toy, version: Path
) -> None:
    content = built.processed.read_bytes()
    kept = colleague.processed.with_name("visits-1.2.0.parquet")
    part = kept.with_name(f".{kept.name}.part") / "visits.parquet"
    for left in (content[:4000], content):
        part.parent.mkdir(parents=True)
        part.write_bytes(left)
        colleague.done(*PULL)
        assert colleague.processed.read_bytes() == content
        kept.unlink()


@pytest.mark.parametrize("harm", ["a bit", "cut short", "gone", "forged", "by hand"])
def test_what_is_not_what_it_should_be_replaces_nothing(
    built: Toy, colleague: Toy, version: Path, harm: str
) -> None:
    file = version / "visits.parquet"
    bytes_sent = file.read_bytes()
    if harm == "gone":
        file.unlink()
    elif harm == "forged":
        pd.read_parquet(file).assign(visits=999).to_parquet(file)
        manifest = json.loads((version / "_manifest.json").read_text())
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest["files"] = {file.name: {"size": file.stat().st_size, "sha256": sha256}}
        (version / "_manifest.json").write_text(json.dumps(manifest))
    elif harm != "by hand":
        changed = bytes_sent[:500] + bytes([bytes_sent[500] ^ 1]) + bytes_sent[501:]
        file.write_bytes(changed if harm == "a bit" else bytes_sent[:500])
    present = colleague.processed.with_suffix(".csv" if harm == "by hand" else ".parquet")
    present.parent.mkdir(parents=True)
    present.write_bytes(b"id\n1\n")
    message = "is not what its manifest says; nothing was replaced"
    message = "was put there by hand" if harm == "by hand" else message
    assert message in fails(colleague, *PULL, code=1)
    assert present.read_bytes() == b"id\n1\n"


FILE = {"size": 1, "sha256": "0" * 64}
HOSTILE = [
    *({"files": {name: FILE}} for name in ("../../e.parquet", "/tmp/e.parquet", "C:e.parquet")),
    *({"files": {name: FILE}} for name in ("a\\..\\..\\e.parquet", "a/.e")),
    {"files": {}},
    {"files": {"a.parquet": FILE | {"size": -1}}},
    {"dataset": "claims"},
    {"version": "9.9.9"},
]


def test_a_manifest_is_not_believed(built: Toy, version: Path) -> None:
    manifest = version / "_manifest.json"
    good = json.loads(manifest.read_text())
    before = set(built.root.parent.rglob("*.parquet"))
    for text in ("{", "[]", *(json.dumps(good | hostile) for hostile in HOSTILE)):
        manifest.write_text(text)
        assert "_manifest.json" in fails(built, *PULL), text
    assert set(built.root.parent.rglob("*.parquet")) == before


def test_a_place_that_is_none_is_named_in_one_line(
    built: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert "set MLFLOW_TRACKING_URI to a server, or write an address" in fails(built, *PUSH)
    for place, message in (
        ("nonsense://x", "nonsense"),
        ("ftp://somebody:secret@127.0.0.1:1/x", "ftp://127.0.0.1:1/x"),
        (str(tmp_path / "file"), str(tmp_path / "file")),
    ):
        monkeypatch.setenv("DSLP_DATA_STORE", place)
        error = fails(built, *PUSH)
        assert (message in error, "secret" in error) == (True, False), error
    assert "'../1' is no version" in built.run(*PULL, "--version", "../1").error
