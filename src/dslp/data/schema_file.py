"""Bringing `schema.yml` in line with the data, so that a review shows what changed and no more.

The text is edited at the places that YAML's own parser gives: what people wrote, its order and its
comments stay as they are, and writing twice changes nothing (D4).
"""

import re
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, read_text, write_text
from dslp.core.text import UNWRITTEN
from dslp.core.yaml_edits import Edit, insert_entry, line_after
from dslp.data.dataset import Dataset
from dslp.data.reading import (
    COPY,
    open_rows,
    propose_types,
    quote_identifier,
    reading_errors,
)
from dslp.data.schema import (
    column_types,
    count_nulls,
    fetch_distinct,
    fetch_row,
    parse_schema,
    type_family,
    unknown_categories,
)
from duckdb import DuckDBPyConnection

HEAD = "# The columns of the dataset: reviewers must see each change of this file.\n"
PROPOSED = "proposed: [key, columns] # look at them, then remove this line\n"
FEW = 20  # different texts, at most, that are taken for categories
OFTEN = 10  # rows for each of them, at least
MOST = 100  # values, at most, that are added to categories
KEYS = ("int", "string", "date", "timestamp")  # families of types that identify rows
# Names like order_id, orderId, id_2 or Country Code: such a column is the key rather than another.
IDENTIFIER = re.compile(
    r"(?i:(^|[\W_])(id|uuid|guid|key|code|nr|number|identifier)[\W_]*\d*$|^id[\W_])|[a-z](Id|ID)$"
)
# Columns, at most, of which two or three are tried together, and rows that exclude most of these.
COMBINED, BEGINNING = 12, 10_000


def write_schema(dataset: Dataset, proposed: bool = False) -> bool:
    """Bring `schema.yml` in line with the processed data, or begin it.

    Columns, types, nulls and values of categories that the data has are added, columns that it
    has not are removed. What the schema allows and the data does not use stays. What is begun is
    marked where it is `proposed`, until a person confirms it.

    Returns:
        Whether the file changed.

    Raises:
        DslpError: the data or the file cannot be read, or the file is written in a way that
            cannot be edited.
    """
    path = dataset.folder / "schema.yml"
    personal = dataset.sheet.personal_data  # then the file gets no value
    text = read_text(path) if path.is_file() else ""
    types = None
    if dataset.built.suffix == ".csv":
        types = propose_types(dataset.built) | (dataset.types if text.strip() else {})
    with open_rows(dataset, types) as connection, reading_errors(dataset):
        actual = column_types(dataset, connection)
        if types:  # CSV is read once
            connection.execute(COPY)
        if text.strip():
            new = _edit(path, text, actual, connection, personal)
        else:
            blocks = [_block(connection, *column, personal, "  ") for column in actual.items()]
            head = HEAD + PROPOSED * proposed
            new = f"{head}key: {flow(_key(connection, actual))}\ncolumns:\n{''.join(blocks)}"
    types = {}
    with suppress(DslpError):  # such as of a name that is too long for YAML
        columns = parse_schema(parse_yaml(new, path), str(path)).columns
        types = {name: column.type for name, column in columns.items()}
    if types != actual:
        raise DslpError(f"{path} is written in a way that cannot be edited; write it by hand")
    if new != text:
        write_text(path, new)
    return new != text


def _edit(
    path: Path,
    text: str,
    actual: dict[str, str],
    connection: DuckDBPyConnection,
    personal: bool,
) -> str:
    """The text with each column that differs changed, removed or added."""
    described = parse_schema(parse_yaml(text, path), str(path)).columns
    root: Any = yaml.compose(text)
    (columns,) = (value for key, value in root.value if key.value == "columns")
    if columns.flow_style:
        raise DslpError(f"{path}: put each column on a line of its own, below columns:")
    newline = "\r\n" if "\r\n" in text else "\n"
    text += "" if text.endswith("\n") else newline
    present = {name: column for name, column in described.items() if name in actual}
    null = count_nulls(connection, [name for name, one in present.items() if not one.nullable])
    same = {name: column for name, column in present.items() if column.type == actual[name]}
    new = {} if personal else unknown_categories(connection, same, most=MOST + 1)

    edits: list[Edit] = []
    nodes = {key.value: (key.start_mark, value) for key, value in columns.value}
    start = columns.start_mark
    place = start.index - start.column
    for name, (mark, value) in nodes.items():
        if name not in actual:
            edits.append((mark.index - mark.column, line_after(text, value), ""))
    for name, kind in actual.items():
        if name not in nodes:
            block = _block(connection, name, kind, personal, " " * start.column)
            edits.append((place, place, block.replace("\n", newline)))
            continue
        value = nodes[name][1]
        place = line_after(text, value)
        fields = {field.value: node for field, node in value.value}
        if kind != present[name].type:
            edits.append((*_span(fields["type"]), flow(kind)))
        if name in null and "nullable" in fields:
            edits.append((*_span(fields["nullable"]), "true"))
        elif name in null:
            edits.append(insert_entry(text, value, fields["type"], "nullable: true", newline))
        extra = new.get(name, [])
        if len(extra) > MOST:
            raise DslpError(
                f"{path}: {name!r:.60} has more than {MOST} values outside its categories; remove "
                "the categories, or correct the data"
            )
        for each in map(flow, extra):
            items = fields["categories"]
            entry = each if items.flow_style else f"- {each}"
            edits.append(insert_entry(text, items, items.value[-1], entry, newline))
    parts, last = [], 0
    for begin, end, replacement in sorted(edits, key=lambda edit: edit[0]):
        parts += [text[last:begin], replacement]
        last = max(last, end)
    return "".join([*parts, text[last:]])


def _span(node: Any) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def flow(value: object) -> str:
    """A value as YAML that is valid anywhere, in brackets too."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    return yaml.safe_dump(
        [value], default_flow_style=True, default_style=style, allow_unicode=True, width=10**9
    ).strip()[1:-1]


def _block(
    connection: DuckDBPyConnection, name: str, kind: str, personal: bool, margin: str
) -> str:
    """A new column: what the data says of it, and a description that is to be written."""
    lines = [f"type: {flow(kind)}"]
    if count_nulls(connection, [name]):
        lines.append("nullable: true")
    if type_family(kind) == "string" and not personal:
        column = quote_identifier(name)
        counts = f"SELECT count({column}), approx_count_distinct({column}) FROM rows"
        rows, estimate = fetch_row(connection, counts)
        if 0 < estimate <= 2 * FEW:
            values = fetch_distinct(connection, name, f"{column} IS NOT NULL ORDER BY 1")
            if len(values) <= FEW and rows >= OFTEN * len(values):
                lines.append(f"categories: {flow(values)}")
    lines.append(f"description: {UNWRITTEN}")
    return f"{margin}{flow(name)}:\n" + "".join(f"{margin}  {line}\n" for line in lines)


def _key(connection: DuckDBPyConnection, actual: dict[str, str]) -> list[str]:
    """The first column without nulls and repeated values, or the smallest such combination.

    Columns that are called like an identifier come first, then times. Numbers with decimals
    identify nothing.
    """
    possible = [name for name, kind in actual.items() if type_family(kind) in KEYS]
    null = count_nulls(connection, possible)
    possible = sorted(set(possible) - null.keys(), key=possible.index)
    times = [name for name in possible if type_family(actual[name]) in ("date", "timestamp")]
    possible.sort(key=lambda name: 0 if IDENTIFIER.search(name) else 1 if name in times else 2)
    (rows,) = fetch_row(connection, "SELECT count(*) FROM rows")
    for size in (1, 2, 3) if rows else ():
        candidates = list(combinations(possible if size == 1 else possible[:COMBINED], size))
        lists = [", ".join(map(quote_identifier, names)) for names in candidates]
        counts = ["count(*)", *(f"count(DISTINCT ({listed}))" for listed in lists)]
        beginning = f"SELECT {', '.join(counts)} FROM (FROM rows LIMIT {BEGINNING})"
        first, *different = fetch_row(connection, beginning)
        for names, listed, count in zip(candidates, lists, different, strict=True):
            query = f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM rows)"
            if count == first and fetch_row(connection, query) == (rows,):
                return list(names)
    return []
