"""Issue forms read back: the fields of a body, and the links that its type has (I11)."""

import re
from dataclasses import dataclass, replace

from dslp.github.entities import Issue

EMPTY = {"_no response_", "none", "n/a", "-", ""}
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True)
class Link:
    """A field of a form that names issues.

    Attributes:
        field: its label on the form.
        required: whether it must name one.
        allowed: the types of issue that it may name.
        numbers: the issues that it names.
    """

    field: str
    required: bool
    allowed: tuple[str, ...] = ("Ask",)
    numbers: tuple[int, ...] = ()


# The links of a form, by the type of its issues.
LINKS = {
    "Ask": [Link("Parent Ask", False)],
    "Data": [Link("Ask", True)],
    "Explore": [Link("Belongs to", True, ("Ask", "Data", "Experiment"))],
    "Experiment": [Link("Ask", True)],
    "Model": [Link("Ask", True), Link("Experiment", True, ("Experiment",))],
    "Communicate": [Link("Ask", False)],
}


def form_fields(body: str) -> dict[str, str]:
    """The sections of a body by their headings; an empty one is ''.

    Of two headings with one name, the first counts. Headings inside a code fence are text. The
    text before the first heading is ignored.
    """
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    fence = ""
    for line in body.splitlines():
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        if not fence and line.startswith("### "):
            lines = []
            sections.setdefault(line[4:].strip(), lines)
        else:
            lines.append(line)
    texts = {name: "\n".join(section).strip() for name, section in sections.items()}
    return {name: "" if text.lower() in EMPTY else text for name, text in texts.items()}


def form_links(kind: str, body: str, repository: str = "") -> list[Link]:
    """The links that the form of a type has, and the issues that each names.

    Args:
        kind: the issue's type.
        body: the issue's text.
        repository: `owner/name`; addresses of its issues count as their numbers.
    """
    sections = form_fields(body)
    return [
        replace(link, numbers=_numbers(sections.get(link.field, ""), repository))
        for link in LINKS.get(kind, ())
    ]


def linked_numbers(issue: Issue | None, repository: str = "", field: str = "") -> list[int]:
    """The numbers of the issues that an issue names, in one field or in all of its links."""
    links = form_links(issue.kind, issue.body, repository) if issue else []
    named = [number for link in links if field in ("", link.field) for number in link.numbers]
    return list(dict.fromkeys(named))


def _numbers(text: str, repository: str) -> tuple[int, ...]:
    """Issues named as `#12`, as a bare number on its own, or by their address in `repository`."""
    if repository:
        address = rf"https?://[^\s/]+/{re.escape(repository)}/issues/(\d+)\S*"
        text = re.sub(address, r"#\1", text, flags=re.IGNORECASE)
    numbers = re.findall(r"(?<![\w/#])#([1-9]\d{0,8})\b", text)
    if not numbers and re.fullmatch(r"[1-9]\d{0,8}", text.strip()):
        numbers = [text.strip()]
    return tuple(dict.fromkeys(map(int, numbers)))
