"""Measures of the process, against cases that were computed by hand (C2). Times are in days."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dslp.github.entities import Issue
from dslp.logbook.events import Event, Logbook, Work, parse_time
from dslp.logbook.measures import (
    Durations,
    Measures,
    as_plain,
    measure,
    measures_page,
    median_with_open,
    time_spent,
)
from tests.library.logbook.scene import Scene, day

HOLD, FREE = ("labeled", "on hold"), ("unlabeled", "On Hold")
BLOCK, UNBLOCK = ("labeled", "blocked - need access"), ("unlabeled", "blocked - need access")
CLOSE, REOPEN, MOVE = ("closed", ""), ("reopened", ""), ("transferred", "")
READ = 20
# What happens to an issue from its opening to its closing (None: it is open on day 20), the labels
# that it has in the end, and the days that are active, held (on hold or blocked) and closed.
CASES: dict[str, tuple[float, float | None, list[Any], str, tuple[float, ...]]] = {
    "nothing happens": (0, 10, [(10, CLOSE)], "", (10, 0, 0)),
    "zero-length": (3, 3, [(3, CLOSE)], "", (0, 0, 0)),
    "no events, as from git": (2, 9, [], "", (7, 0, 0)),
    "no events, open": (2, None, [], "", (18, 0, 0)),  # 20 - 2
    "reopened": (0, 6, [(2, CLOSE), (5, REOPEN), (6, CLOSE)], "", (3, 0, 3)),  # 2 + 1
    "reopened and open": (0, None, [(2, CLOSE), (5, REOPEN)], "", (17, 0, 3)),  # 2 + 15
    "reopened after years": (-1000, 6, [(-999, CLOSE), (5, REOPEN), (6, CLOSE)], "", (2, 0, 1004)),
    "closed again for another reason": (0, 3, [(2, CLOSE), (3, CLOSE)], "", (2, 0, 1)),
    "on hold twice": (  # 10 - 2 - 1
        *(0, 10, [(1, HOLD), (3, FREE), (5, HOLD), (6, FREE), (10, CLOSE)], "", (7, 3, 0)),
    ),
    "on hold, and blocked meanwhile": (  # held from 1 to 6, not 3 + 3
        *(0, 10, [(1, HOLD), (3, BLOCK), (4, FREE), (6, UNBLOCK), (10, CLOSE)], "", (5, 5, 0)),
    ),
    "still on hold": (0, None, [(15, HOLD)], "on hold", (15, 5, 0)),
    "on hold to the closing": (0, 5, [(2, HOLD), (5, CLOSE)], "ON HOLD", (2, 3, 0)),
    "label removed after closing": (0, 5, [(2, HOLD), (5, CLOSE), (7, FREE)], "", (2, 3, 0)),
    "closed while on hold, reopened": (  # active 0-1 and 6-7, held 1-2 and 5-6
        *(0, 7, [(1, HOLD), (2, CLOSE), (5, REOPEN), (6, FREE), (7, CLOSE)], "", (2, 2, 3)),
    ),
    "label before creation": (0, 4, [(-1, HOLD), (1, FREE), (4, CLOSE)], "", (3, 1, 0)),
    "removed and added in one second": (
        *(0, 9, [(1, HOLD), (3, FREE), (3, HOLD), (5, FREE), (9, CLOSE)], "", (5, 4, 0)),
    ),
    "transferred with its history": (
        *(0, 5, [(1, HOLD), (2, FREE), (3, MOVE), (5, CLOSE)], "", (4, 1, 0)),
    ),
}
UNKNOWN: dict[str, tuple[float, float | None, list[Any], str]] = {
    "transferred without its history": (0, 5, [(3, MOVE), (5, CLOSE)], ""),
    "transferred at once": (3, 5, [(3, MOVE), (3, HOLD), (4, FREE), (5, CLOSE)], ""),
    "label was renamed when removed": (
        0,
        5,
        [(1, ("labeled", "paused")), (2, FREE), (5, CLOSE)],
        "",
    ),
    "label was deleted": (0, None, [(1, HOLD)], ""),
    "label came from nowhere": (0, None, [(1, CLOSE), (2, REOPEN)], "on hold"),
    "reopening is missing": (0, None, [(1, CLOSE)], ""),
    "closed before it was opened": (5, 4, [(4, CLOSE)], ""),
    "opened in the future": (21, None, [], ""),
    "closed in the future": (0, 21, [(21, CLOSE)], ""),
}


def history(
    start: float, end: float | None, changes: Sequence[Any], labels: str = "", number: int = 1
) -> Work:
    """An issue with its events; a change is a day, and what happens with which label."""
    state = "open" if end is None else "closed"
    issue = Issue(number, "", "", state, tuple(labels.split(", ")), "", is_pull_request=False)
    events = tuple(Event(day(at), what, label) for at, (what, label) in changes)
    return Work(issue, day(start), day(start), None if end is None else day(end), "", events)


def by_subject(measures: Measures) -> dict[str, Durations]:
    return {one.subject: one for one in measures.durations}


def measured(*works: Work) -> Measures:
    return measure(Logbook("claims", "", day(READ), works=works))


@pytest.mark.rule("C2")
@pytest.mark.parametrize("name", CASES)
def test_time_goes_where_the_events_say(name: str) -> None:
    *facts, expected = CASES[name]
    work = history(*facts)
    assert time_spent(work, day(READ)) == pytest.approx(expected)


@pytest.mark.rule("C2")
@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_left_out_and_counted(name: str) -> None:
    measures = measured(history(*UNKNOWN[name]), history(0, 4, [(4, CLOSE)]))
    assert measures.counts["unknown"] == 1
    task = by_subject(measures)["Task"]
    assert (task.done.count, task.active.total, task.age.count) == (1, 4, 0)


@pytest.mark.parametrize(
    ("start", "end", "days", "quarter"),
    [
        ("2025-12-30T10:00:00Z", "2026-01-01T00:00:00+14:00", 1, "2025 Q4"),
        ("2026-03-28T12:00:00+01:00", "2026-03-29T12:00:00+02:00", 23 / 24, "2026 Q1"),
        ("2025-10-25T12:00:00+02:00", "2025-10-26T12:00:00+01:00", 25 / 24, "2025 Q4"),
        ("2025-09-30T23:59:59-00:00", "2025-09-30T20:00:00-04:00", 1 / 86400, "2025 Q4"),
    ],
    ids=["a day ahead", "to summer time", "to winter time", "a second"],
)
def test_times_are_in_utc_and_a_day_has_24_hours(
    start: str, end: str, days: float, quarter: str
) -> None:
    opened, closed = parse_time(start), parse_time(end)
    issue = history(0, 0, []).issue
    logbook = Logbook("claims", "", day(100), works=(Work(issue, opened, opened, closed),))
    task = by_subject(measure(logbook))["Task"]
    assert task.done.median == pytest.approx(days)
    assert list(task.trend) == [quarter]


TOGGLES = st.lists(st.tuples(st.integers(-5, 40), st.sampled_from(["on hold", BLOCK[1], ""])))


@pytest.mark.rule("C2")
@given(TOGGLES, st.integers(0, 30), st.randoms(use_true_random=False))
def test_active_and_held_and_closed_are_all_the_time(
    toggles: list[tuple[int, str]], start: int, random: Any
) -> None:
    """Labels come and go, and the issue is closed and reopened, at any times and in any order."""
    state, changes, closed = dict.fromkeys(("on hold", BLOCK[1], ""), False), [], None
    for at, label in sorted(toggles):
        state[label] = not state[label]
        what = (
            ("unlabeled", "labeled")[state[label]] if label else ("reopened", "closed")[state[""]]
        )
        changes.append((at, (what, label)))
        if not label:
            closed = at if state[""] else None
    work = history(
        start, closed, changes, ", ".join(name for name in state if name and state[name])
    )
    days = time_spent(work, day(40))
    if closed is not None and closed < start:
        assert all(map(math.isnan, days))
        return
    assert min(days) >= 0
    assert sum(days) == pytest.approx((40 if closed is None else closed) - start)
    mixed = random.sample(work.events, len(work.events))
    assert time_spent(replace(work, events=tuple(mixed)), day(40)) == days
    assert sum(time_spent(work, day(40), day(start))) == 0


DAYS = st.lists(st.integers(0, 9).map(float), max_size=12)


@given(DAYS, DAYS)
def test_the_median_with_open_work_is_that_of_scipy(done: list[float], still: list[float]) -> None:
    expected = math.inf
    if done:
        curve = stats.ecdf(stats.CensoredData(uncensored=done, right=still)).sf
        below = curve.quantiles[curve.probabilities < 0.5 + 1e-9]
        expected = below[0] if len(below) else math.inf
    assert median_with_open(done, still) == expected


@pytest.mark.rule("C2")
def test_speed_by_type_with_its_trend_and_the_open_work() -> None:
    scene = Scene(read=400)  # day 0 is 5 January 2026, day 86 is 1 April
    for number, days in enumerate((1, 2, 3, 4, 10), start=1):  # median 3, quartiles 2 and 4
        scene.issue(number, "Explore", "", start=0, end=days)
    for number, days in enumerate((6, 8), start=6):  # in the second quarter: too few to show
        scene.issue(number, "explore", "", start=85, end=85 + days)
    scene.issue(8, "Explore", "", start=0, end=50, reason="not_planned")
    scene.issue(9, "Explore", "", start=0, end=50, reason="duplicate")
    for number in range(10, 19):  # nine are open, for 5 days of which 1 is on hold
        held = [Event(day(396), *HOLD), Event(day(397), *FREE)]
        scene.issue(number, "Explore", "", start=395, events=held)
    was_data = [Event(day(0), "labeled", "Data"), Event(day(1), "unlabeled", "Data")]
    scene.issue(20, "Model", "", start=0, end=30, events=was_data)  # it counts as a Model, once
    measures = measure(scene.logbook)
    explore, model = by_subject(measures)["Explore"], by_subject(measures)["Model"]
    done = explore.done  # 1, 2, 3, 4, 6, 8, 10
    assert (done.count, done.median, done.low, done.high) == (7, 4, 2.5, 7)
    first, second = explore.trend.values()
    assert list(explore.trend) == ["2026 Q1", "2026 Q2"]
    assert (first.count, first.median, first.low, first.high) == (5, 3, 2, 4)
    assert (second.count, math.isnan(second.median)) == (2, True)
    # Of 16, 3 are done by day 3 (13 of 16 are left), and 1 at day 4 (12 of 16). At day 4, the nine
    # open ones leave; the last three are done at days 6, 8 and 10: 12/16 * 2/3 is one half.
    assert explore.median_with_open == 6
    assert (explore.age.count, explore.age.median) == (9, 5)
    assert (explore.active.total, explore.held.total) == (34 + 2 * 50 + 9 * 4, 9)
    assert (model.done.median, by_subject(measures)["Data"].active.count) == (30, 0)
    assert measures.counts == {"unknown": 0, "dropped": 2, "bare": 0}
    page, pictures = measures_page(measures)
    assert "| Explore | 7 | 4 | 2.5 to 7 | 9 | 6 |" in page
    assert "<td>Explore</td><td>2026 Q2</td><td>2</td><td>not known</td>" in page
    assert "| Model | 1 | 30 | 15.0 % | 0 |" in page  # 30 of 170 + 30 days
    assert list(pictures) == ["time"], "one quarter is no trend"


@pytest.mark.rule("C2")
def test_from_ask_to_value() -> None:
    scene, value = Scene(read=100), {"Value": "Contracts for plan B were ended."}
    held = [Event(day(1), *HOLD), Event(day(3), *FREE)]
    scene.issue(1, "Ask", "promoted", start=0, events=held)  # 10 - 2 days, though it is open
    scene.issue(2, "Ask", "promoted after its closing", value, start=0, end=4)  # 4
    scene.issue(3, "Ask", "closed with value", value, start=10, end=30)  # 20
    scene.issue(4, "Ask", "closed without", {"Value": "_No response_"}, start=0, end=9)
    scene.issue(5, "Ask", "given up", value, start=0, end=9, reason="not_planned")
    scene.issue(6, "Ask", "open", value, start=90)
    for version, ask in ((1, 1), (2, 2), (3, 1)):
        scene.training(version, 5, (0.1,), ask=ask)
        scene.version(version, "1.0.0", "champion", 6, version, None)
    scene.change("promote", 1, None, 10)
    scene.change("promote", 2, 1, 11)
    scene.change("rollback", 1, 2, 12)
    scene.change("promote", 3, 1, 50)
    measures = measure(scene.logbook)
    speed = measures.durations[0]
    assert (speed.subject, speed.done.count, speed.done.median) == ("Ask to value", 3, 8)
    assert speed.median_with_open == 8  # of 8, 4, 20 and 10 that is open: 3/4 at day 4, 1/2 at 8
    assert measures.values == {"promotion": 2, "closing": 1, "none": 2}
    assert by_subject(measures)["Ask"].done.count == 3  # 2, 3 and 4


@pytest.mark.rule("C2")
def test_success_of_experiments() -> None:
    scene, labels = Scene(), ["succeeded"] * 3 + ["failed"] * 4 + ["", "", "failed, succeeded"]
    for number, label in enumerate(labels):
        reason = "not_planned" if label == "failed" else "completed"
        scene.issue(number, f"Experiment, {label}", "", end=5, reason=reason)
    scene.issue(20, "Experiment, Succeeded", "", end=None)  # its outcome counts, though it is open
    scene.issue(21, "Experiment", "", end=None)
    scene.issue(22, "Experiment, failed", "", end=5, reason="duplicate")
    scene.issue(23, "Model, succeeded", "", end=5)
    measures = measure(scene.logbook)
    assert measures.outcomes == {"succeeded": 4, "failed": 4, "closed": 3, "open": 1}
    # By hand: z = 1.96, z² / n = 0.48, so the centre is (0.5 + 0.24) / 1.48 = 0.5, and the half
    # width is √(0.48 * (0.25 + 0.12)) / 1.48 = 0.285.
    assert measures.success == pytest.approx([0.5, 0.215, 0.785], abs=0.001)
    assert "| 4 | 4 | 50.0 % | 21.5 % to 78.5 % | 3 | 1 |" in measures_page(measures)[0]


@pytest.mark.rule("C2")
def test_the_page_names_nobody_and_shows_the_figures_of_its_pictures() -> None:
    scene, names = Scene(read=300), ("Grace", "grace-hopper", "grace@example.org")
    for number in range(1, 61):
        start, end = 4 * number, None if number > 50 else 4 * number + number % 7
        text = {"Who": f"@{names[1]} <{names[2]}>"}
        scene.issue(number, "Data", f"Claims of {names[0]}", text, start=start, end=end)
    who = {"user": {"login": names[1]}, "assignees": [{"login": names[1]}]}
    for number, work in scene.works.items():
        scene.works[number] = replace(work, issue=replace(work.issue, native=who))
    hostile = 'javascript:alert(1)//"><script>'
    scene.works[60] = replace(work, issue=replace(scene.works[60].issue, url=hostile))
    measures = measure(scene.logbook)
    page, pictures = measures_page(measures)
    content = json.dumps(as_plain(measures))
    for name in (*names, "script>", "javascript"):
        assert name.lower() not in page.lower()
    assert not any(name in content for name in names)
    assert list(pictures) == ["Data", "time"]
    for name, picture in pictures.items():
        assert f"](measures/{name}.svg)" in page
        assert "prefers-color-scheme: dark" in picture
    quarters = re.findall(r"<td>Data</td><td>(.*?)</td><td>(\d+)</td><td>([\d.]+)<", page)
    assert [(name, int(number)) for name, number, _ in quarters] == [
        (name, part.count) for name, part in by_subject(measures)["Data"].trend.items()
    ]
    assert re.findall(r">(2026 Q\d)<", pictures["Data"]) == [name for name, *_ in quarters]
    oldest = f'| <a href="https&#58;//github.com/ada/claims/issues/51">#51</a> | Data | {300 - 204} | 0 |'
    assert oldest in page
    plain: Any = as_plain(measures)
    assert [one["number"] for one in plain["open"]] == list(range(51, 61))
    assert datetime.fromisoformat(plain["read"]) == day(300).astimezone(UTC)


def test_a_project_without_github_or_without_work_says_what_is_not_known() -> None:
    work = [history(0, 10, [], "Experiment"), history(15, None, [], "Model")]
    page, _ = measures_page(measured(*work))
    assert "Of 1 closed issues, nothing is recorded but when they began and ended" in page
    assert "| Experiment | 1 | 10 | not known | 0 | the same |" in page
    assert "| 0 | 0 | not known | not known | 1 | 0 |" in page
    assert "| Experiment | 1 | 10 | 66.7 % | not known |" in page  # 10 of 10 + 5 days
    assert "| 1 | Model | 5 | not known |" in page
    page, pictures = measures_page(measured())
    assert page.count("not known yet") == 2
    assert pictures == {}
    plain: Any = as_plain(measured())
    assert plain["durations"][0]["done"] == dict(count=0, total=0, median=None, low=None, high=None)
