"""How fast the process is and what it yields (C2): speed, success, time by type, open work.

Durations are in days of 24 hours; NaN is not known. Open work is right-censored: the median of
closed work alone looks fast where much is open, so the Kaplan-Meier median stands beside it (Kaplan
and Meier, 1958, Journal of the American Statistical Association 53). No figure is about a person:
nothing that a figure is made from names one.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist, median, quantiles

from dslp.core.pictures import draw_points, draw_shares
from dslp.core.report import render_page
from dslp.github.entities import TYPES
from dslp.logbook.events import Logbook, Work
from dslp.logbook.story import DROPPED, Story

DAY = timedelta(days=1)
UNKNOWN = (math.nan,) * 3  # days in each state, or a share with its interval
FEWEST = 5  # durations that quartiles, and the median of a quarter, are made from
QUARTERS = 12  # that a trend goes back
HELD = ("on hold", "blocked - need access")
LABELS = {"labeled": HELD, "unlabeled": HELD}  # that count; other events have none
STEPS = {"closed": 1, "reopened": -1, "labeled": 1, "unlabeled": -1, "transferred": 0}
ASK_TO_VALUE = "Ask to value"


@dataclass(frozen=True)
class IssueTime:
    """Where the time of an issue went.

    Attributes:
        number: its number.
        url: its page; empty without GitHub.
        kind: its type.
        end: when it was closed last, or an Ask came to its value; None while it is open.
        is_done: whether it ended as done.
        is_held: whether it is on hold or blocked now.
        active: days in which it was open, and neither on hold nor blocked.
        held: days in which it was open, and on hold or blocked; not known without GitHub, where
            they count as active.
    """

    number: int
    url: str
    kind: str
    end: datetime | None
    is_done: bool
    is_held: bool
    active: float
    held: float

    @property
    def age(self) -> float:
        """All days in which it was open."""
        return self.active + (0.0 if math.isnan(self.held) else self.held)


@dataclass(frozen=True)
class Spread:
    """Durations in days: number, sum, median and quartiles; NaN where they are too few."""

    count: int
    total: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Durations:
    """The durations of a type, from opening to closing, or from Ask to value.

    Attributes:
        subject: the type, or `Ask to value`.
        done: the active days of the work that is done.
        median_with_open: their Kaplan-Meier median; infinite where it is not reached.
        trend: of the work that was done in each quarter, by its name, such as `2026 Q3`.
        active: the active days of all work, done or not.
        held: the days on hold or blocked of all work.
        age: all days of the open work.
    """

    subject: str
    done: Spread
    median_with_open: float
    trend: dict[str, Spread]
    active: Spread
    held: Spread
    age: Spread


@dataclass(frozen=True)
class Measures:
    """The measures of a project.

    Attributes:
        read: when its history was read.
        counts: numbers of issues: `unknown`, whose past is not known, so that no duration has them;
            `dropped`, closed as not planned or as a duplicate.
        values: numbers of Asks that came to their value by `promotion` or `closing`, or that were
            closed with `none`.
        outcomes: numbers of experiments that `succeeded` or `failed`; with both, or none, they are
            `closed` or `open`.
        success: the share of experiments that succeeded, and the ends of its 95 % interval.
        durations: from Ask to value, then by type.
        open: the open issues, the oldest first.
    """

    read: datetime
    counts: dict[str, int]
    values: dict[str, int]
    outcomes: dict[str, int]
    success: Sequence[float]
    durations: list[Durations]
    open: list[IssueTime]


def measure(logbook: Logbook, stories: Iterable[Story]) -> Measures:
    """Measure the process of a project by its history, whatever the source of that is.

    Args:
        logbook: its history.
        stories: of its Asks, which say when each came to its value.
    """
    counts, values = Counter(unknown=0, dropped=0), Counter(promotion=0, closing=0, none=0)
    outcomes, read = Counter(succeeded=0, failed=0, closed=0, open=0), logbook.read
    times: dict[str, list[IssueTime]] = {kind: [] for kind in (ASK_TO_VALUE, *TYPES, "Task")}
    for work in logbook.works:
        time = _issue_time(work, read, work.closed, work.reason not in DROPPED)
        times[time.kind].append(time)
        counts.update(unknown=math.isnan(time.active), dropped=not time.is_done)
        if time.kind == "Experiment" and work.reason != "duplicate":
            labels = [label for label in ("succeeded", "failed") if work.issue.labelled(label)]
            outcomes[labels[0] if time.url and len(labels) == 1 else work.issue.state] += 1
    unfinished = [time for part in times.values() for time in part if time.end is None]
    unfinished.sort(key=lambda time: (math.isnan(time.active), -time.age, time.number))
    for story in stories:
        ask, value = story.ask, story.value_at
        if ask.issue.url:  # without GitHub, its opening is not known
            end = max(value, ask.created) if value else ask.closed
            times[ASK_TO_VALUE].append(_issue_time(ask, read, end, bool(value)))
            way = "none" if not value else "closing" if value == ask.closed else "promotion"
            values[way] += bool(value or ask.closed)
    success, durations = _success_rate(outcomes), [_durations(*pair) for pair in times.items()]
    return Measures(read, counts, values, outcomes, success, durations, unfinished)


def time_spent(work: Work, read: datetime, until: datetime | None = None) -> Sequence[float]:
    """Where the time of an issue went from its opening to its last closing, by its events.

    Args:
        work: the issue; without events, it was active from its opening on.
        read: when it was read.
        until: the end, if that is before the closing.

    Returns:
        Days in which it was open and active, open and on hold or blocked, and closed. They are not
        known where it was closed before it was opened, a date lies in the future, a transfer lost
        the events before, a label was deleted, or the events do not lead to how the issue is now,
        such as those of a label that was renamed.
    """
    closed, events = work.closed or read, work.events
    end = min(closed, until or read)
    first = min(((one.at, one.what != "transferred") for one in events), default=(read, True))
    has_names = all(one.label for one in events if one.what in LABELS)
    if not (work.created <= end and closed <= read and first[1] and has_names):
        return UNKNOWN
    changes = Counter[tuple[datetime, str]]()  # by label; closing and reopening have none
    for event in (one for one in events if one.label.lower() in LABELS.get(one.what, ("",))):
        changes[event.at, event.label.lower()] += STEPS[event.what]
    state, days, before = dict.fromkeys(("", *HELD), 0), [0.0] * 3, work.created
    for (at, label), change in [*sorted(changes.items()), ((end, ""), 0)]:
        moment = min(max(at, before), end)
        days[2 if state[""] > 0 else max(state.values()) > 0] += (moment - before) / DAY
        before, state[label] = moment, min(1, state[label] + change)
    present = {label: work.issue.labelled(label) for label in HELD} | {"": work.closed is not None}
    return days if state == present or not events else UNKNOWN


def median_with_open(done: Iterable[float], unfinished: Iterable[float]) -> float:
    """The Kaplan-Meier median: the duration after which half of all work is done.

    What is still open takes longer than until now. It is infinite where it is not reached.
    """
    ages = sorted([*((days, False) for days in done), *((days, True) for days in unfinished)])
    share = 1.0
    for at_risk, (days, is_open) in zip(range(len(ages), 0, -1), ages, strict=True):
        share *= 1 if is_open else 1 - 1 / at_risk
        if share < 0.5 + 1e-9:
            return days
    return math.inf


def measures_page(measures: Measures) -> tuple[str, dict[str, str]]:
    """The page `measures.md` in Markdown, and its pictures, which will be in `measures/`."""
    pictures = dict[str, str]()
    for part in measures.durations:
        trend = [(name, days.median, days.low, days.high) for name, days in part.trend.items()]
        if sum(days.count >= FEWEST for days in part.trend.values()) > 1:
            pictures[part.subject] = draw_points(
                "quarter of its end", f"{part.subject}: days", trend
            )
    types = [part for part in measures.durations[1:] if part.subject != "Ask"]
    if total := sum(part.active.total for part in types):
        shares = {part.subject: [part.active.total / total] for part in types}
        pictures["time"] = draw_shares("Share of the open time, by type of work", shares)
    return render_page("measures.md.jinja", "dslp.logbook", m=measures, pictures=pictures), pictures


def _issue_time(work: Work, read: datetime, end: datetime | None, is_done: bool) -> IssueTime:
    issue, (active, held, _) = work.issue, time_spent(work, read, end)
    held = held if issue.url else math.nan
    is_held, names = any(map(issue.labelled, HELD)), (issue.number, issue.url, issue.kind)
    return IssueTime(*names, end, is_done, is_held, active, held)


def _durations(subject: str, times: Iterable[IssueTime]) -> Durations:
    times = [time for time in times if not math.isnan(time.active)]
    quarters = defaultdict[int, list[float]](list)
    for time in times:
        if time.end and time.is_done:
            quarters[4 * time.end.year + (time.end.month - 1) // 3].append(time.active)
    last = max(quarters, default=-1) + 1
    first = max(min(quarters, default=0), last - QUARTERS)
    trend = {f"{q // 4} Q{q % 4 + 1}": _spread(quarters[q], FEWEST) for q in range(first, last)}
    done = [days for part in quarters.values() for days in part]
    with_open = median_with_open(done, [time.active for time in times if time.end is None])
    active, held = _spread([time.active for time in times]), _spread([time.held for time in times])
    age = _spread([time.age for time in times if time.end is None])
    return Durations(subject, _spread(done), with_open, trend, active, held, age)


def _spread(days: Sequence[float], fewest: int = 1) -> Spread:
    """The spread of durations; of fewer than so many there is no median."""
    middle = median(days) if len(days) >= fewest else math.nan
    low, _, high = quantiles(days, n=4, method="inclusive") if len(days) >= FEWEST else UNKNOWN
    return Spread(len(days), sum(days), middle, low, high)


def _success_rate(outcomes: Counter[str]) -> Sequence[float]:
    """The share that succeeded, and the ends of its 95 % interval (Wilson, 1927, JASA 22)."""
    if not (number := outcomes["succeeded"] + outcomes["failed"]):
        return UNKNOWN
    rate, square = outcomes["succeeded"] / number, NormalDist().inv_cdf(0.975) ** 2 / number
    half = math.sqrt(square * (rate * (1 - rate) + square / 4))
    return [rate, *((rate + square / 2 + side) / (1 + square) for side in (-half, half))]
