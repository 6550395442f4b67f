"""A dataset in a shared store is the very one that was sent, or it is refused."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dslp.data import store
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry

from tests import services
from tests.library.conftest import make
from tests.library.toy import Toy

PUSH, PULL = ("data", "push", "visits", "--to"), ("data", "pull", "visits", "--from")


@pytest.fixture
def colleague(tmp_path: Path, built: Toy) -> Toy:
    """The same project on another machine, where there is no data."""
    toy = make(tmp_path / "colleague")
    assert not (toy.root / "data").exists()
    return toy


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that a team shares, which is not there yet."""
    return tmp_path / "shared"


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment that reaches a server of S3's interface, with a bucket `team`."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "key", "region_name": "us-east-1"}
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="team")
    yield {"AWS_ENDPOINT_URL": address} | {name.upper(): key for name, key in keys.items()}
    server.stop()


@pytest.fixture(scope="module")
def abfs(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    with services.azure(request.config.cache.mkdir("node")) as environment:
        yield environment


@pytest.fixture(scope="module")
def gs() -> Iterator[dict[str, str]]:
    with services.google() as environment:
        yield environment


def in_parts(toy: Toy) -> None:
    """The built rows as a folder of part files, some of them by year, as Spark writes it."""
    rows = toy.rows()
    toy.processed.unlink()
    for name, part in (("part-0", rows[:100]), ("more/part=1", rows[100:])):
        file = toy.processed / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        part.to_parquet(file, index=False)
    left = toy.processed / "_temporary" / "0" / "part-1.parquet"  # by a job that was killed
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")


def sent(outcome: Any) -> list[str]:
    """The files that were sent, or fetched."""
    return re.findall(r"^(?:sending|fetching) (\S+) .*\.\.\.$", outcome.err, re.MULTILINE)


def test_a_colleague_gets_the_very_bytes(built: Toy, colleague: Toy, shared: Path) -> None:
    said = built.done(*PUSH, str(shared))
    assert "visits 1.2.0 is in the store: 300 rows, 1 files" in said.out
    assert sorted(p.name for p in (shared / "visits" / "1.2.0").iterdir()) == [
        "_manifest.json",
        "visits.parquet",
    ]
    colleague.done(*PULL, str(shared))
    assert colleague.processed.read_bytes() == built.processed.read_bytes()
    assert colleague.processed.with_name("visits-1.2.0.parquet").is_file()
    assert not list(colleague.processed.parent.glob(".*"))
    assert not Dataset(colleague.project, "visits").stale
    assert sent(colleague.done(*PULL, str(shared))) == []


def test_parts_stay_parts_and_an_older_version_stays_beside(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    in_parts(built)
    before = digest(Dataset(built.project, "visits"))
    built.done("data", "push", "visits", DSLP_DATA_STORE=str(shared))
    colleague.done("data", "build")
    colleague.edit(colleague.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    current = colleague.processed.read_bytes()
    variable: dict[str, Any] = {"DSLP_DATA_STORE": str(shared)}
    colleague.done("data", "pull", "visits", "--version", "1.2.0", **variable)
    older = colleague.processed.with_name("visits-1.2.0.parquet")
    assert len(pd.read_parquet(older / "part-0.parquet")) == 100
    assert colleague.processed.read_bytes() == current
    colleague.edit(colleague.dataset / "datasheet.md", "version: 1.3.0", "version: 1.2.0")
    assert sent(colleague.done("data", "pull", "visits", **variable)) == []
    assert colleague.processed.is_dir()
    assert digest(Dataset(colleague.project, "visits")) == before


@pytest.mark.parametrize(
    "place", ["s3", *(pytest.param(p, marks=pytest.mark.campaign) for p in ("abfs", "gs"))]
)
def test_a_bucket_is_a_store(
    built: Toy,
    colleague: Toy,
    place: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At S3's, Azure's and Google's own interfaces, as their emulators have them."""
    at: dict[str, Any] = request.getfixturevalue(place)
    in_parts(built)
    monkeypatch.setattr(store, "PIECE", 4000)
    there = (f"{place}://team/data",)
    built.done(*PUSH, *there, **at)
    assert "is in the store already" in built.done(*PUSH, *there, **at).out
    colleague.done(*PULL, *there, **at)
    for part in ("part-0.parquet", "more/part=1.parquet"):
        assert (colleague.processed / part).read_bytes() == (built.processed / part).read_bytes()
    absent = colleague.run(*PULL, *there, "--version", "1.0.0", **at)
    assert absent.code == 2
    assert "the store has no visits 1.0.0, but 1.2.0" in absent.error


def test_a_bucket_that_is_none_is_named(built: Toy, s3: dict[str, Any]) -> None:
    outcome = built.run(*PUSH, "s3://no-such-bucket/data", **s3)
    assert outcome.code == 2
    assert "s3://no-such-bucket/data" in outcome.error


def test_the_same_content_again_is_nothing_and_other_content_is_refused(
    built: Toy, shared: Path
) -> None:
    built.done(*PUSH, str(shared))
    built.with_rows(built.rows().iloc[::-1])  # other bytes, and the same content
    assert "is in the store already" in built.done(*PUSH, str(shared)).out
    built.with_rows(built.rows().assign(visits=1))
    refused = built.run(*PUSH, str(shared))
    assert refused.code == 1
    assert "is in the store with other content" in refused.error
    assert "data version visits" in refused.error
    (built.dataset / "pipeline.py").touch()
    assert "build it again" in built.run(*PUSH, str(shared)).error


def killed(toy: Toy, command: tuple[str, ...], patch: str) -> None:
    """Run a command in a process that `patch` kills in the middle of copying."""
    code = "import os, shutil, sys\nfrom pathlib import Path\nfrom dslp.cli import main\n"
    code += "from fsspec.implementations.local import LocalFileSystem as Local\n"
    code += textwrap.dedent(patch) + f"\nsys.argv = ['dslp', *{command!r}]\nmain()\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=toy.root, check=False)
    assert done.returncode == -9


def test_an_interrupted_push_is_no_version_and_goes_on_where_it_was(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    in_parts(built)
    killed(
        built,
        (*PUSH, str(shared)),
        """
        whole = Local.put_file
        def half(self, source, target, *args, **kwargs):
            if "part-0" not in target:
                return whole(self, source, target, *args, **kwargs)
            Path(target).write_bytes(Path(source).read_bytes()[:1000])
            os.kill(os.getpid(), 9)
        Local.put_file = half
        """,
    )
    assert (shared / "visits" / "1.2.0" / "part-0.parquet").stat().st_size == 1000
    assert "the store has no visits 1.2.0" in colleague.run(*PULL, str(shared)).error
    assert sent(built.done(*PUSH, str(shared))) == ["part-0.parquet"]
    colleague.done(*PULL, str(shared))
    assert digest(Dataset(colleague.project, "visits")) == digest(Dataset(built.project, "visits"))
    assert not (shared / "visits" / "1.2.0" / "_sending.json").exists()


def test_what_another_push_left_is_sent_again_or_removed(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    built.done(*PUSH, str(shared))
    folder = shared / "visits" / "1.2.0"
    plan = json.loads((folder / "_manifest.json").read_text())
    plan["files"]["more/part-0.parquet"] = plan["files"]["visits.parquet"]
    (folder / "_sending.json").write_text(json.dumps(plan))
    (folder / "_manifest.json").unlink()  # as if it were not done
    (folder / "visits.parquet").write_bytes(bytes(built.processed.stat().st_size))
    (folder / "more").mkdir()
    (folder / "more" / "part-0.parquet").write_bytes(b"of another plan")
    (folder / "precious.txt").write_text("somebody's own")
    assert sent(built.done(*PUSH, str(shared))) == ["visits.parquet"]
    assert (folder / "visits.parquet").read_bytes() == built.processed.read_bytes()
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    assert sorted(files) == ["_manifest.json", "precious.txt", "visits.parquet"]


def test_a_file_that_was_put_there_by_hand_is_not_replaced(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    built.done(*PUSH, str(shared))
    by_hand = colleague.processed.with_suffix(".csv")
    by_hand.parent.mkdir(parents=True)
    by_hand.write_text("id\n1\n")
    outcome = colleague.run(*PULL, str(shared))
    assert outcome.code == 1
    assert f"{by_hand} is not from a store; move it away" in outcome.error
    assert by_hand.read_text() == "id\n1\n"
    (by_hand.with_name("visits-1.1.0.csv")).write_text("id\n1\n")  # an older version, fetched
    colleague.done(*PULL, str(shared))
    assert not by_hand.exists()


def test_of_two_pushes_at_once_one_gives_way(
    built: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalFileSystem.put_file

    def interrupted(self: Any, source: str, target: str, **kwargs: Any) -> None:
        put(self, source, target, **kwargs)
        plan = Path(target).with_name("_sending.json")
        plan.write_text(plan.read_text().replace('"rows": 300', '"rows": 299'))

    monkeypatch.setattr(LocalFileSystem, "put_file", interrupted)
    outcome = built.run(*PUSH, str(shared))
    assert outcome.code == 2
    assert "was sent by somebody else at the same time" in outcome.error
    assert not (shared / "visits" / "1.2.0" / "_manifest.json").exists()


@pytest.mark.rule("D6", "I6")
def test_what_is_registered_is_what_is_sent_and_fetched(tracked: Toy, shared: Path) -> None:
    tracked.done(*PUSH, str(shared))
    tracked.with_rows(tracked.rows().iloc[:299])
    tracked.done("data", "register", "visits")
    shutil.move(shared, shared.with_name("first"))
    before = tracked.processed.read_bytes()
    fetched = tracked.run(*PULL, str(shared.with_name("first")))
    tracked.with_rows(tracked.rows().iloc[:298])
    for outcome in (fetched, tracked.run(*PUSH, str(shared))):
        assert outcome.code == 1
        assert "visits 1.2.0 is registered with other content" in outcome.error
    assert not shared.exists()
    kept = tracked.processed.with_name("visits-1.2.0.parquet")
    assert kept.read_bytes() == before


def test_what_another_pipeline_made_is_to_be_built_again(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    built.done(*PUSH, str(shared))
    dataset = Dataset(colleague.project, "visits")
    code = (colleague.dataset / "pipeline.py").read_text()
    (colleague.dataset / "pipeline.py").write_text(f"# in other words\n{code}")
    colleague.done(*PULL, str(shared))
    assert not dataset.stale
    (colleague.dataset / "pipeline.py").write_text(f"{code}\n\nFACTOR = 2\n")
    colleague.done(*PULL, str(shared))
    assert dataset.stale


@pytest.mark.rule("D6")
def test_a_registry_that_does_not_answer_vouches_for_nothing(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    away = "http://127.0.0.1:1"
    outcome = built.run(*PUSH, str(shared), MLFLOW_TRACKING_URI=away)
    assert outcome.code == 2
    assert away in outcome.error
    assert not shared.exists()
    built.done(*PUSH, str(shared))
    fetched = colleague.done(*PULL, str(shared), MLFLOW_TRACKING_URI=away)
    assert "visits is not compared with what is registered" in fetched.out + fetched.err


def test_what_is_fetched_is_loaded_where_a_table_is_read(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    built.done(*PUSH, str(shared))
    colleague.done(*PULL, str(shared), DSLP_ENGINE="sql")
    colleague.done("data", "validate", DSLP_ENGINE="sql")
    with colleague.processed.open("r+b") as file:  # in place, as pandas writes
        file.write(b"x" * 99)
    kept = colleague.processed.with_name("visits-1.2.0.parquet")
    assert kept.read_bytes() == built.processed.read_bytes()


def test_an_interrupted_pull_replaces_nothing_and_goes_on_where_it_was(
    built: Toy, colleague: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.done(*PUSH, str(shared))
    killed(
        colleague,
        (*PULL, str(shared)),
        """
        from dslp.data import store
        store.PIECE = 4000
        read = Local.cat_file
        def some(self, path, start=None, end=None, **kwargs):
            if start and start >= 8000:
                os.kill(os.getpid(), 9)
            return read(self, path, start, end, **kwargs)
        Local.cat_file = some
        """,
    )
    assert not colleague.processed.exists()
    (part,) = colleague.processed.parent.rglob("visits.parquet.part")
    assert 4000 <= part.stat().st_size <= 8000  # what was read, as far as it was written
    asked: list[int] = []
    read = LocalFileSystem.cat_file

    def watched(
        self: Any, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> Any:
        asked.append(start or 0)
        return read(self, path, start, end, **kwargs)

    have = part.stat().st_size
    monkeypatch.setattr(LocalFileSystem, "cat_file", watched)
    colleague.done(*PULL, str(shared))
    assert asked == [0, have]  # the manifest, and what was missing
    assert colleague.processed.read_bytes() == built.processed.read_bytes()


def test_a_folder_is_replaced_whole_or_not_at_all(
    built: Toy, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts(built)
    built.done(*PUSH, str(shared))
    built.done(*PULL, str(shared))
    before = built.rows()
    unlink, calls = os.unlink, iter(range(9))

    def interrupted(path: Any, **options: Any) -> None:
        if Path(path).name.startswith("part") and next(calls) == 1:
            raise KeyboardInterrupt
        unlink(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", interrupted)
        assert built.run(*PULL, str(shared)).code != 0
    pd.testing.assert_frame_equal(built.rows(), before)


def test_what_was_left_of_something_else_is_fetched_anew(
    built: Toy, colleague: Toy, shared: Path
) -> None:
    built.done(*PUSH, str(shared))
    aside = colleague.processed.with_name(".visits-1.2.0.parquet.part")
    aside.mkdir(parents=True)
    (aside / "visits.parquet.part").write_bytes(b"x" * 99)
    colleague.done(*PULL, str(shared))
    assert colleague.processed.read_bytes() == built.processed.read_bytes()


@pytest.mark.parametrize("harm", ["a bit", "cut short", "gone"])
def test_what_is_not_what_the_manifest_says_replaces_nothing(
    built: Toy, colleague: Toy, shared: Path, harm: str
) -> None:
    built.done(*PUSH, str(shared))
    file = shared / "visits" / "1.2.0" / "visits.parquet"
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        changed = content[:500] + bytes([content[500] ^ 1]) + content[501:]
        file.write_bytes(changed if harm == "a bit" else content[:500])
    shutil.copytree(built.root / "data", colleague.root / "data")
    colleague.with_rows(colleague.rows().iloc[:250])
    before = colleague.processed.read_bytes()
    outcome = colleague.run(*PULL, str(shared))
    assert outcome.code == 1
    assert "is not what its manifest says; nothing here was replaced" in outcome.error
    assert colleague.processed.read_bytes() == before
    assert not list(colleague.processed.parent.glob("visits-*"))


HOSTILE = {
    "above": {"files": {"../../../evil.parquet": {"size": 1, "sha256": "0" * 64}}},
    "absolute": {"files": {"/tmp/evil.parquet": {"size": 1, "sha256": "0" * 64}}},
    "drive": {"files": {"C:evil.parquet": {"size": 1, "sha256": "0" * 64}}},
    "backslash": {"files": {"a\\..\\..\\evil.parquet": {"size": 1, "sha256": "0" * 64}}},
    "hidden": {"files": {"a/.evil": {"size": 1, "sha256": "0" * 64}}},
    "nothing": {"files": {}},
    "negative": {"files": {"a.parquet": {"size": -1, "sha256": "0" * 64}}},
    "another": {"dataset": "claims"},
    "other version": {"version": "9.9.9"},
    "list": [],
}


@pytest.mark.parametrize("case", [*HOSTILE, "no JSON"])
def test_a_manifest_is_not_believed(built: Toy, shared: Path, case: str) -> None:
    built.done(*PUSH, str(shared))
    file = shared / "visits" / "1.2.0" / "_manifest.json"
    hostile = HOSTILE.get(case)
    good = json.loads(file.read_text())
    changed = good | hostile if isinstance(hostile, dict) else hostile
    file.write_text("{" if case == "no JSON" else json.dumps(changed))
    before = {p for p in built.root.parent.rglob("*") if "__pycache__" not in p.parts}
    outcome = built.run(*PULL, str(shared))
    assert outcome.code == 2
    assert "_manifest.json" in outcome.error
    assert {p for p in built.root.parent.rglob("*") if "__pycache__" not in p.parts} == before


def test_a_place_that_cannot_be_used_is_told_in_one_line(
    built: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # as where it is not installed,
    monkeypatch.delitem(_registry, "gs", raising=False)  # and was never used
    assert "no store is known" in built.run("data", "push", "visits").error
    assert "uv add gcsfs" in built.run(*PUSH, "gs://bucket/data").error
    assert "nonsense" in built.run(*PUSH, "nonsense://x").error
    secret = built.run(*PUSH, "ftp://somebody:secret@127.0.0.1:1/x")
    assert secret.code == 2
    assert "secret" not in secret.err
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in built.run(*PUSH, str(tmp_path / "file")).error
    assert "'../1' is no version" in built.run(*PULL, "x", "--version", "../1").error


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser makes a small disk")
def test_a_full_disk_is_told_in_one_line(built: Toy, shared: Path) -> None:
    disk = built.root / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "small", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        outcome = built.run(*PUSH, str(disk))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert outcome.code == 2
    assert "No space left" in outcome.error
