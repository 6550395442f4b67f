"""The controls: were these not so, what the other tests show would mean nothing."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.github import payloads
from tests.github.evaluator import ExpressionError
from tests.github.standin.model import Issue, Repository
from tests.github.standin.server import Standin
from tests.github.workflows import Job, Runner


@pytest.fixture
def claims(github: Standin) -> Repository:
    return github.add_repository("ada/claims")


def ask(github: Standin, method: str, path: str, body: Any = None, token: str = "") -> int:
    """The status of a request that no client helps with."""
    request = urllib.request.Request(f"{github.url}/repos/ada/claims{path}", method=method)
    request.add_header("Authorization", f"Bearer {token or github.add_token()}")
    request.data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/labels", {"name": 3}, "name"),
        ("POST", "/labels", {"name": "x", "colour": "c9ecff"}, "no such property of the body"),
        ("GET", "/labels?per_pag=3", None, "no such query parameter: per_pag"),
        ("GET", "/issues?state=shut", None, "shut"),
        ("GET", "/tags", None, "no such path"),
    ],
)
def test_a_wrong_request_is_reported(
    github: Standin, claims: Repository, method: str, path: str, body: Any, words: str
) -> None:
    assert ask(github, method, path, body) in (404, 422)
    assert words in " ".join(github.violations)
    github.violations.clear()


def test_a_wrong_response_is_reported(github: Standin, claims: Repository) -> None:
    claims.labels[0].color = None  # type: ignore[assignment]
    ask(github, "GET", "/labels")
    assert "None for not nullable" in github.violations.pop()


def test_tokens_do_what_they_may(github: Standin, claims: Repository) -> None:
    label = {"name": "Ask", "color": "c9ecff"}
    bot = github.add_workflow_token(claims, {"issues": "read"})
    visitor = github.add_token("mallory")
    assert [ask(github, "POST", "/labels", label, one) for one in (bot, visitor)] == [403, 403]
    assert ask(github, "POST", "/issues", {"title": "A question"}, visitor) == 201
    assert ask(github, "GET", "/labels", token="wrong") == 401
    claims.private = True
    assert ask(github, "GET", "/issues", token=visitor) == 404
    assert ask(github, "GET", "/rulesets") == 403
    assert ask(github, "POST", "/labels", label) == 201
    assert ask(github, "POST", "/labels", label | {"name": "ASK"}) == 422


# --- The runner of workflows


@pytest.fixture
def pull(claims: Repository) -> Issue:
    return claims.add_pull("data/1-visits")


def run(runner: Runner, pull: Issue, jobs: dict[str, Any]) -> dict[str, Job]:
    """What becomes of the jobs of a workflow, for a pull request."""
    runner.workflows = runner.folder / ".github" / "workflows"
    runner.workflows.mkdir(parents=True, exist_ok=True)
    each = {name: {"runs-on": "ubuntu-latest", **job} for name, job in jobs.items()}
    text = json.dumps({"on": "pull_request", "jobs": each})
    (runner.workflows / "check.yml").write_text(text)
    payload = payloads.pull_request(runner.github.repositories["ada/claims"], pull)
    return runner.run("check.yml", "pull_request", payload).jobs


def test_rights_and_secrets_are_githubs(
    runner: Runner, github: Standin, claims: Repository, pull: Issue
) -> None:
    runner.secrets["KEY"] = "a-key"
    step = {"run": "echo $KEY", "env": {"KEY": "${{ secrets.KEY }}"}}
    job = {"permissions": {"statuses": "write"}, "steps": [step]}
    ended = run(runner, pull, {"own": job})["own"]
    assert (ended.rights["statuses"], ended.log) == ("write", "a-key\n")
    foreign = claims.add_pull("data/2-x", fork=github.add_fork(claims, "mallory"))
    ended = run(runner, foreign, {"own": job})["own"]
    assert (ended.rights["statuses"], ended.log) == ("read", "\n")

    action = runner.folder / ".github" / "actions" / "say" / "action.yml"
    action.parent.mkdir(parents=True)
    echo = {"run": "echo ${{ secrets.KEY }}", "shell": "bash"}
    action.write_text(json.dumps({"inputs": {}, "runs": {"using": "composite", "steps": [echo]}}))
    with pytest.raises(ExpressionError):
        run(runner, pull, {"own": {"steps": [{"uses": "$/.github/actions/say"}]}})
