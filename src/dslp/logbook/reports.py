"""Reports: pages for readers who decide, with figures from the record by reference (C3, C4).

A report is Markdown in `reports/`. Its head has title, audience, decision and date. In its text, a
directive such as `{model:claim_frequency@1.2.0 improvement}` stands for a figure, as it was on that
date. One without a record is a finding. The text is the team's and stays as it is; what directives
bring in is escaped. Code, comments, and braces that begin with no kind of record are text.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
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
from dslp.logbook.pages import find_places, link, slug
from dslp.logbook.results import Result, best_trials, read_results
from dslp.logbook.story import Story, format_date
from dslp.logbook.tracking_source import LEFT_OUT

KINDS = ("ask", "dataset", "model", "plot", "run")
HEAD = re.compile(r"[\ufeff\s]*---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)
# A block of code, perhaps without its end; an escaped character, code within a paragraph, a
# comment; or what may be a directive, perhaps without its end.
PARTS = re.compile(
    r"^(?:[ \t>*+-]|\d+[.)])*(?P<fence>`{3,}|~{3,})[^\n`]*\n"
    r"(?:(?:.*?\n)?[ \t>]*(?P=fence)[`~]*[ \t]*$|.*(?P<open>\Z))|\\."
    r"|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t>]*(?:\n|[-+*#|]|\d+[.)])).)*?(?<!`)(?P=ticks)(?!`)"
    r"|<!--.*?-->|\{\s*(?P<kind>[^\W\d]\w*)\s*:(?P<words>[^{}]*)(?P<end>\}?)",
    re.DOTALL | re.MULTILINE,
)


class NotRecorded(DslpError):
    """The logbook does not have that record, or the record does not have that figure."""


@dataclass(frozen=True)
class Record:
    """What a directive refers to.

    Attributes:
        label: its name for people, such as `claim_frequency 1.2.0`, or its title.
        place: where it stands in the logbook, from a report's page.
        at: when it was recorded.
        plot: the number of the issue whose results are drawn; empty for all else.
        run: the run that the figures come from; of a plot, the baseline's.
    """

    label: str
    place: str
    at: datetime
    plot: str = ""
    run: Run | None = None


class Records:
    """The records, by kind and name, such as `dataset:claims@1.0.0`; of two, the older one."""

    def __init__(self, logbook: Logbook, stories: Sequence[Story]) -> None:
        self.logbook, self.by_name = logbook, dict[str, Record]()
        self.newest, self.in_use = dict[str, str](), dict[str, str]()
        self.trials, self.siblings = dict[date, Any](), defaultdict[str, list[Run]](list)
        self.is_complete = not any(note.startswith(LEFT_OUT) for note in logbook.notes)
        places = {key: f"../{place}" for key, place in find_places(logbook, stories).items()}
        for work in logbook.works:
            number, place = work.issue.number, places.get(work.issue.number, "")
            kind, plot = ("ask", "") if work.issue.kind == "Ask" else ("plot", str(number))
            self._add(f"{kind}:{number}", Record(work.issue.title, place, work.created, plot))
        runs = {run.id: run for run in logbook.runs}
        for run in logbook.runs:
            data, version = run.tag("dataset"), run.tag("dataset_version")
            place = places.get(run.id) or web_address(run.url)
            record = Record(f"run {run.id[:8]}", place, _end(run), run=run)
            self.siblings[run.tag("issue") or run.id].append(run)
            self._add(f"run:{run.id[:8]}", record)
            self._add(f"run:{run.id}", record)
            if (run.kind, run.status) == ("dataset", "FINISHED") and re.fullmatch(VERSION, version):
                place = places["dataset", data, version]
                record = replace(record, label=f"{data} {version}", place=place)
                self._add(f"dataset:{data}@{version}", record)
                self.newest[data] = max(self.newest.get(data, version), version, key=parse_version)
        champions = {one.model: one for one in logbook.versions if one.role == "champion"}
        for release in reversed(logbook.versions):
            model, version = release.model, release.semantic or release.version
            if training := runs.get(release.run):
                place = places["model", model, release.version]
                record = Record(f"{model} {version}", place, release.created, run=training)
                self._add(f"model:{model}@{version}", record)
            champion = champions.get(model, release)
            if champion.run != release.run:
                self.in_use[release.run] = f"{model} {champion.semantic or champion.version}"

    def _add(self, name: str, record: Record) -> None:
        if record.place:  # a run without an Ask has none
            self.by_name.setdefault(name, record)

    def results(self, runs: Sequence[Run], on: date) -> tuple[Result, ...]:
        """What the runs said on that day, also if they were repeated since."""
        if on not in self.trials:
            self.trials[on] = best_trials(
                run for run in self.logbook.runs if _end(run).date() <= on
            )
        return read_results([run for run in runs if _end(run).date() <= on], self.trials[on])

    def figures(self, record: Record, on: date) -> dict[str, str]:
        """The figures of a record for people, by name; without a name, the record itself."""
        if not (run := record.run):
            return {"": record.label}
        rows, others = run.tag("rows"), self.siblings[run.tag("issue") or run.id]
        figures = {"": record.label, **run.params}
        figures |= {"rows": format_number(int(rows))} if rows.isdecimal() else {}
        figures |= {name: format_number(value) for name, value in run.metrics.items()}
        compared = [other for other in others if other.id == run.id or other.name != run.name]
        for result in self.results(compared, on):
            if result.run.id == run.id and result.gain:
                figures["improvement"] = result.sentence.partition(";")[0]
                figures["sentence"] = result.sentence
        return figures

    def mark(self, record: Record, on: date) -> str:
        """What has taken the place of a record's data or model, for a report of that day."""
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
        head: what the report says of itself; empty where nothing shows that the file is a report.
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
            self.text = PARTS.sub(self._fill_in, self._read())
        except DslpError as error:
            self._find(error, 1)

    def _read(self) -> str:
        """The text of the report, with empty lines in place of its head.

        Raises:
            DslpError: the head is missing, is no YAML, or has no date, or one in the future.
        """
        text = read_text(self.file).replace("\r\n", "\n")
        is_report = re.search(r"^decision\s*:", text, re.MULTILINE)
        if not is_report and not any(part["kind"] in KINDS for part in PARTS.finditer(text)):
            return ""
        match = HEAD.match(text)
        head: Any = parse_yaml(match[1], "the head") if match else None
        if not match or not isinstance(head, dict) or type(head.get("date")) is not date:
            problem = "a report begins with a head between two ---: title, audience, decision"
            raise DslpError(f"{problem}, and a date such as 2026-03-03")
        if head["date"] > self.records.logbook.read.date() + timedelta(days=1):  # of any time zone
            raise DslpError(f"the date of the report, {head['date']}, is in the future")
        for name in ("title", "audience", "decision"):
            head[name] = " ".join(str(head.get(name) or UNWRITTEN).split())
        self.head = {"issue": None, "ask": None, **head}
        return "\n" * match[0].count("\n") + text[match.end() :]

    def _fill_in(self, match: re.Match[str]) -> str:
        """What takes the place of a part of the text."""
        kind, line = match["kind"] or "", match.string.count("\n", 0, match.start()) + 1
        if match["open"] is not None:
            self._find("this block of code has no end", line)
        if kind not in KINDS and "do you mean" not in nearest(kind, KINDS):
            return match[0]
        name, _, figure = " ".join(match["words"].split()).partition(" ")
        name, on = f"{kind}:{name.removeprefix('#')}", self.head["date"]
        try:
            if kind not in KINDS:
                raise DslpError(f"there are no figures of this kind{nearest(kind, KINDS)}")
            if not match["end"]:
                raise DslpError("it must end with }")
            record: Record = _pick(self.records.by_name, name)
            if record.at.date() > on:
                raise DslpError(f"it is of {format_date(record.at)}, after the report's date")
            if record.plot and not figure:
                figure, record, shown = "plot", *self._draw(record)
            else:
                figures = self.records.figures(record, on)
                shown = escape_markdown(_pick(figures, figure), SENTENCE)
        except DslpError as error:
            is_severe = self.records.is_complete or not isinstance(error, NotRecorded)
            self._find(f"{' '.join(match[0].split())}: {error}", line, is_severe)
            return match[0] if is_severe else "<em>not available here</em>"
        mark = ""
        if figure:
            self.sources.setdefault(name, (record, []))[1].append(figure)
            mark = escape_markdown(self.records.mark(record, on), SENTENCE)
        return f"<bdi>[{shown}]({record.place})</bdi>" + f" <small>({mark})</small>" * bool(mark)

    def _draw(self, record: Record) -> tuple[Record, str]:
        """Draw the gains of an issue; returns the record with the run of the first, and the image.

        Raises:
            NotRecorded: it had none on the report's date.
        """
        on, name = self.head["date"], f"issue-{record.plot}"
        results = self.records.results(self.records.siblings[record.plot], on)
        gains = {result.candidate: result.gain for result in results if result.gain}
        if not gains:
            raise NotRecorded(f"nothing of it was compared with a baseline by {format_date(on)}")
        texts = (f"{one.candidate}: {one.sentence}" for one in results if one.gain)
        title, goal = f"Gain in {results[0].metric}", results[0].criterion or 0.0
        note = "95 % interval; right is better"
        self.pictures[name] = draw_gains(record.label, title, list(gains.items()), goal, note)
        image = f"![{escape_markdown('; '.join(texts), SENTENCE)}]({self.name}/{name}.svg)"
        return replace(record, run=results[0].run), image

    def _find(self, problem: object, line: int, is_severe: bool = True) -> None:
        place = f"reports/{self.file.name}:{line}"
        self.findings.append(Finding("C3", str(problem), subject=place, severe=is_severe))


def render_reports(
    project: Project, logbook: Logbook, stories: Sequence[Story], folder: Path
) -> list[Finding]:
    """Write the page of each report into `folder/reports`, and their list, `folder/reports.md`.

    Returns:
        What is wrong with them, by file and line. Where MLflow was not read, figures without a
        record are warnings.
    """
    files, folder = sorted((project.root / "reports").glob("*.md")), folder / "reports"
    records = Records(logbook, stories) if files else None
    pages = [Page(file, records) for file in files if records]
    reports = [page for page in pages if page.head]
    render = partial(render_page, package="dslp.logbook", day=format_date, link=web_address)
    for page in reports:
        save_page(folder / f"{page.name}.md", render("report.md.jinja", page=page), page.pictures)
    names = {name for page in reports for name in (f"{page.name}.md", page.name)}
    for path in (path for path in folder.glob("*") if path.name not in names):
        remove_path(path)
    if reports:
        save_page(folder.with_suffix(".md"), render("reports.md.jinja", reports=reports))
    for path in () if reports else (folder, folder.with_suffix(".md")):
        remove_path(path)
    findings = [finding for page in pages for finding in page.findings]
    for finding in unwritten_findings(page.file for page in reports):
        problem = f"{'; '.join(finding.examples)}: write your own text"
        place = f"reports/{finding.subject}"
        findings.append(Finding("I10", problem, subject=place, severe=False))
    return findings


def _end(run: Run) -> datetime:
    return run.end or run.start


def _pick(records: Mapping[str, Any], name: str) -> Any:
    """The record or the figure of that name.

    Raises:
        NotRecorded: there is none; the most similar one of its kind is shown.
    """
    if name not in records:
        kind = name.rpartition(":")[0]
        names = [known for known in records if known and known.rpartition(":")[0] == kind]
        hint = nearest(name, names) if names else ""
        raise NotRecorded(f"{name!r:.60} is not in the record{hint}")
    return records[name]


def web_address(text: str) -> str:
    """An address that ends no link in Markdown; empty if it is none of the web."""
    return str(link(quote(text, "/:#?&=%")))
