"""The format of each file of a project that people write and the library reads.

A file says its format by a number, `format: 2`; a file without it has format 1. A format is a new
one where a name or a value means something else than before. `dslp upgrade` moves files on.
"""

import re
from typing import Any

from dslp.core.errors import DslpError

# The newest format, by the name of the file. Formats from `OLDEST` on are read.
FORMATS = {"datasheet.md": 1, "schema.yml": 1, "params.yml": 2, "gates.yml": 2, "monitor.yml": 1}
OLDEST = 1
FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def read_format(content: dict[str, Any], name: str, where: object) -> int:
    """The format that the content of a file says; `name` is the file's, `where` is its place.

    Raises:
        DslpError: it is no number, or one that only a newer library knows.
    """
    number, newest = content.get("format", 1), FORMATS[name]
    if type(number) is not int or number < 1:
        problem = f"{where}: format is {number!r:.40}"
        raise DslpError(f"{problem}; write a number from 1 to {newest}, or leave it out")
    if number > newest:
        problem = f"{where} has format {number}, and this dslp reads {newest} at most"
        raise DslpError(f"{problem}; get a newer one: uv sync, or else copier update --defaults")
    return number


def without_format(content: dict[str, Any], name: str, where: object) -> dict[str, Any]:
    """The content of a file but for its format, which is one that is read.

    Raises:
        DslpError: it is no number, or that of another library.
    """
    number = read_format(content, name, where)
    if number < OLDEST:
        raise DslpError(f"{where} has the old format {number}; move it on: uv run dslp upgrade")
    return {field: value for field, value in content.items() if field != "format"}
