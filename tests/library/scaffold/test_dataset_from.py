"""`dslp new dataset --from`: what data that exists suggests, marked until a person confirms it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.library.scaffold.test_new import pytest_passes, refused
from tests.library.toy import Toy
from tests.template_copy import tree

pytestmark = pytest.mark.rule("D2", "D3", "D9")

# 40 rows, whose figures are counted by hand: i is 0 to 39, of which every fifth score is missing.
ROWS = pd.DataFrame(
    {
        "Rental ID": [1000 + i for i in range(40)],
        "Plan": ["free" if i % 2 else "pay" for i in range(40)],
        "visits": [i % 13 for i in range(40)],
        "score": [None if i % 5 == 0 else i / 8 for i in range(40)],
        "ok": [i < 3 for i in range(40)],
        "day": pd.Timestamp("2024-01-31"),
    }
)
BUILT = {"Rental ID": "rental_id", "Plan": "plan"}


def read(toy: Toy, name: str) -> tuple[dict[str, Any], dict[tuple[str, str], Any], str]:
    """Schema, suite and datasheet of a dataset; the suite by type and column, without marks."""
    folder = toy.dataset.with_name(name)
    schema, suite = (yaml.safe_load((folder / f"{f}.yml").read_text()) for f in ("schema", "suite"))
    items = {}
    for each in suite["expectations"]:
        assert each["meta"] == {"proposed": True}
        kwargs = each["kwargs"]
        column = kwargs.pop("column", ",".join(kwargs.get("column_list", ["table"])))
        items[each["type"].removeprefix("expect_"), column] = {**kwargs, "is": each["severity"]}
    return schema, items, (folder / "datasheet.md").read_text(encoding="utf-8")


def write(toy: Toy, name: str, rows: pd.DataFrame, folder: str = "exports") -> Path:
    file = toy.root / folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(file) if file.suffix == ".parquet" else rows.to_csv(file, index=False, sep=";")
    return file


def begin(toy: Toy, file: Path, *options: str) -> str:
    """Begin the dataset; build, schema and suite pass at once, and say that it is proposed."""
    toy.forget()
    out = toy.done("new", "dataset", *options, "--from", str(file)).out
    name = out.rsplit(maxsplit=1)[1]
    for command in ("build", "schema"):
        toy.done("data", command, name)
    report = json.loads(toy.done("data", "validate", name, "--json").out)["results"][0]
    (finding,) = [one for one in report["findings"] if one["subject"] == "proposals"]
    assert finding["problem"].endswith("expectations, key, columns")
    return out


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_key_types_and_a_first_suite_follow_from_the_data(
    toy: Toy, suffix: str, in_place: bool
) -> None:
    file = write(toy, f"My rentals{suffix}", ROWS)
    before = file.read_bytes()
    out = begin(toy, file, *["--in-place"] * in_place)
    assert file.read_bytes() == before
    assert "datasets/my_rentals\n" in out
    schema, suite, sheet = read(toy, "my_rentals")
    name = {} if in_place else BUILT
    key, plan = name.get("Rental ID", "Rental ID"), name.get("Plan", "Plan")
    assert schema["key"] == [key]
    assert {column: each["type"] for column, each in schema["columns"].items()} == {
        key: "int64", plan: "string", "visits": "int64", "score": "double", "ok": "bool",
        "day": "timestamp[us]",
    }  # fmt: skip
    fails, warns = {"is": "critical"}, {"is": "warning"}
    assert suite == {
        ("table_row_count_to_be_between", "table"): {"min_value": 20, "max_value": 80, **warns},
        ("column_values_to_be_unique", key): fails,
        ("column_values_to_be_in_set", plan): {"value_set": ["free", "pay"], **fails},
        ("column_values_to_be_between", "visits"): {"min_value": 0, "max_value": 12, **warns},
        ("column_values_to_be_between", "score"): {"min_value": 0.125, "max_value": 4.875, **warns},
        **{("column_values_to_not_be_null", c): fails for c in (key, plan, "visits", "ok", "day")},
    }
    assert ("files: " in sheet) == in_place
    assert "personal_data: no" in sheet
    assert (toy.root / "data" / "raw" / f"my_rentals{suffix}").exists() != in_place
    if not in_place:
        assert "1 passed" in pytest_passes(toy, "tests/unit/test_my_rentals.py")


def test_what_a_person_has_confirmed_is_said_no_longer(toy: Toy) -> None:
    begin(toy, write(toy, "rides.csv", ROWS))
    folder = toy.dataset.with_name("rides")
    toy.edit(folder / "suite.yml", "    meta: {proposed: true}\n", "")
    assert "nobody: key, columns\n" in toy.done("data", "validate", "rides").out
    mark = "proposed: [key, columns] # look at them, then remove this line\n"
    toy.edit(folder / "schema.yml", mark, "")
    assert "proposals" not in toy.done("data", "validate", "rides").out
    toy.edit(folder / "schema.yml", "key:", "proposed: [kee]\nkey:")
    assert "schema.yml: proposed.0:" in toy.run("data", "validate", "rides").error


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ({"weight": [3, 1, 2], "order_id": [7, 8, 9]}, ["order_id"]),  # a name before a measure
        ({"paid": [1, 2, 3], "orderId": [7, 8, 9]}, ["orderId"]),
        ({"id": [1, 1, 2], "line": [1, 2, 1], "w": [1.5, 2.5, 3.5]}, ["id", "line"]),
        ({"a": [1, 1, 1, 1, 2], "b": [1, 1, 2, 2, 1], "c": [1, 2, 1, 2, 1]}, ["a", "b", "c"]),
        ({"id": [1, None, 2], "w": [1.5, 2.5, 3.5]}, []),  # neither gaps nor a measure
        ({"a": ["x", "x"], "b": [1, 1]}, []),
    ],
)
def test_the_key_is_the_smallest_that_tells_rows_apart(
    toy: Toy, columns: dict[str, list[Any]], key: list[str]
) -> None:
    out = begin(toy, write(toy, "t.parquet", pd.DataFrame(columns)), "--in-place")
    schema, suite, _ = read(toy, "t")
    assert schema["key"] == key
    assert f"proposed key: {', '.join(key) or 'none: no three columns'}" in out
    kinds = {kind for kind, _ in suite}
    assert ("column_values_to_be_unique" in kinds) == (len(key) == 1)
    assert ("compound_columns_to_be_unique" in kinds) == (len(key) > 1)


@pytest.mark.parametrize(
    ("column", "value", "option", "personal"),
    [
        ("contact", "ada{}@example.org", [], True),
        ("reach", "+49 30 1234{:02}", [], True),
        ("First name", "Ada", [], True),
        ("station_name", "north", [], False),
        ("date", "2024-01-31 {}", [], False),
        ("date", "2024-01-31 {}", ["--personal"], True),
        ("email", "ada{}@example.org", ["--no-personal"], False),
    ],
)
def test_of_what_looks_personal_no_value_is_written(
    toy: Toy, column: str, value: str, option: list[str], personal: bool
) -> None:
    rows = ROWS.assign(**{column: [value.format(i) for i in range(40)]})
    out = begin(toy, write(toy, "people.csv", rows), *option)
    schema, suite, sheet = read(toy, "people")
    assert ("no value is written" in out) == (personal and not option)
    assert f"personal_data: {'yes' if personal else 'no'}" in sheet
    limited = {column for kind, column in suite if kind.endswith(("between", "in_set"))}
    assert (limited == {"table"}) == personal
    assert ("categories" not in schema["columns"]["plan"]) == personal


def test_odd_types_are_proposed_and_pass(toy: Toy) -> None:
    """A folder is read in place; neither infinity nor a column without values has a range."""
    table = pa.table(
        {
            "id": [1, 2, 3],
            "none": pa.nulls(3),
            "list": [[1], [2], [3]],
            "decimal": pa.array([Decimal("1.10"), Decimal("2.20"), None]),
            "single": pa.array([0.1, 0.2, 0.7], pa.float32()),
            "inf": [1.0, float("inf"), 2.0],
            "nan": [1.0, float("nan"), 2.0],
            "huge": pa.array([2**64 - 1, 2**63, 5], pa.uint64()),
        }
    )
    folder = toy.root / "output" / "odd"
    folder.mkdir(parents=True)
    for part in (0, 1):
        pq.write_table(table.slice(2 * part, 2 - part), folder / f"{part}.parquet")
    begin(toy, folder)
    suite = read(toy, "odd")[1]
    ranges = {
        c: (v["min_value"], v["max_value"]) for (_, c), v in suite.items() if "min_value" in v
    }
    assert ranges.pop("single") == pytest.approx((0.1, 0.7))
    assert ranges == {
        "table": (1, 6), "decimal": (1.1, 2.2), "nan": (1, 2), "huge": (5, 2**64 - 1)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "id,x\n", "has no rows"),
        ("a.csv", "id,id\n1,2\n", "each once"),
        ("a.csv", "id,x\n1,2\n3\n", "line 3: Expected Number of Columns"),
        ("a.csv", b"\xff\xfe", "not UTF-8"),
        ("a.parquet", "PAR1", "cannot be read"),
        ("a.xlsx", "", "is missing, or no .csv"),
        ("class.csv", "id\n1\n", "cannot be a name"),
        ("visits.csv", "id\n1\n", "exists already"),
        ("missing.csv", None, "is missing"),
    ],
)
def test_nothing_is_left_of_data_that_cannot_be_used(
    toy: Toy, file: str, content: str | bytes | None, reason: str
) -> None:
    path = toy.root / file
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert reason in refused(toy, "dataset", "--from", file)
    if file == "a.csv":
        assert reason in refused(toy, "dataset", "--from", file, "--in-place")


def test_a_file_that_is_in_the_way_is_never_replaced(toy: Toy) -> None:
    raw = write(toy, "rides.csv", ROWS, "data/raw")
    other = write(toy, "rides.parquet", ROWS)
    assert "rides.csv exists already" in refused(toy, "dataset", "--from", str(other))
    before = raw.read_bytes()
    begin(toy, raw)
    assert raw.read_bytes() == before, "it was in data/raw already"
    built = write(toy, "b.parquet", ROWS, "data/processed")
    assert "b.parquet exists already" in refused(toy, "dataset", "--from", str(built))
    assert tree(built.parent)
