"""Issues and pull requests as plain values, however they were read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEAM = ("OWNER", "MEMBER", "COLLABORATOR")  # to GitHub, of who writes
TYPES = ("Ask", "Data", "Explore", "Experiment", "Model", "Communicate")
OUTCOMES = ("succeeded", "failed", "on hold", "blocked - need access")  # labels
# The running log in an Ask's text: from its marker, with digests, to the other one. Where that is
# missing, the log ends with the last line that a machine has written.
LINES = rf"### Running log|A machine writes [^\n]*|\*\*(?:{'|'.join(TYPES)})\*\*"
LINES = rf"^(?:{LINES}|- #\d+: (?:[a-z -]+, )*(?:open|closed|not planned)\b[^\n]*)(?=\r?$)"
START, END = r"<!-- dslp: log (\w*) -->", "<!-- dslp: end of log -->"
LOG = re.compile(rf"{START}(?:(?:(?!{START}).)*?{END}|(?:\s*{LINES})*)", re.DOTALL | re.MULTILINE)
OWN = re.compile(rf"{START}|{END}|{LINES}", re.MULTILINE)


@dataclass(frozen=True)
class Issue:
    """An issue.

    Attributes:
        number: its number.
        title: its title.
        body: its text, as the form made it, without the running log.
        state: `open` or `closed`.
        labels: the names of its labels.
        url: its page on GitHub.
        is_pull_request: whether the number is that of a pull request.
        id: GitHub's own, by which issues are linked.
        native: all that GitHub says; what a server does not have, such as `type`, is missing.
    """

    number: int
    title: str
    body: str
    state: str
    labels: tuple[str, ...]
    url: str
    is_pull_request: bool
    id: int = 0
    native: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def kind(self) -> str:
        """Its type by its labels: one of TYPES, or `Task` where it has no such label (L1)."""
        return next(iter(self.kinds), "Task")

    @property
    def kinds(self) -> tuple[str, ...]:
        """All types by its labels; more than one is a mistake."""
        return tuple(kind for kind in TYPES if self.labelled(kind))

    def labelled(self, name: str) -> bool:
        """Whether it has the label, in upper or lower case."""
        return name.lower() in (label.lower() for label in self.labels)


def issue_state(issue: Issue, reason: str | None = "") -> str:
    """How an issue ended or stands: the label of its outcome, `open`, `closed` or `not planned`.

    Args:
        issue: one whose label says that it waits is only waiting while it is open.
        reason: why it was closed, as GitHub says it.
    """
    labels = OUTCOMES if issue.state == "open" else OUTCOMES[:2]
    state = "not planned" if (reason or "").lower() == "not_planned" else "closed"
    default = "open" if issue.state == "open" else state
    return next(filter(issue.labelled, labels), default)


@dataclass(frozen=True)
class PullRequest:
    """A pull request, as far as the policy needs it.

    Attributes:
        number: its number; 0 for a branch without a pull request.
        head: name of its branch.
        base: name of the branch that it is merged into.
        sha: the commit at the head of its branch.
        body: its text.
        draft: whether it is a draft, which GitHub does not merge.
        fork: whether its branch is in another repository.
        is_stranger: whether that is of somebody who is not of the team.
        state: `open` or `closed`.
        merged: whether it was merged.
    """

    number: int
    head: str
    base: str
    sha: str
    body: str = ""
    draft: bool = False
    fork: bool = False
    is_stranger: bool = False
    state: str = "open"
    merged: bool = False


def split_log(text: str) -> tuple[str, str, str]:
    """A text before its log, the log, and the text after it; of several logs, the last counts.

    Where there is no log, it is empty, and all of the text is before it. What people wrote into the
    log comes after it.
    """
    logs = list(LOG.finditer(text))
    if not logs:
        return f"{text}\n\n" if text else "", "", ""
    inside = re.sub(r"(?:\r?\n){3,}", "\n\n", OWN.sub("", logs[-1][0])).strip("\r\n")
    after = f"\n\n{inside}" * bool(inside.strip()) + text[logs[-1].end() :]
    return text[: logs[-1].start()], logs[-1][0], after


def read_issue(answer: Mapping[str, Any]) -> Issue:
    """An issue from GitHub's answer."""
    plain = {name: answer[name] for name in ("number", "title", "state")}
    labels = tuple(label["name"] for label in answer["labels"])
    is_pull, body = "pull_request" in answer, answer.get("body") or ""
    before, log, after = split_log(body)
    body = before + after if log else body
    own = {"id": answer["id"], "native": answer}
    url = answer["html_url"]
    return Issue(**plain, body=body, labels=labels, url=url, is_pull_request=is_pull, **own)


def read_pull_request(answer: Mapping[str, Any]) -> PullRequest:
    """A pull request from GitHub's answer; one of a deleted fork counts as a fork's."""
    head, base, merged = answer["head"], answer["base"], bool(answer["merged_at"])
    names = {"head": head["ref"], "base": base["ref"], "sha": head["sha"]}
    plain = {name: answer[name] for name in ("number", "state")}
    fork = (head["repo"] or {}).get("id") != base["repo"]["id"]
    plain |= {"body": answer.get("body") or "", "draft": bool(answer.get("draft"))}
    is_stranger = fork and answer.get("author_association") not in TEAM
    return PullRequest(**plain, **names, fork=fork, is_stranger=is_stranger, merged=merged)
