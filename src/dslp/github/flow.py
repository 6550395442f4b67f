"""How work goes on by itself: an experiment to its model, a release to its issue, a retraining.

Nothing here decides: issues and pull requests are for people to review, and are opened once.
"""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from dslp.core.branch_names import parse_branch, slug
from dslp.core.errors import DslpError
from dslp.core.files import read_text
from dslp.core.semver import parse_version
from dslp.core.settings import Project
from dslp.github.client import Repository, Unavailable
from dslp.github.entities import Issue
from dslp.github.forms import linked_numbers
from dslp.github.issue import check_issue, is_from_team, update_comment
from dslp.github.policy import issue_of
from dslp.github.pull_request import check_pull_request, publish

PARAMS = re.compile(r"src/\w+/models/(\w+)/params\.yml")
LONGEST = 60_000  # characters of a comment; GitHub takes some more


def hand_over(repository: Repository, model: Issue, branch: str, base: str) -> Iterator[str]:
    """Retarget the open pull requests of a model's experiments to the model's branch (B6).

    The branch is made on GitHub from `base` if it does not exist. An experiment without the label
    `succeeded`, and one whose pull request goes to another model's branch, are left alone.

    Yields:
        What was done, or what a person has to do, line by line.
    """
    experiments = linked_numbers(model, repository.name, "Experiment")
    for pull in repository.open_pull_requests:
        number = issue_of(pull, repository.name)
        if number not in experiments or pull.base.startswith("model/"):
            continue
        if not repository.issue(number).labelled("succeeded"):
            yield f"#{pull.number} stays at {pull.base}: #{number} is not labelled succeeded"
            continue
        try:
            repository.make_branch(branch, base)
            repository.ask("PATCH", f"/pulls/{pull.number}", {"base": branch})
        except Unavailable as error:
            yield f"#{pull.number} stays at {pull.base} ({error}); set its base to {branch}"
        else:
            yield f"#{pull.number} (experiment #{number}) is retargeted to {branch}"


def announce_release(repository: Repository, folder: Path, issue: int) -> Iterator[str]:
    """Comment on an issue the text of each file, once a release (M8, L5)."""
    for file in sorted(folder.glob("*.md")):
        text = read_text(file)[:LONGEST]
        update_comment(repository, issue, text.split("\n", 1)[0], text)
        yield f"#{issue}: {file.stem}"


def released_issue(repository: Repository, commit: str) -> int | None:
    """The Model issue whose branch was merged as this commit."""
    for pull in repository.pull_requests_of(commit):
        number = issue_of(pull, repository.name)
        if pull.merged and number:
            work = parse_branch(pull.head) or repository.find_issues([number])[number]
            if work is not None and work.kind == "Model":
                return number
    return None


def propose_retraining(project: Project, repository: Repository, file: Path) -> Iterator[str]:
    """Ask for a retraining: one Model issue, and one pull request with the newest dataset version.

    What is open already is left as it is. Where Actions may not open pull requests, the branch is
    made, and the issue says where a person opens it. What GITHUB_TOKEN opens starts no workflow:
    the issue and the pull request are checked here, and the tests are started.

    Args:
        project: whose collaboration branch models are merged into.
        repository: on GitHub.
        file: what `dslp model watch` wrote.

    Yields:
        What was done, line by line.

    Raises:
        DslpError: the file names no model of this project.
    """
    facts = json.loads(read_text(file))
    model = PARAMS.fullmatch(facts["params"])
    if model is None or model[1] != facts["model"]:
        raise DslpError(f"{file} names no model of this project: {facts['params']!r:.80}")
    name, dataset, current = facts["model"], facts["dataset"], facts["stated"]
    mark = f"<!-- dslp: retrain {name} -->"
    newer = parse_version(facts["newest"]) > parse_version(current)
    issues = repository.pages("/issues", state="open", labels="Model")
    ours = [one for one in issues if "pull_request" not in one and is_from_team(one, mark)]
    number = ours[0]["number"] if ours else _open_issue(repository, mark, facts, newer)
    yield f"{name}: issue #{number} is {'open already' if ours else 'opened'}"
    for finding in () if ours else check_issue(project, repository, number):
        yield f"{name}: {finding.rule}: {finding.problem}"
    ending = f"-retrain-{slug(name)}"
    for pull in repository.open_pull_requests:
        if pull.head.startswith("model/") and pull.head.endswith(ending) and not pull.fork:
            yield f"{name}: pull request #{pull.number} is open already"
            return
    if not newer:
        yield f"{name}: there is no version of {dataset} after {current}"
        return
    branch = f"model/{number}{ending}"
    repository.make_branch(branch, project.branch)
    _commit_version(repository, branch, facts)
    opened = _open_pull_request(repository, project.branch, branch, number, facts)
    if opened is None:
        yield f"{name}: {branch} is pushed; #{number} says where to open it"
        return
    yield f"{name}: pull request #{opened} is opened"
    check = check_pull_request(project, repository, opened)
    yield f"#{opened}: {check.verdict.state}: {check.verdict.why}"
    try:
        publish(repository, check)
        repository.ask("POST", "/actions/workflows/tests.yml/dispatches", {"ref": branch})
    except Unavailable as error:  # an App may have no right to, but what it opens starts workflows
        yield f"#{opened} is open, but its checks are not all started: {error}"


def _open_issue(repository: Repository, mark: str, facts: Mapping[str, Any], newer: bool) -> int:
    """Open the issue, with the fields of the form of a Model issue."""
    experiments: list[int] = []
    if facts["issue"]:  # the one that the champion was trained for
        issue = repository.find_issues([facts["issue"]])[facts["issue"]]
        experiments = linked_numbers(issue, repository.name, "Experiment")
        if issue is not None and issue.kind == "Experiment":
            experiments = [issue.number]
    model, dataset, current = facts["model"], facts["dataset"], facts["stated"]
    change = f"Its pull request raises {dataset} from {current} to {facts['newest']}."
    if not newer:
        change = f"{dataset} has no version after {current}: first open a Data issue for one."
    sections = {
        "Ask": f"#{facts['ask']}",
        "Experiment": ", ".join(f"#{number}" for number in experiments) or "_No response_",
        "What it does": f"Whether `{model}` is to be trained again. {change}",
        "Deployment": "As before: a merge trains a challenger, the label Deploy promotes it.",
    }
    lines = [mark, "The monitor wrote this; people decide.", "", facts["report"][:LONGEST], ""]
    lines += [f"### {heading}\n\n{text}\n" for heading, text in sections.items()]
    title = f"Retrain {model}: {', '.join(facts['moved'])} moved"[:200]
    body = {"title": title, "body": "\n".join(lines), "labels": ["Model"]}
    return int(repository.ask("POST", "/issues", body)["number"])


def _commit_version(repository: Repository, branch: str, facts: Mapping[str, Any]) -> None:
    """Raise the dataset's version in `params.yml` on the branch, unless that is done."""
    path = f"/contents/{quote(facts['params'])}"
    file = repository.ask("GET", f"{path}?ref={quote(branch, safe='')}")
    old = base64.b64decode(file["content"]).decode()
    new = replace_version(old, facts["newest"])
    if new != old:
        change = {
            "message": f"{facts['model']}: {facts['dataset']} {facts['newest']}",
            "content": base64.b64encode(new.encode()).decode(),
            "sha": file["sha"],
            "branch": branch,
        }
        repository.ask("PUT", path, change)


def replace_version(text: str, version: str) -> str:
    """`params.yml` with another version of the dataset; all other text is unchanged.

    Raises:
        DslpError: it has no `dataset.version`.
    """
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for name in ("dataset", "version"):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == name), None)
    if not isinstance(node, yaml.ScalarNode):
        raise DslpError("params.yml has no dataset.version")
    return text[: node.start_mark.index] + version + text[node.end_mark.index :]


def _open_pull_request(
    repository: Repository, collaboration: str, branch: str, issue: int, facts: Mapping[str, Any]
) -> int | None:
    """Open the pull request; where that is not allowed, the issue says where a person does."""
    body = {
        "title": f"Retrain {facts['model']} on {facts['dataset']} {facts['newest']}",
        "head": branch,
        "base": collaboration,
        "body": f"For #{issue}, which says what moved. A merge deploys nothing.",
    }
    pull = repository.ask("POST", "/pulls", body, unless=(403,))
    if pull is not None:
        return int(pull["number"])
    mark = f"<!-- dslp: compare {branch} -->"
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    page = f"{server}/{repository.name}/compare/{collaboration}...{branch}?expand=1"
    text = f"Actions may not open pull requests here. The change is committed: [open]({page})."
    update_comment(repository, issue, mark, f"{mark}\n{text}")
    return None
