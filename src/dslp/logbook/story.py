"""The way of each Ask from question to value: what followed from what, and how it ended (C1)."""

from dataclasses import dataclass
from datetime import datetime

from dslp.experiments.gains import Gain
from dslp.logbook.events import ModelChange, ModelVersion, Pull, Run, Work


@dataclass(frozen=True)
class Result:
    """What a run says of a candidate, on the Ask's metric (E3).

    Attributes:
        run: the run.
        candidate: its name for people.
        metric: the Ask's metric.
        better: lower or higher.
        value: of the metric.
        gain: over the baseline, with its 95 % interval; None for the baseline itself, and where
            no baseline was run on the same folds.
        criterion: the gain that is enough; None where the run does not say it.
        is_baseline: whether it is what the others are compared with.
        held_out: whether it is of a final training, on rows that no candidate was chosen by.
    """

    run: Run
    candidate: str
    metric: str
    better: str
    value: float
    gain: Gain | None = None
    criterion: float | None = None
    is_baseline: bool = False
    held_out: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether the gain reaches the criterion; None where one of them is not known."""
        if self.gain is None or self.criterion is None:
            return None
        return self.gain.estimate >= self.criterion


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


@dataclass(frozen=True)
class Story:
    """An Ask, and all that followed from it.

    Attributes:
        ask: the Ask.
        state: `in use` (a model of it is the champion), `answered` (closed with a value),
            `closed` (without one), `in work` (other work of it is open), `waiting` (nothing is).
        sentence: the state for a business reader, such as "In use since 3 March 2026: 8.1 % better
            than before (95 % sure: between 3.5 % and 12.7 %)."
        since: when that state began.
        steps: the Ask itself first, then the rest by start.
        changes: promotions and rollbacks of its models, the oldest first.
        way_back: the command that goes back to the champion before; empty where there is none.
    """

    ask: Work
    state: str
    sentence: str
    since: datetime
    steps: tuple[Step, ...]
    changes: tuple[ModelChange, ...] = ()
    way_back: str = ""
