"""The pages of the logbook: HTML in Markdown files, for the project's own site (C1, C3, C4).

A page is one block of HTML, so that the site reads nothing in it as Markdown. Every text is
escaped. A page is written only where it changed, so that the site takes the others from its cache.
"""

import hashlib
import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import dslp.logbook
from dslp.core.errors import DslpError
from dslp.core.files import read_text, remove_path, write_text
from dslp.core.formats import FRONT_MATTER
from dslp.core.report import render_page
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown, format_number, visible
from dslp.experiments.gains import format_metric
from dslp.logbook.events import Logbook, ModelChange, ModelVersion, Run
from dslp.logbook.graph import draw_gains, draw_graph, draw_timeline
from dslp.logbook.results import Result, read_results
from dslp.logbook.story import Step, Story, format_date, read_links, work_state, work_without_ask
from markupsafe import Markup, escape

ROWS = 500  # on a page
LONGEST = 4_000  # characters of a text that is shown
TRIALS = 100  # runs of a step, without a result, that are shown
YEAR, MONTH, WEEK, DAY = 525_960, 43_830, 10_080, 1_440  # in minutes
UNITS = {"years": YEAR, "months": MONTH, "weeks": WEEK, "days": DAY, "hours": 60, "minutes": 1}
PREVIEW = 160  # characters of a text in a list
TITLE = str.maketrans('<>&"\\', "‹›＆”＼")  # letters without a meaning in HTML and YAML
OWN = ("index.md", "tried*.md", "other*.md", "asks/*.md", "datasets/*.md", "models/*.md")
TOKEN = re.compile(r"(https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]])|(?<![\w/&#])#([1-9]\d{0,8})\b")

NUMBER = re.compile(r"(?:#|\bissue=|\bnumber=)(\d{1,9})\b")  # of an issue, in a story
# Lines that begin with a dash, and words between backticks, in a text that is escaped.
LIST = re.compile(r"((?:(?:^|<br>)&#4[25]; (?:(?!<br>).)*)+)(?:<br>)?")
ITEM, CODE = re.compile(r"(?:^|<br>)&#4[25]; "), re.compile(r"&#96;((?:(?!&#96;)[^<])+)&#96;")

# Headings and emphasis in a datasheet, and the name of its table of versions.
MARKUP = re.compile(r"^#.*|\*\*History\.\*\*|(?<!\w)\*{1,2}(?=\w)|(?<=[\w.])\*{1,2}(?!\w)", re.M)


def write_pages(project: Project, logbook: Logbook, stories: Sequence[Story], folder: Path) -> None:
    """Write the pages into a folder, and remove those whose subject is gone.

    The first page links to `measures.md` and `reports.md` if they are in the folder.

    Raises:
        DslpError: a file cannot be written.
    """
    pages = _Pages(logbook, stories, folder, _documents(project))
    pages.write_asks()
    pages.write_lists()
    pages.write_records()
    for source in files("dslp.logbook").joinpath("assets").iterdir():
        pages.save(f"assets/{source.name}", source.read_text(encoding="utf-8"))
    for path in {path for pattern in OWN for path in folder.glob(pattern)} - pages.saved:
        remove_path(path)


def find_places(logbook: Logbook, stories: Sequence[Story]) -> dict[Any, str]:
    """The place of each record, from the logbook's folder, such as `asks/11.md#issue-16`.

    By an issue's number, a run's identifier, and the kind, name and version of a dataset or a
    model. What belongs to several Asks is placed on the page of the first.
    """
    places = dict[Any, str]()
    for row, work in enumerate(work_without_ask(logbook)):
        places[work.issue.number] = f"{_page('other', row)}#issue-{work.issue.number}"
    registered = [r for r in logbook.runs if (r.kind, r.status) == ("dataset", "FINISHED")]
    records = [("dataset", *_data(run)) for run in registered]
    records += [("model", version.model, version.version) for version in logbook.versions]
    for kind, name, number in records:
        places[kind, name, number] = f"{kind}s/{slug(name)}.md#version-{slug(number)}"
    for story in stories:
        page = f"asks/{story.ask.issue.number}.md"
        for key, anchor in _anchors(story).items():
            places.setdefault(key, page + anchor)
    return places | {s.ask.issue.number: f"asks/{s.ask.issue.number}.md" for s in stories}


class _Pages:
    """The pages, and the records that are on them.

    Attributes:
        places: see `find_places`.
        rows: issues, each as a step, with the numbers of the Asks that it serves; newest first.
        documents: the datasheet, the schema, the datasheet's prose, and what each version changed,
            by the dataset's name; None if one is broken.
        datasets: the runs that registered versions, by the dataset's name, the newest first.
        uses: all other runs, by the name and version of the dataset.
        ways: the command that goes back to the version before, by the model's name.
        since: when it came into use last, by the model's name and the version's number.
        runs: by their identifiers.
        models: the versions, by the model's name, the newest first.
        trained: the versions, by the run that trained them.
        labels: the semantic version, by the model's name and the version's number.
    """

    def __init__(
        self, logbook: Logbook, stories: Sequence[Story], folder: Path, documents: dict[str, Any]
    ) -> None:
        self.logbook, self.stories, self.folder = logbook, stories, folder
        self.saved, self.documents = set[Path](), documents
        self.places, self.anchors, self.up = find_places(logbook, stories), dict[Any, str](), ""
        self.ways = {
            one.model: f"uv run dslp model rollback {shlex.quote(one.model)}"
            for one in logbook.versions
            if one.role == "former champion"
        }
        self.ways |= {story.model: story.way_back for story in stories if story.way_back}
        moves = [change for change in logbook.changes if change.action != "register"]
        self.since = {(move.model, move.version): move.at for move in moves}
        self.runs = {run.id: run for run in logbook.runs}
        self.datasets: dict[str, list[Run]] = {name: [] for name in documents}
        self.uses = defaultdict[tuple[str, str], list[Run]](list)
        for run in reversed(logbook.runs):
            if run.kind != "dataset":
                self.uses[_data(run)].append(run)
            elif run.status == "FINISHED":
                self.datasets.setdefault(run.tag("dataset"), []).append(run)
        self.models, self.trained = (defaultdict[str, list[ModelVersion]](list) for _ in range(2))
        for version in logbook.versions:
            self.models[version.model].append(version)
            self.trained[version.run].append(version)
        self.labels = {(v.model, v.version): v.semantic or v.version for v in logbook.versions}
        rows = dict[str, tuple[Step, list[int]]]()
        forms = read_links(logbook.works, logbook.repository)
        for work in work_without_ask(logbook):
            form, key = forms[work.issue.number], f"issue-{work.issue.number}"
            texts = (key, form.kind, work.issue.title, work_state(work))
            rows[key] = (Step(*texts, work.created, work.closed, form.text, work=work), [])
        for story in stories:
            for step in story.steps:
                if step.work:
                    rows.setdefault(step.key, (step, []))[1].append(story.ask.issue.number)
        self.rows = sorted(rows.values(), key=lambda row: row[0].start, reverse=True)

    def save(self, name: str, text: str) -> None:
        """Write a file, unless it has this text."""
        path = self.folder / name
        self.saved.add(path)
        if not path.is_file() or path.read_bytes() != text.encode():
            write_text(path, text)

    def write(self, page: str, template: str, end: str = "", **context: Any) -> None:
        """Render a page; `up` leads from it to the logbook's folder."""
        self.up = "../" * page.count("/")
        helpers = (draw_gains, duration, evidence, format_date, format_metric, link, plain_title)
        for helper in (
            *helpers,
            run_anchor,
            run_details,
            short_date,
            shown_runs,
            slug,
            suite_words,
        ):
            context[helper.__name__] = helper
        context |= {"pages": self, "logbook": self.logbook, "page": page, "up": self.up}
        context |= {"to": self.address, "prose": self.prose, "preview": self.preview}
        text = render_page(f"{template}.md.jinja", package="dslp.logbook", **context)
        self.save(page, text + end)

    def write_list(self, name: str, template: str, title: str, rows: Sequence[Any]) -> None:
        """A list on as many pages as it needs."""
        starts = range(0, max(len(rows), 1), ROWS)
        turns = [_page(name, start) for start in starts]
        for page, start in zip(turns, starts, strict=True):
            part = rows[start : start + ROWS]
            self.write(page, template, title=title, rows=part, turns=turns)

    def write_asks(self) -> None:
        """A page for each Ask, rendered anew if anything on it, or the library, has changed.

        It links to what is on it rather than to another page.
        """
        source = _source_digest()
        for story in self.stories:
            page, text, digest = f"asks/{story.ask.issue.number}.md", repr(story), source.copy()
            keys: list[Any] = [int(number) for number in NUMBER.findall(text)]
            keys += [("dataset", *_data(run)) for step in story.steps for run in step.runs]
            changes = [(one.model, x) for one in story.changes for x in (one.version, one.replaced)]
            text += str([[*map(self.places.get, keys)], [*map(self.labels.get, changes)]])
            digest.update((text + self.logbook.repository).encode(errors="replace"))
            mark = f"<!-- {digest.hexdigest()} -->\n"
            self.saved.add(path := self.folder / page)
            if path.is_file() and path.read_bytes().endswith(mark.encode()):
                continue
            self.anchors = _anchors(story)
            pictures: Any = {"graph": draw_graph(story), "timeline": draw_timeline(story)}
            titles = {step.key: step.title for step in story.steps}
            self.write(page, "ask", mark, story=story, titles=titles, **pictures)
        self.anchors = {}

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
        written = {name for name in ("measures.md", "reports.md") if (self.folder / name).is_file()}
        tracker = "GitHub" if any(work.issue.url for work in self.logbook.works) else "git"
        sources = [tracker, *["MLflow"] * bool(self.runs or self.models)]
        lists: Any = {"tried": tried, "others": others, "years": sorted(years, reverse=True)}
        self.write("index.md", "index", written=written, sources=sources, **lists)

    def write_records(self) -> None:
        """A page for each dataset and each model, and one that names them."""
        for name in self.datasets:
            self.write(f"datasets/{slug(name)}.md", "dataset", name=name)
        changes = defaultdict[str, list[ModelChange]](list)
        for change in reversed(self.logbook.changes):
            changes[change.model].append(change)
        for name in self.models:
            self.write(f"models/{slug(name)}.md", "model", name=name, changes=changes[name])
        self.write("records.md", "records")

    def results(self, version: ModelVersion) -> tuple[Result, ...]:
        """What the training of a version says of it."""
        run = self.runs.get(version.run)
        return read_results([run], {}) if run else ()

    def card(self, folder: str, name: str) -> str:
        """The page of a profile or a model card, from a page of the logbook, if there is one."""
        path = self.folder.parent / folder / f"{slug(name)}.md"
        return f"../../{folder}/{path.name}" if path.is_file() else ""

    def address(self, key: Any) -> Markup:
        """The place of a record from this page; of an issue without a place, on GitHub."""
        if key in self.anchors:
            return link(self.anchors[key])
        if key in self.places:
            return link(self.up + self.places[key])
        is_issue = self.logbook.repository and isinstance(key, int)
        return link(f"{self.logbook.repository}/issues/{key}" if is_issue else "")

    def prose(self, text: str, most: int = LONGEST) -> Markup:
        """A text of people: lines, lists and code; its addresses and issues (#12) are links."""
        cut = text if len(text) <= most else re.sub(r"\s+\S{0,99}$", " ", text[:most]) + "…"
        parts = []
        for plain, url, number in zip(*[iter([*TOKEN.split(cut), "", ""])] * 3, strict=True):
            lines = (escape_markdown(line, LONGEST) for line in re.split(r"\r?\n", plain))
            parts.append("<br>".join(lines).replace("␣", " "))  # for a space at an end
            word = escape_markdown(f"#{number}" if number else url or "", SENTENCE)
            place = self.address(int(number)) if number else link(url or "")
            parts.append(f'<a href="{place}">{word}</a>' if place else word)
        html = CODE.sub(r"<code>\1</code>", "".join(parts))
        return Markup(LIST.sub(lambda items: f"<ul>{ITEM.sub('<li>', items[1])}</ul>", html))

    def preview(self, text: str) -> Markup:
        """The beginning of a text, on one line."""
        return self.prose(" ".join(text.split()).lstrip("-*+ "), PREVIEW)


def evidence(story: Story) -> Run | None:
    """The run whose gain the sentence of an Ask says."""
    results = [result for step in reversed(story.steps) if step.version for result in step.results]
    own = (one.run for one in results if one.sentence and one.sentence in story.sentence)
    return next(own, None)


def shown_runs(step: Step) -> list[Run]:
    """The runs of a step that its page shows: those with a result, and the newest others."""
    runs = {result.run.id: result.run for result in step.results}
    others = [run for run in step.runs if run.id not in runs]
    return [*runs.values(), *others[-TRIALS:]]


def run_details(run: Run) -> str:
    """What is recorded of a run, on one line: its environment, metrics and parameters."""
    details = {"digest": run.tag("dataset_digest"), "suite": suite_words(run.tag("suite"))}
    details |= {"assumptions": run.tag("assumptions"), "Python": run.tag("python")}
    details["environment"] = run.tag("environment_version") or run.tag("environment")
    details |= {name: format_number(value) for name, value in sorted(run.metrics.items())[:40]}
    details |= dict(sorted(run.params.items())[:60])
    return " · ".join(f"{visible(name)} {visible(x, 100)}" for name, x in details.items() if x)


def suite_words(text: str) -> str:
    """What the suite said of a dataset version, such as `all 28 checks hold`."""
    return re.sub(r"^holds: (\d+) checks", r"all \1 checks hold", text)


def run_anchor(run: Run) -> str:
    """The anchor of a run on its page."""
    return f"run-{slug(run.id)[:8]}"


def slug(name: str) -> str:
    """A name for a file and an anchor; one with other letters than these gets a digest."""
    if re.fullmatch(r"(?=.{1,50}$)(\w[\w-]*|\d+(\.\d+)*)", name, re.ASCII):
        return name
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
    return f"{re.sub('[^a-z0-9]+', '-', name.lower())[:40].strip('-')}-{digest[:8]}"


def link(address: str) -> Markup:
    """An address for an attribute; empty if it is neither of the web nor within the logbook."""
    is_safe = re.fullmatch(r"https?://\S+|[\w./#-]*", address)
    return escape(address) if is_safe else Markup()


def plain_title(text: str) -> Markup:
    """A title for the front matter, which the site escapes in its search and nowhere else."""
    return Markup(visible(text, SENTENCE).translate(TITLE))


def short_date(time: datetime) -> str:
    """A day for a box, such as `3 Mar 2026`."""
    return f"{time.day} {time:%b %Y}"


def duration(start: datetime, end: datetime) -> str:
    """How long something took, in a unit that fits."""
    minutes = (end - start).total_seconds() / 60
    for unit, size in UNITS.items():
        if minutes >= 2 * size:
            return f"{minutes / size:.0f} {unit}"
    return "1 minute" if minutes >= 1 else "less than a minute"


def _anchors(story: Story) -> dict[Any, str]:
    """What is on the page of an Ask: its runs and issues, without Asks, which have their own."""
    steps = [step for step in story.steps if step.work and step.stage != "Ask"]
    anchors: dict[Any, str] = {s.work.issue.number: f"#{slug(s.key)}" for s in steps if s.work}
    runs = [run for step in story.steps for run in shown_runs(step)]
    return anchors | {run.id: f"#{run_anchor(run)}" for run in runs}


def _data(run: Run) -> tuple[str, str]:
    """The dataset that a run used or registered, and its version."""
    return run.tag("dataset"), run.tag("dataset_version")


def _page(name: str, row: int) -> str:
    """The page of a list that a row is on."""
    return f"{name}-{row // ROWS + 1}.md" if row >= ROWS else f"{name}.md"


@cache
def _source_digest() -> Any:
    """Of all that decides how a page looks: the library's code and its templates."""
    folder, digest = Path(dslp.logbook.__path__[0]).parent, hashlib.sha256()
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.jinja")]):
        digest.update(path.read_bytes())
    return digest


def _documents(project: Project) -> dict[str, Any]:
    """What was written of each dataset; nothing without the library's part for data."""
    documents: dict[str, Any] = {}
    with suppress(ImportError, DslpError):
        from dslp.data import datasheet
        from dslp.data.dataset import Dataset, dataset_names
        from dslp.data.schema import read_schema

        for name in dataset_names(project):
            documents[name], dataset = None, Dataset(project, name)
            with suppress(DslpError):
                text = read_text(dataset.folder / "datasheet.md").replace("\r\n", "\n")
                changes = {version: change for version, _, change in datasheet.history(text)}
                body = FRONT_MATTER.sub("", text).partition(datasheet.BEGIN)[0]
                plain = MARKUP.sub("", datasheet.TABLE.sub("", body))
                prose = re.sub(r"(?<!\n)\n(?![\n*+-])", " ", plain.strip())
                documents[name] = dataset.sheet, read_schema(dataset), prose, changes
    return documents
