"""The policy on a pull request: a verdict from plain facts, each finding with its rule."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dslp.core.branch_names import AGENTS, EXEMPT, KINDS, Branch, is_match, parse_branch
from dslp.core.file_rules import NOTEBOOK
from dslp.core.report import Finding, Report
from dslp.core.settings import Project
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import empty_fields, form_links, named_issues
from dslp.github.rules import broken

PLAIN = ("Ask", "Communicate", "Task")  # types whose branch has no prefix
DATASET_FILES = ("datasheet.md", "schema.yml", "suite.yml")
TEMPLATE = "notebooks/template.ipynb"
# The rule that says what an issue captures, by its type.
CAPTURES = {"Ask": "I4", "Data": "I5", "Explore": "I7", "Experiment": "I8", "Model": "I9"}
Issues = Mapping[int, Issue | None]
TARGETS = {"Data": "B2", "Model": "B7"}  # the rule that says where a branch goes, by its type
OTHER_TARGET = "the target is not {}, the collaboration branch"
STATES = ("success", "pending", "failure")  # from the mildest to the strictest
WAITING = ("B6", "D9")  # what a draft may still break


@dataclass(frozen=True)
class Facts:
    """What a verdict follows from.

    Attributes:
        pull: the pull request.
        project: whose settings name the collaboration branch (B8) and exempt branches (B1).
        repository: `owner/name`.
        default_branch: GitHub's, which the collaboration branch may be merged to (B8).
        issues: the issues that were read, by number; None where there is no such issue.
        forms: the required fields of each form, by the type of its issues.
        files: changed files and how each was changed, in GitHub's words (`added`, `removed`, ...).
        are_all_files: whether these are all of them.
        experiments: the issues of the experiments that a model's branch holds.
    """

    pull: PullRequest
    project: Project
    repository: str = ""
    default_branch: str = "main"
    issues: Issues = field(default_factory=dict)
    forms: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    files: Sequence[tuple[str, str]] = ()
    are_all_files: bool = True
    experiments: Sequence[int] = ()

    @property
    def branch(self) -> Branch | None:
        """The work that the pull request holds, by its branch's name or an agent's text."""
        number = issue_of(self.pull, self.repository)
        issue = self.issues.get(number) if number else None
        kind = issue.kind if issue and issue.kind in KINDS.values() else ""
        return parse_branch(self.pull.head) or (Branch(kind, number) if number else None)

    @property
    def is_production(self) -> bool:
        """Whether the target is what the collaboration branch is merged to (B8)."""
        base = self.pull.base
        return base in ("main", "master", self.default_branch) and base != self.project.branch


@dataclass(frozen=True)
class Verdict:
    """A status for the commit of a pull request, its reason, and the findings.

    Attributes:
        pull: the pull request.
        state: `success`, `failure` or `pending`.
        why: the sentence beside the status.
        findings: what is wrong and what to do.
    """

    pull: PullRequest
    state: str
    why: str
    findings: tuple[Finding, ...] = ()

    @property
    def report(self) -> Report:
        """The same as `--json` prints it."""
        details = {"state": self.state, "why": self.why, "commit": self.pull.sha}
        number = {"pull_request": self.pull.number or None, "target": self.pull.base}
        return Report(self.pull.head, 1, self.findings, details=details | number)


def issue_of(pull: PullRequest, repository: str) -> int | None:
    """The issue of a pull request: its branch names it, or an agent's text does (B1)."""
    if branch := parse_branch(pull.head):
        return branch.issue
    named = named_issues(pull.body, repository) if is_match(pull.head, AGENTS) else []
    return next(iter(named), None)


def exemption(facts: Facts) -> str | None:
    """Why the pull request needs no issue, if it needs none."""
    pull, collaboration = facts.pull, facts.project.branch
    if pull.fork:
        return None
    if pull.head == collaboration and facts.is_production:
        return f"{collaboration} is merged to {pull.base}"
    patterns = (*EXEMPT, *facts.project.exempt_branches)
    if parse_branch(pull.head) is None and is_match(pull.head, patterns):
        return "a branch of this name needs no issue"
    return None


def decide(facts: Facts) -> Verdict:
    """The verdict on a pull request (B1-B8, D9, I1, I4-I11, X2)."""
    pull, branch, findings = facts.pull, facts.branch, tuple(_find_broken(facts))
    if pull.draft:
        findings = tuple(
            replace(one, severe=one.severe and one.rule not in WAITING) for one in findings
        )
    wrong = [finding for finding in findings if finding.severe]
    if branch and branch.kind == "Explore":
        return Verdict(pull, "pending", findings[0].problem, findings)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        why = f"{wrong[0].rule}: {wrong[0].problem}{more}"
        return Verdict(pull, "failure", why, findings)
    if findings:
        return Verdict(pull, "pending", f"a draft: {findings[0].problem}", findings)
    work = f"{branch.kind or 'issue'} #{branch.issue}: no rule is broken" if branch else ""
    return Verdict(pull, "success", exemption(facts) or work)


def _find_broken(facts: Facts) -> Iterator[Finding]:
    pull, branch = facts.pull, facts.branch
    if exemption(facts):
        if pull.head == facts.project.branch:
            return
        if facts.is_production:
            yield broken("B8", OTHER_TARGET.format(facts.project.branch))
    elif branch is None:
        agent = is_match(pull.head, AGENTS)
        name = "text of the agent's pull request" if agent else "branch's name"
        yield broken("B1", f"the {name} does not name its issue")
        return
    else:
        if branch.kind == "Explore":
            problem = "an exploration is reviewed and closed, never merged"
            yield broken("B3", problem, severe=pull.number > 0)
        issue = facts.issues.get(branch.issue)
        yield from _check_issue(facts, branch)
        yield from check_links(issue, facts.issues, facts.repository)
        yield from check_fields(issue, facts.forms)
        yield from _check_experiments(facts, branch)
        yield from _check_datasets(facts, branch)
    paths = [path for path, change in facts.files if change != "removed" and path != TEMPLATE]
    notebooks = [path for path in paths if NOTEBOOK.search(path)]
    if notebooks and pull.base == facts.project.branch:
        yield broken("X2", f"notebooks would reach {pull.base}: {len(notebooks)}")
    if not facts.are_all_files:
        yield broken("X2", "there are too many files to check them all")


def check_links(issue: Issue | None, issues: Issues, repository: str) -> Iterator[Finding]:
    """What is missing or of the wrong type among the links of an issue (I11)."""
    if issue is None:
        return
    for link in form_links(issue.kind, issue.body, repository):
        allowed, field = " or ".join(link.allowed), f"in the field “{link.field}”"
        if link.required and not link.numbers:
            yield broken("I11", f"issue #{issue.number} names no {allowed} {field}")
        for number in link.numbers:
            other = issues.get(number)
            if number == issue.number:
                problem = "itself"
            elif other is None or other.is_pull_request:
                problem = f"#{number}, which is no issue,"
            elif other.kind not in link.allowed:
                problem = f"#{number}, which is of type {other.kind},"
            else:
                continue
            yield broken(
                "I11", f"issue #{issue.number} names {problem} {field}, which takes {allowed}"
            )


def check_fields(
    issue: Issue | None, forms: Mapping[str, Sequence[tuple[str, ...]]]
) -> Iterator[Finding]:
    """What an issue leaves empty that its next step needs (I4-I10), in a private repository too."""
    if issue and (names := empty_fields(issue, forms.get(issue.kind, ()))):
        fields = ", ".join(f"“{name}”" for name in names)
        rule = CAPTURES.get(issue.kind, "I10")
        yield broken(rule, f"issue #{issue.number} leaves empty: {fields}")


def _check_issue(facts: Facts, branch: Branch) -> Iterator[Finding]:
    """What is wrong with the issue of a branch, and with where the branch goes (B1-B8, I1)."""
    issue, base = facts.issues.get(branch.issue), facts.pull.base
    collaboration = facts.project.branch
    if issue is None or issue.is_pull_request:
        state = "is a pull request" if issue else "does not exist here, or was transferred"
        yield broken("I1", f"issue #{branch.issue} {state}")
    else:
        if issue.state != "open":
            yield broken("I1", f"issue #{issue.number} is closed")
        if len(issue.kinds) > 1:
            kinds = f"{len(issue.kinds)} types: {', '.join(issue.kinds)}"
            yield broken("B1", f"issue #{issue.number} has {kinds}")
        expected = (branch.kind,) if branch.kind else PLAIN
        if issue.kind not in expected:
            kinds = f"{' or '.join(expected)}, and issue #{issue.number} is of type {issue.kind}"
            yield broken("B1", f"the branch is for {kinds}")
    if branch.kind == "Experiment" and not base.startswith("model/"):
        yield broken("B6", "an experiment is merged into a model branch only")
    elif branch.kind not in ("Experiment", "Explore") and base != collaboration:
        yield broken(TARGETS.get(branch.kind, "B8"), OTHER_TARGET.format(collaboration))


def _check_experiments(facts: Facts, branch: Branch) -> Iterator[Finding]:
    """An experiment merges when it succeeded; a model when all of its experiments did (B5-B7)."""
    for number in [branch.issue] if branch.kind == "Experiment" else facts.experiments:
        experiment = facts.issues.get(number)
        if experiment is None or experiment.kind != "Experiment":
            continue  # check_links reports it
        if experiment.labelled("failed"):
            yield broken("B5", f"experiment #{number} failed")
        elif not experiment.labelled("succeeded"):
            yield broken("B6", f"experiment #{number} has no outcome yet")


def _check_datasets(facts: Facts, branch: Branch) -> Iterator[Finding]:
    """Datasets that do not come with all their files (D9)."""
    datasets: dict[str, dict[str, str]] = {}
    code = "" if facts.project.code == "." else f"{re.escape(facts.project.code)}/"
    package = re.escape(facts.project.package) or "[^/]+"
    pattern = re.compile(rf"(?:.+/)?{code}{package}/datasets/([^/]+)/(.+)")
    for path, change in facts.files:
        if match := pattern.fullmatch(path):
            datasets.setdefault(match[1], {})[match[2]] = change
    if branch.kind == "Data" and not datasets:
        yield broken("D9", "no dataset is changed")
    for name, files in sorted(datasets.items()):
        if files.get("pipeline.py") == "removed" and set(files.values()) == {"removed"}:
            continue  # the whole dataset is removed
        unchanged = "removed" if files.get("pipeline.py") == "added" else "unchanged"
        missing = [one for one in DATASET_FILES if files.get(one, unchanged) == "removed"]
        if not missing and "datasheet.md" not in files:
            missing = ["a new version in datasheet.md"]
        if missing:
            plain = re.sub(r"[^\w./-]", "?", name, flags=re.ASCII)[:80]  # anybody may have named it
            yield broken("D9", f"dataset {plain} comes without {', '.join(missing)}")
