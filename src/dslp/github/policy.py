"""The policy on a pull request: a verdict from plain facts, each finding with its rule."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dslp.core.branch_names import Branch, parse_branch
from dslp.core.report import Finding
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import form_links, linked_numbers

BOTS = {"dependabot": "dependabot[bot]", "renovate": "renovate[bot]"}
PLAIN = ("Ask", "Communicate", "Task")  # types whose branch has no prefix
DATASET_FILES = ("datasheet.md", "schema.yml", "suite.yml")
DATASET = re.compile(r"src/[^/]+/datasets/([^/]+)/(.+)")
TEMPLATE = "notebooks/template.ipynb"
Issues = Mapping[int, Issue | None]
STATES = ("success", "pending", "failure")  # from the mildest to the strictest
RELEASE = "development is merged to main"


@dataclass(frozen=True)
class Facts:
    """What a verdict follows from.

    Attributes:
        pull: the pull request.
        collaboration: the collaboration branch (B8).
        issues: the issues that were read, by number; None where there is no such issue.
        files: changed files and how each was changed, in GitHub's words (`added`, `removed`, ...).
        repository: `owner/name`.
        blocks: whether a pending status keeps the merge button shut.
        merged: issues of the experiments that were merged into this (model) branch.
    """

    pull: PullRequest
    collaboration: str
    issues: Issues = field(default_factory=dict)
    files: Sequence[tuple[str, str]] = ()
    repository: str = ""
    blocks: bool = True
    merged: Sequence[int] = ()


@dataclass(frozen=True)
class Verdict:
    """A status, its reason, and the findings.

    Attributes:
        state: `success`, `failure` or `pending`.
        why: the sentence beside the status.
        findings: what is wrong and what to do.
    """

    state: str
    why: str
    findings: tuple[Finding, ...] = ()


def exemption(pull: PullRequest, collaboration: str) -> str | None:
    """Why the pull request needs no issue, if it needs none."""
    if pull.number == 0 and pull.head.startswith("gh-readonly-queue/"):  # no pull request has it
        return "the pull requests in the merge queue were checked before"
    if pull.fork:
        return None
    if (pull.head, pull.base, collaboration) == ("development", "main", "development"):
        return RELEASE
    if pull.base != collaboration:
        return None
    if pull.bot and BOTS.get(pull.head.split("/")[0]) == pull.author:
        return "a dependency bot's update needs no issue"
    if re.fullmatch(r"template/[\w.-]+", pull.head):
        return "an update of the template needs no issue"
    if re.fullmatch(r"revert-\d+-.+", pull.head):
        return "a revert needs no issue of its own"
    return None


def decide(facts: Facts) -> Verdict:
    """The verdict on a pull request (B1-B8, D9, I1, I11, X2)."""
    reason = exemption(facts.pull, facts.collaboration)
    if reason:
        findings = () if reason == RELEASE else tuple(_check_notebooks(facts))
        state, why = ("failure", findings[0].problem) if findings else ("success", reason)
        return Verdict(state, why, findings)
    branch = parse_branch(facts.pull.head)
    if branch is None:
        todo = "begin from the issue: dslp start NUMBER (names are data/12-words, explore/…, "
        todo += f"experiment/…, model/…, or 12-words), from {facts.collaboration}"
        finding = Finding("B1", "the branch's name does not name its issue", todo)
        return Verdict("failure", "the branch's name is not one of the process", (finding,))
    findings = (
        *_check_issue(facts, branch),
        *_check_target(facts, branch),
        *check_links(facts.issues.get(branch.issue), facts.issues, facts.repository),
        *_check_experiments(facts, branch),
        *_check_files(facts, branch),
    )
    if branch.kind == "Explore":
        todo = "have it reviewed, write its insights into the issue, and close both"
        never = Finding("B3", "an exploration is never merged", todo, severe=not facts.blocks)
        why = "an exploration is reviewed and closed, never merged"
        return Verdict("pending" if facts.blocks else "failure", why, (never, *findings))
    if findings:
        more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
        return Verdict("failure", f"{findings[0].rule}: {findings[0].problem}{more}", findings)
    return Verdict("success", f"{branch.kind or 'issue'} #{branch.issue}: no rule is broken")


def check_links(issue: Issue | None, issues: Issues, repository: str) -> Iterator[Finding]:
    """What is missing or of the wrong type among the links of an issue (I11)."""
    if issue is None:
        return
    for link in form_links(issue.kind, issue.body, repository):
        allowed = " or ".join(link.allowed)
        if link.required and not link.numbers:
            problem = f"issue #{issue.number} names no {allowed} in the field “{link.field}”"
            todo = f"edit the issue and write its number there, such as #{max(issue.number - 1, 1)}"
            yield Finding("I11", problem, todo)
        for number in link.numbers:
            other = issues.get(number)
            if number == issue.number:
                problem = f"itself in the field “{link.field}”"
            elif other is None or other.is_pull_request:
                problem = f"#{number}, which is no issue"
            elif other.kind not in link.allowed:
                problem = f"#{number}, which is of type {other.kind}"
            else:
                continue
            todo = f"name an issue of type {allowed}"
            yield Finding("I11", f"issue #{issue.number} names {problem}", todo)


def _check_issue(facts: Facts, branch: Branch) -> Iterator[Finding]:
    issue = facts.issues.get(branch.issue)
    if issue is None or issue.is_pull_request:
        state = "is a pull request" if issue else "does not exist"
        yield Finding("I1", f"issue #{branch.issue} {state}", "open an issue and begin from it")
        return
    if issue.state != "open":
        yield Finding("I1", f"issue #{issue.number} is closed", "reopen it, or open a new one")
    if len(issue.kinds) > 1:
        problem = f"issue #{issue.number} has {len(issue.kinds)} types: {', '.join(issue.kinds)}"
        yield Finding("B1", problem, "keep the one label that names the type of the work")
    expected = (branch.kind,) if branch.kind else PLAIN
    if issue.kind not in expected:
        problem = f"the branch is for {' or '.join(expected)}, and issue #{issue.number} is of type"
        todo = "name the branch for the issue's type, or correct the issue's label"
        yield Finding("B1", f"{problem} {issue.kind}", todo)


def _check_target(facts: Facts, branch: Branch) -> Iterator[Finding]:
    base, collaboration = facts.pull.base, facts.collaboration
    if branch.kind == "Experiment" and not base.startswith("model/"):
        todo = "if it succeeded, open a Model issue and retarget this to its branch; "
        todo += "if it failed, close this"
        yield Finding("B6", "an experiment is merged into a model branch only", todo)
    elif branch.kind not in ("Experiment", "Explore") and base != collaboration:
        rule = {"Data": "B2", "Model": "B7"}.get(branch.kind, "B8")
        problem = f"the target is not {collaboration}, the collaboration branch"
        yield Finding(rule, problem, f"change the target to {collaboration}")


def _check_experiments(facts: Facts, branch: Branch) -> Iterator[Finding]:
    """An experiment merges when it succeeded; a model when all of its experiments did (B5-B7)."""
    numbers = [branch.issue] if branch.kind == "Experiment" else []
    if branch.kind == "Model":
        model = facts.issues.get(branch.issue)
        numbers = [*linked_numbers(model, facts.repository, "Experiment"), *facts.merged]
    for number in dict.fromkeys(numbers):
        experiment = facts.issues.get(number)
        if experiment is None or experiment.kind != "Experiment":
            continue  # check_links reports it
        if experiment.labelled("failed"):
            todo = "summarise it in its issue and close it; a failed experiment is not merged"
            yield Finding("B5", f"experiment #{number} failed", todo)
        elif not experiment.labelled("succeeded"):
            todo = "label its issue succeeded or failed, with a summary"
            yield Finding("B6", f"experiment #{number} has no outcome yet", todo)


def _check_notebooks(facts: Facts) -> Iterator[Finding]:
    notebooks = [
        path
        for path, change in facts.files
        if path.lower().endswith(".ipynb") and path != TEMPLATE and change != "removed"
    ]
    if notebooks and facts.pull.base == facts.collaboration:
        problem = f"notebooks would reach {facts.collaboration}: {len(notebooks)}"
        todo = "leave notebooks on an explore branch; bring their results as code or docs"
        yield Finding("X2", problem, todo)
    if facts.pull.files > len(facts.files):  # GitHub lists 3,000 at most
        yield Finding("X2", "there are too many files to check them all", "split it")


def _check_files(facts: Facts, branch: Branch) -> Iterator[Finding]:
    if branch.kind == "Explore":
        return
    yield from _check_notebooks(facts)
    datasets: dict[str, dict[str, str]] = {}
    for path, change in facts.files:
        if match := DATASET.fullmatch(path):
            datasets.setdefault(match[1], {})[match[2]] = change
    if not datasets and branch.kind == "Data":
        todo = "a data branch changes src/…/datasets/NAME/ with its files"
        yield Finding("D9", "no dataset is changed", todo)
    for name, files in sorted(datasets.items()):
        if files.get("pipeline.py") == "removed" and set(files.values()) == {"removed"}:
            continue  # the whole dataset is removed
        unchanged = "removed" if files.get("pipeline.py") == "added" else "unchanged"
        missing = [one for one in DATASET_FILES if files.get(one, unchanged) == "removed"]
        if not missing and "datasheet.md" not in files:
            missing = ["a new version in datasheet.md"]
        if missing:
            plain = re.sub(r"[^\w./-]", "?", name, flags=re.ASCII)[:80]  # anybody may have named it
            todo = "add it: a dataset is one folder of pipeline, schema, suite and datasheet"
            yield Finding("D9", f"dataset {plain} comes without {', '.join(missing)}", todo)
