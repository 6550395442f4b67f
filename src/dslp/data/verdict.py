"""The verdict of a dataset's suite, kept beside the data while nothing that it has read changes.

Each experiment, test and commit may ask for it, since neither DuckDB nor Great Expectations is
needed then.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import write_text
from dslp.core.report import Finding, Report
from dslp.data.dataset import Dataset
from dslp.data.origin import content_digest

PROGRAMS = ("duckdb", "sqlglot", "great_expectations", "pandas", "pyspark")
KEPT = "kept since"  # among the details of a report: when the suite was run


def check_suite(
    dataset: Dataset, engine: str | None = None, fresh: bool = False, part: bool = False
) -> Report:
    """What schema and suite say of a built dataset (`suite.validate`), or said of the same data.

    The verdict is kept with digests of all that it has read: the data, suite, schema and datasheet,
    other datasets, the engine, and the versions of the programs. In CI, and where it reads what may
    change at any time, it is always asked for anew.

    Args:
        dataset: that was built.
        engine: that the suite runs on; by default the project's (`Project.choose_engine`).
        fresh: run the suite, whatever is kept.
        part: the built data is a sample, of which expectations about the whole are skipped.

    Raises:
        DslpError: the suite is not valid, or the engine cannot run it.
    """
    engine = dataset.project.choose_engine(engine)
    file = dataset.processed.with_suffix(".verdict.json")
    live = engine == "sql"  # a table may change at any time
    key = {} if live else _key(dataset, engine, part)
    if not (fresh or live or os.environ.get("CI")):
        with suppress(OSError, ValueError, TypeError, KeyError):  # none is kept, or no whole one
            kept = json.loads(file.read_text(encoding="utf-8"))
            findings = [Finding(**each) for each in kept["report"].pop("findings")]
            report = Report(**kept["report"], findings=findings)
            if kept["key"] == key and _are_unchanged(dataset, report.details["reads"]):
                return report
    from dslp.data.suite import validate

    report = validate(dataset, engine, part=part)
    unchanged = not live and key == _key(dataset, engine, part)
    if (
        unchanged
        and not report.details["changing"]
        and _are_unchanged(dataset, report.details["reads"])
    ):
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        content = asdict(replace(report, details={**report.details, KEPT: when}))
        with suppress(DslpError):  # a folder that cannot be written keeps none
            write_text(file, json.dumps({"key": key, "report": content}, indent=1))
    return report


def _key(dataset: Dataset, engine: str, part: bool) -> dict[str, Any]:
    """All that a verdict depends on besides other datasets, as JSON keeps it."""
    files = [file for file in Path(__file__).parent.iterdir() if file.is_file()]
    key: dict[str, Any] = {"engine": engine, "part": part, "dataset": dataset.content}
    key["library"] = [content_digest(file) for file in sorted(files)]
    for name in PROGRAMS:
        with suppress(PackageNotFoundError):
            key[name] = version(name)
    return key


def _are_unchanged(dataset: Dataset, reads: dict[str, str]) -> bool:
    """Whether other datasets are what they were when the suite read them."""
    others = {name: Dataset(dataset.project, name) for name in reads}
    return all(each.is_built and each.content == reads[name] for name, each in others.items())
