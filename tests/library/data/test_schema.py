"""A dataset against its schema.yml: what is different is said by column."""

import shutil
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset
from dslp.data.schema import differences

from tests.library.toy import Toy


def compared(toy: Toy) -> list[str]:
    return differences(Dataset(toy.project, "visits"))


def test_data_as_the_schema_states_has_no_difference(built: Toy) -> None:
    assert compared(built) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.assign(extra=1), "column extra is not in schema.yml"),
        (lambda rows: rows.drop(columns="kind"), "column kind of schema.yml is missing"),
        (lambda rows: rows.astype({"visits": "float64"}), "column visits is double, not int64"),
        (lambda rows: rows.astype({"visits": "int32"}), "column visits is int32, not int64"),
        (
            lambda rows: rows.assign(kind=rows["kind"].where(rows["id"] > 2)),
            "column kind may not be null, and is 2 times",
        ),
        (
            lambda rows: rows.assign(visits=rows["visits"].astype("Int64").where(rows["id"] > 1)),
            "column visits may not be null, and is 1 times",
        ),
        (lambda rows: rows.assign(kind=None), "column kind is null, not string"),
        (
            lambda rows: rows.rename(columns={"visits": "visit"}),
            "column visit is not in schema.yml; visits is missing: renamed?",
        ),
        (
            lambda rows: rows.rename(columns={"visits": "two\nlines"}),
            r"column 'two\nlines' is not in schema.yml",
        ),
    ],
)
def test_a_difference_is_said_and_fails_the_dataset(
    built: Toy, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    built.with_rows(change(built.rows()))
    assert said in compared(built)
    outcome = built.run("data", "validate")
    assert outcome.code == 1, outcome.err
    assert "table: schema" in outcome.out
    assert said in outcome.out.replace("\n", " ")


def test_a_column_that_may_be_null_may_be_null(built: Toy) -> None:
    rows = built.rows()
    built.with_rows(rows.assign(kind=rows["kind"].where(rows["id"] > 2)))
    built.edit(built.dataset / "schema.yml", "{type: string}", "{type: string, nullable: true}")
    assert compared(built) == []


def test_nulls_are_counted_where_the_file_has_no_statistics(built: Toy) -> None:
    rows = built.rows()
    rows = rows.assign(kind=rows["kind"].where(rows["id"] > 2))
    rows.to_parquet(built.processed, write_statistics=False)
    assert compared(built) == ["column kind may not be null, and is 2 times"]


@pytest.mark.rule("D4")
@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("kind: {type: string, categories: [home, office]}", []),
        ("kind: {type: string, categories: [home]}", ["'office'"]),
        ("id: {type: int64, categories: [1, 2]}", ["3, 4, 5, ..."]),
        ('day: {type: "timestamp[us]", categories: [2024-01-01]}', ["datetime.datetime(2024, 1,"]),
        ("visits: {type: string, categories: ['1']}", []),  # another type is said, and is enough
    ],
)
def test_values_outside_the_categories_are_named(built: Toy, stated: str, said: list[str]) -> None:
    column = stated.split(":")[0]
    schema = built.dataset / "schema.yml"
    lines = schema.read_text().splitlines(keepends=True)
    changed = [f"  {stated}\n" if line.startswith(f"  {column}:") else line for line in lines]
    schema.write_text("".join(changed))
    found = [line for line in compared(built) if "outside" in line]
    assert len(found) == len(said)
    for line, values in zip(found, said, strict=True):
        assert line.startswith(f"column {column} has values outside its categories: {values}")


def test_a_key_that_is_no_column_is_named(built: Toy) -> None:
    built.edit(built.dataset / "schema.yml", "key: [id]", "key: [identity]")
    assert compared(built) == ["the key identity is no column"]


def test_two_columns_of_one_name_are_refused(built: Toy) -> None:
    built.with_rows(built.rows().assign(KIND=1))
    with pytest.raises(DslpError, match="two columns of one name"):
        compared(built)


def test_types_that_a_database_has_are_compared_by_family(built: Toy) -> None:
    found = {
        "id": "BIGINT",
        "person": "INTEGER",
        "day": "TIMESTAMP WITHOUT TIME ZONE",
        "amount": "DOUBLE PRECISION",
        "kind": "VARCHAR(20)",
        "visit": "TEXT",
    }
    dataset = Dataset(built.project, "visits")
    assert differences(dataset, found) == [
        "column visit is not in schema.yml; visits is missing: renamed?"
    ]
    assert differences(dataset, {**found, "visits": "TEXT"}) == [
        "column visit is not in schema.yml",
        "column visits is TEXT, not int64",
    ]


def test_parts_and_csv_are_compared_as_one_file_is(built: Toy) -> None:
    rows = built.rows()
    built.processed.unlink()
    built.processed.mkdir()
    rows[:100].to_parquet(built.processed / "a.parquet", index=False)
    rows[100:].to_parquet(built.processed / "b.parquet", index=False)
    assert compared(built) == []
    rows[100:].astype({"visits": "float64"}).to_parquet(built.processed / "b.parquet", index=False)
    with pytest.raises(DslpError, match=r"b\.parquet does not have the columns and types"):
        compared(built)
    shutil.rmtree(built.processed)
    rows.assign(kind=rows["kind"].where(rows["id"] > 2)).to_csv(
        built.processed.with_suffix(".csv"), index=False
    )
    assert compared(built) == ["column kind may not be null, and is 2 times"]


def test_text_is_text_however_it_is_stored(built: Toy) -> None:
    table = pq.read_table(built.processed)
    place = table.column_names.index("kind")
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        pq.write_table(
            table.set_column(place, "kind", table["kind"].cast(pa.string()).cast(kind)),
            built.processed,
        )
        assert compared(built) == []


def test_the_order_of_columns_is_no_difference(built: Toy) -> None:
    rows = built.rows()
    built.with_rows(rows[rows.columns[::-1]])
    assert compared(built) == []


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("", "must hold a mapping"),
        ("key: [id]\n", "columns: Field required"),
        ("columns: {}\n", "columns: Dictionary should have at least 1 item"),
        ("columns: [id, kind]\n", "columns: Input should be a valid dictionary"),
        ("columns: {id: int64}\n", "columns.id: Input should be a valid dictionary"),
        ("columns: {id: {unit: m}}\n", "columns.id.type: Field required"),
        ("columns: {id: {type: 3}}\n", "columns.id.type: Input should be a valid string, not 3"),
        ("columns: {id: {type: int64, nulable: true}}\n", "columns.id.nulable: Extra inputs"),
        ("columns: {no: {type: int64}}\n", "Input should be a valid string, not False"),
        ("key: id\ncolumns: {id: {type: int64}}\n", "key: Input should be a valid list"),
        ("columns: {id: {type: int64, categories: [a]}}\n", "the category 'a' is no int64"),
        ("columns: {kind: {type: string, categories: [no]}}\n", "the category False is no string"),
        ("columns: {kind: {type: string, categories: []}}\n", "columns.kind.categories: List"),
        ("columns: [\n", "is not valid YAML"),
    ],
)
def test_a_schema_that_is_none_is_refused(built: Toy, schema: str, problem: str) -> None:
    (built.dataset / "schema.yml").write_text(schema)
    outcome = built.run("data", "validate")
    assert outcome.code == 2
    assert problem in outcome.error
    assert "schema.yml" in outcome.error


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "broken", [truncated, lambda _: b"", lambda _: b"id,kind\n1,home\n", lambda c: c[:-1]]
)
@pytest.mark.parametrize("command", ["data validate", "experiment run"])
def test_a_file_that_is_no_parquet_is_named(
    built: Toy, broken: Callable[[bytes], bytes], command: str
) -> None:
    built.processed.write_bytes(broken(built.processed.read_bytes()))
    outcome = built.run(*command.split())
    assert outcome.code == 2
    assert f"{built.processed} cannot be read" in outcome.error


def test_data_that_is_not_built_says_how_to_build_it(toy: Toy) -> None:
    for command in (["data", "validate"], ["experiment", "run"], ["model", "train"]):
        outcome = toy.run(*command)
        assert outcome.code == 2
        assert "visits.parquet is missing; build it: uv run dslp data build visits" in (
            outcome.error
        )


WRITTEN = """# What reviewers see.
key: [id] # the visit
columns:
  # Who was visited.
  id: {type: int64, description: "Visit: its number"}
  # Taken from the contract.
  person:
    type: int64  # as in the contract
    description: Person,
      over two lines.
  day: {type: "timestamp[us]"}

  # What came of it.
  amount:
    description: |
      Amount.

    unit: EUR
    type: double
  kind:
    type: string
    categories:
      - home
      - office
  visits: {type: int64, nullable: false}
# The end.
"""


def written(toy: Toy) -> str:
    """The schema once it was written; writing it again changes nothing."""
    schema = toy.dataset / "schema.yml"
    assert "written: " in toy.done("data", "schema", "visits", "--write").out
    text = schema.read_bytes().decode()
    assert "unchanged: " in toy.done("data", "schema", "visits", "--write").out
    assert schema.read_bytes().decode() == text
    toy.done("data", "schema", "visits")
    return text


@pytest.mark.rule("D4")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_differs_is_written_and_all_else_stays(built: Toy, end: str) -> None:
    schema = built.dataset / "schema.yml"
    schema.write_bytes(WRITTEN.replace("\n", end).encode())
    rows = built.rows()
    some = rows["id"] > 2
    kinds = rows["kind"].where(some, "a, b: [c]")
    rows = rows.assign(kind=kinds, visits=rows["visits"].astype("float64").where(some))
    rows = rows.drop(columns="person").astype({"amount": "float32"})
    rows.insert(2, "no", ["yes", None] * 150)
    built.with_rows(rows)
    said = built.run("data", "schema", "visits")
    assert said.code == 1
    assert "column person of schema.yml is missing" in said.out
    assert "column no is not in schema.yml" in said.out
    new = (
        "  'no':\n    type: string\n    nullable: true\n    categories: ['yes']\n"
        "    description: to be written\n"
    )
    person = WRITTEN[WRITTEN.index("  person:") : WRITTEN.index("  day:")]
    expected = (
        WRITTEN.replace(person, "")
        .replace('"timestamp[us]"}\n', '"timestamp[us]"}\n' + new)
        .replace("type: double", "type: float")
        .replace("      - office\n", "      - office\n      - 'a, b: [c]'\n")
        .replace("{type: int64, nullable: false}", "{type: double, nullable: true}")
    )
    assert written(built) == expected.replace("\n", end)
    assert "descriptions to be written: no\n" in built.done("data", "schema", "visits").out


def test_null_is_allowed_beside_the_type_in_the_style_of_the_column(built: Toy) -> None:
    (built.dataset / "schema.yml").write_text(WRITTEN)
    rows = built.rows()
    built.with_rows(rows.astype({"id": "Int64", "person": "Int64"}).where(rows["id"] > 2))
    text = written(built)
    assert '{type: int64, nullable: true, description: "Visit: its number"}' in text
    assert "    type: int64  # as in the contract\n    nullable: true\n" in text


def test_a_schema_that_is_missing_is_begun(built: Toy) -> None:
    schema = built.dataset / "schema.yml"
    schema.unlink()
    assert "schema visits --write" in built.run("data", "schema", "visits").error
    text = written(built)
    assert "\nkey: [id]\ncolumns:\n  id:\n    type: int64\n    description: to be wri" in text
    assert "  kind:\n    type: string\n    categories: [home, office]\n" in text
    built.done("data", "validate")


def test_a_key_of_two_columns_is_found(built: Toy) -> None:
    (built.dataset / "schema.yml").unlink()
    rows = built.rows()
    built.with_rows(rows[["person", "day", "amount"]].assign(day=rows["day"].dt.day_name()))
    assert "\nkey: [person, day]\n" in written(built)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("columns: {id: {type: int32}}\n", "put each column on a line of its own"),
        ("columns:\n  id: &a {type: int32}\n  kind: *a\n", "cannot be edited"),
        ("columns:\n  id: {type: int64, categories: [0]}\n", "more than 100 values outside"),
        ("columns: [", "is not valid YAML"),
        ("columns:\n  id: {type: int64}\ncolumns: {}\n", "'columns' is there twice"),
        ("columns:\n  id: {type: int64, categories: [2024-02-30]}\n", "is not valid YAML"),
    ],
)
def test_what_cannot_be_edited_is_left_as_it_is(built: Toy, schema: str, said: str) -> None:
    path = built.dataset / "schema.yml"
    path.write_text(schema)
    outcome = built.run("data", "schema", "visits", "--write")
    assert outcome.code == 2
    assert said in outcome.error
    assert path.read_text() == schema
    assert not list(built.dataset.glob(".schema*"))


def test_any_name_and_any_value_is_written_so_that_it_is_read_again(built: Toy) -> None:
    hard = ["on", "1", "a b", "a: b", "#", "- x", "'", '"', "{x}", "é", "~", "a,b", "😀", " ", "\\"]
    hard += ["\n", "a\tb", "\x1b[1m", "?", "<<", "2024-01-01", "1e3", "é" * 200]
    (built.dataset / "schema.yml").unlink()
    for values in (hard[:20], [None, *hard]):
        built.with_rows(pd.DataFrame(dict.fromkeys(hard, values * 20)))
        written(built)
