"""A profile as the page of a dataset, and as the table in its datasheet (D5)."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dslp.core.errors import DslpError
from dslp.core.files import read_text, write_text
from dslp.core.formats import FRONT_MATTER
from dslp.core.pictures import draw_histogram, draw_shares
from dslp.core.report import is_written, render_page, save_page
from dslp.core.text import format_number, format_share, visible
from dslp.data import datasheet, schema
from dslp.data.dataset import Dataset
from dslp.data.profile import CORRELATED, CROWD, DAY, FEW, OWN, QUANTILES, Column, Profile

MARK = "<!-- Written by `dslp data profile"
COMMON = 0.01  # share of the values, below which a common value of numbers is not named
UNKNOWN = schema.Column(type="unknown", categories=None)


def write_profile(dataset: Dataset, profile: Profile) -> list[Path]:
    """Write the page `docs/data/NAME.md`, and the block in the datasheet.

    Returns:
        The two files.

    Raises:
        DslpError: the datasheet's markers are not in order, or a file cannot be written, or the
            page was not written by this command.
    """
    sheet = dataset.folder / "datasheet.md"
    text = datasheet.replace_block(read_text(sheet), datasheet_block(dataset, profile))
    page = dataset.project.root / "docs" / "data" / f"{dataset.name}.md"
    if page.is_file() and MARK not in read_text(page):  # such as index.md
        raise DslpError(f"{page} was not written by this command; give it another name")
    save_page(page, *profile_page(dataset, profile))
    write_text(sheet, text)
    return [page, sheet]


def profile_page(dataset: Dataset, profile: Profile) -> tuple[str, dict[str, str]]:
    """The text of docs/data/NAME.md, and its pictures by their names."""
    described, pictures, columns = schema.read_schema(dataset), {}, []
    prose, _, history = _prose(dataset).partition("**History.**")
    for place, column in enumerate(profile.columns, start=1):
        notes = _notes(column)
        words, pictures[f"column-{place}"] = _picture(column, profile, notes)
        columns.append((column, described.columns.get(column.name, UNKNOWN), notes, words))
    text = render_page(
        "profile.md.jinja",
        dataset=dataset,
        sheet=dataset.sheet,
        schema=described,
        profile=profile,
        columns=columns,
        prose=prose,
        history=history,
        related=sorted({number for pair in profile.correlations for number in pair}),
        missing=missing,
        count_distinct=count_distinct,
        value=value,
        limits={"crowd": CROWD, "few": FEW, "own": OWN, "related": CORRELATED, "exact": QUANTILES},
    )
    return text, pictures


def datasheet_block(dataset: Dataset, profile: Profile) -> str:
    """The table of the columns for the datasheet, in Markdown."""
    context: dict[str, Any] = {
        "profile": profile,
        "missing": missing,
        "span": span,
        "unknown": UNKNOWN,
    }
    return render_page("columns.md.jinja", described=schema.read_schema(dataset).columns, **context)


def missing(column: Column, profile: Profile) -> str:
    """How many rows have no value, and their share."""
    count = profile.rows - column.count
    return f"{count:,} ({format_share(count, profile.rows)})" if count else "0"


def count_distinct(column: Column, profile: Profile, shown: int = 0) -> str:
    """The number of distinct values, less those that are shown."""
    count = (column.distinct or 0) - shown
    return (
        f"{count:,}" if profile.exact else f"about {format_number(max(1, float(f'{count:.3g}')))}"
    )


def span(column: Column, profile: Profile) -> str:
    """The smallest and the largest value, or the number of distinct ones."""
    least, most = column.minimum, column.maximum
    if least is not None:
        return f"{value(column, least)} to {value(column, most)}"
    if column.low is not None:
        return f"{value(column, column.low)} to {value(column, column.high)} (98 %)"
    return "" if column.distinct is None else f"{count_distinct(column, profile)} distinct"


def value(column: Column, raw: Any, digits: int = 6) -> str:
    """A value of the column as text; empty where it is missing."""
    if raw is None:
        return ""
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    if column.kind == "text":
        return visible(raw) or '""'
    if column.kind != "date":
        return format_number(raw, digits)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(raw))
    except (OverflowError, ValueError):
        return f"{format_number(raw / DAY / 365.2425 + 1970)} (year)"
    return f"{moment:%Y-%m-%d}" if column.type == "DATE" else f"{moment:%Y-%m-%d %H:%M:%S}"


def _prose(dataset: Dataset) -> str:
    """The prose of the datasheet, without its heading, and without links into the repository."""
    written = read_text(dataset.folder / "datasheet.md").replace("\r\n", "\n")
    before, _, rest = FRONT_MATTER.sub("", written).partition(datasheet.BEGIN)
    prose = re.sub(r"\A\s*# .*\n", "", before + rest.partition(datasheet.END)[2])
    prose = re.sub(
        r"(?m)^(\*\*[^*]+\*\*) .+$",
        lambda line: line[0] if is_written(line[0]) else f"{line[1]} *Not written yet.*",
        prose,
    )
    return re.sub(r"!?\[([^\]]*)\]\((?!https?://|mailto:)[^)]*\)", r"\1", prose).strip()


def _picture(column: Column, profile: Profile, notes: str) -> tuple[str, str]:
    """The description of a column's picture, and the picture; both empty where there is none."""
    name = visible(column.name)
    if column.bars:
        single = column.step == column.grain
        last = column.start + column.step * (len(column.bars) - single)
        ends = value(column, column.start), value(column, last)
        words = f"Histogram of {name} from {' to '.join(ends)}. {notes}"
        return words, draw_histogram(words, column.bars, *ends)
    if not column.values:
        return "", ""
    values = list(column.values)
    if column.kind in ("number", "date"):
        values.sort(key=lambda pair: float(pair[0]))
    rows = {value(column, each): [count / profile.rows] for each, count in values}
    if rest := column.count - sum(count for _, count in values):
        rows[f"{count_distinct(column, profile, len(values))} others"] = [rest / profile.rows]
    words = f"Shares of {name}. {notes}"
    return words, draw_shares(words, rows)


def _notes(column: Column) -> str:
    """Sentences on the distribution of a column."""
    notes = []
    if column.bars:
        most = max(column.bars)
        peak = column.start + column.step * column.bars.index(most)
        ends = [peak] if column.step == column.grain else [peak, peak + column.step]
        tallest = " to ".join(value(column, end) for end in ends)
        notes.append(f"Tallest bar: {tallest}, {format_share(most, column.count)} of the values.")
        if beyond := column.count - sum(column.bars):
            notes.append(f"{format_share(beyond, column.count)} of the values lie outside.")
    common = [
        f"{value(column, each)} ({format_share(count, column.count)})"
        for each, count in column.values[: 5 if column.bars else None]
        if count >= COMMON * column.count
    ]
    return " ".join([*notes, f"Most common: {', '.join(common)}."] if common else notes)
