"""The types that columns of a CSV file can have, and which texts are a value of each.

A cast of DuckDB alone would change values in silence: it rounds 2.5 to an integer, and drops the
time of a date and the offset of a time.
"""

import re
from dataclasses import dataclass

DAY = r"\d{4,6}-\d\d-\d\d"
CLOCK = r"\d\d:\d\d(:\d\d(\.\d{0,%d}0*)?)?"
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
    """

    sql: str
    word: str
    pattern: str
    canonical: str = ""

    def test(self, column: str, canonical: bool = False) -> str:
        """SQL: whether a text is a value; of null true, or null where it is to be `canonical`."""
        pattern = self.canonical if canonical else rf"\s*({self.pattern})\s*"
        return (
            f"CASE WHEN {column} IS NULL THEN {'NULL' if canonical else 'true'} "
            f"ELSE regexp_full_match({column}, '{pattern}', 'i') "
            f"AND TRY_CAST({column} AS {self.sql}) IS NOT NULL END"
        )

    def cast(self, column: str) -> str:
        """SQL that gives the value of a text, or fails."""
        value, failure = f"TRY_CAST({column} AS {self.sql})", f"error('no {self.word}')"
        return f"CASE WHEN {self.test(column)} THEN {value} ELSE {failure}::{self.sql} END"


WHOLE = r"[+-]?\d+(\.0*)?"
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan"
TIME = rf"{DAY}([ T]{CLOCK})?"
TYPES = {
    "bool": CsvType("BOOLEAN", "truth value", "true|false|t|f|1|0", "true|false"),
    "date32[day]": CsvType("DATE", "date", rf"{DAY}([ T]00:00(:00(\.0+)?)?)?"),
    "time64[us]": CsvType("TIME", "time of a day", CLOCK % 6),
    "double": CsvType(
        "DOUBLE", "number", NUMBER, r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?(e[+-]?\d{1,2})?"
    ),
    "float": CsvType("FLOAT", "number", NUMBER),
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
        pattern = TIME % DIGITS[match[1]]
        if match[2]:
            return CsvType("TIMESTAMPTZ", "time with an offset from UTC", pattern + OFFSET)
        sql = "TIMESTAMP" if match[1] == "us" else f"TIMESTAMP_{match[1]}"
        return CsvType(sql, "time without an offset", pattern, pattern)
    return TYPES.get(kind)
