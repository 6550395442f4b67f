"""The policy on pull requests: the table of branches and flaws, and what the verdict rests on."""

import json
import shutil
from pathlib import Path

import pytest
from dslp.github.rules import PAGE

from tests.github.scene import ASK, DATASET, DONE, Scene, make
from tests.github.standin.model import Issue
from tests.github.standin.repositories import mergeable
from tests.github.standin.server import Standin

# What a branch is called, its issue's type, its right target, a wrong one, and its links.
BOTH = "### Ask\n\n#1\n\n### Experiment\n\n#2\n"
BRANCHES = {
    "data": ("data/{n}-claims", "Data", "main", "model/9-other", ASK),
    "explore": ("explore/{n}-x", "Explore", "main", "model/9-x", "### Belongs to\n\n#1\n"),
    "experiment": ("experiment/{n}-boosting", "Experiment", "model/9-frequency", "main", DONE),
    "model": ("model/{n}-frequency", "Model", "main", "data/8-claims", BOTH),
    "issue": ("{n}-better-docs", "Task", "main", "data/8-claims", ""),
    "development": ("development", "", "main", "data/8-claims", ""),
    "bot": ("dependabot/uv/main/python-1", "", "main", "main", ""),
}
FLAWS = ("right", "wrong target", "wrong issue type", "no issue", "closed issue", "missing link")
GOOD, GONE, CLOSED = "no rule is broken", "I1: issue #77 does not exist", "is closed"
LINK, OTHER = "I11: issue #3 names no Ask", "the branch is for "
# What is said of each branch with each flaw, and in the same order the state of the status.
EXPECTED: dict[str, tuple[tuple[str, ...], str]] = {
    "data": ((GOOD, "B2: the target", f"B1: {OTHER}Data", GONE, CLOSED, LINK), "+-----"),
    "explore": (("never merged",) * 6, "??????"),
    "experiment": (
        (GOOD, "B6: an experiment is", f"B1: {OTHER}Experiment", GONE, CLOSED, LINK),
        "+-----",
    ),
    "model": ((GOOD, "B7: the target", f"B1: {OTHER}Model", GONE, CLOSED, LINK), "+-----"),
    "issue": (
        (GOOD, "B8: the target", f"B1: {OTHER}Ask or Communicate or Task", GONE, CLOSED, GOOD),
        "+----+",
    ),
    "development": (
        (("development is merged"), ("the branch's name does not"), *["development is merged"] * 4),
        "+-++++",
    ),
    "bot": (("a branch of this name needs no issue",) * 6, "++++++"),
}
STATES = {"+": "success", "-": "failure", "?": "pending"}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    return make(tmp_path / "project", github)


def situation(scene: Scene, branch: str, flaw: str) -> Issue:
    """A pull request of a branch, right or with a flaw; #1 is an Ask, #2 an Experiment."""
    head, kind, right, wrong, body = BRANCHES[branch]
    scene.issue("Ask")
    scene.issue("Experiment", DONE, "succeeded")
    state = "closed" if flaw == "closed issue" else "open"
    other = "Data" if kind != "Data" else "Model"
    kind = other if flaw == "wrong issue type" else kind or "Task"
    labels = ["succeeded"] if kind == "Experiment" else []
    body = body.replace(ASK, "") if flaw == "missing link" else body
    scene.issue(kind, body, *labels, state=state)
    base = wrong if flaw == "wrong target" else right
    for name in {base, right} - {"main"}:
        scene.repository.commit(name, {})
    return scene.pull(head.format(n=77 if flaw == "no issue" else 3), base)


def verdict(scene: Scene, pull: Issue) -> tuple[str, str]:
    ended, status = scene.check(pull)
    return status.state if status else "none", ended.out


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.rule("B1", "B2", "B3", "B7", "I1", "I11")
def test_table_of_branches_and_flaws(
    tmp_path: Path, github: Standin, branch: str, flaw: str
) -> None:
    scene = make(tmp_path, github, "development" if branch == "development" else "main")
    pull = situation(scene, branch, flaw)
    scene.protect()
    state, text = verdict(scene, pull)
    words, states = EXPECTED[branch]
    assert words[FLAWS.index(flaw)] in text
    assert state == STATES[states[FLAWS.index(flaw)]]
    assert [request.method for request in github.writes] == ["POST"]


def test_only_what_a_workflow_says_lets_a_pull_request_be_merged(scene: Scene) -> None:
    scene.issue("Task")
    pull = scene.pull("1-docs")
    scene.protect("--require", "tests")
    scene.repository.checks[scene.repository.head_sha(pull)] = {"tests": "success"}
    by_workflow, scene.token = scene.token, scene.github.add_token()
    assert verdict(scene, pull)[0] == "success"
    assert not mergeable(scene.repository, pull), "anybody's token could post it"
    scene.token = by_workflow
    assert verdict(scene, pull)[0] == "success"
    assert mergeable(scene.repository, pull)
    scene.repository.checks.clear()
    assert not mergeable(scene.repository, pull), "the tests are required, too"


@pytest.mark.rule("B5", "B7")
@pytest.mark.parametrize(
    ("label", "state"), [("succeeded", "success"), ("failed", "failure"), ("", "failure")]
)
def test_what_failed_is_not_merged_nor_is_a_model_with_it(
    scene: Scene, label: str, state: str
) -> None:
    scene.issue("Ask")
    scene.issue("Experiment", DONE, "succeeded")
    scene.issue("Experiment", DONE, *[label] * bool(label))
    scene.issue("Model", f"{BOTH}, #3")
    model = scene.pull("model/4-frequency")
    merged = scene.pull("experiment/3-x", "model/4-frequency")
    assert verdict(scene, model)[0] == verdict(scene, merged)[0] == state
    # It counts where it was merged into the branch without being named, too.
    scene.repository.issues[4].body = BOTH
    merged.state = "closed"
    assert merged.pull
    merged.pull.merged_at = "2026-01-05T10:00:00Z"
    assert verdict(scene, model)[0] == state


FOLDER = "src/demo/datasets/claims"


def without(name: str) -> dict[str, str]:
    return {file: text for file, text in DATASET.items() if not file.endswith(name)}


@pytest.mark.rule("D9")
@pytest.mark.parametrize(
    ("exists", "files", "words"),
    [
        *((False, without(name), f"without {name}") for name in ("datasheet.md", "schema.yml")),
        (True, {f"{FOLDER}/suite.yml": None}, "without suite.yml"),
        (True, dict.fromkeys(DATASET), ""),  # the dataset goes as a whole
        (True, {f"{FOLDER}/pipeline.py": "y\n"}, "without a new version in datasheet.md"),
        (False, {"README.md": "x"}, "no dataset is changed"),
    ],
)
def test_a_dataset_comes_and_changes_with_all_its_files(
    scene: Scene, exists: bool, files: dict[str, str | None], words: str
) -> None:
    if exists:
        scene.repository.commit("main", DATASET)
    scene.issue("Ask")
    scene.issue("Data", ASK)
    state, text = verdict(scene, scene.pull("data/2-claims", files=files))
    assert (state, words in text) == ("failure" if words else "success", True)


@pytest.mark.rule("B1", "B9", "X2")
@pytest.mark.parametrize(
    ("kinds", "file", "state", "words"),
    [
        (("Ask", "Explore"), "x", "failure", "has 2 types: Ask, Explore"),
        (("Ask",), "notebooks/plots.ipynb", "failure", "X2"),
        (("Ask",), "notebooks/plots.py", "failure", "X2"),
        (("Ask",), "notebooks/template.ipynb", "success", GOOD),
        (("Ask",), "src/demo/features/poisson.py", "success", GOOD),
    ],
)
def test_one_type_and_no_notebook_reaches_the_collaboration_branch(
    scene: Scene, kinds: tuple[str, ...], file: str, state: str, words: str
) -> None:
    scene.issue(kinds[0], "", *kinds[1:])
    actual, text = verdict(scene, scene.pull("1-piece", files={file: "{}"}))
    assert (actual, words in text) == (state, True)


@pytest.mark.rule("B1")
@pytest.mark.parametrize(
    "head", ["template/v1.2.0", "revert-2-data/3-x", "ada-patch-1", "gh-pages", "infra/network"]
)
def test_an_exempt_branch_needs_no_issue_but_brings_no_notebook_nor_passes_development_by(
    tmp_path: Path, github: Standin, head: str
) -> None:
    scene = make(tmp_path, github, "development")
    with (tmp_path / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write('exempt_branches = ["infra/*"]\n')
    assert verdict(scene, scene.pull(head, "development"))[0] == "success"
    assert "B8: the target is not development" in verdict(scene, scene.pull(head, "main"))[1]
    notebook = scene.pull(head, "development", files={"a.ipynb": "{}"})
    assert "X2: notebooks would reach" in verdict(scene, notebook)[1]
    fork = scene.repository.fork("eve")
    assert verdict(scene, scene.pull(head, "development", fork=fork, user="eve"))[0] == "failure"
    process = scene.pull("1-hot-patch-2", "development")
    assert verdict(scene, process)[0] == "failure", "it names an issue, which does not exist"


@pytest.mark.rule("X2")
@pytest.mark.parametrize("notebook", [True, False])
def test_all_of_two_thousand_files_are_looked_at(scene: Scene, notebook: bool) -> None:
    scene.repository.commit("main", {f"old/{n}.md": "x" for n in range(1_000)})
    scene.issue("Task")
    files: dict[str, str | None] = {f"old/{number}.md": None for number in range(1_000)}
    files |= {f"new/{number}.md": "x" for number in range(1_000)}
    files |= {"new/z.ipynb": "{}"} if notebook else {}
    pull = scene.pull("1-docs", files=files)
    scene.github.forget()
    state, text = verdict(scene, pull)
    assert state == ("failure" if notebook else "success")
    assert ("notebooks would reach main: 1" in text) == notebook
    assert len(scene.github.requests) <= 11


@pytest.mark.rule("B1", "I1")
@pytest.mark.parametrize("agent", ["copilot", "claude", "codex", "cursor"])
@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("Closes #2", "Task", "issue #2: no rule is broken"),
        ("Like #9, but fixes ada/claims#2", "Task", "issue #2: no rule is broken"),
        ("As #2 says", "Data", "D9: no dataset is changed"),
        ("For #2", "Explore", "never merged"),
        ("Fixes eve/other#2 <!-- #2 -->", "Task", "does not name its issue"),
        ("", "Task", "does not name its issue"),
    ],
)
def test_the_pull_request_of_an_agent_names_its_issue_in_its_text(
    scene: Scene, agent: str, body: str, kind: str, words: str
) -> None:
    scene.issue("Ask")
    scene.issue(kind, ASK.replace("Ask", "Belongs to") if kind == "Explore" else ASK)
    assert words in verdict(scene, scene.pull(f"{agent}/fix/it", body=body))[1]


@pytest.mark.rule("B6")
@pytest.mark.parametrize(
    ("label", "body", "state"),
    [("", ASK, "pending"), ("failed", ASK, "failure"), ("", "", "failure")],
)
def test_a_draft_of_an_experiment_waits_until_something_is_wrong(
    scene: Scene, label: str, body: str, state: str
) -> None:
    scene.issue("Ask")
    scene.issue("Experiment", body, *[label] * bool(label))
    actual, text = verdict(scene, scene.pull("experiment/2-lines", draft=True))
    assert (actual, "a draft: " in text) == (state, state == "pending")


@pytest.mark.rule("I5", "I8", "I9")
@pytest.mark.parametrize("private", [True, False])
def test_the_fields_that_the_next_step_needs_are_asked_for_in_any_repository(
    tmp_path: Path, github: Standin, default_project: Path, private: bool
) -> None:
    scene = make(tmp_path, github, private=private)
    shutil.copytree(default_project / ".github", tmp_path / ".github")
    scene.issue("Ask")
    fields = dict.fromkeys(("Ask", "Goal", "Metric"), "#1")
    results = {"Runs": "[12](x)", "Summary": "_No response_"}
    scene.issue("Experiment", text(fields | results), "succeeded")
    scene.repository.commit("model/9-x", {})
    pull = scene.pull("experiment/2-lines", "model/9-x")
    assert "I8: issue #2 leaves empty: “Summary”" in verdict(scene, pull)[1]
    scene.repository.issues[2].body = text({"Ask": "#1", "Goal": "x"} | results)
    assert "I8: issue #2 leaves empty: “Metric”, “Summary”" in verdict(scene, pull)[1]
    scene.repository.issues[2].body = text(fields | results | {"Summary": "x"})
    assert verdict(scene, pull)[0] == "success"
    scene.issue("Data", text(dict.fromkeys(("Ask", "Dataset", "Sources"), "#1")))
    assert verdict(scene, scene.pull("data/4-claims"))[0] == "success"


def text(fields: dict[str, str]) -> str:
    """The body that a form makes of its fields."""
    return "\n\n".join(f"### {name}\n\n{value}" for name, value in fields.items())


@pytest.mark.parametrize(
    ("branch", "paths"),
    [
        ("data", ["/issues/3", "/issues/1", "/pulls/4/files"]),
        ("explore", ["/issues/3", "/issues/1"]),
        ("model", ["/issues/3", "/issues/1", "/issues/2", "/pulls", "/pulls/4/files"]),
    ],
)
def test_a_check_reads_each_thing_once_and_writes_one_status(
    scene: Scene, branch: str, paths: list[str]
) -> None:
    pull = situation(scene, branch, "right")
    scene.github.forget()
    scene.check(pull)
    requests = [str(one).replace("/repos/ada/claims", "") for one in scene.github.requests]
    expected = [f"GET {path}" for path in ("", "/pulls", *paths)]
    assert requests == [*expected, f"POST /statuses/{scene.repository.head_sha(pull)}"]
    assert len(requests) <= 8


HOSTILE = "$(touch hacked) `touch hacked` ![x](https://evil) \u202eright <script> %0A::error::no"


@pytest.mark.parametrize("text", [HOSTILE, "a\n::set-output name=x::y", "x" * 10_000])
def test_hostile_text_changes_nothing_but_itself(scene: Scene, text: str) -> None:
    scene.issue("Ask")
    body = f"{text}\n\n### Ask\n\n#1\n\n### Notes\n\n{text}"
    scene.repository.add_issue(text[:250], body, ["Data"])
    files = {f"src/demo/datasets/{text[:60]}/pipeline.py": "x"}
    pull = scene.pull("data/2-claims", title=text, body=text, files=files)
    summary = scene.folder / "summary.md"
    ended = scene.run(
        *("check", "--pull-request", str(pull.number), "--publish"),
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    status = scene.status(pull)
    assert status
    assert status.state == "failure"
    assert not (scene.folder / "hacked").exists()
    assert not any(line.startswith("::") for line in ended.out.splitlines()), "a command"
    for part in ("<script>", "![x]", "\u202e", "$(touch"):
        assert part not in summary.read_text(encoding="utf-8") + ended.out


def test_each_finding_names_its_rule_and_where_that_is_explained(scene: Scene) -> None:
    pull = situation(scene, "data", "wrong target")
    ended, status = scene.check(pull)
    assert "why: dslp rules B2" in ended.out
    assert status
    assert (status.context, status.target_url) == ("dslp/policy", PAGE)
    summary = scene.folder / "summary.md"
    scene.run("check", "--pull-request", str(pull.number), GITHUB_STEP_SUMMARY=str(summary))
    assert f"[B2]({PAGE}#b2)" in summary.read_text(encoding="utf-8")
    ended = scene.run("check", "--pull-request", str(pull.number), "--json")
    content = json.loads(ended.out)
    (result,) = content["results"]
    assert (ended.code, content["ok"], result["subject"]) == (1, False, "data/3-claims")
    assert [(one["rule"], one["severe"]) for one in result["findings"]] == [("B2", True)]
    assert result["details"].items() >= {"state": "failure", "pull_request": 4}.items()
