"""How long a data suite takes, and how much memory, beside other libraries and plain SQL.

    uv run --group peers python -m benchmarks.data [--runs 3] [--only narrow wide ...] [--divide 10]

`narrow` is 20 expectations on real claims, drawn again and again with a fixed seed, with a date and
a key of text added; `wide` is 398 on 200 columns of numbers and text. Each run is a process of its
own. Its imports do not count; the work is from the Parquet file to the verdict, which every
contender must give, and which must be another one for data with one wrong row. The peak is that of
the whole process. The base is the same figures asked of DuckDB by hand.

On Spark, the session is there before, too; the places are this process with two threads and a
cluster of the tests: a master and two workers of one core. `process` compares whole processes.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.machine import spread, whole, write_table
from tests import services

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "template" / "src" / "{{ package_name }}" / "datasets" / "claims"
SIZES = {"narrow": 10_000_000, "wide": 1_000_000, "local": 10_000_000, "cluster": 10_000_000}
MEMORY = "3g"  # of this process's Java and of each worker's, for both; Spark's own default is 1g
HEALTH = ["poor", "fair", "good", "excellent"]
COINSURANCE = [0.0, 25.0, 50.0, 95.0, 100.0]
CODE = r"^C\d{9}$"
KNOWN = ["record_id", "person_id", "visits", "coinsurance", "health"]
RANGES = {
    "visits": (0, 200),
    "incentive_payment": (0, 1500),
    "expenditure_ceiling": (0, 4500),
    "physical_limitation": (0, 1),
}
FLOATS, INTEGERS, TEXTS = (
    [f"{letter}{number}" for number in range(count)]
    for letter, count in (("f", 100), ("n", 60), ("t", 39))
)
LETTERS = ["a", "b", "c", "d"]
Run = Callable[[], bool]  # whether the data is good


def column(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """An expectation of a column in Great Expectations' words."""
    return {"type": f"expect_column_{kind}", "kwargs": {"column": name, **more}}


def narrow_suite(rows: int) -> list[dict[str, Any]]:
    """Twenty expectations."""
    return [
        {"type": "expect_table_row_count_to_equal", "kwargs": {"value": rows}},
        *[column("values_to_not_be_null", name) for name in KNOWN],
        column("values_to_be_unique", "record_id"),
        column("values_to_be_unique", "claim"),
        column("values_to_be_in_set", "health", value_set=HEALTH),
        column("values_to_be_in_set", "coinsurance", value_set=COINSURANCE),
        column("distinct_values_to_equal_set", "health", value_set=HEALTH),
        *[
            column("values_to_be_between", name, min_value=least, max_value=most)
            for name, (least, most) in RANGES.items()
        ],
        column("values_to_match_regex", "claim", regex=CODE),
        column("mean_to_be_between", "visits", min_value=2.5, max_value=3.2),
        column("stdev_to_be_between", "visits", min_value=3.5, max_value=5.5),
        column(
            "quantile_values_to_be_between",
            "visits",
            quantile_ranges={"quantiles": [0.5, 0.9], "value_ranges": [[1, 2], [6, 9]]},
        ),
        {
            "type": "expect_column_pair_values_a_to_be_greater_than_b",
            "kwargs": {
                "column_A": "record_id",
                "column_B": "person_id",
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
            },
        },
    ]


def wide_suite() -> list[dict[str, Any]]:
    """Two expectations of each of 199 columns."""
    between = "values_to_be_between"
    return [
        *[column("values_to_not_be_null", name) for name in [*FLOATS, *INTEGERS, *TEXTS]],
        *[column(between, name, min_value=-4, max_value=4) for name in FLOATS],
        *[column(between, name, min_value=0, max_value=999) for name in INTEGERS],
        *[column("values_to_be_in_set", name, value_set=LETTERS) for name in TEXTS],
    ]


def make(file: Path, rows: int) -> None:
    """Write so many rows, a million at a time: the same ones each time."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    sys.path.insert(0, str(EXAMPLE))
    pipeline = import_module("pipeline")
    claims = pipeline.build(pipeline.extract())
    draw, writer = np.random.default_rng(1), None
    start = np.datetime64("2020-01-01", "us")
    for first in range(0, rows, 1_000_000):
        number = np.arange(first, min(first + 1_000_000, rows))
        part = claims.take(draw.integers(0, len(claims), len(number))).reset_index(drop=True)
        part["record_id"] = number + 1
        part["person_id"] = number // 4 + 1
        part["enrolled"] = start + draw.integers(0, 2000, len(number)) * np.timedelta64(1, "D")
        # A permutation of nine digits that keeps no order, so that the key is no counter.
        codes = pd.Series(number * 387_420_489 % 999_999_937)
        part["claim"] = codes.map("C{:09d}".format)
        table = pa.Table.from_pandas(part, preserve_index=False)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def make_wide(file: Path, rows: int) -> None:
    """Write so many rows of a key and 199 columns."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw, writer = np.random.default_rng(1), None
    for first in range(0, rows, 100_000):
        count = min(100_000, rows - first)
        columns = {"id": np.arange(first, first + count)}
        columns |= {name: draw.normal(size=count).round(3).clip(-4, 4) for name in FLOATS}
        columns |= {name: draw.integers(0, 1000, count, "int32") for name in INTEGERS}
        columns |= {name: np.array(LETTERS)[draw.integers(0, 4, count)] for name in TEXTS}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def narrow_limit(folder: Path, rows: int) -> Run:
    """The figures that the narrow suite needs, and no more, in three statements."""
    import duckdb

    def run() -> bool:
        table = source(folder, ["coinsurance", *list(RANGES)[1:]])
        tests = [f"count(*) = {rows}", *[f"count(*) = count({name})" for name in KNOWN]]
        tests += [
            f"min({name}) >= {low} AND max({name}) <= {high}"
            for name, (low, high) in RANGES.items()
        ]
        tests += [
            f"bool_and(health IN {tuple(HEALTH)})",
            "count(DISTINCT health) = 4",
            f"bool_and(coinsurance IN {tuple(COINSURANCE)})",
            f"bool_and(regexp_matches(claim, '{CODE}'))",
            "avg(visits) BETWEEN 2.5 AND 3.2",
            "stddev_samp(visits) BETWEEN 3.5 AND 5.5",
            "quantile_disc(visits, 0.5) BETWEEN 1 AND 2",
            "quantile_disc(visits, 0.9) BETWEEN 6 AND 9",
            "bool_and(record_id >= person_id)",
        ]
        results = duckdb.execute(f"SELECT {', '.join(tests)} FROM {table}").fetchone()
        return all(results or [False]) and not any(
            duckdb.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY {key} HAVING count(*) > 1)"
            ).fetchall()[0][0]
            for key in ("record_id", "claim")
        )

    return run


def pandera(folder: Path, rows: int) -> Run:
    """Pandera on polars; figures of a column by expressions of polars."""
    import pandera.polars as pa
    import polars as pl
    from pandera.errors import SchemaErrors

    def run() -> bool:
        def figure(of: Callable[[Any], Any], low: float, high: float) -> Any:
            return pa.Check(
                lambda data: data.lazyframe.select(of(pl.col(data.key)).is_between(low, high))
            )

        checks = {name: [pa.Check.in_range(*ends)] for name, ends in RANGES.items()}
        checks["health"] = [
            pa.Check.isin(HEALTH),
            pa.Check(
                lambda data: data.lazyframe.select(pl.col(data.key).n_unique() == len(HEALTH))
            ),
        ]
        checks["coinsurance"] = [pa.Check.isin(COINSURANCE)]
        checks["claim"] = [pa.Check.str_matches(CODE)]
        checks["visits"] += [
            figure(lambda column: column.mean(), 2.5, 3.2),
            figure(lambda column: column.std(), 3.5, 5.5),
            figure(lambda column: column.quantile(0.5), 1, 2),
            figure(lambda column: column.quantile(0.9), 6, 9),
        ]
        schema = pa.DataFrameSchema(
            {
                name: pa.Column(
                    checks=checks.get(name),
                    nullable=name not in KNOWN,
                    unique=name in ("record_id", "claim"),
                )
                for name in dict.fromkeys([*KNOWN, *checks])
            },
            checks=[
                pa.Check(lambda data: data.lazyframe.select(pl.len() == rows)),
                pa.Check(
                    lambda data: data.lazyframe.select(pl.col("record_id") >= pl.col("person_id"))
                ),
            ],
        )
        try:
            schema.validate(pl.read_parquet(file(folder)), lazy=True)
        except SchemaErrors:
            return False
        return True

    return run


def pointblank(folder: Path, rows: int) -> Run:
    """Pointblank on polars; figures of a column by expressions of polars."""
    import pointblank as pb
    import polars as pl

    def holds(expression: pl.Expr) -> Callable[[pl.DataFrame], bool]:
        return lambda frame: bool(frame.select(expression).item())

    def run() -> bool:
        visits = pl.col("visits")
        plan = pb.Validate(pl.read_parquet(file(folder))).row_count_match(rows)
        plan = plan.col_vals_not_null(KNOWN)
        plan = plan.rows_distinct(["record_id"]).rows_distinct(["claim"])
        plan = plan.col_vals_in_set("health", HEALTH).col_vals_in_set("coinsurance", COINSURANCE)
        for name, (low, high) in RANGES.items():
            plan = plan.col_vals_between(name, low, high)
        plan = plan.col_vals_regex("claim", CODE)
        plan = plan.col_vals_ge("record_id", pb.col("person_id"))
        for expression in (
            pl.col("health").n_unique() == len(HEALTH),
            visits.mean().is_between(2.5, 3.2),
            visits.std().is_between(3.5, 5.5),
            visits.quantile(0.5).is_between(1, 2) & visits.quantile(0.9).is_between(6, 9),
        ):
            plan = plan.specially(holds(expression))
        return bool(plan.interrogate().all_passed())

    return run


def wide_limit(folder: Path, rows: int) -> Run:
    """The figures that the wide suite needs, in one statement."""
    import duckdb

    def run() -> bool:
        names = [*FLOATS, *INTEGERS, *TEXTS]
        tests = [f"count(*) = count({name})" for name in names]
        tests += [f"min({name}) >= -4 AND max({name}) <= 4" for name in FLOATS]
        tests += [f"min({name}) >= 0 AND max({name}) <= 999" for name in INTEGERS]
        tests += [f"bool_and({name} IN {tuple(LETTERS)})" for name in TEXTS]
        query = f"SELECT {', '.join(tests)} FROM {source(folder, FLOATS)}"
        return all(duckdb.execute(query).fetchone() or [False])

    return run


def source(folder: Path, floats: Sequence[str]) -> str:
    """The table in DuckDB's SQL; NaN is missing, and DuckDB 2 folds `isnan` by statistics."""
    columns = [
        f"CASE WHEN isfinite({name}) OR abs({name}) = 'Infinity'::DOUBLE THEN {name} END AS {name}"
        for name in floats
    ]
    return f"(SELECT * REPLACE ({', '.join(columns)}) FROM read_parquet('{file(folder)}'))"


def ours(folder: Path, rows: int) -> Run:
    """`dslp data validate` without the comparison with schema.yml."""
    import duckdb  # noqa: F401
    import sqlglot.dialects.duckdb  # noqa: F401
    from dslp.core.settings import Project
    from dslp.data.dataset import Dataset
    from dslp.data.suite import validate

    dataset = Dataset(Project.find(folder), "claims")
    return lambda: validate(dataset, "embedded", dataset.folder / "suite.yml").ok


def with_schema(folder: Path, rows: int) -> Run:
    """`dslp data validate`, whose schema has a key."""
    from dslp.core.settings import Project
    from dslp.data.dataset import Dataset
    from dslp.data.suite import validate

    ours(folder, rows)
    import_module("pyarrow.parquet")
    return lambda: validate(Dataset(Project.find(folder), "claims"), "embedded").ok


def digested(folder: Path, rows: int) -> Run:
    """The digest of the content, which every record of the data has."""
    import pyarrow  # noqa: F401
    from dslp.core.settings import Project
    from dslp.data.dataset import Dataset
    from dslp.data.fingerprint import digest

    return lambda: bool(digest(Dataset(Project.find(folder), "claims")))


def ours_on_spark(folder: Path, rows: int) -> Run:
    """`dslp data validate --engine spark`."""
    from dslp.core.settings import Project
    from dslp.data.dataset import Dataset
    from dslp.data.spark import spark_session
    from dslp.data.suite import validate

    spark_session()
    return lambda: validate(Dataset(Project.find(folder), "claims"), "spark").ok


def documented_on_spark(folder: Path, rows: int) -> Run:
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
        for one in narrow_suite(rows):
            expectations.add_expectation(ExpectationConfiguration(**one).to_domain_obj())
        frame = session.read.parquet(str(file(folder)))
        batch = whole.get_batch(batch_parameters={"dataframe": frame})
        return bool(batch.validate(expectations, result_format="BOOLEAN_ONLY").success)

    return run


BASE = "hand-written SQL on DuckDB"
DIGEST = "digest"
Prepare = Callable[[Path, int], Run]
SPARK: dict[str, tuple[Prepare, str]] = {
    "Great Expectations": (documented_on_spark, ""),
    "dslp": (ours_on_spark, "time 0.4, cluster 0.5; 2 jobs"),
}
# The first of each place is what the others are compared with; and what they must not exceed.
CONTENDERS: dict[str, dict[str, tuple[Prepare, str]]] = {
    "narrow": {
        BASE: (narrow_limit, ""),
        "dslp": (ours, "1.15, 1.15"),
        "dslp with schema and key": (with_schema, ""),
        "pandera on polars": (pandera, "above dslp's time"),
        "pointblank on polars": (pointblank, "time above dslp's / 1.3, twice its memory"),
    },
    "wide": {
        BASE: (wide_limit, ""),
        "dslp": (ours, "0.9, 1.1"),
        DIGEST: (digested, "memory 1.2"),
    },
    "local": SPARK,
    "cluster": SPARK,
}


def file(folder: Path) -> Path:
    """The data, where the tool looks for it."""
    return folder / "data" / "processed" / "claims.parquet"


def project(folder: Path, rows: int, wide: bool) -> None:
    """A project around so many rows."""
    import pyarrow.parquet as pq
    import yaml

    dataset = folder / "src" / "claims" / "datasets" / "claims"
    dataset.mkdir(parents=True)
    file(folder).parent.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.dslp]\npackage = "claims"\n')
    items = wide_suite() if wide else narrow_suite(rows)
    (dataset / "suite.yml").write_text(yaml.safe_dump({"expectations": items}))
    (dataset / "datasheet.md").write_bytes((EXAMPLE / "datasheet.md").read_bytes())
    (make_wide if wide else make)(file(folder), rows)
    columns = {
        each.name: {
            "type": str(each.type).removeprefix("large_"),
            "nullable": True,
            "description": "-",
        }
        for each in pq.read_schema(file(folder))
    }
    schema = {"key": ["id" if wide else "record_id"], "columns": columns}
    (dataset / "schema.yml").write_text(yaml.safe_dump(schema))


def spoil(path: Path) -> None:
    """Make every value of the last row null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    last = pa.table({each.name: pa.nulls(1, each.type) for each in table.schema})
    pq.write_table(pa.concat_tables([table.slice(0, len(table) - 1), last]), path)


def contend(place: str, name: str, folder: Path, rows: int) -> dict[str, Any]:
    """The verdict, seconds, and peak in MB of this process; of Spark, the number of its jobs."""
    run = CONTENDERS[place][name][0](folder, rows)
    started = time.perf_counter()
    result: dict[str, Any] = {"good": run(), "work": time.perf_counter() - started}
    status = Path("/proc/self/status").read_text()  # what getrusage says begins with the parent's
    result["peak"] = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    if CONTENDERS[place] is SPARK:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
        assert session is not None
        result["jobs"] = len(session.sparkContext.statusTracker().getJobIdsForGroup())
    return result


def start(place: str, name: str, folder: Path, rows: int) -> dict[str, Any]:
    """The same of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data", "--only", place, "--contender", name]
    done = subprocess.run(
        [*command, "--folder", str(folder), "--rows", str(rows)],
        cwd=ROOT,
        env=os.environ | dict.fromkeys(("SPARK_DRIVER_MEMORY", "SPARK_EXECUTOR_MEMORY"), MEMORY),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(place: str, folder: Path, rows: int, runs: int) -> Iterator[list[str]]:
    """A line of the table for each contender; they take turns, so that all meet the same noise."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS[place]}
    for _ in range(runs):
        for name, of_name in results.items():
            of_name.append(start(place, name, folder, rows))
            assert of_name[-1]["good"], f"{name} finds good data bad"
    figures = {
        name: [(one["work"], one["peak"]) for one in of_name] for name, of_name in results.items()
    }
    for name, taken in figures.items():
        jobs = f", {results[name][0]['jobs']} jobs" if "jobs" in results[name][0] else ""
        bar = CONTENDERS[place][name][1]
        base = figures[next(iter(figures))]
        yield line(f"{place}, {rows:,} rows: {name}{jobs}", taken, base, bar)


def line(
    name: str,
    figures: Sequence[tuple[float, float]],
    base: Sequence[tuple[float, float]],
    bar: str,
) -> list[str]:
    """A line of the table, of seconds and peaks: medians, and what they are of the base's."""
    seconds, peaks = zip(*figures, strict=True)
    time_ratio, peak_ratio = (
        statistics.median(ours) / statistics.median(others)
        for ours, others in zip((seconds, peaks), zip(*base, strict=True), strict=True)
    )
    peak = f"{statistics.median(peaks):,.0f}"
    return [name, spread(seconds), f"{time_ratio:.2f}", peak, f"{peak_ratio:.2f}", bar]


def compare_processes(folder: Path, runs: int) -> Iterator[list[str]]:
    """Lines of whole processes: the example's suite, beside one import."""
    (folder / "pyproject.toml").write_text('[tool.dslp]\npackage = "example"\n')
    shutil.copytree(EXAMPLE, folder / "src" / "example" / "datasets" / "claims")
    dslp = [sys.executable, "-m", "dslp", "data"]
    commands = {
        "import great_expectations": ([sys.executable, "-c", "import great_expectations"], ""),
        "dslp data validate claims --fresh": (
            [*dslp, "validate", "claims", "--fresh"],
            "time 0.25",
        ),
        "dslp data validate claims": ([*dslp, "validate", "claims"], "time 0.15"),
    }
    whole([*dslp, "build", "claims"], folder)
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, _) in commands.items():
            process = whole(command, folder)
            figures[name].append((process.wall, process.peak))
    for name, of_name in figures.items():
        base = figures[next(iter(figures))]
        yield line(f"whole process: {name}", of_name, base, commands[name][1])


def main() -> None:
    """Let each contender run in turn, a few times over, and write one table of all places."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[*SIZES, "process"])
    parser.add_argument("--divide", type=int, default=1, help="fewer rows, for a first try")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        place, name = options.only[0], options.contender
        print(json.dumps(contend(place, name, options.folder, options.rows)))
        return
    notes = "".join(
        f"; {name} {version(name)}"
        for name in ("duckdb", "great-expectations", "pandera", "pointblank", "polars", "pyspark")
    )
    for place in options.only:
        with tempfile.TemporaryDirectory() as name, ExitStack() as running:
            lines = measure(place, Path(name), running, options.runs, options.divide)
        heads = ["work", "seconds", "÷ first", "peak, MB", "÷ first", "bar"]
        write_table(f"data-{place}", heads, lines, notes, options.runs)


def measure(
    place: str, folder: Path, running: ExitStack, runs: int, divide: int
) -> list[list[str]]:
    """The lines of the table of one place."""
    if place == "process":
        return list(compare_processes(folder, runs))
    os.environ["SPARK_MASTER"] = "local[2]"
    if place == "cluster":
        servers = Path(running.enter_context(tempfile.TemporaryDirectory()))
        os.environ["SPARK_MASTER"] = running.enter_context(services.spark(servers, MEMORY))
    check_verdicts(place, folder / "wrong")
    rows = SIZES[place] // divide
    project(folder / "good", rows, place == "wide")
    return list(compare(place, folder / "good", rows, runs))


def check_verdicts(place: str, folder: Path) -> None:
    """Check that every contender finds data bad whose last row is null."""
    rows = 100_000
    project(folder, rows, place == "wide")
    spoil(file(folder))
    for name in CONTENDERS[place]:
        good = name == DIGEST or start(place, name, folder, rows)["good"]
        assert good == (name == DIGEST), f"{name} finds bad data good"


if __name__ == "__main__":
    main()
