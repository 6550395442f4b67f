"""A dataset against its schema.yml: what is different is said by column."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lifecycle.data.catalogue import Dataset
from lifecycle.data.schema import differences
from lifecycle.errors import LifecycleError

from tests.lifecycle.toy import Toy


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
        ("key: [id]\n", "has no columns"),
        ("columns: [id, kind]\n", "has no columns"),
        ("columns: {id: int64}\n", "column id has no type"),
        ("columns: {id: {type: 3}}\n", "column id has no type"),
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
        assert "visits.parquet is missing; build it: uv run lifecycle data build visits" in (
            outcome.error
        )


@pytest.mark.parametrize(
    "text", ["# no front matter\n", "---\nversion: one\n---\n", "---\n[\n---\n"]
)
def test_a_datasheet_without_a_version_is_named(built: Toy, text: str) -> None:
    (built.dataset / "datasheet.md").write_text(text)
    with pytest.raises(LifecycleError, match=r"datasheet\.md (states no version|cannot be read)"):
        _ = Dataset(built.project, "visits").version
