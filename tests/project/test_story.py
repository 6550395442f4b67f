"""The story of the example, played once a session: what a person would look up in it."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from tests.github.standin.model import Issue
from tests.story.team import Team

pytestmark = pytest.mark.slow

PLAN, TRAIN = "the-terms-of-the-plan-alone-predict-the", "src/demo/models/claim_frequency/train.py"


def issue(team: Team, name: str) -> Issue:
    return team.repository.issues[team.facts[name]]


def labels(one: Issue) -> set[str]:
    return {label.name for label in one.labels}


def events(one: Issue) -> list[str]:
    return [str(event["__typename"]).removesuffix("Event") for event in one.timeline]


@pytest.mark.rule("G4", "I12")
def test_one_ask_is_answered_and_open_again_and_the_other_waits(story: Team) -> None:
    ask, care = issue(story, "ask"), issue(story, "care")
    assert (ask.state, care.state, labels(care)) == ("open", "open", {"Ask", "on hold"})
    assert events(ask)[-2:] == ["Closed", "Reopened"]
    assert re.search(r"### Value\n\nThe sums of all 41 .* in use: #10\.", ask.body or "")
    log = (ask.body or "").partition("### Running log")[2]
    parts = dict(re.findall(r"\*\*(\w+)\*\*\n\n((?:- .*\n)+)", log))
    kinds = ("Data", "Explore", "Experiment", "Model", "Communicate")
    assert {kind: part.count("- #") for kind, part in parts.items()} == dict(
        zip(kinds, (2, 1, 4, 3, 1), strict=True)
    )
    states = re.findall(r"- #(\d+): (succeeded|failed|open)", parts["Experiment"])
    assert states == [("8", "succeeded"), ("18", "succeeded"), ("6", "failed"), ("26", "open")]
    assert re.search(r"- #17: blocked - need access, open", care.body or "")


@pytest.mark.rule("B4", "B5", "X3")
def test_what_failed_and_what_was_explored_can_be_looked_at(story: Team) -> None:
    plan, visits = issue(story, "plan"), issue(story, "visits")
    assert (plan.state, labels(plan)) == ("closed", {"Experiment", "failed"})
    summary = (plan.body or "").partition("### Summary")[2]
    assert re.search(r"Result: 2\.\d % better .* to 4\.\d %\), and 5 % was needed", summary)
    assert "31 % of the person-years have no visit" in (visits.body or "")
    for one, kept in ((plan, TRAIN), (visits, f"notebooks/{visits.number}-visits.ipynb")):
        comment = next(each.body for each in one.comments if "unmerged" in each.body)
        tag = re.findall(r"refs/tags/(\S+)", comment)[0]
        assert story.git("rev-parse", tag) in comment
        assert story.git("ls-tree", "-r", "--name-only", tag, kept) == kept
        assert story.git("ls-files", kept) in ("", TRAIN)
    assert "def plan" in story.git("show", f"archive/experiment/6-{PLAN}:{TRAIN}")
    assert "def plan" not in story.git("show", f"main:{TRAIN}")


@pytest.mark.rule("M7")
def test_the_second_version_was_taken_back_for_a_reason(story: Team) -> None:
    history = story.person.run("model", "history", **story.env).out
    assert re.search(r"1\.1\.0 +2 +taken back +deeper", history)
    assert re.search(r"1\.0\.0 +1 +champion +boosted", history)
    lines = re.findall(r"^(\S+) .* UTC +(\w+) +(1\.\d\.0) +the team: (.*)$", history, re.M)
    actions = [(action, version) for _, action, version, _ in lines]
    assert actions[:2] == [("rollback", "1.0.0"), ("promote", "1.1.0")]
    assert actions[2:] == [("register", "1.1.0"), ("promote", "1.0.0"), ("register", "1.0.0")]
    assert lines[0][3].startswith("Contracts whose payments differ by 5 dollars")
    days = [datetime.fromisoformat(day) for day, *_ in lines]
    assert days == sorted(days, reverse=True)
    assert days[0] - days[-1] > timedelta(days=30)


@pytest.mark.rule("M10")
def test_members_that_are_not_those_of_before_led_to_a_model_issue(story: Team) -> None:
    retrain = issue(story, "retrain")
    assert (retrain.state, labels(retrain)) == ("open", {"Model"})
    assert "chronic_diseases | **moved** | drift" in (retrain.body or "")
    assert re.search(r"### Ask\n\n#1\n\n### Experiment\n\n#8\n", retrain.body or "")


@pytest.mark.rule("E1", "B10")
def test_each_run_is_of_its_day_and_of_a_clean_commit_that_git_has(story: Team) -> None:
    client = MlflowClient(f"sqlite:///{story.folder}/mlruns/mlflow.db")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    kinds = [run.data.tags["dslp.kind"] for run in runs]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        **{"dataset": 1, "experiment": 9, "training": 2}
    }
    for run in runs:
        tags, start = run.data.tags, datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        assert tags["dslp.clean"] == "true"
        committed = story.git("show", "--no-patch", "--format=%cI", tags["dslp.commit"])
        assert timedelta(0) < start - datetime.fromisoformat(committed) < timedelta(days=7)
        if number := tags.get("dslp.issue"):
            opened = datetime.fromisoformat(story.repository.issues[int(number)].created)
            assert opened < start < opened + timedelta(days=20)
    boosted = json.loads(
        story.person.run("experiment", "compare", "--issue", "8", "--json", **story.env).out
    )
    assert boosted["results"][0]["details"]["candidates"][1]["met"] is True
