"""Reading changes no value: what a file holds arrives, or an error says where it does not."""

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dslp.data.loading import load

from tests.library.data.suites import fails
from tests.library.toy import Toy

IDS = [2**53, 2**53 + 1, 2**53 + 3, None]
SUMS = [Decimal("0.10"), Decimal("1.00"), None, None]
TABLE = (
    f"pa.table({{'id': pa.array({IDS}, pa.int64()), 'sum': pa.array({SUMS}, pa.decimal128(5, 2))}})"
)
MADE = f"import pyarrow as pa\nfrom decimal import Decimal\n\n\ndef %s():\n    return {TABLE}"
SCHEMA = """columns:
  id: {type: int64, nullable: true}
  sum: {type: "decimal128(5, 2)", nullable: true}
"""
PIPELINES = {
    "raw.parquet": "def build(raw):\n    return raw",
    "raw.csv": "def build(raw):\n    return raw",
    "an Arrow table": MADE % "build",
    "an extracted table": MADE % "extract" + "\n\n\ndef build(raw):\n    return raw",
    "a parent": "def build(parent):\n    return parent",
}


@pytest.mark.parametrize("case", PIPELINES)
def test_numbers_with_missing_values_stay_what_they_are(
    toy: Toy, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = toy.root / "data" / "raw" / f"visits{Path(case).suffix or '.none'}"
    raw.parent.mkdir(parents=True)
    pq.write_table(eval(TABLE), raw)
    if raw.suffix == ".csv":
        rows = zip(IDS, SUMS, strict=True)
        raw.write_text("id,sum\n" + "".join(f"{one or ''},{other or ''}\n" for one, other in rows))
    (toy.dataset / "schema.yml").write_text(SCHEMA)
    toy.pipeline(PIPELINES[case])
    if case == "a parent":
        toy.pipeline(MADE % "build", "parent")
    toy.done("data", "build")
    assert pq.read_table(toy.processed).equals(eval(TABLE))
    toy.done("data", "schema", "visits")
    monkeypatch.chdir(toy.root)
    frame = load("visits")
    assert (str(frame["id"].dtype), frame["id"].dropna().tolist()) == ("Int64", IDS[:3])
    toy.done("data", "push", "visits", DSLP_DATA_STORE="shared")
    toy.processed.unlink()
    toy.done("data", "pull", "visits", DSLP_DATA_STORE="shared")
    assert load("visits", "1.2.0", columns=["id"]).equals(frame[["id"]])


# A column of a CSV file, its type in schema.yml, and the value that is read, or what is wrong.
VALUES = [
    ("01234", None, "01234"),
    ("NA", None, "NA"),
    ("None", "string", "None"),
    ("1.10", None, "1.10"),
    ('""', None, None),
    ("12345678901234567890123", None, "12345678901234567890123"),
    ("12345678901234567890123", "int64", "column b has 12345678901234567890123, which is no whole"),
    ("2.5", "int64", "which is no whole number"),
    ("1_000", "int64", "which is no whole number"),
    ("18446744073709551615", "uint64", 2**64 - 1),
    ("1.10", "double", 1.1),
    ("1.005", "decimal128(5, 2)", "which is no decimal of 2 places"),
    ("1.50", "decimal128(5, 2)", Decimal("1.50")),
    ("yes", "bool", "which is no truth value"),
    ("2024-01-01 12:30:00", "date32[day]", "which is no date"),
    ("2024-02-30", "date32[day]", "which is no date"),
    ("2024-01-01 10:00:00+02:00", None, "2024-01-01 10:00:00+02:00"),
    ("2024-01-01 10:00:00+02:00", "timestamp[us]", "which is no time without an offset"),
    ("2024-01-01 10:00:00+02:00", "timestamp[us, tz=UTC]", pd.Timestamp("2024-01-01 08:00Z")),
    ("2024-01-01 10:00:00", "timestamp[us, tz=UTC]", "which is no time with an offset"),
    ("2024-01-01 10:00:00.1234567", "timestamp[us]", "which is no time without an offset"),
    ("2024-01-01 10:00:00.1234567Z", "timestamp[ns, tz=UTC]", "which is no time with an offset"),
    ("2024-01-01 24:00:00", "timestamp[us]", "which is no time without an offset"),
    ("24:00:00", "time64[us]", "which is no time of a day"),
    ("12000-01-01", "date32[day]", "which is no date"),
    ("1e400", "double", "which is no number"),
    ("1e-50", "float", "which is no number"),
    ("-0.0e-400", "double", 0.0),
    ("-inf", "double", float("-inf")),
]


@pytest.mark.parametrize("place", ["raw", "processed"])
@pytest.mark.parametrize(("text", "kind", "expected"), VALUES)
def test_a_value_of_a_csv_file_is_read_as_it_is_or_named(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, place: str, text: str, kind: str, expected: object
) -> None:
    file = toy.root / "data" / place / "visits.csv"
    file.parent.mkdir(parents=True)
    file.write_text(f"a,b\n1,\n2,{text}\n")
    column = f'b: {{type: "{kind}"}}' if kind else "c: {type: string}"
    (toy.dataset / "schema.yml").write_text(f"columns: {{a: {{type: int64}}, {column}}}\n")
    toy.pipeline("def build(raw):\n    return raw")
    monkeypatch.chdir(toy.root)
    if isinstance(expected, str) and "which is no" in expected:
        error = fails(toy, "data", *(["build"] if place == "raw" else ["profile"]))
        assert (f"{file} cannot be read (row 2: column b" in error, expected in error) == (
            True,
            True,
        )
        toy.edit(toy.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
        error = fails(toy, "data", *(["build"] if place == "raw" else ["profile"]))
        assert ("row 2: column b has a value" in error, text in error) == (True, False)
        toy.pipeline("TYPES = {'b': 'string'}\n\n\ndef build(raw):\n    return raw")
        assert place != "raw" or toy.run("data", "build").code == 0
        return
    if place == "raw":
        toy.done("data", "build")
    value = load("visits")["b"].iloc[1]
    assert pd.isna(value) if expected is None else value == expected
    assert place == "raw" or load("visits", columns=["b"]).columns.tolist() == ["b"]


def test_a_blank_line_is_no_row(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    file = toy.processed.with_suffix(".csv")
    file.parent.mkdir(parents=True)
    monkeypatch.chdir(toy.root)
    for text in ('b\n\n1\n\n\n""\nx\n', "b,c\n\n1,1\n\n\n,1\nx,1\n"):
        file.write_text(text)
        (toy.dataset / "schema.yml").write_text("columns: {b: {type: string}}\n")
        assert load("visits")["b"].fillna("missing").tolist() == ["1", "missing", "x"]
        (toy.dataset / "schema.yml").write_text("columns: {b: {type: int64}}\n")
        assert "(row 3: column b has x, which" in fails(toy, "data", "profile")


WRONG = [
    (b"", "is empty; its first line must name the columns"),
    (b"a,b\n1,2\n3\n", "line 3: Expected Number of Columns: 2 Found: 1"),
    (b"a,b\n1,2\n3,4,5,6\n", "line 3: Expected Number of Columns: 2 Found: 3"),
    (b'a,b\n"1,2\n', "line 2: Value with unterminated quote found"),
    (b"a,b\n1,\xff\n", "line 2: Invalid unicode"),
    (b"a,a\n1,2\n", "does not name the columns, each once: two are called 'a'"),
    (b",a\n0,2\n", "column 1 has no name (the index of pandas? write the file with index=False)"),
    (b'a,"b\n1,2\n', "has no header in its first line"),
    (b"a,b\n1,2\r\n3,4\n", "(its lines end in different ways"),
]


@pytest.mark.parametrize(("content", "problem"), WRONG)
def test_a_csv_file_that_is_no_table_is_refused_with_its_line(
    toy: Toy, content: bytes, problem: str
) -> None:
    toy.pipeline("def build(raw):\n    return raw")
    file = toy.root / "data" / "raw" / "visits.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    error = fails(toy, "data", "build")
    assert ("raw/visits.csv" in error, problem in error) == (True, True), error


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        ("['a']", "TYPES is no mapping"),
        ("{'a': 'int'}", "TYPES: a: 'int' is no type; do you mean int8?"),
        ("{'aa': 'int64'}", "has no column 'aa'; do you mean a?"),
        ("{3: 'int64'}", "has no column 3; known are a, b"),
    ],
)
def test_types_of_raw_columns_that_are_none_are_named(toy: Toy, types: str, problem: str) -> None:
    toy.pipeline(f"TYPES = {types}\n\n\ndef build(raw):\n    return raw")
    file = toy.root / "data" / "raw" / "visits.csv"
    file.parent.mkdir(parents=True)
    file.write_text("a,b\n1,2\n")
    assert problem in fails(toy, "data", "build")


def test_nan_is_missing_in_the_schema_as_in_the_suite(built: Toy) -> None:
    pq.write_table(pa.table({"f": [0.1, 0.3, float("nan")]}), built.processed)
    (built.dataset / "schema.yml").write_text("columns:\n  f: {type: double}\n")
    outcome = built.run("data", "schema", "visits")
    assert (outcome.code, "may not be null, and is 1 times" in outcome.out) == (1, True)
    built.done("data", "schema", "visits", "--write")
    assert "f: {type: double, nullable: true}" in (built.dataset / "schema.yml").read_text()


def test_the_whole_file_says_how_it_is_written(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote after many plain rows, and a delimiter within the quotes of the header."""
    toy.processed.parent.mkdir(parents=True)
    file = toy.processed.with_suffix(".csv")
    file.write_text('"a;b;c",d\n' + "1,y\n" * 30_000 + '2,"x"\n3,"q ""z"" \n"\n')
    (toy.dataset / "schema.yml").write_text("columns: {d: {type: string}}\n")
    monkeypatch.chdir(toy.root)
    frame = load("visits")
    assert list(frame) == ["a;b;c", "d"]
    assert frame["d"].tolist()[-2:] == ["x", 'q "z" \n']
