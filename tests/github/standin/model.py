"""What the stand-in remembers: repositories with their labels, issues, pulls, commits and statuses.

Tests build a scenario with the `add_…` methods; the routes change the same objects.
"""

import datetime as dt
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_LABELS = ("bug", "documentation", "duplicate", "enhancement", "question", "wontfix")


class Clock:
    """A clock that advances one second a reading, and ids that are never used twice."""

    def __init__(self) -> None:
        self.time = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
        self.ids = itertools.count(4_000_001)  # unlike any number of an issue

    def now(self) -> str:
        """The next moment, as GitHub writes it."""
        self.time += dt.timedelta(seconds=1)
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(eq=False)
class Label:
    """A label: issues hold the object, so a new name reaches them all."""

    id: int
    name: str
    color: str
    description: str | None
    default: bool = False


@dataclass
class Comment:
    """A comment on an issue or a pull request."""

    id: int
    body: str
    user: str
    created_at: str
    updated_at: str


@dataclass(eq=False)
class Issue:
    """An issue, or what a pull request has in common with one."""

    id: int
    number: int
    title: str
    body: str | None
    user: str
    created_at: str
    updated_at: str
    state: str = "open"
    state_reason: str | None = None
    closed_at: str | None = None
    labels: list[Label] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    pull: "Pull | None" = None

    def touch(self, clock: Clock, state: str | None = None, reason: str | None = None) -> None:
        """Note a change, which may open or close it."""
        self.updated_at = clock.now()
        if state and state != self.state:
            self.state = state
            self.closed_at = self.updated_at if state == "closed" else None
            default = "completed" if state == "closed" else "reopened"
            self.state_reason = None if self.pull else reason or default


@dataclass
class Pull:
    """The half of a pull request that an issue does not have."""

    head_ref: str
    base: str
    sha: str
    source: "Repository"
    draft: bool = False
    merged_at: str | None = None
    merge_commit_sha: str | None = None
    merged_by: str | None = None
    base_sha: str | None = None  # where the base stood when it was merged


@dataclass(frozen=True)
class Commit:
    """A commit with the whole tree it stands for."""

    sha: str
    message: str
    parents: tuple[str, ...]
    files: Mapping[str, str]
    date: str
    author: str


@dataclass
class Status:
    """A commit status."""

    id: int
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: str
    created_at: str


@dataclass(eq=False)
class Repository:
    """A repository, empty but for a first commit and the labels that GitHub gives it."""

    owner: str
    name: str
    clock: Clock
    private: bool = False
    paid: bool = False  # whether the owner's plan brings rulesets to private repositories
    default_branch: str = "main"
    parent: "Repository | None" = None
    id: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    collaborators: dict[str, str] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    rulesets: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = next(self.clock.ids)
        self.collaborators[self.owner] = "admin"
        if not self.parent:
            self.commit(self.default_branch, {"README.md": f"# {self.name}\n"}, "First commit")
        for name in DEFAULT_LABELS:
            self.add_label(name, default=True)

    @property
    def full_name(self) -> str:
        """The name with its owner."""
        return f"{self.owner}/{self.name}"

    def label(self, name: str) -> Label | None:
        """The label of that name, whatever the case."""
        return next((one for one in self.labels if one.name.lower() == name.lower()), None)

    def add_label(
        self, name: str, color: str = "ededed", text: str | None = None, default: bool = False
    ) -> Label:
        """Put a label into the repository."""
        self.labels.append(Label(next(self.clock.ids), name, color, text, default))
        return self.labels[-1]

    def labelled(self, names: Iterable[str]) -> list[Label]:
        """The labels of those names, once each; those that do not exist are made."""
        labels = {name.lower(): self.label(name) or self.add_label(name) for name in names}
        return list(labels.values())

    def add_issue(
        self,
        title: str,
        body: str | None = None,
        labels: Iterable[str] = (),
        user: str = "",
        state: str = "open",
    ) -> Issue:
        """Open an issue; pull requests share its numbers."""
        number, created = max(self.issues, default=0) + 1, self.clock.now()
        identity = next(self.clock.ids)
        issue = Issue(identity, number, title, body, user or self.owner, created, created)
        issue.labels = self.labelled(labels)
        issue.touch(self.clock, state)
        self.issues[number] = issue
        return issue

    def add_comment(self, number: int, body: str, user: str = "") -> Comment:
        """Comment on an issue or a pull request."""
        created = self.clock.now()
        comment = Comment(next(self.clock.ids), body, user or self.owner, created, created)
        self.issues[number].comments.append(comment)
        return comment

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = "Work",
        author: str = "",
        merge: str | None = None,
    ) -> Commit:
        """Change files (None removes one) on a branch, which starts at the default branch."""
        parent = self.branches.get(branch) or self.branches.get(self.default_branch)
        tree = {**(self.commits[parent].files if parent else {}), **files}
        remaining = {path: text for path, text in tree.items() if text is not None}
        parents = tuple(filter(None, [parent, merge]))
        sha = hashlib.sha1(f"{self.full_name}{next(self.clock.ids)}".encode()).hexdigest()
        commit = Commit(sha, message, parents, remaining, self.clock.now(), author or self.owner)
        self.commits[sha] = commit
        self.branches[branch] = sha
        return commit

    def fork(self, owner: str) -> "Repository":
        """The same repository at another owner, who has no rights in this one."""
        fork = Repository(owner, self.name, self.clock, self.private, parent=self)
        fork.commits, fork.branches = self.commits, dict(self.branches)  # GitHub shares objects too
        fork.default_branch = self.default_branch
        return fork

    def add_pull(
        self,
        head: str,
        base: str = "",
        title: str = "",
        body: str | None = None,
        labels: Iterable[str] = (),
        files: Mapping[str, str | None] | None = None,
        fork: "Repository | None" = None,
        user: str = "",
        draft: bool = False,
    ) -> Issue:
        """Open a pull request from a branch, which is made (with `files`) if it does not exist."""
        source = fork or self
        if files is not None or head not in source.branches:
            source.commit(head, files if files is not None else {"work.txt": head}, f"On {head}")
        issue = self.add_issue(title or head, body, labels, user or source.owner)
        base, sha = base or self.default_branch, source.branches[head]
        issue.pull = Pull(head, base, sha, source, draft)
        return issue

    def head_sha(self, pull: Issue) -> str:
        """The head commit: it follows the branch while the pull request is open."""
        assert pull.pull
        if pull.state == "open":
            pull.pull.sha = pull.pull.source.branches.get(pull.pull.head_ref, pull.pull.sha)
        return pull.pull.sha
