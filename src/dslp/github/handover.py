"""From an experiment that succeeded to a model: its pull request goes to that branch (B6)."""

from collections.abc import Iterator

from dslp.core.branch_names import parse_branch
from dslp.github.client import Repository, Unavailable
from dslp.github.entities import Issue, read_pull_request
from dslp.github.forms import form_links


def hand_over(repository: Repository, model: Issue, branch: str, base: str) -> Iterator[str]:
    """Point the open pull requests of a model's experiments to the model's branch.

    The branch is made on GitHub from `base` where it is not there. An experiment without the label
    `succeeded` is left alone, and so is one whose pull request is in another model's branch.

    Yields:
        What was done, or what a person has to do, line by line.
    """
    named = form_links(model.kind, model.body, repository.name)
    wanted = {n for link in named if link.field == "Experiment" for n in link.numbers}
    for pull in map(read_pull_request, repository.pages("/pulls", state="open")):
        head = parse_branch(pull.head)
        if head is None or head.kind != "Experiment" or head.issue not in wanted or pull.fork:
            continue
        if pull.base.startswith("model/"):
            continue
        if not repository.issue(head.issue).labelled("succeeded"):
            yield f"#{pull.number} stays at {pull.base}: #{head.issue} is not labelled succeeded"
            continue
        try:
            repository.make_branch(branch, base)
            repository.ask("PATCH", f"/pulls/{pull.number}", {"base": branch})
        except Unavailable as error:
            yield f"#{pull.number} stays at {pull.base} ({error}); set its base to {branch}"
        else:
            yield f"#{pull.number} (experiment #{head.issue}) goes to {branch} now"
