"""A logbook made by hand: a builder, and a scene that has each ending which a reader meets."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from dslp.github.entities import Issue, PullRequest
from dslp.logbook.events import Event, Logbook, ModelChange, ModelVersion, Pull, Run, Work

REPOSITORY = "https://github.com/ada/claims"
CRITERION = {"metric": "deviance", "better": "lower", "improvement": 0.05, "by": "share"}
CRITERION |= {"baseline": "mean"}
MODEL = "claim_frequency"
DIGESTS = {"1.0.0": "aa11", "1.1.0": "bb22"}
HOSTILE = "</script><script>alert(1)</script> | `x` {{ 1 }} #3\r\n\u202egnol\u202c 🦊 " + "x" * 300


def day(number: float) -> datetime:
    """A time, in days from the morning of Monday, 5 January 2026."""
    return datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(days=number)


class Scene:
    """Builds a logbook, one thing a call; times are in days, see `day`."""

    def __init__(self, read: float = 200) -> None:
        self.read = day(read)
        self.works: dict[int, Work] = {}
        self.pulls: list[Pull] = []
        self.runs: list[Run] = []
        self.versions: list[ModelVersion] = []
        self.changes: list[ModelChange] = []

    @property
    def logbook(self) -> Logbook:
        works = tuple(self.works[number] for number in sorted(self.works))
        pulls, runs = tuple(self.pulls), tuple(sorted(self.runs, key=lambda run: run.start))
        versions = tuple(sorted(self.versions, key=lambda one: (one.model, -int(one.version))))
        changes = tuple(sorted(self.changes, key=lambda change: change.at))
        return Logbook("claims", REPOSITORY, self.read, (), works, pulls, runs, versions, changes)

    def issue(
        self,
        number: int,
        labels: str,
        title: str,
        fields: Mapping[str, str] | None = None,
        start: float = 0,
        end: float | None = None,
        reason: str = "completed",
        events: Sequence[Event] = (),
    ) -> None:
        """An issue with these labels, divided by commas, and these sections of its form."""
        body = "\n\n".join(f"### {name}\n\n{text}" for name, text in (fields or {}).items())
        names = tuple(filter(None, labels.split(", ")))
        url, state = f"{REPOSITORY}/issues/{number}", "open" if end is None else "closed"
        issue = Issue(number, title, body, state, names, url, is_pull_request=False)
        closed = None if end is None else day(end)
        if closed:
            events = [*events, Event(closed, "closed", reason=reason)]
        times = (day(start), closed or day(start), closed, reason if closed else "")
        self.works[number] = Work(issue, *times, tuple(events))

    def pull(
        self, number: int, head: str, start: float, end: float | None = None, merged: bool = False
    ) -> None:
        """A pull request; a merged one has a merge commit."""
        sha, state = f"{number:040x}", "open" if end is None else "closed"
        pull = PullRequest(number, head, "main", sha, state=state, merged=merged)
        closed, url = None if end is None else day(end), f"{REPOSITORY}/pull/{number}"
        commit = f"{number + 1000:040x}" if merged else ""
        self.pulls.append(Pull(pull, f"Pull {number}", url, day(start), closed, commit))

    def run(
        self,
        number: int,
        kind: str,
        start: float,
        *,
        issue: int | None = None,
        ask: int | None = 11,
        version: str = "1.0.0",
        metrics: Mapping[str, float] | None = None,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
        **tags: str,
    ) -> None:
        """A run on the dataset `claims`, at a commit."""
        facts = {"dataset": "claims", "dataset_version": version, "evaluate": "e1", **tags}
        facts |= {"kind": kind, "commit": f"{number + 2000:040x}", "clean": "true"}
        facts |= {"dataset_digest": DIGESTS.get(version, version), "code": "c1"}
        facts |= {name: str(n) for name, n in (("issue", issue), ("ask", ask)) if n}
        params = {"split.seed": "1", **(params or {})}
        tag = {f"dslp.{name}": value for name, value in facts.items()}
        title, end = tags.get("candidate", kind), day(start + 0.01)
        name = (f"{number:032x}", title, kind, status)
        self.runs.append(Run(*name, day(start), end, metrics or {}, params, tag))

    def dataset(self, number: int, version: str, start: float, issue: int | None = None) -> None:
        """A version of the dataset `claims`, registered after its merge."""
        facts: Any = {"rows": "20190", "suite": "holds: 27 checks"}
        self.run(number, "dataset", start, issue=issue, ask=None, version=version, **facts)

    def candidate(
        self,
        number: int,
        name: str,
        folds: Sequence[float],
        start: float,
        *,
        kind: str = "experiment",
        **values: Any,
    ) -> None:
        """A run of an experiment: the metric of each fold, as `dslp.folds` has it."""
        content = {
            **CRITERION,
            "is_baseline": name == CRITERION["baseline"],
            "folds": list(folds),
            "ratio": 0.25,
        }
        tags = {"candidate": name, "model": MODEL, "folds": json.dumps(content), **values}
        self.run(number, kind, start, metrics={"deviance": sum(folds) / len(folds)}, **tags)

    def training(self, number: int, start: float, gain: Sequence[float], **values: Any) -> None:
        """A run of a final training; the gain is the estimate and the ends of its interval."""
        content = {**CRITERION, "is_baseline": False}
        names = ("improvement", "improvement_low", "improvement_high")
        metrics = {"holdout_deviance": 2.0, "baseline_holdout_deviance": 2.2}
        metrics |= dict(zip(names, gain, strict=False))
        tags = {"candidate": "boosted", "model": MODEL, "folds": json.dumps(content), **values}
        self.run(number, "training", start, metrics=metrics, **tags)

    def version(
        self, number: int, semantic: str, role: str, start: float, run: int, issue: int | None
    ) -> None:
        """A version of the model `claim_frequency`, registered from a training."""
        tags = {"dslp.issue": str(issue)} if issue else {}
        facts = (MODEL, str(number), semantic, role, f"{run:032x}", day(start))
        self.versions.append(ModelVersion(*facts, tags))
        self.change("register", number, None, start)

    def change(
        self,
        action: Literal["register", "promote", "rollback"],
        version: int,
        replaced: int | None,
        at: float,
        why: str = "",
    ) -> None:
        """A change of the model `claim_frequency`."""
        former = str(replaced) if replaced else ""
        change = ModelChange(MODEL, day(at), action, str(version), former, why)
        self.changes.append(change)


def claims() -> Scene:
    """Asks that ended in each way: in use, not planned, answered, in work, on hold, waiting."""
    scene = Scene()
    fit, ask = (2.4, 2.5, 2.3, 2.6, 2.4), {"Ask": "#11"}
    scene.issue(11, "Ask", "Predict the visits of a year", {"Problem": "Clinics learn late."})
    data = {**ask, "Dataset": "claims", "Sources": "The RAND study", "Version": "1.0.0"}
    scene.issue(12, "Data", "Claims of the insured", data, 1, 8)
    scene.dataset(1, "1.0.0", 8)
    insights = "One in three never visits.\n\nhttps://example.org/plot"
    explored = {"Belongs to": "#12", "Insights": insights, "Next steps": "Try counts."}
    scene.issue(14, "Explore", "Who makes many visits?", explored, 8, 11)
    scene.pull(15, "explore/14-who-makes-many-visits", 9, 11)
    summary = {**ask, "Summary": "Boosted trees beat the mean of the plan."}
    scene.issue(16, "Experiment, succeeded", "Boosted trees", summary, 12, 30)
    scene.candidate(2, "mean", fit, 13, issue=16)
    scene.candidate(3, "boosted", [0.90 * x for x in fit[:2]] + [2.0, 2.4, 2.2], 14, issue=16)
    scene.candidate(4, "boosted", [0.92 * x for x in fit[:2]] + [2.1, 2.4, 2.2], 20, issue=16)
    scene.candidate(5, "linear", [2.4, 2.4, 2.4, 2.7, 2.4], 15, issue=16)
    scene.run(6, "experiment", 16, issue=16, status="FAILED", candidate="deep")
    scene.pull(20, "experiment/16-boosted-trees", 13, 30, merged=True)
    failed = {**ask, "Summary": "A neural network needs more rows than there are."}
    scene.issue(17, "Experiment, failed", "Neural network on diagnoses", failed, 14, 25)
    scene.candidate(7, "mean", fit, 15, issue=17)
    scene.candidate(8, "network", [2.9, 3.0, 2.8, 3.2, 2.9], 16, issue=17)
    scene.pull(21, "experiment/17-neural-network", 15, 25)
    model = {**ask, "Experiment": "#16", "What it does": "Says the visits expected next year."}
    scene.issue(18, "Model", "Expected visits for planners", model, 30, 40)
    scene.pull(22, "model/18-expected-visits", 31, 40, merged=True)
    scene.training(9, 38, (0.081, 0.035, 0.127), issue=18)
    scene.version(1, "1.0.0", "champion", 39, 9, 18)
    scene.change("promote", 1, None, 40, "first release")
    scene.training(10, 80, (0.095, 0.041, 0.149), issue=18, version="1.1.0")
    scene.dataset(11, "1.1.0", 78)
    scene.version(2, "1.0.1", "taken back", 81, 10, 18)
    scene.change("promote", 2, 1, 82, "retrained")
    scene.change("rollback", 1, 2, 90, "visits of children were too high")
    scene.issue(19, "Communicate", "Plan of the contracts", {**ask, "Decision": "x"}, 60, 70)

    scene.issue(31, "Ask", "Who leaves?", {"Parent Ask": "#11"}, 50)
    held = Event(day(60), "labeled", "on hold")
    scene.issue(32, "Experiment, on hold", "Survival model", {"Ask": "#31"}, 51, events=[held])
    scene.candidate(12, "cox", fit, 52, issue=32, ask=31)
    scene.issue(33, "Ask", "Which drug is cheaper?", None, 60, 70, "not_planned")
    value = {"Value": "Contracts for plan B were ended: 40,000 a year."}
    scene.issue(34, "Ask", "Is plan B used?", value, 60, 80)
    scene.issue(35, "Explore", "Use of plan B", {"Belongs to": "#34", "Insights": "No."}, 61, 64)
    scene.issue(36, "Ask", "Fraud", None, 100)
    scene.issue(37, "Data, blocked - need access", "Bills", {"Ask": "#36", "Dataset": "b"}, 101)
    scene.issue(38, "Experiment", "Outliers", {"Ask": "#36"}, 110)
    scene.candidate(13, "forest", fit, 111, issue=38, ask=36, version="1.1.0")
    scene.issue(39, "Ask", "Nobody has begun", None, 120)
    scene.issue(40, "", "Mend the readme", {"Ask": "#11"}, 5, 6)
    scene.issue(41, "Experiment", "Serves nothing", {"Ask": "#999"}, 6)
    scene.issue(51, "Ask", HOSTILE, {"Parent Ask": "#52", "Problem": HOSTILE}, 130)
    scene.issue(52, "Ask", "The circle's other half", {"Parent Ask": "#51"}, 131)
    scene.issue(53, "Explore", HOSTILE, {"Belongs to": "#54 #51", "Insights": HOSTILE}, 132)
    scene.issue(54, "Experiment", "Circle", {"Ask": "#53, #51"}, 133)
    return scene
