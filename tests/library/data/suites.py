"""One suite over most of what can be expected, and what it finds in rows with planted faults."""

from typing import Any

import pandas as pd

from tests.library.toy import Toy

# A line an expectation: type, kwargs, and what it finds in the rows `with_faults`: so many rows,
# `no` where it is not about rows, and nothing where it holds. All hold on the toy's rows.
EVERYTHING = """\
table_row_count_to_equal | value: 300 | no
column_values_to_not_be_null | column: id | 1
column_values_to_be_unique | column: id | 2
column_values_to_not_be_null | column: amount, mostly: 0.9
column_values_to_be_unique | column: day | 2
column_values_to_be_between | column: visits, min_value: 0, max_value: 100 | 2
column_values_to_be_between | column: day, min_value: "2024-01-01", max_value: "2025-01-01" | 1
column_values_to_be_in_set | column: kind, value_set: [home, office] | 1
column_values_to_match_regex | column: kind, regex: "^(home|office)$" | 1
column_mean_to_be_between | column: amount, min_value: 4, max_value: 6 | no
column_median_to_be_between | column: amount, min_value: 4, max_value: 6
column_sum_to_be_between | column: id, min_value: 45150, max_value: 45150 | no
column_quantile_values_to_be_between | column: amount, quantile_ranges: \
{quantiles: [0.1, 0.5, 0.9], value_ranges: [[0.5, 2], [4, 6], [8, 10]]}
column_distinct_values_to_equal_set | column: kind, value_set: [home, office] | 1
column_most_common_value_to_be_in_set | column: person, value_set: [1], ties_okay: true | no
compound_columns_to_be_unique | column_list: [day, amount] | 2
column_pair_values_a_to_be_greater_than_b | column_A: id, column_B: person, or_equal: true | 2
column_pair_values_to_be_equal | column_A: person, column_B: person
unexpected_rows | unexpected_rows_query: "SELECT * FROM {batch} WHERE visits < 0" | 1
"""
# Where engines would not agree by themselves, on the rows `at_edges`: names that one of them keeps
# for itself, nulls that a suite says nothing of or has in a set, quantiles between two values.
EDGES = """\
column_values_to_be_unique | column: lambda
column_max_to_be_between | column: show, max_value: 4
column_sum_to_be_between | column: blank, min_value: 0 | no
column_values_to_be_between | column: day, max_value: "2024-01-03 12:00:00" | 1
column_values_to_be_in_set | column: kind, value_set: [a, null] | 1
column_values_to_not_be_in_set | column: kind, value_set: [b, null] | 1
column_pair_values_a_to_be_greater_than_b | column_A: show, column_B: lambda | 4
multicolumn_sum_to_equal | column_list: [lambda, show], sum_total: 2 | 3
column_quantile_values_to_be_between | column: lambda, quantile_ranges: \
{quantiles: [0.4, 0.5, 0.6], value_ranges: [[2, 2], [2, 2], [3, 3]]}
"""
AT_EDGES = pd.DataFrame(
    {
        "lambda": [1, 2, 3, 4],
        "show": pd.array([1, None, 3, 4], dtype="Int64"),
        "kind": ["a", "b", None, "a"],
        "day": pd.date_range("2024-01-01", periods=4),
        "blank": pd.array([None] * 4, dtype="float64"),
    }
)
LAYOUTS = ["parts", "nested", "hive", "csv"]  # ways in which the same rows lie in files


def fails(toy: Toy, *command: str, code: int = 2, **variables: Any) -> str:
    """The error of a command that must fail with this exit code."""
    outcome = toy.run(*command, **variables)
    assert outcome.code == code, outcome.out + outcome.err
    return outcome.error


def write_suite(toy: Toy, *cases: str) -> list[tuple[str, int | None]]:
    """Put expectations in place of the toy's; what is to be found in the rows `with_faults`."""
    items, expected = "", []
    for name, kwargs, *rest in (line.split(" | ") for line in "\n".join(cases).split("\n") if line):
        kind = f"{name}_expectation" if name == "unexpected_rows" else f"expect_{name}"
        items += f"- {{type: {kind}, kwargs: {{{kwargs}}}}}\n"
        expected += [(kind, None if count == "no" else int(count)) for count in rest]
    (toy.dataset / "suite.yml").write_text(f"expectations:\n{items}", encoding="utf-8")
    return expected


def found(toy: Toy, engine: str = "embedded") -> list[tuple[str, int | None]]:
    """Type and number of rows of what does not hold, in the order of the suite."""
    report = toy.validated(engine)
    assert "could not be run" not in str(report)
    return [(each.rule, each.count) for each in report.findings if each.rule != "schema"]


def with_faults(rows: pd.DataFrame) -> pd.DataFrame:
    """The toy's rows with a fault of each kind, each in one place; the last row comes twice."""
    rows = pd.concat([rows, rows.tail(1)], ignore_index=True).astype({"id": "Int64"})
    rows.loc[10, "kind"], rows.loc[11, "kind"] = "moon", None
    rows.loc[20, "visits"], rows.loc[21, "visits"] = -3, 101
    rows.loc[30, "id"] = pd.NA
    rows.loc[40, "amount"], rows.loc[50:54, "amount"] = 1e6, None
    rows.loc[299:, "amount"] = None  # which makes no difference to what is a duplicate
    rows.loc[60, "day"] = pd.Timestamp("1999-01-01")
    rows.loc[3, "person"] = 200
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
