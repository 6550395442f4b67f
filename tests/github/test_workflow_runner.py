"""Workflow files run as GitHub would run them, judged by GitHub's own evaluator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.github import payloads, triggers
from tests.github.evaluator import HERE, ExpressionError
from tests.github.standin.model import Issue, Repository
from tests.github.standin.server import Standin
from tests.github.steps import Annotation, StepFailed, StepRun, pairs
from tests.github.workflows import Invalid, Job, Outcome, Runner

STEPS = """
on: {on}
jobs:
  check:
    runs-on: ubuntu-latest
    {job}
    steps:
{steps}
"""
Run = Callable[..., Outcome]


@pytest.fixture
def claims(github: Standin) -> Repository:
    return github.add_repository("ada/claims")


@pytest.fixture
def pull(claims: Repository) -> Issue:
    return claims.add_pull("data/1-visits", title="Visits", labels=["Data"])


@pytest.fixture
def run(runner: Runner, claims: Repository, pull: Issue, tmp_path: Path) -> Run:
    """Run the text of a workflow on a pull request."""
    runner.workflows = tmp_path / ".github" / "workflows"
    runner.workflows.mkdir(parents=True)

    def start(text: str, action: str = "opened", issue: Issue | None = None) -> Outcome:
        (runner.workflows / "check.yml").write_text(text)
        payload = payloads.pull_request(claims, issue or pull, action)
        return runner.run("check.yml", "pull_request", payload)

    return start


def job_of(run: Run, *steps: dict[str, Any], job: str = "", **options: Any) -> Job:
    """What became of a workflow of one job with these steps."""
    listed = "\n".join(f"      - {json.dumps(step)}" for step in steps)
    return run(STEPS.format(on="pull_request", job=job, steps=listed), **options).jobs["check"]


def test_events_start_what_asks_for_them(run: Run) -> None:
    steps = "      - run: 'true'"

    def starts(on: str, action: str = "opened") -> bool:
        return run(STEPS.format(on=on, job="", steps=steps), action).started

    assert starts("pull_request")
    assert not starts("pull_request", "labeled")
    assert starts("{pull_request: {types: [labeled, edited]}}", "edited")
    assert not starts("{push: {branches: [main]}}")
    assert starts("{pull_request: {branches: ['ma*']}}")
    assert not starts("{pull_request: {branches-ignore: [main]}}")
    assert starts("{pull_request: {paths: ['*.txt']}}")
    assert not starts("{pull_request: {paths: ['src/**', '!work.txt']}}")


@pytest.mark.parametrize(
    ("patterns", "value", "fits"),
    [
        (["feature/*"], "feature/a", True),
        (["feature/*"], "feature/a/b", False),
        (["feature/**"], "feature/a/b", True),
        (["**", "!main"], "main", False),
        (["!main", "**"], "main", True),
        (["v[0-9]+.x"], "v12.x", True),
        (["**/*.md"], "README.md", True),
        (["docs/**/*.md"], "docs/README.md", True),
    ],
)
def test_filter_patterns_are_githubs(patterns: list[str], value: str, fits: bool) -> None:
    assert triggers.matches(patterns, value) == fits


def test_a_file_that_github_refuses_does_not_run(run: Run) -> None:
    with pytest.raises(Invalid, match="nonsense"):
        job_of(run, {"run": "true", "nonsense": 1})
    with pytest.raises(Invalid, match="knows no a"):
        job_of(run, {"run": "true"}, job="strategy: {matrix: {a: [1, 2]}}")


def test_steps_after_a_failure_run_only_if_they_say_so(run: Run) -> None:
    job = job_of(
        run,
        {"id": "lenient", "run": "exit 3", "continue-on-error": True},
        {"id": "bad", "run": "exit 1"},
        {"id": "next", "run": "echo never"},
        {"id": "failed", "run": "echo it failed", "if": "failure()"},
        {"id": "late", "run": "echo late", "if": "always() && github.event.number == 1"},
        {"id": "other", "run": "true", "if": "success() || cancelled()"},
    )
    assert job.conclusion == "failure"
    assert {step.id: step.conclusion for step in job.steps} == {
        "lenient": "success",
        "bad": "failure",
        "next": "skipped",
        "failed": "success",
        "late": "success",
        "other": "skipped",
    }
    assert job.steps[0].outcome == "failure"
    assert "it failed" in job.log
    assert "exit code 1" in job.steps[1].log


def test_jobs_wait_for_each_other_and_pass_outputs(run: Run) -> None:
    outcome = run("""
on: pull_request
jobs:
  last:
    needs: [one, two]
    if: always()
    runs-on: ubuntu-latest
    steps: [{run: 'test "${{ needs.one.outputs.said }}${{ needs.two.result }}" = hellofailure'}]
  one:
    runs-on: ubuntu-latest
    outputs: {said: "${{ steps.say.outputs.word }}"}
    steps: [{id: say, run: 'echo word=hello >> "$GITHUB_OUTPUT"'}]
  two:
    name: The second
    needs: one
    runs-on: ubuntu-latest
    steps: [{run: 'false'}]
  three:
    needs: two
    runs-on: ubuntu-latest
    steps: [{run: 'true'}]
  four:
    if: startsWith(github.head_ref, 'explore/')
    runs-on: ubuntu-latest
    steps: [{run: 'true'}]
""")
    assert outcome.conclusions == {
        "one": "success",
        "The second": "failure",
        "three": "skipped",
        "four": "skipped",
        "last": "success",
    }


def test_files_of_a_step_reach_the_next(run: Run, runner: Runner) -> None:
    outputs = 'printf "x<<END\\n1\\n2\\nEND\\n" >> "$GITHUB_OUTPUT"'
    job = job_of(
        run,
        {"id": "a", "run": f'{outputs}; echo Y=z >> "$GITHUB_ENV"'},
        {"run": 'echo "$Y ${{ env.Y }} $Z"', "env": {"Z": "${{ github.actor }}"}},
        {"run": "echo '${{ steps.a.outputs.x }}'; pwd"},
        {"run": 'echo "# Done" >> "$GITHUB_STEP_SUMMARY"; cat "$GITHUB_EVENT_PATH"'},
        {"run": 'import os; print(os.environ["GITHUB_HEAD_REF"])', "shell": "python"},
    )
    assert job.conclusion == "success", job.log
    said = [step.log for step in job.steps]
    assert said[1] == "z z ada\n"
    assert said[2] == f"1\n2\n{runner.folder}\n"
    assert json.loads(said[3])["pull_request"]["title"] == "Visits"
    assert said[4] == "data/1-visits\n"
    assert job.summary == "# Done\n"


def test_printed_commands_become_annotations(run: Run) -> None:
    stop = ["::stop-commands::x1", "::error::hidden", "::x1::", "::notice::seen"]
    job = job_of(
        run,
        {"run": "echo '::error title=B1,file=a.py,line=3::one%0Atwo'"},
        {"run": "\n".join(f"echo '{line}'" for line in stop)},
    )
    assert job.annotations == [
        Annotation("error", "one\ntwo", "B1", "a.py", "3"),
        Annotation("notice", "seen"),
    ]


def test_outputs_that_cannot_be_read_fail_the_step() -> None:
    assert pairs("a=b=c\nd<<E\n=\nE\n") == {"a": "b=c", "d": "="}
    for text in ("no value", "a<<E\nnever ended"):
        with pytest.raises(StepFailed):
            pairs(text)


def test_actions_are_stubs_that_a_test_gives(run: Run, runner: Runner) -> None:
    told: list[dict[str, Any]] = []

    def act(step: StepRun) -> dict[str, str]:
        told.append(step.inputs)
        return {"said": "yes"}

    runner.stubs["acme/act"] = act
    title = {"title": "${{ github.event.pull_request.title }}"}
    job = job_of(
        run,
        {"uses": "actions/checkout@v7"},
        {"id": "act", "uses": "acme/act@v1", "with": title},
        {"run": "echo ok", "if": "steps.act.outputs.said == 'yes'"},
    )
    assert (job.conclusion, job.log, told) == ("success", "ok\n", [{"title": "Visits"}])
    with pytest.raises(LookupError, match="other/act"):
        job_of(run, {"uses": "other/act@v1"})


CALLED = """
on:
  workflow_call:
    inputs:
      word: {type: string, required: true}
      loud: {type: boolean}
    outputs: {said: {value: "${{ jobs.one.outputs.said }}"}}
jobs:
  one:
    runs-on: ubuntu-latest
    permissions: {contents: read}
    outputs: {said: "${{ steps.say.outputs.said }}"}
    steps:
      - id: say
        run: 'echo "said=$WORD ${{ inputs.loud }} $SECRET" >> "$GITHUB_OUTPUT"; test "$WORD" = yes'
        env: {WORD: "${{ inputs.word }}", SECRET: "${{ secrets.KEY }}"}
"""
CALLER = """
on: pull_request
jobs:
  call:
    permissions: {contents: LEVEL}
    uses: $/.github/workflows/called.yml
    with: {WITH}
    SECRETS
  after:
    needs: call
    if: always()
    runs-on: ubuntu-latest
    steps: [{run: 'echo "${{ needs.call.result }}: ${{ needs.call.outputs.said }}"'}]
"""


def calling(run: Run, runner: Runner, given: str, secrets: str = "", level: str = "read") -> str:
    """What the job after a called workflow sees."""
    (runner.workflows / "called.yml").write_text(CALLED)
    runner.secrets["KEY"] = "a-key"
    text = CALLER.replace("WITH", given).replace("SECRETS", secrets).replace("LEVEL", level)
    return run(text).jobs["after"].log


def test_a_called_workflow_gets_inputs_secrets_and_rights_as_github_gives_them(
    run: Run, runner: Runner
) -> None:
    assert calling(run, runner, "word: yes") == "success: yes false \n"
    assert calling(run, runner, "word: no", "secrets: inherit") == "failure: no false a-key\n"
    for given, secrets, level, why in (
        ("loud: true", "", "read", "word is required"),
        ("word: yes, wrod: yes", "", "read", "wrod is not defined"),
        ("word: yes", "secrets: {KEY: x}", "read", "KEY is not defined"),
        ("word: yes", "", "none", "contents: read, which its caller has not got"),
    ):
        with pytest.raises(Invalid, match=why):
            calling(run, runner, given, secrets, level)


def test_a_projects_own_action_runs_with_its_inputs_and_without_secrets(
    run: Run, runner: Runner
) -> None:
    steps = [{"run": 'echo "${{ inputs.a }} ${{ inputs.b }}"; exit $A', "shell": "bash"}]
    steps[0]["env"] = {"A": "${{ inputs.a }}"}  # type: ignore[assignment]
    action: dict[str, Any] = {"inputs": {"a": {"default": 0}, "b": {"default": "x"}}}
    action["runs"] = {"using": "composite", "steps": steps}
    file = runner.workflows.parent / "actions" / "say" / "action.yml"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(action))
    runner.secrets["KEY"] = "a-key"

    def use(**given: str) -> Job:
        return job_of(run, {"uses": "$/.github/actions/say", "with": given})

    assert (use(b="${{ secrets.KEY }}").log, use().conclusion) == ("0 a-key\n", "success")
    assert use(a="3").conclusion == "failure"
    with pytest.raises(AssertionError, match="no inputs"):
        use(c="1")
    steps[0]["run"] = "echo ${{ secrets.KEY }}"
    file.write_text(json.dumps(action))
    with pytest.raises(ExpressionError):
        use()


PUBLISH = """
import os, urllib.error, urllib.request
url = "{GITHUB_API_URL}/repos/{GITHUB_REPOSITORY}/statuses/{HEAD}".format(**os.environ)
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
request = urllib.request.Request(url, b'{"state": "success"}', headers)
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_a_token_has_the_rights_that_the_workflow_asks_for(
    run: Run, github: Standin, claims: Repository
) -> None:
    env = {"TOKEN": "${{ github.token }}", "HEAD": "${{ github.event.pull_request.head.sha }}"}
    step = {"run": PUBLISH, "shell": "python", "env": env}
    asked = "permissions: {statuses: write, issues: none}"
    job = job_of(run, step, job=asked)
    assert (job.rights, job.log) == ({"statuses": "write", "metadata": "read"}, "201\n")
    assert job_of(run, step).log == "403\n"
    foreign = claims.add_pull("data/2-x", fork=github.add_fork(claims, "mallory"))
    job = job_of(run, step, job=asked, issue=foreign)
    assert (job.rights["statuses"], job.log) == ("read", "403\n")


def test_hostile_titles_are_text_unless_a_script_holds_them(run: Run, claims: Repository) -> None:
    title = '"; echo one $(echo two) `x`\n::error::no'
    pull = claims.add_pull("data/3-x", title=title)
    env = {"TITLE": "${{ github.event.pull_request.title }}"}
    job = job_of(run, {"run": 'printf %s "$TITLE" > title', "env": env}, issue=pull)
    assert (job.log, job.annotations) == ("", [])
    script = 'echo "${{ github.event.pull_request.title }}"'
    assert "one two" in job_of(run, {"run": script}, issue=pull).log


def test_issue_events_run_on_the_default_branch(
    runner: Runner, claims: Repository, tmp_path: Path
) -> None:
    issue = claims.add_issue("An ask", "### Problem\r\n\r\nmany", labels=["Ask"])
    runner.workflows = tmp_path / ".github" / "workflows"
    runner.workflows.mkdir(parents=True)
    (runner.workflows / "issues.yml").write_text("""
on: {issues: {types: [labeled]}}
jobs:
  link:
    runs-on: ubuntu-latest
    steps: [{run: 'echo "$GITHUB_REF ${{ github.event.label.name }}"'}]
""")
    labelled = payloads.issues(claims, issue, "labeled", label=claims.label("Ask"))
    assert runner.run("issues.yml", "issues", labelled).jobs["link"].log == "refs/heads/main Ask\n"
    assert labelled["issue"]["body"] == "### Problem\r\n\r\nmany"
    assert not runner.run("issues.yml", "issues", payloads.issues(claims, issue, "edited")).started


@pytest.mark.parametrize("action", ["opened", "edited", "synchronize", "labeled", "closed"])
def test_payloads_are_githubs_own(claims: Repository, pull: Issue, action: str) -> None:
    payload = payloads.pull_request(claims, pull, action, label=pull.labels[0])
    assert payload["pull_request"]["head"]["sha"] == claims.branches["data/1-visits"]
    assert payload["pull_request"]["labels"][0]["name"] == "Data"
    assert json.loads(json.dumps(payload)) == payload
    with pytest.raises(ValueError, match="number"):
        payloads.pull_request(claims, pull, action, number="one")


def test_other_events_have_payloads(claims: Repository) -> None:
    assert payloads.push(claims, "main")["after"] == claims.branches["main"]
    queue = payloads.merge_group(claims, "main", claims.branches["main"])
    assert queue["merge_group"]["base_ref"] == "refs/heads/main"
    assert payloads.workflow_dispatch(claims, "main", number="3")["inputs"] == {"number": "3"}


def test_without_node_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(node, "wheel", lambda: None)
    with pytest.raises(node.Missing, match="no Node 20"):
        node.node()
    with pytest.raises(node.Missing, match="no npm"):
        node.install(HERE, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*/node_modules"))
