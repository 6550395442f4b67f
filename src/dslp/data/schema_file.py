"""Bringing `schema.yml` in line with the data, so that a review shows what changed and no more.

The text is edited at the places that YAML's own parser gives: what people wrote, its order and its
comments stay as they are, and writing twice changes nothing (D4).
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, read_text, write_text
from dslp.core.text import UNWRITTEN
from dslp.core.yaml_edits import Edit, insert_entry, line_after
from dslp.data.dataset import Dataset
from dslp.data.reading import (
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
FEW = 20  # different texts, at most, that are taken for categories
OFTEN = 10  # rows for each of them, at least
MOST = 100  # values, at most, that are added to categories
KEYS = ("int", "string", "date", "timestamp")  # families of types that identify rows


def write_schema(dataset: Dataset) -> bool:
    """Bring `schema.yml` in line with the processed data, or begin it.

    Columns, types, nulls and values of categories that the data has are added, columns that it
    has not are removed. What the schema allows and the data does not use stays.

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
        if text.strip():
            new = _edit(path, text, actual, connection, personal)
        else:
            blocks = [_block(connection, *column, personal, "  ") for column in actual.items()]
            new = f"{HEAD}key: {_flow(_key(connection, actual))}\ncolumns:\n{''.join(blocks)}"
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
            edits.append((*_span(fields["type"]), _flow(kind)))
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
        for each in map(_flow, extra):
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


def _flow(value: object) -> str:
    """A value as YAML that is valid anywhere, in brackets too."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    return yaml.safe_dump(
        [value], default_flow_style=True, default_style=style, allow_unicode=True, width=10**9
    ).strip()[1:-1]


def _block(
    connection: DuckDBPyConnection, name: str, kind: str, personal: bool, margin: str
) -> str:
    """A new column: what the data says of it, and a description that is to be written."""
    lines = [f"type: {_flow(kind)}"]
    if count_nulls(connection, [name]):
        lines.append("nullable: true")
    if type_family(kind) == "string" and not personal:
        column = quote_identifier(name)
        counts = f"SELECT count({column}), approx_count_distinct({column}) FROM rows"
        rows, estimate = fetch_row(connection, counts)
        if 0 < estimate <= 2 * FEW:
            values = fetch_distinct(connection, name, f"{column} IS NOT NULL ORDER BY 1")
            if len(values) <= FEW and rows >= OFTEN * len(values):
                lines.append(f"categories: {_flow(values)}")
    lines.append(f"description: {UNWRITTEN}")
    return f"{margin}{_flow(name)}:\n" + "".join(f"{margin}  {line}\n" for line in lines)


def _key(connection: DuckDBPyConnection, actual: dict[str, str]) -> list[str]:
    """The first column without nulls and repeated values, or the first two or three together."""
    possible = [name for name, kind in actual.items() if type_family(kind) in KEYS]
    null = count_nulls(connection, possible)
    possible = [name for name in possible if name not in null]
    (rows,) = fetch_row(connection, "SELECT count(*) FROM rows")
    for names in ([[name] for name in possible] + [possible[:2], possible[:3]]) if rows else ():
        listed = ", ".join(map(quote_identifier, names))
        if len(names) == 1:  # an estimate excludes most columns, fast
            estimate = f"SELECT approx_count_distinct({listed}) FROM rows"
            if fetch_row(connection, estimate)[0] < rows / 2:
                continue
        query = f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM rows)"
        if names and fetch_row(connection, query) == (rows,):
            return names
    return []
