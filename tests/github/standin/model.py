"""What the stand-in remembers: repositories with their labels, issues, pulls, commits and statuses.

Tests build a scenario with the `add_…` methods; the routes change the same objects.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_LABELS = ("bug", "documentation", "duplicate", "enhancement", "question", "wontfix")


@dataclass(eq=False)
class Label:
    """A label: issues hold the object, so a new name reaches them all."""

    id: int
    name: str
    color: str
    description: str | None


@dataclass
class Clock:
    """The time on GitHub, where a test says one."""

    now: str = ""


@dataclass
class Comment:
    id: int
    body: str
    user: str


@dataclass(eq=False)
class Issue:
    """An issue, or what a pull request has in common with one."""

    id: int
    number: int
    title: str
    body: str | None
    user: str
    state: str = "open"
    labels: list[Label] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    pull: "Pull | None" = None
    parent: "Issue | None" = None
    blockers: list["Issue"] = field(default_factory=list)
    type: str | None = None
    events: list[tuple[str, str]] = field(default_factory=list)  # what happened, and by whom
    assignees: list[str] = field(default_factory=list)
    created: str = "2026-01-05T10:00:00Z"
    closed: str = "2026-01-19T10:00:00Z"  # if it is
    reason: str | None = None  # why it was closed, in GitHub's word for it
    clock: Clock = field(default_factory=Clock)
    updated: str = "2026-01-05T10:00:00Z"
    timeline: list[dict[str, Any]] = field(default_factory=list)  # events as GraphQL has them

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep each text of the body: GitHub has a history of edits, and the last write wins."""
        if "timeline" in vars(self) and name in ("title", "body", "state", "labels"):
            self.record(name, value)
        if name == "body":
            self.versions = [*getattr(self, "versions", []), value or ""]
            names = re.findall(r"(?<![\w/])([\w.-]+/[\w.-]+)?(?:#|\bGH-)(\d+)", value or "")
            self.mentions = {*names, *getattr(self, "mentions", ())}  # they stay, as events
        super().__setattr__(name, value)

    def record(self, name: str, value: Any) -> None:
        """Add what happens to the timeline, where a label keeps the name that it has by then."""
        at = self.clock.now or (self.closed if value == "closed" else self.created)
        self.updated, old = max(self.updated, at), getattr(self, "labels_before", [])
        if name == "labels":
            for kind, labels, others in (("Unl", old, value), ("L", value, old)):
                for one in (each for each in labels if each not in others):
                    entry = {"id": f"LA_{one.id}", "name": one.name}
                    self.happen(f"{kind}abeledEvent", at, label=entry)
            self.labels_before = list(value)  # a list may be changed in place
        if name == "state" and value != self.state:
            self.happen("ClosedEvent" if value == "closed" else "ReopenedEvent", at)
            self.closed = at if value == "closed" else self.closed

    def happen(self, kind: str, at: str, **values: Any) -> None:
        reason = {"stateReason": lambda *_: (self.reason or "").upper() or None}
        self.timeline.append({"__typename": kind, "createdAt": at, **reason, **values})


@dataclass
class Pull:
    """The half of a pull request that an issue does not have."""

    head_ref: str
    base: str
    sha: str
    source: "Repository"
    draft: bool = False
    conflicts: bool = False  # with its base: it cannot be merged
    merged_at: str | None = None
    merge_commit_sha: str | None = None
    base_sha: str | None = None  # where the base stood when it was merged


@dataclass(frozen=True)
class Commit:
    """A commit with the whole tree it stands for."""

    sha: str
    parents: tuple[str, ...]
    files: Mapping[str, str]
    number: int  # later commits have greater ones
    author: str


@dataclass
class Status:
    id: int
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: str = ""


@dataclass(eq=False)
class Repository:
    """A repository, empty but for a first commit and the labels that GitHub gives it.

    A fork has a parent, its commits, and no issues.
    """

    owner: str
    name: str
    ids: Iterator[int]  # of everything that it has; none is used twice
    private: bool = False
    is_server: bool = False  # on GitHub Enterprise Server, which has less
    types: tuple[str, ...] | None = ("Task", "Bug", "Feature")  # of issues; None for an old server
    default_branch: str = "main"
    parent: "Repository | None" = None
    id: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    gone: dict[int, str] = field(default_factory=dict)  # deleted issues, or where they are now
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    checks: dict[str, dict[str, str]] = field(default_factory=dict)  # by commit and job
    rulesets: list[dict[str, Any]] = field(default_factory=list)
    dispatches: list[dict[str, Any]] = field(default_factory=list)  # of workflows, as requested
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.id = next(self.ids)
        if self.parent:  # GitHub shares objects too
            self.commits, self.branches = self.parent.commits, dict(self.parent.branches)
            self.settings = {"has_issues": False, **self.settings}
        else:
            self.commit(self.default_branch, {"README.md": f"# {self.name}\n"})
        for name in DEFAULT_LABELS:
            self.add_label(name)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def label(self, name: str) -> Label | None:
        """The label of that name, whatever the case."""
        return next((one for one in self.labels if one.name.lower() == name.lower()), None)

    def add_label(self, name: str, color: str = "ededed", text: str | None = None) -> Label:
        self.labels.append(Label(next(self.ids), name, color, text))
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
        number = max([0, *self.issues, *self.gone]) + 1
        issue = Issue(next(self.ids), number, title, body, user or self.owner, clock=self.clock)
        issue.created = issue.updated = self.clock.now or issue.created
        issue.labels, issue.state = self.labelled(labels), state
        self.issues[number] = issue
        return issue

    def transfer(self, number: int, to: "Repository") -> Issue:
        """Move an issue to another repository."""
        old = self.issues.pop(number)
        issue = to.add_issue(old.title, old.body, (one.name for one in old.labels), old.user)
        issue.created, issue.reason, issue.state = old.created, old.reason, old.state
        issue.closed, issue.timeline = old.closed, old.timeline
        issue.happen("TransferredEvent", to.clock.now or old.updated)
        self.gone[number] = f"/repositories/{to.id}/issues/{issue.number}"
        return issue

    def delete(self, number: int) -> None:
        self.gone[number] = ""
        del self.issues[number]

    def add_comment(self, number: int, body: str, user: str) -> Comment:
        comment = Comment(next(self.ids), body, user)
        issue = self.issues[number]
        issue.comments.append(comment)
        issue.updated = max(issue.updated, self.clock.now)
        return comment

    def commit(
        self, branch: str, files: Mapping[str, str | None], author: str = "", merge: str = ""
    ) -> Commit:
        """Change files (None removes one) on a branch, which starts at the default branch."""
        parent = self.branches.get(branch) or self.branches.get(self.default_branch)
        tree = {**(self.commits[parent].files if parent else {}), **files}
        remaining = {path: text for path, text in tree.items() if text is not None}
        number = next(self.ids)
        sha = hashlib.sha1(f"{self.full_name}{number}".encode()).hexdigest()
        parents = tuple(filter(None, [parent, merge]))
        self.commits[sha] = Commit(sha, parents, remaining, number, author or self.owner)
        self.branches[branch] = sha
        return self.commits[sha]

    def fork(self, owner: str) -> "Repository":
        """The same repository at another owner, who has no rights in this one."""
        return Repository(owner, self.name, self.ids, self.private, parent=self)

    def add_pull(
        self,
        head: str,
        base: str = "",
        title: str = "",
        body: str | None = None,
        files: Mapping[str, str | None] | None = None,
        fork: "Repository | None" = None,
        user: str = "",
        draft: bool = False,
    ) -> Issue:
        """Open a pull request from a branch, which is made (with `files`) if it does not exist."""
        source = fork or self
        if files is not None or head not in source.branches:
            source.commit(head, files if files is not None else {"work.txt": head})
        issue = self.add_issue(title or head, body, user=user or source.owner)
        base, sha = base or self.default_branch, source.branches[head]
        issue.pull = Pull(head, base, sha, source, draft)
        return issue

    def head_sha(self, pull: Issue) -> str:
        """The head commit: it follows the branch while the pull request is open."""
        assert pull.pull
        if pull.state == "open":
            pull.pull.sha = pull.pull.source.branches.get(pull.pull.head_ref, pull.pull.sha)
        return pull.pull.sha
