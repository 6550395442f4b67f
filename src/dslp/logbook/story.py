"""The way of each Ask from question to value: what followed from what, and how it ended (C1).

An issue serves an Ask that its form names, or that an issue which it names does (I11, I12). Runs
and versions belong to the issue that they were made for. All texts are of people, and untrusted.
"""

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from dslp.core.text import visible
from dslp.github.entities import issue_state
from dslp.github.forms import MOST, Link, form_fields, form_links, served_asks
from dslp.github.policy import issue_of
from dslp.logbook.events import Logbook, ModelChange, ModelVersion, Pull, Run, Work
from dslp.logbook.results import Result as Result
from dslp.logbook.results import best_trials, read_results

Version = tuple[str, str]  # of a dataset or a model: its name, and the version
# The fields of a form that say what came of the work.
TEXTS = {
    "Ask": ("Value",),
    "Explore": ("Insights", "Next steps"),
    "Experiment": ("Summary",),
    "Model": ("What it does",),
    "Communicate": ("Report or dashboard",),
}
# A step follows only from those before it in this order, so that there is no circle.
ORDER = ("Ask", "Data", "dataset", "Experiment", "Explore", "Model", "Communicate", "model")
WAITS = {"on hold": "is on hold", "blocked - need access": "waits for access"}
WAITS |= {"challenger": "waits for its promotion"}
LONGEST = 65_536  # characters of a text that are read
CUT, VALUE, TITLE = 4_000, 300, 70  # characters that are shown of a field, and in a sentence
DROPPED = ("not_planned", "duplicate")  # reasons for closing what is not done


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


class Use(NamedTuple):
    """The use of a model version: whether it lasts, and since when it does or does not.

    And the sentence for its Ask; where it lasts, the model's name, and the way back.
    """

    lasts: bool
    since: datetime
    sentence: str
    model: str = ""
    way_back: str = ""


@dataclass(frozen=True)
class Story:
    """An Ask, and all that followed from it.

    Attributes:
        ask: the Ask.
        state: `in use` (a model of it is the champion), `answered` (closed with a value, or after a
            model of it was in use), `closed` (without one), `in work` (other work of it is open),
            `waiting` (nothing is).
        sentence: the state for a business reader, such as "In use since 3 March 2026: 8.1 % better
            than the baseline (95 % sure: between 3.5 and 12.7 % better)."
        since: when that state began.
        steps: the Ask itself first, then the rest by start.
        changes: promotions and rollbacks of its models, the oldest first.
        way_back: the command that goes back to the champion before; empty where there is none.
        parents: numbers of the Asks that it is a part of.
        model: the name of its model in use; empty where none is.
        value_at: when it came to its value: when a model of it came into use first, or else its
            closing with a value; None while it has none.
    """

    ask: Work
    state: str
    sentence: str
    since: datetime
    steps: tuple[Step, ...]
    changes: tuple[ModelChange, ...] = ()
    way_back: str = ""
    parents: tuple[int, ...] = ()
    model: str = ""
    value_at: datetime | None = None


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
        asks: the Asks that it serves; of an Ask, its parents.
    """

    work: Work
    kind: str
    links: tuple[Link, ...]
    named: tuple[int, ...]
    text: str
    dataset: Version
    asks: tuple[int, ...] = ()


@lru_cache(maxsize=1)
def read_links(works: tuple[Work, ...], repository: str) -> dict[int, Linked]:
    """What the forms of the issues say, by number; each text is read once (I11)."""
    name, linked = "/".join(repository.split("/")[-2:]), dict[int, Linked]()
    for work in works:
        if len(work.issue.body) > LONGEST:  # nothing reads more of it
            work = replace(work, issue=replace(work.issue, body=work.issue.body[:LONGEST]))
        kind, body = work.issue.kind, work.issue.body
        sections, links = form_fields(body), tuple(form_links(kind, body, name))
        named = dict.fromkeys(number for link in links for number in link.numbers)
        text = "\n\n".join(filter(None, (sections.get(field) for field in TEXTS.get(kind, ()))))
        text = text if len(text) <= CUT else f"{text[:CUT]} …"
        version = re.search(r"\d+\.\d+\.\d+", sections.get("Version", ""))
        dataset = sections.get("Dataset", "").strip("` "), version[0] if version else ""
        form = Linked(work, kind, links, tuple(named)[:MOST], text, dataset)
        linked[work.issue.number] = form
    issues = {number: (form.kind, form.named) for number, form in linked.items()}
    return {n: replace(form, asks=served_asks(issues, n)) for n, form in linked.items()}


def work_without_ask(logbook: Logbook) -> tuple[Work, ...]:
    """The issues that serve no Ask, Tasks among them; the newest first."""
    linked = read_links(logbook.works, logbook.repository).values()
    works = [form.work for form in linked if form.kind != "Ask" and not form.asks]
    return tuple(sorted(works, key=lambda work: work.created, reverse=True))


def build_stories(logbook: Logbook) -> tuple[Story, ...]:
    """The way of each Ask; those that are open first, then the newest."""
    builder = _Builder(logbook)
    stories = [builder.story(form) for form in builder.linked.values() if form.kind == "Ask"]
    stories.sort(key=lambda story: (not story.ask.closed, story.ask.created), reverse=True)
    return tuple(stories)


class _Builder:
    """The records of a logbook, by the Ask and the issue that they belong to."""

    def __init__(self, logbook: Logbook) -> None:
        runs, versions, self.read = logbook.runs, logbook.versions, logbook.read
        self.linked = read_links(logbook.works, logbook.repository)
        self.kinds = {number: form.kind for number, form in self.linked.items()}
        self.serving = _grouped((ask, n) for n, form in self.linked.items() for ask in form.asks)
        name = "/".join(logbook.repository.split("/")[-2:])
        pulls = [pull for pull in logbook.pulls if not pull.pull.is_stranger]
        self.pulls = _grouped((issue_of(pull.pull, name), pull) for pull in pulls)
        self.data_issues = {form.dataset: n for n, form in self.linked.items() if form.dataset[0]}
        self.trials, self.by_id = best_trials(runs), {run.id: run for run in runs}
        registered = [run for run in runs if (run.kind, run.status) == ("dataset", "FINISHED")]
        self.data = {_dataset(run): run for run in registered}
        places = [(self._place(run.issue, run.ask or self._data_issue(run)), run) for run in runs]
        self.runs = _grouped(((ask, n), run) for (n, asks), run in places for ask in asks)
        moves = [change for change in logbook.changes if change.action != "register"]
        self.moves = _grouped((move.model, move) for move in moves)
        self.began = {(move.model, move.version): move for move in moves}
        self.ended = {(change.model, change.replaced): change for change in logbook.changes}
        names = ((v.model, v.version, v.semantic or v.version) for v in versions)
        self.names = {(model, version): visible(name, TITLE) for model, version, name in names}
        self.roles = {(v.model, v.version): v.role for v in versions}
        trained = [(v, self.by_id.get(v.run, v)) for v in versions]
        releases = [(self._place(v.issue, run.issue, v.ask, run.ask), v) for v, run in trained]
        self.versions = _grouped((ask, (n, v)) for (n, asks), v in releases for ask in asks)

    def _place(self, *numbers: int | None) -> tuple[int, tuple[int, ...]]:
        """The first of the issues that is an Ask or serves one, and the Asks."""
        for number in numbers:
            if form := self.linked.get(number or 0):
                issue = form.work.issue.number
                if asks := (issue,) if form.kind == "Ask" else form.asks:
                    return issue, asks
        return 0, ()

    def _data_issue(self, run: Run) -> int:
        """The Data issue of the dataset version that a run registers or uses; 0 if none is."""
        name, version = _dataset(run)
        return self.data_issues.get((name, version)) or self.data_issues.get((name, "")) or 0

    def story(self, form: Linked) -> Story:
        """The way of an Ask."""
        ask = form.work.issue.number
        issues, versions = (ask, *self.serving.get(ask, ())), self.versions.get(ask, [])
        runs = {number: self.runs.get((ask, number), []) for number in issues}
        used = {_dataset(run) for part in runs.values() for run in part} & self.data.keys()
        trained = {version.run for _, version in versions}  # each run is in one step
        rows = [self._issue_row(number, runs[number], trained) for number in issues]
        rows += [self._data_row(self.data[key]) for key in sorted(used)]
        rows += [self._version_row(*version) for version in versions]
        steps, models = order_steps(rows), {(v.model, v.version) for _, v in versions}
        moves = [move for model in {m for m, _ in models} for move in self.moves.get(model, ())]
        changes = tuple(sorted(moves, key=lambda move: (move.at, move.model)))
        begins = [move.at for move in changes if (move.model, move.version) in models]
        use = max(filter(None, map(self._use, steps)), default=None)  # what lasts, and the newest
        state, sentence, since = describe(form, steps, self.read, use)
        value = begins[0] if begins else since if state in ("in use", "answered") else None
        parents = tuple(sorted(form.asks))
        story = Story(form.work, state, sentence, since, steps, changes, "", parents, "", value)
        return replace(story, model=use.model, way_back=use.way_back) if use else story

    def _issue_row(self, number: int, runs: Iterable[Run], trained: set[str]) -> Row:
        form, work = self.linked[number], self.linked[number].work
        runs = tuple(run for run in runs if run.kind != "dataset" and run.id not in trained)
        targets = [(target, link.allowed) for link in form.links for target in link.numbers]
        follows = {f"issue-{n}" for n, allowed in targets if self.kinds.get(n) in allowed}
        times = work_state(work), work.created, work.closed
        records: Any = {"pulls": tuple(self.pulls.get(number, ())), "runs": runs}
        records |= {"work": work, "results": read_results(runs, self.trials)}
        step = Step(f"issue-{number}", form.kind, work.issue.title, *times, form.text, **records)
        return form.kind, follows | self._sources(runs), step

    def _data_row(self, run: Run) -> Row:
        title, times = " ".join(_dataset(run)), ("registered", run.start, run.end)
        step = Step(_data_key(run), "Data", title, *times, run.tag("suite"), runs=(run,))
        return "dataset", {f"issue-{run.issue or self._data_issue(run)}"}, step

    def _version_row(self, number: int, version: ModelVersion) -> Row:
        key, run = (version.model, version.version), self.by_id.get(version.run)
        runs, follows = (run,) if run else (), {f"issue-{number}", f"issue-{run and run.issue}"}
        began, ended = self.began.get(key), self.ended.get(key)
        ended = None if version.role in ("champion", "challenger") else ended
        text = ""
        if began:  # why a rollback was made is said of the version that was taken back
            why = f". {began.why}" if began.why and began.action == "promote" else "."
            text = f"{self._begin(began)}{why}"
        if ended:
            text = f"{self._end(ended)} on {format_date(ended.at)}. {ended.why}".strip()
        times = version.role, version.created, ended.at if ended else None
        records: Any = {"runs": runs, "results": read_results(runs, self.trials)}
        title = f"{version.model} {self.names[key]}"
        step = Step(_key("model", *key), "Model", title, *times, text, version=version, **records)
        return "model", follows | self._sources(runs), step

    def _begin(self, change: ModelChange) -> str:
        """Since when a version is in use, and in place of which one that was taken back."""
        former = self.names.get((change.model, change.replaced), change.replaced)
        back = f", when version {former} was taken back" * (change.action == "rollback")
        return f"In use since {format_date(change.at)}{back}"

    def _end(self, change: ModelChange) -> str:
        """What became of the version that another one replaced."""
        verb = "Taken back for" if change.action == "rollback" else "Replaced by"
        return f"{verb} version {self.names.get((change.model, change.version), change.version)}"

    def _sources(self, runs: Iterable[Run]) -> set[str]:
        """The keys of the data that runs used: versions, and their Data issues."""
        data = ((_data_key(run), f"issue-{self._data_issue(run)}") for run in runs)
        return {key for keys in data for key in keys}

    def _use(self, step: Step) -> Use | None:
        """The use of a step's version; None where it never was in use."""
        if not (version := step.version):
            return None
        model, key = version.model, (version.model, version.version)
        gains = [result.sentence for result in step.results if result.gain]
        gain = f": {gains[0]}." if gains else "; how much better it is was not recorded."
        change = self.began.get(key)
        if version.role != "champion":
            if not (change and step.end):
                return None
            days = f"from {format_date(change.at)} to {format_date(step.end)}"
            return Use(False, step.end, f"In use {days}{gain} {self._end(self.ended[key])}.")
        since, way_back = change.at if change else version.created, ""
        text = self._begin(change) if change else f"In use since {format_date(since)}"
        champions = [move.version for move in self.moves.get(model, ())]
        former = [name for name in champions if self.roles.get((model, name)) == "former champion"]
        if former:
            way_back = f"uv run dslp model rollback {shlex.quote(model)}"
        if former and change and change.action == "rollback":
            # A rollback that is run again goes no further back by itself.
            way_back += f" --to {shlex.quote(self.names[model, former[-1]])}"
        return Use(True, since, text + gain, model, way_back)


def order_steps(rows: Iterable[Row]) -> tuple[Step, ...]:
    """The first step, then the others by start, each with what it follows from, and no circle.

    Of what a step follows from, that is left out which another of them follows from already.
    """
    before, steps, roots = dict[str, set[str]](), list[Step](), set[str]()
    for _, follows, step in sorted(rows, key=lambda row: ORDER.index(row[0])):
        near = (follows & before.keys()) or roots
        far = {key for source in near for key in before[source]}
        before[step.key], roots = near | far, roots or {step.key}
        steps.append(replace(step, after=tuple(sorted(near - far))))
    return (steps[0], *sorted(steps[1:], key=lambda step: (step.start, step.key)))


def work_state(work: Work) -> str:
    """The state of an issue: its outcome, or whether it is open."""
    return issue_state(work.issue, work.reason)


def describe(
    form: Linked, steps: Sequence[Step], read: datetime, use: Use | None
) -> tuple[str, str, datetime]:
    """The state of an Ask, the sentence that says it, and since when it is so.

    Args:
        form: the Ask.
        steps: its steps, itself first.
        read: when the logbook was read.
        use: of its model, if one is or was in use.
    """
    work, value, is_used = form.work, " ".join(form.text.split()), bool(use and use.lasts)
    reopened = [event.at for event in work.events if event.what == "reopened"]
    turns = [work.created, *([use.since] if use else []), *reopened]
    state, text, since = _describe_open(steps, read, turns, is_used)
    if use and is_used:
        return "in use", f"{use.sentence} {text}".strip(), use.since
    if work.closed:
        on = format_date(work.closed)
        if value and work.reason not in DROPPED:
            return "answered", f"Answered on {on}: {visible(value, VALUE)}", work.closed
        if use:
            return "answered", use.sentence, max(work.closed, use.since)
        reason = {"not_planned": ": not planned", "duplicate": ": a duplicate"}.get(work.reason, "")
        ends = Counter(step.state for step in steps if step.stage == "Experiment")
        tried = ", ".join(f"{number} {state}" for state, number in ends.items())
        tried = f"; experiments: {tried}" if tried else ""
        return "closed", f"Closed on {on} without a value{reason}{tried}.", work.closed
    if reopened:
        answer = f"; the answer until then: {visible(value, VALUE)}" if value else "."
        text += f" Reopened on {format_date(max(reopened))}{answer}"
    return state, f"{text} {use.sentence}" if use else text, since


def _describe_open(
    steps: Sequence[Step], read: datetime, turns: Sequence[datetime], is_used: bool
) -> tuple[str, str, datetime]:
    """What of an Ask goes on or waits, as `describe` says; of one in use, that is no other Ask.

    `turns` are its opening and what changed its state since.
    """
    rest = [step for step in steps[1:] if step.work and not (is_used and step.stage == "Ask")]
    waits = {step.key: _waits_since(step) for step in steps if step.state in WAITS}
    names = [f"{_name(step)} {WAITS[step.state]}" for step in steps if step.key in waits]
    waiting = "; ".join([*names[:MOST], *[f"and {len(names) - MOST} more"] * (len(names) > MOST)])
    active = [step for step in rest if not step.end and step.state not in WAITS]
    if active and steps[0].key not in waits:
        first, more = active[0], f" and {len(active) - 1} more" if active[1:] else ""
        since = first.start if is_used else max(first.start, *turns)
        again = " again" * (len(turns) > 1 and since >= max(turns))
        days = max(0, (read - since).days)
        span = f"{days // 7} weeks" if days > 13 else f"{days} day{'s' * (days != 1)}"
        parts = filter(None, (f"{_name(first)}{more}", waiting))
        text = f"In work{again} since {format_date(since)} ({span}): {'; '.join(parts)}."
        return "in work", text, since
    if is_used:
        text = f"Since {format_date(max(waits.values()))}: {waiting}." if waits else ""
        return "in use", text, max(turns)
    since = max([*turns, *waits.values(), *(step.end for step in rest if step.end)])
    since = waits.get(steps[0].key, since)
    last = "runs without an issue of their own" if steps[0].runs else "nothing has begun"
    if rest:
        ended = max(rest, key=lambda step: step.end or step.start)
        last = f"the last work was {_name(ended)}, {ended.state}"
    return "waiting", f"Waiting since {format_date(since)}: {waiting or last}.", since


def format_date(time: date) -> str:
    """A day for people, such as `3 March 2026`."""
    return f"{time.day} {time:%B %Y}"


def stories_of(stories: Iterable[Story], number: int) -> list[Story]:
    """The story of an Ask, or those that an issue of another type belongs to."""
    key, stories = f"issue-{number}", list(stories)
    asks = [story for story in stories if story.steps[0].key == key]
    return asks or [story for story in stories if any(step.key == key for step in story.steps)]


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups = defaultdict[Any, list[Any]](list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)


def _waits_since(step: Step) -> datetime:
    events = step.work.events if step.work else ()
    labels = [event for event in events if event.what == "labeled"]
    times = [event.at for event in labels if event.label.lower() == step.state]
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
