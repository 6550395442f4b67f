"""Running a suite: what does not hold is named by column, expectation, count and example."""

import shutil
from collections.abc import Callable

import pandas as pd
import pytest
from lifecycle.data.validate import Finding, Report

from tests.lifecycle.toy import Toy

Write = Callable[[Toy, str], None]


def only(report: Report, expectation: str, subject: str) -> Finding:
    (found,) = [
        finding
        for finding in report.findings
        if (finding.expectation, finding.subject) == (expectation, subject)
    ]
    return found


def test_good_data_holds(built: Toy) -> None:
    outcome = built.run("data", "validate")
    assert outcome.code == 0, outcome.out
    assert "visits holds: 7 checks, 0 findings" in outcome.out


@pytest.mark.parametrize("engine", ["embedded", "sql"])
def test_planted_faults_are_named_counted_and_shown(toy: Toy, engine: str) -> None:
    toy.edit(toy.root / "pyproject.toml", '"embedded"', f'"{engine}"')
    toy.edit(
        toy.dataset / "pipeline.py",
        "    return raw\n",
        "    raw = raw.astype({'id': 'Int64'})\n"
        "    raw.loc[10, 'kind'], raw.loc[20, 'visits'] = 'moon', -3\n"
        "    raw.loc[30, 'id'], raw.loc[41, 'id'] = pd.NA, 41\n"
        "    return raw\n",
    )
    toy.done("data", "build")
    outcome = toy.run("data", "validate")
    assert outcome.code == 1
    report = toy.validated()
    null = only(report, "expect_column_values_to_not_be_null", "id")
    assert null.count == 1
    assert "id None where person 11" in null.examples[0]
    double = only(report, "expect_column_values_to_be_unique", "id")
    assert double.count == 2
    assert double.why == "A visit is in the dataset once."
    unknown = only(report, "expect_column_values_to_be_in_set", "kind")
    assert (unknown.count, unknown.examples) == (1, ["kind moon where id 11"])
    negative = only(report, "expect_column_values_to_be_between", "visits")
    assert (negative.count, negative.examples) == (1, ["visits -3 where id 21"])
    assert "visits: expect_column_values_to_be_between\n  found: 1 row\n" in outcome.out
    assert "  such as: visits -3 where id 21" in outcome.out


@pytest.mark.parametrize(
    ("suite", "problem"),
    [
        ("", "has no expectations"),
        ("- 3\n", "expectation 1 has no type"),
        ("- {type: 3}\n", "expectation 1 has no type"),
        ("- {type: expect_wonders, kwargs: {}}\n", "expect_wonders"),
        ("- {type: expect_column_values_to_be_unique}\n", "kwargs"),
        ("- {type: expect_column_values_to_be_unique, kwargs: null}\n", "kwargs of expectation 1"),
        ("- {type: expect_column_values_to_be_unique, kwargs: [id]}\n", "kwargs of expectation 1"),
        ("- {type: expect_column_values_to_be_unique, kwargs: {colum: id}}\n", "colum"),
        ("- {type: expect_column_values_to_be_unique, kwarg: {column: id}}\n", "kwarg"),
        (
            "- {type: expect_column_values_to_be_unique, kwargs: {column: id}, severity: high}\n",
            "severity",
        ),
        (
            "- {type: expect_column_values_to_be_unique, kwargs: {column: id}, meta: 3}\n",
            "meta of expectation 1",
        ),
        ("- [\n", "is not valid YAML"),
    ],
)
def test_a_suite_that_is_none_is_refused_and_never_passed(
    built: Toy, write_suite: Write, suite: str, problem: str
) -> None:
    write_suite(built, suite)
    outcome = built.run("data", "validate")
    assert outcome.code == 2
    assert f"{built.dataset / 'suite.yml'}" in outcome.error
    assert problem in outcome.error


def test_a_good_expectation_does_not_hide_one_that_cannot_be_read(
    built: Toy, write_suite: Write
) -> None:
    write_suite(
        built,
        "- {type: expect_column_values_to_be_unique, kwargs: {column: id}}\n"
        "- {type: expect_wonders, kwargs: {column: id}}\n",
    )
    assert "expect_wonders cannot be read" in built.run("data", "validate").error


def test_an_expectation_that_cannot_be_run_fails_and_says_why(
    built: Toy, write_suite: Write
) -> None:
    write_suite(
        built,
        "- {type: expect_column_values_to_be_unique, kwargs: {column: nothing}}\n"
        "- {type: expect_column_values_to_be_between, kwargs: {column: kind, min_value: 3}}\n",
    )
    outcome = built.run("data", "validate")
    assert outcome.code == 1
    assert 'it could not be run: Error: The column "nothing"' in outcome.out
    assert outcome.out.count("it could not be run") == 2


def test_a_warning_is_shown_and_does_not_fail(built: Toy, write_suite: Write) -> None:
    expectation = "- {type: expect_column_values_to_be_null, kwargs: {column: id}, severity: %s}\n"
    write_suite(built, expectation % "warning")
    outcome = built.run("data", "validate")
    assert outcome.code == 0
    assert "id: expect_column_values_to_be_null (warning)\n  found: 300 rows" in outcome.out
    write_suite(built, expectation % "critical")
    assert built.run("data", "validate").code == 1


@pytest.mark.parametrize("expectation", ["to_be_between", "to_be_unique", "to_not_be_null"])
def test_thousands_of_failing_rows_are_counted_with_examples(
    built: Toy, write_suite: Write, expectation: str
) -> None:
    rows = pd.concat([built.rows()] * 10, ignore_index=True)
    rows["amount"] = None if expectation == "to_not_be_null" else 77.0
    built.with_rows(rows.astype({"amount": "float64"}))
    limit = ", max_value: 10" if expectation == "to_be_between" else ""
    write_suite(
        built,
        f"- {{type: expect_column_values_{expectation}, kwargs: {{column: amount{limit}}}}}\n",
    )
    finding = only(built.validated(), f"expect_column_values_{expectation}", "amount")
    assert finding.count == 3000
    assert "found: 3,000 rows" in str(finding)
    assert len(finding.examples) == 3


@pytest.mark.parametrize(
    "name",
    ["two words", 'quo"te', "it's", "größe", "100%", "a:b", "select", "A", "back`tick", "東京"],
)
def test_a_column_may_be_called_anything(built: Toy, write_suite: Write, name: str) -> None:
    built.with_rows(built.rows().rename(columns={"kind": name}))
    quoted = "'" + name.replace("'", "''") + "'"
    write_suite(
        built,
        f"- type: expect_column_values_to_be_in_set\n"
        f"  kwargs: {{column: {quoted}, value_set: [home]}}\n"
        f"- {{type: expect_column_values_to_not_be_null, kwargs: {{column: {quoted}}}}}\n",
    )
    built.edit(built.dataset / "schema.yml", "kind:", f"{quoted}:")
    (finding,) = built.validated().findings
    expected = int((built.rows()[name] == "office").sum())
    assert (finding.subject, finding.count) == (name, expected)
    assert finding.examples[0].startswith(f"{name} office where id ")


def test_a_column_without_any_value_is_validated(built: Toy, write_suite: Write) -> None:
    built.with_rows(built.rows().assign(kind=None))
    write_suite(
        built,
        "- {type: expect_column_values_to_not_be_null, kwargs: {column: kind}}\n"
        "- {type: expect_column_values_to_be_unique, kwargs: {column: kind}}\n",
    )
    report = built.validated()
    assert only(report, "expect_column_values_to_not_be_null", "kind").count == 300


def test_a_folder_may_be_called_anything(built: Toy) -> None:
    aside = built.root / "it's [1] größe *"
    (built.root / "data").rename(aside)
    outcome = built.run("data", "validate", "--data", str(aside))
    assert outcome.code == 0, outcome.err


def test_all_datasets_are_validated_though_one_fails(built: Toy, write_suite: Write) -> None:
    shutil.copytree(built.dataset, built.dataset.with_name("again"))
    built.with_rows(built.rows(), "again")
    write_suite(built, "- {type: expect_table_row_count_to_equal, kwargs: {value: 1}}\n")
    shutil.copytree(built.dataset, built.dataset.with_name("a_first"))
    built.with_rows(built.rows(), "a_first")
    outcome = built.run("data", "validate")
    assert outcome.code == 1
    assert [line for line in outcome.out.splitlines() if "hold" in line] == [
        "a_first does not hold: 2 checks, 1 findings",
        "again holds: 7 checks, 0 findings",
        "visits does not hold: 2 checks, 1 findings",
    ]
