"""A dataset against its schema.yml, and schema.yml brought in line with it."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset
from dslp.data.schema import differences

from tests.library.data.suites import fails, lay_out
from tests.library.toy import Toy

Change = Callable[[pd.DataFrame], pd.DataFrame]


def compared(toy: Toy) -> list[str]:
    return differences(Dataset(toy.project, "visits"))


def some_null(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(kind=rows["kind"].where(rows["id"] > 2))


NULLS = ["column kind may not be null, and is 2 times"]
RENAMED = "column visit is not in schema.yml; visits is missing: renamed?"


@pytest.mark.rule("D4")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rows: rows.assign(extra=1), "column extra is not in schema.yml"),
        (lambda rows: rows.drop(columns="kind"), "column kind of schema.yml is missing"),
        (lambda rows: rows.astype({"visits": "int32"}), "column visits is int32, not int64"),
        (some_null, NULLS[0]),
        (lambda rows: rows.rename(columns={"visits": "visit"}), RENAMED),
        (lambda rows: rows.rename(columns={"visits": "a\nb"}), "column 'a\\nb' is not in schema"),
        (lambda rows: rows.assign(id=7), "the key id is not unique: 1 of its values are repeated"),
    ],
)
def test_a_difference_is_said_and_fails_the_dataset(built: Toy, change: Change, line: str) -> None:
    built.with_rows(change(built.rows()))
    assert any(line in each for each in compared(built))
    assert f"table: schema\n  found: {line}" in built.run("data", "validate").out


@pytest.mark.parametrize(
    ("column", "lines"),
    [
        ("  kind: {type: string, nullable: true}", []),
        ("  kind: {type: string, categories: [home]}", ["'office'"]),
        ("  id: {type: int64, categories: [1, 2]}", ["3, 4, 5, ..."]),
        ('  day: {type: "timestamp[us]", categories: [2024-01-01]}', ["datetime.datetime(2024, 1"]),
    ],
)
def test_values_outside_the_categories_are_named(built: Toy, column: str, lines: list[str]) -> None:
    schema, name = built.dataset / "schema.yml", column.split(":")[0]
    text = schema.read_text().splitlines()
    schema.write_text("\n".join(column if line.startswith(f"{name}:") else line for line in text))
    if "nullable" in column:
        built.with_rows(some_null(built.rows()))
    differences = compared(built)
    assert len(differences) == len(lines)
    for line, values in zip(differences, lines, strict=True):
        assert line.startswith(f"column {name[2:]} has values outside its categories: {values}")


def test_how_rows_are_stored_makes_no_difference(built: Toy) -> None:
    table, rows = pq.read_table(built.processed), built.rows()
    place = table.column_names.index("kind")
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        text = table["kind"].cast(pa.string()).cast(kind)
        pq.write_table(table.set_column(place, "kind", text), built.processed)
        assert compared(built) == []
    some_null(rows)[rows.columns[::-1]].to_parquet(built.processed, write_statistics=False)
    assert compared(built) == NULLS
    lay_out(built, "parts", some_null(rows))
    assert compared(built) == NULLS
    rows[100:].astype({"visits": "float64"}).to_parquet(built.processed / "part-2.parquet")
    with pytest.raises(DslpError, match=r"part-2\.parquet does not have the columns and types"):
        compared(built)
    built.processed.rename(built.root / "parts")
    built.with_rows(rows.assign(KIND=1))
    with pytest.raises(DslpError, match="two columns of one name"):
        compared(built)


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
    rows = rows.assign(
        kind=rows["kind"].where(some, "a, b: [c]"),
        id=rows["id"].astype("Int64").where(some),
        visits=rows["visits"].astype("float64").where(some),
    )
    rows = rows.drop(columns="person").astype({"amount": "float32"})
    rows.insert(2, "no", ["yes", None] * 150)
    built.with_rows(rows)
    outcome = built.run("data", "schema", "visits")
    assert outcome.code == 1
    assert "column person of schema.yml is missing" in outcome.out
    new = (
        "  'no':\n    type: string\n    nullable: true\n    categories: ['yes']\n"
        "    description: to be written\n"
    )
    person = WRITTEN[WRITTEN.index("  person:") : WRITTEN.index("  day:")]
    expected = (
        WRITTEN.replace(person, "")
        .replace("{type: int64, desc", "{type: int64, nullable: true, desc")
        .replace('"timestamp[us]"}\n', '"timestamp[us]"}\n' + new)
        .replace("type: double", "type: float")
        .replace("      - office\n", "      - office\n      - 'a, b: [c]'\n")
        .replace("{type: int64, nullable: false}", "{type: double, nullable: true}")
    )
    assert written(built) == expected.replace("\n", end)
    assert "descriptions to be written: no\n" in built.done("data", "schema", "visits").out


def test_a_schema_that_is_missing_is_begun(built: Toy) -> None:
    schema = built.dataset / "schema.yml"
    schema.unlink()
    assert "schema visits --write" in built.run("data", "schema", "visits").error
    text = written(built)
    assert "\nkey: [id]\ncolumns:\n  id:\n    type: int64\n    description: to be wri" in text
    assert "  kind:\n    type: string\n    categories: [home, office]\n" in text
    schema.unlink()
    rows = built.rows()
    built.with_rows(rows[["person", "day", "amount"]].assign(day=rows["day"].dt.day_name()))
    assert "\nkey: [person, day]\n" in written(built)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("", "is empty; write it"),
        ("columns: {id: {type: int64, nulable: true}}\n", "columns.id.nulable: Extra inputs"),
        ("columns: {no: {type: int64}}\n", "Input should be a valid string, not False"),
        ("key: id\ncolumns: {id: {type: int64}}\n", "key: Input should be a valid list"),
        ("columns: {id: {type: int64, categories: [a]}}\n", "the category 'a' is no int64"),
        ("columns: {kind: {type: string, categories: [no]}}\n", "the category False is no string"),
        ("columns: {id: {type: int32}}\n", "put each column on a line of its own"),
        ("columns:\n  id: &a {type: int32}\n  kind: *a\n", "cannot be edited"),
        ("columns:\n  id: {type: int64, categories: [0]}\n", "more than 100 values outside"),
        ("columns:\n  id: {type: int64}\ncolumns: {}\n", "'columns' is written twice"),
    ],
)
def test_a_schema_that_is_none_or_cannot_be_edited_is_left_as_it_is(
    built: Toy, schema: str, message: str
) -> None:
    path = built.dataset / "schema.yml"
    path.write_text(schema)
    write = ["--write"] if schema else []
    assert message in fails(built, "data", "schema", "visits", *write)
    assert path.read_text() == schema
    assert not list(built.dataset.glob(".schema*"))


def test_any_name_and_any_value_is_written_so_that_it_is_read_again(built: Toy) -> None:
    hard = ["on", "1", "a b", "a: b", "#", "- x", "'", '"', "{x}", "é", "~", "a,b", "😀", " ", "\\"]
    hard += ["\n", "a\tb", "\x1b[1m", "?", "<<", "2024-01-01", "1e3", "é" * 200]
    (built.dataset / "schema.yml").unlink()
    for values in (hard[:20], [None, *hard]):
        built.with_rows(pd.DataFrame(dict.fromkeys(hard, values * 20)))
        written(built)
