"""What the process sees of GitHub: plain values, however they were read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TYPES = ("Ask", "Data", "Explore", "Experiment", "Model", "Communicate")


@dataclass(frozen=True)
class Issue:
    """An issue; `number`, `title`, `body`, `state` and `labels` as GitHub has them."""

    number: int
    title: str
    body: str
    state: str
    labels: tuple[str, ...]
    url: str
    is_pull_request: bool

    @property
    def kind(self) -> str:
        """The type that its labels say: one of TYPES, or `Task` where no label says one (L1)."""
        return next((kind for kind in TYPES if self.labelled(kind)), "Task")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every type that its labels say; more than one is a mistake."""
        return tuple(kind for kind in TYPES if self.labelled(kind))

    def labelled(self, name: str) -> bool:
        """Whether it has the label; GitHub does not tell upper from lower case in them."""
        return name.lower() in (label.lower() for label in self.labels)


@dataclass(frozen=True)
class PullRequest:
    """A pull request, as far as the policy looks at it.

    Attributes:
        number: its number.
        head: name of its branch.
        base: name of the branch that it would be merged into.
        sha: the commit at the head of its branch.
        author: login of who opened it.
        bot: whether that is an application.
        fork: whether the branch is in another repository.
        state: `open` or `closed`.
        merged: whether it was merged.
        files: how many files it changes, as GitHub counts them.
    """

    number: int
    head: str
    base: str
    sha: str
    author: str
    bot: bool
    fork: bool
    state: str
    merged: bool = False
    files: int = 0


def read_issue(found: Mapping[str, Any]) -> Issue:
    """An issue from GitHub's description of it."""
    return Issue(
        number=int(found["number"]),
        title=str(found["title"]),
        body=str(found.get("body") or ""),
        state=str(found["state"]),
        labels=tuple(
            str(label.get("name") or "") if isinstance(label, Mapping) else str(label)
            for label in found["labels"]
        ),
        url=str(found["html_url"]),
        is_pull_request="pull_request" in found,
    )


def read_pull_request(found: Mapping[str, Any]) -> PullRequest:
    """A pull request from GitHub's description of it; a deleted fork counts as one."""
    author, head, base = found.get("user") or {}, found["head"], found["base"]
    here = (base.get("repo") or {}).get("id")
    return PullRequest(
        number=int(found["number"]),
        head=str(head["ref"]),
        base=str(base["ref"]),
        sha=str(head["sha"]),
        author=str(author.get("login", "")),
        bot=author.get("type") == "Bot",
        fork=(head.get("repo") or {}).get("id") != here,
        state=str(found["state"]),
        merged=bool(found.get("merged_at")),
        files=int(found.get("changed_files") or 0),
    )
