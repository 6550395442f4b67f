"""An experiment with an outcome goes on as a model, or ends (B5, B6).

The label, `dslp handover` and `dslp start` of the Model issue do the same. Each step looks at what
is there, so all may be done again, and one that fails leaves the others in order.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from dslp.core.branch_names import branch_name
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown, visible
from dslp.github.client import Repository
from dslp.github.closing import check_closed
from dslp.github.entities import TYPES, Issue, PullRequest, read_issue
from dslp.github.forms import RESULTS, Form, form_fields, form_files, linked_numbers, read_form
from dslp.github.issue import check_event, is_from_team, update_comment
from dslp.github.new_issue import make_body
from dslp.github.policy import issue_of

T = TypeVar("T")
MARK = "<!-- dslp: handover -->"
LONGEST = 10_000  # characters of a field that are taken over
TITLE = 200


@dataclass
class Steps:
    """What was done and what a person has to do, as a list of tasks in Markdown."""

    lines: list[str] = field(default_factory=list)

    def add(self, words: str, done: bool = False) -> None:
        """Add a step, ticked if it is done."""
        self.lines.append(f"- [{'x' if done else ' '}] {words}")

    def take(self, words: str, action: Callable[..., T], *values: object) -> T | None:
        """Take a step and return its result; None where it fails, and a person has to take it."""
        try:
            result = action(*values)
        except DslpError as error:
            self.add(f"{words}: {escape_markdown(str(error).replace('@', ''), SENTENCE)}")
            return None
        self.add(words, done=True)
        return result


def hand_over(
    project: Project,
    repository: Repository,
    experiment: Issue,
    model: Issue | None = None,
    branch: str = "",
) -> None:
    """Do what follows from an experiment's outcome, and keep one comment on it that says it.

    One that succeeded gets a Model issue and a branch for it, to which its pull requests go. One
    that failed is closed with its pull requests, once it has a summary. What GITHUB_TOKEN does
    starts no workflow: so in GitHub Actions, what their workflows do is done here.

    Args:
        project: names the collaboration branch, where the model's branch begins.
        repository: on GitHub.
        experiment: its issue.
        model: its Model issue; by default the one that names it, or else a new one.
        branch: the model's; by default as the Model issue is called.
    """
    number, outcomes = experiment.number, [one for one in RESULTS if experiment.labelled(one)]
    pulls = [p for p in repository.open_pull_requests if issue_of(p, repository.name) == number]
    steps, changed = Steps(), []
    if (experiment.kind, experiment.state, len(outcomes)) != ("Experiment", "open", 1):
        say(f"#{number} is no open experiment that is labelled as succeeded or as failed")
    elif outcomes == ["failed"]:
        changed = _end(repository, steps, pulls, experiment)
    else:
        values = (project, repository, experiment, model)
        model = steps.take("a Model issue names this one", _find_model, *values)
        changed = _begin_model(project, repository, steps, pulls, model, branch) if model else []
    if steps.lines:
        heading = f"This experiment is labelled {outcomes[0]}. What follows from that:"
        update_comment(repository, number, MARK, "\n".join([MARK, heading, "", *steps.lines]))
    for line in steps.lines:
        say(line)
    if os.environ.get("GITHUB_ACTIONS"):
        for pull in changed if model is None else ():
            check_closed(project, repository, pull.number)
        also = [model.number] if model else []
        check_event(project, repository, number, is_type=False, also=also)
        for pull in changed if model else ():
            steps.take("the tests are started", repository.start_tests, pull.head)


def _begin_model(
    project: Project,
    repository: Repository,
    steps: Steps,
    pulls: list[PullRequest],
    model: Issue,
    branch: str,
) -> list[PullRequest]:
    """Make the branch of a model, and let the pull requests go there; returns those changed."""
    branch = branch or branch_name("Model", model.number, model.title)
    steps.add(f"Model issue #{model.number} is open", done=model.state == "open")
    words = f"the branch `{branch}` begins at `{project.branch}`: `dslp start {model.number}`"
    if any(pull.base == branch for pull in pulls):
        steps.add(words, done=True)
    else:
        steps.take(words, repository.make_branch, branch, project.branch)
    changed = []
    for pull in pulls:
        words = f"#{pull.number} goes to `{branch}`"
        if pull.base.startswith("model/"):
            steps.add(words, done=pull.base == branch)
        elif after := steps.take(words, repository.update_pull_request, pull, {"base": branch}):
            changed.append(after)
    if not pulls:
        steps.add(f"open a pull request from the experiment's branch to `{branch}`")
    return changed


def _end(
    repository: Repository, steps: Steps, pulls: list[PullRequest], experiment: Issue
) -> list[PullRequest]:
    """Close a failed experiment and its pull requests; returns those."""
    if not form_fields(experiment.body).get("Summary"):
        steps.add("write the Summary, then add the label again")
        return []
    update, closed = repository.update_pull_request, {"state": "closed"}
    answers = [steps.take(f"close #{one.number}", update, one, closed) for one in pulls]
    path = f"/issues/{experiment.number}"
    if answer := steps.take("close this issue", repository.ask, "PATCH", path, closed):
        repository.issues_read[experiment.number] = read_issue(answer)
    return list(filter(None, answers))


def _find_model(
    project: Project, repository: Repository, experiment: Issue, model: Issue | None
) -> Issue:
    """The newest Model issue of the team's or a machine's that names the experiment, or a new one.

    The new one has the fields of its form, as far as they are known.
    """
    if model:
        return model
    for answer in repository.pages("/issues", most=2, state="all", labels="Model"):
        model = read_issue(answer)
        numbers = linked_numbers(model, repository.name, "Experiment")
        if experiment.number in numbers and is_from_team(answer, ""):
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
    file = form_files(project.github).get("model")
    form = read_form(file) if file else Form("", ("Model",), (), {})
    blank = {name: {"type": "input", "value": ""} for name in answers}
    body = make_body(replace(form, fields={**blank, **form.fields}), answers)
    content = {"title": visible(experiment.title, TITLE), "body": body, "labels": form.labels}
    model = read_issue(repository.ask("POST", "/issues", content))
    has_types = (experiment.native.get("type") or {}).get("name") in TYPES
    repository.types = TYPES if has_types else ()
    repository.issues_read[model.number], repository.comments_read[model.number] = model, []
    return model


def _silent(text: str) -> str:
    """A text in which no @ calls anybody."""
    return text.replace("@", "@\u200b")
