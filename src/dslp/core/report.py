"""The one way to show findings: on the terminal, as JSON, and as pages.

A page is Markdown for GitHub and for the project's site (Zensical). It is a template of
Jinja2 that escapes every value: no character of a name or a value has a meaning in Markdown or
HTML, and invisible characters are shown as codes.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.files import read_text, remove_path, write_text
from dslp.core.text import (
    LONGEST,
    SENTENCE,
    UNWRITTEN,
    escape_markdown,
    format_number,
    format_share,
    visible,
)

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SIGNS = re.compile(r"^[ -]*(\w+: )?| +#.*$")  # of YAML, around a sentence
LONGEST_LINE = 2_000  # characters of a line of a finding, which shows untrusted values


@dataclass(frozen=True)
class Finding:
    """One thing that a check found wrong.

    Attributes:
        rule: what is broken: a rule of the process (B3), an expectation, `schema`, or a gate.
        problem: what is wrong, or what was found instead, in words.
        todo: what to do about it.
        subject: what it is about: columns, `table`, a file, a branch.
        why: the sentence that the suite gives for the expectation.
        count: number of rows, where it is about rows.
        examples: some of those rows: the value, and the key of its row.
        severe: whether the check fails by it; a warning is shown, and fails nothing.
    """

    rule: str
    problem: str = ""
    todo: str = ""
    subject: str = ""
    why: str = ""
    count: int | None = None
    examples: Sequence[str] = ()
    severe: bool = True

    def __str__(self) -> str:
        rows = "" if self.count is None else f"{self.count:,} row" + "s" * (self.count != 1)
        head = ": ".join(filter(None, (self.subject, self.rule)))
        lines = [head + ("" if self.severe else " (warning)"), self.why]
        lines += [f"found: {', '.join(filter(None, (rows, self.problem))) or 'no value'}"]
        lines += [f"such as: {'; '.join(self.examples)}"] if self.examples else []
        return "\n  ".join(visible(line, LONGEST_LINE) for line in (*lines, self.todo) if line)


@dataclass(frozen=True)
class Report:
    """What a check says of one subject; `--json` prints it (`as_json`).

    Attributes:
        subject: what was checked: a dataset, a model, a branch, this machine.
        checks: how many checks were made.
        findings: what is wrong.
        skipped: what could not be checked, such as on a sample.
        details: what else the command knows, by names that its documentation gives.
    """

    subject: str
    checks: int = 0
    findings: Sequence[Finding] = ()
    skipped: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing severe was found."""
        return not any(finding.severe for finding in self.findings)

    def __str__(self) -> str:
        verdict = "holds" if self.ok else "does not hold"
        head = f"{self.subject} {verdict}: {self.checks} checks, {len(self.findings)} findings"
        skipped = f"not checked on a sample: {'; '.join(self.skipped)}" if self.skipped else ""
        tail = [visible(skipped, LONGEST_LINE)] if skipped else []
        return "\n\n".join([head, *map(str, self.findings), *tail])


def as_json(reports: Sequence[Report]) -> str:
    """The reports of a command in the one form that `--json` prints (docs/library.md)."""
    results = [{"subject": report.subject, "ok": report.ok} | asdict(report) for report in reports]
    text = json.dumps({"ok": all(report.ok for report in reports), "results": results}, default=str)
    content = json.loads(text, parse_constant=lambda _: None)  # JSON has no NaN and no infinity
    return json.dumps(content, indent=2, ensure_ascii=False)


def is_written(text: str) -> bool:
    """Whether a person wrote the text: it is not what `dslp new` or `data schema` put there."""
    return text != UNWRITTEN and not _scaffold().fullmatch(text)


def unwritten_findings(files: Iterable[Path]) -> list[Finding]:
    """A warning for each of the files that has a sentence which no person has written."""
    findings = []
    for file in files:
        lines = [SIGNS.sub("", line) for line in read_text(file).splitlines()]
        sentences = [line for line in lines if line and not is_written(line)]
        problem, todo = "a text that `dslp new` or `data schema` put there", "write your own"
        if sentences:
            shown = sentences[:3] + ["..."] * (len(sentences) > 3)
            finding = Finding("D9", problem, todo, file.name, examples=shown, severe=False)
            findings.append(finding)
    return findings


def render_page(template: str, package: str = "dslp.core", **context: Any) -> str:
    """The text of a page, whose template is in the folder `templates` of a package.

    A name that the template uses and `context` lacks is an error.
    """
    text = _templates(package).get_template(template).render(context)
    return re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"


def save_page(page: Path, text: str, pictures: Mapping[str, str] | None = None) -> None:
    """Write a page, and its pictures by their names into a folder that is named like it.

    Pictures of a page that was there before are removed; what is the same is not written again.

    Raises:
        DslpError: a file cannot be written.
    """
    folder = page.with_suffix("")
    images = {folder / f"{name}.svg": image for name, image in (pictures or {}).items() if image}
    for path, content in (images | {page: text}).items():
        if not path.is_file() or path.read_bytes() != content.encode():
            write_text(path, content)
    for path in set(folder.glob("*.svg") if pictures is not None else ()) - set(images):
        if 'data-by="dslp"' in read_text(path)[:400]:
            remove_path(path)


@cache
def _scaffold() -> re.Pattern[str]:
    """Matches any sentence of the files that `dslp new` writes, with any names filled in."""
    folder = files("dslp").joinpath("scaffold", "skeletons")
    names = ("dataset/datasheet.md", "dataset/schema.yml", "model/params.yml", "report.md")
    text = "\n".join(folder.joinpath(f"{name}.txt").read_text(encoding="utf-8") for name in names)
    lines = [SIGNS.sub("", line) for line in text.split("\n")]
    sentences = [re.escape(line) for line in lines if " " in line and line[0] not in "#{|["]
    return re.compile(
        "|".join(re.sub(r"\\\{\\\{.*?\\\}\\\}", ".*", sentence) for sentence in sentences)
    )


@cache
def _templates(package: str) -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def safe(value: object, most: int = LONGEST) -> "Markup":
        return value if isinstance(value, Markup) else Markup(escape_markdown(value, most))

    def written(value: str) -> "Markup":
        return safe(value, SENTENCE) if is_written(value) else Markup("<em>not written yet</em>")

    lines: Any = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    templates = Environment(loader=PackageLoader(package), autoescape=True, finalize=safe, **lines)
    sentence, percent = partial(safe, most=SENTENCE), partial(format_share, total=1)
    templates.filters.update(
        number=format_number, percent=percent, sentence=sentence, written=written
    )
    return templates
