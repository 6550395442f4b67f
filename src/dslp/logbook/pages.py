"""The pages of the logbook: HTML in Markdown files, for the project's own site (C1, C3, C4).

A page is one block of HTML, so that the site reads nothing in it as Markdown. Every text is
escaped. A page is written only where it changed, so that the site takes the others from its cache.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.files import remove_path, write_text
from dslp.core.report import render_page
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown, visible
from dslp.experiments.gains import format_metric
from dslp.logbook.events import Logbook, ModelChange, ModelVersion, Run
from dslp.logbook.graph import draw_graph, draw_timeline, gain_scale
from dslp.logbook.story import (
    Step,
    Story,
    format_date,
    read_links,
    work_state,
    work_without_ask,
)

if TYPE_CHECKING:
    from markupsafe import Markup

ROWS = 500  # on a page
LONGEST = 4_000  # characters of a text that is shown
TRIALS = 100  # runs of a step, without a result, that are shown
TITLE = str.maketrans('<>&"\\', "‹›＆”＼")  # letters without a meaning in HTML and YAML
OWN = ("index.md", "tried*.md", "other*.md", "asks/*.md", "datasets/*.md", "models/*.md")
TOKEN = re.compile(r"(https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]])|(?<![\w/&#])#([1-9]\d{0,8})\b")


def write_pages(project: Project, logbook: Logbook, stories: Sequence[Story], folder: Path) -> None:
    """Write the pages into a folder, and remove those whose subject is gone.

    The first page links to `measures.md` and `reports.md` if they are in the folder.

    Raises:
        DslpError: a file cannot be written.
    """
    pages = _Pages(logbook, stories, folder)
    pages.write_asks()
    pages.write_lists()
    pages.write_records(_documents(project))
    for source in files("dslp.logbook").joinpath("assets").iterdir():
        pages.save(f"assets/{source.name}", source.read_text(encoding="utf-8"))
    for path in {path for pattern in OWN for path in folder.glob(pattern)} - pages.saved:
        remove_path(path)


class _Pages:
    """The pages, and where each issue, run and dataset version is on them.

    Attributes:
        places: by an issue's number, a run's identifier, or a dataset's name and version.
        rows: issues, each as a step, with the numbers of the Asks that it serves.
        datasets: the runs that registered versions, by the dataset's name, the newest first.
        uses: all other runs, by the name and version of the dataset.
        ways: the command that goes back to the version before, by the model's name.
        runs: by their identifiers.
        models: the versions, by the model's name, the newest first.
        trained: the versions, by the run that trained them.
    """

    def __init__(self, logbook: Logbook, stories: Sequence[Story], folder: Path) -> None:
        self.logbook, self.stories, self.folder = logbook, stories, folder
        self.ways = {
            story.way_back.split()[5]: story.way_back for story in stories if story.way_back
        }
        self.saved, self.places = set[Path](), dict[Any, str]()
        self.runs = {run.id: run for run in logbook.runs}
        self.datasets, self.uses = (
            defaultdict[str, list[Run]](list),
            defaultdict[Any, list[Run]](list),
        )
        for run in reversed(logbook.runs):
            data = name, version = _data(run)
            if run.kind != "dataset":
                self.uses[data].append(run)
            elif run.status == "FINISHED":
                self.datasets[name].append(run)
                self.places[data] = f"datasets/{slug(name)}.md#version-{slug(version)}"
        self.models, self.trained = (defaultdict[str, list[ModelVersion]](list) for _ in range(2))
        for one in logbook.versions:
            self.models[one.model].append(one)
            self.trained[one.run].append(one)
        rows = dict[str, tuple[Step, list[int]]]()
        for number, work in enumerate(work_without_ask(logbook)):
            links = read_links(logbook.works, logbook.repository)[work.issue.number]
            facts = (work.issue.title, work_state(work), work.created, work.closed, links.text, ())
            step = Step(f"issue-{work.issue.number}", links.kind, *facts, work)
            rows[step.key] = (step, [])
            self.places[work.issue.number] = f"{_page('other', number)}#{step.key}"
        for story in stories:
            page = f"asks/{story.ask.issue.number}.md"
            for step in story.steps:
                if step.work:
                    self.places.setdefault(step.work.issue.number, f"{page}#{step.key}")
                    rows.setdefault(step.key, (step, []))[1].append(story.ask.issue.number)
                self.places |= {run.id: f"{page}#{run_anchor(run)}" for run in shown_runs(step)}
        self.places |= {s.ask.issue.number: f"asks/{s.ask.issue.number}.md" for s in stories}
        self.rows = sorted(rows.values(), key=lambda row: row[0].start, reverse=True)

    def save(self, name: str, text: str) -> None:
        """Write a file, unless it has this text."""
        path = self.folder / name
        self.saved.add(path)
        if not path.is_file() or path.read_bytes() != text.encode():
            write_text(path, text)

    def write(self, page: str, template: str, end: str = "", **context: Any) -> None:
        """Render a page; `up` leads from it to the logbook's folder."""
        up = "../" * page.count("/")
        helpers = (
            duration,
            format_metric,
            gain_scale,
            link,
            plain_title,
            run_anchor,
            shown_runs,
            slug,
        )
        context |= {helper.__name__: helper for helper in helpers}
        context |= {"pages": self, "logbook": self.logbook, "page": page, "up": up}
        context |= {"to": partial(self.address, up), "prose": partial(self.prose, up)}
        context["day"] = format_date
        self.save(
            page, render_page(f"{template}.md.jinja", package="dslp.logbook", **context) + end
        )

    def write_list(self, name: str, template: str, title: str, rows: Sequence[Any]) -> None:
        """A list on as many pages as it needs."""
        starts = range(0, max(len(rows), 1), ROWS)
        turns = [_page(name, start) for start in starts]
        for page, start in zip(turns, starts, strict=True):
            shown = rows[start : start + ROWS]
            self.write(page, template, title=title, rows=shown, turns=turns)

    def write_asks(self) -> None:
        """A page for each Ask; what is on it decides whether it is rendered anew."""
        code = hashlib.sha256(self.logbook.repository.encode())
        for template in sorted(files("dslp.logbook").joinpath("templates").iterdir(), key=str):
            code.update(template.read_bytes())
        for story in self.stories:
            page, text, digest = f"asks/{story.ask.issue.number}.md", repr(story), code.copy()
            keys: list[Any] = [int(number) for number in re.findall(r"#(\d{1,9})\b", text)]
            keys += [_data(run) for step in story.steps for run in step.runs]
            text += str([self.places.get(key) for key in keys])
            digest.update(text.encode(errors="replace"))
            mark = f"<!-- {digest.hexdigest()} -->\n"
            self.saved.add(path := self.folder / page)
            if path.is_file() and path.read_bytes().endswith(mark.encode()):
                continue
            pictures: Any = {"graph": draw_graph(story), "timeline": draw_timeline(story)}
            titles = {step.key: step.title for step in story.steps}
            self.write(page, "ask", mark, story=story, titles=titles, **pictures)

    def write_lists(self) -> None:
        """The first page, the Asks of each year, all that was tried, and work without an Ask."""
        tried = [row for row in self.rows if row[0].stage in ("Explore", "Experiment")]
        others = [row for row in self.rows if not row[1]]
        self.write_list("tried", "rows", "Everything that was tried", tried)
        self.write_list("other", "rows", "Work without a question", others)
        years = defaultdict[int, list[Story]](list)
        for story in self.stories:
            years[story.ask.created.year].append(story)
        for year, asks in years.items():
            self.write_list(f"asks/year-{year}", "asks", f"Questions of {year}", asks)
        there = {name: (self.folder / name).is_file() for name in ("measures.md", "reports.md")}
        lists: Any = {"tried": tried, "others": others, "years": sorted(years, reverse=True)}
        self.write("index.md", "index", written=there, **lists)

    def write_records(self, documents: Mapping[str, Any]) -> None:
        """A page for each dataset and each model, and one that names them."""
        for name in {**documents, **self.datasets}:
            about: Any = documents.get(name)
            self.write(f"datasets/{slug(name)}.md", "dataset", name=name, documents=about)
        changes = defaultdict[str, list[ModelChange]](list)
        for change in reversed(self.logbook.changes):
            changes[change.model].append(change)
        for name in self.models:
            self.write(f"models/{slug(name)}.md", "model", name=name, changes=changes[name])
        self.write("records.md", "records")

    def label(self, model: str, version: str) -> str:
        """The semantic version that a number in MLflow has, if it has one."""
        return next((v.semantic for v in self.models[model] if v.version == version), "") or version

    def card(self, folder: str, name: str) -> str:
        """The page of a profile or a model card, from a page of the logbook, if there is one."""
        path = self.folder.parent / folder / f"{slug(name)}.md"
        return f"../../{folder}/{path.name}" if path.is_file() else ""

    def address(self, up: str, key: Any) -> "Markup":
        """The place of an issue, a run or a dataset version; of other issues, on GitHub."""
        issue = isinstance(key, int) and self.logbook.repository
        other = f"{issue}/issues/{key}" if issue else ""
        return link(up + self.places[key] if key in self.places else other)

    def prose(self, up: str, text: str, most: int = LONGEST) -> "Markup":
        """A text of people with its line breaks; its addresses and issues (#12) are links."""
        from markupsafe import Markup

        cut = text[:most] + "…" * (len(text) > most)
        parts = []
        for plain, url, number in zip(*[iter([*TOKEN.split(cut), "", ""])] * 3, strict=True):
            lines = (escape_markdown(line, LONGEST) for line in re.split(r"\r?\n", plain))
            parts.append("<br>".join(lines).replace("␣", " "))  # for a space at an end
            shown = escape_markdown(f"#{number}" if number else url or "", SENTENCE)
            place = self.address(up, int(number)) if number else link(url or "")
            parts.append(f'<a href="{place}">{shown}</a>' if place else shown)
        return Markup("".join(parts))


def shown_runs(step: Step) -> list[Run]:
    """The runs of a step that its page shows: those with a result, and the newest others."""
    runs = {result.run.id: result.run for result in step.results}
    others = [run for run in step.runs if run.id not in runs]
    return [*runs.values(), *others[-TRIALS:]]


def run_anchor(run: Run) -> str:
    """The anchor of a run on its page."""
    return f"run-{slug(run.id)[:8]}"


def slug(name: str) -> str:
    """A name for a file and an anchor; one with other letters than these gets a digest."""
    if re.fullmatch(r"\w[\w-]{0,99}|\d+(\.\d+)*", name, re.ASCII):
        return name.replace(".", "-")
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
    return f"{re.sub('[^a-z0-9]+', '-', name.lower())[:40].strip('-')}-{digest[:8]}"


def link(address: str) -> "Markup":
    """An address for an attribute; empty if it is neither of the web nor within the logbook."""
    from markupsafe import Markup, escape

    is_safe = re.fullmatch(r"https?://\S+|[\w./#-]*", address)
    return escape(address) if is_safe else Markup()


def plain_title(text: str) -> "Markup":
    """A title for the front matter, which the site escapes in its search and nowhere else."""
    from markupsafe import Markup

    return Markup(visible(text, SENTENCE).translate(TITLE))


def duration(start: datetime, end: datetime) -> str:
    """How long something took, in a unit that fits."""
    minutes = max(0.0, (end - start).total_seconds() / 60)
    for unit, size in (("months", 43_830), ("weeks", 10_080), ("days", 1_440), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{minutes / size:.0f} {unit}"
    return f"{minutes:.0f} minutes"


def _data(run: Run) -> tuple[str, str]:
    """The dataset that a run used or registered, and its version."""
    return run.tag("dataset"), run.tag("dataset_version")


def _page(name: str, row: int) -> str:
    """The page of a list that a row is on."""
    return f"{name}-{row // ROWS + 1}.md" if row >= ROWS else f"{name}.md"


def _documents(project: Project) -> dict[str, Any]:
    """The datasheet and the schema of each dataset; none without the library's part for data."""
    documents: dict[str, Any] = {}
    with suppress(ImportError, DslpError):
        from dslp.data.dataset import Dataset, dataset_names
        from dslp.data.schema import read_schema

        for name in dataset_names(project):
            documents[name], dataset = None, Dataset(project, name)
            with suppress(DslpError):
                documents[name] = dataset.sheet, read_schema(dataset)
    return documents
