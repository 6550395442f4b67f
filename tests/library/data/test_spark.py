"""Spark: the suite says there what it says elsewhere, in a few jobs, here and on a cluster."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import time
from pathlib import Path

import pandas as pd
import pytest

from tests import services
from tests.library.data.suites import (
    EDGES,
    EVERYTHING,
    FOUND,
    FOUND_AT_EDGES,
    FOUND_BY_OWN_SQL,
    LAYOUTS,
    OWN_SQL,
    at_edges,
    found,
    laid_out,
    with_faults,
)
from tests.library.toy import Toy

pytestmark = pytest.mark.slow

Write = Callable[[Toy, str], None]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A master with two workers, which only what names it talks to."""
    with services.spark(tmp_path_factory.mktemp("spark")) as master:
        yield master


@pytest.fixture(params=["local[2]", pytest.param("cluster", marks=pytest.mark.campaign)])
def master(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the suite runs; a process has one session, so another one begins with another."""
    from pyspark.sql import SparkSession

    named = request.param == "cluster"
    address = str(request.getfixturevalue("cluster") if named else request.param)
    session = SparkSession.getActiveSession()
    if session is not None and session.sparkContext.master != address:
        session.stop()
    monkeypatch.setenv("SPARK_MASTER", address)
    return address


only_local = pytest.mark.parametrize("master", ["local[2]"], indirect=True)


def jobs() -> int:
    """Jobs of this process's session so far."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    return len(session.sparkContext.statusTracker().getJobIdsForGroup(None))


@pytest.mark.rule("G3")
def test_spark_finds_what_the_embedded_engine_finds(
    built: Toy, write_suite: Write, master: str
) -> None:
    write_suite(built, EVERYTHING + OWN_SQL)
    built.with_rows(with_faults(built.rows()))
    assert found(built, "embedded") == FOUND | FOUND_BY_OWN_SQL
    spark, embedded = built.validated("spark"), built.validated("embedded")
    assert len(spark.findings) == len(embedded.findings)
    for one, other in zip(spark.findings, embedded.findings, strict=True):
        assert (one.subject, one.rule, one.count) == (
            other.subject,
            other.rule,
            other.count,
        )
        if any(" where " in each for each in other.examples):  # SQL gives no keys of some
            assert sorted(one.examples) == sorted(other.examples), one
        assert numbers(one.problem) == pytest.approx(numbers(other.problem)), one


def numbers(text: str) -> list[float]:
    """The numbers in an observation."""
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def test_a_suite_takes_fewer_jobs_than_it_has_expectations(
    built: Toy, write_suite: Write, master: str
) -> None:
    write_suite(built, EVERYTHING)
    assert built.validated("spark").ok
    before = jobs()
    report = built.validated("spark")
    assert report.ok
    assert jobs() - before <= 8 < report.checks / 3


@only_local
def test_what_cannot_be_computed_is_said_and_spoils_nothing_else(
    built: Toy, write_suite: Write, master: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "- {type: expect_column_values_to_be_between, kwargs: {column: kind, min_value: 0}}\n"
    write_suite(built, wrong + EVERYTHING)
    report = built.validated("spark")
    assert [each.subject for each in report.findings] == ["kind"]
    assert "could not be run" in report.findings[0].problem
    assert "QueryContextLogger" not in capsys.readouterr().err


@only_local
def test_a_sample_is_the_same_each_time(built: Toy, write_suite: Write, master: str) -> None:
    write_suite(built, "- {type: expect_column_values_to_be_null, kwargs: {column: id}}")
    first, second = (built.validated("spark", sample=100).findings[0] for _ in range(2))
    assert str(first) == str(second)
    assert first.count == 100
    assert built.validated("spark", sample=301).findings[0].count == 300


@only_local
@pytest.mark.parametrize(
    "layout",
    [LAYOUTS[0], *(pytest.param(layout, marks=pytest.mark.campaign) for layout in LAYOUTS[1:])],
)
def test_parts_and_csv_are_read_like_one_file(
    built: Toy, write_suite: Write, master: str, layout: str
) -> None:
    laid_out(built, layout)
    write_suite(built, EVERYTHING)
    assert found(built, "spark") == FOUND


@only_local
def test_engines_agree_where_they_would_not_by_themselves(
    built: Toy, write_suite: Write, master: str
) -> None:
    built.with_rows(at_edges())
    write_suite(built, EDGES)
    assert found(built, "spark") == FOUND_AT_EDGES


@only_local
def test_a_column_that_spark_cannot_read_is_named(built: Toy, master: str) -> None:
    built.with_rows(built.rows().assign(at=pd.Series([time(12, 30)] * 300)))
    outcome = built.run("data", "validate", "--engine", "spark")
    assert outcome.code == 2
    assert "Spark has no type for column at of" in outcome.error


def shell(toy: Toy, **variables: str) -> tuple[int, str]:
    """Validate on Spark in a process of its own: exit code and standard error."""
    outcome = toy.shell("data", "validate", "--engine", "spark", **variables)
    return outcome.code, outcome.err


def test_nothing_that_java_says_reaches_the_user(built: Toy) -> None:
    code, said = shell(built, SPARK_MASTER="local[1]")
    assert code == 0, said
    assert [line.split(":")[0].split(" ...")[0] for line in said.splitlines()] == [
        "validating visits",
        "validating visits",
    ]


def test_a_master_that_does_not_answer_is_named(built: Toy) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"spark://127.0.0.1:{free.getsockname()[1]}"
    code, said = shell(built, SPARK_MASTER=address)
    assert code == 2
    assert f"no Spark master answers at {address}" in said.splitlines()[-1]


@pytest.mark.parametrize("java", ["none", "old"])
def test_a_java_that_cannot_run_spark_is_said(built: Toy, tmp_path: Path, java: str) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    if java == "old":
        program.write_text(
            "#!/bin/sh\necho 'java.lang.UnsupportedClassVersionError: version 61.0' >&2; exit 1\n"
        )
        program.chmod(0o755)
    code, said = shell(built, SPARK_MASTER="local[1]", JAVA_HOME=str(tmp_path))
    assert code == 2, said
    assert said.splitlines()[-1].startswith("error: Spark does not start (")
    assert "Java 17 or newer" in said.splitlines()[-1]


def test_spark_that_is_not_installed_is_said(built: Toy) -> None:
    program = (
        "import sys; sys.modules['pyspark'] = None; sys.modules['pyspark.sql'] = None\n"
        "from dslp.cli import main; sys.argv[1:] = 'data validate --engine spark'.split()\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=built.root,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "error: the engine spark needs dslp[spark]" in done.stderr.splitlines()[-1]


@only_local
def test_a_session_elsewhere_is_not_taken_for_the_one_asked_for(
    built: Toy, write_suite: Write, master: str
) -> None:
    assert built.validated("spark").ok
    outcome = built.run("data", "validate", "--engine", "spark", SPARK_MASTER="local[7]")
    assert outcome.code == 2
    assert "this process has a session at local[2]" in outcome.error
