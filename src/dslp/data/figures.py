"""Names, values and figures of a profile as text that is safe to show (D5).

Names and values come from the data, so nobody vouches for them: each is cut, made visible and
escaped before it meets markup.
"""

import html
import re
from datetime import UTC, datetime, timedelta
from math import floor, log10
from typing import Any

from dslp.data.profile import DAY, Column, Profile

LONGEST = 60  # characters of a name or a value
SPECIAL = re.compile(  # emphasis and addresses within a line, lists at its beginning, and all else
    r"(?<!\w)_|_(?!\w)|:(?=[^\s\d])|^[+-](?=[\s+-]|$)|(?<=^\d)[.)](?=\s)|[!#$&*<>@[\\\]^`{|}~]"
)


def visible(value: object, most: int = LONGEST) -> str:
    """Any text on one line, cut, with what cannot be seen spelt out; not yet escaped."""
    whole = str(value)
    cut = whole[:most] + "…" * (len(whole) > most)
    edges = re.sub(r"^ +| +$", lambda match: "␣" * len(match[0]), cut)
    return "".join(
        letter if letter.isprintable() or letter == "\u200d" else f"\\u{ord(letter):04x}"
        for letter in edges
    )


def text(value: object, most: int = LONGEST) -> str:
    """Any text as it can stand in HTML."""
    return html.escape(visible(value, most)) or "<i>empty</i>"


def markdown(value: object, most: int = LONGEST) -> str:
    """Any text as it can stand in a line or a cell of Markdown: no character has a meaning."""
    return SPECIAL.sub(lambda match: f"&#{ord(match[0])};", visible(value, most))


def missing(column: Column, profile: Profile) -> str:
    """How many rows have no value, and their share."""
    count = profile.rows - column.count
    return f"{count:,} ({share(count, profile.rows)})" if count else "0"


def different(column: Column, profile: Profile, shown: int = 0) -> str:
    """How many different values there are, without so many that are shown."""
    count = (column.distinct or 0) - shown
    return f"{count:,}" if profile.exact else f"about {number(max(1, float(f'{count:.3g}')))}"


def span(column: Column, profile: Profile) -> str:
    """From which value to which, or how many different ones."""
    least, most = column.minimum, column.maximum
    if least is not None:
        return f"{value(column, least)} to {value(column, most)}"
    if column.low is not None:
        return f"{value(column, column.low)} to {value(column, column.high)} (98 %)"
    return "" if column.distinct is None else f"{different(column, profile)} different"


def share(count: int, total: int) -> str:
    """A part of a whole in percent, which is 0 or 100 only where it is."""
    percent = 100 * count / total
    if 0 < percent < 0.05 or 99.95 <= percent < 100:
        return "< 0.1 %" if percent < 1 else "> 99.9 %"
    return f"{percent:.1f} %"


def value(column: Column, found: Any, digits: int = 6) -> str:
    """A value in the words of its column."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if column.kind == "text":
        return str(found)
    if column.kind != "date":
        return number(found, digits)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(found))
    except (OverflowError, ValueError):
        return f"{number(found / DAY / 365.2425 + 1970)} (year)"
    return f"{moment:%Y-%m-%d}" if column.type == "DATE" else f"{moment:%Y-%m-%d %H:%M:%S}"


def number(found: Any, digits: int = 4) -> str:
    """A number to so many digits, whole ones in full; too short for what threads sum otherwise."""
    if isinstance(found, int):
        return f"{found:,}"
    plain = float(f"{float(found):.10g}")
    if plain.is_integer() and abs(plain) < 1e15:
        return f"{int(plain):,}"
    if not 1e-4 <= abs(plain) < 1e15:
        return f"{plain:.{digits}g}"
    places = max(0, digits - 1 - floor(log10(abs(plain))))
    shown = f"{plain:,.{places}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
