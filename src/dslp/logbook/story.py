"""The way of each Ask from question to value: what followed from what, and how it ended (C1).

An issue serves an Ask that its form names, or that an issue which it names does (I11, I12). Runs
and versions belong to the issue that they were made for. All texts are of people, and untrusted.
"""

import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

from dslp.core.branch_names import issue_of_branch
from dslp.core.text import visible
from dslp.github.entities import OUTCOMES
from dslp.github.forms import MOST, Link, form_fields, form_links
from dslp.logbook.events import Logbook, ModelChange, ModelVersion, Pull, Run, Work
from dslp.logbook.results import Result as Result
from dslp.logbook.results import best_trials, read_results

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Version = tuple[str, str]  # of a dataset or a model: its name, and the version
# The fields of a form that say what came of the work.
TEXTS = {
    "Ask": ("Value",),
    "Explore": ("Insights", "Next steps"),
    "Experiment": ("Summary",),
    "Model": ("What it does",),
    "Communicate": ("Report or dashboard",),
}
Ending = tuple[str, str, datetime, str]  # state, sentence, since when, and the way back
# A step follows only from those before it in this order, so that there is no circle.
ORDER = ("Ask", "Data", "dataset", "Experiment", "Explore", "Model", "Communicate", "model")
WAITS = {"on hold": "is on hold", "blocked - need access": "waits for access"}
WAITS |= {"challenger": "waits for its promotion"}
LONGEST = 65_536  # characters of a text that are read
CUT, VALUE, TITLE = 4_000, 300, 70  # characters that are shown of a field, and in a sentence
HIDDEN = ("native", "body")  # attributes that JSON leaves out: texts, and what names people


@dataclass(frozen=True)
class Step:
    """A step on the way of an Ask: a piece of work, a dataset version or a model version.

    Attributes:
        key: unique in the story, and the anchor on its page: `issue-16`, `data-claims-1-0-0`,
            `model-claim_frequency-3`.
        stage: Ask, Data, Explore, Experiment, Model, Communicate or Task.
        title: a short text.
        state: open, closed, not planned, succeeded, failed, on hold, blocked - need access; of a
            version: its role, or `registered`.
        start: when it began.
        end: when it ended; None while it goes on.
        text: what came of it: insights, a summary, value. Empty where nothing was written.
        after: the keys of the steps that it follows from.
        work: the issue, where it is one.
        pulls: its pull requests.
        results: of an experiment or a model, the baseline first, then the best first.
        runs: all of its runs, also those without a result.
        version: the model version, where it is one.
    """

    key: str
    stage: str
    title: str
    state: str
    start: datetime
    end: datetime | None = None
    text: str = ""
    after: tuple[str, ...] = ()
    work: Work | None = None
    pulls: tuple[Pull, ...] = ()
    results: tuple[Result, ...] = ()
    runs: tuple[Run, ...] = ()
    version: ModelVersion | None = None


Row = tuple[str, set[str], Step]  # the place in ORDER, and the steps that it may follow from


@dataclass(frozen=True)
class Story:
    """An Ask, and all that followed from it.

    Attributes:
        ask: the Ask.
        state: `in use` (a model of it is the champion), `answered` (closed with a value),
            `closed` (without one), `in work` (other work of it is open), `waiting` (nothing is).
        sentence: the state for a business reader, such as "In use since 3 March 2026: 8.1 % better
            than the baseline (95 % sure: between 3.5 % and 12.7 %)."
        since: when that state began.
        steps: the Ask itself first, then the rest by start.
        changes: promotions and rollbacks of its models, the oldest first.
        way_back: the command that goes back to the champion before; empty where there is none.
        parents: numbers of the Asks that it is a part of.
    """

    ask: Work
    state: str
    sentence: str
    since: datetime
    steps: tuple[Step, ...]
    changes: tuple[ModelChange, ...] = ()
    way_back: str = ""
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Linked:
    """What the form of an issue says.

    Attributes:
        work: the issue.
        kind: its type.
        links: the fields that name issues.
        named: the issues that they name.
        text: what came of it.
        dataset: of a Data issue, the name and the version; empty where it says none.
    """

    work: Work
    kind: str
    links: tuple[Link, ...]
    named: tuple[int, ...]
    text: str
    dataset: Version


@lru_cache(maxsize=1)
def read_links(works: tuple[Work, ...], repository: str) -> dict[int, Linked]:
    """What the forms of the issues say, by number; each text is read once (I11)."""
    name, linked = "/".join(repository.split("/")[-2:]), {}
    for work in works:
        kind, body = work.issue.kind, work.issue.body[:LONGEST]
        sections, links = form_fields(body), tuple(form_links(kind, body, name))
        named = dict.fromkeys(number for link in links for number in link.numbers)
        text = "\n\n".join(filter(None, (sections.get(field) for field in TEXTS.get(kind, ()))))
        text = text if len(text) <= CUT else f"{text[:CUT]} …"
        version = re.search(r"\d+\.\d+\.\d+", sections.get("Version", ""))
        dataset = sections.get("Dataset", "").strip("` "), version[0] if version else ""
        one = Linked(work, kind, links, tuple(named)[:MOST], text, dataset)
        linked[work.issue.number] = one
    return linked


def served_asks(linked: Mapping[int, Linked], number: int) -> set[int]:
    """The Asks that an issue names, or that an issue does which it names, as in their logs (I12).

    Of an Ask, these are its parents.
    """
    own = linked[number]
    between = [linked[one] for one in own.named if one in linked and own.kind != "Ask"]
    further = [n for one in between if one.kind != "Ask" for n in one.named]
    asks = {*own.named, *further} - {number}
    return {one for one in asks if one in linked and linked[one].kind == "Ask"}


def work_without_ask(logbook: Logbook) -> tuple[Work, ...]:
    """The issues that serve no Ask, Tasks among them; the newest first."""
    linked = read_links(logbook.works, logbook.repository)
    others = [n for n, one in linked.items() if one.kind != "Ask" and not served_asks(linked, n)]
    works = [linked[number].work for number in others]
    return tuple(sorted(works, key=lambda work: work.created, reverse=True))


def build_stories(logbook: Logbook) -> tuple[Story, ...]:
    """The way of each Ask; those that are open first, then the newest."""
    builder = _Builder(logbook)
    stories = [builder.story(one) for one in builder.linked.values() if one.kind == "Ask"]
    stories.sort(key=lambda one: (one.ask.issue.state == "open", one.ask.created), reverse=True)
    return tuple(stories)


class _Builder:
    """The records of a logbook, by the Ask and the issue that they belong to."""

    def __init__(self, logbook: Logbook) -> None:
        runs, changes, self.read = logbook.runs, logbook.changes, logbook.read
        self.linked = read_links(logbook.works, logbook.repository)
        self.asks = {number: served_asks(self.linked, number) for number in self.linked}
        self.serving = _grouped((ask, n) for n, asks in self.asks.items() for ask in asks)
        self.pulls = _grouped((issue_of_branch(one.pull.head), one) for one in logbook.pulls)
        self.data_issues = {one.dataset: n for n, one in self.linked.items() if one.dataset[0]}
        self.trials, self.by_id = best_trials(runs), {run.id: run for run in runs}
        registered = [run for run in runs if (run.kind, run.status) == ("dataset", "FINISHED")]
        self.data = {_dataset(run): run for run in registered}
        places = [(self._place(one.issue, one.ask or self._data_issue(one)), one) for one in runs]
        self.runs = _grouped(((ask, n), run) for (n, asks), run in places for ask in asks)
        moves = [one for one in changes if one.action != "register"]
        self.moves = _grouped((one.model, one) for one in moves)
        self.began = {(one.model, one.version): one for one in moves}
        self.ended = {(one.model, one.replaced): one for one in changes}
        self.names = {(v.model, v.version): v.semantic or v.version for v in logbook.versions}
        self.roles = {(v.model, v.version): v.role for v in logbook.versions}
        made = [(one, self.by_id.get(one.run, one)) for one in logbook.versions]
        releases = [(self._place(v.issue, run.issue, v.ask, run.ask), v) for v, run in made]
        self.versions = _grouped((ask, (n, v)) for (n, asks), v in releases for ask in asks)

    def _place(self, *numbers: int | None) -> tuple[int, set[int]]:
        """The first of the issues that is an Ask or serves one, and the Asks."""
        for number in numbers:
            if one := self.linked.get(number or 0):
                own = one.work.issue.number
                if asks := {own} if one.kind == "Ask" else self.asks[own]:
                    return own, asks
        return 0, set()

    def _data_issue(self, run: Run) -> int:
        """The Data issue of the dataset version that a run registers or uses; 0 if none is."""
        name, version = _dataset(run)
        return self.data_issues.get((name, version)) or self.data_issues.get((name, "")) or 0

    def story(self, own: Linked) -> Story:
        """The way of an Ask."""
        ask = own.work.issue.number
        issues, versions = (ask, *self.serving.get(ask, ())), self.versions.get(ask, [])
        runs = {number: self.runs.get((ask, number), []) for number in issues}
        used = {_dataset(run) for part in runs.values() for run in part} & self.data.keys()
        taken = {version.run for _, version in versions}  # each run is in one step
        rows = [self._issue_row(number, runs[number], taken) for number in issues]
        rows += [self._data_row(self.data[key]) for key in sorted(used)]
        rows += [self._version_row(*version) for version in versions]
        steps = order_steps(rows)
        moves = [one for m in {v.model for _, v in versions} for one in self.moves.get(m, ())]
        moves.sort(key=lambda one: one.at)
        in_use = [(one.version, one) for one in steps if one.version and one.state == "champion"]
        endings = [self._describe_champion(*one) for one in in_use]
        ending = max(endings, key=lambda one: one[2], default=None)
        state, sentence, since, way_back = ending or describe(own, steps, self.read)
        facts = (tuple(moves), way_back, tuple(sorted(self.asks[ask])))
        return Story(own.work, state, sentence, since, steps, *facts)

    def _issue_row(self, number: int, runs: Iterable[Run], taken: set[str]) -> Row:
        one, work = self.linked[number], self.linked[number].work
        own = tuple(run for run in runs if run.kind != "dataset" and run.id not in taken)
        follows = {
            f"issue-{other}"
            for link in one.links
            for other in link.numbers
            if other in self.linked and self.linked[other].kind in link.allowed
        }
        facts = (work.issue.title, work_state(work), work.created, work.closed, one.text, (), work)
        records = (tuple(self.pulls.get(number, ())), read_results(own, self.trials), own)
        step = Step(f"issue-{number}", one.kind, *facts, *records)
        return one.kind, follows | self._sources(own), step

    def _data_row(self, run: Run) -> Row:
        title, follows = " ".join(_dataset(run)), {f"issue-{run.issue or self._data_issue(run)}"}
        facts = (title, "registered", run.start, run.end, run.tag("suite"))
        return "dataset", follows, Step(_data_key(run), "Data", *facts, runs=(run,))

    def _version_row(self, number: int, version: ModelVersion) -> Row:
        key, run = (version.model, version.version), self.by_id.get(version.run)
        runs, follows = (run,) if run else (), {f"issue-{number}", f"issue-{run and run.issue}"}
        began, ended, end = self.began.get(key), self.ended.get(key), None
        text = f"{self._describe_use(began)}. {began.why}".strip() if began else ""
        if ended and version.role not in ("champion", "challenger"):
            verb = "Taken back" if ended.action == "rollback" else "Replaced"
            other, end = self.names.get((version.model, ended.version), ended.version), ended.at
            text = f"{verb} on {format_date(end)} for version {other}. {ended.why}".strip()
        facts = (" ".join((version.model, self.names[key])), version.role, version.created, end)
        records = (read_results(runs, self.trials), runs, version)
        step = Step(_key("model", *key), "Model", *facts, text, (), None, (), *records)
        return "model", follows | self._sources(runs), step

    def _describe_use(self, change: ModelChange) -> str:
        """Since when a version is in use, and in place of which one that was taken back."""
        text = f"In use since {format_date(change.at)}"
        if change.action == "rollback":
            other = self.names.get((change.model, change.replaced), change.replaced)
            text += f", when version {other} was taken back"
        return text

    def _sources(self, runs: Iterable[Run]) -> set[str]:
        """The keys of the data that runs used: versions, and their Data issues."""
        data = ((_data_key(run), f"issue-{self._data_issue(run)}") for run in runs)
        return {key for keys in data for key in keys}

    def _describe_champion(self, version: ModelVersion, step: Step) -> Ending:
        """What `describe` says, of an Ask with this champion, and the way back."""
        model, change = version.model, self.began.get((version.model, version.version))
        since, way_back = change.at if change else version.created, ""
        text = self._describe_use(change) if change else f"In use since {format_date(since)}"
        champions = [move.version for move in self.moves.get(model, ())]
        former = [one for one in champions if self.roles.get((model, one)) == "former champion"]
        if former:
            way_back = f"uv run dslp model rollback {shlex.quote(model)}"
        if former and change and change.action == "rollback":
            # A rollback that is run again goes no further back by itself.
            way_back += f" --to {self.names[model, former[-1]]}"
        gains = [result.sentence for result in step.results if result.gain]
        text += f": {gains[0]}" if gains else "; how much better it is was not recorded"
        return "in use", f"{text}.", since, way_back


def order_steps(rows: Iterable[Row]) -> tuple[Step, ...]:
    """The first step, then the others by start, each with what it follows from, and no circle.

    Of what a step follows from, that is left out which another of them follows from already.
    """
    before, steps, roots = dict[str, set[str]](), list[Step](), set[str]()
    for _, follows, step in sorted(rows, key=lambda row: ORDER.index(row[0])):
        near = (follows & before.keys()) or roots
        far = {key for one in near for key in before[one]}
        before[step.key], roots = near | far, roots or {step.key}
        steps.append(replace(step, after=tuple(sorted(near - far))))
    return (steps[0], *sorted(steps[1:], key=lambda step: (step.start, step.key)))


def work_state(work: Work) -> str:
    """The state of an issue: its outcome, or whether it is open."""
    is_open = work.issue.state == "open"
    for label in OUTCOMES:
        if work.issue.labelled(label) and (is_open or label not in WAITS):
            return label
    return "open" if is_open else "not planned" if work.reason == "not_planned" else "closed"


def describe(own: Linked, steps: Sequence[Step], read: datetime) -> Ending:
    """The state of an Ask without a champion, the sentence that says it, and since when it is so.

    There is no way back.

    Args:
        own: the Ask.
        steps: its steps, itself first.
        read: when the logbook was read.
    """
    work, value = own.work, " ".join(own.text.split())
    if work.closed:
        on = format_date(work.closed)
        if value:
            return "answered", f"Answered on {on}: {visible(value, VALUE)}", work.closed, ""
        reason = {"not_planned": ": not planned", "duplicate": ": a duplicate"}.get(work.reason, "")
        ends = Counter(step.state for step in steps if step.stage == "Experiment")
        tried = ", ".join(f"{number} {state}" for state, number in ends.items())
        tried = f"; experiments: {tried}" if tried else ""
        return "closed", f"Closed on {on} without a value{reason}{tried}.", work.closed, ""
    rest = [step for step in steps[1:] if step.work]
    active = [step for step in rest if not step.end and step.state not in WAITS]
    if active:
        first, more = active[0], f" and {len(active) - 1} more" if active[1:] else ""
        days = (read - first.start).days
        span = f"{days // 7} weeks" if days > 13 else f"{days} day{'s' * (days != 1)}"
        text = f"In work since {format_date(first.start)} ({span}): {_name(first)}{more}."
        return "in work", text, first.start, ""
    waits = {step.key: _waits_since(step) for step in steps if step.state in WAITS}
    since = max([work.created, *waits.values(), *(step.end for step in rest if step.end)])
    names = [f"{_name(step)} {WAITS[step.state]}" for step in steps if step.key in waits]
    last = "runs without an issue of their own" if steps[0].runs else "nothing has begun"
    if rest:
        ended = max(rest, key=lambda step: step.end or step.start)
        last = f"the last work was {_name(ended)}, {ended.state}"
    return "waiting", f"Waiting since {format_date(since)}: {'; '.join(names) or last}.", since, ""


def format_date(time: date) -> str:
    """A day for people, such as `3 March 2026`."""
    return f"{time.day} {time:%B %Y}"


def stories_of(stories: Iterable[Story], number: int) -> list[Story]:
    """The story of an Ask, or those that an issue of another type belongs to."""
    key, stories = f"issue-{number}", list(stories)
    own = [story for story in stories if story.steps[0].key == key]
    return own or [story for story in stories if any(step.key == key for step in story.steps)]


def as_plain(story: Story) -> Any:
    """A story for JSON: everything that was tried for an Ask, with outcomes, figures and links.

    The names are those of the attributes of `Story` and of what it holds. A result has the
    identifier of its run, and whether it meets the criterion (`is_met`). Times are in ISO 8601; a
    figure that is not finite is null.
    """
    return json.loads(json.dumps(story, default=_attributes), parse_constant=lambda _: None)


def _attributes(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    own = {name: one for name, one in vars(value).items() if name not in HIDDEN}
    more = {"run": value.run.id, "is_met": value.is_met} if isinstance(value, Result) else {}
    return own | more


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups = defaultdict[K, list[V]](list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)


def _waits_since(step: Step) -> datetime:
    events = step.work.events if step.work else ()
    times = [one.at for one in events if (one.what, one.label) == ("labeled", step.state)]
    return max(times, default=step.start)


def _name(step: Step) -> str:
    number = f" (#{step.work.issue.number})" if step.work else ""
    return visible(step.title, TITLE) + number


def _dataset(run: Run) -> Version:
    return run.tag("dataset"), run.tag("dataset_version")


def _data_key(run: Run) -> str:
    return _key("data", *_dataset(run))


def _key(*names: str) -> str:
    return re.sub(r"\W", "-", "-".join(names))
