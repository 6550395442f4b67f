"""How work goes on by itself: a release to its issue, a model that moved to its retraining.

Nothing here decides: issues and pull requests are for people to review, and are opened once.
"""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
import yaml
from dslp.core.actions import add_output
from dslp.core.branch_names import is_match, parse_branch, slug
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.files import read_text
from dslp.core.semver import parse_version
from dslp.core.settings import Project
from dslp.github.client import Repository, Unavailable, find_repository
from dslp.github.entities import read_pull_request
from dslp.github.forms import NO_RESPONSE, linked_numbers
from dslp.github.issue import check_issue, is_from_team, update_comment
from dslp.github.native import mirror_links
from dslp.github.policy import issue_of
from dslp.github.pull_request import publish_check

PARAMS = re.compile(r"(?:\w[\w.-]*/)*models/(\w+)/params\.yml")
CHANGES = {
    True: "Its pull request raises {dataset} from {stated} to {newest}.",
    False: "{dataset} has no version after {stated}: first open a Data issue for one.",
}
LONGEST = 60_000  # characters of a comment; GitHub takes some more


def tell(
    folder: Annotated[Path, typer.Argument(help="What `dslp model release` or `deploy` wrote.")],
    issue: Annotated[int, typer.Argument(help="Of the Model issue.", min=1)],
) -> None:
    """Comment the figures of a release on its issue, once a release (M8, L5)."""
    repository = find_repository()[1]
    for file in sorted(folder.glob("*.md")):
        text = read_text(file)[:LONGEST]
        update_comment(repository, issue, text.split("\n", 1)[0], text)
        say(f"#{issue}: {file.stem}")


def merged(commit: Annotated[str, typer.Argument(help="Of the collaboration branch.")]) -> None:
    """Find the Model issue whose branch was merged as a commit: the output `issue`."""
    repository, issue = find_repository()[1], None
    for pull in map(read_pull_request, repository.pages(f"/commits/{commit}/pulls", most=1)):
        number = issue_of(pull, repository.name)
        if pull.merged and number:
            work = parse_branch(pull.head) or repository.find_issue(number)
            issue = number if work and work.kind == "Model" else issue
    say(f"the branch of #{issue} was merged" if issue else "no branch of a Model issue was merged")
    add_output("issue", issue or "")


def propose(folder: Annotated[Path, typer.Argument(help="What `dslp model watch` wrote.")]) -> None:
    """Ask people for a retraining of each model that moved: an issue and a pull request (M10)."""
    project, repository = find_repository()
    for file in sorted(folder.glob("*.json")):
        propose_retraining(project, repository, file)


def propose_retraining(project: Project, repository: Repository, file: Path) -> None:
    """Ask for a retraining: one Model issue, and one pull request with the newest dataset version.

    What is open already is left as it is. Where Actions may not open pull requests, the branch is
    made, and the issue says where a person opens it. What GITHUB_TOKEN opens starts no workflow:
    the issue and the pull request are checked here, and the tests are started.

    Args:
        project: whose collaboration branch models are merged into.
        repository: on GitHub.
        file: what `dslp model watch` wrote.

    Raises:
        DslpError: the file names no model of this project.
    """
    facts = json.loads(read_text(file))
    params, name = PARAMS.fullmatch(facts["params"]), facts["model"]
    if params is None or params[1] != name:
        raise DslpError(f"{file} names no model of this project: {facts['params']!r:.80}")
    is_newer = parse_version(facts["newest"]) > parse_version(facts["stated"])
    mark, ending = f"<!-- dslp: retrain {name} -->", f"-retrain-{slug(name)}"
    models = repository.issues(["Model"], state="open")
    number = next((one.number for one in models if is_from_team(one.native, mark)), None)
    if number is None:
        number = _open_issue(repository, mark, facts, CHANGES[is_newer])
        check_issue(project, repository, number)
        mirror_links(repository, number, {"action": "opened"})
    say(f"{name}: issue #{number} asks for a retraining")
    proposals = [one for one in repository.open_pull_requests if not one.fork]
    if any(is_match(pull.head, [f"model/*{ending}"]) for pull in proposals):
        say(f"{name}: a pull request for it is open already")
    elif is_newer:
        branch = f"model/{number}{ending}"
        repository.make_branch(branch, project.branch, is_new=False)
        _commit_version(repository, branch, facts)
        _open_pull_request(project, repository, branch, number, facts)
    else:
        say(f"{name}: there is no version of {facts['dataset']} after {facts['stated']}")


def _open_issue(repository: Repository, mark: str, facts: Mapping[str, Any], change: str) -> int:
    """Open the issue, with the fields of the form of a Model issue."""
    issue = repository.find_issue(facts["issue"])  # the one that the champion was trained for
    is_experiment = issue is not None and issue.kind == "Experiment"
    linked = linked_numbers(issue, repository.name, "Experiment")
    experiments = [facts["issue"]] if is_experiment else linked
    values = {**facts, "mark": mark, "report": facts["report"][:LONGEST]}
    values["change"] = change.format_map(facts)
    values["experiments"] = ", ".join(f"#{one}" for one in experiments) or NO_RESPONSE
    title = f"Retrain {facts['model']}: {', '.join(facts['moved'])} moved"[:200]
    text = read_text(Path(__file__).with_name("retraining.md")).format_map(values)
    return repository.open_issue(title, text, ["Model"]).number


def _commit_version(repository: Repository, branch: str, facts: Mapping[str, Any]) -> None:
    """Raise the dataset's version in `params.yml` on the branch, unless that is done."""
    path = f"/contents/{quote(facts['params'])}"
    file = repository.ask("GET", f"{path}?ref={quote(branch, safe='')}")
    old = base64.b64decode(file["content"]).decode()
    new = replace_version(old, facts["newest"])
    if new != old:
        message = "{model}: {dataset} {newest}".format_map(facts)
        content = base64.b64encode(new.encode()).decode()
        change = {"message": message, "content": content, "sha": file["sha"], "branch": branch}
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
    project: Project, repository: Repository, branch: str, issue: int, facts: Mapping[str, Any]
) -> None:
    """Open the pull request; where that is not allowed, the issue says where a person does."""
    title = "Retrain {model} on {dataset} {newest}".format_map(facts)
    text = f"For #{issue}, which says what moved. A merge deploys nothing."
    body = {"title": title, "head": branch, "base": project.branch, "body": text}
    pull = repository.ask("POST", "/pulls", body, unless=(403,))
    if pull is None:
        mark = f"<!-- dslp: compare {branch} -->"
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        page = f"{server}/{repository.name}/compare/{project.branch}...{branch}?expand=1"
        text = "Actions may not open pull requests here. The change is committed"
        update_comment(repository, issue, mark, f"{mark}\n{text}: [open]({page}).")
        say(f"{branch} is pushed; #{issue} says where to open its pull request")
        return
    start_checks(project, repository, pull["number"], branch)


def start_checks(project: Project, repository: Repository, number: int, branch: str) -> None:
    """Check a pull request, and start its tests: GitHub does not for what GITHUB_TOKEN opens."""
    try:
        publish_check(project, repository, number)
        repository.start_tests(branch)
    except Unavailable as error:  # an App may have no right to, but what it opens starts workflows
        say(f"#{number} is open, but its checks are not all started: {error}")
