"""The way of an Ask as pictures: boxes with lines between them, bars in time, gains (C1, E3).

All lengths of the graph are in em, so that it grows with the letters of a page.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dslp.experiments.gains import UNKNOWN
from dslp.github.entities import OUTCOMES
from dslp.logbook.events import ModelChange
from dslp.logbook.story import Result, Step, Story

COLUMNS = ("Ask", "Data", "Explore", "Experiment", "Model", "Report, value")
WIDTH, GAP, HEAD = 12.7, 3.3, 2.4  # of a box, between two columns, and above the first box
ROOMY, DENSE = (4.7, 1.0), (2.2, 0.5)  # the height of a box, and what is between two
Span = tuple[str, datetime, datetime | None]  # open, closed or an outcome that waits; its ends
LANE = 0.4  # the height of a line that passes a column
MANY = 8  # boxes in a column that are too many for roomy ones


@dataclass(frozen=True)
class Graph:
    """Where each box stands, and the lines, as SVG's paths.

    Attributes:
        columns: for each stage, its steps from top to bottom.
        places: the left and the upper end of each box, by its step's key.
        lines: from what comes first to what follows from it.
        size: width and height of the picture.
        box: width and height of a box.
    """

    columns: Mapping[str, Sequence[Step]]
    places: Mapping[str, tuple[float, float]]
    lines: Sequence[str]
    size: tuple[float, float]
    box: tuple[float, float]


class Bar(NamedTuple):
    """A part of a row of the timeline: its state, its ends, and its place (0 to 100)."""

    state: str
    start: datetime
    end: datetime | None
    left: float
    width: float


def draw_graph(story: Story) -> Graph:
    """Place the steps of an Ask, and its value; a step stands beside what it follows from.

    A line that passes a column has a lane of its own there, between the boxes.
    """
    value = Step("value", "Value", "", story.state, story.since, after=_last_keys(story))
    columns: dict[str, list[Step]] = {name: [] for name in COLUMNS}
    for step in (*story.steps, value):
        columns[step.stage if step.stage in COLUMNS else COLUMNS[-1]].append(step)
    is_dense = max(map(len, columns.values())) >= MANY
    height, space = DENSE if is_dense else ROOMY
    index = {step.key: number for number, steps in enumerate(columns.values()) for step in steps}
    steps = [step for steps in columns.values() for step in steps]
    ends = [(key, step.key) for step in steps for key in step.after if key in index]
    lanes: list[dict[str, None]] = [{} for _ in columns]
    for one, two in ends:
        for number in _between(index[one], index[two]):
            lanes[number][one] = None
    sizes = [len(own) * (height + space) for own in columns.values()]
    sizes = [size + len(lane) * (LANE + space) for size, lane in zip(sizes, lanes, strict=True)]
    middles = dict[object, float]()  # of the boxes by their keys, of the lanes with their column
    for number, (own, lane) in enumerate(zip(columns.values(), lanes, strict=True)):
        ranks = dict[object, tuple[bool, float, bool, datetime]]()
        for step in sorted(own, key=lambda one: (one.work is None, one.start)):
            before = [middles.get((key, number - 1), middles.get(key)) for key in step.after]
            mean = statistics.fmean([y for y in before if y is not None] or [0.0])
            beside = [ranks[key][1] for key in step.after if key in ranks]
            rank = max([mean, *beside]), step.work is None, step.start
            ranks[step.key] = (step.key == "value", *rank)
        for key in lane:
            mean = middles.get((key, number - 1), middles.get(key, 0.0))
            ranks[key, number] = (False, mean, False, story.since)
        y = HEAD + (0 if is_dense else (max(sizes) - sizes[number]) / 2)
        for item in sorted(ranks, key=ranks.__getitem__):
            half = (height if isinstance(item, str) else LANE) / 2
            middles[item] = y + half
            y += 2 * half + space
        own.sort(key=lambda step: middles[step.key])
    places = {
        key: (number * (WIDTH + GAP), middles[key] - height / 2) for key, number in index.items()
    }
    lines = []
    for one, two in ends:
        between = [(number, middles[one, number]) for number in _between(index[one], index[two])]
        lines.append(_line([(index[one], middles[one]), *between, (index[two], middles[two])]))
    size = (len(COLUMNS) * (WIDTH + GAP) - GAP, HEAD + max(sizes))
    return Graph(columns, places, lines, size, (WIDTH, height))


def draw_timeline(story: Story) -> Iterator[tuple[datetime, Step | ModelChange, list[Bar]]]:
    """What happened, by date: when, what, and the bars of it."""
    items: list[tuple[datetime, Step | ModelChange, Sequence[Span]]]
    items = [(step.start, step, _spans(step, story.changes)) for step in story.steps]
    moves = [one for one in story.changes if one.action != "register"]
    items += [(one.at, one, [("open", one.at, one.at)]) for one in moves]
    times = [at for at, _, _ in items]
    times += [end for _, _, spans in items for span in spans for end in span[1:] if end]
    first, last = min(times), max(times)
    whole = (last - first) / 100 or timedelta(1)
    for at, item, spans in sorted(items, key=lambda one: one[0]):
        ends = [(start, end, end or last) for _, start, end in spans]
        lengths = [((start - first) / whole, (to - start) / whole) for start, _, to in ends]
        yield at, item, [Bar(*span, *place) for span, place in zip(spans, lengths, strict=True)]


def draw_gains(results: Sequence[Result]) -> Iterator[str]:
    """Of each result, where the baseline, the goal and its gain stand, as CSS for its picture.

    They are in percent of a width that has room for all; what is not finite is not drawn.
    """
    rows = list[dict[str, float]]()
    for result in results:
        row = {"zero": 0.0, "enough": 0.0 if result.criterion is None else result.criterion}
        if gain := result.gain:
            row["gain"] = gain.estimate
            row |= {"low": gain.low, "high": gain.high} if gain.interval != UNKNOWN else {}
        rows.append({name: x for name, x in row.items() if math.isfinite(x)})
    ends = [x for row in rows for x in row.values()]
    span = (max(ends) - min(ends)) / 92 or 1
    for row in rows:
        yield ";".join(f"--{name}:{4 + (x - min(ends)) / span:.1f}" for name, x in row.items())


def _spans(step: Step, changes: Iterable[ModelChange]) -> Sequence[Span]:
    """In which times a step was open, on hold or closed; of a version, in which it was in use."""
    if version := step.version:
        moves = [move for move in changes if move.model == version.model]
        ends = [*(move.at for move in moves[1:]), None]
        own = [pair for pair in zip(moves, ends, strict=True) if pair[0].version == version.version]
        role = ("open", step.start, None if step.state == "champion" else step.start)
        return [("open", move.at, end) for move, end in own] if own else [role]
    spans, held, state, since, is_open = list[Span](), set[str](), "open", step.start, True
    for event in step.work.events if step.work else ():
        if event.what in ("closed", "reopened"):
            is_open = event.what == "reopened"
        elif event.label.lower() in OUTCOMES[2:]:
            (held.add if event.what == "labeled" else held.discard)(event.label.lower())
        if (after := min(held, default="open") if is_open else "closed") != state:
            spans.append((state, since, max(since, event.at)))
            state, since = after, max(since, event.at)
    return spans if state == "closed" else [*spans, (state, since, step.end)]


def _last_keys(story: Story) -> tuple[str, ...]:
    """The keys of the steps that the value comes from: the model in use, else what came last."""
    used = [step.key for step in story.steps if step.state == "champion"]
    before = {key for step in story.steps for key in step.after}
    last = [step.key for step in story.steps if step.key not in before and step.end]
    return tuple(used or (last if story.state in ("answered", "closed") else ()))


def _between(one: int, two: int) -> range:
    """The columns between two, in the order of a line."""
    return range(one + 1, two) if one < two else range(one - 1, two, -1)


def _line(points: Sequence[tuple[int, float]]) -> str:
    """A curve from box to box, straight through the columns between; points: column and height.

    Between boxes of one column, it begins and ends on their left.
    """
    way = (points[-1][0] > points[0][0]) - (points[-1][0] < points[0][0])
    lefts = [number * (WIDTH + GAP) for number, _ in points]
    x, y = lefts[0] + WIDTH * (way > 0), points[0][1]
    path = f"M{x:.1f} {y:.1f}"
    for left, (_, end) in zip(lefts[1:], points[1:], strict=True):
        enter, bend = left + WIDTH * (way < 0), GAP * 0.7 * (way or -1)
        last = enter - bend if way else x + bend
        path += f"C{x + bend:.1f} {y:.1f} {last:.1f} {end:.1f} {enter:.1f} {end:.1f}"
        x, y = left + WIDTH * (way > 0), end
        path += f"H{x:.1f}" if (left, end) != (lefts[-1], points[-1][1]) else ""
    return f"{path}{'m.5-.4l-.5 .4l.5 .4' if way < 0 else 'm-.5-.4l.5 .4l-.5 .4'}"  # with its tip
