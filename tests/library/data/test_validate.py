"""Running a suite: what does not hold is named by column, expectation, count and example."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from dslp.core.report import Finding, Report

from tests.library.toy import Toy

Write = Callable[[Toy, str], None]


def only(report: Report, expectation: str, subject: str) -> Finding:
    found: Finding
    (found,) = [
        finding
        for finding in report.findings
        if (finding.rule, finding.subject) == (expectation, subject)
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
        ("- {type: expect_x, kwargs: {min_value: 2024-02-30}}\n", "is not valid YAML: day"),
        ("- {type: expect_x}\nexpectations: []\n", "'expectations' is there twice"),
        ("- {type: expect_x, kwargs: {column: a, column: b}}\n", "'column' is there twice"),
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
    assert '"nothing"' in outcome.out
    assert outcome.out.count("it could not be run") == 2


def test_a_warning_is_shown_and_does_not_fail(built: Toy, write_suite: Write) -> None:
    expectation = "- {type: expect_column_values_to_be_null, kwargs: {column: id}, severity: %s}\n"
    write_suite(built, expectation % "warning")
    outcome = built.run("data", "validate")
    assert outcome.code == 0
    assert "Calculating" not in outcome.err
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


@pytest.mark.parametrize("layout", ["file", "parts", "csv"])
def test_a_folder_beside_it_is_never_read_in_its_place(
    built: Toy, tmp_path: Path, layout: str
) -> None:
    good, bad = tmp_path / "p1" / "processed", tmp_path / "p[1]" / "processed"
    for folder, rows in ((good, built.rows()), (bad, built.rows().assign(visits=-1))):
        folder.mkdir(parents=True)
        target = folder / "visits.parquet"
        if layout == "csv":
            rows.to_csv(target.with_suffix(".csv"), index=False)
            continue
        if layout == "parts":
            target.mkdir()
            target /= "part-0.parquet"
        rows.to_parquet(target, index=False)
    assert built.run("data", "validate", "--data", str(good.parent)).code == 0
    outcome = built.run("data", "validate", "--data", str(bad.parent))
    assert (outcome.code, outcome.err.count("error")) == (1, 0), outcome.err
    assert "found: 300 rows" in outcome.out


def test_only_folders_within_the_dataset_are_columns(built: Toy, tmp_path: Path) -> None:
    data = tmp_path / "env=prod"
    shutil.copytree(built.root / "data", data)
    built.done("data", "validate", DSLP_DATA_DIR=str(data))
    rows = built.rows()
    folder = data / "processed" / "visits.parquet"
    folder.unlink()
    for kind, some in rows.groupby("kind"):
        (folder / f"kind={kind}").mkdir(parents=True)
        some.drop(columns="kind").to_parquet(folder / f"kind={kind}" / "a.parquet", index=False)
    built.done("data", "validate", DSLP_DATA_DIR=str(data))


def test_what_an_interrupted_job_left_in_a_folder_is_not_data(built: Toy) -> None:
    rows = built.rows()
    built.processed.unlink()
    left = built.processed / "_temporary" / "0"
    left.mkdir(parents=True)
    rows.to_parquet(left / "a.parquet", index=False)
    assert "folder without Parquet files" in built.run("data", "validate").error
    rows.to_parquet(built.processed / "a.parquet", index=False)
    rows.to_parquet(built.processed / ".b.parquet", index=False)
    built.done("data", "validate")


@pytest.mark.parametrize("keys", ["[person]", "[person, kind]"])
def test_a_key_that_identifies_no_row_is_named(built: Toy, keys: str) -> None:
    built.edit(built.dataset / "schema.yml", "key: [id]", f"key: {keys}")
    outcome = built.run("data", "validate")
    assert outcome.code == 1
    assert f"the key {keys[1:-1]} is not unique: " in outcome.out


def test_names_and_values_are_shown_and_never_commands(built: Toy) -> None:
    bad = "bad\n::error::pwned\x1b[31m"
    built.with_rows(built.rows().assign(kind=bad))
    outcome = built.run("data", "validate")
    assert outcome.code == 1
    assert "\n::error::" not in outcome.out
    assert "\x1b" not in outcome.out
    assert r"kind bad\u000a::error::pwned\u001b[31m where id 1" in outcome.out


def test_a_value_that_is_missing_is_named(built: Toy, write_suite: Write) -> None:
    kwargs = "kwargs: {column: kind, value_set: [home, office, moon]}"
    write_suite(
        built,
        f"- {{type: expect_column_distinct_values_to_contain_set, {kwargs}}}\n"
        f"- {{type: expect_column_distinct_values_to_equal_set, {kwargs}}}\n",
    )
    assert [each.problem for each in built.validated().findings] == ["without moon"] * 2


def test_of_personal_data_only_counts_and_keys_are_shown(built: Toy, write_suite: Write) -> None:
    built.edit(built.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
    built.edit(
        built.dataset / "schema.yml",
        "kind: {type: string}",
        "kind: {type: string, categories: [a]}",
    )
    rows = built.rows()
    rows.loc[3, "kind"] = "Jane Doe"
    built.with_rows(rows)
    kwargs = "kwargs: {column: kind, value_set: [home, office]}"
    write_suite(
        built,
        f"- {{type: expect_column_values_to_be_in_set, {kwargs}}}\n"
        f"- {{type: expect_column_distinct_values_to_equal_set, {kwargs}}}\n"
        f"- {{type: expect_column_distinct_values_to_be_in_set, {kwargs}}}\n",
    )
    outcome = built.run("data", "validate")
    assert outcome.code == 1
    assert "Jane" not in outcome.out + outcome.err
    assert "such as: id 4" in outcome.out
    assert "column kind has values outside its categories" in outcome.out
    built.run("data", "schema", "visits", "--write")
    (built.dataset / "schema.yml").rename(built.dataset / "before.yml")
    built.run("data", "schema", "visits", "--write")
    for file in ("before.yml", "schema.yml"):
        assert "Jane" not in (built.dataset / file).read_text()
    assert "categories" not in (built.dataset / "schema.yml").read_text()


def test_of_personal_data_no_error_shows_a_value(built: Toy, write_suite: Write) -> None:
    built.edit(built.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
    built.with_rows(built.rows().assign(kind="Jane Doe"))
    write_suite(
        built, "- {type: expect_column_mean_to_be_between, kwargs: {column: kind, min_value: 0}}"
    )
    outcome = built.run("data", "validate")
    assert outcome.code == 1
    assert "it could not be run: " in outcome.out
    assert "Jane" not in outcome.out + outcome.err
    built.processed.unlink()
    for column, row in (
        ("amount", "1,1,2024-01-01,Jane,home,1"),
        ("id", "Jane,1,2024-01-01,1,a,1"),
    ):
        built.processed.with_suffix(".csv").write_text(f"id,person,day,amount,kind,visits\n{row}\n")
        outcome = built.run("data", "validate")
        assert outcome.code == 2
        assert f"Exception in column {column})" in outcome.error
        assert "Jane" not in outcome.err


def test_a_dataset_that_is_looked_up_and_not_built_is_named(built: Toy, write_suite: Write) -> None:
    shutil.copytree(built.dataset, built.dataset.with_name("people"))
    write_suite(
        built,
        "- type: unexpected_rows_expectation\n"
        "  kwargs: {unexpected_rows_query: 'SELECT * FROM {batch} JOIN people USING (person)'}\n",
    )
    outcome = built.run("data", "validate", "visits")
    assert outcome.code == 1
    assert "people is not built; build it: uv run dslp data build people" in outcome.out
