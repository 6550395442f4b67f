"""What happened in a project, as plain values: work, pull requests, runs, versions and releases.

The values are the same wherever they come from: GitHub, git, MLflow, or an exported folder. All
times are in UTC. Texts are untrusted: they are escaped where they are shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from dslp.github.entities import Issue, PullRequest

What = Literal["opened", "closed", "reopened", "labeled", "unlabeled", "transferred"]


@dataclass(frozen=True)
class Event:
    """One thing that happened to an issue.

    Attributes:
        at: when.
        what: in GitHub's word for it.
        label: the label that was added or removed; empty where GitHub has deleted it since.
        reason: of a closing: `completed`, `not_planned` or `duplicate`.
    """

    at: datetime
    what: What
    label: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Work:
    """A piece of work: an issue, with what happened to it.

    Attributes:
        issue: as it is now. From git alone, it has the branch's type as its label, and no text.
        created: when it was opened, or its branch was begun.
        updated: when anything of it changed last.
        closed: when it was closed last; None while it is open.
        reason: why it was closed, as in `Event`.
        events: what happened, the oldest first, without the opening.
    """

    issue: Issue
    created: datetime
    updated: datetime
    closed: datetime | None = None
    reason: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Pull:
    """A pull request, or a branch of a repository without GitHub (number 0).

    Attributes:
        pull: as it is now.
        title: its title.
        url: its page; empty without GitHub.
        created: when it was opened, or the branch's first commit was made.
        closed: when it was merged or closed; None while it is open.
        commit: the commit that merged it; empty where it was not merged.
    """

    pull: PullRequest
    title: str
    url: str
    created: datetime
    closed: datetime | None = None
    commit: str = ""


class Tagged:
    """A record in MLflow, whose tags say what it was made for."""

    tags: Mapping[str, str]

    def tag(self, name: str) -> str:
        """A tag of the library without its prefix; empty where the run has none."""
        return self.tags.get(f"dslp.{name}", "")

    @property
    def issue(self) -> int | None:
        """The number of the issue that it was made for."""
        return _number(self.tag("issue"))

    @property
    def ask(self) -> int | None:
        """The number of the Ask that it serves."""
        return _number(self.tag("ask"))


@dataclass(frozen=True)
class Run(Tagged):
    """A run in MLflow.

    Attributes:
        id: MLflow's identifier.
        name: for people, such as the candidate.
        kind: the tag `dslp.kind`: experiment, trial, sweep, training, reproduction and so on.
        status: FINISHED, FAILED, KILLED or RUNNING.
        start: when it was started.
        end: when it ended; None while it runs.
        metrics: the last value of each metric, where that is finite.
        params: its parameters.
        tags: its tags (E1).
        url: its page on a tracking server; empty for a local file.
    """

    id: str
    name: str
    kind: str
    status: str
    start: datetime
    end: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class ModelVersion(Tagged):
    """A registered version of a model.

    Attributes:
        model: its name in the project.
        version: MLflow's number.
        semantic: the semantic version, if it has one.
        role: champion, challenger, former champion, taken back or superseded.
        run: the run that it was trained in.
        created: when it was registered.
        tags: its tags.
        url: its page on a tracking server; empty for a local file.
    """

    model: str
    version: str
    semantic: str
    role: str
    run: str
    created: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class ModelChange:
    """A registration, promotion or rollback that took effect (M7).

    Attributes:
        model: the model's name in the project.
        at: when.
        action: register, promote or rollback.
        version: MLflow's number of the version that was registered, or became the champion.
        replaced: the number of the challenger or champion before; empty if there was none.
        why: the reason that a person wrote.
        issue: number of the issue that it was done for.
    """

    model: str
    at: datetime
    action: Literal["register", "promote", "rollback"]
    version: str
    replaced: str = ""
    why: str = ""
    issue: int | None = None


@dataclass(frozen=True)
class Logbook:
    """Everything that the logbook is made from.

    Attributes:
        name: the project's name.
        repository: the address of the repository's page; empty where it has none.
        read: when GitHub, git and MLflow were read.
        notes: what could not be read, and what that leaves out, in sentences.
        works: the issues, by number.
        pulls: the pull requests, by number.
        runs: the runs of experiments, trainings, dataset registrations and so on, by start. A
            registered dataset version is a finished run of the kind `dataset` (D6).
        versions: the registered versions of models, by model, the newest first.
        changes: what was done with them, the oldest first. People are not named (C2).
    """

    name: str
    repository: str
    read: datetime
    notes: tuple[str, ...] = ()
    works: tuple[Work, ...] = ()
    pulls: tuple[Pull, ...] = ()
    runs: tuple[Run, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    changes: tuple[ModelChange, ...] = ()


def parse_time(text: str) -> datetime:
    """A time as GitHub and git write it (ISO 8601 with its zone), in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def last_time(times: Iterable[datetime | None]) -> datetime | None:
    """The latest of the times that are known."""
    return max((time for time in times if time), default=None)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
