"""A dataset in a shared store is the very one that was sent, or it is refused."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry

from tests import services
from tests.library.conftest import make
from tests.library.data.suites import fails
from tests.library.toy import Toy

put = LocalFileSystem.put_file
PUSH, PULL = ("data", "push", "visits", "--to"), ("data", "pull", "visits", "--from")


@pytest.fixture
def colleague(tmp_path: Path, built: Toy) -> Toy:
    """The same project on another machine, where there is no data."""
    return make(tmp_path / "colleague")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that a team shares, which is not there yet."""
    return tmp_path / "shared"


@pytest.fixture
def version(built: Toy, shared: Path) -> Path:
    """The folder of a version that was sent."""
    built.done(*PUSH, str(shared))
    return shared / "visits" / "1.2.0"


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """The environment that reaches a server of S3's interface, with a bucket `team`."""
    import boto3
    from moto.server import ThreadedMotoServer

    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "key", "region_name": "us-east-1"}
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="team")
    yield {"AWS_ENDPOINT_URL": address} | {name.upper(): key for name, key in keys.items()}
    server.stop()


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The environment that reaches the emulator of a vendor's interface, with a bucket `team`."""
    node = request.config.cache.mkdir("node")
    servers: dict[str, Any] = {
        "s3": s3,
        "abfs": partial(services.azure, node),
        "gs": services.google,
    }
    with servers[request.param]() as environment:
        yield environment


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
    sent = built.done(*PUSH, str(shared))
    assert "visits 1.2.0 is in the store: 300 rows, 1 files" in sent.out
    files = {path.name for path in (shared / "visits" / "1.2.0").iterdir()}
    assert files == {"_manifest.json", "visits.parquet"}
    monkeypatch.setenv("DSLP_DATABASE_URL", postgres)
    colleague.done(*PULL, str(shared), DSLP_ENGINE="sql")
    assert colleague.processed.read_bytes() == built.processed.read_bytes()
    assert not list(colleague.processed.parent.glob(".*"))
    assert not Dataset(colleague.project, "visits").stale
    colleague.done("data", "validate", DSLP_ENGINE="sql")
    with colleague.processed.open("r+b") as file:  # in place, as pandas writes
        file.write(b"x" * 99)
    kept = colleague.processed.with_name("visits-1.2.0.parquet")
    assert kept.read_bytes() == built.processed.read_bytes()
    assert transferred(colleague.done(*PULL, str(shared))) == []
    pipeline = colleague.dataset / "pipeline.py"
    pipeline.write_text(f"{pipeline.read_text()[:-1]}.head()\n")
    colleague.done(*PULL, str(shared))
    assert Dataset(colleague.project, "visits").stale, "another pipeline made it"


def test_parts_stay_parts_and_an_older_version_stays_beside(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    in_parts(built)
    built.done("data", "push", "visits", DSLP_DATA_STORE=str(shared))
    colleague.done("data", "build")
    sheet, current = colleague.dataset / "datasheet.md", colleague.processed.read_bytes()
    colleague.edit(sheet, "version: 1.2.0", "version: 1.3.0")
    colleague.done(*PULL, str(shared), "--version", "1.2.0")
    older = colleague.processed.with_name("visits-1.2.0.parquet")
    assert len(pd.read_parquet(older / "part-0.parquet")) == 100
    assert colleague.processed.read_bytes() == current
    colleague.edit(sheet, "version: 1.3.0", "version: 1.2.0")
    assert transferred(colleague.done("data", "pull", "visits", DSLP_DATA_STORE=str(shared))) == []
    assert colleague.processed.is_dir()
    assert content(colleague) == content(built)


@pytest.mark.parametrize(
    ("scheme", "bucket"),
    [("s3", "s3"), *(pytest.param(x, x, marks=pytest.mark.campaign) for x in ("abfs", "gs"))],
    indirect=["bucket"],
)
def test_a_bucket_is_a_store(
    built: Toy, colleague: Toy, scheme: str, bucket: dict[str, Any]
) -> None:
    """At S3's, Azure's and Google's own interfaces, as their emulators have them."""
    in_parts(built)
    place = f"{scheme}://team/data"
    built.done(*PUSH, place, **bucket)
    assert "is in the store already" in built.done(*PUSH, place, **bucket).out
    colleague.done(*PULL, place, **bucket)
    for part in ("part-0.parquet", "more/part=1.parquet"):
        assert (colleague.processed / part).read_bytes() == (built.processed / part).read_bytes()
    absent = fails(colleague, *PULL, place, "--version", "1.0.0", **bucket)
    assert "the store has no visits 1.0.0, but 1.2.0" in absent
    nowhere = f"{scheme}://no-such-bucket/data"
    assert nowhere in fails(built, *PUSH, nowhere, **bucket)


@pytest.mark.rule("D6", "I6")
def test_a_version_is_sent_once_and_is_the_registered_one(
    tracked: Toy, version: Path, shared: Path
) -> None:
    before = tracked.rows()
    tracked.with_rows(before.iloc[::-1])  # other bytes, and the same content
    assert "is in the store already" in tracked.done(*PUSH, str(shared)).out
    tracked.with_rows(before.iloc[:299])
    refused = fails(tracked, *PUSH, str(shared), code=1)
    assert "is in the store with other content" in refused
    tracked.done("data", "register", "visits")
    message = "visits 1.2.0 is registered with other content"
    assert message in fails(tracked, *PULL, str(shared), code=1)
    tracked.with_rows(before.iloc[:298])
    assert message in fails(tracked, *PUSH, str(shared.with_name("other")), code=1)
    away = "http://127.0.0.1:1"
    assert away in fails(tracked, *PUSH, str(shared), MLFLOW_TRACKING_URI=away)
    fetched = tracked.done(*PULL, str(shared), MLFLOW_TRACKING_URI=away)
    assert "visits is not compared with what is registered" in fetched.out + fetched.err


def test_an_interrupted_push_is_no_version_and_goes_on_where_it_was(
    built: Toy, colleague: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(built)

    def half(self: Any, source: str, target: str, **kwargs: Any) -> None:
        put(self, source, target, **kwargs)
        if "part-0" in target:
            Path(target).write_bytes(Path(source).read_bytes()[:1000])
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LocalFileSystem, "put_file", half)
        built.run(*PUSH, str(shared))
    folder = shared / "visits" / "1.2.0"
    assert "the store has no visits 1.2.0" in colleague.run(*PULL, str(shared)).error
    (folder / "precious.txt").write_text("not of this push")
    assert transferred(built.done(*PUSH, str(shared))) == ["part-0.parquet"]
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert files == {"part-0.parquet", "part=1.parquet", "_manifest.json", "precious.txt"}
    colleague.done(*PULL, str(shared))
    assert content(colleague) == content(built)


def test_of_two_pushes_at_once_one_gives_way(
    built: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interfere(self: Any, source: str, target: str, **kwargs: Any) -> None:
        put(self, source, target, **kwargs)
        plan = Path(target).with_name("_sending.json")
        plan.write_text(plan.read_text().replace('"rows": 300', '"rows": 299'))

    monkeypatch.setattr(LocalFileSystem, "put_file", interfere)
    assert "was sent by somebody else at the same time" in fails(built, *PUSH, str(shared))
    assert not (shared / "visits" / "1.2.0" / "_manifest.json").exists()


def test_what_an_interrupted_pull_has_fetched_is_verified(
    built: Toy, colleague: Toy, shared: Path, version: Path
) -> None:
    content = built.processed.read_bytes()
    kept = colleague.processed.with_name("visits-1.2.0.parquet")
    part = kept.with_name(f".{kept.name}.part") / "visits.parquet"
    for left in (content[:4000], content):
        part.parent.mkdir(parents=True)
        part.write_bytes(left)
        colleague.done(*PULL, str(shared))
        assert colleague.processed.read_bytes() == content
        kept.unlink()


@pytest.mark.parametrize("harm", ["a bit", "cut short", "gone", "by hand"])
def test_what_is_not_what_it_should_be_replaces_nothing(
    built: Toy, colleague: Toy, shared: Path, version: Path, harm: str
) -> None:
    file = version / "visits.parquet"
    bytes_sent = file.read_bytes()
    if harm == "gone":
        file.unlink()
    elif harm != "by hand":
        changed = bytes_sent[:500] + bytes([bytes_sent[500] ^ 1]) + bytes_sent[501:]
        file.write_bytes(changed if harm == "a bit" else bytes_sent[:500])
    present = colleague.processed.with_suffix(".csv" if harm == "by hand" else ".parquet")
    present.parent.mkdir(parents=True)
    present.write_bytes(b"id\n1\n")
    message = "is not what its manifest says; nothing here was replaced"
    message = "is not from a store" if harm == "by hand" else message
    assert message in fails(colleague, *PULL, str(shared), code=1)
    assert present.read_bytes() == b"id\n1\n"
    assert not list(present.parent.glob("visits-*"))


FILE = {"size": 1, "sha256": "0" * 64}
HOSTILE = [
    *({"files": {name: FILE}} for name in ("../../e.parquet", "/tmp/e.parquet", "C:e.parquet")),
    *({"files": {name: FILE}} for name in ("a\\..\\..\\e.parquet", "a/.e")),
    {"files": {}},
    {"files": {"a.parquet": FILE | {"size": -1}}},
    {"dataset": "claims"},
    {"version": "9.9.9"},
]


def test_a_manifest_is_not_believed(built: Toy, shared: Path, version: Path) -> None:
    manifest = version / "_manifest.json"
    good = json.loads(manifest.read_text())
    before = set(built.root.parent.rglob("*.parquet"))
    for text in ("{", "[]", *(json.dumps(good | hostile) for hostile in HOSTILE)):
        manifest.write_text(text)
        assert "_manifest.json" in fails(built, *PULL, str(shared)), text
    assert set(built.root.parent.rglob("*.parquet")) == before


def test_a_place_that_cannot_be_used_is_named_in_one_line(
    built: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # as where it is not installed,
    monkeypatch.delitem(_registry, "gs", raising=False)  # and was never used
    (tmp_path / "file").write_text("")
    assert "no data store is set" in built.run("data", "push", "visits").error
    for place, message in (
        ("gs://bucket/data", "gcsfs"),
        ("nonsense://x", "nonsense"),
        ("ftp://somebody:secret@127.0.0.1:1/x", "ftp://127.0.0.1:1/x"),
        (str(tmp_path / "file"), str(tmp_path / "file")),
    ):
        error = fails(built, *PUSH, place)
        assert (message in error, "secret" in error) == (True, False), error
    assert "'../1' is no version" in built.run(*PULL, "x", "--version", "../1").error
