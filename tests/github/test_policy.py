"""Judging pull requests: the table of branches and flaws, and what the verdict rests on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dslp.github.rules import PAGE

from tests.github.scene import DATASET, Scene, make
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin

FLAWS = ("right", "wrong target", "wrong issue type", "no issue", "closed issue", "missing link")
# What a branch is called, its issue's type, its right target, a wrong one, and its links.
ASKED, BOTH = "### Ask\n\n#{ask}\n", "### Ask\n\n#{ask}\n\n### Experiment\n\n#{experiment}\n"
BRANCHES = {
    "data": ("data/{n}-claims", "Data", "main", "model/9-other", ASKED),
    "explore": ("explore/{n}-x", "Explore", "main", "model/9-x", "### Belongs to\n\n#{ask}\n"),
    "experiment": ("experiment/{n}-boosting", "Experiment", "model/9-frequency", "main", ASKED),
    "model": ("model/{n}-frequency", "Model", "main", "data/8-claims", BOTH),
    "issue": ("{n}-better-docs", "Task", "main", "data/8-claims", ""),
    "development": ("development", "", "main", "data/8-claims", ""),
    "bot": ("dependabot/uv/main/python-1", "", "main", "main", ""),
}
# State, and a word of what is said: what the table must be.
EXPECTED = {
    ("data", "right"): ("success", "nothing against it"),
    ("data", "wrong target"): ("failure", "B2: the target is not main"),
    ("data", "wrong issue type"): ("failure", "B1: the branch is for Data"),
    ("data", "no issue"): ("failure", "I1: issue #77 does not exist"),
    ("data", "closed issue"): ("failure", "is closed"),
    ("data", "missing link"): ("failure", "I11: issue #3 names no Ask"),
    **{("explore", flaw): ("pending", "never merged") for flaw in FLAWS},
    ("explore", "wrong target"): ("failure", "never merged"),  # nothing guards that branch
    ("experiment", "right"): ("success", "nothing against it"),
    ("experiment", "wrong target"): ("failure", "B6: an experiment is merged into a model branch"),
    ("experiment", "wrong issue type"): ("failure", "B1: the branch is for Experiment"),
    ("experiment", "no issue"): ("failure", "I1: issue #77 does not exist"),
    ("experiment", "closed issue"): ("failure", "is closed"),
    ("experiment", "missing link"): ("failure", "I11: issue #3 names no Ask"),
    ("model", "right"): ("success", "nothing against it"),
    ("model", "wrong target"): ("failure", "B7: the target is not main"),
    ("model", "wrong issue type"): ("failure", "B1: the branch is for Model"),
    ("model", "no issue"): ("failure", "I1: issue #77 does not exist"),
    ("model", "closed issue"): ("failure", "is closed"),
    ("model", "missing link"): ("failure", "I11: issue #3 names no Ask"),
    ("issue", "right"): ("success", "nothing against it"),
    ("issue", "wrong target"): ("failure", "B8: the target is not main"),
    ("issue", "wrong issue type"): ("failure", "B1: the branch is for Ask or Communicate or Task"),
    ("issue", "no issue"): ("failure", "I1: issue #77 does not exist"),
    ("issue", "closed issue"): ("failure", "is closed"),
    ("issue", "missing link"): ("success", "nothing against it"),
    **{("development", flaw): ("success", "development is merged to main") for flaw in FLAWS},
    ("development", "wrong target"): ("failure", "the branch's name is not one of the process"),
    **{("bot", flaw): ("success", "a dependency bot's update needs no issue") for flaw in FLAWS},
}


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    return make(tmp_path / "project", github)


def situation(scene: Scene, branch: str, flaw: str) -> Issue:
    """A pull request of a branch, right or with a flaw; #1 is an Ask, #2 an Experiment."""
    head, kind, right, wrong, body = BRANCHES[branch]
    ask = scene.issue("Ask")
    experiment = scene.issue("Experiment", f"### Ask\n\n#{ask.number}", "succeeded")
    text = "" if flaw == "missing link" else body.format(ask=1, experiment=experiment.number)
    labels = ["succeeded"] if kind == "Experiment" else []
    kinds = {"wrong issue type": "Data" if kind != "Data" else "Model"}
    issue = scene.issue(
        kinds.get(flaw, kind or "Task"), text, *labels,
        state="closed" if flaw == "closed issue" else "open",
    )  # fmt: skip
    number = 77 if flaw == "no issue" else issue.number
    base = wrong if flaw == "wrong target" else right
    for name in {base, right} - {"main"}:
        scene.repository.commit(name, {})
    user = "dependabot[bot]" if branch == "bot" else ""
    return scene.pull(head.format(n=number), base, user=user)


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.rule("B1", "B2", "B3", "B7", "I1", "I11")
def test_table_of_branches_and_flaws(
    tmp_path: Path,
    github: Standin,
    branch: str,
    flaw: str,
    record_property: Callable[[str, object], None],
) -> None:
    scene = make(tmp_path, github, "development" if branch == "development" else "main")
    pull = situation(scene, branch, flaw)
    scene.protect()
    said = scene.judge(pull)
    status = scene.status(pull)
    record_property("verdict", f"{branch}|{flaw}|{status.state}|{status.description}")
    state, words = EXPECTED[branch, flaw]
    assert (status.state, said.code) == (state, 0), said
    assert words in said.out
    assert status.context == "dslp/policy"
    assert [request.method for request in github.writes] == ["POST"]


@pytest.mark.rule("B5")
def test_a_failed_experiment_does_not_merge(scene: Scene) -> None:
    scene.issue("Ask")
    issue = scene.issue("Experiment", "### Ask\n\n#1", "failed")
    scene.repository.commit("model/9-frequency", {})
    pull = scene.pull(f"experiment/{issue.number}-boosting", "model/9-frequency")
    assert "B5: experiment #2 failed" in scene.judge(pull).out
    assert scene.status(pull).state == "failure"


@pytest.mark.rule("B7")
@pytest.mark.parametrize(
    ("label", "state"), [("succeeded", "success"), ("failed", "failure"), ("", "failure")]
)
def test_a_model_merges_only_if_every_experiment_in_it_succeeded(
    scene: Scene, label: str, state: str
) -> None:
    scene.issue("Ask")
    scene.issue("Experiment", "### Ask\n\n#1", "succeeded")
    scene.issue("Experiment", "### Ask\n\n#1", *[label] * bool(label))
    scene.issue("Model", "### Ask\n\n#1\n\n### Experiment\n\n#2, #3")
    pull = scene.pull("model/4-frequency")
    scene.judge(pull)
    assert scene.status(pull).state == state


@pytest.mark.rule("D9")
@pytest.mark.parametrize("lacking", ["datasheet.md", "schema.yml", "suite.yml"])
def test_a_new_dataset_comes_with_datasheet_schema_and_suite(scene: Scene, lacking: str) -> None:
    scene.issue("Ask")
    scene.issue("Data", "### Ask\n\n#1")
    files = {path: text for path, text in DATASET.items() if not path.endswith(lacking)}
    pull = scene.pull("data/2-claims", files=files)
    assert f"D9: dataset claims comes without {lacking}" in scene.judge(pull).out
    assert scene.status(pull).state == "failure"


@pytest.mark.rule("D9")
def test_neither_taking_away_nor_moving_gets_around_it(scene: Scene) -> None:
    folder = "src/demo/datasets/claims"
    scene.repository.commit("main", DATASET)
    scene.issue("Ask")
    scene.issue("Data", "### Ask\n\n#1")
    gone = scene.pull("data/2-gone", files={f"{folder}/suite.yml": None})
    scene.judge(gone)
    assert scene.status(gone).state == "failure"
    whole = scene.pull("data/2-whole", files=dict.fromkeys(DATASET))
    scene.judge(whole)
    assert scene.status(whole).state == "success"


@pytest.mark.rule("B7")
def test_a_failed_experiment_counts_that_was_merged_without_being_named(scene: Scene) -> None:
    pull = situation(scene, "model", "right")
    failed = scene.issue("Experiment", "### Ask\n\n#1", "failed")
    assert pull.pull
    merged = scene.pull(f"experiment/{failed.number}-other", pull.pull.head_ref)
    assert merged.pull
    merged.state, merged.pull.merged_at = "closed", "2026-01-05T10:00:00Z"
    assert f"B5: experiment #{failed.number} failed" in scene.judge(pull).out


@pytest.mark.rule("B1")
def test_an_issue_of_two_types_is_not_judged_by_the_milder(scene: Scene) -> None:
    scene.issue("Ask", "", "Explore")
    pull = scene.pull("1-claims")
    assert "has 2 types: Ask, Explore" in scene.judge(pull).out
    assert scene.status(pull).state == "failure"


@pytest.mark.parametrize("head", ["gh-readonly-queue/main/x", "template/v1", "revert-1-x"])
def test_an_exemption_is_for_its_own_branch_and_without_notebooks(
    tmp_path: Path, github: Standin, head: str
) -> None:
    scene = make(tmp_path, github, "development")
    to_main = scene.pull(head, "main")
    scene.judge(to_main)
    assert scene.status(to_main).state == "failure"
    notebook = scene.pull(f"{head}-2", "development", files={"a.ipynb": "{}"})
    scene.judge(notebook)
    assert scene.status(notebook).state == "failure"


@pytest.mark.rule("D9")
def test_a_dataset_that_changes_says_its_version(scene: Scene) -> None:
    scene.repository.commit("main", DATASET)
    scene.issue("Ask")
    scene.issue("Data", "### Ask\n\n#1")
    pull = scene.pull("data/2-claims", files={"src/demo/datasets/claims/pipeline.py": "y\n"})
    assert "comes without a new version in datasheet.md" in scene.judge(pull).out


@pytest.mark.rule("X2")
def test_no_notebook_reaches_the_collaboration_branch(scene: Scene) -> None:
    scene.issue("Task")
    pull = scene.pull("1-plots", files={"notebooks/plots.ipynb": "{}"})
    assert "X2: notebooks would reach main: 1" in scene.judge(pull).out
    template = scene.pull("1-template", files={"notebooks/template.ipynb": "{}"})
    scene.judge(template)
    assert scene.status(template).state == "success"


@pytest.mark.rule("B9")
def test_a_reusable_piece_has_an_issue_and_a_branch_of_its_own(scene: Scene) -> None:
    scene.issue("Task")
    pull = scene.pull("1-poisson-metric", files={"src/demo/features/poisson.py": "x"})
    scene.judge(pull)
    assert scene.status(pull).state == "success"


@pytest.mark.rule("B3")
def test_where_rulesets_are_not_to_be_had_an_exploration_fails_in_red(
    tmp_path: Path, github: Standin
) -> None:
    scene = make(tmp_path, github, private=True)
    scene.issue("Ask")
    scene.issue("Explore", "### Belongs to\n\n#1")
    pull = scene.pull("explore/2-claims")
    scene.judge(pull)
    assert scene.status(pull).state == "failure"


def test_the_stricter_verdict_stands_where_two_branches_share_a_commit(scene: Scene) -> None:
    scene.issue("Ask")
    scene.issue("Explore", "### Belongs to\n\n#1")
    scene.issue("Task")
    explore = scene.pull("explore/2-claims")
    scene.repository.branches["3-docs"] = scene.repository.branches["explore/2-claims"]
    plain = scene.pull("3-docs")
    scene.protect()
    scene.judge(plain)
    assert scene.status(plain).state == "pending"
    assert scene.status(explore).state == "pending"


def test_a_forks_token_publishes_nothing_and_the_job_says_it(scene: Scene) -> None:
    scene.issue("Task")
    fork = scene.github.add_fork(scene.repository, "eve")
    pull = scene.pull("1-docs", fork=fork, user="eve")
    bad = scene.pull("docs", fork=fork, user="eve")
    scene.token = scene.github.add_workflow_token(
        scene.repository, {"contents": "read", "issues": "read", "pull_requests": "read"}
    )
    assert scene.judge(pull).code == 0
    assert scene.judge(bad).code == 1
    assert scene.repository.statuses == {}


@pytest.mark.parametrize(
    "head", ["template/v1.2.0", "revert-12-model/3-x", "renovate/all", "dependabot/x"]
)
def test_a_fork_or_a_person_cannot_borrow_an_exemption(scene: Scene, head: str) -> None:
    fork = scene.github.add_fork(scene.repository, "eve")
    pull = scene.pull(head, fork=fork, user="eve")
    scene.judge(pull)
    assert scene.status(pull).state == "failure"


@pytest.mark.parametrize("head", ["template/v1.2.0", "revert-12-model/3-x"])
def test_template_updates_and_reverts_are_exempt(scene: Scene, head: str) -> None:
    pull = scene.pull(head)
    scene.judge(pull)
    assert scene.status(pull).state == "success"


def test_a_check_reads_each_thing_once_and_writes_one_status(scene: Scene) -> None:
    pull = situation(scene, "model", "right")
    scene.github.forget()
    scene.judge(pull)
    asked = [str(request) for request in scene.github.requests]
    assert len(asked) == len(set(asked))
    paths = [path.removeprefix("/repos/ada/claims") for path in (a.split(" ")[1] for a in asked)]
    sha = scene.repository.head_sha(pull)
    assert paths == [
        f"/pulls/{pull.number}",
        f"/commits/{sha}/pulls",
        f"/pulls/{pull.number}/files",
        "/issues/3",
        "/issues/1",
        "/issues/2",
        "/pulls",
        f"/statuses/{sha}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "$(touch hacked)",
        "`touch hacked`",
        "a\n::set-output name=x::y",
        "![x](https://evil)",
        "x" * 10_000,
        "\u202eright to left",
        "<script>alert(1)</script>",
        "::error::no",
        "%0A::error::",
    ],
)
def test_hostile_text_changes_nothing_but_itself(scene: Scene, text: str) -> None:
    scene.issue("Ask")
    scene.repository.add_issue(text, f"{text}\n\n### Ask\n\n#1\n\n### Notes\n\n{text}", ["Data"])
    pull = scene.pull(
        "data/2-claims", title=text, body=text,
        files={f"src/demo/datasets/{text[:60]}/pipeline.py": "x"},
    )  # fmt: skip
    said = scene.run(
        "check", "--pull-request", str(pull.number), "--publish",
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(scene.folder / "summary.md"),
    )  # fmt: skip
    assert scene.status(pull).state == "failure"
    assert not (scene.folder / "hacked").exists()
    commands = [line for line in said.out.splitlines() if line.startswith("::")]
    assert all(line.startswith("::error title=dslp D9::") for line in commands)
    summary = (scene.folder / "summary.md").read_text(encoding="utf-8")
    for part in ("<script>", "![x]", "\u202e", "$(touch"):
        assert part not in summary + said.out


def test_each_finding_names_its_rule_and_where_that_is_explained(scene: Scene) -> None:
    pull = situation(scene, "data", "wrong target")
    assert "why: dslp rules B2" in scene.judge(pull).out
    assert scene.status(pull).target_url == PAGE
    summary = scene.folder / "summary.md"
    said = scene.run(
        "check", "--pull-request", str(pull.number),
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary),
    )  # fmt: skip
    assert f"({PAGE}#b2)" in said.out
    assert f"[B2]({PAGE}#b2)" in summary.read_text(encoding="utf-8")
