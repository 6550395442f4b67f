"""A dataset version is registered once, whole, with what it holds and where it came from."""

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dslp
import pandas as pd
import pytest
from dslp.core.errors import DslpError, Refused
from dslp.data import registered_versions
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from dslp.data.versioning import Snapshot
from dslp.tracking import connection
from mlflow import MlflowClient

from tests.library.toy import Toy

REGISTER = ("data", "register", "visits")
Suite = Callable[[Toy, str], None]


def last_registered(dataset: Dataset) -> Snapshot | None:
    with tempfile.TemporaryDirectory() as folder:
        digest = registered_versions.fetch_last_registered(dataset, Path(folder))
        return Snapshot.of(Path(folder), digest) if digest else None


def visits(toy: Toy) -> Dataset:
    return Dataset(toy.project, "visits")


def runs(client: MlflowClient) -> list[Any]:
    """What is recorded of datasets, in whatever state."""
    experiment = client.get_experiment_by_name("datasets")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def counted(toy: Toy) -> int:
    return len([run for run in runs(toy.client) if run.info.status == "FINISHED"])


@pytest.mark.rule("D6", "B10")
def test_a_version_is_recorded_with_what_it_holds_and_where_it_came_from(tracked: Toy) -> None:
    outcome = tracked.done(*REGISTER)
    assert "visits 1.2.0 is registered" in outcome.out
    (run,) = runs(tracked.client)
    whole = digest(visits(tracked))
    expected = {
        "dslp.kind": "dataset",
        "dslp.dataset": "visits",
        "dslp.dataset_version": "1.2.0",
        "dslp.dataset_digest": whole,
        "dslp.rows": "300",
        "dslp.suite": "holds: 7 checks",
        "dslp.commit": tracked.git("rev-parse", "HEAD"),
        "dslp.branch": "main",
        "dslp.clean": "true",
    }
    assert expected.items() <= run.data.tags.items()
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("visits", whole[:36])
    assert json.loads(given.dataset.profile) == {"num_rows": 300}
    assert {"name": "amount", "type": "double"} in json.loads(given.dataset.schema)[
        "mlflow_colspec"
    ]
    last = last_registered(visits(tracked))
    assert last is not None
    assert "(registered)" in tracked.done("data", "version", "visits").out
    assert (last.version, last.digest) == ("1.2.0", whole)
    for text, file in ((last.schema, "schema.yml"), (last.suite, "suite.yml")):
        assert text == (tracked.dataset / file).read_text(encoding="utf-8")
    assert last.pipeline == (tracked.dataset / "pipeline.py").read_text(encoding="utf-8")
    shutil.rmtree(tracked.root / "mlruns" / "artifacts")
    without = tracked.done("data", "version", "visits").out
    assert "visits is not compared with what is registered: " in without
    assert "(in git, where this branch left main)" in without


@pytest.mark.rule("D6", "I6")
def test_the_same_again_is_nothing_new_and_anything_else_is_a_new_version(tracked: Toy) -> None:
    tracked.done(*REGISTER)
    assert "was registered before, as it is" in tracked.done(*REGISTER).out
    tracked.with_rows(tracked.rows().iloc[::-1].reset_index(drop=True))
    tracked.done(*REGISTER)  # another order is no other content
    tracked.with_rows(tracked.rows().assign(visits=1))
    refused = tracked.run(*REGISTER)
    assert refused.code == 1
    assert "1.2.1" in refused.error
    with pytest.raises(Refused, match="registered with other content"):
        registered_versions.is_registered(runs(tracked.client), "visits", "1.2.0", "another")
    assert counted(tracked) == 1


@pytest.mark.rule("D6")
def test_what_is_not_ready_is_refused_with_what_to_do(tracked: Toy, write_suite: Suite) -> None:
    pipeline = tracked.dataset / "pipeline.py"
    tracked.edit(tracked.dataset / "datasheet.md", "| 1.2.0 | 3 | made up |\n", "")
    unwritten = tracked.run(*REGISTER)
    assert "no line for 1.2.0 in its history" in unwritten.error
    assert "dslp data version visits --write" in unwritten.error
    tracked.git("checkout", "--", ".")
    impossible = "  - {type: expect_column_values_to_be_null, kwargs: {column: id}}\n"
    write_suite(tracked, impossible)
    tracked.commit()
    failing = tracked.run(*REGISTER)
    assert "its suite does not hold" in failing.error
    pipeline.touch()
    stale = tracked.run(*REGISTER)
    assert "or what that takes, is newer than what it built" in stale.error
    assert [one.code for one in (unwritten, failing, stale)] == [1, 1, 1]
    assert runs(tracked.client) == []


@pytest.mark.rule("D6")
def test_an_interrupted_registration_has_registered_nothing(tracked: Toy) -> None:
    killed = """
        import os
        from dslp.data import dataset, registration
        from dslp.core.settings import Project
        from mlflow import MlflowClient
        MlflowClient.log_artifact = lambda *_, **__: os.kill(os.getpid(), 9)
        facts = {"dataset": "visits", "dataset_version": "1.2.0", "dataset_digest": "d", "rows": 3}
        registration._registered(dataset.Dataset(Project.find(), "visits"), facts)
    """
    command = [sys.executable, "-c", textwrap.dedent(killed)]
    assert subprocess.run(command, cwd=tracked.root, check=False).returncode == -9
    assert [run.info.status for run in runs(tracked.client)] == ["RUNNING"]
    assert last_registered(visits(tracked)) is None
    assert "is registered" in tracked.done(*REGISTER).out
    assert counted(tracked) == 1


@pytest.mark.rule("D6")
def test_what_another_program_wrote_is_no_version(tracked: Toy) -> None:
    client, place = tracked.client, (tracked.root / "mlruns" / "artifacts").as_uri()
    experiment = client.create_experiment("datasets", place)
    tags = {"kind": "dataset", "dataset": "visits", "dataset_version": "1.2.0"}
    tags = {f"dslp.{name}": value for name, value in tags.items()}
    odd = [{**tags, "dslp.dataset_version": "x", "dslp.dataset_digest": "d"}, tags]
    for each in [*odd, {**tags, "dslp.dataset_version": ""}]:
        run = client.create_run(experiment, tags=each)
        client.set_terminated(run.info.run_id)
    assert "1.2.0 is registered" in tracked.done(*REGISTER).out
    assert counted(tracked) == 4


@pytest.mark.rule("D6")
@pytest.mark.parametrize("tracking", ["file:///tmp/mlruns", "/tmp/mlruns", "mlruns"])
def test_any_file_is_one_of_this_machine(built: Toy, tracking: str) -> None:
    outcome = built.run(*REGISTER, CI="true", MLFLOW_TRACKING_URI=tracking)
    assert outcome.code == 2
    assert "tracking is a file of this machine" in outcome.error


@pytest.mark.rule("D6")
def test_a_table_that_holds_vouches_for_no_file(tracked: Toy) -> None:
    tracked.done("data", "build", DSLP_ENGINE="sql")
    tracked.with_rows(tracked.rows().assign(visits=-1))
    tracked.done("data", "validate", DSLP_ENGINE="sql")
    refused = tracked.run(*REGISTER, DSLP_ENGINE="sql")
    assert refused.code == 1
    assert "its suite does not hold" in refused.error
    assert "--engine embedded" in refused.error


@pytest.mark.rule("D6")
def test_in_ci_a_file_of_the_machine_is_no_registry(tracked: Toy, tmp_path: Path) -> None:
    outcome = tracked.done(*REGISTER, "--record", str(tmp_path / "records"), CI="true")
    assert "visits 1.2.0 is NOT registered: tracking is a file of this machine" in outcome.out
    record = json.loads((tmp_path / "records" / "visits-1.2.0.json").read_text(encoding="utf-8"))
    assert record["dataset_digest"] == digest(visits(tracked))
    assert (record["rows"], record["clean"]) == (300, "true")
    assert runs(tracked.client) == []
    nowhere = tracked.run(*REGISTER, GITHUB_ACTIONS="true")
    assert nowhere.code == 2
    assert "is not registered: tracking is a file" in nowhere.error


def test_a_project_without_tracking_says_which_answer_brings_it(
    tracked: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (connection,):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    outcome = tracked.run(*REGISTER)
    assert outcome.code == 2
    assert "components" in outcome.error
    assert "experiments" in outcome.error
    assert last_registered(visits(tracked)) is None


@pytest.mark.slow
@pytest.mark.rule("D6")
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_has_the_record_for_everybody(built: Toy, server: str) -> None:
    built.commit()
    built.done(*REGISTER, MLFLOW_TRACKING_URI=server, CI="true")
    (run,) = runs(MlflowClient(server))
    assert run.info.status == "FINISHED"
    again = built.done(*REGISTER, MLFLOW_TRACKING_URI=server)
    assert "was registered before" in again.out
    built.with_rows(built.rows().head())
    other = built.run(
        *("data", "push", "visits", "--to", str(built.root)), MLFLOW_TRACKING_URI=server
    )
    assert "visits 1.2.0 is registered with other content" in other.error
    built.edit(built.dataset / "schema.yml", "amount: {type: double}", "price: {type: double}")
    built.edit(built.dataset / "pipeline.py", "return raw", 'return raw.rename({"amount": "x"})')
    small = built.run("data", "version", "visits", MLFLOW_TRACKING_URI=server)
    assert small.code == 1
    assert "2.0.0" in small.error


@pytest.mark.rule("D6")
def test_with_build_only_what_ci_can_build_is_registered(tracked: Toy, tmp_path: Path) -> None:
    tracked.processed.unlink()
    tracked.pipeline("def build(raw):\n    return raw", "secret")
    tracked.edit(tracked.dataset.with_name("secret") / "datasheet.md", "owner:", "ci: none\nowner:")
    tracked.pipeline("def build(secret):\n    return secret", "derived")
    summary = tmp_path / "summary.md"
    outcome = tracked.done("data", "register", "--build", GITHUB_STEP_SUMMARY=str(summary))
    assert "secret: ci is none in its datasheet; do this where the data is" in outcome.out
    assert "derived: ci is none in secret's datasheet; do this where" in outcome.out
    assert "visits 1.2.0 is registered" in outcome.out
    assert len(summary.read_text(encoding="utf-8").splitlines()) == 3
    for name, ci in (("a_broken", "build"), ("a_broken_secret", "none")):
        tracked.pipeline("import nosuchdriver\n\n\ndef build(raw):\n    return raw", name)
        sheet = tracked.dataset.with_name(name) / "datasheet.md"
        tracked.edit(sheet, "owner:", f"ci: {ci}\nowner:")
    outcome = tracked.run("data", "register", "--build")
    assert "nosuchdriver" in outcome.error
    assert "a_broken_secret: ci is none" in outcome.out
    assert "visits 1.2.0 was registered before" in outcome.out


def test_where_no_tracking_is_known_the_version_is_what_is_built(
    built: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.edit(built.root / "pyproject.toml", 'tracking = "local"', 'tracking = "server"')
    monkeypatch.chdir(built.root)
    assert len(dslp.load("visits", version="1.2.0")) == 300
    with pytest.raises(DslpError, match=r"data pull visits --version 1.3.0$"):
        dslp.load("visits", version="1.3.0")


def test_a_registered_version_is_there_for_notebooks(
    tracked: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tracked.rows()
    tracked.done(*REGISTER)
    with tracked.processed.open("r+b") as file:  # in place, as pandas writes
        file.write(b"x" * 99)
    (tracked.root / "notebooks").mkdir()
    monkeypatch.chdir(tracked.root / "notebooks")
    tracked.pipeline("def build(raw):\n    return raw.assign(visits=1)")
    tracked.edit(tracked.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    tracked.done("data", "build")
    pd.testing.assert_frame_equal(dslp.load("visits", version="1.2.0"), first)
    assert list(dslp.load("visits", "1.2.0", columns=["id", "day"])) == ["id", "day"]
    assert set(dslp.load("visits")["visits"]) == {1}
    with pytest.raises(DslpError, match="uv run dslp data register visits"):
        dslp.load("visits", "1.3.0")


def test_a_version_is_what_was_registered_and_not_what_was_made_of_it(
    tracked: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tracked.rows()
    tracked.done(*REGISTER)
    tracked.processed.with_name("visits-1.2.0.parquet").unlink()
    monkeypatch.chdir(tracked.root)
    pd.testing.assert_frame_equal(dslp.load("visits", version="1.2.0"), first)
    tracked.pipeline("def build(raw):\n    return raw.assign(visits=1)")
    tracked.done("data", "build")
    with pytest.raises(DslpError, match="build it from commit"):
        dslp.load("visits", version="1.2.0")


def test_a_version_that_is_not_here_says_how_to_get_it(
    tracked: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.done(*REGISTER)
    (tracked.processed.with_name("visits-1.2.0.parquet")).unlink()
    tracked.with_rows(tracked.rows().head())
    tracked.edit(tracked.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    monkeypatch.chdir(tracked.root)
    with pytest.raises(DslpError) as caught:
        dslp.load("visits", version="1.2.0")
    assert "uv run dslp data pull visits --version 1.2.0" in str(caught.value)
    assert f"from commit {tracked.git('rev-parse', 'HEAD')[:12]}" in str(caught.value)
    with pytest.raises(DslpError, match=r"'\.\./x' is no version"):
        dslp.load("visits", version="../x")
    with pytest.raises(DslpError, match=r"a list of names, such as \['visits'\]"):
        dslp.load("visits", columns="visits")
    with pytest.raises(DslpError, match="nonsense"):
        dslp.load("visits", columns=["nonsense"])
