"""The header of a CSV file, the types of its columns, and which texts are a value of each.

A cast of DuckDB alone would change values in silence: it rounds 2.5 to an integer, and drops the
time of a date and the offset of a time.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dslp.core.errors import DslpError

HEADER = 1_000_000  # bytes of the first line, at most
WIDTH = 10_000  # columns, at most: more are a wrong delimiter, or no table
DAY = r"\d{4}-\d\d-\d\d"
CLOCK = r"([01]\d|2[0-3]):\d\d(:\d\d(\.\d{0,%d}0*)?)?"
OFFSET = r" ?(Z|UTC|[+-]\d\d(:?\d\d)?)"
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # of a second
INTEGERS = {"int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT"}


@dataclass(frozen=True)
class CsvType:
    """A type of a column.

    Attributes:
        sql: its name in DuckDB.
        word: what one value is called.
        pattern: a regular expression of its values, upper and lower case alike.
        canonical: one of those that can hardly be text, for a proposal.
        exact: SQL, which a value must meet too, of the text {0} and the value {1}.
    """

    sql: str
    word: str
    pattern: str
    canonical: str = ""
    exact: str = "{1} IS NOT NULL"

    def test(self, column: str, canonical: bool = False) -> str:
        """SQL: whether a text is a value; of null true, or null where it is to be `canonical`."""
        pattern = self.canonical if canonical else rf"\s*({self.pattern})\s*"
        exact = self.exact.format(column, f"TRY_CAST({column} AS {self.sql})")
        return (
            f"CASE WHEN {column} IS NULL THEN {'NULL' if canonical else 'true'} "
            f"ELSE regexp_full_match({column}, '{pattern}', 'i') "
            f"AND {exact} END"
        )

    def cast(self, column: str) -> str:
        """SQL that gives the value of a text, or fails."""
        value, failure = f"TRY_CAST({column} AS {self.sql})", f"error('no {self.word}')"
        return f"CASE WHEN {self.test(column)} THEN {value} ELSE {failure}::{self.sql} END"


WHOLE = r"[+-]?\d+(\.0*)?"
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan"
# Neither zero nor infinite, if the text is not.
FINITE = "(isfinite({1}) AND {1} <> 0 OR regexp_matches({0}, '^[^1-9]*(e|$)', 'i'))"
TIME = rf"\d{{0,2}}{DAY}([ T]{CLOCK})?"
TYPES = {
    "bool": CsvType("BOOLEAN", "truth value", "true|false|t|f|1|0", "true|false"),
    "date32[day]": CsvType("DATE", "date", rf"{DAY}([ T]00:00(:00(\.0+)?)?)?"),
    "time64[us]": CsvType("TIME", "time of a day", CLOCK % 6),
    "double": CsvType(
        "DOUBLE",
        "number",
        NUMBER,
        r"-?((0|[1-9]\d{0,14})(\.\d{1,20})?|\.\d{1,20})(e[+-]?\d{1,2})?",
        FINITE,
    ),
    "float": CsvType("FLOAT", "number", NUMBER, exact=FINITE),
}
for _name, _sql in INTEGERS.items():
    TYPES[_name] = CsvType(_sql, "whole number", WHOLE, r"0|-?[1-9]\d{0,14}")
    TYPES[f"u{_name}"] = CsvType(f"U{_sql}", "whole number", WHOLE)


def csv_type(kind: str) -> CsvType | None:
    """The type by Arrow's name; None for text, and for what a CSV file cannot hold."""
    if match := re.fullmatch(r"decimal128\((\d+), (\d+)\)", kind):
        digits, places = int(match[1]), int(match[2])
        pattern = rf"[+-]?0*\d{{0,{digits - places}}}(\.\d{{0,{places}}}0*)?"
        return CsvType(f"DECIMAL({digits}, {places})", f"decimal of {places} places", pattern)
    if match := re.fullmatch(r"timestamp\[(s|ms|us|ns)(, tz=.+)?\]", kind):
        digits = min(DIGITS[match[1]], 6 if match[2] else 9)  # TIMESTAMPTZ has microseconds
        pattern, decimals = TIME % digits, f"(seconds with at most {digits} decimals)"
        if match[2]:
            word = f"time with an offset from UTC {decimals}"
            return CsvType("TIMESTAMPTZ", word, pattern + OFFSET)
        sql = "TIMESTAMP" if match[1] == "us" else f"TIMESTAMP_{match[1]}"
        return CsvType(sql, f"time without an offset {decimals}", pattern, pattern)
    return TYPES.get(kind)


def read_header(path: Path) -> tuple[str, list[str]]:
    """The delimiter of a CSV file, and the names in its first line.

    Raises:
        DslpError: the file is no text, or its first line is no header.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(HEADER + 1)
        text = line.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise DslpError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise DslpError(f"{path} cannot be read: {error.strerror}") from None
    if not text:
        raise DslpError(f"{path} is empty; its first line must name the columns")
    headers, problem = dict[str, list[str]](), ""
    candidates = [each for each in ",;\t|" if each in text] or [","]
    for delimiter in candidates if len(line) <= HEADER else ():
        try:
            headers[delimiter] = next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            problem = problem or str(error)
    delimiter = max(headers, key=lambda each: len(headers[each]), default="")
    names = headers.get(delimiter, [])
    if len(line) > HEADER or len(names) > WIDTH:
        raise DslpError(
            f"{path} has more than {WIDTH:,} columns in its first line: no table with a header"
        )
    if not names:
        raise DslpError(
            f"{path} has no header in its first line ({problem}); name the columns there, and end "
            "each line as Windows or Unix does"
        )
    if not all(names) or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), "")
        why = f"two are called {twice!r:.60}"
        if not all(names):
            index = " (the index of pandas? write the file with index=False)"
            why = f"column {names.index('') + 1} has no name{index if not names[0] else ''}"
        raise DslpError(f"{path}: the first line does not name the columns, each once: {why}")
    return delimiter, names


def typed_columns(
    path: Path, types: Mapping[str, str]
) -> Iterator[tuple[str, str, CsvType | None]]:
    """Of each column: its name in SQL (c0, c1, ...), its own, and its type; None for text."""
    for number, name in enumerate(read_header(path)[1]):
        yield f"c{number}", name, csv_type(types.get(name, "string"))


def used_types(path: Path, types: Mapping[str, str]) -> dict[str, str]:
    """Types in SQL of the columns of a file that are not read as text."""
    return {name: kind.sql for _, name, kind in typed_columns(path, types) if kind}
