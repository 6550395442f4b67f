"""A dataset version is registered once, whole, with what it holds and where it came from."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import dslp
import pandas as pd
import pytest
from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from dslp.tracking import connection
from mlflow import MlflowClient

from tests.library.data.suites import fails, write_suite
from tests.library.toy import Toy

REGISTER = ("data", "register", "visits")
VERSION = ("data", "version", "visits")


def runs(client: MlflowClient) -> list[Any]:
    """What is recorded of datasets, in whatever state."""
    experiment = client.get_experiment_by_name("datasets")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


@pytest.mark.rule("D6", "B10")
def test_a_version_is_recorded_with_what_it_holds_and_where_it_came_from(tracked: Toy) -> None:
    assert "visits 1.2.0 is registered" in tracked.done(*REGISTER).out
    (run,) = runs(tracked.client)
    whole = digest(Dataset(tracked.project, "visits"))
    expected = {"kind": "dataset", "dataset": "visits", "dataset_version": "1.2.0", "rows": "300"}
    expected |= {"dataset_digest": whole, "suite": "holds: 7 checks", "branch": "main"}
    expected |= {"commit": tracked.git("rev-parse", "HEAD"), "clean": "true"}
    assert {
        f"dslp.{key}": value for key, value in expected.items()
    }.items() <= run.data.tags.items()
    (shown,) = (one.dataset for one in run.inputs.dataset_inputs)
    assert (shown.name, shown.digest) == ("visits", whole[:36])
    assert json.loads(shown.profile) == {"num_rows": 300}
    assert {"name": "amount", "type": "double"} in json.loads(shown.schema)["mlflow_colspec"]


@pytest.mark.rule("D6", "I6", "D8")
def test_the_next_version_is_after_the_registered_one(tracked: Toy) -> None:
    tracked.done(*REGISTER)
    assert "(registered)" in tracked.done(*VERSION).out
    assert "was registered before, with the same content" in tracked.done(*REGISTER).out
    tracked.with_rows(tracked.rows().iloc[::-1].reset_index(drop=True))
    tracked.done(*REGISTER)  # another order is no other content
    tracked.with_rows(tracked.rows().assign(visits=1))
    assert "it takes 1.2.1 (patch: rerun" in fails(tracked, *REGISTER, code=1)
    assert len(runs(tracked.client)) == 1
    tracked.edit(tracked.dataset / "pipeline.py", "return raw", "return raw.copy()")
    assert "proposed: 1.3.0 (minor)" in tracked.run(*VERSION).out, "not built by this pipeline"
    tracked.done("data", "build")
    corrected = tracked.run(*VERSION).out
    assert re.search(r"correction or speed[^§]*proposed: 1\.2\.1 \(patch\)", corrected)
    shutil.rmtree(tracked.root / "mlruns" / "artifacts")
    without = tracked.run(*VERSION)
    assert "visits is not compared with what is registered: " in without.err
    assert "(in git, where this branch left main)" in without.out


@pytest.mark.rule("D6")
def test_what_is_not_ready_is_refused_with_what_to_do(
    tracked: Toy, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.edit(tracked.dataset / "datasheet.md", "| 1.2.0 | 3 | made up |\n", "")
    assert "no line for 1.2.0 in its history" in fails(tracked, *REGISTER, code=1)
    tracked.git("checkout", "--", ".")
    monkeypatch.setenv("DSLP_DATABASE_URL", postgres)
    tracked.done("data", "build", DSLP_ENGINE="sql")
    good = tracked.rows()
    tracked.with_rows(good.assign(visits=-1))
    vouched = fails(tracked, *REGISTER, code=1, DSLP_ENGINE="sql")
    assert "validate visits --engine embedded" in vouched, "the table holds, the file does not"
    tracked.with_rows(good)
    write_suite(tracked, "column_values_to_be_null | column: id")
    tracked.commit()
    assert "its suite does not hold" in fails(tracked, *REGISTER, code=1)
    tracked.done("data", "build")
    tracked.edit(tracked.dataset / "pipeline.py", "return raw", "return raw.head()")
    assert "not from the present pipeline.py and inputs" in fails(tracked, *REGISTER, code=1)
    assert runs(tracked.client) == []


@pytest.mark.rule("D6")
def test_what_was_interrupted_or_written_by_another_program_is_no_version(tracked: Toy) -> None:
    client, place = tracked.client, (tracked.root / "mlruns" / "artifacts").as_uri()
    experiment = client.create_experiment("datasets", place)
    tags = {"dslp.kind": "dataset", "dslp.dataset": "visits", "dslp.dataset_version": "1.2.0"}
    client.create_run(experiment, tags=tags | {"dslp.dataset_digest": "d"})  # it never ended
    for odd in (tags, tags | {"dslp.dataset_version": "x", "dslp.dataset_digest": "d"}):
        client.set_terminated(client.create_run(experiment, tags=odd).info.run_id)
    assert "(in git, where this branch" in tracked.done(*VERSION).out
    assert "1.2.0 is registered" in tracked.done(*REGISTER).out


@pytest.mark.rule("D6")
def test_in_ci_a_file_of_the_machine_is_no_registry(
    tracked: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = tracked.done(*REGISTER, "--record", str(tmp_path / "records"), CI="true")
    assert "visits 1.2.0 is NOT registered: tracking is a file of this machine" in outcome.out
    record = json.loads((tmp_path / "records" / "visits-1.2.0.json").read_text(encoding="utf-8"))
    assert record["dataset_digest"] == digest(Dataset(tracked.project, "visits"))
    assert (record["rows"], record["clean"]) == (300, "true")
    for file in ("file:///tmp/mlruns", "mlruns", ""):
        nowhere = fails(tracked, *REGISTER, GITHUB_ACTIONS="true", MLFLOW_TRACKING_URI=file)
        assert "is not registered: tracking is a file of this machine" in nowhere
    assert runs(tracked.client) == []
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    assert "components" in fails(tracked, *REGISTER)


@pytest.mark.slow
@pytest.mark.rule("D6", "I6")
@pytest.mark.xdist_group("mlflow-server")
def test_a_server_has_the_record_for_everybody(built: Toy, server: str) -> None:
    built.commit()
    built.done(*REGISTER, MLFLOW_TRACKING_URI=server, CI="true")
    (run,) = runs(MlflowClient(server))
    assert run.info.status == "FINISHED"
    assert "was registered before" in built.done(*REGISTER, MLFLOW_TRACKING_URI=server).out


@pytest.mark.rule("D6")
def test_with_build_only_what_ci_can_build_is_registered(tracked: Toy, tmp_path: Path) -> None:
    tracked.processed.unlink()
    broken = "import nosuchdriver\n\n\ndef build(raw):\n    return raw"
    for name, pipeline, ci in (
        ("secret", broken, "none"),
        ("derived", "def build(secret):\n    return secret", "build"),
        ("a_broken", broken, "build"),
    ):
        tracked.pipeline(pipeline, name)
        sheet = tracked.dataset.with_name(name) / "datasheet.md"
        tracked.edit(sheet, "owner:", f"ci: {ci}\nowner:")
    summary = tmp_path / "summary.md"
    outcome = tracked.run("data", "register", "--build", GITHUB_STEP_SUMMARY=str(summary))
    assert outcome.code == 2
    assert "nosuchdriver" in outcome.error
    assert "secret: ci is none in its datasheet; do this where the data is" in outcome.out
    assert "derived: ci is none in secret's datasheet; do this where" in outcome.out
    assert "visits 1.2.0 is registered" in outcome.out
    assert len(summary.read_text(encoding="utf-8").splitlines()) == 4


def test_a_registered_version_is_there_for_notebooks(
    tracked: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tracked.rows()
    tracked.done(*REGISTER)
    kept = tracked.processed.with_name("visits-1.2.0.parquet")
    (tracked.root / "notebooks").mkdir()
    monkeypatch.chdir(tracked.root / "notebooks")
    aside = kept.rename(tracked.root / "aside.parquet")
    pd.testing.assert_frame_equal(dslp.load("visits", version="1.2.0"), first)  # it is built
    tracked.pipeline("def build(raw):\n    return raw.assign(visits=1)")
    tracked.edit(tracked.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    tracked.done("data", "build")
    with pytest.raises(DslpError, match=r"1\.2\.0 is missing here, and there is no place"):
        dslp.load("visits", version="1.2.0")
    aside.rename(kept)
    with tracked.processed.open("r+b") as file:  # in place, as pandas writes
        file.seek(-99, 2)
    pd.testing.assert_frame_equal(dslp.load("visits", version="1.2.0"), first)
    assert list(dslp.load("visits", "1.2.0", columns=["id", "day"])) == ["id", "day"]
    assert set(dslp.load("visits")["visits"]) == {1}
    for message, arguments in (
        ("uv run dslp data register visits", {"version": "1.3.0"}),
        (r"'\.\./x' is no version", {"version": "../x"}),
        (r"a list of names, such as \['visits'\]", {"columns": "visits"}),
        ("has no column nonsense", {"columns": ["nonsense"]}),
    ):
        with pytest.raises(DslpError, match=message):
            dslp.load("visits", **arguments)
