"""Running a dataset's suite, and saying in words what does not hold (D3)."""

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError, nearest
from dslp.core.files import read_yaml
from dslp.core.report import Finding, Report
from dslp.core.settings import CHOICES
from dslp.core.text import error_line
from dslp.data import sql_tables
from dslp.data.dataset import Dataset, dataset_names
from dslp.data.engines import column_names, open_batch
from dslp.data.schema import differences, key_columns

EXAMPLES = 3
HIDDEN = "not shown, as the data is personal"
NAMED = 1_000  # at most so many failing rows are fetched with their keys
# A missing table in the errors of the engines.
MISSING = re.compile(r"""(?:[Tt]able with name|table or view|table:|relation) ["`]?(\w+)""")
KIND = r"^[\w.]+(?:Error|Exception)\b"  # of an error, in a traceback
# The default of `ignore_row_if` for these expectations.
IGNORED = {
    "_pair_values_": "either_value_is_missing",
    "_multicolumn_sum_": "any_value_is_missing",
    "_unique_within_record": "any_value_is_missing",
}


def validate(
    dataset: Dataset,
    engine: str | None = None,
    suite: Path | None = None,
    part: bool = False,
) -> Report:
    """Compare a built dataset with its schema and run its suite, or another `suite` file alone.

    Where `part` says that the built data is a sample, expectations about the whole are skipped.
    Failing expectations run twice, the second time in more detail: the good case stays fast.

    Raises:
        DslpError: the suite is not valid, or the engine cannot run it.
    """
    engine = engine or dataset.project.engine
    if engine not in CHOICES["engine"]:
        raise DslpError(f"{engine!r} is no engine{nearest(engine, CHOICES['engine'])}")
    path = suite or dataset.folder / "suite.yml"
    expectations, findings = _expectations(path), []
    if suite is None:
        lines = differences(dataset, sql_tables.table_columns(dataset)) if engine == "sql" else []
        if engine != "sql" or dataset.is_built:
            lines = sorted({*lines, *differences(dataset)})
        findings = [Finding("schema", line, subject="table") for line in lines]
    skipped: list[str] = []
    if part:
        whole = [each for each in expectations if _is_about_the_whole(path, each)]
        skipped = [f"{', '.join(_subject(each))}: {each['type']}" for each in whole]
        expectations = [each for each in expectations if each not in whole]
    with open_batch(dataset, engine) as data:
        results = _run(path, data, expectations, result_format="BOOLEAN_ONLY")
        failing = [
            expectation
            for expectation, result in zip(expectations, results, strict=True)
            if not result["success"]
        ]
        for expectation, result in zip(failing, _details(path, data, failing), strict=True):
            findings.append(_finding(expectation, result, dataset))
    return Report(dataset.name, len(expectations) + (suite is None), findings, skipped)


def _expectations(where: Path) -> list[dict[str, Any]]:
    """The expectations of a suite file, `_normalized`.

    Raises:
        DslpError: it has none, or one of them is no mapping of type, kwargs and meta.
    """
    expectations = read_yaml(where).get("expectations")
    if not isinstance(expectations, list) or not expectations:
        raise DslpError(f"{where} has no expectations; write a list of type and kwargs")
    for number, expectation in enumerate(expectations, start=1):
        if not isinstance(expectation, dict) or not isinstance(expectation.get("type"), str):
            raise DslpError(f"{where}: expectation {number} has no type")
        for part in ("kwargs", "meta"):
            if not isinstance(expectation.get(part, {}), dict):
                raise DslpError(f"{where}: {part} of expectation {number} is no mapping")
    return [_normalized(each) for each in expectations]


def _is_about_the_whole(suite: Path, expectation: dict[str, Any]) -> bool:
    """Whether all rows may pass where a part of them fails, or the other way round."""
    from great_expectations.expectations.expectation import ColumnAggregateExpectation

    kind = expectation["type"]
    if kind == "expect_column_distinct_values_to_be_in_set":
        return False
    return (
        kind.startswith("expect_table_row_count_")
        or "z_scores" in kind
        or (expectation.get("kwargs") or {}).get("mostly", 1) != 1
        or isinstance(_read(suite, expectation), ColumnAggregateExpectation)
    )


def _normalized(expectation: dict[str, Any]) -> dict[str, Any]:
    """The same expectation in the one form that all engines read alike.

    Null is no value of a set; a date in quotes is a date, as Great Expectations reads it.
    """
    kwargs = dict(expectation.get("kwargs") or {})
    for name in ("min_value", "max_value"):
        if isinstance(kwargs.get(name), str):
            with suppress(ValueError):
                kwargs[name] = datetime.fromisoformat(kwargs[name])
    if isinstance(kwargs.get("value_set"), list):
        kwargs["value_set"] = [value for value in kwargs["value_set"] if value is not None]
    for part, missing in IGNORED.items():
        if part in expectation["type"]:
            kwargs.setdefault("ignore_row_if", missing)
    return {**expectation, "kwargs": kwargs} if "kwargs" in expectation else expectation


def _details(suite: Path, data: Any, failing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count and examples for each failing expectation, with whole rows where they are few."""
    results = _run(suite, data, failing, result_format="SUMMARY")
    few = [
        number
        for number, result in enumerate(results)
        if 0 < (result["result"].get("unexpected_count") or 0) <= NAMED
    ]
    rows = _run(
        suite,
        data,
        [failing[number] for number in few],
        result_format="COMPLETE",
        unexpected_index_column_names=column_names(data) if few else [],
    )
    for number, result in zip(few, rows, strict=True):
        if not _raised(result):
            results[number] = result
    return results


def _run(
    where: Path, data: Any, expectations: list[dict[str, Any]], **result_format: Any
) -> list[dict[str, Any]]:
    """Results in the order of `expectations`, which Great Expectations does not keep."""
    import great_expectations as gx

    if not expectations:
        return []
    suite = gx.ExpectationSuite(name=where.stem)
    suite.expectations += [_read(where, each, number) for number, each in enumerate(expectations)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of groups in a regular expression
            outcome = data.validate(suite, result_format=result_format)
    except Exception as error:  # the library raises anything about a wrong suite
        raise DslpError(f"{where} cannot be run: {error_line(error)}") from error
    results = sorted(
        (result.to_json_dict() for result in outcome.results),
        key=lambda result: int(result["expectation_config"]["meta"]["number"]),
    )
    for expectation, result in zip(expectations, results, strict=True):
        if re.search("NotImplementedError|No provider found", str(result["exception_info"])):
            raise DslpError(
                f"{where}: this engine cannot run {expectation['type']} ({_raised(result)}); "
                "choose another with --engine"
            )
        if expectation["type"] == "unexpected_rows_expectation" and result["result"]:
            result["result"]["unexpected_count"] = result["result"].pop("observed_value")
    return results


def _read(where: Path, expectation: dict[str, Any], number: int = 0) -> Any:
    """The expectation as an object; a suite of the library would drop an invalid one in silence."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    meta = {**(expectation.get("meta") or {}), "number": number}
    try:
        return ExpectationConfiguration(**{**expectation, "meta": meta}).to_domain_obj()
    except Exception as error:  # the library raises anything about a wrong expectation
        line = error_line(error)
        raise DslpError(f"{where}: {expectation['type']} cannot be read: {line}") from error


def _finding(expectation: dict[str, Any], result: dict[str, Any], dataset: Dataset) -> Finding:
    names = _subject(expectation)
    detail = result["result"]
    personal = dataset.sheet.personal_data  # then values of keys alone are shown
    observed = [f"{detail['observed_value']}"] if detail.get("observed_value") is not None else []
    if personal and observed and names != ["table"]:
        observed = [HIDDEN]
    observed += [text for text in (_mismatch(detail), _raised(result, dataset)) if text]
    return Finding(
        subject=", ".join(names),
        rule=expectation["type"],
        why=expectation.get("description", ""),
        problem=", ".join(observed),
        count=detail.get("unexpected_count"),
        examples=_examples(detail, names, key_columns(dataset), personal),
        severe=expectation.get("severity", "critical") == "critical",
    )


def _subject(expectation: dict[str, Any]) -> list[str]:
    kwargs = expectation.get("kwargs", {})
    return (
        kwargs.get("column_list")
        or [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
        or ["table"]
    )


def _examples(
    detail: dict[str, Any], names: Sequence[str], keys: Sequence[str], personal: bool
) -> list[str]:
    """Failing values with the keys of their rows, or without where there are too many rows.

    Of personal data, the keys alone.
    """
    if personal:
        rows = (detail.get("details") or {}).get("unexpected_rows", [])[:1]
        rows = rows or (detail.get("unexpected_index_list") or [])[:EXAMPLES]
        texts = [", ".join(f"{name} {row[name]}" for name in keys if name in row) for row in rows]
        return [text for text in texts if text]
    for row in (detail.get("details") or {}).get("unexpected_rows", [])[:1]:
        return [", ".join(f"{name} {value}" for name, value in row.items())]
    rows = detail.get("unexpected_index_list")
    if not rows:
        return [str(value) for value in detail.get("partial_unexpected_list", [])[:EXAMPLES]]
    shown = []
    for row in rows[:EXAMPLES]:
        others = [name for name in keys if name not in names and row.get(name) is not None]
        others = others or [name for name in row if name not in names][:EXAMPLES]
        value = ", ".join(f"{name} {row.get(name)}" for name in names)
        shown.append(value + " where " + ", ".join(f"{name} {row[name]}" for name in others))
    return shown


def _mismatch(detail: dict[str, Any]) -> str:
    if missing := detail.get("partial_missing_list"):
        return f"without {', '.join(map(str, missing))}"
    mismatched = (detail.get("details") or {}).get("mismatched")
    if not isinstance(mismatched, dict):
        return ""
    return ", ".join(f"{kind} {', '.join(map(str, names))}" for kind, names in mismatched.items())


def _raised(result: dict[str, Any], dataset: Dataset | None = None) -> str:
    """The error of an engine that could not run the expectation; empty where it could."""
    information = result["exception_info"]
    for entry in (information, *information.values()):
        if isinstance(entry, dict) and entry.get("exception_message"):
            message = str(entry["exception_message"]).split("[SQL: ")[0]  # not the user's SQL
            existing = dataset_names(dataset.project) if dataset else []
            missing = [name for name in MISSING.findall(message) if name in existing]
            if missing:
                name = missing[0]
                message = f"{name} is not built; build it: uv run dslp data build {name}"
            elif dataset and dataset.sheet.personal_data:  # the message may hold a value
                kinds = re.findall(KIND, str(entry.get("exception_traceback")), re.MULTILINE)
                message = kinds[-1] if kinds else HIDDEN
            return f"it could not be run: {error_line(message, 160)}"
    return ""
