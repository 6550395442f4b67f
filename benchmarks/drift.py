"""How often monitoring says "moved" where nothing has moved, and which change it finds.

Columns are made up by chance, and go through the functions of `dslp model monitor`. A report has
twelve columns, and is a false alarm if one of them moved though reference and new rows come from
the same population.

    uv run python -m benchmarks.drift [--reports 300] [--table drift]

Where no report of n is a false alarm, fewer than 3 / n are, with 95 % certainty. There are as many
processes as processors.
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from dslp.experiments.params import Split
from dslp.models import drift
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.machine import write_table

MIXED = "one column of each of these"
COLUMNS, LIMITS = 12, (0.25, 0.1)  # the limits that `dslp new model` writes
# Rows of the reference and new ones, and which part of the reports is made of so many.
SIZES = {(200, 200): 1, (400, 200): 1, (2_000, 1_000): 5, (100_000, 100_000): 50}
Values = NDArray[Any] | list[object]
Column = Callable[[Generator, int], Values]


def labels(random: Generator, count: int, values: int, power: float = 0) -> NDArray[np.str_]:
    """So many values of text, all as frequent, or the n-th as 1 / n to this power."""
    shares = np.arange(1.0, values + 1) ** -power
    return random.choice([f"value {n}" for n in range(values)], count, p=shares / shares.sum())


def texts(random: Generator, count: int) -> NDArray[np.str_]:
    """Text of 7 to 19 letters, hardly one like another."""
    return np.char.add("t", (10 ** random.uniform(6, 18, count)).astype(int).astype(str))


def days(random: Generator, count: int) -> NDArray[np.datetime64]:
    """Moments of two years."""
    return np.datetime64("2024-01-01", "s") + random.integers(0, 63_000_000, count)


KINDS: dict[str, Column] = {
    "numbers": lambda random, count: random.normal(1e9, 1e3, count),
    "numbers with long tails": lambda random, count: random.standard_cauchy(count),
    "counts, 60 % of them 0": lambda random, count: (
        random.poisson(3, count) * (random.random(count) < 0.42)
    ),
    "0 and 1": lambda random, count: random.integers(0, 2, count),
    "3 categories": lambda random, count: labels(random, count, 3),
    "30 categories, as frequent": lambda random, count: labels(random, count, 30),
    "100 categories, as frequent": lambda random, count: labels(random, count, 100),
    "1,000 categories, some rare": lambda random, count: labels(random, count, 1_000, 1),
    "free text": texts,
    "free text, 45 % of it one value": lambda random, count: np.where(
        random.random(count) < 0.45, "none", texts(random, count)
    ),
    "moments": days,
    "a constant": lambda random, count: np.full(count, 3.0),
}


def compared(
    before: Values,
    after: Values,
    sizes: tuple[float, float] = (1, 1),
    units: Values | None = None,
    goes_on: bool = False,
) -> list[drift.Signal]:
    """The signals of a column, of which as many rows count as one."""
    groups = None if units is None else pd.Series(units)
    bins: drift.Bins = json.loads(
        json.dumps(drift.reference_bins(pd.Series(before), False, groups))
    )
    new = pd.Series(after)
    return list(drift.compare("", "", bins, new, LIMITS, COLUMNS, sizes, goes_on))


def false_alarms(kind: str, rows: tuple[int, int], reports: int) -> str:
    """How many of the reports say "moved" of ten columns of a kind, or of one of each kind."""
    random, alarms, alone = np.random.default_rng(1), 0, 0
    makers = list(KINDS.values()) if kind == MIXED else [KINDS[kind]] * COLUMNS
    for _ in range(reports):
        signals = [
            one for make in makers for one in compared(make(random, rows[0]), make(random, rows[1]))
        ]
        alarms += any(signal.moved for signal in signals)
        alone += any(signal.moved or drift.CHANCE in signal.note for signal in signals)
    return f"{alarms} of {reports}" + (f" (by the limit alone {alone})" if alone else "")


def dependent(
    rows: tuple[int, int], reports: int, policy: str | None, each: int, memory: float
) -> str:
    """The same for columns of numbers that depend on each other, and a split by this policy.

    So many rows are alike, and follow the ones before with this autocorrelation.
    """
    random, alarms = np.random.default_rng(2), 0
    units = [np.arange(count) // each for count in rows]
    facts = {"policy": policy or "random", "by": policy and "unit", "holdout": 0.2}
    split = Split.model_validate({**facts, "folds": 2, "seed": 1})
    sizes = [drift.rows_per_unit(pd.DataFrame({"unit": unit}), split) for unit in units]
    for _ in range(reports):
        moved = False
        for _ in range(COLUMNS):
            noise = random.normal(size=sum(rows) // each + 1_000) * np.sqrt(1 - memory**2)
            values = lfilter([1], [1, -memory], noise)[-(sum(rows) // each) :].repeat(each)
            signals = compared(values[: rows[0]], values[rows[0] :], (sizes[0], sizes[1]))
            moved = moved or any(signal.moved for signal in signals)
        alarms += moved
    return f"{alarms} of {reports}"


DEPENDENT: dict[str, tuple[str | None, int, float]] = {
    "numbers of people with 5 equal rows, split by person": ("group", 5, 0),
    "the same, as if each row were independent": (None, 5, 0),
    "numbers of weeks with 50 equal rows, split by week": ("time", 50, 0),
    "a series of autocorrelation 0.9, split by time": ("time", 1, 0.9),
    "the same, as if each moment were independent": (None, 1, 0.9),
}


def shifted(amount: float) -> Column:
    """Numbers whose mean is so many standard deviations higher."""
    return lambda random, count: random.normal(1e9 + 1e3 * amount, 1e3, count)


def replaced(kind: str, amount: float, value: object) -> Column:
    """A share of the values is another one."""

    def make(random: Generator, count: int) -> list[object]:
        values = pd.Series(KINDS[kind](random, count), dtype=object)
        return values.mask(random.random(count) < amount, value).tolist()

    return make


SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1)
CHANGES: dict[str, tuple[str, tuple[float, ...], Callable[[float], Column], str]] = {
    "the mean of numbers, in standard deviations": (
        "numbers",
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.5, 2),
        shifted,
        "{:g}",
    )
}
for change, (kind, value) in {
    "numbers above all known ones": ("numbers", 2e9),
    "another number than 0 and 1": ("0 and 1", 99),
    "0 that become 1": ("0 and 1", 1),
    "a new category beside 3": ("3 categories", "new"),
    "one of 3 categories in place of the others": ("3 categories", "value 1"),
    "a new category beside 30": ("30 categories, as frequent", "new"),
    "a new category beside 100": ("100 categories, as frequent", "new"),
    "another value than the constant": ("a constant", 7.0),
    "values that are missing now": ("numbers", None),
    "moments before all known ones": ("moments", pd.Timestamp("1970-01-01")),
    "free text of 200 letters": ("free text", "x" * 200),
}.items():
    CHANGES[change] = (kind, SHARES, partial(replaced, kind, value=value), "{:.1%}")


def smallest(change: str, rows: tuple[int, int], reports: int) -> str:
    """The smallest change that four of five reports find."""
    kind, amounts, altered, form = CHANGES[change]
    random = np.random.default_rng(3)
    for amount in amounts:
        pairs = (
            (KINDS[kind](random, rows[0]), altered(amount)(random, rows[1])) for _ in range(reports)
        )
        if sum(any(s.moved for s in compared(*pair)) for pair in pairs) >= 0.8 * reports:
            return form.format(amount)
    return "none"


def main() -> None:
    """Simulate, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reports", type=int, default=300)
    parser.add_argument("--table", choices=("drift", "drift-power"), help="only this one")
    reports, table = parser.parse_args().reports, parser.parse_args().table
    heads = [f"{before:,} rows, {after:,} new ones" for before, after in SIZES]
    parts = {rows: max(1, reports // part) for rows, part in SIZES.items()}
    with ProcessPoolExecutor() as pool:
        if table != "drift-power":
            names = [*KINDS, MIXED]
            cells = [pool.map(false_alarms, names, *map(repeat, each)) for each in parts.items()]
            lines = [list(line) for line in zip(names, *cells, strict=True)]
            for name, case in DEPENDENT.items():
                line = pool.map(dependent, parts.keys(), parts.values(), *map(repeat, case))
                lines.append([name, *line])
            method = f"False alarms among simulated reports of {COLUMNS} columns"
            write_table("drift", [f"{COLUMNS} columns", *heads], lines, "", reports, method)
        if table != "drift":
            few = {rows: max(10, count // 5) for rows, count in [*parts.items()][:-1]}
            cells = [pool.map(smallest, CHANGES, *map(repeat, each)) for each in few.items()]
            lines = [list(line) for line in zip(CHANGES, *cells, strict=True)]
            method = "The smallest change, of those tried, that 80 % of simulated reports find"
            write_table("drift-power", ["what changes", *heads[:-1]], lines, "", reports, method)


if __name__ == "__main__":
    main()
