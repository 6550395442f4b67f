"""How long a data suite takes, and how much memory, beside other libraries and plain SQL.

    uv run --group peers python -m benchmarks.data [--rows 100000 1000000 10000000]
                                                   [--runs 3] [--only NAME...]

The rows are real claims, drawn again and again with a fixed seed, with a date and a key of text
added: 12 columns, 20 expectations. Each contender has a process of its own for each run. Imports
are told apart from the work, which is from the Parquet file (the table, for SQL) to the verdict;
the peak is that of the whole process. The limit is the same figures asked of DuckDB by hand. A
contender that does not find the data good has no figure.
"""

import argparse
import contextlib
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "template" / "src" / "{{ package_name }}" / "datasets" / "claims"
LIMIT = "hand-written SQL on DuckDB"
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


def suite(rows: int) -> list[dict[str, Any]]:
    """Twenty expectations in Great Expectations' words."""

    def column(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return {"type": f"expect_column_{kind}", "kwargs": {"column": name, **more}}

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


def make(file: Path, rows: int) -> None:
    """Write so many rows, a million at a time: the same ones each time."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    sys.path.insert(0, str(EXAMPLE))
    pipeline = importlib.import_module("pipeline")
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


def ours(engine: str) -> Callable[[Path, int], Callable[[], bool]]:
    """A contender: `dslp data validate` on that engine, its schema and all."""

    def prepare(folder: Path, rows: int) -> Callable[[], bool]:
        import duckdb  # noqa: F401
        from dslp.core.settings import Project
        from dslp.data.dataset import Dataset
        from dslp.data.suite import validate

        dataset = Dataset(Project.find(folder), "claims")
        return lambda: validate(dataset, engine).ok

    return prepare


def limit(folder: Path, rows: int) -> Callable[[], bool]:
    """The figures that the suite needs, and no more, in three statements."""
    import duckdb

    def run() -> bool:
        table = f"read_parquet('{file(folder)}')"
        asked = [f"count(*) = {rows}", *[f"count(*) = count({name})" for name in KNOWN]]
        asked += [
            f"min({name}) >= {low} AND max({name}) <= {high}"
            for name, (low, high) in RANGES.items()
        ]
        asked += [
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
        once = duckdb.execute(f"SELECT {', '.join(asked)} FROM {table}").fetchone()
        return all(once or [False]) and not any(
            duckdb.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY {key} HAVING count(*) > 1)"
            ).fetchall()[0][0]
            for key in ("record_id", "claim")
        )

    return run


def documented(folder: Path, rows: int) -> Callable[[], bool]:
    """Great Expectations on a data frame, step by step as its documentation has it."""
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    def run() -> bool:
        frame = pd.read_parquet(file(folder))
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("claims")
        whole = asset.add_batch_definition_whole_dataframe("whole")
        expectations = context.suites.add(gx.ExpectationSuite(name="claims"))
        for one in suite(rows):
            expectations.add_expectation(ExpectationConfiguration(**one).to_domain_obj())
        # A validation definition would do the same, but fails on the quantiles (NumPy's bool).
        batch = whole.get_batch(batch_parameters={"dataframe": frame})
        return bool(batch.validate(expectations).success)

    return run


def pandera_pandas(folder: Path, rows: int) -> Callable[[], bool]:
    """Pandera on pandas; figures of a column by functions of ours, as it has none for them."""
    import pandas as pd
    import pandera.pandas as pa

    def run() -> bool:
        checks = {name: [pa.Check.in_range(*ends)] for name, ends in RANGES.items()}
        checks["health"] = [
            pa.Check.isin(HEALTH),
            pa.Check(lambda values: set(values.unique()) == set(HEALTH)),
        ]
        checks["coinsurance"] = [pa.Check.isin(COINSURANCE)]
        checks["claim"] = [pa.Check.str_matches(CODE)]
        checks["visits"] += [
            pa.Check(lambda values: 2.5 <= values.mean() <= 3.2),
            pa.Check(lambda values: 3.5 <= values.std() <= 5.5),
            pa.Check(lambda values: 1 <= values.quantile(0.5) <= 2),
            pa.Check(lambda values: 6 <= values.quantile(0.9) <= 9),
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
                pa.Check(lambda frame: len(frame) == rows),
                pa.Check(lambda frame: frame["record_id"] >= frame["person_id"]),
            ],
        )
        return schema.validate(pd.read_parquet(file(folder)), lazy=True) is not None

    return run


def pandera_polars(folder: Path, rows: int) -> Callable[[], bool]:
    """The same on polars."""
    import pandera.polars as pa
    import polars as pl

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
        return schema.validate(pl.read_parquet(file(folder)), lazy=True) is not None

    return run


def pointblank(folder: Path, rows: int) -> Callable[[], bool]:
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


CONTENDERS: dict[str, Callable[[Path, int], Callable[[], bool]]] = {
    LIMIT: limit,
    "dslp, embedded": ours("embedded"),
    "dslp, sql": ours("sql"),
    "dslp, spark": ours("spark"),
    "GX on pandas, as documented": documented,
    "pandera on pandas": pandera_pandas,
    "pandera on polars": pandera_polars,
    "pointblank on polars": pointblank,
}


def file(folder: Path) -> Path:
    """The data, where the tool looks for it."""
    return folder / "data" / "processed" / "claims.parquet"


def project(folder: Path, rows: int) -> None:
    """A project around so many rows."""
    import yaml

    dataset = folder / "src" / "claims" / "datasets" / "claims"
    dataset.mkdir(parents=True)
    file(folder).parent.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.dslp]\npackage = "claims"\n')
    (dataset / "suite.yml").write_text(yaml.safe_dump({"expectations": suite(rows)}))
    (dataset / "datasheet.md").write_bytes((EXAMPLE / "datasheet.md").read_bytes())
    make(file(folder), rows)
    import pyarrow.parquet as pq

    columns = {
        each.name: {
            "type": str(each.type).removeprefix("large_"),
            "nullable": True,
            "description": "-",
        }
        for each in pq.read_schema(file(folder))
    }
    stated = {"key": ["record_id"], "columns": columns}
    (dataset / "schema.yml").write_text(yaml.safe_dump(stated))


def peak() -> float:
    """The most memory that this process and its children (Spark's) have held, in megabytes."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            said = dict(line.split(":", 1) for line in status.read_text().splitlines())
            if os.getpid() in (int(said["Pid"]), int(said["PPid"])) and "VmHWM" in said:
                total += int(said["VmHWM"].split()[0]) * 1024
    if not total:  # where there is no /proc; this one may be the parent's, from before it forked
        unit = 1 if sys.platform == "darwin" else 1024
        total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return total / 1e6


def contend(name: str, folder: Path, rows: int) -> None:
    """Run one contender in this process, and print its figures as JSON."""
    started = time.perf_counter()
    run = CONTENDERS[name](folder, rows)
    ready = time.perf_counter()
    good = run()
    done = time.perf_counter()
    figures = {"good": good, "imports": ready - started, "work": done - ready, "peak": peak()}
    print(json.dumps(figures), flush=True)


def main() -> None:
    """Let each contender run in turn, a few times over, and set it beside the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        contend(asked.contender, asked.folder, asked.rows[0])
        return
    print(f"{describe()}; 12 columns, 20 expectations, median of {asked.runs} runs")
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as name:
            project(Path(name), rows)
            if "dslp, sql" in asked.only:
                load(Path(name))
            compare(Path(name), rows, asked.only, asked.runs)


def load(folder: Path) -> None:
    """Put the rows into the table at DSLP_DATABASE_URL, untimed: the data lives there."""
    import pandas as pd
    from dslp.core.settings import Project
    from dslp.data.sql_tables import load_table as load_table

    load_table(pd.read_parquet(file(folder)), "claims", Project.find(folder))


def compare(folder: Path, rows: int, names: list[str], runs: int) -> None:
    """Print a table for so many rows; contenders take turns, so that all meet the same noise."""
    command = [sys.executable, "-m", "benchmarks.data"]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    said: dict[str, str] = {}
    for _ in range(runs):
        for name in names:
            done = subprocess.run(
                [*command, "--contender", name, "--folder", str(folder), "--rows", str(rows)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            answer = done.stdout.strip().splitlines()
            figures = json.loads(answer[-1]) if done.returncode == 0 and answer else {}
            if figures.get("good"):
                found[name].append(figures)
            else:
                said[name] = (done.stderr.strip().splitlines() or ["finds the data bad"])[-1]
    print(f"\n{rows:,} rows{'':<24} imports     work   of limit     peak")
    limit = (
        statistics.median(each["work"] for each in found.get(LIMIT, [])) if found.get(LIMIT) else 0
    )
    for name in names:
        if len(found[name]) < runs:
            print(f"{name:<32} no figure: {said[name][:90]}")
            continue
        imports, work, memory = (
            statistics.median(each[key] for each in found[name])
            for key in ("imports", "work", "peak")
        )
        ratio = f"{work / limit:7.2f} x" if limit else "        -"
        print(f"{name:<32} {imports:5.1f} s  {work:6.2f} s  {ratio}  {memory:6.0f} MB")


if __name__ == "__main__":
    main()
