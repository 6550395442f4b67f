"""An experiment with an outcome goes on as a model, or ends (B5, B6).

The label, `dslp handover` and `dslp start` of the Model issue do the same. Each step looks at what
is there, so all may be done again, and one that fails leaves the others in order.
"""

import os
from collections.abc import Callable
from typing import Any

from dslp.core.branch_names import Branch, branch_name
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import SENTENCE, escape_markdown, visible
from dslp.github.client import Repository
from dslp.github.closing import note_end
from dslp.github.entities import TYPES, Issue, PullRequest
from dslp.github.forms import RESULTS, form_fields, form_files, linked_numbers, read_form
from dslp.github.issue import is_from_team, update_comment
from dslp.github.new_issue import make_body
from dslp.github.policy import Facts
from dslp.github.pull_request import publish_check

MARK = "<!-- dslp: handover -->"
LONGEST = 10_000  # characters of a field that is taken over; a body has 65,536
TITLE = 200
CALL = "@\u200b"  # which calls nobody


def hand_over(
    project: Project,
    repository: Repository,
    experiment: Issue,
    model: Issue | None = None,
    branch: str = "",
) -> list[int]:
    """Do what follows from an experiment's outcome, and keep one comment on it that says it.

    One that succeeded gets a Model issue and a branch for it, to which its pull requests go. One
    that failed is closed with its pull requests, once it has a summary, and last of all. In GitHub
    Actions the tests are started, once: what GITHUB_TOKEN does starts no workflow.

    Args:
        project: names the collaboration branch, where the model's branch begins.
        repository: on GitHub.
        experiment: its issue.
        model: its Model issue; by default the one that names it, or else a new one.
        branch: the model's; by default as the Model issue is called.

    Returns:
        The number of the Model issue, if any, which is to be checked too.
    """
    number, outcomes = experiment.number, [one for one in RESULTS if experiment.labelled(one)]
    if (experiment.kind, experiment.state, len(outcomes)) != ("Experiment", "open", 1):
        say(f"#{number} is no open experiment that is labelled as succeeded or as failed")
        return []
    name, issues = repository.name, {number: experiment}
    pulls = [
        pull
        for pull in repository.open_pull_requests
        if Facts(pull, project, name, issues=issues).branch == Branch("Experiment", number)
        and not pull.is_stranger
    ]
    before = [one["body"] for one in repository.comments(number) if is_from_team(one, MARK)]
    done = "\n".join(before[:1]).splitlines()
    lines: list[str] = []
    repository.allowance -= 1  # of which one is for the comment

    def attempt(words: str, action: Callable[..., Any], *values: object) -> Any:
        try:
            result = action(*values)
        except DslpError as error:  # a person has to do it
            reason = escape_markdown(str(error).replace("@", ""), SENTENCE)
            lines.append(f"- [ ] {words}: {reason}")
            return None
        lines.append(f"- [x] {words}")
        return result

    if outcomes == ["succeeded"]:
        asks = linked_numbers(experiment, name, "Ask")[:1]
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
                changed = attempt(words, repository.update_pull_request, pull, base)
                words = f"the tests of #{pull.number} are started"
                if f"- [x] {words}" in done:
                    lines.append(f"- [x] {words}")
                elif changed and os.environ.get("GITHUB_ACTIONS"):
                    attempt(words, repository.start_tests, pull.head)
        if model and not pulls:
            lines.append(f"- [ ] open a pull request from the experiment's branch to `{branch}`")
    elif form_fields(experiment.body).get("Summary"):
        if pulls:
            attempt("their commits are kept", note_end, project, repository, pulls)
        for pull in pulls:
            if "- [ ]" not in "\n".join(lines):  # first what is kept, then the ends, this one last
                attempt(f"close #{pull.number}", _close, project, repository, pull)
        if "- [ ]" not in "\n".join(lines):
            attempt(
                "close this issue",
                repository.ask,
                "PATCH",
                f"/issues/{number}",
                {"state": "closed"},
            )
        del repository.issues_read[number]
    else:
        lines.append("- [ ] write the Summary")
    repository.allowance += 1
    heading = f"This experiment is labelled {outcomes[0]}. What follows from that:"
    update_comment(repository, number, MARK, "\n".join([MARK, heading, "", *lines]))
    say("\n".join(lines))
    return [model.number] if model else []


def _close(project: Project, repository: Repository, pull: PullRequest) -> None:
    """Close a pull request; the verdict of another one for its commit counts then."""
    repository.update_pull_request(pull, {"state": "closed"})
    if os.environ.get("GITHUB_ACTIONS"):
        for other in repository.open_pull_requests_at(pull)[:1]:
            publish_check(project, repository, other.number)


def find_model(
    project: Project, repository: Repository, experiment: Issue, ask: Issue | None
) -> Issue:
    """The Model issue of the team's or a machine's that names the experiment, or a new one.

    Of several, an open one counts first, and of these the oldest.

    The new one has the fields of its form, as far as they are known. What people wrote is quoted,
    so that it adds no field and calls nobody.
    """
    others = [
        other
        for other in repository.issues(["Model"], most=2)
        if experiment.number in linked_numbers(other, repository.name, "Experiment")
        and (repository.is_private or is_from_team(other.native, ""))
    ]
    if others:
        return min(others, key=lambda one: (one.state != "open", one.number))
    fields = {**form_fields(ask.body if ask else ""), **form_fields(experiment.body)}
    quotes = [
        "\n".join(f"> {line}" for line in fields.get(name, "").replace("@", CALL).splitlines())[
            :LONGEST
        ]
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
    has_types = (experiment.native.get("type") or {}).get("name") in TYPES
    repository.refused |= set() if has_types else {"type"}
    return repository.open_issue(visible(experiment.title, TITLE), body, ["Model"])
