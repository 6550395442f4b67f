"""An experiment with an outcome goes on as a model, or ends (B5, B6).

The label, `dslp handover` and `dslp start` of the Model issue do the same. Each step looks at what
is there, so all may be done again, and one that fails leaves the others in order.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dslp.core.branch_names import branch_name
from dslp.core.console import say
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown, visible
from dslp.github.client import Repository, Unavailable
from dslp.github.entities import Issue, PullRequest, read_issue
from dslp.github.forms import RESULTS, form_fields, linked_numbers
from dslp.github.issue import check_closed, is_from_team, update_comment
from dslp.github.policy import issue_of

T = TypeVar("T")
MARK = "<!-- dslp: handover -->"
LONGEST = 10_000  # characters of a field that are taken over
TITLE = 200


@dataclass
class Tasks:
    """What was done and what a person has to do, as a list of tasks in Markdown."""

    lines: list[str] = field(default_factory=list)

    def add(self, words: str, done: bool = False) -> None:
        """Add a task, ticked if it is done."""
        self.lines.append(f"- [{'x' if done else ' '}] {words}")

    def attempt(
        self, words: str, action: Callable[..., T], *values: object, **options: str
    ) -> T | None:
        """Do something and return its result; None where GitHub refuses, and a person has to."""
        try:
            result = action(*values, **options)
        except Unavailable as error:
            self.add(f"{words}: {_silent(escape_markdown(error, SENTENCE))}")
            return None
        self.add(words, done=True)
        return result


def hand_over(
    project: Project,
    repository: Repository,
    experiment: Issue,
    model: Issue | None = None,
    branch: str = "",
) -> Issue | None:
    """Do what follows from an experiment's outcome, and keep one comment on it that says it.

    One that succeeded gets a Model issue and a branch for it, to which its pull requests go. One
    that failed is closed with its pull requests, once it has a summary. In GitHub Actions, what a
    workflow would do then is done here, since what GITHUB_TOKEN does starts none.

    Args:
        project: names the collaboration branch, where the model's branch begins.
        repository: on GitHub.
        experiment: its issue.
        model: its Model issue; by default the one that names it, or else a new one.
        branch: the model's; by default as the Model issue is called.

    Returns:
        The Model issue, which is to be checked like any that changed.
    """
    number, outcomes = experiment.number, [one for one in RESULTS if experiment.labelled(one)]
    if (experiment.kind, experiment.state, len(outcomes)) != ("Experiment", "open", 1):
        say(f"#{number} is no open experiment that is labelled as succeeded or as failed")
        return None
    tasks = Tasks()
    pulls = [p for p in repository.open_pull_requests if issue_of(p, repository.name) == number]
    if outcomes == ["failed"]:
        changed = _end(repository, tasks, pulls, experiment)
    else:
        words = "a Model issue names this one"
        model = tasks.attempt(words, _find_model, repository, experiment, model)
        changed = _begin_model(project, repository, tasks, pulls, model, branch) if model else []
    heading = f"This experiment is labelled {outcomes[0]}. What follows from that:"
    update_comment(repository, number, MARK, "\n".join([MARK, heading, "", *tasks.lines]))
    for line in tasks.lines:
        say(line)
    for pull in changed if os.environ.get("GITHUB_ACTIONS") else ():
        if pull.state == "closed":
            check_closed(project, repository, pull.number)
        elif not pull.fork:
            tasks.attempt("start the tests", repository.start_tests, pull.head)
    return model


def _end(
    repository: Repository, tasks: Tasks, pulls: Sequence[PullRequest], experiment: Issue
) -> list[PullRequest]:
    """Close a failed experiment and its pull requests; returns those that are closed."""
    if not form_fields(experiment.body).get("Summary"):
        tasks.add("write the Summary; then this is closed")
        return []
    update, closed = repository.update_pull_request, {"state": "closed"}
    answers = [tasks.attempt(f"close #{one.number}", update, one, **closed) for one in pulls]
    path = f"/issues/{experiment.number}"
    tasks.attempt("close this issue", repository.ask, "PATCH", path, closed)
    return list(filter(None, answers))


def _begin_model(
    project: Project,
    repository: Repository,
    tasks: Tasks,
    pulls: Sequence[PullRequest],
    model: Issue,
    branch: str,
) -> list[PullRequest]:
    """Make the branch of a model, and let the pull requests go there; returns those changed."""
    branch = branch or branch_name("Model", model.number, model.title)
    tasks.add(f"Model issue #{model.number} is open", done=model.state == "open")
    words = f"the branch `{branch}` begins at `{project.branch}`: `dslp start {model.number}`"
    if any(pull.base == branch for pull in pulls):
        tasks.add(words, done=True)
    else:
        tasks.attempt(words, repository.make_branch, branch, project.branch)
    changed = []
    for pull in pulls:
        words, is_model = f"#{pull.number} goes to `{branch}`", pull.base.startswith("model/")
        if is_model:
            tasks.add(words, done=pull.base == branch)
        elif after := tasks.attempt(words, repository.update_pull_request, pull, base=branch):
            changed.append(after)
    if not pulls:
        tasks.add(f"open a pull request from the experiment's branch to `{branch}`")
    return changed


def _find_model(repository: Repository, experiment: Issue, model: Issue | None) -> Issue:
    """The newest Model issue of the team's or a machine's that names the experiment, or a new one.

    The new one has the fields of its form, as far as they are known.
    """
    for answer in () if model else repository.pages("/issues", 2, state="all", labels="Model"):
        issue = read_issue(answer)
        numbers = linked_numbers(issue, repository.name, "Experiment")
        if experiment.number in numbers and is_from_team(answer, ""):
            return issue
    if model:
        return model
    asks = linked_numbers(experiment, repository.name, "Ask")[:1]
    ask = repository.find_issues(asks)[asks[0]] if asks else None
    fields = {**form_fields(ask.body if ask else ""), **form_fields(experiment.body)}
    goal, summary, runs, deployment = (
        "\n".join(f"> {line}" for line in _silent(fields.get(name, "")[:LONGEST]).splitlines())
        for name in ("Goal", "Summary", "Runs", "Solution architecture")
    )
    answers = {
        "Ask": f"#{ask.number}" if ask else "",
        "Experiment": f"#{experiment.number}",
        "What it does": "\n\n".join(filter(None, (goal, summary, runs))),
        "Deployment": deployment,
    }
    body = "\n\n".join(f"### {name}\n\n{text or '_No response_'}" for name, text in answers.items())
    content = {"title": visible(experiment.title, TITLE), "body": body, "labels": ["Model"]}
    issue = read_issue(repository.ask("POST", "/issues", content))
    repository.issues_read[issue.number], repository.comments_read[issue.number] = issue, []
    return issue


def _silent(text: str) -> str:
    """A text in which no @ calls anybody."""
    return text.replace("@", "@\u200b")
