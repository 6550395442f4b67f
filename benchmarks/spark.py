"""How long a data suite takes on Spark, and in how many jobs: as Great Expectations is, and ours.

    uv run python -m benchmarks.spark [--rows 1000000] [--runs 3] [--only "local[2]"]

Rows and suite are those of `benchmarks.data`. The places are this process with two threads, and a
cluster of the tests: a master and two workers of one core. Each run is a process of its own whose
session and imports are there before, since they take as long for both; reading is within the time.
CPU is what Spark's tasks used: it says the same on a busy machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.data import file, project, suite
from benchmarks.machine import describe, row
from tests import services

MEMORY = "3g"  # of this process's Java and of each worker's, for both; Spark's own default is 1g

SIZES = ("SPARK_DRIVER_MEMORY", "SPARK_EXECUTOR_MEMORY")


def main() -> None:
    """Let each engine run in turn, a few times over, in each place."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10**6])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["local[2]", "cluster"])
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        print(json.dumps(CONTENDERS[asked.contender](asked.folder, asked.rows[0])))
        return
    print(f"{describe()}; 12 columns, {len(suite(1))} expectations, {asked.runs} runs")
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as name, ExitStack() as running:
            project(Path(name), rows)
            for place in asked.only:
                master = place
                if place == "cluster":
                    folder = running.enter_context(tempfile.TemporaryDirectory())
                    master = running.enter_context(services.spark(Path(folder), MEMORY))
                compare(Path(name), rows, place, master, asked.runs)


def compare(folder: Path, rows: int, place: str, master: str, runs: int) -> None:
    """Print what each took in one place; they take turns, so that both meet the same noise."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(runs):
        for name in CONTENDERS:
            command = [sys.executable, "-m", "benchmarks.spark", "--contender", name]
            done = subprocess.run(
                [*command, "--folder", str(folder), "--rows", str(rows)],
                env=os.environ | {"SPARK_MASTER": master} | dict.fromkeys(SIZES, MEMORY),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"\n{rows:,} rows, {place}")
    for name, figures in found.items():
        print(row(name, [each["wall"] for each in figures]) + f", {figures[0]['jobs']:.0f} jobs")
        print(row("  CPU of the tasks", [each["cpu"] for each in figures]))


def ours(folder: Path, rows: int) -> dict[str, float]:
    """`dslp data validate --engine spark`, its schema and all."""
    from dslp.core.settings import Project
    from dslp.data import spark
    from dslp.data.dataset import Dataset
    from dslp.data.suite import validate

    dataset = Dataset(Project.find(folder), "claims")
    return measured(spark.spark_session(), lambda: validate(dataset, "spark").ok)


def plain(folder: Path, rows: int) -> dict[str, float]:
    """Great Expectations on a data frame of Spark's, as its documentation has it."""
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.appName("plain")
        .master(os.environ["SPARK_MASTER"])
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )

    def run() -> bool:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_spark("spark").add_dataframe_asset("claims")
        whole = asset.add_batch_definition_whole_dataframe("whole")
        expectations = gx.ExpectationSuite(name="claims")
        for one in suite(rows):
            expectations.add_expectation(ExpectationConfiguration(**one).to_domain_obj())
        frame = session.read.parquet(str(file(folder)))
        batch = whole.get_batch(batch_parameters={"dataframe": frame})
        outcome = batch.validate(expectations, result_format="BOOLEAN_ONLY")
        wrong = [f"{each.exception_info}"[:500] for each in outcome.results if not each.success]
        assert not wrong, wrong  # not the data: it is good
        return bool(outcome.success)

    return measured(session, run)


CONTENDERS = {"Great Expectations": plain, "dslp": ours}


def measured(session: Any, run: Callable[[], bool]) -> dict[str, float]:
    """Seconds of the whole and of its tasks' processors, and the number of jobs."""
    started = time.perf_counter()
    assert run(), "finds the data bad"
    wall = time.perf_counter() - started
    context = session.sparkContext
    store, virtual = context._jsc.sc().statusStore(), context._gateway
    nothing = virtual.new_array(virtual.jvm.double, 0)
    stages = store.stageList(None, False, False, nothing, virtual.jvm.java.util.ArrayList())
    cpu = sum(stages.apply(number).executorCpuTime() for number in range(stages.size()))
    return {"wall": wall, "cpu": cpu / 1e9, "jobs": store.jobsList(None).size()}


if __name__ == "__main__":
    main()
