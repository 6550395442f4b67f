"""Spark: the suite says there what it says elsewhere, in a few jobs, here and on a cluster."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pandas as pd
import pytest
from dslp.data.spark import spark_session

from tests import services
from tests.library.data import suites
from tests.library.data.suites import fails, write_suite
from tests.library.toy import Toy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A master with two workers, which only what names it talks to."""
    with services.spark(tmp_path_factory.mktemp("spark")) as master:
        yield master


@pytest.fixture
def master(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the suite runs; a process has one session, so another one begins with another."""
    from pyspark.sql import SparkSession

    address = str(request.param)
    if address == "cluster":
        address = str(request.getfixturevalue("cluster"))
    session = SparkSession.getActiveSession()
    if session is not None and session.sparkContext.master != address:
        session.stop()
    monkeypatch.setenv("SPARK_MASTER", address)
    return address


def jobs() -> int:
    """Jobs of this process's session so far."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    return len(session.sparkContext.statusTracker().getJobIdsForGroup(None))


@pytest.mark.rule("G3")
@pytest.mark.parametrize("master", ["local[2]"], indirect=True)
def test_spark_finds_what_other_engines_find_in_a_few_jobs(built: Toy, master: str) -> None:
    spark_session()
    before = jobs()
    assert built.validated("spark").ok
    assert jobs() - before <= 3
    built.with_rows(suites.with_faults(built.rows()))
    assert suites.shown(built, "spark") == suites.shown(built)
    command = ("data", "validate", "--engine", "spark")
    assert "has a session at local[2]" in fails(built, *command, SPARK_MASTER="local[7]")
    built.with_rows(built.rows().assign(at=pd.Series([time(12, 30)] * 300)))
    assert "Spark has no type for column at of" in fails(built, *command)


@pytest.mark.parametrize("master", ["local[2]"], indirect=True)
def test_csv_is_read_as_elsewhere(built: Toy, master: str) -> None:
    """Spark's own reader takes no offset and no space, and drops the time of a date."""
    built.processed.unlink()
    file = built.processed.with_suffix(".csv")
    types = {"at": "timestamp[us, tz=UTC]", "small": "uint8", "day": "date32[day]"}
    columns = "".join(f"  {name}: {{type: '{kind}'}}\n" for name, kind in types.items())
    (built.dataset / "schema.yml").write_text(f"columns:\n{columns}")
    write_suite(built, 'column_max_to_be_between | column: at, max_value: "2024-01-01 10:30:00"')
    row = "2024-01-01 12:30:00+02:00, 200,2024-01-01"
    file.write_text(f"at,small,day\n{row}\n")
    assert built.validated("spark").ok
    file.write_text(f"at,small,day\n{row} 12:30:00\n")
    error = fails(built, "data", "validate", "--engine", "spark")
    assert "row 1: column day has 2024-01-01 12:30:00, which is no date" in error


@pytest.mark.campaign
@pytest.mark.rule("G3")
@pytest.mark.parametrize("layout", suites.LAYOUTS)
@pytest.mark.parametrize("master", ["local[2]", "cluster"], indirect=True)
def test_spark_reads_each_layout_here_and_on_a_cluster(
    built: Toy, master: str, layout: str
) -> None:
    suites.lay_out(built, layout, suites.with_faults(built.rows()))
    assert suites.shown(built, "spark") == suites.shown(built) != []


@pytest.mark.campaign
def test_a_master_without_workers_is_named(tmp_path: Path) -> None:
    command = "from dslp.data import spark; spark.WORKERS = 6; spark.spark_session()"
    with services.spark(tmp_path, workers=0) as address:
        done = subprocess.run(
            [sys.executable, "-c", command],
            env=os.environ | {"SPARK_MASTER": address},
            capture_output=True,
            text=True,
        )
    assert f"the Spark master at {address} has no worker that answers" in done.stderr


@pytest.mark.parametrize("case", ["no master", "no java", "old java", "no pyspark"])
def test_a_session_that_cannot_start_says_why(tmp_path: Path, case: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"spark://127.0.0.1:{free.getsockname()[1]}"
    variables = {"SPARK_MASTER": address if case == "no master" else "local[1]"}
    variables |= {"JAVA_HOME": str(tmp_path)} if "java" in case else {}
    if case == "old java":
        (tmp_path / "bin").mkdir()
        error = "java.lang.UnsupportedClassVersionError: version 61.0"
        (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\necho '{error}' >&2; exit 1\n")
        (tmp_path / "bin" / "java").chmod(0o755)
    absent = "sys.modules['pyspark'] = None; " if case == "no pyspark" else ""
    command = f"import sys; {absent}from dslp.data.spark import spark_session; spark_session()"
    done = subprocess.run(
        [sys.executable, "-c", command], env=os.environ | variables, capture_output=True, text=True
    )
    error = done.stderr.splitlines()[-1]
    message = {
        "no master": f"DslpError: no Spark master answers at {address}",
        "no pyspark": "DslpError: the engine spark needs dslp[spark]",
    }.get(case, "DslpError: Spark does not start (")
    assert message in error
    assert ("Java 17 or newer" in error) == ("java" in case)
