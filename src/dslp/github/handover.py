"""An experiment with an outcome goes on as a model, or ends (B5, B6).

The label, `dslp handover` and `dslp start` of the Model issue do the same. Each step looks at what
is there, so all may be done again, and one that fails leaves the others in order.
"""

import os
from collections.abc import Callable
from typing import Any

from dslp.core.branch_names import branch_name
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown, visible
from dslp.github.client import Repository
from dslp.github.closing import check_closed
from dslp.github.entities import TYPES, Issue, PullRequest
from dslp.github.forms import RESULTS, form_fields, form_files, linked_numbers, read_form
from dslp.github.issue import check_event, is_from_team, update_comment
from dslp.github.new_issue import make_body
from dslp.github.policy import issue_of

MARK = "<!-- dslp: handover -->"
LONGEST = 10_000  # characters of a field that is taken over
TITLE = 200


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
    lines: list[str] = []
    changed: list[PullRequest | None] = []

    def attempt(words: str, action: Callable[..., Any], *values: object) -> Any:
        try:
            result = action(*values)
        except DslpError as error:  # a person has to do it
            reason = escape_markdown(str(error).replace("@", ""), SENTENCE)
            lines.append(f"- [ ] {words}: {reason}")
            return None
        lines.append(f"- [x] {words}")
        return result

    if (experiment.kind, experiment.state, len(outcomes)) != ("Experiment", "open", 1):
        say(f"#{number} is no open experiment that is labelled as succeeded or as failed")
    elif outcomes == ["succeeded"]:
        asks = linked_numbers(experiment, repository.name, "Ask")[:1]
        ask = repository.find_issue(asks[0]) if asks else None
        values = (project, repository, experiment, ask)
        model = model or attempt("a Model issue names this one", find_model, *values)
        if model:
            branch = branch or branch_name("Model", model.number, model.title)
            tick = "x" if model.state == "open" else " "
            lines.append(f"- [{tick}] #{model.number} is open: `dslp start {model.number}`")
            words = f"the branch `{branch}` begins at `{project.branch}`"
            attempt(words, repository.make_branch, branch, project.branch)
        if ask and ask.state != "open":
            lines.append(f"- [ ] reopen #{ask.number}, the Ask, or close the Model issue")
        for pull in pulls if model else ():
            if pull.base == branch or not pull.base.startswith("model/"):
                words, base = f"#{pull.number} goes to `{branch}`", {"base": branch}
                changed.append(attempt(words, repository.update_pull_request, pull, base))
        if model and not pulls:
            lines.append(f"- [ ] open a pull request from the experiment's branch to `{branch}`")
    elif form_fields(experiment.body).get("Summary"):
        closed = {"state": "closed"}
        for pull in pulls:
            words = f"close #{pull.number}"
            changed.append(attempt(words, repository.update_pull_request, pull, closed))
        attempt("close this issue", repository.ask, "PATCH", f"/issues/{number}", closed)
        del repository.issues_read[number]
    else:
        lines.append("- [ ] write the Summary, then add the label again")
    if lines:
        heading = f"This experiment is labelled {outcomes[0]}. What follows from that:"
        update_comment(repository, number, MARK, "\n".join([MARK, heading, "", *lines]))
        say("\n".join(lines))
    if os.environ.get("GITHUB_ACTIONS"):
        others = [one for one in changed if one and one not in pulls]
        for pull in others if model is None else ():
            check_closed(project, repository, pull.number)
        also = [model.number] if model else []
        check_event(project, repository, number, is_type=False, also=also)
        for pull in others if model else ():
            attempt("the tests are started", repository.start_tests, pull.head)


def find_model(
    project: Project, repository: Repository, experiment: Issue, ask: Issue | None
) -> Issue:
    """The newest Model issue of the team's or a machine's that names the experiment, or a new one.

    The new one has the fields of its form, as far as they are known. What people wrote is quoted,
    so that it adds no field and calls nobody.
    """
    for other in repository.issues(["Model"], most=2):
        numbers = linked_numbers(other, repository.name, "Experiment")
        if experiment.number in numbers and is_from_team(other.native, ""):
            return other
    fields = {**form_fields(ask.body if ask else ""), **form_fields(experiment.body)}
    quotes = [
        "\n".join(f"> {line}" for line in fields.get(name, "")[:LONGEST].splitlines())
        for name in ("Goal", "Summary", "Runs", "Solution architecture")
    ]
    answers = {
        "Ask": f"#{ask.number}" if ask else "",
        "Experiment": f"#{experiment.number}",
        "What it does": "\n\n".join(filter(None, quotes[:3])),
        "Deployment": quotes[3],
    }
    file = form_files(project.github).get("model")
    blank = {name: {"type": "input", "value": ""} for name in answers}
    body = make_body({**blank, **(read_form(file).fields if file else {})}, answers)
    body = body.replace("@", "@\u200b")  # which calls nobody
    has_types = (experiment.native.get("type") or {}).get("name") in TYPES
    repository.refused |= set() if has_types else {"type"}
    return repository.open_issue(visible(experiment.title, TITLE), body, ["Model"])
