"""Running a dataset's suite, and saying in words what does not hold (D3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.data.catalogue import Dataset
from lifecycle.data.engines import batch
from lifecycle.data.schema import columns, differences, key
from lifecycle.errors import LifecycleError

EXAMPLES = 3
NAMED = 1_000  # at most so many failing rows are fetched with their keys


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        subject: the column or columns, or `table`.
        expectation: what was expected, by Great Expectations' name, or `schema`.
        why: the sentence that the suite gives for it.
        observed: what was found instead, in words.
        count: number of rows, where the expectation is about rows.
        examples: some of those rows: the value, and the key of its row.
        severe: whether the dataset fails by it (a warning is shown, and does not fail).
    """

    subject: str
    expectation: str
    why: str = ""
    observed: str = ""
    count: int | None = None
    examples: Sequence[str] = ()
    severe: bool = True

    def __str__(self) -> str:
        rows = "" if self.count is None else f"{self.count:,} row" + "s" * (self.count != 1)
        lines = [f"{self.subject}: {self.expectation}" + ("" if self.severe else " (warning)")]
        lines += [f"  {self.why}"] if self.why else []
        lines += [f"  found: {', '.join(filter(None, (rows, self.observed)))}"]
        lines += [f"  such as: {'; '.join(self.examples)}"] if self.examples else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """What was checked about one dataset, and what does not hold."""

    dataset: str
    checks: int
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing severe was found."""
        return not any(finding.severe for finding in self.findings)

    def __str__(self) -> str:
        verdict = "holds" if self.ok else "does not hold"
        head = f"{self.dataset} {verdict}: {self.checks} checks, {len(self.findings)} findings"
        return "\n\n".join([head, *map(str, self.findings)])


def validate(dataset: Dataset, engine: str | None = None) -> Report:
    """Compare a built dataset with its schema and run its suite.

    Failing expectations are asked again in more detail, so that the good case stays fast.

    Raises:
        LifecycleError: the suite is not one, or the engine cannot run it.
    """
    expectations = _expectations(dataset)
    found = [Finding("table", "schema", observed=text) for text in differences(dataset)]
    with batch(dataset, engine or dataset.project.engine) as data:
        results = _run(dataset, data, expectations, result_format="BOOLEAN_ONLY")
        failing = [
            expectation
            for expectation, result in zip(expectations, results, strict=True)
            if not result["success"]
        ]
        for expectation, result in zip(failing, _details(dataset, data, failing), strict=True):
            found.append(_finding(expectation, result, key(dataset)))
    return Report(dataset.name, len(expectations) + 1, found)


def _expectations(dataset: Dataset) -> list[dict[str, Any]]:
    where = dataset.folder / "suite.yml"
    expectations = dataset.yaml("suite.yml").get("expectations")
    if not isinstance(expectations, list) or not expectations:
        raise LifecycleError(f"{where} has no expectations; write a list of type and kwargs")
    for number, expectation in enumerate(expectations, start=1):
        if not isinstance(expectation, dict) or not isinstance(expectation.get("type"), str):
            raise LifecycleError(f"{where}: expectation {number} has no type")
        for part in ("kwargs", "meta"):
            if not isinstance(expectation.get(part, {}), dict):
                raise LifecycleError(f"{where}: {part} of expectation {number} is no mapping")
    return expectations


def _details(dataset: Dataset, data: Any, failing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count and examples for each failing expectation, with whole rows where they are few."""
    results = _run(dataset, data, failing, result_format="SUMMARY")
    few = [
        number
        for number, result in enumerate(results)
        if 0 < (result["result"].get("unexpected_count") or 0) <= NAMED
    ]
    rows = _run(
        dataset,
        data,
        [failing[number] for number in few],
        result_format="COMPLETE",
        unexpected_index_column_names=columns(dataset),
    )
    for number, result in zip(few, rows, strict=True):
        if not _raised(result):
            results[number] = result
    return results


def _run(
    dataset: Dataset, data: Any, expectations: list[dict[str, Any]], **result_format: Any
) -> list[dict[str, Any]]:
    """Results in the order of `expectations`, which Great Expectations does not keep."""
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    if not expectations:
        return []
    # Great Expectations keeps quiet about what it cannot read and leaves it out: so one at a time.
    suite = gx.ExpectationSuite(name=dataset.name)
    for number, expectation in enumerate(expectations):
        meta = {**(expectation.get("meta") or {}), "number": number}
        try:
            read = ExpectationConfiguration(**{**expectation, "meta": meta}).to_domain_obj()
            suite.expectations.append(read)
        except Exception as error:  # whatever the library raises is about this expectation
            reason = " ".join(str(error).split())[:200]
            raise LifecycleError(
                f"{dataset.folder / 'suite.yml'}: {expectation['type']} cannot be read: {reason}"
            ) from error
    try:
        outcome = data.validate(suite, result_format=result_format)
    except Exception as error:  # whatever the library raises is about the suite that it was given
        reason = " ".join(str(error).split())[:200]
        raise LifecycleError(f"{dataset.folder / 'suite.yml'} cannot be run: {reason}") from error
    results = sorted(
        (result.to_json_dict() for result in outcome.results),
        key=lambda result: int(result["expectation_config"]["meta"]["number"]),
    )
    return results


def _finding(expectation: dict[str, Any], result: dict[str, Any], keys: Sequence[str]) -> Finding:
    kwargs = expectation.get("kwargs", {})
    names = (
        kwargs.get("column_list")
        or [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
        or ["table"]
    )
    detail = result["result"]
    observed = [f"{detail['observed_value']}"] if detail.get("observed_value") is not None else []
    observed += [text for text in (_mismatch(detail), _raised(result)) if text]
    return Finding(
        subject=", ".join(names),
        expectation=expectation["type"],
        why=expectation.get("description", ""),
        observed=", ".join(observed),
        count=detail.get("unexpected_count"),
        examples=_examples(detail, names, keys),
        severe=expectation.get("severity", "critical") == "critical",
    )


def _examples(detail: dict[str, Any], names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Failing values with the keys of their rows, or bare where the rows were too many to fetch."""
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
    mismatched = (detail.get("details") or {}).get("mismatched")
    if not isinstance(mismatched, dict):
        return ""
    return ", ".join(f"{kind} {', '.join(map(str, names))}" for kind, names in mismatched.items())


def _raised(result: dict[str, Any]) -> str:
    """What an engine says when it could not run the expectation at all."""
    information = result["exception_info"]
    for entry in (information, *information.values()):
        if isinstance(entry, dict) and entry.get("exception_message"):
            return "it could not be run: " + " ".join(str(entry["exception_message"]).split())[:160]
    return ""
