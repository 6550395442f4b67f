"""Issue forms read back: the fields of a body, what is missing, and the links of its type (I11)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.files import read_yaml
from dslp.core.text import error_line
from dslp.github.entities import Issue

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

NO_RESPONSE = "_No response_"  # what GitHub writes for a field that is left empty
EMPTY = {NO_RESPONSE.lower(), "none", "n/a", "-", ""}
MOST = 8  # issues that one issue may name in its links; each is read
# GitHub's own ways to name an issue: #12, GH-12, ada/claims#12; and the address of its page. And
# the words by which a pull request closes it.
REFERENCE = re.compile(
    r"(?:\b(?P<closes>close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s*)?(?<![\w/#&-])"
    r"(?:([\w-]+/[\w.-]+)?#|GH-|https?://[^\s/]+/([\w-]+/[\w.-]+)/(?:issues|pull)/)"
    r"(?P<number>[1-9]\d{0,8})\b",
    re.IGNORECASE,
)
# Comments, blocks of code, code in a line, and what is struck through.
UNREAD = re.compile(
    r"<!--.*?(?:-->|\Z)|^ *(`{3,}|~{3,}).*?(?:^ *\1|\Z)|(?<!`)(`+)(?!`).+?(?<!`)\2(?!`)|~~.+?~~",
    re.DOTALL | re.MULTILINE,
)


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


@dataclass(frozen=True)
class Form:
    """An issue form.

    Attributes:
        title: what the title begins with.
        labels: names of the labels that it applies.
        assignees: who is assigned.
        fields: by its label, what GitHub's schema says of each field, without its levels; `value`
            is what it holds before anybody writes, `options` are texts, and `ticked` the options
            that must be.
    """

    title: str
    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    fields: Mapping[str, Any]

    @property
    def required(self) -> tuple[str, ...]:
        """The labels of the required fields."""
        return tuple(label for label, field in self.fields.items() if field.get("required"))


BLOCKS = re.compile(r"```|~~~|<|^[ \t]+#", re.MULTILINE)  # code, HTML, lists: a parser is needed
# The links of a form, by the type of its issues.
LINKS = {
    "Ask": [Link("Parent Ask", False)],
    "Data": [Link("Ask", True)],
    "Explore": [Link("Belongs to", True, ("Ask", "Data", "Experiment"))],
    "Experiment": [Link("Ask", True)],
    "Model": [Link("Ask", True), Link("Experiment", True, ("Experiment",))],
    "Communicate": [Link("Ask", False)],
}
# What an experiment's issue says once it has an outcome, by the outcome's label (B5, B6, I8).
RESULTS = {"succeeded": ("Runs", "Summary"), "failed": ("Summary",)}


@lru_cache(maxsize=8)  # of one issue, several fields are read one after another
def form_fields(body: str) -> Mapping[str, str]:
    """The sections of a body by their headings; an empty one is ''.

    Of two headings with one name, the first counts. The text before the first heading is ignored.
    """
    lines, fields = re.split(r"\r\n|\r|\n", body), dict[str, str]()
    heads = headings(body)
    for (start, name), (end, _) in zip(heads, [*heads[1:], (len(lines), "")], strict=False):
        text = "\n".join(lines[start + 1 : end]).strip()
        fields.setdefault(name, "" if text.lower() in EMPTY else text)
    return fields


def headings(text: str) -> list[tuple[int, str]]:
    """The headings (###) outside of code and HTML: the number of the line, and the words."""
    lines = re.split(r"\r\n|\r|\n", text)
    if BLOCKS.search(text):
        heads = [one for one in _blocks().parse(text) if one.type == "heading_open"]
        starts = [one.map[0] for one in heads if one.map and (one.level, one.markup) == (0, "###")]
    else:  # most texts: 20 times as fast, which counts where thousands are read
        starts = [number for number, line in enumerate(lines) if re.match(r"###([ \t]|$)", line)]
    return [(start, lines[start].strip().strip("#").strip()) for start in starts]


def read_forms(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    """The required fields of each issue form in `.github`, by the type of its issues.

    GitHub requires them in public repositories only. A form that cannot be read requires nothing.
    """
    forms: dict[str, list[tuple[str, ...]]] = {}
    for file in form_files(folder).values():
        with suppress(DslpError):
            form = read_form(file)
            for kind in form.labels:
                forms.setdefault(kind, []).append(form.required)
    return forms


def form_files(folder: Path) -> dict[str, Path]:
    """The issue forms in `.github`, by the names of the files without their ending."""
    files = sorted((folder / "ISSUE_TEMPLATE").glob("*.y*ml"))
    return {
        file.stem.lower().removeprefix("dslp-"): file for file in files if file.stem != "config"
    }


def read_form(file: Path) -> Form:
    """An issue form.

    Raises:
        DslpError: the file is none, or cannot be read.
    """
    form: Any = read_yaml(file)
    names = (form.get(one) or () for one in ("labels", "assignees"))  # a list, or one, two
    try:
        labels, people = (tuple(re.split(", *", n) if isinstance(n, str) else n) for n in names)
        items = [_read_field(item) for item in form["body"] if item["type"] != "markdown"]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise DslpError(f"{file} is no issue form: {error_line(repr(error))}") from None
    return Form(form.get("title", ""), labels, people, {item["label"]: item for item in items})


def _read_field(item: Any) -> dict[str, Any]:
    field = {**item, **item["attributes"], **item.get("validations", {})}
    options = [one["label"] if isinstance(one, dict) else one for one in field.get("options", ())]
    value = options[field["default"]] if "default" in field else field.get("value", "")
    if item["type"] == "checkboxes":
        field["ticked"] = [one["label"] for one in field["options"] if one.get("required")]
        value = "\n".join(f"- [ ] {option}" for option in options)
    return {**field, "options": options, "value": value.strip()}


def empty_fields(issue: Issue, forms: Sequence[tuple[str, ...]]) -> list[str]:
    """The fields that the issue's next step needs and that are empty, without its links.

    Args:
        issue: of a type.
        forms: the required fields of the forms of this type; the form that fits best counts.
    """
    fields = form_fields(issue.body)
    links = [link.field for link in LINKS.get(issue.kind, ())]
    results = RESULTS if issue.kind == "Experiment" else {}
    ended = [name for label, names in results.items() if issue.labelled(label) for name in names]
    missing = [[name for name in form if not fields.get(name)] for form in forms]
    first = min(missing, key=len, default=[])
    return [n for n in (*first, *(n for n in ended if not fields.get(n))) if n not in links]


def form_links(kind: str, body: str, repository: str = "") -> list[Link]:
    """The links that the form of a type has, and the issues that each names, at most MOST.

    Args:
        kind: the issue's type.
        body: the issue's text.
        repository: `owner/name`; other repositories' issues do not count.
    """
    sections = form_fields(body)
    links = []
    for link in LINKS.get(kind, ()):
        text = sections.get(link.field, "")
        text = f"#{text}" if text.isdecimal() else text  # a bare number
        links.append(replace(link, numbers=tuple(named_issues(text, repository))[:MOST]))
    return links


def linked_numbers(issue: Issue | None, repository: str = "", field: str = "") -> list[int]:
    """The numbers of the issues that an issue names, in one field or in all of its links."""
    links = form_links(issue.kind, issue.body, repository) if issue else []
    named = [number for link in links if field in ("", link.field) for number in link.numbers]
    return list(dict.fromkeys(named))[:MOST]


def served_asks(issues: Mapping[int, tuple[str, Iterable[int]]], number: int) -> tuple[int, ...]:
    """The Asks that an issue names, or that an issue does which it names (I11, I12).

    Of an Ask, these are its parents.

    Args:
        issues: the type of each issue, and the issues that it names in its links.
        number: of the issue.
    """
    kind, named = issues[number]
    between = [issues[one] for one in named if one in issues and kind != "Ask"]
    further = [one for other, numbers in between if other != "Ask" for one in numbers]
    asks = [one for one in dict.fromkeys([*named, *further]) if issues.get(one, ("",))[0] == "Ask"]
    return tuple(one for one in asks if one != number)


def named_issues(text: str, repository: str) -> list[int]:
    """The issues of this repository that a text names; first those that a pull request closes."""
    matches = [
        match
        for match in REFERENCE.finditer(UNREAD.sub(" ", text))
        if (match[2] or match[3] or repository).lower() == repository.lower()
    ]
    matches.sort(key=lambda match: match["closes"] is None)
    return list(dict.fromkeys(int(match["number"]) for match in matches))


@cache
def _blocks() -> "MarkdownIt":
    """A parser of Markdown's blocks, such as headings, which leaves the text of a line unread."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").disable("inline")
