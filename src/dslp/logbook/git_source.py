"""The work of a project without GitHub, by its branches in git and the tags of its runs.

A branch that was merged, or kept as a tag `archive/BRANCH`, is known when it is gone. One that was
squashed into another, or deleted, is known by its runs alone.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from dslp.core.branch_names import issue_of_branch, parse_branch
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.text import visible
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import LINKS
from dslp.logbook.events import Event, Pull, Run, Work, last_time

LOG = ["log", "--branches", "--remotes", "--tags=archive/*", "--no-show-signature", "-z"]
COMMITS = "--format=%H%x00%P%x00%at%x00%ct%x00%s"
REFS = "--format=%(refname)%00%(objectname)%00%(*objectname)%00%(creatordate:unix)"
# Subjects of merges: of git and GitLab, of GitHub, and of Bitbucket.
MERGE = re.compile(
    r"Merge (?:remote-tracking branch '[^/']+/|branch ')([^']+)'"
    r"|Merge pull request #\d+ from [^/\s]+/(\S+)|Merged in (\S+) \(pull request"
)
OPEN = ("", "", "")  # time, merge commit and base of a branch that has not ended
LAST = datetime(2100, 1, 1, tzinfo=UTC)  # who commits chooses the time
TITLE = 200


def read_git(project: Project, runs: Sequence[Run]) -> tuple[tuple[Work, ...], tuple[Pull, ...]]:
    """The issues by number, and a pull request of number 0 for each branch, by its name.

    An issue is what branches are named for, and runs. It has no text but the links that follow from
    merges and from tags of runs. What has no branch is open, an Ask too.
    """
    pulls = tuple(sorted(_read_branches(project), key=lambda one: one.pull.head))
    works = sorted(_read_works(pulls, runs), key=lambda one: one.issue.number)
    return tuple(works), pulls


def _read_branches(project: Project) -> Iterator[Pull]:
    """What became of each branch that is named for an issue."""
    fields = iter((git_output(project, *LOG, COMMITS) or "").split("\0"))
    commits = {digest: rest for digest, *rest in zip(*[fields] * 5, strict=False)}
    tips, archived = list[tuple[str, str]](), dict[str, tuple[str, str]]()
    for line in (git_output(project, "for-each-ref", REFS) or "").splitlines():
        place, digest, peeled, made = line.split("\0")
        _, kind, name = place.split("/", 2)
        if kind == "tags" and name.startswith("archive/"):
            archived[name.removeprefix("archive/")] = (peeled or digest, made)
        elif kind in ("heads", "remotes"):
            tips.append((name if kind == "heads" else name.partition("/")[2], digest))
    owners, begun, heads = dict[str, str](), dict[str, datetime](), dict[str, str]()

    def walk(name: str, digest: str) -> bool:
        """Give a branch this commit and those before it, down to one that has a branch."""
        first, _ = "", heads.setdefault(name, digest)
        while digest in commits and digest not in owners:
            owners[digest], first = name, digest
            digest = commits[digest][0].partition(" ")[0]
        if first:
            written = _time(commits[first][1])
            begun[name] = min(written, begun.get(name, written))
        return bool(first)

    for name, digest in tips:
        if name == project.branch:
            walk(name, digest)
    merges = list[tuple[str, str]]()  # the newest first
    for digest, (parents, *_, subject) in commits.items():
        if " " in parents and (match := MERGE.match(subject)):
            merges.append((match[match.lastindex or 0], digest))
            walk(merges[-1][0], parents.split()[1])
    for name, (digest, _) in archived.items():
        walk(name, digest)
    continued = {name for name, digest in tips if walk(name, digest)}
    ends = {name: (made, "", project.branch) for name, (_, made) in archived.items()}
    for name, digest in reversed(merges):
        base = owners.get(digest, project.branch)
        if base == project.branch or (base != name and base.startswith("model/")):
            ends[name] = commits[digest][2], digest, base
    for name, head in (heads | dict(tips)).items():
        if parse_branch(name) and head in commits:
            made, merge, base = ends.get(name, OPEN) if name not in continued else OPEN
            closed = _time(made) if made else None
            created = min(begun.get(name, _time(commits[head][1])), closed or LAST)
            state: Any = {"state": "closed" if made else "open", "merged": bool(merge)}
            pull = PullRequest(0, name, base or project.branch, head, **state)
            yield Pull(pull, _title(name), "", created, closed, merge)


def _read_works(pulls: Sequence[Pull], runs: Sequence[Run]) -> Iterator[Work]:
    """The issues that branches are named for, those of runs, and the Asks that runs serve."""
    branches, records = defaultdict[int, list[Pull]](list), defaultdict[int, list[Run]](list)
    asks, candidates = dict[int, str](), dict[tuple[str, str], int]()
    begun, tried = defaultdict[int, list[datetime]](list), defaultdict[int, set[int]](set)
    for one in pulls:
        number, base = issue_of_branch(one.pull.head) or 0, issue_of_branch(one.pull.base)
        branches[number].append(one)
        tried[base or 0].add(number)
    for run in runs:
        key = run.tag("model"), run.tag("candidate")
        if run.ask:
            asks[run.ask] = run.tag("question") or asks.get(run.ask, "")
            begun[run.ask].append(run.start)
        if run.issue and run.kind == "experiment":
            candidates[key] = run.issue
        elif run.issue and run.kind == "training" and key in candidates:
            tried[run.issue].add(candidates[key])
        records[run.issue or run.ask or 0].append(run)
    records.pop(0, None)
    for number in sorted({*branches, *records, *asks}, key=lambda one: one in asks):
        own, done = branches[number], records[number]
        names = [*(one.pull.head for one in own), *(run.tag("branch") for run in done)]
        names = [name for name in names if issue_of_branch(name) == number]
        kind = "Model" if {run.kind for run in done} == {"training"} else "Experiment" * bool(done)
        kind = "Ask" if number in asks else kind
        kind = next((one.kind for one in map(parse_branch, names) if one and one.kind), kind)
        served = {run.ask for run in done if run.ask} - {number}
        named = {"Ask": served, "Belongs to": served, "Experiment": tried[number]}
        fields = [link.field for link in LINKS.get(kind, ()) if named.get(link.field)]
        links = [(field, " ".join(f"#{one}" for one in sorted(named[field]))) for field in fields]
        body = "\n\n".join(f"### {field}\n\n{numbers}" for field, numbers in links)
        title = asks.get(number) or (_title(names[0]) if names else f"{kind} {number}")
        times = [*(one.created for one in own), *(run.start for run in done)]
        created = min(times + begun[number])
        for ask in served:
            begun[ask].append(created)
        ends = [one.closed for one in own]
        closed = last_time(ends) if all(ends) else None
        succeeded = kind == "Experiment" and any(one.pull.base.startswith("model/") for one in own)
        labels = tuple(filter(None, (kind, "succeeded" * succeeded)))
        state, reason = ("closed", "completed") if closed else ("open", "")
        issue = Issue(number, visible(title, TITLE), body, state, labels, "", False)
        events = (Event(closed, "closed", reason=reason),) if closed else ()
        updated = last_time([created, closed, *times, *(run.end for run in done)]) or created
        yield Work(issue, created, updated, closed, reason, events)


def _title(branch: str) -> str:
    """The words in a branch's name, such as `Boosted trees`."""
    return re.sub(r"^(\w+/)?\d+-", "", branch).replace("-", " ").replace("/", " ").capitalize()


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(min(max(int(seconds or 0), 0), LAST.timestamp()), UTC)
