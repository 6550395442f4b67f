"""One suite over most of what can be expected, and what it finds in rows with planted faults.

Every engine must come to the same: nothing in the toy's rows, `FOUND` in those of `with_faults`.
"""

import pandas as pd

from tests.library.toy import Toy

# Holds on the toy's rows as they are.
EVERYTHING = """\
- {type: expect_table_row_count_to_equal, kwargs: {value: 300}}
- {type: expect_table_row_count_to_be_between, kwargs: {min_value: 200, max_value: 400}}
- {type: expect_table_column_count_to_equal, kwargs: {value: 6}}
- type: expect_table_columns_to_match_set
  kwargs: {column_set: [id, person, day, amount, kind, visits]}
- {type: expect_column_to_exist, kwargs: {column: id}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: id}}
- {type: expect_column_values_to_be_unique, kwargs: {column: id}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: amount, mostly: 0.9}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: kind}}
- {type: expect_column_values_to_be_unique, kwargs: {column: day}}
- type: expect_column_values_to_be_between
  kwargs: {column: visits, min_value: 0, max_value: 100}
- type: expect_column_values_to_be_between
  kwargs: {column: amount, min_value: 0, max_value: 10}
- type: expect_column_values_to_be_between
  kwargs: {column: day, min_value: 2024-01-01 00:00:00, max_value: 2024-12-31 00:00:00}
- {type: expect_column_values_to_be_in_set, kwargs: {column: kind, value_set: [home, office]}}
- {type: expect_column_values_to_not_be_in_set, kwargs: {column: kind, value_set: [moon, mars]}}
- type: expect_column_value_lengths_to_be_between
  kwargs: {column: kind, min_value: 4, max_value: 6}
- {type: expect_column_values_to_match_regex, kwargs: {column: kind, regex: "^(home|office)$"}}
- {type: expect_column_values_to_not_match_regex, kwargs: {column: kind, regex: "oo"}}
- {type: expect_column_mean_to_be_between, kwargs: {column: amount, min_value: 4, max_value: 6}}
- {type: expect_column_median_to_be_between, kwargs: {column: amount, min_value: 4, max_value: 6}}
- type: expect_column_stdev_to_be_between
  kwargs: {column: amount, min_value: 2.5, max_value: 3.3}
- {type: expect_column_min_to_be_between, kwargs: {column: visits, min_value: 0, max_value: 1}}
- {type: expect_column_max_to_be_between, kwargs: {column: amount, max_value: 10}}
- {type: expect_column_sum_to_be_between, kwargs: {column: id, min_value: 45150, max_value: 45150}}
- type: expect_column_quantile_values_to_be_between
  kwargs:
    column: amount
    quantile_ranges: {quantiles: [0.1, 0.5, 0.9], value_ranges: [[0.5, 2], [4, 6], [8, 10]]}
- {type: expect_column_unique_value_count_to_be_between, kwargs: {column: kind, max_value: 2}}
- type: expect_column_proportion_of_unique_values_to_be_between
  kwargs: {column: id, min_value: 1, max_value: 1}
- type: expect_column_distinct_values_to_equal_set
  kwargs: {column: kind, value_set: [home, office]}
- type: expect_column_distinct_values_to_be_in_set
  kwargs: {column: kind, value_set: [home, office]}
- {type: expect_column_distinct_values_to_contain_set, kwargs: {column: kind, value_set: [home]}}
- type: expect_column_most_common_value_to_be_in_set
  kwargs: {column: person, value_set: [1], ties_okay: true}
- {type: expect_compound_columns_to_be_unique, kwargs: {column_list: [person, day]}}
- {type: expect_compound_columns_to_be_unique, kwargs: {column_list: [day, amount]}}
- type: expect_column_pair_values_a_to_be_greater_than_b
  kwargs: {column_A: id, column_B: person, or_equal: true, ignore_row_if: either_value_is_missing}
- type: expect_column_pair_values_to_be_equal
  kwargs: {column_A: person, column_B: person, ignore_row_if: either_value_is_missing}
"""

# SQL of one's own.
OWN_SQL = """\
- type: unexpected_rows_expectation
  kwargs: {unexpected_rows_query: "SELECT * FROM {batch} WHERE visits < 0"}
"""

# What does not hold in the rows of `with_faults`, and in how many rows where it is about rows.
FOUND: dict[tuple[str, str], int | None] = {
    ("table", "expect_table_row_count_to_equal"): None,
    ("id", "expect_column_values_to_not_be_null"): 1,
    ("id", "expect_column_values_to_be_unique"): 2,
    ("kind", "expect_column_values_to_not_be_null"): 1,
    ("day", "expect_column_values_to_be_unique"): 2,
    ("visits", "expect_column_values_to_be_between"): 2,
    ("amount", "expect_column_values_to_be_between"): 1,
    ("day", "expect_column_values_to_be_between"): 1,
    ("kind", "expect_column_values_to_be_in_set"): 1,
    ("kind", "expect_column_values_to_not_be_in_set"): 1,
    ("kind", "expect_column_values_to_match_regex"): 1,
    ("kind", "expect_column_values_to_not_match_regex"): 1,
    ("amount", "expect_column_mean_to_be_between"): None,
    ("amount", "expect_column_stdev_to_be_between"): None,
    ("visits", "expect_column_min_to_be_between"): None,
    ("amount", "expect_column_max_to_be_between"): None,
    ("id", "expect_column_sum_to_be_between"): None,
    ("kind", "expect_column_unique_value_count_to_be_between"): None,
    ("id", "expect_column_proportion_of_unique_values_to_be_between"): None,
    ("kind", "expect_column_distinct_values_to_equal_set"): 1,
    ("kind", "expect_column_distinct_values_to_be_in_set"): 1,
    ("person", "expect_column_most_common_value_to_be_in_set"): None,
    ("person, day", "expect_compound_columns_to_be_unique"): 2,
    ("day, amount", "expect_compound_columns_to_be_unique"): 2,
    ("id, person", "expect_column_pair_values_a_to_be_greater_than_b"): 1,
}

FOUND_BY_OWN_SQL: dict[tuple[str, str], int | None] = {("table", "unexpected_rows_expectation"): 1}


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


# Ways in which the same rows lie in files.
LAYOUTS = ["parts", "nested", "hive", "csv"]


def laid_out(toy: Toy, layout: str) -> None:
    """Put the rows `with_faults` in place of the built ones, in one of the `LAYOUTS`."""
    rows = with_faults(toy.rows())
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


# Where engines would not agree by themselves: names that one of them keeps for itself, nulls that a
# suite says nothing of or has in a set, and quantiles between two values.
EDGES = """\
- {type: expect_column_values_to_be_unique, kwargs: {column: lambda}}
- {type: expect_column_max_to_be_between, kwargs: {column: show, max_value: 4}}
- {type: expect_column_values_to_not_be_null, kwargs: {column: show}}
- {type: expect_column_sum_to_be_between, kwargs: {column: blank, min_value: 0}}
- type: expect_column_values_to_be_between
  kwargs: {column: day, max_value: "2024-01-03 12:00:00"}
- {type: expect_column_values_to_be_in_set, kwargs: {column: kind, value_set: [a, null]}}
- {type: expect_column_values_to_not_be_in_set, kwargs: {column: kind, value_set: [b, null]}}
- type: expect_column_pair_values_a_to_be_greater_than_b
  kwargs: {column_A: show, column_B: lambda}
- type: expect_column_pair_values_to_be_equal
  kwargs: {column_A: show, column_B: lambda}
- type: expect_multicolumn_sum_to_equal
  kwargs: {column_list: [lambda, show], sum_total: 2}
- type: expect_column_quantile_values_to_be_between
  kwargs:
    column: lambda
    quantile_ranges: {quantiles: [0.4, 0.5, 0.6], value_ranges: [[2, 2], [2, 2], [3, 3]]}
"""

FOUND_AT_EDGES: dict[tuple[str, str], int | None] = {
    ("show", "expect_column_values_to_not_be_null"): 1,
    ("blank", "expect_column_sum_to_be_between"): None,
    ("day", "expect_column_values_to_be_between"): 1,
    ("kind", "expect_column_values_to_be_in_set"): 1,
    ("kind", "expect_column_values_to_not_be_in_set"): 1,
    ("show, lambda", "expect_column_pair_values_a_to_be_greater_than_b"): 3,
    ("lambda, show", "expect_multicolumn_sum_to_equal"): 2,
}


def at_edges() -> pd.DataFrame:
    """Rows for `EDGES`."""
    return pd.DataFrame(
        {
            "lambda": [1, 2, 3, 4],
            "show": pd.array([1, None, 3, 4], dtype="Int64"),
            "kind": ["a", "b", None, "a"],
            "day": pd.date_range("2024-01-01", periods=4),
            "blank": pd.array([None] * 4, dtype="float64"),
        }
    )


def found(toy: Toy, engine: str) -> dict[tuple[str, str], int | None]:
    """What does not hold on that engine: column and expectation, with the number of rows."""
    report = toy.validated(engine)
    assert "could not be run" not in str(report)
    return {
        (each.subject, each.rule): each.count for each in report.findings if each.rule != "schema"
    }
