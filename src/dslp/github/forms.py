"""Issue forms read back: a body's fields, and the links that its type asks for (I11)."""

import re
from dataclasses import dataclass

EMPTY = {"_no response_", "none", "n/a", "-", ""}
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
# A field of a form, whether it is required, and the types of issue that it may name.
LINKS: dict[str, tuple[tuple[str, bool, frozenset[str]], ...]] = {
    "Ask": (("Parent Ask", False, frozenset({"Ask"})),),
    "Data": (("Ask", True, frozenset({"Ask"})),),
    "Explore": (("Belongs to", True, frozenset({"Ask", "Data", "Experiment"})),),
    "Experiment": (("Ask", True, frozenset({"Ask"})),),
    "Model": (("Ask", True, frozenset({"Ask"})), ("Experiment", True, frozenset({"Experiment"}))),
    "Communicate": (("Ask", False, frozenset({"Ask"})),),
}


@dataclass(frozen=True)
class Link:
    """A field of a form that names issues.

    Attributes:
        field: its label on the form.
        required: whether it must name one.
        allowed: the types of issue that it may name.
        numbers: the issues that it does name.
    """

    field: str
    required: bool
    allowed: frozenset[str]
    numbers: tuple[int, ...]


def form_fields(body: str) -> dict[str, str]:
    """The sections of a body by their headings; the first of a name counts, an empty one is ''.

    Headings inside a code fence are text. What stands before the first heading is left out.
    """
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    fence = ""
    for line in body.splitlines():
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        if not fence and line.startswith("### "):
            name = line[4:].strip()
            lines = found.setdefault(name, []) if name not in found else []
        elif lines is not None:
            lines.append(line)
    texts = {name: "\n".join(section).strip() for name, section in found.items()}
    return {name: "" if text.lower() in EMPTY else text for name, text in texts.items()}


def form_links(kind: str, body: str, repository: str = "") -> list[Link]:
    """The links that an issue of a type has fields for, and the issues that each names.

    Args:
        kind: the issue's type.
        body: the issue's text.
        repository: `owner/name`; addresses of its issues count as their numbers.
    """
    sections = form_fields(body)
    return [
        Link(field, required, allowed, _numbers(sections.get(field, ""), repository))
        for field, required, allowed in LINKS.get(kind, ())
    ]


def _numbers(text: str, repository: str) -> tuple[int, ...]:
    """Issues named as `#12`, as a bare number on its own, or by their address in `repository`."""
    if repository:
        address = re.escape(repository)
        text = re.sub(rf"https?://[^\s/]+/{address}/issues/(\d+)\S*", r"#\1", text, flags=re.I)
    found = re.findall(r"(?<![\w/#])#([1-9]\d{0,8})\b", text)
    if not found and re.fullmatch(r"[1-9]\d{0,8}", text.strip()):
        found = [text.strip()]
    return tuple(dict.fromkeys(int(number) for number in found))
