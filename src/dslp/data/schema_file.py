"""Bringing `schema.yml` in line with the data, so that a review shows what changed and no more.

The text is edited where YAML's own parser says that a value stands: what people wrote, its order
and its comments stay as they are, and writing twice changes nothing (D4).
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, read_text, write_text
from dslp.core.text import UNWRITTEN
from dslp.data.dataset import Dataset
from dslp.data.reading import open_rows, quote_identifier, reading_errors
from dslp.data.schema import (
    Column,
    column_types,
    count_nulls,
    parse_schema,
    type_family,
    unknown_categories,
)

if TYPE_CHECKING:
    import duckdb

HEAD = "# The columns of the dataset: a change here is a change that reviewers must see.\n"
FEW = 20  # at most so many different texts are guessed to be categories
OFTEN = 10  # if there are so many times as many rows
MOST = 100  # at most so many values are added to categories that a person began
KEYS = ("int", "string", "date", "timestamp")  # what a column that identifies rows is made of


def write_schema(dataset: Dataset) -> bool:
    """Bring `schema.yml` in line with the processed data, or begin it; returns whether it changed.

    Columns, types, nulls and values of categories that the data has are added, columns that it
    has not are removed. What the schema allows and the data does not use stays.

    Raises:
        DslpError: the data or the file cannot be read, or the file is written in a way that
            cannot be edited.
    """
    path = dataset.folder / "schema.yml"
    personal = dataset.sheet.personal_data  # then no value is one for the file
    text = read_text(path) if path.is_file() else ""
    with open_rows(dataset) as connection, reading_errors(dataset):
        actual = column_types(dataset, connection)
        if text.strip():
            made = _edited(path, text, actual, connection, personal)
        else:
            blocks = [_block(connection, *column, personal, "  ") for column in actual.items()]
            made = f"{HEAD}key: {_flow(_key(connection, actual))}\ncolumns:\n{''.join(blocks)}"
    found: dict[str, Column] = {}
    with suppress(DslpError):  # a name may be longer than YAML can have it
        found = parse_schema(parse_yaml(made, path), str(path)).columns
    if {name: column.type for name, column in found.items()} != actual:
        raise DslpError(f"{path} is written in a way that cannot be edited; write it by hand")
    if made != text:
        write_text(path, made)
    return made != text


def _edited(
    path: Path,
    text: str,
    actual: dict[str, str],
    connection: "duckdb.DuckDBPyConnection",
    personal: bool,
) -> str:
    """The text with each column that differs changed, taken away or added."""
    stated = parse_schema(parse_yaml(text, path), str(path)).columns
    root: Any = yaml.compose(text)
    (columns,) = (value for key, value in root.value if key.value == "columns")
    if columns.flow_style:
        raise DslpError(f"{path}: put each column on a line of its own, below columns:")
    newline = "\r\n" if "\r\n" in text else "\n"
    text += "" if text.endswith("\n") else newline
    here = {name: column for name, column in stated.items() if name in actual}
    null = count_nulls(connection, [name for name, column in here.items() if not column.nullable])
    same = {name: column for name, column in here.items() if column.type == actual[name]}
    new = {} if personal else unknown_categories(connection, same, most=MOST + 1)

    edits: list[tuple[int, int, str]] = []  # from, to, what to put there
    nodes = {key.value: (key.start_mark, value) for key, value in columns.value}
    start = columns.start_mark
    place = start.index - start.column
    for name, (mark, value) in nodes.items():
        if name not in actual:
            edits.append((mark.index - mark.column, _after(text, value), ""))
    for name, kind in actual.items():
        if name not in nodes:
            block = _block(connection, name, kind, personal, " " * start.column)
            edits.append((place, place, block.replace("\n", newline)))
            continue
        value = nodes[name][1]
        place = _after(text, value)
        fields = {field.value: node for field, node in value.value}
        if kind != here[name].type:
            edits.append((*_span(fields["type"]), _flow(kind)))
        if name in null and "nullable" in fields:
            edits.append((*_span(fields["nullable"]), "true"))
        elif name in null:
            edits.append(_appended(text, value, fields["type"], "nullable: true", newline))
        extra = new.get(name, [])
        if len(extra) > MOST:
            raise DslpError(
                f"{path}: {name!r:.60} has more than {MOST} values outside its categories; take "
                "the categories away, or correct the data"
            )
        for each in map(_flow, extra):
            items = fields["categories"]
            each = each if items.flow_style else f"- {each}"
            edits.append(_appended(text, items, items.value[-1], each, newline))
    return _applied(text, edits)


def _applied(text: str, edits: list[tuple[int, int, str]]) -> str:
    made, last = "", 0
    for start, end, put in sorted(edits, key=lambda edit: edit[0]):
        made += text[last:start] + put
        last = max(last, end)
    return made + text[last:]


def _appended(text: str, whole: Any, part: Any, put: str, newline: str) -> tuple[int, int, str]:
    """The edit that puts an entry after one part of a list or mapping, in the style of it."""
    if whole.flow_style:
        return part.end_mark.index, part.end_mark.index, f", {put}"
    place = _after(text, part)
    return place, place, " " * whole.start_mark.column + put + newline


def _span(node: Any) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _after(text: str, node: Any) -> int:
    """Where the line begins that follows what the node holds."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]  # a block ends where the next one begins, beyond what is between
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    return end if text[end - 1] == "\n" else text.index("\n", end) + 1


def _flow(value: object) -> str:
    """A value as YAML that can stand anywhere, in brackets too."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    return yaml.safe_dump(
        [value], default_flow_style=True, default_style=style, allow_unicode=True, width=10**9
    ).strip()[1:-1]


def _block(
    connection: "duckdb.DuckDBPyConnection", name: str, kind: str, personal: bool, margin: str
) -> str:
    """A new column: what the data says of it, and a description that waits for a person."""
    lines = [f"type: {_flow(kind)}"]
    if count_nulls(connection, [name]):
        lines.append("nullable: true")
    if type_family(kind) == "string" and not personal:
        column = quote_identifier(name)
        texts = f"SELECT count({column}), approx_count_distinct({column}) FROM rows"
        rows, about = connection.execute(texts).fetchone() or (0, 0)
        if 0 < about <= 2 * FEW:
            distinct = f"SELECT DISTINCT {column} FROM rows WHERE {column} IS NOT NULL ORDER BY 1"
            values = [value for (value,) in connection.execute(distinct).fetchall()]
            if len(values) <= FEW and rows >= OFTEN * len(values):
                lines.append(f"categories: {_flow(values)}")
    lines.append(f"description: {UNWRITTEN}")
    return f"{margin}{_flow(name)}:\n" + "".join(f"{margin}  {line}\n" for line in lines)


def _key(connection: "duckdb.DuckDBPyConnection", actual: dict[str, str]) -> list[str]:
    """The first column that is never null and never twice the same, or two or three together."""
    possible = [name for name, kind in actual.items() if type_family(kind) in KEYS]
    null = count_nulls(connection, possible)
    possible = [name for name in possible if name not in null]
    (rows,) = connection.execute("SELECT count(*) FROM rows").fetchone() or (0,)
    for names in ([[name] for name in possible] + [possible[:2], possible[:3]]) if rows else ():
        listed = ", ".join(map(quote_identifier, names))
        if len(names) == 1:  # most columns are far from it, which is soon seen
            about = connection.execute(f"SELECT approx_count_distinct({listed}) FROM rows")
            if (about.fetchone() or (0,))[0] < rows / 2:
                continue
        query = f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM rows)"
        if names and connection.execute(query).fetchone() == (rows,):
            return names
    return []
