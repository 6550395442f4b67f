"""Measures of the process, against cases that were computed by hand (C2). Times are in days."""

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from dslp.github.entities import Issue
from dslp.logbook.events import Event, Logbook, Work, parse_time
from dslp.logbook.export import to_json
from dslp.logbook.measures import measure, measures_page, median_with_open, time_spent
from dslp.logbook.story import build_stories
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.library.logbook.scene import Scene, day

BLOCKED = "blocked - need access"
CHANGES: dict[str, Any] = {
    **{"hold": ("labeled", "on hold"), "free": ("unlabeled", "On Hold")},
    **{"block": ("labeled", BLOCKED), "unblock": ("unlabeled", BLOCKED)},
    **{"close": ("closed",), "reopen": ("reopened",), "move": ("transferred",)},
    **{"pause": ("labeled", "paused"), "lost": ("labeled", ""), "data": ("labeled", "Data")},
}
WAYS = {"on hold": ("free", "hold"), BLOCKED: ("unblock", "block"), "": ("reopen", "close")}
# Of an issue: the days of its opening and closing, what happens on which day, and its labels in the
# end. It is read on day 20. Then the days that are active, held (on hold or blocked) and closed.
CASES: dict[str, Any] = {
    "zero-length": (3, 3, "3 close", "", (0, 0, 0)),
    "no events, as in git": (2, 9, "", "", (7, 0, 0)),
    "reopened": (0, 6, "2 close 5 reopen 6 close", "", (3, 0, 3)),  # 2 + 1
    "reopened after years": (-999, 6, "-998 close 5 reopen 6 close", "", (2, 0, 1003)),
    "closed again, for another reason": (0, 3, "2 close 3 close", "", (2, 0, 1)),
    "on hold twice": (0, 10, "1 hold 3 free 5 hold 6 free 10 close", "", (7, 3, 0)),  # 10 - 2 - 1
    # On hold for 3 days and blocked for 3, but held for 5.
    "blocked too": (0, 10, "1 hold 3 block 4 free 6 unblock 10 close", "", (5, 5, 0)),
    "still on hold": (0, None, "15 hold", "ON HOLD", (15, 5, 0)),
    "label removed after closing": (0, 5, "2 hold 5 close 7 free", "", (2, 3, 0)),
    # Active from 0 to 1 and from 6 to 7, on hold from 1 to 2 and from 5 to 6.
    "closed on hold": (0, 7, "1 hold 2 close 5 reopen 6 free 7 close", "", (2, 2, 3)),
    "label before the opening": (0, 4, "-1 hold 1 free 4 close", "", (3, 1, 0)),
    "off and on at once": (0, 9, "1 hold 3 free 3 hold 5 free 9 close", "", (5, 4, 0)),
    "transferred with its past": (0, 5, "1 hold 2 free 3 move 5 close", "", (4, 1, 0)),
}
UNKNOWN: dict[str, Any] = {
    "transferred without its past": (0, 5, "3 move 3 hold 4 free 5 close", ""),
    "label renamed meanwhile": (0, 5, "1 pause 2 free 5 close", ""),
    "label deleted": (0, None, "1 hold", ""),
    "label deleted, without its name": (0, 5, "1 lost 2 lost 5 close", ""),
    "reopening without its event": (0, None, "1 close", ""),
    "closed before its opening": (5, 4, "4 close", ""),
    "opened in the future": (21, None, "", ""),
    "closed in the future": (0, 21, "21 close", ""),
}


def history(start: float, end: float | None, changes: str, labels: str = "") -> Work:
    words = changes.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    events = tuple(Event(day(float(at)), *CHANGES[what]) for at, what in pairs)
    state, names = "open" if end is None else "closed", tuple(labels.split(", "))
    issue = Issue(1, "", "", state, names, "", is_pull_request=False)
    return Work(issue, day(start), day(start), None if end is None else day(end), "", events)


def measured(*works: Work, read: float = 20) -> Any:
    return measured_in(Logbook("claims", "", day(read), works=works))


def measured_in(logbook: Logbook) -> Any:
    return measure(logbook, build_stories(logbook))


def durations(measures: Any, subject: str) -> Any:
    return next(one for one in measures.durations if one.subject == subject)


@pytest.mark.rule("C2")
@pytest.mark.parametrize("name", CASES)
def test_time_goes_where_the_events_say(name: str) -> None:
    *facts, expected = CASES[name]
    assert time_spent(history(*facts), day(20)) == pytest.approx(expected)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_left_out_and_counted(name: str) -> None:
    measures = measured(history(*UNKNOWN[name]), history(0, 4, "4 close"))
    task = durations(measures, "Task")
    assert measures.counts["unknown"] == 1
    assert (task.done.count, task.active.total, task.age.count) == (1, 4, 0)


@pytest.mark.parametrize(
    ("start", "end", "days", "quarter"),
    [
        ("2025-12-30T10:00:00Z", "2026-01-01T00:00:00+14:00", 1, "2025 Q4"),
        ("2026-03-28T12:00:00+01:00", "2026-03-29T12:00:00+02:00", 23 / 24, "2026 Q1"),  # summer
        ("2025-10-25T12:00:00+02:00", "2025-10-26T12:00:00+01:00", 25 / 24, "2025 Q4"),  # winter
        ("2025-09-30T23:59:59-00:00", "2025-09-30T20:00:00-04:00", 1 / 86400, "2025 Q4"),
    ],
)
def test_times_are_in_utc(start: str, end: str, days: float, quarter: str) -> None:
    work = replace(history(0, 10, ""), created=parse_time(start), closed=parse_time(end))
    task = durations(measured(work, read=100), "Task")
    assert (task.done.median, list(task.trend)) == (pytest.approx(days), [quarter])


@given(st.lists(st.tuples(st.integers(-5, 40), st.sampled_from([*WAYS]))), st.randoms())
def test_each_moment_counts_once(toggles: list[tuple[int, str]], random: Any) -> None:
    """Labels come and go, and the issue is closed and reopened, at any times and in any order."""
    state, changes, end = dict.fromkeys(WAYS, False), list[str](), 40
    for at, label in sorted(toggles):
        state[label] = not state[label]
        changes.append(f"{at} {WAYS[label][state[label]]}")
        end = end if label else at if state[label] else 40
    closed, labels = end if state[""] else None, ", ".join(one for one in WAYS if state[one])
    days = time_spent(history(0, closed, " ".join(changes), labels), day(40))
    random.shuffle(changes)
    mixed = time_spent(history(0, closed, " ".join(changes), labels), day(40))
    assert days == pytest.approx(mixed, nan_ok=True)
    assert all(map(math.isnan, days)) if end < 0 else min(days) >= 0
    assert end < 0 or sum(days) == pytest.approx(end)


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9)))
def test_the_median_with_open_work_is_that_of_scipy(done: list[int], still: list[int]) -> None:
    curve = stats.ecdf(stats.CensoredData(uncensored=done, right=still)).sf
    reached = curve.quantiles[curve.probabilities < 0.5 + 1e-9]
    assert median_with_open(done, still) == min(reached, default=math.inf)


@pytest.mark.rule("C2")
def test_speed_by_type_with_its_trend_and_the_open_work() -> None:
    scene = Scene(read=100)  # day 0 is 5 January 2026, day 86 is 1 April
    for number, days in enumerate((1, 2, 3, 4, 10), start=1):  # median 3, quartiles 2 and 4
        scene.issue(number, "Explore", "", end=days)
    for number, days in enumerate((6, 8), start=6):  # in the second quarter: too few to show
        scene.issue(number, "explore", "", start=85, end=85 + days)
    for number, reason in enumerate(("not_planned", "duplicate"), start=8):
        scene.issue(number, "Explore", "", end=50, reason=reason)
    held, was_data = (history(0, 0, text).events for text in ("91 hold 92 free", "0 data"))
    for number in range(10, 19):  # nine are open, for 10 days of which 1 is on hold
        scene.issue(number, "Explore", "", start=90, events=held)
    scene.issue(20, "Model", "", end=30, events=was_data)  # it counts as a Model, once
    measures = measured_in(scene.logbook)
    explore, model = durations(measures, "Explore"), durations(measures, "Model")
    first, second = explore.trend["2026 Q1"], explore.trend["2026 Q2"]
    parts = [(one.count, one.median, one.low, one.high) for one in (explore.done, first)]
    assert parts == [(7, 4, 2.5, 7), (5, 3, 2, 4)]  # 1, 2, 3, 4, 6, 8, 10 and 1, 2, 3, 4, 10
    assert (second.count, math.isnan(second.median)) == (2, True)
    # Of 16, one each is done at days 1, 2, 3, 4, 6 and 8: 10/16 are left. Then the nine open ones,
    # at 9 active days, are no longer seen: the last is done at day 10, and all are.
    assert explore.median_with_open == 10
    assert (explore.age.count, explore.age.median) == (9, 10)
    assert (explore.active.total, explore.held.total) == (34 + 2 * 50 + 9 * 9, 9)
    assert (model.done.median, durations(measures, "Data").active.count) == (30, 0)
    assert measures.counts == {"unknown": 0, "dropped": 2}
    page, pictures = measures_page(measures)
    assert "| Explore | 7 | 4 | 2.5 to 7 | 9 | 10 |" in page
    assert "<td>Explore</td><td>2026 Q2</td><td>2</td><td>not known</td>" in page
    assert "| Model | 1 | 30 | 12.2 % | 0 |" in page  # 30 of 215 + 30 days
    assert list(pictures) == ["time"], "one quarter is no trend"


@pytest.mark.rule("C2")
def test_from_ask_to_value() -> None:
    scene, value = Scene(read=100), {"Value": "Contracts for plan B were ended."}
    held = history(0, 0, "1 hold 3 free").events
    scene.issue(1, "Ask", "promoted", events=held)  # 10 - 2 days, though it is open
    scene.issue(2, "Ask", "promoted after its closing", value, end=4)  # 4
    scene.issue(3, "Ask", "closed with value", value, start=10, end=30)  # 20
    scene.issue(4, "Ask", "closed without", {"Value": "_No response_"}, end=9)
    scene.issue(5, "Ask", "given up", value, end=9, reason="not_planned")
    scene.issue(6, "Ask", "open", value, start=90)
    scene.issue(7, "Ask", "promoted before its opening", start=60)  # 0
    for version, ask, at in ((1, 1, 10), (2, 2, 11), (3, 1, 50), (4, 7, 55)):
        scene.training(version, 5, (0.1,), ask=ask)
        scene.version(version, "1.0.0", "champion", 6, version, None)
        scene.change("promote", version, None, at)
    measures = measured_in(scene.logbook)
    speed = durations(measures, "Ask to value")
    assert (speed.done.count, speed.done.median) == (4, 6)  # of 0, 4, 8 and 20
    assert speed.median_with_open == 8  # with 10 that is open: 4/5 at day 0, 3/5 at 4, 2/5 at 8
    assert measures.values == {"promotion": 3, "closing": 1, "none": 2}
    assert "Asks are left out" in (page := measures_page(measures)[0])
    assert "| Ask | 7 | " not in page.partition("## Where the time goes")[2]


@pytest.mark.rule("C2")
def test_success_of_experiments() -> None:
    scene, labels = Scene(), ["succeeded"] * 3 + ["failed"] * 4 + ["", "", "failed, succeeded"]
    for number, label in enumerate(labels):  # how it was closed makes no difference
        reason = "not_planned" if label == "failed" else "completed"
        scene.issue(number, f"Experiment, {label}", "", end=5, reason=reason)
    scene.issue(20, "Experiment, Succeeded", "")  # nor that it is open
    scene.issue(21, "Experiment", "")
    scene.issue(22, "Experiment, failed", "", end=5, reason="duplicate")
    measures = measured_in(scene.logbook)
    assert measures.outcomes == {"succeeded": 4, "failed": 4, "closed": 3, "open": 1}
    # z² / n = 1.96² / 8 = 0.48, so (0.5 + 0.24 ± √(0.48 * (0.25 + 0.12))) / 1.48 = 0.5 ± 0.285.
    assert measures.success == pytest.approx([0.5, 0.215, 0.785], abs=0.001)
    assert "| 4 | 4 | 50.0 % | 21.5 % to 78.5 % | 3 | 1 |" in measures_page(measures)[0]


@pytest.mark.rule("C2")
def test_the_page_names_nobody_and_shows_the_figures_of_its_pictures() -> None:
    scene, person = Scene(read=300), {"Who": "@grace <grace@example.org>"}
    for number in range(1, 61):
        start, end = 4 * number, None if number > 50 else 4 * number + number % 7
        scene.issue(number, "Data", "Claims of Grace", person, start, end)
        work = scene.works[number]
        url = 'javascript:alert(1)//"><script>' if number == 60 else work.issue.url
        scene.works[number] = replace(work, issue=replace(work.issue, url=url))
    measures = measured_in(scene.logbook)
    (page, pictures), plain = measures_page(measures), to_json(measures)
    assert not re.search("grace|script>|javascript", page, re.IGNORECASE)
    assert not re.search("grace", plain, re.IGNORECASE)
    assert re.findall(r"\]\(measures/(\w+).svg\)", page) == [*pictures] == ["Data", "time"]
    assert all("prefers-color-scheme: dark" in picture for picture in pictures.values())
    rows = re.findall(r"<td>Data</td><td>(.*?)</td><td>(\d+)</td><td>[\d.]+<", page)
    trend = durations(measures, "Data").trend
    assert rows == [(quarter, str(one.count)) for quarter, one in trend.items()]
    assert re.findall(r">(2026 Q\d)<", pictures["Data"]) == [*trend]
    assert '/issues/51">#51</a> | Data | 96 | 0 |' in page  # 300 - 4 * 51
    assert re.findall(r'"number": (\d+)', plain) == [str(number) for number in range(51, 61)]


def test_a_project_without_github_or_without_work_says_what_is_not_known() -> None:
    ended = history(0, 10, "10 close", "Experiment, succeeded")
    page, _ = measures_page(measured(ended, history(15, None, "", "Ask")))
    assert "| 0 | 0 | not known | not known | 1 | 0 |" in page  # git does not show what failed
    assert "| Experiment | 1 | 10 | 100.0 % | not known |" in page  # without the Ask
    assert ("| Ask to value |" in page, "| 1 | Ask | 5 | not known |" in page) == (False, True)
    page, pictures = measures_page(measured())
    assert (page.count("not known yet"), pictures) == (2, {})
    assert json.loads(to_json(measured()))["success"] == [None, None, None]
