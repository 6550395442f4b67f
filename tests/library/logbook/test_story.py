"""Each Ask's way from question to value, from a logbook made by hand: who serves whom, and ends."""

import json
import math
import shlex
import sys
from collections import Counter
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Any

import pytest
from dslp.logbook import story as module
from dslp.logbook.events import Event, Logbook
from dslp.logbook.export import to_json
from dslp.logbook.measures import measure
from dslp.logbook.results import read_results
from dslp.logbook.story import Step, Story, build_stories, stories_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.library.logbook.scene import HOSTILE, MODEL, Scene, claims, day

FIT = (2.4, 2.5, 2.3, 2.6, 2.4)  # of the baseline, as in the scene


@pytest.fixture(scope="module")
def stories() -> dict[int, Story]:
    return {story.ask.issue.number: story for story in build_stories(claims().logbook)}


def steps(story: Story) -> dict[str, Step]:
    return {step.key: step for step in story.steps}


@pytest.mark.rule("C1")
@pytest.mark.parametrize(
    ("ask", "state", "since", "sentence"),
    [
        (31, "waiting", 60, "Waiting since 6 March 2026: Survival model (#32) is on hold."),
        (33, "closed", 70, "Closed on 16 March 2026 without a value: not planned."),
        (34, "answered", 80, "Answered on 26 March 2026: Contracts for plan B were ended: 40,000"),
        (
            36,
            "in work",
            110,
            "In work since 25 April 2026 (12 weeks): Outliers (#38); Bills (#37) waits for access.",
        ),
        (39, "waiting", 120, "Waiting since 5 May 2026: nothing has begun."),
        (
            51,
            "in work",
            131,
            "In work since 16 May 2026 (9 weeks): The circle's other half (#52) an",
        ),
        (
            *(11, "in use", 90),
            "In use since 5 April 2026, when version 1.0.1 was taken back: 8.1 % better than the "
            "baseline (95 % sure: between 3.5 and 12.7 % better); the goal of 5.0 % is "
            "probably reached.",
        ),
    ],
)
def test_the_state_of_an_ask_is_one_sentence_for_a_business_reader(
    stories: dict[int, Story], ask: int, state: str, since: float, sentence: str
) -> None:
    story = stories[ask]
    assert (story.state, story.since) == (state, day(since))
    assert story.sentence.startswith(sentence)
    assert story.sentence.isprintable()


def test_why_work_ended_or_waits_is_said() -> None:
    scene = Scene(read=20)
    scene.issue(1, "Ask", "A", None, 0, 9, "duplicate")
    scene.issue(2, "Experiment, failed", "B", {"Ask": "#1"}, 1, 5)
    scene.issue(3, "Ask", "C")
    scene.issue(4, "Experiment, failed", "D", {"Ask": "3"}, 1, 5)
    scene.issue(7, "Ask", "G", None, -1)
    scene.version(1, "1.0.0", "challenger", 4, 1, issue=7)
    scene.issue(5, "Ask", "E", None, 2)
    scene.issue(6, "Model", "F", {"Ask": "#5"}, 3)
    sentences = [story.sentence for story in build_stories(scene.logbook)]
    assert sentences == [
        "In work since 8 January 2026 (2 weeks): F (#6).",
        "Waiting since 10 January 2026: the last work was D (#4), failed.",
        f"Waiting since 9 January 2026: {MODEL} 1.0.0 waits for its promotion.",
        "Closed on 14 January 2026 without a value: a duplicate; experiments: 1 failed.",
    ]


def test_the_sentence_of_an_open_ask_says_what_was_before_and_what_waits() -> None:
    """Reopened with its answer, on hold itself, taken back, replaced clocks, labels in capitals."""
    scene, value = Scene(read=100), {"Value": "Plan B was ended."}
    held = Event(day(20), "labeled", "On Hold")
    turns = [Event(day(50), "closed"), Event(day(60), "reopened")]
    scene.issue(1, "Ask", "A", value, 1, events=turns)
    scene.issue(2, "Explore", "B", {"Belongs to": "#1"}, 2, 30)
    scene.issue(3, "Ask, ON HOLD", "C", None, 3, events=[held])
    scene.issue(4, "Experiment", "D", {"Ask": "#3"}, 4)
    scene.issue(5, "Ask", "E", None, 5)
    scene.issue(6, "Experiment", "F", {"Ask": "#5"}, 102)  # its clock is ahead
    scene.issue(7, "Ask", "G", None, 7)
    for number, role in ((1, "champion"), (2, "taken back"), (3, "challenger")):
        scene.training(number, number, (0.1, 0.05, 0.15), ask=9 if number == 1 else 7)
        scene.version(number, f"{number}.0.0", role, number, number, None)
        scene.change("promote", number, number - 1 or None, 10 * number) if number < 3 else None
    scene.change("rollback", 1, 2, 40, "too high")
    scene.issue(8, "Model", "H", {"Ask": "#7"}, 70)
    scene.issue(9, "Ask", "I", None, 0, 50)
    scene.issue(10, "Model", "Retraining", {"Ask": "#9"}, 70)
    stories = {story.ask.issue.number: story for story in build_stories(scene.logbook)}
    gain = "10.0 % better than the baseline (95 % sure: between 5.0 and 15.0 % better); the goal of"
    assert {number: story.sentence for number, story in stories.items()} == {
        1: "Waiting since 6 March 2026: the last work was B (#2), closed. Reopened on 6 March "
        "2026; the answer until then: Plan B was ended.",
        3: "Waiting since 25 January 2026: C (#3) is on hold.",
        5: "In work since 17 April 2026 (0 days): F (#6).",
        7: f"In work again since 16 March 2026 (4 weeks): H (#8); {MODEL} 3.0.0 waits for its "
        f"promotion. In use from 25 January 2026 to 14 February 2026: {gain} 5.0 % is "
        "reached. Taken back for version 1.0.0.",
        9: f"In use since 14 February 2026, when version 2.0.0 was taken back: {gain} 5.0 % is "
        "reached. In work again since 16 March 2026 (4 weeks): Retraining (#10).",
    }
    assert (stories[9].state, stories[7].state) == ("in use", "in work")
    texts = [one.text for story in stories.values() for one in story.steps if one.version]
    assert [text for text in texts if "too high" in text] == [
        "Taken back for version 1.0.0 on 14 February 2026. too high"
    ]


def test_a_pull_request_belongs_to_the_issue_that_it_names_and_is_of_the_team() -> None:
    scene = Scene()
    scene.issue(1, "Ask", "A")
    for number, head in enumerate(("claude/trees", "experiment/2-x", "experiment/2-evil"), start=3):
        scene.pull(number, head, 1)
    changes: list[Any] = [{"body": "Closes #2"}, {"fork": True}, {"is_stranger": True}]
    pairs = zip(scene.pulls, changes, strict=True)
    scene.pulls = [replace(one, pull=replace(one.pull, **change)) for one, change in pairs]
    scene.issue(2, "Experiment", "B", {"Ask": "#1"})
    (story,) = build_stories(scene.logbook)
    assert [one.pull.number for one in steps(story)["issue-2"].pulls] == [3, 4]


def test_of_a_text_of_a_megabyte_only_the_beginning_is_read_and_kept() -> None:
    scene = Scene()
    scene.issue(1, "Ask", "A")
    scene.issue(2, "Experiment", "B", {"Ask": "#1", "Summary": "#1 " * 350_000})
    (story,) = build_stories(scene.logbook)
    assert list(steps(story)) == ["issue-1", "issue-2"]
    assert len(repr(story)) < 80_000


def test_each_step_follows_from_what_it_was_made_of(stories: dict[int, Story]) -> None:
    """No line is drawn where a longer way says the same."""
    assert {key: step.after for key, step in steps(stories[11]).items()} == {
        "issue-11": (),
        "issue-12": ("issue-11",),
        "data-claims-1-0-0": ("issue-12",),
        "issue-14": ("issue-12",),
        "issue-16": ("data-claims-1-0-0",),
        "issue-17": ("data-claims-1-0-0",),
        "issue-18": ("issue-16",),
        "model-claim_frequency-1": ("issue-18",),
        "issue-19": ("issue-11",),
        "issue-31": ("issue-11",),
        "data-claims-1-1-0": ("issue-11",),
        "model-claim_frequency-2": ("data-claims-1-1-0", "issue-18"),
    }
    assert {key: step.after for key, step in steps(stories[36]).items()} == {
        "issue-36": (),
        "issue-37": ("issue-36",),
        "data-claims-1-1-0": ("issue-36",),  # the other Ask's, which its runs used
        "issue-38": ("data-claims-1-1-0",),
    }
    assert (stories[31].parents, "issue-32" in steps(stories[11])) == ((11,), False)
    assert steps(stories[51])["issue-53"].after == ("issue-54",), "of the circle, one side"
    assert [one.issue.number for one in module.work_without_ask(claims().logbook)] == [41, 40]


def test_a_step_has_its_state_its_words_and_its_records(stories: dict[int, Story]) -> None:
    parts = steps(stories[11])
    states = [parts[f"issue-{number}"].state for number in (11, 12, 16, 17)]
    assert states == ["open", "closed", "succeeded", "failed"]
    assert steps(stories[36])["issue-37"].state == "blocked - need access"
    assert parts["issue-14"].text.endswith("\n\nhttps://example.org/plot\n\nTry counts.")
    assert [pull.pull.number for pull in parts["issue-16"].pulls] == [20]
    version = parts["model-claim_frequency-2"]
    assert (version.state, version.end) == ("taken back", day(90))
    assert version.text.startswith("Taken back for version 1.0.0 on 5 April 2026. visits of chi")
    assert len(steps(stories[51])["issue-53"].text) <= 4_002
    every = [run.id for step in parts.values() for run in step.runs]
    assert len(set(every)) == len(every) == 11, "each run is in one step"


@pytest.mark.rule("E2", "E3")
def test_results_come_from_the_records_of_the_runs_alone(stories: dict[int, Story]) -> None:
    baseline, boosted, linear = steps(stories[11])["issue-16"].results
    assert (baseline.candidate, baseline.is_baseline, baseline.gain) == ("mean", True, None)
    assert boosted.run.id.endswith("4"), "the newest run of a candidate counts"
    assert boosted.gain
    assert (str(boosted.gain), boosted.gain.interval) == ("+8.1 %", "+7.4 to +8.8 %")
    assert (boosted.is_met, linear.is_met) == (True, False)
    assert len(steps(stories[11])["issue-16"].runs) == 5, "the others are kept"
    (trained,) = steps(stories[11])["model-claim_frequency-1"].results
    assert (trained.held_out, trained.value, trained.criterion) == (True, 2.0, 0.05)


def test_only_what_was_fitted_on_the_same_folds_is_compared() -> None:
    scene = Scene()
    scene.issue(1, "Ask", "A")
    scene.issue(2, "Experiment", "B", {"Ask": "#1"})
    scene.candidate(1, "mean", FIT, 1, issue=2)
    others: list[Any] = [{"version": "1.1.0"}, {"evaluate": "e2"}, {"model": "other"}, {"ask": 3}]
    others += [{"params": {"split.seed": "2"}}]
    for number, values in enumerate(others, start=2):
        scene.candidate(number, f"n{number}", FIT, number, **{"issue": 2, **values})
    scene.candidate(7, "short", FIT[:4], 7, issue=2)
    record = json.loads(scene.runs[0].tag("folds")) | {"is_baseline": False}
    terms: list[dict[str, str]] = [{"metric": "mae"}, {"better": "higher"}, {"by": "difference"}]
    for number, term in enumerate(terms, start=30):
        tag = json.dumps(record | term)
        scene.run(number, "experiment", 8, issue=2, candidate=str(number), model=MODEL, folds=tag)
    scene.candidate(20, "infinite", [float("nan")] * 5, 11, issue=2)
    scene.candidate(21, "tree 3", [2.0, 2.1, 1.9, 2.2, 2.0], 12, issue=2, kind="trial")
    scene.candidate(22, "tree 4", FIT, 12, issue=2, kind="trial")
    sweep = {"trials": 8.0, "failed": 1.0}
    scene.run(23, "sweep", 12, issue=2, metrics=sweep, best=f"{21:032x}", model=MODEL)
    (story,) = build_stories(scene.logbook)
    results = {one.candidate: one for one in steps(story)["issue-2"].results}
    assert list(results)[:2] == ["mean", "tree 3"]
    assert {name for name, one in results.items() if one.gain} == {"tree 3"}
    assert len(results) == 11
    assert "the best of 7 trials, so its gain is optimistic" in results["tree 3"].sentence


FOLDS = st.lists(st.floats(), min_size=3, max_size=3)
PLAIN = st.none() | st.booleans() | st.floats() | st.integers(-(10**400)) | st.text(max_size=3)
VALUES = FOLDS | st.recursive(PLAIN, st.lists, max_leaves=9)
TERMS = ("metric", "better", "by", "improvement", "is_baseline", "folds", "ratio")


@given(FOLDS, st.sampled_from(TERMS), VALUES, st.booleans())
@example([1, 1, 1], "ratio", -5, False)
@example([1, 1, 1], "folds", "[" * 3000, True)
def test_a_tag_that_anybody_may_write_is_a_result_or_none(
    folds: list[float], name: str, value: Any, is_text: bool
) -> None:
    scene = Scene()
    scene.candidate(1, "mean", folds, 1)
    content = json.loads(scene.runs[0].tag("folds"))
    changed = value if is_text else {**content, "is_baseline": False, name: value}
    tag = value if is_text and isinstance(value, str) else json.dumps(changed)
    for number, kind in ((2, "experiment"), (3, "training")):
        metrics = {"holdout_deviance": 1.0, "improvement": 0.1}
        scene.run(number, kind, 2, candidate="b", model=MODEL, folds=tag, metrics=metrics)
    for result in read_results(scene.runs, {}):
        assert result.sentence.isprintable()
        assert not math.isnan(result.value)


def test_the_way_back_is_a_command_that_goes_back() -> None:
    scene = Scene()
    scene.issue(1, "Ask", "A")
    for number, role in ((1, "former champion"), (2, "champion"), (3, "taken back")):
        scene.training(number, number, (0.1,), ask=1)
        scene.version(number, f"{number}.0.0", role, number + 0.1, number, 1)
        scene.change("promote", number, number - 1 or None, number + 0.2)
    (story,) = build_stories(replace(scene.logbook, changes=scene.logbook.changes[:4]))
    assert (story.way_back, story.model) == (f"uv run dslp model rollback {MODEL}", MODEL)
    assert "95 % sure: not known" in story.sentence
    scene.change("rollback", 2, 3, 9)
    (story,) = build_stories(scene.logbook)
    assert story.way_back == f"uv run dslp model rollback {MODEL} --to 1.0.0"
    assert [change.action for change in story.changes] == ["promote"] * 3 + ["rollback"]
    hostile = [replace(one, semantic="1.0.0; rm -rf ~\x1b[31m") for one in scene.logbook.versions]
    (story,) = build_stories(replace(scene.logbook, versions=tuple(hostile)))
    assert shlex.split(story.way_back)[-1].startswith("1.0.0; rm -rf ~")
    assert (story.way_back + story.sentence).isprintable()


@pytest.mark.rule("C1", "C2")
def test_an_ask_had_its_value_also_when_its_model_was_replaced_by_that_of_another() -> None:
    """The page and the measures say the same, whatever names the Ask."""
    scene = Scene()
    scene.issue(1, "Ask", "A", None, 0, 50)
    scene.issue(2, "Ask", "B")
    scene.issue(3, "Ask", "C")
    scene.issue(4, "Model", "M", {"Ask": "#2 #3"}, 1)
    scene.training(1, 5, (0.1, 0.05, 0.15), ask=1)
    scene.training(2, 6, (-0.1, -0.15, -0.05), ask=None)
    scene.version(1, "1.0.0", "former champion", 6, 1, None)
    scene.version(2, "2.0.0", "champion", 7, 2, 4)  # its Model issue alone names the Asks
    scene.change("promote", 1, None, 10)
    scene.change("promote", 2, 1, 60)
    stories = build_stories(scene.logbook)
    assert [(s.ask.issue.number, s.state, s.value_at, s.since) for s in stories] == [
        (2, "in use", day(60), day(60)),
        (3, "in use", day(60), day(60)),
        (1, "answered", day(10), day(60)),
    ]
    assert stories[2].sentence == (
        "In use from 15 January 2026 to 6 March 2026: 10.0 % better than the baseline (95 % sure: "
        "between 5.0 and 15.0 % better); the goal of 5.0 % is reached. Replaced by version 2.0.0."
    )
    assert "10.0 % worse than the baseline (95 % sure: between 5.0 and 15.0 % worse)" in (
        stories[0].sentence
    )
    assert measure(scene.logbook, stories).values == {"promotion": 3, "closing": 0, "none": 0}


KINDS = ("Ask", "Data", "Explore", "Experiment", "Model", "Communicate", "Task")
FIELDS = {"Ask": "Parent Ask", "Explore": "Belongs to", "Task": "Ask"}
ISSUE = st.tuples(st.sampled_from(KINDS), st.sets(st.integers(1, 9), max_size=3))


@settings(max_examples=150, deadline=None)
@given(st.lists(ISSUE, max_size=9))
def test_each_issue_is_in_the_stories_that_it_serves_and_no_other(
    issues: list[tuple[str, set[int]]],
) -> None:
    scene, kinds, named = Scene(), dict[int, str](), dict[int, set[int]]()
    for number, (kind, numbers) in enumerate(issues, start=1):
        text = " ".join(f"#{one}" for one in numbers)
        scene.issue(number, kind.replace("Task", ""), HOSTILE, {FIELDS.get(kind, "Ask"): text})
        kinds[number], named[number] = kind, set() if kind == "Task" else numbers - {number}
    for story in build_stories(scene.logbook):
        ask, parts = story.ask.issue.number, steps(story)
        near = {n for n in kinds if ask in named[n] and kinds[n] != "Ask"}
        expected = {n for n in kinds if ask in named[n]}
        expected |= {n for n in kinds if kinds[n] != "Ask" and named[n] & near}
        assert parts.keys() == {f"issue-{n}" for n in expected | {ask}}
        order = TopologicalSorter({key: step.after for key, step in parts.items()})
        assert {*order.static_order()} == parts.keys(), "an error if there is a circle"
        assert [key for key, step in parts.items() if not step.after] == [f"issue-{ask}"]


def calls(logbook: Logbook) -> int:
    """How many functions of Python it takes."""
    events = Counter[str]()
    sys.setprofile(lambda frame, event, argument: events.update([event]))
    build_stories(logbook)
    sys.setprofile(None)
    return events["call"]


@pytest.mark.parametrize("asks", [1, 0.1], ids=["one Ask", "one Ask of ten issues"])
def test_ten_times_the_issues_are_ten_times_the_work(asks: float) -> None:
    counts = []
    for size in (60, 600):
        scene, ask = Scene(), 1
        for number in range(1, size + 1):
            ask = ask if asks == 1 else (number - 1) // 10 * 10 + 1
            scene.issue(number, "Ask" if number == ask else "Experiment", "A", {"Ask": f"#{ask}"})
            scene.candidate(number, "mean", FIT, number, issue=number, ask=ask)
            scene.version(number, "1.0.0", "superseded", number, number, number)
        counts.append(calls(scene.logbook))
    assert counts[1] < 11 * counts[0]


@pytest.mark.rule("C1", "X3")
def test_scripts_and_agents_read_what_was_tried(stories: dict[int, Story]) -> None:
    """Documented names, open values, no NaN, no text of an issue, and nobody's name."""
    plain = json.loads(to_json(stories[11]))
    parts = {step["key"]: step for step in plain["steps"]}
    ask = plain["ask"]["issue"]
    assert (ask["number"], "body" in ask, "native" in ask) == (11, False, False)
    assert parts["issue-17"]["state"] == "failed"
    (first, second) = parts["issue-17"]["results"]
    assert (first["candidate"], second["candidate"], second["is_met"]) == ("mean", "network", False)
    assert second["gain"]["estimate"] < -0.2
    assert [run["id"] for run in parts["issue-17"]["runs"]] == [first["run"], second["run"]]
    assert parts["issue-16"]["pulls"][0]["commit"] == f"{1020:040x}"
    assert parts["model-claim_frequency-1"]["version"]["semantic"] == "1.0.0"
    for number, asks in {31: [31], 14: [11], 40: []}.items():
        assert [one.ask.issue.number for one in stories_of(stories.values(), number)] == asks
