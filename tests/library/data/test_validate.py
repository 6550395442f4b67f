"""Running a suite: what does not hold is named by column, expectation, count and example."""

import json
import shutil

import pandas as pd
import pytest

from tests.library.data.suites import fails, with_faults, write_suite
from tests.library.toy import Toy

VALIDATE = ("data", "validate")


@pytest.mark.rule("D3")
def test_planted_faults_are_named_counted_and_shown(built: Toy) -> None:
    shutil.copytree(built.dataset, built.dataset.with_name("again"))
    built.with_rows(built.rows(), "again")
    built.with_rows(with_faults(built.rows()))
    outcome = built.run(*VALIDATE)
    assert outcome.code == 1
    for shown in (
        "again holds: 7 checks, 0 findings",
        "visits does not hold: 7 checks, 6 findings",
        "id: expect_column_values_to_not_be_null\n  found: 1 row\n  such as: id None where person",
        "A visit is in the dataset once.\n  found: 2 rows\n  such as: id 41 where person 14,",
        "kind: expect_column_values_to_be_in_set\n  found: 1 row\n  such as: kind moon where id 11",
        "visits: expect_column_values_to_be_between\n  found: 1 row\n  such as: visits -3 where i",
    ):
        assert shown in outcome.out


KIND = "- type: expect_column_values_to_be_unique\n"
REGEX = "- {type: ExpectColumnValuesToMatchRegex, kwargs: {column: kind, regex: '^(?=h)'}}"
TYPE = "- {type: expect_column_values_to_be_of_type"
OTHER = "- {type: expect_table_row_count_to_equal_other_table, kwargs: {other_table_name: people}}"
QUERY = (
    "- {type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: 'SELECT 1 FROM {batch}"
)
RANGE = "- {type: expect_column_value"
BOMB = "- type: x\n  meta:\n    a0: &a0 [1, 1]\n" + "".join(
    f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("suite", "problem"),
    [
        ("", "has no expectations"),
        ("- {type: 3}\n", "expectation 1: type: Input should be a valid string, not 3"),
        (
            f"{KIND}  kwargs: {{column: id}}\n- {{type: expect_wonders}}",
            "expectation 2 (expect_wonders): there is no such type; do you mean expect_",
        ),
        (f"{KIND}  kwargs: null\n", "kwargs: Input should be a valid dict"),
        (f"{KIND}  kwargs: {{colum: id}}\n", "kwargs has 'colum'; do you mean column?"),
        (KIND, "expectation 1 (expect_column_values_to_be_unique): kwargs: column: Field req"),
        (f"{KIND}  kwargs: {{column: ID}}\n", "no column 'ID'; do you mean id?"),
        (f"{KIND}  kwargs: {{column: id, row_condition: id > 3}}\n", "in Great Expectations' own"),
        (REGEX, "uses (?, which not every engine reads"),
        *(
            (REGEX.replace("^(?=h)", each), "reads alike")
            for each in ("[[:alpha:]]", "a{,3}", "a++")
        ),
        (REGEX.replace("^(?=h)", "(?i)é"), "only ASCII is one"),
        (
            "- {type: expect_column_to_exist, kwargs: {column: id, column_index: -1}}",
            "or equal to 0",
        ),
        (f"{TYPE}, kwargs: {{column: id, type_: nosuch}}}}", "nosuch is no type"),
        ("- {type: UnexpectedRowsExpectation, kwargs: {}}\n", "unexpected_rows_query: Field"),
        (
            "- {type: expect_column_mean_to_be_between, kwargs: {column: kind}}\n",
            "are both missing",
        ),
        (
            "- {type: expect_column_stdev_to_be_between, kwargs: {column: kind, max_value: 1}}",
            "text",
        ),
        (f"{QUERY} WHERE nosuch = 1'}}}}", "could not be run: Binder Error: Referenced column"),
        (f"{QUERY}; SELECT 2'}}}}", "is not one SELECT"),
        (
            f"{RANGE}s_to_be_between, kwargs: {{column: id, min_value: .nan}}}}",
            "nan is no value of",
        ),
        (f"{RANGE}s_to_not_be_outliers, kwargs: {{column: id, multiplier: .inf}}}}", "finite"),
        (OTHER, "there is no table 'people'; "),
        (BOMB, "aliases (*name) make more than 1,000,000 values"),
        (f"{KIND}  kwargs: {{column: id}}\n  severity: high\n", "severity"),
        (f"{KIND}  kwargs: {{column: id}}\n  meta: 3\n", "meta: Input should be a valid dict"),
        ("- {type: expect_x, kwargs: {min_value: 2024-02-30}}\n", "is not valid YAML: day"),
        ("- {type: expect_x}\nexpectations: []\n", "'expectations' is written twice"),
    ],
)
def test_a_suite_that_is_none_is_refused(built: Toy, suite: str, problem: str) -> None:
    (built.dataset / "suite.yml").write_text(f"expectations:\n{suite}")
    error = fails(built, *VALIDATE)
    assert (f"{built.dataset / 'suite.yml'}" in error, problem in error) == (True, True), error


def test_a_column_that_vanished_is_a_finding_and_a_warning_fails_nothing(built: Toy) -> None:
    built.with_rows(built.rows().drop(columns="kind"))
    write_suite(built, "column_values_to_be_unique | column: kind")
    outcome = built.run(*VALIDATE)
    assert (outcome.code, "the data has no such column" in outcome.out) == (1, True)
    built.with_rows(built.rows().assign(kind="home"))
    write_suite(built, "column_values_to_be_null | column: id")
    assert built.run(*VALIDATE).code == 1
    built.edit(built.dataset / "suite.yml", "}}", "}, severity: warning}")
    outcome = built.run(*VALIDATE)
    assert (outcome.code, "Calculating" in outcome.err) == (0, False)
    assert "id: expect_column_values_to_be_null (warning)\n  found: 300 rows" in outcome.out


def test_json_is_all_that_is_printed(built: Toy) -> None:
    rows = built.rows()
    rows.loc[20, "visits"] = -3
    built.with_rows(rows)
    outcome = built.run(*VALIDATE, "--json")
    (result,) = json.loads(outcome.out)["results"]
    assert [result[name] for name in ("subject", "ok", "checks")] == ["visits", False, 7]
    (finding,) = result["findings"]
    assert finding["rule"] == "expect_column_values_to_be_between"
    assert (outcome.code, finding["examples"]) == (1, ["visits -3 where id 21"])
    (built.dataset / "pipeline.py").touch()
    outcome = built.run(*VALIDATE, "visits", "visit", "--json")
    assert (outcome.code, outcome.out, "do you mean visits?" in outcome.error) == (2, "", True)


def test_only_parts_and_folders_within_the_dataset_are_read(built: Toy) -> None:
    data = (built.root / "data").rename(built.root / "env=p[1] größe")
    command, folder = (*VALIDATE, "--data", str(data)), data / "processed" / "visits.parquet"
    built.done(*command)
    rows = pd.read_parquet(folder)
    folder.unlink()
    (folder / "_temporary").mkdir(parents=True)
    rows.to_parquet(folder / "_temporary" / "a.parquet")
    assert "folder without Parquet files" in built.run(*command).error
    rows.to_parquet(folder / ".b.parquet")
    for kind, some in rows.groupby("kind"):
        (folder / f"kind={kind}").mkdir()
        some.drop(columns="kind").to_parquet(folder / f"kind={kind}" / "a.parquet", index=False)
    built.done(*command)


def test_of_personal_data_only_counts_and_keys_are_shown(built: Toy) -> None:
    built.edit(built.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
    schema = built.dataset / "schema.yml"
    built.edit(schema, "kind: {type: string}", "kind: {type: string, categories: [a]}")
    rows = built.rows()
    rows.loc[3, "kind"] = "Jane Doe"
    built.with_rows(rows)
    write_suite(
        built,
        "column_values_to_be_in_set | column: kind, value_set: [home, office]",
        "column_distinct_values_to_equal_set | column: kind, value_set: [home, office]",
        "column_max_to_be_between | column: kind, max_value: a",
    )
    outcome = built.run(*VALIDATE)
    assert outcome.code == 1
    for shown in ("such as: id 4", "values outside its categories", "not shown, as the data"):
        assert shown in outcome.out
    built.run("data", "schema", "visits", "--write")
    assert "Jane" not in outcome.out + outcome.err + schema.read_text()
    schema.unlink()
    built.run("data", "schema", "visits", "--write")
    assert "categories" not in schema.read_text()
    built.processed.unlink()
    row = "id,person,day,amount,kind,visits\n1,1,2024-01-01,Jane,home,1\n"
    built.processed.with_suffix(".csv").write_text(row)
    error = fails(built, *VALIDATE)
    assert ("row 1: column amount has a value" in error, "Jane" in error) == (True, False)


HEADER, ROW = b"id,person,day,amount,kind,visits\n", b"1,1,2024-01-01 00:00:00,1.5,home,2\n"
BROKEN = "cannot be read ("
WIDE = b",".join(b"c%d" % number for number in range(2_000_000))


NO_TABLE: list[tuple[str, bytes | None, str]] = [  # suffix, content (None: a folder), message
    (".csv", (HEADER + ROW).replace(b",", b"^"), "and schema.yml 6; the delimiter must be"),
    (".csv", WIDE + b"\n1\n", "more than 10,000 columns"),
    (".csv", (HEADER + ROW).replace(b"\n", b"\r"), "has no header in its first line"),
    (".csv", None, "put the CSV file itself"),
    (".parquet", b"", BROKEN),
    (".parquet", b"PAR1 and half of it", BROKEN),
    (".parquet", None, "is a folder without Parquet files"),
    (".txt", b"", "is missing; build it: uv run dslp data build visits"),
]


@pytest.mark.rule("D3")
@pytest.mark.parametrize(("suffix", "content", "message"), NO_TABLE, ids=range(len(NO_TABLE)))
def test_what_is_no_table_is_named(
    built: Toy, suffix: str, content: bytes | None, message: str
) -> None:
    built.processed.unlink()
    path = built.processed.with_suffix(suffix)
    path.mkdir() if content is None else path.write_bytes(content)
    error = fails(built, *VALIDATE)
    assert (message in error, "processed/visits." in error) == (True, True), error


def test_a_file_that_breaks_while_it_is_read_never_passes(built: Toy) -> None:
    content = built.processed.read_bytes()
    built.processed.write_bytes(content[:4] + bytes(1500) + content[1504:])
    outcome = built.run(*VALIDATE)
    assert outcome.code in (1, 2)
    assert "cannot be read" in outcome.out + outcome.err
