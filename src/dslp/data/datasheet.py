"""`datasheet.md`: what one has to know before using a dataset.

The front matter is checked. People write the prose; commands write one block in it
(`replace_block`) and a line of the history for each version (D8).
"""

import re
from typing import Annotated, Literal

from dslp.core.errors import DslpError, nearest
from dslp.core.files import parse_yaml
from dslp.core.formats import FRONT_MATTER, without_format
from dslp.core.semver import VERSION
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

BEGIN, END = "<!-- dslp: begin -->", "<!-- dslp: end -->"
TABLE = re.compile(
    r"^\|[ \t]*version[ \t]*\|[ \t]*issue[ \t]*\|[ \t]*change[ \t]*\|.*\n(?:\|.*(?:\n|\Z))*",
    re.MULTILINE | re.IGNORECASE,
)

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Datasheet(BaseModel):
    """The front matter; each description says what to write."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: str = Field(pattern=f"^{VERSION}$", description="three numbers, such as 1.0.0")
    issue: int | None = Field(
        None, ge=1, description="the number of the version's issue, such as 12, or leave it out"
    )
    owner: Text = Field(description="who answers for the dataset: a team or a person")
    parents: list[Text] = Field(
        description="what it is built from, datasets or sources: [claims], or [] for nothing"
    )
    licence: Text = Field(description="the terms of use, such as public domain")
    personal_data: bool = Field(description="yes or no")
    known_issues: list[Text] = Field(
        description='a list of sentences, in "quotes" where they hold a colon, or []'
    )
    files: Text | None = Field(
        None, description="the path of what another program writes, such as output/visits"
    )
    ci: Literal["build", "sample", "none"] = Field(
        "build", description="how the data comes to CI: build, sample or none"
    )


def parse_datasheet(text: str, where: str) -> Datasheet:
    """The front matter of a datasheet's text; `where` is what an error calls it.

    Raises:
        DslpError: one line for all invalid fields.
    """
    try:
        front = without_format(front_matter(text, where), "datasheet.md", where)
        return Datasheet.model_validate(front)
    except ValidationError as error:
        problems = {each["loc"][0]: _problem(each) for each in error.errors()}
        raise DslpError(f"{where}: {'; '.join(problems.values())}") from None


def front_matter(text: str, where: str) -> dict[str, object]:
    """The front matter, with any fields.

    Raises:
        DslpError: it is missing.
    """
    match = FRONT_MATTER.match(text)
    front = parse_yaml(match[1], where) if match else None
    if not isinstance(front, dict):
        raise DslpError(
            f"{where} states no version; begin it with the lines ---, version: 1.0.0, ---"
        )
    return {str(name): value for name, value in front.items()}


def history(text: str) -> list[tuple[str, str, str]]:
    """Version, issue and change of each line of the table under `| version | issue | change |`.

    Raises:
        DslpError: a line has other cells than these.
    """
    table = TABLE.search(text)
    rows = []
    for line in table[0].splitlines()[2:] if table else ():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())]
        if len(cells) != 5:
            raise DslpError(
                f"datasheet.md: its history has the line {line!r:.60}; write | version | issue | "
                "change |, and \\| for a bar in a text"
            )
        rows.append((cells[1], cells[2], cells[3]))
    return rows


def with_version(text: str, version: str, issue: int | None, change: str) -> str:
    """The datasheet's text with another version, its issue, and a line of history for it.

    Everything else stays as it was written, also a line of the history for this version. Without
    a table, one is begun at the end. `change` is plain text; it becomes one line.

    Raises:
        DslpError: the front matter is invalid, or written in a way that cannot be edited.
    """
    parse_datasheet(text, "datasheet.md")
    match = FRONT_MATTER.match(text)
    assert match is not None  # or it could not have been parsed
    front = _put(_put(match[1], "version", version), "issue", issue)
    edited = text[: match.start(1)] + front + text[match.end(1) :]
    sheet = parse_datasheet(edited, "datasheet.md")
    if (sheet.version, sheet.issue) != (version, issue):
        raise DslpError(f"datasheet.md: write the line version: {version} by hand")
    if version in [row[0] for row in history(edited)]:
        return edited
    end = "\r\n" if "\r\n" in edited else "\n"
    table = TABLE.search(edited)
    place = table.end() if table else len(edited)
    before, after = edited[:place], edited[place:]
    before += "" if before.endswith("\n") else end
    if not table:
        heads = ["", "**History.**", "", "| version | issue | change |", "| --- | --- | --- |", ""]
        before += end.join(heads)
    return before + f"| {version} | {issue or ''} | {_cell(change)} |{end}" + after


def replace_block(text: str, block: str) -> str:
    """The datasheet's text with `block` between the markers, which are put at the end if missing.

    Raises:
        DslpError: one marker is without the other, or they are there more than once.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    if not text.count(BEGIN) == text.count(END) <= 1 or text.find(BEGIN) > text.find(END):
        raise DslpError(f"datasheet.md must have {BEGIN} and {END} once each, in this order")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if rest else end
    if not rest:
        before = before.rstrip() + 2 * end
    lines = block.replace("<!--", "&lt;!--").strip().split("\n")  # no marker within the block
    return before + end.join([BEGIN, *lines, END]) + after


def _put(front: str, field: str, value: object) -> str:
    """Front matter with the field changed, added below the version, or removed (None)."""
    if value is None:
        return re.sub(rf"^{field}[ \t]*:.*\n", "", front, flags=re.MULTILINE)
    line = re.compile(rf"^{field}[ \t]*:.*?(?=[ \t]+#|\r?$)", re.MULTILINE)
    if line.search(front):
        return line.sub(f"{field}: {value}", front, count=1)
    return re.sub(r"^(version.*?)(\r?\n)", rf"\1\2{field}: {value}\2", front, count=1, flags=re.M)


def _cell(text: str) -> str:
    """Text for one cell of a Markdown table."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split()).replace("<", "&lt;").replace("|", "\\|")


def _problem(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    field = Datasheet.model_fields.get(name)
    if field is None:
        return f"{name} is no field of a datasheet{nearest(name, Datasheet.model_fields)}"
    value = "missing" if error["type"] == "missing" else f"{error['input']!r:.60}"
    return f"{name} is {value}; write {field.description}"
