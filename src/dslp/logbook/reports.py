"""Reports: pages for readers who decide, with figures from the record by reference (C3, C4).

A report is Markdown in `reports/`. Its head has title, audience, decision and date. In its text, a
directive such as `{model:claim_frequency@1.2.0 improvement}` stands for a figure. One without a
record is a finding. The text is the team's and stays as it is; what directives bring in is escaped.
Blocks of code, code in a line and comments keep their directives.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dslp.core.errors import DslpError, nearest
from dslp.core.files import parse_yaml, read_text, remove_path
from dslp.core.report import Finding, render_page, save_page, unwritten_findings
from dslp.core.semver import VERSION, parse_version
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, UNWRITTEN, escape_markdown, format_number
from dslp.experiments.gains import draw_gains
from dslp.logbook.events import Logbook, Run
from dslp.logbook.pages import link, run_anchor, shown_runs, slug
from dslp.logbook.results import Result, best_trials, read_results
from dslp.logbook.story import Step, Story, format_date
from markdown_it import MarkdownIt

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
        run: the run that the figures come from; of a plot, the first one.
    """

    label: str
    place: str
    at: datetime
    item: Run | Step | Story
    run: Run | None = None


class Records:
    """The records, by kind and name, such as `dataset:claims@1.0.0`."""

    def __init__(self, logbook: Logbook, stories: Sequence[Story]) -> None:
        self.logbook, self.by_name = logbook, dict[str, Record]()
        self.newest, self.in_use = dict[str, str](), dict[str, str]()
        steps = [(step, story.ask.issue.number) for story in stories for step in story.steps]
        self.trials, self.siblings = dict[date, Any](), defaultdict[str, list[Run]](list)
        places = {run.id: web_address(run.url) for run in logbook.runs}
        for story in stories:
            number = story.ask.issue.number
            self._add("ask", str(number), f"../asks/{number}.md", story.ask.created, story)
        for step, number in steps:
            page = f"../asks/{number}.md"
            places |= {run.id: f"{page}#{run_anchor(run)}" for run in shown_runs(step)}
            if step.work and any(result.gain for result in step.results):
                name, run = str(step.work.issue.number), step.results[0].run
                self._add("plot", name, f"{page}#{step.key}", step.start, step, run)
        runs, short = {run.id: run for run in logbook.runs}, Counter(r.id[:8] for r in logbook.runs)
        for run in logbook.runs:
            data, version = run.tag("dataset"), run.tag("dataset_version")
            self.siblings[run.tag("issue") or run.id].append(run)
            name = run.id[:8] if short[run.id[:8]] == 1 else run.id
            self._add("run", name, places[run.id], run.start, run, run)
            if (run.kind, run.status) == ("dataset", "FINISHED") and re.fullmatch(VERSION, version):
                place = f"../datasets/{slug(data)}.md#version-{slug(version)}"
                self._add("dataset", f"{data}@{version}", place, run.start, run, run)
                self.newest[data] = max(self.newest.get(data, version), version, key=parse_version)
        champions = {one.model: one for one in logbook.versions if one.role == "champion"}
        for one in logbook.versions:
            version, champion = one.semantic or one.version, champions.get(one.model, one)
            place = f"../models/{slug(one.model)}.md#version-{slug(one.version)}"
            if training := runs.get(one.run):
                self._add("model", f"{one.model}@{version}", place, one.created, training, training)
            if champion.run != one.run:
                self.in_use[one.run] = f"{one.model} {champion.semantic or champion.version}"

    def _add(self, kind: str, name: str, place: str, *facts: Any) -> None:
        if place:  # a run without an Ask has none
            label = name.replace("@", " ") if "@" in name else f"{kind} {name}"
            self.by_name[f"{kind}:{name}"] = Record(label, place, *facts)

    def results(self, runs: Sequence[Run], on: date) -> tuple[Result, ...]:
        """What the runs said on that day, also if they were repeated since."""
        if on not in self.trials:
            ended = (run for run in self.logbook.runs if run.end and run.end.date() <= on)
            self.trials[on] = best_trials(ended)
        return read_results([run for run in runs if run.start.date() <= on], self.trials[on])

    def figures(self, record: Record, on: date) -> dict[str, str]:
        """The figures of a record for people, by name; without a name, the record itself."""
        item = record.item
        if isinstance(item, Story):
            return {"": item.ask.issue.title, "state": item.state, "sentence": item.sentence}
        if isinstance(item, Step):
            gains = [one for one in self.results(item.runs, on) if one.gain]
            words = "; ".join(f"{one.candidate}: {one.sentence}" for one in gains)
            return {"": words} if gains else {}
        rows, others = item.tag("rows"), self.siblings[item.tag("issue") or item.id]
        numbers: dict[str, float] = {"rows": int(rows)} if rows.isdecimal() else {}
        numbers |= {name: x for name, x in item.metrics.items() if math.isfinite(x)}
        figures = {name: format_number(x) for name, x in numbers.items()}
        compared = [run for run in others if run.id == item.id or run.name != item.name]
        for result in self.results(compared, on):
            if result.run.id == item.id and result.gain:
                figures["improvement"] = result.sentence.partition(";")[0]
                figures["sentence"] = result.sentence
        return {"": record.label, **item.params, **figures}

    def mark(self, record: Record, on: date) -> str:
        """What has taken the place of a record's data or model, for a report of that day."""
        if isinstance(record.item, Story):
            since = record.item.since
            return f"since {format_date(since)}, after this report" if since.date() > on else ""
        words = list[str]()
        if run := record.run:
            data, version = run.tag("dataset"), run.tag("dataset_version")
            newest = self.newest.get(data, version)
            if re.fullmatch(VERSION, version) and parse_version(version) < parse_version(newest):
                words.append(f"{data} {newest} is newer")
            words += [f"{self.in_use[run.id]} is in use"] if run.id in self.in_use else []
        return f"as of {format_date(on)}; {', '.join(words)}" if words else ""


class Page:
    """The page of a report.

    Attributes:
        head: what the report says of itself; empty where neither a head nor a directive shows that
            the file is a report.
        name: of its file in the folder of pages.
        text: its text, with a figure in place of each directive.
        sources: each record that is referred to, with the names of its figures.
        pictures: as SVG, by name.
        findings: the directives without a record, by file and line.
    """

    def __init__(self, file: Path, records: Records) -> None:
        self.file, self.records, self.name = file, records, slug(file.stem)
        self.sources, self.pictures = dict[str, tuple[Record, list[str]]](), dict[str, str]()
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
        for (start, end), token in blocks.items():
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
        head: Any = parse_yaml(match[1], "the head") if match else None
        has_head = match and isinstance(head, dict) and "decision" in head
        if not has_head and not any(part["kind"] in KINDS for part in PARTS.finditer(text)):
            return ""
        if not match or not has_head or type(head.get("date")) is not date:
            problem = "a report begins with a head between two ---: title, audience, decision"
            raise DslpError(f"{problem}, and a date such as 2026-03-03")
        for name in ("title", "audience", "decision"):
            head[name] = " ".join(str(head.get(name) or UNWRITTEN).split())
        self.head = {"issue": None, "ask": None, **head}
        return "\n" * match[0].count("\n") + text[match.end() :]

    def _fill_in(self, start: int, block: str, match: re.Match[str]) -> str:
        """What takes the place of a part of a block, which begins in line `start`."""
        if not match["kind"]:
            return match[0]
        name, _, figure = " ".join(match["words"].split()).partition(" ")
        name = f"{match['kind']}:{name.removeprefix('#')}"
        try:
            if match["kind"] not in KINDS:
                raise DslpError(f"it is of no kind{nearest(match['kind'], KINDS)}")
            if block == "html_block" or not match["end"]:
                raise DslpError("it must stand outside of HTML, and end with }")
            record: Record = _pick(self.records.by_name, name)
            text = _pick(self.records.figures(record, self.head["date"]), figure)
            if record.at.date() > self.head["date"]:
                raise DslpError(f"it is of {format_date(record.at)}, after the report's date")
        except DslpError as error:
            directive = " ".join(match[0].split())
            self._find(f"{directive}: {error}", start + match.string.count("\n", 0, match.start()))
            return match[0]
        shown, mark = escape_markdown(text, SENTENCE), ""
        if isinstance(record.item, Step):
            figure = "plot"
            shown = f"![{shown}]({self.name}/{self._draw(record.item)}.svg)"
        if figure:
            self.sources.setdefault(name, (record, []))[1].append(figure)
            mark = escape_markdown(self.records.mark(record, self.head["date"]), SENTENCE)
        return f"<bdi>[{shown}]({record.place})</bdi>" + f" <small>({mark})</small>" * bool(mark)

    def _draw(self, step: Step) -> str:
        """Draw the gains of an experiment; returns the picture's name."""
        results = self.records.results(step.runs, self.head["date"])
        gains = [(one.candidate, one.gain) for one in results if one.gain]
        facts = (gains, results[0].criterion or 0.0, "95 % interval; right is better")
        self.pictures[step.key] = draw_gains(step.title, f"Gain in {results[0].metric}", *facts)
        return step.key

    def _find(self, problem: object, line: int) -> None:
        place = f"reports/{self.file.name}:{line}"
        self.findings.append(Finding("C3", str(problem), subject=place))


def render_reports(
    project: Project, logbook: Logbook, stories: Sequence[Story], folder: Path
) -> list[Finding]:
    """Write the page of each report into `folder/reports`, and their list, `folder/reports.md`.

    Returns:
        What is wrong with them, by file and line.
    """
    files, folder = sorted((project.root / "reports").glob("*.md")), folder / "reports"
    remove_path(folder)
    remove_path(folder.with_suffix(".md"))
    records = Records(logbook, stories) if files else None
    pages = [Page(file, records) for file in files if records]
    reports = [page for page in pages if page.head]
    render = partial(render_page, package="dslp.logbook", day=format_date, link=web_address)
    for page in reports:
        save_page(folder / f"{page.name}.md", render("report.md.jinja", page=page), page.pictures)
    if reports:
        save_page(folder.with_suffix(".md"), render("reports.md.jinja", reports=reports))
    findings = [finding for page in pages for finding in page.findings]
    return findings + unwritten_findings(page.file for page in reports)


def _pick(records: Mapping[str, Any], name: str) -> Any:
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


def web_address(text: str) -> str:
    """An address that ends no link in Markdown; empty if it is none of the web."""
    return str(link(quote(text, "/:#?&=%")))
