"""The digest of a dataset follows what it holds, and nothing of the way in which it is stored."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dslp.core.settings import Project
from dslp.data.dataset import Dataset
from dslp.data.fingerprint import digest
from hypothesis import given, settings
from hypothesis import strategies as st

Of = Callable[..., str]
FLOATS = st.none() | st.floats() | st.sampled_from([0.0, -0.0])
SCHEMA = pa.schema(
    {"n": pa.int64(), "x": pa.float64(), "s": pa.string(), "t": pa.timestamp("us")},
)
INSTANTS = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
        "x": FLOATS,
        "s": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
        "t": st.none() | INSTANTS,
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=12)
QUICK = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Of:
    """The digest of tables written as part files, or of one written with these options."""
    folder = tmp_path_factory.mktemp("data")
    dataset = Dataset(Project(folder, "toy", folder), "t")
    dataset.processed.mkdir(parents=True)

    def written(*parts: pa.Table, **options: Any) -> str:
        for old in dataset.processed.iterdir():
            old.unlink()
        for number, part in enumerate(parts):
            pq.write_table(part, dataset.processed / f"part-{number}.parquet", **options)
        return digest(dataset)

    return written


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@given(rows=ROWS, data=st.data())
@QUICK
def test_how_rows_are_stored_does_not_count(of: Of, rows: list[Any], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    coded = table(shuffled[:cut])
    coded = coded.set_column(2, "s", coded["s"].dictionary_encode())
    nanoseconds = pa.schema([*list(SCHEMA)[:3], pa.field("t", pa.timestamp("ns"))])
    expected = of(table(rows), compression="zstd")
    assert of(table(shuffled), row_group_size=2, use_dictionary=False) == expected
    assert of(table(shuffled[cut:]), coded) == expected
    assert of(table(rows).cast(nanoseconds)) == expected


@given(rows=ROWS, data=st.data())
@QUICK
def test_one_value_that_differs_counts(of: Of, rows: list[Any], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(SCHEMA.names))
    other = rows[number] | {column: data.draw(ROW)[column]}
    changed = [*rows[:number], other, *rows[number + 1 :]]
    first, second = rows[number][column], other[column]
    alike = first == second or (first != first and second != second)  # NaN is NaN
    assert (of(table(rows)) == of(table(changed))) == alike


def frame(**columns: Any) -> pa.Table:
    return pa.table(columns)


NS = pa.timestamp("ns")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (frame(a=[1, 2], b=[3, 4]), frame(a=[1, 2], b=[4, 3])),  # swapped between two rows
        (frame(a=[1, 2], b=[3, 4]), frame(b=[1, 2], a=[3, 4])),
        (frame(a=[1, 2]), frame(a=[1.0, 2.0])),
        (frame(a=[1, 2]), frame(a=[1, 2, 2])),
        (frame(a=[1, 1]), frame(a=[2, 2])),  # what an exclusive or could not tell
        (frame(a=[0, 1]), frame(a=[None, 1])),
        (frame(a=[0.0, float("nan")]), frame(a=[0.0, None])),
        (frame(a=[Decimal("1.50")]), frame(a=[Decimal("1.51")])),
        (frame(a=[[1, None]]), frame(a=[[None, 1]])),
        (frame(a=pa.array([-500], NS)), frame(a=pa.array([500], NS))),
    ],
)
def test_what_is_not_the_same_has_another_digest(of: Of, one: pa.Table, other: pa.Table) -> None:
    assert of(one) != of(other)


def test_it_is_the_same_in_years_to_come(of: Of) -> None:
    """A number that is written down here: a library that changes it changes every record."""
    rows = frame(
        n=pa.array([1, None, -3], pa.int16()),
        x=[0.1, float("inf"), None],
        s=["é", None, "long enough " * 9],
        b=[True, False, None],
        d=[datetime.date(2024, 2, 29), None, datetime.date(1969, 7, 20)],
        t=pa.array([1, None, -1], pa.timestamp("us", tz="Europe/Berlin")),
        m=[Decimal("1.50"), None, Decimal("-0.01")],
        y=[b"\xff", None, b""],
        nested=[[{"k": "v"}], None, []],
    )
    assert of(rows) == "8353c0c6fe527b2d0538a58597f1f464f6f8bc7cd6014f8c8fecdd792a7c1fc3"
