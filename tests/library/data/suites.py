"""What tests of suites share: a suite to write, what does not hold, and rows with faults."""

from typing import Any

import pandas as pd

from tests.library.toy import Toy

LAYOUTS = ["parts", "nested", "hive", "csv"]  # ways in which the same rows lie in files


def fails(toy: Toy, *command: str, code: int = 2, **variables: Any) -> str:
    """The error of a command that must fail with this exit code."""
    outcome = toy.run(*command, **variables)
    assert outcome.code == code, outcome.out + outcome.err
    return outcome.error


def write_suite(toy: Toy, *cases: str) -> list[tuple[str, int | None]]:
    """Put expectations in place of the toy's, each a line: type, kwargs, and rows that break it.

    Returns the type of each that does not hold, and how many rows break it (`no`: it is not about
    rows).
    """
    items, expected = "", []
    for name, kwargs, *rest in (case.split(" | ") for case in cases):
        kind = f"{name}_expectation" if name == "unexpected_rows" else f"expect_{name}"
        items += f"- {{type: {kind}, kwargs: {{{kwargs}}}}}\n"
        expected += [(kind, None if count == "no" else int(count)) for count in rest]
    (toy.dataset / "suite.yml").write_text(f"expectations:\n{items}", encoding="utf-8")
    return expected


def found(toy: Toy, engine: str = "embedded") -> list[tuple[str, int | None]]:
    """Type and number of rows of what does not hold, in the order of the suite."""
    findings = toy.validated(engine).findings
    return [(each.rule, each.count) for each in findings if each.rule != "schema"]


def shown(toy: Toy, engine: str = "embedded") -> list[tuple[str, int | None, list[str]]]:
    """What each finding shows; rows of one key are in any order."""
    return [(f.rule, f.count, sorted(f.examples)) for f in toy.validated(engine).findings]


def with_faults(rows: pd.DataFrame) -> pd.DataFrame:
    """The toy's rows, of which some break each expectation about single values in its suite."""
    rows = rows.astype({"id": "Int64"})
    rows.loc[10, "kind"], rows.loc[20, "visits"] = "moon", -3
    rows.loc[30, "id"], rows.loc[41, "id"] = pd.NA, 41
    return rows


def lay_out(toy: Toy, layout: str, rows: pd.DataFrame) -> None:
    """Put these rows in place of the built ones, in one of the `LAYOUTS`."""
    toy.processed.unlink()
    if layout == "csv":
        rows.to_csv(toy.processed.with_suffix(".csv"), index=False)
        return
    by = rows["person"] if layout == "hive" else rows.index % 3
    folder = {"parts": ".", "nested": "of-{}", "hive": "person={}"}[layout]
    for value, part in rows.groupby(by):
        file = toy.processed / folder.format(value) / f"part-{value}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        part.drop(columns="person" if layout == "hive" else []).to_parquet(file, index=False)
