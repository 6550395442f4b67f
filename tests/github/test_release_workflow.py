"""A merged model becomes the challenger, and the label Deploy makes it the champion."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from tests import services
from tests.github import payloads
from tests.github.evaluator import Evaluator
from tests.github.standin.model import Issue, Repository
from tests.github.standin.pulls import merge
from tests.github.standin.server import Standin
from tests.github.steps import StepRun
from tests.github.test_data_workflow import kept, toy
from tests.github.workflows import Outcome, Runner
from tests.library.toy import Toy

__all__ = ["kept", "toy"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mlflow-server")]

PARAMS = "src/toy/models/frequency/params.yml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server, which outlives each job."""
    folder = tmp_path_factory.mktemp("server")
    with services.mlflow(folder, f"sqlite:///{folder / 'mlflow.db'}") as address:
        yield address


@pytest.fixture
def claims(github: Standin, runner: Runner, toy: Toy) -> Repository:
    """A repository with an experiment that succeeded and a Model issue; all actions are stubs."""
    runner.timeout = 300
    for action in ("actions/download-artifact", "docker/login-action", "docker/build-push-action"):
        runner.stubs[action] = lambda step: None
    (toy.source / "__init__.py").touch()
    with (toy.root / "pyproject.toml").open("a") as file:
        file.write('[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n')
    toy.commit()
    claims = github.add_repository("ada/claims")
    claims.add_issue("Ask", "", ["Ask"])
    claims.add_issue("Lines", "### Ask\n\n#1", ["Experiment", "succeeded"], state="closed")
    claims.add_issue("Frequency", "### Ask\n\n#1\n\n### Experiment\n\n#2", ["Model"])
    return claims


def merged(
    runner: Runner,
    claims: Repository,
    toy: Toy,
    branch: str = "model/3-frequency",
    path: str = PARAMS,
    **patch: str,
) -> Outcome:
    """What follows when a branch is merged, by default a model's that nothing was before."""
    pull = claims.add_pull(branch, files={path: toy.git("rev-parse", "HEAD")})
    before = claims.branches["main"]
    merge(claims, pull, "merge", "ada")
    payload = payloads.push(claims, "main", **{"before": "0" * 40, **patch})
    assert claims.branches["main"] != before
    return runner.run("release.yml", "push", payload)


def labelled(runner: Runner, claims: Repository, issue: Issue, name: str) -> Outcome:
    """What follows when an issue is labelled."""
    issue.labels += claims.labelled([name])
    payload = payloads.issues(claims, issue, "labeled", issue.labels[-1])
    return runner.run("release.yml", "issues", payload)


def said(outcome: Outcome) -> str:
    """What each job printed, for a test that fails."""
    return "\n".join(f"{job.name} {job.conclusion}\n{job.log}" for job in outcome.jobs.values())


@pytest.mark.rule("M8", "L5")
def test_a_merge_makes_a_challenger_and_the_label_the_champion(
    runner: Runner, claims: Repository, toy: Toy, server: str
) -> None:
    runner.variables["MLFLOW_TRACKING_URI"] = server
    outcome = merged(runner, claims, toy)
    done = {"merged", "challenger", "figures"}
    assert {n for n, c in outcome.conclusions.items() if c == "success"} == done, said(outcome)
    (comment,) = claims.issues[3].comments
    assert "frequency 1.0.0 (version 1) is registered, as the challenger" in comment.body
    assert "| success criterion |" in comment.body
    assert "one row, median, ms" in comment.body
    tracking = MlflowClient(server)
    (training,) = tracking.search_runs(
        [one.experiment_id for one in tracking.search_experiments()],
        "tags.`dslp.kind` = 'training'",
    )
    assert training.data.tags["dslp.issue"] == "3"
    assert outcome.jobs["challenger"].rights == {"contents": "read", "metadata": "read"}
    before = len(claims.issues[3].comments)
    outcome = labelled(runner, claims, claims.issues[3], "Deploy")
    done = {"champion", "figures"}
    assert {n for n, c in outcome.conclusions.items() if c == "success"} == done, said(outcome)
    assert len(claims.issues[3].comments) == before + 1
    assert "frequency 1.0.0 (version 1) is the champion" in claims.issues[3].comments[-1].body
    assert outcome.jobs["champion"].rights == {"contents": "read", "metadata": "read"}
    trail = toy.done("model", "history", MLFLOW_TRACKING_URI=server).out
    assert "labelled Deploy (#3)" in " ".join(trail.split())

    # Once more, with less: the gate stops it, and the issue is told by how much.
    claims.issues[3].labels = claims.labelled(["Model"])
    toy.done("model", "train", "--candidate", "baseline", MLFLOW_TRACKING_URI=server)
    toy.done("model", "register", "--issue", "3", MLFLOW_TRACKING_URI=server)
    outcome = labelled(runner, claims, claims.issues[3], "Deploy")
    assert outcome.conclusions["champion"] == "failure"
    assert outcome.conclusions["figures"] == "success"
    told = claims.issues[3].comments[-1].body
    assert "Nothing was promoted" in told
    assert "+0.0% | +10.0% | failed" in told


@pytest.mark.rule("M8")
def test_a_file_is_no_registry_and_that_is_said(
    runner: Runner, claims: Repository, toy: Toy, kept: list[str]
) -> None:
    outcome = merged(runner, claims, toy)
    assert outcome.conclusions["challenger"] == "success", outcome.jobs["challenger"].log
    (comment,) = claims.issues[3].comments
    assert "frequency is NOT registered: tracking is a file of this machine" in comment.body
    assert any(path.endswith("frequency/model/MLmodel") for path in kept)
    assert any(path.endswith("records/dist/toy-0.1.0-py3-none-any.whl") for path in kept)
    outcome = labelled(runner, claims, claims.issues[3], "Deploy")
    assert outcome.conclusions["champion"] == "failure"
    assert "Nothing was promoted: tracking is a file" in claims.issues[3].comments[-1].body


@pytest.mark.rule("M8")
@pytest.mark.parametrize(
    ("branch", "path", "trains"),
    [
        ("model/3-frequency", "features/amounts.py", True),
        ("explore/1-amounts", "features/amounts.py", False),
        ("model/3-frequency", "models/other/train.py", False),
        ("model/3-frequency", "datasets/visits/pipeline.py", False),
    ],
)
def test_shared_code_of_a_model_branch_releases_the_models(
    runner: Runner, claims: Repository, toy: Toy, branch: str, path: str, trains: bool
) -> None:
    before, file = toy.git("rev-parse", "HEAD"), toy.source / path
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as out:
        out.write("# what models share, or not\n")
    toy.commit()
    outcome = merged(runner, claims, toy, branch, f"src/toy/{path}", before=before)
    told = [comment.body for comment in claims.issues[3].comments]
    assert any("frequency is NOT registered: tracking is a file" in one for one in told) == trains
    if "challenger" in outcome.jobs:
        assert outcome.conclusions["challenger"] == "success", outcome.jobs["challenger"].log


def test_an_image_is_built_where_one_is_named(runner: Runner, claims: Repository, toy: Toy) -> None:
    built: list[str] = []

    def build(step: StepRun) -> None:
        built.append(str(step.inputs["tags"]))

    runner.stubs["docker/build-push-action"] = build
    runner.variables["IMAGE"] = "ghcr.io/ada/claims"
    (toy.root / "src" / "toy" / "models" / "frequency" / "params.yml").unlink()  # nothing to train
    outcome = merged(runner, claims, toy)
    assert outcome.conclusions["image"] == "success", outcome
    (tag,) = built
    assert tag == f"ghcr.io/ada/claims:{claims.branches['main']}"


@pytest.mark.rule("L5")
@pytest.mark.parametrize(("number", "label"), [(3, "on hold"), (2, "Deploy")])
def test_other_labels_and_other_issues_release_nothing(
    runner: Runner, claims: Repository, number: int, label: str
) -> None:
    outcome = labelled(runner, claims, claims.issues[number], label)
    assert set(outcome.conclusions.values()) == {"skipped"}


def test_one_release_at_a_time_and_none_given_up(runner: Runner, evaluator: Evaluator) -> None:
    stated = yaml.safe_load((runner.workflows / "release.yml").read_text())["concurrency"]
    assert stated["cancel-in-progress"] is False
    start, expression = re.findall(r"(\w+)\$\{\{ (.*) \}\}", stated["group"])[0]
    groups = [
        start + evaluator.evaluate(expression, {"github": github | {"run_id": run}})["text"]
        for github in (
            {"event_name": "push", "event": {}},
            {"event_name": "issues", "event": {"label": {"name": "Deploy"}}},
            {"event_name": "issues", "event": {"label": {"name": "on hold"}}},
        )
        for run in ("1", "2")
    ]
    assert groups == ["release"] * 4 + ["release1", "release2"]


def test_figures_are_told_once_and_from_nothing_else(
    runner: Runner, claims: Repository, toy: Toy, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "frequency.md").write_text("<!-- dslp: release frequency 1 -->\nfirst\n")
    claims.add_comment(3, "<!-- dslp: release frequency 1 -->\nnot ours", "eve")
    env = {
        "GITHUB_API_URL": runner.github.url,
        "GITHUB_REPOSITORY": "ada/claims",
        "GITHUB_TOKEN": runner.github.add_workflow_token(claims, {"issues": "write"}),
    }
    for text in ("first", "second"):
        (folder / "frequency.md").write_text(f"<!-- dslp: release frequency 1 -->\n{text}\n")
        toy.done("tell", str(folder), "3", cwd=None, **env)
    assert [one.body.splitlines()[-1] for one in claims.issues[3].comments] == [
        "not ours",
        "second",
    ]
