"""The profile of a dataset: figures of its columns, for the page in docs/data/ (D5).

DuckDB reads Parquet column by column, so each column has its own queries: figures and quantiles,
then the most common values, then the histogram, whose bounds come from the quantiles. Figures that
would take too long or too much memory are estimates; the page says so, and they are reproducible.
"""

import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

from dslp.data.dataset import Dataset
from dslp.data.reading import (
    COPY,
    open_rows,
    quote_identifier,
    quote_literal,
    reading_errors,
    without_nan,
)
from dslp.data.schema import key_columns
from duckdb import DuckDBPyConnection

Kind = Literal["number", "date", "flag", "text", "other"]

KINDS: dict[Kind, str] = {  # patterns of DuckDB's names of types
    "number": r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)",
    "date": r"DATE|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?",
    "text": r"VARCHAR|ENUM\([^\]]*\)|UUID|TIME",
    "flag": "BOOLEAN",
}
MEMORY = "1GB"  # for DuckDB, which uses the disk beyond it
SMALL = 20_000_000  # cells, up to which one copy is faster than opening the files for each column
DISTINCT = 1_000_000  # rows, up to which distinct values are counted exactly
QUANTILES = 20_000_000  # rows, up to which quantiles are exact, which needs a column in memory
OWN = 0.9  # share of distinct values from which on no value is common
VALUES = 10  # most common values, at most; a column with no more values needs no histogram
BARS = 30  # at most, in a histogram
CROWD = 1_000  # values; of fewer, a quantile of 1 % could be one person's
FEW = 10  # values; of fewer, a mean says too much about one person
FINITE = 1e150  # beyond it the square, and with it the deviation, is infinite
CORRELATED = 20  # columns, at most, whose correlations are shown
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Column:
    """Figures of one column; dates are seconds since 1970 (UTC), and None is missing.

    Attributes:
        type: DuckDB's name of it.
        count: values, without the missing ones (null and NaN).
        odd: of these, infinite, or too large to compute with.
        low, high: quantiles of 1 % and 99 %; personal data has no minimum and maximum.
        values: the most common values, and how many rows have each.
        start, step, bars: left end of the histogram, width of a bar, and values in each.
    """

    name: str
    type: str
    kind: Kind
    count: int
    odd: int = 0
    distinct: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    values: Sequence[tuple[Any, int]] = ()
    start: float = 0
    step: float = 1
    bars: Sequence[int] = ()

    @property
    def grain(self) -> int:
        """The smallest possible difference of two values; 0 where there is none."""
        return 1 if "INT" in self.type else DAY if self.type == "DATE" else 0


@dataclass(frozen=True)
class Profile:
    """Figures of a dataset; `correlations` has Pearson's by two positions in `columns`."""

    rows: int
    columns: list[Column]
    correlations: dict[tuple[int, int], float] = field(default_factory=dict)
    cut: bool = False  # whether there are more columns of numbers

    @property
    def exact(self) -> bool:
        """Whether distinct values are counted exactly."""
        return self.rows <= DISTINCT


def profile(dataset: Dataset) -> Profile:
    """The figures of a dataset that is built.

    Raises:
        DslpError: it is not, or it cannot be read.
    """
    personal = dataset.sheet.personal_data
    with _open_rows(dataset) as (connection, types, rows):
        if rows > QUANTILES:  # estimates of several threads differ from run to run
            connection.execute("SET threads = 1")
        columns = [_column(connection, name, kind, rows, personal) for name, kind in types.items()]
        keys = key_columns(dataset)
        varying = [each.kind == "number" and bool(each.deviation) for each in columns]
        related = [n for n, varies in enumerate(varying) if varies and columns[n].name not in keys]
        shown = related[:CORRELATED]
        correlations = _correlations(connection, columns, shown, rows) if len(shown) > 1 else {}
        return Profile(rows, columns, correlations, shown != related)


@contextmanager
def _open_rows(
    dataset: Dataset,
) -> Iterator[tuple[DuckDBPyConnection, dict[str, str], int]]:
    """The rows, copied once where that is faster; the types of the columns, and their number."""
    with (
        tempfile.TemporaryDirectory(prefix="dslp-") as folder,
        open_rows(dataset) as connection,
        reading_errors(dataset),
    ):
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute(f"SET temp_directory = {quote_literal(folder)}")
        types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE rows").fetchall()}
        (rows,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        if dataset.built.suffix == ".csv" or len(types) * rows < SMALL:
            connection.execute(COPY)
        yield connection, types, rows


def _column(
    connection: DuckDBPyConnection, name: str, type: str, rows: int, personal: bool
) -> Column:
    kind, raw = _kind(type), without_nan(quote_identifier(name), type)
    if kind == "other":
        count = connection.execute(f"SELECT count({raw}) FROM rows").fetchone()[0]
        return Column(name, type, kind, count)
    different = "count(DISTINCT raw)" if rows <= DISTINCT else "approx_count_distinct(raw)"
    quantile = "quantile_cont" if rows <= QUANTILES else "approx_quantile"
    value = _value(raw, type)
    count, finite, distinct, least, most, mean, deviation, quantiles = connection.execute(
        f"SELECT count(raw), count(v), {different}, min(v), max(v), avg(v::DOUBLE), "
        f"stddev_samp(v::DOUBLE), {quantile}(v::DOUBLE, [0.01, 0.5, 0.99]) "
        f"FROM (SELECT {raw} AS raw, {value} AS v FROM rows)"
    ).fetchone()
    low, median, high = quantiles or (None, None, None)
    odd = count - finite if kind in ("number", "date") else 0
    distinct, values = min(distinct, count), []
    common = distinct <= VALUES or distinct < OWN * count
    if common and (kind == "flag" or not personal):
        shown = {"date": f"epoch({raw})", "text": f"left({raw}::VARCHAR, 100)"}.get(kind, raw)
        values = connection.execute(
            f"SELECT {shown}, count(*) AS n FROM rows WHERE {raw} IS NOT NULL "
            f"GROUP BY {raw} ORDER BY n DESC, {raw} LIMIT {VALUES}"
        ).fetchall()
    if personal:
        least = most = None
        if finite < CROWD:
            low = high = None
        if finite < FEW:
            mean = median = deviation = None
    column = Column(
        name=name, type=type, kind=kind, count=count, odd=odd, distinct=distinct, minimum=least,
        maximum=most, mean=mean, deviation=deviation, low=low, median=median, high=high,
        values=values,
    )  # fmt: skip
    if low is None or (distinct <= VALUES and values):
        return column
    return _with_histogram(connection, column, value)


def _kind(type: str) -> Kind:
    return next((kind for kind, names in KINDS.items() if re.fullmatch(names, type)), "other")


def _value(raw: str, type: str) -> str:
    """SQL for the value as a number; null where it is none or not finite."""
    if type in ("FLOAT", "DOUBLE"):
        return f"CASE WHEN isfinite({raw}) AND abs({raw}) < {FINITE} THEN {raw}::DOUBLE END"
    if _kind(type) == "date":
        return f"CASE WHEN isfinite({raw}) THEN epoch({raw}) END"
    return raw if _kind(type) == "number" else "NULL::DOUBLE"


def _with_histogram(connection: DuckDBPyConnection, column: Column, value: str) -> Column:
    """The column with bars of a round width, without a few values that are far away."""
    low, high = float(column.low or 0), float(column.high or 0)
    if column.minimum is not None and column.maximum is not None:
        least, most = float(column.minimum), float(column.maximum)
        if high == low or most - least < 2 * (high - low):
            low, high = least, most
    width = (high - low) / (BARS - 6)
    width = width if width > 1 / FINITE else 1
    step: float
    if column.kind == "date":
        unit = DAY if column.grain or width > DAY else 1
        step, start = math.ceil(width / unit) * unit, low // unit * unit
    else:
        power = 10.0 ** math.floor(math.log10(width))
        step = next(power * by for by in (1, 2, 2.5, 5, 10) if power * by >= width)
        step = max(column.grain, step)
        start = math.floor(low / step) * step
    bars = [0] * max(1, math.ceil((high - start) / step) + (step == column.grain))
    for number, count in connection.execute(
        f"SELECT floor((v - {start!r}) / {step!r})::BIGINT, count(*) "
        f"FROM (SELECT ({value})::DOUBLE AS v FROM rows) "
        f"WHERE v BETWEEN {low!r} AND {high!r} GROUP BY 1"
    ).fetchall():
        bars[max(0, min(number, len(bars) - 1))] += count
    return replace(column, start=start, step=step, bars=bars)


def _correlations(
    connection: DuckDBPyConnection, columns: list[Column], numbers: list[int], rows: int
) -> dict[tuple[int, int], float]:
    """Pearson's, of the rows that have both values; centred products are faster if none misses."""
    pairs = list(combinations(numbers, 2))
    whole = {n for n in numbers if columns[n].count - columns[n].odd == rows}
    coefficients = [
        f"avg(c{a} * c{b}) * {rows} / {rows - 1}" if {a, b} <= whole else f"corr(c{a}, c{b})"
        for a, b in pairs
    ]
    values = [
        f"(({_value(quote_identifier(column.name), column.type)})::DOUBLE - {column.mean!r}) "
        f"/ {column.deviation!r} AS c{number}"
        for number, column in ((number, columns[number]) for number in numbers)
    ]
    row = connection.execute(
        f"SELECT {', '.join(coefficients)} FROM (SELECT {', '.join(values)} FROM rows)"
    ).fetchone()
    return {
        pair: r for pair, r in zip(pairs, row, strict=True) if r is not None and math.isfinite(r)
    }
