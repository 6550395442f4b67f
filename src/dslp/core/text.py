"""Untrusted text made safe to show: on one line, without passwords, escaped."""

import re
from math import floor, log10
from typing import Any

LONGEST = 60  # characters of a name or a value
SENTENCE = 1_000  # characters of what a person wrote
REASON = 300  # characters of what an error says
UNWRITTEN = "to be written"  # stands for what a person has to write
SPECIAL = re.compile(  # emphasis and addresses within a line, lists at its beginning, and all else
    r"(?<!\w)_|_(?!\w)|:(?=[^\s\d])|^[+-](?=[\s+-]|$)|(?<=^\d)[.)](?=\s)|[!\"#$&*<>@[\\\]^`{|}~]"
)


def error_line(error: object, most: int = REASON) -> str:
    """What an error says on one line, without passwords, cut after `most` characters."""
    return redact(" ".join(str(error).split()))[:most]  # cut last: a part of a password is one


def redact(address: str) -> str:
    """An address without user, password and query."""
    # A password may hold any character: of an address alone, all before its last @ is left out.
    address = re.sub(r"^([\w+.-]+:)//[^\s/@:]*:.*@", r"\1//", address)
    address = re.sub(r"//\S*@", "//", address)
    return re.sub(r"(?<=\?)[^\s?]*=\S*[^\s.:;,]", "...", address)


def visible(value: object, most: int = LONGEST) -> str:
    """Any text on one line, cut, with invisible characters as codes; not yet escaped."""
    whole = str(value)
    cut = whole[:most] + "…" * (len(whole) > most)
    edges = re.sub(r"^ +| +$", lambda match: "␣" * len(match[0]), cut)
    if edges.isprintable():  # most texts: faster
        return edges
    return "".join(
        letter if letter.isprintable() or letter == "\u200d" else f"\\u{ord(letter):04x}"
        for letter in edges
    )


def escape_markdown(value: object, most: int = LONGEST) -> str:
    """Any text, escaped for a line or a cell of Markdown, and for HTML."""
    return SPECIAL.sub(lambda match: f"&#{ord(match[0])};", visible(value, most))


def format_share(count: float, total: float) -> str:
    """A part of a whole in percent; 0 and 100 are shown only where they are exact."""
    percent = 100 * count / total
    if 0 < percent < 0.05 or 99.95 <= percent < 100:
        return "< 0.1 %" if percent < 1 else "> 99.9 %"
    return f"{percent:.1f} %"


def format_number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits; whole numbers in full.

    At most ten digits count, since sums over threads differ beyond them.
    """
    if isinstance(value, int):
        return f"{value:,}"
    plain = float(f"{float(value):.10g}")
    if plain.is_integer() and abs(plain) < 1e15:
        return f"{int(plain):,}"
    if not 1e-4 <= abs(plain) < 1e15:
        return f"{plain:.{digits}g}"
    places = max(0, digits - 1 - floor(log10(abs(plain))))
    text = f"{plain:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
