"""The policy on a pull request: a verdict from plain facts, each finding with its rule."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dslp.core.branch_names import Branch, parse_branch
from dslp.core.report import Finding
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import form_links

BOTS = {"dependabot": "dependabot[bot]", "renovate": "renovate[bot]"}
OTHERS = ("Ask", "Communicate", "Task")  # types whose branch has no prefix
NEEDED = ("datasheet.md", "schema.yml", "suite.yml")
DATASET = re.compile(r"src/[^/]+/datasets/([^/]+)/(.+)")
TEMPLATE = "notebooks/template.ipynb"
STRICTER = ("success", "pending", "failure")


@dataclass(frozen=True)
class Facts:
    """What a verdict follows from.

    Attributes:
        pull: the pull request.
        collaboration: the collaboration branch (B8).
        issues: the issues that were looked up by number; None where there is no such issue.
        files: changed files and how each was changed, as GitHub says it (`added`, `removed`, ...).
        repository: `owner/name`.
        blocks: whether a status that is pending keeps the merge button shut.
        merged: issues of the experiments that were merged into this (model) branch.
    """

    pull: PullRequest
    collaboration: str
    issues: Mapping[int, Issue | None] = field(default_factory=dict)
    files: Sequence[tuple[str, str]] = ()
    repository: str = ""
    blocks: bool = True
    merged: Sequence[int] = ()


@dataclass(frozen=True)
class Verdict:
    """A status, why in one sentence, and what was found.

    Attributes:
        state: `success`, `failure` or `pending`.
        why: the sentence that is shown beside the status.
        findings: what there is to do; empty where nothing is.
    """

    state: str
    why: str
    findings: tuple[Finding, ...] = ()


def exemption(pull: PullRequest, collaboration: str) -> str | None:
    """Why the policy does not look at this pull request, if it does not."""
    prefix = pull.head.split("/")[0]
    if pull.number == 0 and pull.head.startswith("gh-readonly-queue/"):  # no pull request has it
        return "what is in the merge queue was judged before"
    if pull.fork:
        return None
    if (pull.head, pull.base, collaboration) == ("development", "main", "development"):
        return "development is merged to main"
    if pull.base != collaboration:
        return None
    if BOTS.get(prefix) == pull.author and pull.bot:
        return "a dependency bot's update needs no issue"
    if re.fullmatch(r"template/[\w.-]+", pull.head):
        return "an update of the template needs no issue"
    if re.fullmatch(r"revert-\d+-.+", pull.head):
        return "a revert needs no issue of its own"
    return None


def needed_issue(pull: PullRequest, collaboration: str) -> int | None:
    """The issue that a verdict needs, if the branch names one."""
    branch = parse_branch(pull.head)
    return branch.issue if branch and not exemption(pull, collaboration) else None


def linked_issues(issue: Issue | None, repository: str) -> list[int]:
    """The issues that a verdict needs besides, by the links of the first."""
    if issue is None:
        return []
    named = [n for link in form_links(issue.kind, issue.body, repository) for n in link.numbers]
    return [number for number in dict.fromkeys(named) if number != issue.number]


def decide(facts: Facts) -> Verdict:
    """The verdict on a pull request (B1-B8, D9, I1, I11, X2)."""
    reason = exemption(facts.pull, facts.collaboration)
    if reason:  # from an issue; what must not reach the branch is looked for all the same
        found = tuple(_notebooks(facts)) if reason != "development is merged to main" else ()
        return Verdict("failure", found[0].problem, found) if found else Verdict("success", reason)
    branch = parse_branch(facts.pull.head)
    if branch is None:
        return Verdict("failure", "the branch's name is not one of the process", (_name(facts),))
    found = (
        *_issue(facts, branch),
        *_target(facts, branch),
        *_links(facts, branch),
        *_experiments(facts, branch),
        *_files(facts, branch),
    )
    if branch.kind == "Explore":
        never = Finding(
            "B3",
            "an exploration is never merged",
            "have it reviewed, write its insights into the issue, and close both",
        )
        state = "pending" if facts.blocks else "failure"
        return Verdict(
            state, "an exploration is reviewed and closed, never merged", (never, *found)
        )
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return Verdict("failure", f"{found[0].rule}: {found[0].problem}{more}", found)
    return Verdict("success", f"{branch.kind or 'issue'} #{branch.issue}: nothing against it")


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that stands where several branches share a commit."""
    return max(verdicts, key=lambda verdict: STRICTER.index(verdict.state))


def _name(facts: Facts) -> Finding:
    return Finding(
        "B1",
        "the branch's name does not tell its issue",
        f"begin from the issue: dslp start NUMBER (names are data/12-words, "
        f"explore/…, experiment/…, model/…, or 12-words), from {facts.collaboration}",
    )


def _issue(facts: Facts, branch: Branch) -> Iterator[Finding]:
    issue = facts.issues.get(branch.issue)
    if issue is None or issue.is_pull_request:
        what = "is a pull request" if issue else "does not exist"
        yield Finding("I1", f"issue #{branch.issue} {what}", "open an issue and begin from it")
        return
    if issue.state != "open":
        yield Finding(
            "I1", f"issue #{issue.number} is closed", "reopen it, or open one for what is new"
        )
    if len(issue.kinds) > 1:
        yield Finding(
            "B1",
            f"issue #{issue.number} has {len(issue.kinds)} types: {', '.join(issue.kinds)}",
            "leave the one label that says what the work is",
        )
    expected = (branch.kind,) if branch.kind else OTHERS
    if issue.kind not in expected:
        yield Finding(
            "B1",
            f"the branch is for {' or '.join(expected)}, and issue #{issue.number} is of type "
            f"{issue.kind}",
            "name the branch for the issue's type, or correct the issue's label",
        )


def _target(facts: Facts, branch: Branch) -> Iterator[Finding]:
    base = facts.pull.base
    if branch.kind == "Experiment":
        if not base.startswith("model/"):
            yield Finding(
                "B6",
                "an experiment is merged into a model branch only",
                "when it succeeded, open a Model issue and retarget this to its branch; "
                "when it failed, close this",
            )
    elif branch.kind != "Explore" and base != facts.collaboration:
        rule = {"Data": "B2", "Model": "B7"}.get(branch.kind, "B8")
        yield Finding(
            rule,
            f"the target is not {facts.collaboration}, where work comes together",
            f"change the target to {facts.collaboration}",
        )


def _links(facts: Facts, branch: Branch) -> Iterator[Finding]:
    issue = facts.issues.get(branch.issue)
    if issue is not None:
        yield from link_findings(issue, facts.issues, facts.repository)


def link_findings(
    issue: Issue, issues: Mapping[int, Issue | None], repository: str
) -> Iterator[Finding]:
    """What is missing or of the wrong type among the links of an issue (I11)."""
    for link in form_links(issue.kind, issue.body, repository):
        allowed = " or ".join(sorted(link.allowed))
        if link.required and not link.numbers:
            yield Finding(
                "I11",
                f"issue #{issue.number} names no {allowed} in the field “{link.field}”",
                f"edit the issue and write its number there, such as #{max(issue.number - 1, 1)}",
            )
        for number in link.numbers:
            other = issues.get(number) if number != issue.number else issue
            if number == issue.number:
                wrong = f"issue #{issue.number} names itself in the field “{link.field}”"
            elif other is None or other.is_pull_request:
                wrong = f"issue #{issue.number} names #{number}, which is no issue"
            elif other.kind not in link.allowed:
                wrong = f"issue #{issue.number} names #{number}, which is of type {other.kind}"
            else:
                continue
            yield Finding("I11", wrong, f"name an issue of type {allowed}")


def _experiments(facts: Facts, branch: Branch) -> Iterator[Finding]:
    """An experiment merges when it succeeded; a model when all of its experiments did (B5-B7)."""
    issue = facts.issues.get(branch.issue)
    if issue is None:
        return
    if branch.kind == "Experiment":
        experiments: list[Issue | None] = [issue]
    elif branch.kind == "Model":
        named = next(
            (each.numbers for each in form_links("Model", issue.body, facts.repository)
             if each.field == "Experiment"), ()
        )  # fmt: skip
        experiments = [facts.issues.get(n) for n in dict.fromkeys((*named, *facts.merged))]
    else:
        return
    for experiment in experiments:
        if experiment is None or experiment.kind != "Experiment":
            continue  # the links say so already
        if experiment.labelled("failed"):
            yield Finding(
                "B5",
                f"experiment #{experiment.number} failed",
                "summarise it in its issue and close it; what failed is not merged",
            )
        elif not experiment.labelled("succeeded"):
            yield Finding(
                "B6",
                f"experiment #{experiment.number} has no outcome yet",
                "label its issue succeeded or failed, with a summary",
            )


def _notebooks(facts: Facts) -> Iterator[Finding]:
    here = {path for path, change in facts.files if change != "removed"}
    notebooks = [path for path in here if path.lower().endswith(".ipynb") and path != TEMPLATE]
    if notebooks and facts.pull.base == facts.collaboration:
        yield Finding(
            "X2",
            f"notebooks would reach {facts.collaboration}: {len(notebooks)}",
            "leave notebooks on an explore branch; bring what they found as code or docs",
        )
    if facts.pull.files > len(facts.files):  # GitHub lists 3,000 at most
        yield Finding(
            "X2", "there are more files than can be looked at", "split it into smaller ones"
        )


def _files(facts: Facts, branch: Branch) -> Iterator[Finding]:
    if branch.kind == "Explore":
        return
    yield from _notebooks(facts)
    touched: dict[str, dict[str, str]] = {}
    for path, change in facts.files:
        found = DATASET.fullmatch(path)
        if found:
            touched.setdefault(found[1], {})[found[2]] = change
    if not touched and branch.kind == "Data":
        yield Finding(
            "D9", "no dataset is changed", "a data branch holds src/…/datasets/NAME/ with its files"
        )
    for name, files in sorted(touched.items()):
        if files.get("pipeline.py") == "removed" and set(files.values()) == {"removed"}:
            continue  # the dataset goes as a whole
        new = files.get("pipeline.py") == "added"
        lacking = [f for f in NEEDED if files.get(f, "removed" if new else "") == "removed"]
        if not lacking and files.get("datasheet.md") is None:
            lacking = ["a new version in datasheet.md"]
        if lacking:
            yield Finding(
                "D9",
                f"dataset {shown(name)} comes without {', '.join(lacking)}",
                "add it: a dataset is one folder of pipeline, schema, suite and datasheet",
            )


def shown(text: str, length: int = 80) -> str:
    """Hostile text made harmless for one line: printable ASCII letters and marks of a path only."""
    return re.sub(r"[^\w./-]", "?", text, flags=re.ASCII)[:length]
