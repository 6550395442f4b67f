"""Rows that are broken on purpose: the suite names each fault, counts it and shows examples."""

import pytest
from dslp.core.report import Finding, Report
from dslp.testing import dataset_rows, validate_rows


@pytest.fixture(scope="module")
def report() -> Report:
    """What is reported about claims with a null, an unknown, a negative and a doubled value."""
    rows = dataset_rows("claims")
    rows.loc[10, "health"] = "splendid"
    rows.loc[20, "visits"] = -3
    rows["record_id"] = rows["record_id"].astype("Int64").mask(rows.index == 30).replace(42, 41)
    return validate_rows("claims", rows)


def only(report: Report, subject: str, expectation: str) -> Finding:
    (finding,) = [f for f in report.findings if (f.subject, f.rule) == (subject, expectation)]
    return finding


def test_the_dataset_fails(report: Report) -> None:
    assert not report.ok


def test_a_null_id_is_named_with_the_row_that_it_is_in(report: Report) -> None:
    finding = only(report, "record_id", "expect_column_values_to_not_be_null")
    assert finding.count == 1
    (example,) = finding.examples
    assert "record_id None" in example
    assert "person_id" in example


def test_an_unknown_category_is_named(report: Report) -> None:
    finding = only(report, "health", "expect_column_values_to_be_in_set")
    assert finding.count == 1
    assert finding.examples == ["health splendid where record_id 11"]


def test_a_negative_count_is_named(report: Report) -> None:
    finding = only(report, "visits", "expect_column_values_to_be_between")
    assert finding.count == 1
    assert finding.examples == ["visits -3 where record_id 21"]


def test_a_duplicate_is_named_with_both_rows(report: Report) -> None:
    finding = only(report, "record_id", "expect_column_values_to_be_unique")
    assert finding.count == 2
    assert [example.split(" where ")[0] for example in finding.examples] == ["record_id 41"] * 2


def test_the_text_says_column_expectation_count_and_example(report: Report) -> None:
    text = str(report)
    assert "visits: expect_column_values_to_be_between" in text
    assert "found: 1 row" in text
    assert "such as: visits -3 where record_id 21" in text
