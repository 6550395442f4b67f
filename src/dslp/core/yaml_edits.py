"""Editing the text of a YAML file at places that its parser gives; all else stays as it is."""

from typing import Any

import yaml

Edit = tuple[int, int, str]  # from, to, replacement


def insert_entry(text: str, whole: Any, part: Any, entry: str, newline: str) -> Edit:
    """The edit that puts an entry after one part of a list or mapping, in its style."""
    if whole.flow_style:
        return part.end_mark.index, part.end_mark.index, f", {entry}"
    place = line_after(text, part)
    return place, place, " " * whole.start_mark.column + entry + newline


def line_after(text: str, node: Any) -> int:
    """The start of the line that follows the content of a node."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]  # the mark of a block ends at the next one, beyond comments
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    return end if text[end - 1] == "\n" else text.index("\n", end) + 1
