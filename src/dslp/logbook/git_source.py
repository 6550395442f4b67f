"""The work of a project without GitHub, by its branches in git and the tags of its runs.

A branch has ended once the collaboration branch has its commits, or a merge brought them into a
branch of a model, or it is kept as a tag `archive/BRANCH`. One without a commit of its own looks
like one that was merged by fast-forward, as soon as the collaboration branch has gone on. Once a
branch is gone, merges with the usual subjects name it. What was squashed, or deleted, is known by
its runs alone.
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
from dslp.logbook.events import Pull, Run, Work, last_time

LOG = ["log", "--branches", "--remotes", "--tags=archive/*", "--no-show-signature", "-z"]
COMMITS = "--format=%H%x00%P%x00%at%x00%ct%x00%s"
PLACE = re.compile(r"refs/(?:heads|remotes/[^/]+|tags/(archive))/(.+)")
REFS = "--format=%(refname)%00%(objectname)%00%(*objectname)%00%(creatordate:unix)"
# Subjects of merges: of git and GitLab, of GitHub, and of Bitbucket.
MERGE = re.compile(
    r"Merge (?:remote-tracking branch '[^/']+/|branch ')([^']+)'"
    r"|Merge pull request #\d+ from [^/\s]+/(\S+)|Merged in (\S+) \(pull request"
)
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
    main, tips, archived = project.branch, list[tuple[str, str]](), list[tuple[str, str]]()
    ends = dict[str, tuple[str, str, str]]()  # time, commit of the merge, and base
    for line in (git_output(project, "for-each-ref", REFS) or "").splitlines():
        place, digest, peeled, made = line.split("\0")
        if (match := PLACE.match(place)) and match[1]:
            archived.append((match[2], peeled or digest))
            ends[match[2]] = made, "", main
        elif match:
            tips.append((match[2], digest))
    names = {digest: name for name, digest in tips if parse_branch(name)}
    merges = list[tuple[str, str, str]]()  # branch, its last commit and the merge; newest first
    for digest, (parents, *_, subject) in commits.items():
        for parent in parents.split()[1:]:
            match = MERGE.match(subject)
            name = match[match.lastindex or 0] if match else names.get(parent, "")
            merges += [(name, parent, digest)] if name else []
    # A commit is of the first branch that has it, as its first parents are: of the collaboration
    # branch, then of those that have ended.
    trunk = [tip for tip in tips if tip[0] == main]
    ended = [*((name, parent) for name, parent, _ in merges), *archived]
    owners, begun, walked = dict[str, str](), dict[str, datetime](), set[tuple[str, str]]()
    for name, tip in (*trunk, *ended, *tips):
        digest = tip
        while digest in commits and digest not in owners:
            owners[digest] = name
            parents, written, *_ = commits[digest]
            begun[name] = min(_time(written), begun.get(name, LAST))
            digest = parents.partition(" ")[0]
            walked.add((name, tip))
    on_main = [f"--merged={tip}" for _, tip in trunk] or ["--merged="]  # which git refuses
    on_main.append("--format=%(objectname)")
    merged = {*(git_output(project, "for-each-ref", *on_main) or "").split()}
    continued = {name for name, tip in walked.difference(ended) if tip not in merged}
    for name, _, digest in reversed(merges):
        base = owners.get(digest, main)
        if base == main or (base != name and base.startswith("model/")):
            ends[name] = commits[digest][2], digest, base
    for name, digest in dict([*ended[::-1], *tips]).items():
        if parse_branch(name) and digest in commits:
            parents, written, made, _ = commits[digest]
            if digest in merged and (main, digest) not in trunk and " " not in parents:
                ends.setdefault(name, (made, digest, main))
            made, merge, base = ends.get("" if name in continued else name, ("", "", main))
            closed = _time(made) if made else None
            created = min(begun.get(name, _time(written)), closed or LAST)
            state: Any = {"state": "closed" if made else "open", "merged": bool(merge)}
            pull = PullRequest(0, name, base, digest, **state)
            yield Pull(pull, _title(name), "", created, closed, merge)


def _read_works(pulls: Sequence[Pull], runs: Sequence[Run]) -> Iterator[Work]:
    """The issues that branches are named for, those of runs, and the Asks that runs serve."""
    branches, records = defaultdict[int, list[Pull]](list), defaultdict[int, list[Run]](list)
    begun, tried = defaultdict[int, list[datetime]](list), defaultdict[int, set[int]](set)
    questions = sorted(runs, key=lambda run: bool(run.tag("question")))  # that of the newest counts
    asks = {run.ask: run.tag("question") for run in questions if run.ask}
    for branch in pulls:
        number = issue_of_branch(branch.pull.head) or 0
        branches[number].append(branch)
        tried[issue_of_branch(branch.pull.base) or 0].add(number)
    for run in runs:
        begun[run.ask or 0].append(run.start)
        if number := run.issue or run.ask or 0:
            records[number].append(run)
    for number in sorted({*branches, *records, *asks}, key=lambda number: number in asks):
        pulls, runs = branches[number], records[number]
        names = [*(one.pull.head for one in pulls), *(run.tag("branch") for run in runs)]
        names = [name for name in names if issue_of_branch(name) == number]
        kind = "Model" if {run.kind for run in runs} == {"training"} else "Experiment" * bool(runs)
        kind = "Ask" if number in asks else kind
        kind = next((one.kind for one in map(parse_branch, names) if one and one.kind), kind)
        served = {run.ask for run in runs if run.ask} - {number}
        named = {"Ask": served, "Belongs to": served, "Experiment": tried[number]}
        fields = [link.field for link in LINKS.get(kind, ()) if named.get(link.field)]
        links = {field: " ".join(f"#{one}" for one in sorted(named[field])) for field in fields}
        body = "\n\n".join(f"### {field}\n\n{issues}" for field, issues in links.items())
        title = asks.get(number) or (_title(names[0]) if names else f"{kind} {number}")
        times = [*(one.created for one in pulls), *(run.start for run in runs)]
        created = min(times + begun[number])
        for ask in served:
            begun[ask].append(created)
        closed = last_time(ends) if all(ends := [one.closed for one in pulls]) else None
        is_used = any(one.pull.base.startswith("model/") for one in pulls)
        labels = tuple(filter(None, (kind, "succeeded" * (kind == "Experiment" and is_used))))
        state, reason = ("closed", "completed") if closed else ("open", "")
        issue = Issue(number, visible(title, TITLE), body, state, labels, "", False)
        yield Work(issue, created, closed or created, closed, reason)


def _title(branch: str) -> str:
    """The words in a branch's name, such as `Boosted trees`."""
    return re.sub(r"^(\w+/)?\d+-", "", branch).replace("-", " ").replace("/", " ").capitalize()


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(min(max(int(seconds or 0), 0), LAST.timestamp()), UTC)
