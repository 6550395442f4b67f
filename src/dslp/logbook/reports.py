"""Reports: pages for readers who decide, with figures from the record by reference (C3, C4).

A report is Markdown in `reports/`. Its head has title, audience, decision and date. In its text, a
directive such as `{model:claim_frequency@1.2.0 improvement}` stands for a figure. One without a
record is a finding. The text is the team's and stays as it is; what directives bring in is escaped.
Blocks of code, code in a line and comments keep their directives.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dslp.core.errors import DslpError, nearest
from dslp.core.files import parse_yaml, read_text, remove_path
from dslp.core.pictures import draw_intervals
from dslp.core.report import Finding, render_page, save_page, unwritten_findings
from dslp.core.semver import VERSION, parse_version
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, UNWRITTEN, escape_markdown, format_number
from dslp.logbook.events import Logbook, Run
from dslp.logbook.pages import day, link, run_anchor, shown_runs, slug
from dslp.logbook.story import Step, Story
from markdown_it import MarkdownIt

T = TypeVar("T")
KINDS = ("ask", "dataset", "model", "plot", "run")
HEAD = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)
# An escaped character, code in a line, a comment; or a directive, perhaps without its end.
PARTS = re.compile(
    r"\\.|(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|<!--.*?-->"
    r"|\{\s*(?P<kind>[^\W\d]\w*)\s*:(?P<words>[^{}]*)(?P<end>\}?)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Record:
    """What a directive refers to.

    Attributes:
        label: its name for people, such as `claim_frequency 1.2.0`.
        place: where it stands in the logbook, from a report's page.
        at: when it was made, or began.
        item: what has its figures; of a plot, the step whose results are drawn.
    """

    label: str
    place: str
    at: datetime
    item: Run | Step | Story

    @property
    def run(self) -> Run | None:
        """The run that its figures come from; of a plot, the first one."""
        item = self.item.results[0].run if isinstance(self.item, Step) else self.item
        return item if isinstance(item, Run) else None


class Records:
    """The records, by kind and name, such as `dataset:claims@1.0.0`."""

    def __init__(self, logbook: Logbook, stories: Sequence[Story]) -> None:
        steps = [step for story in stories for step in story.steps]
        self.results = {one.run.id: one for step in steps for one in step.results}
        self.newest, self.in_use = dict[str, str](), dict[str, str]()
        self.by_name = dict[str, Record]()
        places = {run.id: str(link(run.url)) for run in logbook.runs}
        for story in stories:
            name, page = f"#{story.ask.issue.number}", f"../asks/{story.ask.issue.number}.md"
            self._add("ask", name[1:], f"Ask {name}", page, story.ask.created, story)
            for step in story.steps:
                places |= {run.id: f"{page}#{run_anchor(run)}" for run in shown_runs(step)}
                if step.work and any(result.gain for result in step.results):
                    name, place = str(step.work.issue.number), f"{page}#{step.key}"
                    self._add("plot", name, step.title, place, step.start, step)
        runs, short = {}, Counter(run.id[:8] for run in logbook.runs)
        for run in logbook.runs:
            runs[run.id], data, version = run, run.tag("dataset"), run.tag("dataset_version")
            name = run.id[:8] if short[run.id[:8]] == 1 else run.id
            self._add("run", name, f"run {name}", places[run.id], run.start, run)
            if (run.kind, run.status) == ("dataset", "FINISHED") and re.fullmatch(VERSION, version):
                place = f"../datasets/{slug(data)}.md#version-{slug(version)}"
                self._add(
                    "dataset", f"{data}@{version}", f"{data} {version}", place, run.start, run
                )
                self.newest[data] = max(self.newest.get(data, version), version, key=parse_version)
        champions = {one.model: one for one in logbook.versions if one.role == "champion"}
        for one in logbook.versions:
            version, champion = one.semantic or one.version, champions.get(one.model, one)
            place = f"../models/{slug(one.model)}.md#version-{slug(one.version)}"
            if training := runs.get(one.run):
                name, label = f"{one.model}@{version}", f"{one.model} {version}"
                self._add("model", name, label, place, one.created, training)
            if champion.run != one.run:
                self.in_use[one.run] = f"{one.model} {champion.semantic or champion.version}"

    def _add(self, kind: str, name: str, *facts: Any) -> None:
        self.by_name[f"{kind}:{name}"] = Record(*facts)

    def figures(self, record: Record) -> dict[str, str]:
        """The figures of a record for people, by name; without a name, the record itself."""
        item = record.item
        if isinstance(item, Story):
            return {"": item.ask.issue.title, "state": item.state, "sentence": item.sentence}
        if isinstance(item, Step):
            gains = [f"{one.candidate}: {one.sentence}" for one in item.results if one.gain]
            return {"": "; ".join(gains)}
        rows, result = item.tag("rows"), self.results.get(item.id)
        numbers: dict[str, float] = {"rows": int(rows)} if rows.isdecimal() else {}
        numbers |= {name: x for name, x in item.metrics.items() if math.isfinite(x)}
        figures = {name: format_number(x) for name, x in numbers.items()}
        if result and result.gain:
            figures |= {
                "improvement": result.sentence.partition(";")[0],
                "sentence": result.sentence,
            }
        return {"": record.label, **item.params, **figures}

    def newer(self, record: Record) -> str:
        """What has taken the place of a record's data, or of its model, in words."""
        if not (run := record.run):
            return ""
        data, version, words = run.tag("dataset"), run.tag("dataset_version"), list[str]()
        newest = self.newest.get(data, version)
        if re.fullmatch(VERSION, version) and parse_version(version) < parse_version(newest):
            words.append(f"{data} {newest} is newer")
        words += [f"{self.in_use[run.id]} is in use"] if run.id in self.in_use else []
        return ", ".join(words)


class Page:
    """The page of a report.

    Attributes:
        head: what the report says of itself; empty where neither a head nor a directive shows that
            the file is a report.
        name: of its file in the folder of pages.
        text: its text, with a figure in place of each directive.
        figures: each directive's figure and record.
        pictures: as SVG, by name.
        findings: the directives without a record, by file and line.
    """

    def __init__(self, file: Path, records: Records) -> None:
        self.file, self.records, self.name = file, records, slug(file.stem)
        self.figures, self.pictures = dict[str, tuple[str, Record]](), dict[str, str]()
        self.findings, self.head, self.text = list[Finding](), dict[str, Any](), ""
        try:
            text = self._read()
        except DslpError as error:
            self._find(error, 1)
            return
        lines, filled, last = text.split("\n"), list[str](), 0
        # Indented text may be a note's: code is what stands between fences.
        tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text)
        blocks = {(one.map[0], one.map[1]): one for one in tokens if one.map and one.content}
        for (start, end), token in sorted(blocks.items(), key=lambda item: item[0]):
            block = "\n".join(lines[start:end])
            if token.type != "fence":
                block = PARTS.sub(partial(self._fill_in, start + 1, token.type), block)
            elif token.markup not in lines[end - 1]:
                self._find("this block of code has no end", start + 1)
            filled += [*lines[last:start], block]
            last = end
        self.text = "\n".join([*filled, *lines[last:]])

    def _read(self) -> str:
        """The text of the report, with empty lines in place of its head.

        Raises:
            DslpError: the head is missing, is no YAML, or has no date.
        """
        text = read_text(self.file).replace("\r\n", "\n")
        match = HEAD.match(text)
        if not text.startswith("---") and not any(part["kind"] for part in PARTS.finditer(text)):
            return ""
        head: Any = parse_yaml(match[1], "the head") if match else None
        if not match or not isinstance(head, dict) or type(head.get("date")) is not date:
            problem = "a report begins with a head between two ---"
            raise DslpError(f"{problem}, with a date such as 2026-03-03")
        for name in ("title", "audience", "decision"):
            head[name] = " ".join(str(head.get(name) or UNWRITTEN).split())
        self.head = head
        return "\n" * match[0].count("\n") + text[match.end() :]

    def _fill_in(self, start: int, block: str, match: re.Match[str]) -> str:
        """What takes the place of a part of a block, which begins in line `start`."""
        if not match["kind"]:
            return match[0]
        name, _, figure = " ".join(match["words"].split()).partition(" ")
        name, by_name = f"{match['kind']}:{name.removeprefix('#')}", self.records.by_name
        try:
            if match["kind"] not in KINDS:
                raise DslpError(f"it is of no kind{nearest(match['kind'], KINDS)}")
            if block == "html_block" or not match["end"]:
                raise DslpError("it must stand outside of HTML, and end with }")
            record = _pick(by_name, name)
            text = _pick(self.records.figures(record), figure)
            if record.at.date() > self.head["date"]:
                raise DslpError(f"it is of {day(record.at)}, after the report's date")
        except DslpError as error:
            self._find(f"{match[0]}: {error}", start + match.string.count("\n", 0, match.start()))
            return match[0]
        shown, place = escape_markdown(text, SENTENCE), f"]({record.place})</bdi>"
        if isinstance(record.item, Step):
            figure, picture = "plot", record.item.key
            self.pictures[picture] = _draw(record.item)
            shown = f"![{shown}]({self.name}/{picture}.svg)"
        newer = escape_markdown(self.records.newer(record) if figure else "", SENTENCE)
        if figure:
            self.figures[f"{name} {figure}"] = (text, record)
        mark = f" <small>(as of {day(self.head['date'])}; {newer})</small>" if newer else ""
        return f"<bdi>[{shown}{place}{mark}"

    def _find(self, problem: object, line: int) -> None:
        place = f"reports/{self.file.name}:{line}"
        self.findings.append(Finding("C3", str(problem), subject=place))


def render_reports(
    project: Project, logbook: Logbook, stories: Sequence[Story], folder: Path
) -> list[Finding]:
    """Write the page of each report into `folder/reports`, and their list, `index.md`.

    Returns:
        What is wrong with them, by file and line.
    """
    files, folder = sorted((project.root / "reports").glob("*.md")), folder / "reports"
    remove_path(folder)
    records = Records(logbook, stories if files else ())
    every = [Page(file, records) for file in files]
    pages = sorted((page for page in every if page.head), key=lambda one: one.head["date"])
    issues = {work.issue.number: link(work.issue.url) for work in logbook.works}
    context: dict[str, Any] = {
        "logbook": logbook,
        "records": records,
        "issues": issues,
        "day": day,
        "link": link,
    }
    for page in pages:
        text = render_page("report.md.jinja", "dslp.logbook", page=page, **context)
        save_page(folder / f"{page.name}.md", text, page.pictures)
    if pages:
        index = render_page("reports.md.jinja", "dslp.logbook", pages=pages[::-1], day=day)
        save_page(folder / "index.md", index)
    unwritten = unwritten_findings(page.file for page in pages)
    return [finding for page in every for finding in page.findings] + unwritten


def _draw(step: Step) -> str:
    """The gains of an experiment's candidates with their intervals, as SVG."""
    rows = [
        (one.candidate, f"{gain} ({gain.interval})", gain.estimate, gain.low, gain.high)
        for one in step.results
        if (gain := one.gain) and math.isfinite(gain.low + gain.high)
    ]
    marks = {"baseline": 0.0, "criterion": step.results[0].criterion or 0.0}
    title = f"Gain in {step.results[0].metric}"
    return draw_intervals(step.title, title, rows, marks, "95 % interval; right is better")


def _pick(records: Mapping[str, T], name: str) -> T:
    """The record or the figure of that name.

    Raises:
        DslpError: there is none; the most similar one of its kind is shown.
    """
    if name not in records:
        kind = name.rpartition(":")[0]
        names = [one for one in records if one and one.rpartition(":")[0] == kind]
        hint = nearest(name, names) if names else ""
        raise DslpError(f"{name!r:.60} is not in the record{hint}")
    return records[name]
