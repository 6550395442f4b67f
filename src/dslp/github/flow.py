"""What workflows of models say on GitHub: figures of a release, and that a retraining is due (M10).

Nothing here decides: an issue and a pull request are for people to review, and are opened once.
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
from dslp.github.client import Repository, Unavailable
from dslp.github.entities import Issue, read_pull_request
from dslp.github.forms import form_links
from dslp.github.issue import is_ours, say_once
from dslp.github.pull_request import read_issues

PARAMS = re.compile(r"src/\w+/models/(\w+)/params\.yml")
LONGEST = 60_000  # characters of a comment; GitHub takes some more


def propose_issue(repository: Repository, collaboration: str, file: Path) -> Iterator[str]:
    """Ask for a retraining: one Model issue, and one pull request with the newest dataset version.

    What is open already is left as it is. Where Actions may not open pull requests, the branch is
    made, and the issue says where a person opens it.

    Args:
        repository: on GitHub.
        collaboration: the branch that models are merged into.
        file: what `dslp model watch` wrote.

    Yields:
        What was done, line by line.
    """
    facts = json.loads(file.read_text(encoding="utf-8"))
    found = PARAMS.fullmatch(facts["params"])
    if found is None or found[1] != facts["model"]:
        raise DslpError(f"{file} names no model of this project: {facts['params']!a:.80}")
    number = _open_issue(repository, facts["model"])
    if number is None:
        number = _opened(repository, facts)
        yield f"{facts['model']}: issue #{number} is opened"
    else:
        yield f"{facts['model']}: issue #{number} is open already"
    ending = f"-retrain-{slug(facts['model'])}"
    for pull in map(read_pull_request, repository.pages("/pulls", state="open")):
        if pull.head.startswith("model/") and pull.head.endswith(ending) and not pull.fork:
            yield f"{facts['model']}: pull request #{pull.number} is open already"
            return
    if _number(facts["newest"]) <= _number(facts["stated"]):
        yield f"{facts['model']}: there is no version of {facts['dataset']} after {facts['stated']}"
        return
    branch = f"model/{number}{ending}"
    _branch(repository, collaboration, branch, facts)
    yield _pull(repository, collaboration, branch, number, facts)


def announce_release(repository: Repository, folder: Path, issue: int) -> Iterator[str]:
    """Comment on an issue what each file says; the same run says it once."""
    for file in sorted(folder.glob("*.md")):
        text = file.read_text(encoding="utf-8")[:LONGEST]
        say_once(repository, issue, text.split("\n", 1)[0], text)
        yield f"#{issue}: {file.stem}"


def released_for(repository: Repository, commit: str) -> int | None:
    """The Model issue whose branch was merged as this commit."""
    for found in repository.pages(f"/commits/{commit}/pulls"):
        pull = read_pull_request(found)
        branch = parse_branch(pull.head)
        if pull.merged and not pull.fork and branch is not None and branch.kind == "Model":
            return branch.issue
    return None


def _open_issue(repository: Repository, model: str) -> int | None:
    for found in repository.pages("/issues", state="open", labels="Model"):
        if "pull_request" not in found and is_ours(found, _mark(model)):
            return int(found["number"])
    return None


def _opened(repository: Repository, facts: Mapping[str, Any]) -> int:
    """Open the issue, with the fields that a Model issue has."""
    known: dict[int, Issue | None] = {}
    read_issues(repository, [facts["issue"]] if facts["issue"] else [], known)
    issue = next(iter(known.values()), None)
    experiments: tuple[int, ...] = ()
    if issue is not None and issue.kind == "Experiment":
        experiments = (issue.number,)
    elif issue is not None:
        named = form_links(issue.kind, issue.body, repository.name)
        experiments = next((link.numbers for link in named if link.field == "Experiment"), ())
    newer = f"from {facts['stated']} to {facts['newest']}"
    change = (
        f"The pull request that comes with this raises {facts['dataset']} in `params.yml` {newer}."
        if _number(facts["newest"]) > _number(facts["stated"])
        else f"There is no version of {facts['dataset']} after {facts['stated']} yet: first a Data "
        "issue for a new one; the next look of the monitor adds the pull request."
    )
    sections = {
        "Ask": f"#{facts['ask']}",
        "Experiment": ", ".join(f"#{n}" for n in experiments) or "_No response_",
        "What it does": f"Whether `{facts['model']}` is to be trained again. {change}",
        "Deployment": "As before. Nothing is deployed by this: a merge trains a challenger, and "
        "the label Deploy promotes it past its gates.",
    }
    told = [_mark(facts["model"]), "Written by the monitor, for people to decide.", ""]
    told += [facts["report"][:LONGEST], ""]
    told += [f"### {head}\n\n{text}\n" for head, text in sections.items()]
    title = f"Retrain {facts['model']}: {', '.join(facts['moved'])} moved"
    body = {"title": title[:200], "body": "\n".join(told), "labels": ["Model"]}
    return int(repository.ask("POST", "/issues", body)["number"])


def _branch(
    repository: Repository, collaboration: str, branch: str, facts: Mapping[str, Any]
) -> None:
    """Make the branch, and on it the change, where they are not there."""
    repository.make_branch(branch, collaboration)
    path = f"/contents/{quote(facts['params'])}"
    file = repository.ask("GET", f"{path}?ref={quote(branch, safe='')}")
    old = base64.b64decode(file["content"]).decode()
    new = raised(old, facts["newest"])
    if new != old:
        change = {
            "message": f"{facts['model']}: {facts['dataset']} {facts['newest']}",
            "content": base64.b64encode(new.encode()).decode(),
            "sha": file["sha"],
            "branch": branch,
        }
        repository.ask("PUT", path, change)


def raised(text: str, version: str) -> str:
    """`params.yml` with another version of the dataset, and all else as it was.

    Raises:
        DslpError: it states none.
    """
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for name in ("dataset", "version"):
        pairs = getattr(node, "value", None) if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs or () if key.value == name), None)
    if not isinstance(node, yaml.ScalarNode):
        raise DslpError("params.yml states no dataset.version")
    return text[: node.start_mark.index] + version + text[node.end_mark.index :]


def _pull(
    repository: Repository, collaboration: str, branch: str, issue: int, facts: Mapping[str, Any]
) -> str:
    """Open the pull request; where that is not allowed, say on the issue where a person does."""
    version = f"{facts['dataset']} {facts['newest']}"
    wanted = {
        "title": f"Retrain {facts['model']} on {version}",
        "head": branch,
        "base": collaboration,
        "body": f"For #{issue}, which says what moved. The merge trains a challenger and deploys "
        "nothing.",
    }
    try:
        made = repository.ask("POST", "/pulls", wanted)
    except Unavailable as error:
        if error.status != 403:
            raise
        mark = f"<!-- dslp: compare {branch} -->"
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        page = f"{server}/{repository.name}/compare/{collaboration}...{branch}?expand=1"
        text = (
            f"{mark}\nActions may not open pull requests here. The change is made: [open]({page})."
        )
        say_once(repository, issue, mark, text)
        return f"{facts['model']}: {branch} is there; #{issue} says where to open its pull request"
    return f"{facts['model']}: pull request #{made['number']} is opened"


def _mark(model: str) -> str:
    return f"<!-- dslp: retrain {model} -->"


def _number(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,9}\.\d{1,9}\.\d{1,9}", version, re.ASCII):
        raise DslpError(f"{version!a:.40} is no version")
    return tuple(map(int, version.split(".")))
