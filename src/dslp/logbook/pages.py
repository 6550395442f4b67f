"""The pages of the logbook: HTML in Markdown files, for the project's own site (C1, C3, C4).

A page is one block of HTML, so that the site reads nothing in it as Markdown. Every text is
escaped. A page is written only where it changed, so that the site takes the others from its cache.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.files import remove_path, write_text
from dslp.core.report import render_page
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown
from dslp.experiments.gains import format_metric
from dslp.github.entities import OUTCOMES
from dslp.logbook.events import Logbook, ModelVersion, Run, Work
from dslp.logbook.graph import draw_graph, draw_timeline, gain_scale
from dslp.logbook.story import Step, Story

if TYPE_CHECKING:
    from markupsafe import Markup

FIRST, ROWS = 50, 500  # Asks on the first page, and rows on any other
LONGEST = 4_000  # characters of a text that is shown
TRIALS = 100  # runs of a step, without a result, that are shown
OWN = ("index.md", "tried*.md", "other*.md", "asks/*.md", "datasets/*.md", "models/*.md")
TOKEN = re.compile(
    r"(?P<address>https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]])|(?<![\w/&#])#(?P<issue>[1-9]\d{0,8})\b"
)

Row = tuple[Step, list[int]]  # a step, and the numbers of the Asks that it serves


def write_pages(project: Project, logbook: Logbook, stories: Sequence[Story], folder: Path) -> None:
    """Write the pages into a folder, and remove those whose subject is gone.

    Measures and reports are linked if their pages are in the folder: write them first.

    Raises:
        DslpError: a file cannot be written.
    """
    pages = _Pages(project, logbook, stories, folder)
    pages.write_asks()
    pages.write_datasets()
    pages.write_models()
    pages.write_index()
    for source in files("dslp.logbook").joinpath("assets").iterdir():
        pages.save(f"assets/{source.name}", source.read_text(encoding="utf-8"))
    for path in {path for pattern in OWN for path in folder.glob(pattern)} - pages.saved:
        remove_path(path)


@dataclass
class _Pages:
    """The pages, and where the issues and runs are on them."""

    project: Project
    logbook: Logbook
    stories: Sequence[Story]
    folder: Path
    saved: set[Path] = field(default_factory=set)
    issues: dict[int, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    datasets: dict[str, list[Run]] = field(default_factory=dict)
    models: dict[str, list[ModelVersion]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for story in self.stories:
            page = f"asks/{story.ask.issue.number}.md"
            for step in story.steps:
                if step.work:
                    self.issues.setdefault(step.work.issue.number, f"{page}#{step.key}")
                    self.rows.setdefault(step.key, (step, []))[1].append(story.ask.issue.number)
                for run in shown_runs(step):
                    self.runs.setdefault(run.id, f"{page}#{run_anchor(run)}")
        for story in self.stories:
            self.issues[story.ask.issue.number] = f"asks/{story.ask.issue.number}.md"
        works = [one for one in self.logbook.works[::-1] if one.issue.number not in self.issues]
        self.others = _split("other", [(_step(one), []) for one in works])
        for page, rows in self.others.items():
            self.issues |= {int(row[0].key[6:]): f"{page}#{row[0].key}" for row in rows}
        self.datasets |= {name: [] for name in _dataset_names(self.project)}
        for run in reversed(self.logbook.runs):
            if (run.kind, run.status) == ("dataset", "FINISHED") and run.tag("dataset"):
                self.datasets.setdefault(run.tag("dataset"), []).append(run)
        for version in self.logbook.versions:
            self.models[version.model].append(version)

    def save(self, name: str, text: str) -> None:
        """Write a file, unless it has this text."""
        path = self.folder / name
        self.saved.add(path)
        if not path.is_file() or path.read_bytes() != text.encode():
            write_text(path, text)

    def write(self, page: str, template: str, **context: Any) -> None:
        """Render a page; `up` leads from it to the logbook's folder."""
        up = "../" * page.count("/")
        context |= {
            "page": page,
            "logbook": self.logbook,
            "up": up,
            "issue_link": partial(self.issue_link, up),
            "run_link": lambda run: link(up + self.runs[run.id]) if run.id in self.runs else "",
            "data_link": partial(self.data_link, up),
            "commit_link": self.commit_link,
            "prose": partial(self.prose, up),
        }
        for helper in (
            day,
            duration,
            format_metric,
            gain_scale,
            link,
            run_anchor,
            shown_runs,
            slug,
        ):
            context[helper.__name__] = helper
        self.save(page, render_page(f"{template}.md.jinja", package="dslp.logbook", **context))

    def write_asks(self) -> None:
        """A page for each Ask, those of each year, all that was tried, and work without an Ask."""
        years: dict[int, list[Story]] = defaultdict(list)
        for story in self.stories:
            pictures: Any = {"graph": draw_graph(story), "timeline": draw_timeline(story)}
            pictures["titles"] = {step.key: step.title for step in story.steps}
            self.write(f"asks/{story.ask.issue.number}.md", "ask", story=story, **pictures)
            years[story.ask.created.year].append(story)
        self.years = {
            year: _split(f"asks/year-{year}", years[year]) for year in sorted(years)[::-1]
        }
        for year, pages in self.years.items():
            self.write_list(pages, "asks", title=f"Questions of {year}")
        rows = [*self.rows.values(), *(row for rows in self.others.values() for row in rows)]
        self.tried = [row for row in rows if row[0].stage in ("Explore", "Experiment")]
        self.tried.sort(key=lambda row: row[0].start, reverse=True)
        self.write_list(_split("tried", self.tried), "rows", title="Everything that was tried")
        self.write_list(self.others, "rows", title="Work without an Ask")

    def write_list(self, pages: "dict[str, list[Any]]", template: str, **context: Any) -> None:
        """A list that may be too long for one page."""
        for page, rows in pages.items():
            self.write(page, template, rows=rows, pages=list(pages), **context)

    def write_datasets(self) -> None:
        """A page for each dataset: its versions, and what used them."""
        models = defaultdict(list)
        for version in self.logbook.versions:
            models[version.run].append(version)
        uses: dict[Any, list[Run]] = defaultdict(list)
        for run in self.logbook.runs:
            if run.kind != "dataset":
                uses[run.tag("dataset"), run.tag("dataset_version")].append(run)
        for name, versions in self.datasets.items():
            used = {
                version: (
                    len(runs),
                    Counter(run.issue for run in runs if run.issue),
                    [model for run in runs for model in models.get(run.id, ())],
                )
                for version in (run.tag("dataset_version") for run in versions)
                if (runs := uses[name, version])
            }
            sheet, schema = _documents(self.project, name)
            documents = {"sheet": sheet, "schema": schema, "extra": self.extra("data", name)}
            page = f"datasets/{slug(name)}.md"
            self.write(page, "dataset", name=name, versions=versions, used=used, **documents)
        self.write("datasets/index.md", "datasets", datasets=self.datasets)

    def write_models(self) -> None:
        """A page for each model: its versions, the champion, and the way back."""
        ways = {
            story.way_back.split()[-1]: story.way_back for story in self.stories if story.way_back
        }
        for name, versions in self.models.items():
            changes = [change for change in self.logbook.changes[::-1] if change.model == name]
            context: Any = {"name": name, "versions": versions, "changes": changes}
            trainings = [run for run in self.logbook.runs if run.kind == "training"]
            context["trainings"] = {run.id: [run] for run in trainings}
            context |= {"extra": self.extra("models", name), "way_back": ways.get(name, "")}
            self.write(f"models/{slug(name)}.md", "model", **context)
        self.write("models/index.md", "models", models=self.models)

    def write_index(self) -> None:
        """The first page."""
        works = [step for step, _ in self.rows.values()]
        champions = [v for v in self.logbook.versions if v.role == "champion"]
        self.write(
            "index.md",
            "index",
            stories=self.stories,
            first=FIRST,
            states=Counter(story.state for story in self.stories),
            years=self.years,
            failed=[step for step, _ in self.tried if step.state == "failed"],
            working=[one for one in works if not one.end and one.stage != "Ask"],
            champions=champions,
            since={(c.model, c.version): c.at for c in self.logbook.changes},
            tried=len(self.tried),
            others=sum(map(len, self.others.values())),
            counts={"datasets": len(self.datasets), "models": len(self.models)},
            measures=(self.folder / "measures.md").is_file(),
            reports=(self.folder / "reports" / "index.md").is_file(),
        )

    def extra(self, folder: str, name: str) -> bool:
        """Whether the project's docs have a page of this name, beside the logbook."""
        return (self.folder.parent / folder / f"{slug(name)}.md").is_file()

    def issue_link(self, up: str, number: int) -> "Markup":
        """The address of an issue in the logbook, else in the repository; empty without one."""
        if place := self.issues.get(number):
            return link(up + place)
        return link(self.logbook.repository and f"{self.logbook.repository}/issues/{number}")

    def data_link(self, up: str, run: Run) -> "Markup":
        """The address of the dataset version that a run used; empty if it is not registered."""
        name, version = run.tag("dataset"), run.tag("dataset_version")
        if not any(one.tag("dataset_version") == version for one in self.datasets.get(name, ())):
            return link("")
        return link(f"{up}datasets/{slug(name)}.md#version-{slug(version)}")

    def commit_link(self, commit: str) -> "Markup":
        """The address of a commit in the repository; empty without one."""
        is_commit = self.logbook.repository and re.fullmatch("[0-9a-f]{7,64}", commit)
        return link(f"{self.logbook.repository}/commit/{commit}" if is_commit else "")

    def prose(self, up: str, text: str, most: int = LONGEST) -> "Markup":
        """A text of people with its line breaks; its addresses and issues (#12) are links."""
        from markupsafe import Markup

        parts, end = [], 0
        cut = text[:most] + "…" * (len(text) > most)
        for match in TOKEN.finditer(cut):
            number, shown = match["issue"], escape_markdown(match[0], SENTENCE)
            place = self.issue_link(up, int(number)) if number else link(match["address"])
            parts += [_lines(cut[end : match.start()])]
            parts += [f'<a href="{place}">{shown}</a>' if place else shown]
            end = match.end()
        return Markup("".join([*parts, _lines(cut[end:])]))


def shown_runs(step: Step) -> list[Run]:
    """The runs of a step that its page shows: those with a result, and the newest others."""
    shown = [result.run for result in step.results]
    ids = {run.id for run in shown}
    others = [run for run in step.runs if run.id not in ids]
    return shown + sorted(others, key=lambda run: run.start, reverse=True)[:TRIALS]


def run_anchor(run: Run) -> str:
    """The anchor of a run on its page."""
    return f"run-{slug(run.id)[:8]}"


def slug(name: str) -> str:
    """A name as a file's name and in an address; one with other letters gets a digest."""
    if re.fullmatch(r"\w[\w-]{0,99}", name, re.ASCII) and name != "index":
        return name
    if re.fullmatch(r"\d+\.\d+\.\d+", name):
        return name.replace(".", "-")
    plain = re.sub(r"[^a-zA-Z0-9-]+", "-", name)[:40].strip("-")
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def link(address: str) -> "Markup":
    """An address for an attribute; empty if it is neither a web page nor within the logbook."""
    from markupsafe import Markup, escape

    is_safe = re.match(r"https?://[^\s]+\Z|[\w./#-]*\Z", address)
    return escape(address) if is_safe else Markup("")


def day(time: date) -> str:
    """A date for people, such as 3 March 2026."""
    return f"{time.day} {time:%B %Y}"


def duration(start: datetime, end: datetime) -> str:
    """How long something took, in a unit that fits."""
    hours = (end - start).total_seconds() / 3600
    for unit, size in (("year", 8766), ("month", 730.5), ("day", 24), ("hour", 1)):
        if hours >= 2 * size:
            return f"{hours / size:.0f} {unit}s"
    return f"{max(hours, 0) * 60:.0f} minutes"


def _split(name: str, rows: "Sequence[Any]") -> "dict[str, list[Any]]":
    """The rows of each page of a list: NAME.md, NAME-2.md and so on."""
    starts = range(0, max(len(rows), 1), ROWS)
    names = [f"{name}-{number}" if number > 1 else name for number in range(1, len(starts) + 1)]
    return {f"{n}.md": list(rows[at : at + ROWS]) for n, at in zip(names, starts, strict=True)}


def _step(work: Work) -> Step:
    """Work that serves no Ask."""
    issue = work.issue
    state = next((name for name in OUTCOMES if issue.labelled(name)), issue.state)
    times = (work.created, work.closed)
    return Step(f"issue-{issue.number}", issue.kind, issue.title, state, *times, work=work)


def _dataset_names(project: Project) -> list[str]:
    """The datasets in the repository; none where the library's part for data is not installed."""
    with suppress(ImportError, DslpError):
        from dslp.data.dataset import dataset_names

        return dataset_names(project)
    return []


def _documents(project: Project, name: str) -> tuple[Any, Any]:
    """The datasheet and the schema of a dataset, as far as they are there and can be read."""
    sheet = schema = None
    if name in _dataset_names(project):
        from dslp.data.dataset import Dataset
        from dslp.data.schema import read_schema

        with suppress(DslpError):
            sheet = Dataset(project, name).sheet
        with suppress(DslpError):
            schema = read_schema(Dataset(project, name))
    return sheet, schema


def _lines(text: str) -> str:
    """Lines of a text, escaped, with the spaces at their ends."""
    lines = re.split(r"\r?\n", text)
    return "<br>".join(escape_markdown(line, LONGEST).replace("␣", " ") for line in lines)
