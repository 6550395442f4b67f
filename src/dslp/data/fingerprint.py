"""The digest of a dataset's content, which does not depend on how the rows are stored (D6)."""

import hashlib
import json
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from dslp.data.dataset import Dataset
from dslp.data.reading import ROWS, open_rows, quote_identifier, reading_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

BATCH = 2_000_000  # values that are in memory at once
SEED, NULL = 0x243F6A8885A308D3, 0x13198A2E03707344  # digits of pi
MIXER = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
NESTED = ("STRUCT(", "MAP(", "UNION(")
INSTANTS = re.compile(r"TIMESTAMP(_S|_MS|_NS)?")


def digest(dataset: Dataset) -> str:
    """The digest of `digest_and_rows`."""
    return digest_and_rows(dataset)[0]


def digest_and_rows(dataset: Dataset) -> tuple[str, int]:
    """A digest of the content of a dataset, and its number of rows.

    The digest is the SHA-256, in hex, of the columns' names and types and of the multiset of rows,
    not of the order of rows, row groups or part files, nor of encodings or the unit of timestamps.
    0.0 and -0.0 are one value, and so are all NaN; null is another. Each row is mixed to 64 bits,
    and the rows are summed, so memory does not grow with them. This detects accidents, and not
    forgeries: the bytes of shared files have their own SHA-256 (`store`).

    Raises:
        DslpError: the data is not built, or cannot be read.
    """
    with open_rows(dataset) as connection, reading_errors(dataset):
        connection.execute("SET preserve_insertion_order = false")  # which would cost memory
        connection.execute("SET threads = 1")  # so would reading ahead; hashing is the longer part
        described = [row[:2] for row in connection.execute(f"DESCRIBE {ROWS}").fetchall()]
        selected = [
            part for name, kind in described for part in _canonical(quote_identifier(name), kind)
        ]
        query = f"SELECT {', '.join(selected)} FROM {ROWS}"
        rows, total, squares = 0, 0, 0
        for batch in connection.sql(query).to_arrow_reader(max(1, BATCH // len(selected))):
            words = _rows(batch)
            rows += len(words)
            total += int(words.sum(dtype="uint64"))
            squares += int((words * words).sum(dtype="uint64"))
    columns = [(name, _kind(kind)) for name, kind in described]
    content = json.dumps([columns, rows, total % 2**64, squares % 2**64])
    return hashlib.sha256(content.encode()).hexdigest(), rows


def _kind(kind: str) -> str:
    """The type's name, without how it is encoded: a category is text, an instant has no unit."""
    kind = "VARCHAR" if kind.startswith("ENUM(") else kind
    return "TIMESTAMP" if INSTANTS.fullmatch(kind) else kind


def _canonical(column: str, kind: str) -> list[str]:
    """SQL that gives a column as integers, doubles, text or bytes: one way for each value."""
    if kind in INTEGERS or kind == "BOOLEAN":
        return [f"{column}::BIGINT"]
    if kind in ("FLOAT", "DOUBLE"):
        return [f"{column}::DOUBLE"]
    if kind == "TIMESTAMP_NS":  # whole microseconds, and the rest
        rest = f"(epoch_ns({column}) % 1000 + 1000) % 1000"
        return [f"(epoch_ns({column}) - {rest}) // 1000", rest]
    if INSTANTS.fullmatch(kind):
        return [f"epoch_us({column}::TIMESTAMP)", f"if({column} IS NULL, NULL, 0)"]
    if kind == "TIMESTAMP WITH TIME ZONE":
        return [f"epoch_us({column})"]
    if kind == "BLOB":
        return [column]
    if kind.endswith("]") or kind.startswith(NESTED):
        return [f"to_json({column})::VARCHAR"]
    return [f"{column}::VARCHAR"]


def _rows(batch: Any) -> "Words":
    """A number for each row, in which every column counts at its place."""
    import numpy as np

    total = np.full(batch.num_rows, SEED, dtype="uint64")
    for column in batch.columns:
        total ^= _values(column)
        total = _mix(total)
    return total


def _values(column: Any) -> "Words":
    """A number for each value; nulls have their own."""
    import numpy as np
    import pyarrow as pa

    nulls = np.from_dlpack(column.is_null().cast(pa.uint8())).astype(bool)
    if pa.types.is_integer(column.type):
        words = _mix(_array(column).astype("int64").view("uint64"))
    elif pa.types.is_floating(column.type):
        plain = _array(column) + 0.0  # of -0.0 as well
        plain[np.isnan(plain)] = np.nan
        words = _mix(plain.view("uint64"))
    else:  # once for each different value
        encoded = column.dictionary_encode()
        values = encoded.dictionary.cast(pa.binary()).to_pylist() or [b""]
        hashes = b"".join(blake2b(value, digest_size=8).digest() for value in values)
        words = np.frombuffer(hashes, dtype="<u8")[np.where(nulls, 0, _array(encoded.indices))]
    words[nulls] = NULL
    return words


def _array(column: Any) -> Any:
    """The numbers of an Arrow array without a copy, of nulls any; its own ways import pandas."""
    import numpy as np
    import pyarrow as pa

    buffers = [None, column.buffers()[1]]
    plain = pa.Array.from_buffers(column.type, len(column), buffers, offset=column.offset)
    return np.from_dlpack(plain)


def _mix(words: "Words") -> "Words":
    """SplitMix64: each bit of the result depends on each bit of the word (Steele et al., 2014)."""
    import numpy as np

    step, first, second = np.array(MIXER, dtype="uint64")
    words = words + step
    words ^= words >> np.uint64(30)
    words *= first
    words ^= words >> np.uint64(27)
    words *= second
    words ^= words >> np.uint64(31)
    return words
