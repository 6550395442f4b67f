"""What a new model predicts: the kind that the target's values propose, with the reason."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.data.dataset import Dataset
from dslp.data.reading import read_frame
from dslp.data.schema import Column, type_family

if TYPE_CHECKING:
    import pandas as pd

FEW = 11  # different whole numbers, as of grades 0 to 10; more are no classes by default
COMMON = 0.02  # the least share of the highest value, where more than two numbers are classes


def read_target(dataset: Dataset, target: str) -> "pd.Series[Any] | None":
    """The target's values; None where the dataset is not built.

    Raises:
        DslpError: all rows have the same one, so there is nothing to predict.
    """
    if not dataset.is_built:
        return None
    values = read_frame(dataset, [target])[target].dropna()
    if values.nunique() < 2:
        raise DslpError(f"{target} is the same in all rows of {dataset.name}: nothing to predict")
    return values


def propose_kind(target: str, column: Column, values: "pd.Series[Any] | None") -> tuple[str, str]:
    """What the target is, and a sentence with the reason.

    Text and truth values are classes. So are whole numbers if there are two different ones, or up
    to 11 and the highest is in 2 % of the rows: of a count, the high values are rare. Other whole
    numbers are counts if 0 is the least of them.
    """
    if type_family(column.type) in ("string", "bool"):
        return "classification", f"target {target} is {column.type}: classification"
    if values is None:
        reason = f"the data is not built, so only the type of {target} is known ({column.type})"
        hint = "for classes or counts say --kind classification or --kind counts"
        return "regression", f"{reason}: regression; {hint}"
    shares = values.value_counts(normalize=True)
    number, whole = len(shares), bool((values % 1 == 0).all())
    text = f"target {target} has {number:,} different {'whole ' if whole else ''}values"
    if whole and (number == 2 or (number <= FEW and shares[values.max()] >= COMMON)):
        often = ", and the highest is not rare" if number > 2 else ""
        other = "--kind regression, for counts --kind counts"
        return "classification", f"{text}{often}: classification; for a regression say {other}"
    least, most, hint = values.min(), values.max(), ""
    if whole and number <= FEW and number == most - least + 1:
        text += f" without gaps, {least:.0f} to {most:.0f}"
        hint = "; for grades or codes say --kind classification"
    if whole and least == 0:
        other = f"for a regression say --kind regression{hint}"
        return "counts", f"{text}, 0 is the least: counts; {other}"
    hint += "; for counts say --kind counts" if whole and least > 0 else ""
    return "regression", f"{text}: regression{hint}"


def check_kind(kind: str, target: str, column: Column, values: "pd.Series[Any] | None") -> None:
    """Check that the target can be predicted as this kind.

    Raises:
        DslpError: it is no number, no count, or has too many different values for classes.
    """
    numbers = type_family(column.type) in ("int", "float")
    if kind != "classification" and not numbers:
        raise DslpError(f"{kind} needs a --target of numbers; {target} is {column.type}")
    if values is None:
        return
    whole = not numbers or bool((values % 1 == 0).all())
    if kind == "counts" and (not whole or values.min() < 0):
        raise DslpError(f"counts are whole numbers from 0; {target} has others: --kind regression")
    if kind == "classification" and (not whole or values.nunique() > len(values) / 2):
        problem = f"{values.nunique():,} different values in {len(values):,} rows"
        raise DslpError(f"{target} has {problem}, which are no classes")


def read_classes(
    dataset: Dataset, target: str, column: Column, values: "pd.Series[Any] | None"
) -> list[Any]:
    """The classes in sorted order: those in the data, or else the categories of `schema.yml`.

    Raises:
        DslpError: there are neither.
    """
    if type_family(column.type) == "bool":
        return [False, True]
    classes = column.categories if values is None else values.unique().tolist()
    if not classes:
        todo = f"build it first (uv run dslp data build {dataset.name})"
        other = "or write the column's categories into schema.yml"
        raise DslpError(f"the classes of {target} are not known: {todo}, {other}")
    return sorted(classes)


def repeated_part(dataset: Dataset, key: Sequence[str]) -> str | None:
    """The part of a key that several rows share, of several the one with the most values.

    Where the dataset is not built, it is the first part of a key of several.
    """
    if not dataset.is_built:
        return key[0] if len(key) > 1 else None
    rows = read_frame(dataset, key)
    numbers = {name: rows[name].nunique() for name in key if rows[name].duplicated().any()}
    return max(numbers, key=lambda name: numbers[name], default=None)


def longest_text(dataset: Dataset, columns: list[str]) -> list[str]:
    """Of columns of text, the one with the longest values; the first one if it is not built."""
    if not dataset.is_built or not columns:
        return columns[:1]
    lengths = read_frame(dataset, columns).apply(lambda column: column.str.len().mean())
    return [str(lengths.idxmax())]
