"""The workflow that builds the project's site, shows it in pull requests, and publishes it."""

import functools
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.github import payloads
from tests.github.standin.model import Repository
from tests.github.workflows import Runner

pytestmark = pytest.mark.slow

BUILD = {"contents": "read", "issues": "read", "pull_requests": "read", "id_token": "write"}
DEPLOY = {"pages": "write", "id_token": "write"}
ACTIONS = ["cache", "upload-artifact", "download-artifact", "upload-pages-artifact", "deploy-pages"]
# What `uv run dslp logbook build` does, as far as the workflow sees it, and what the API answers.
UV = """\
#!/bin/sh
[ "$1 $3 $4 $5" = "run dslp logbook build" ] || exit 0
[ "$GITHUB_TOKEN" ] && mkdir site && echo "${MLFLOW_TRACKING_PASSWORD:-nothing}" > site/index.html
exit $(cat result)
"""
CURL = """#!/bin/sh
case "$*" in *"Authorization: Bearer "*/repos/ada/claims/pages) cat pages ;; *) exit 2 ;; esac
"""


@pytest.fixture
def claims(runner: Runner, tmp_path: Path) -> Repository:
    """A repository whose site is built, and whose Pages have it from workflows."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"uv": UV, "curl": CURL}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    runner.env["PATH"] = f"{tools}:/usr/bin:/bin"
    runner.secrets["MLFLOW_TRACKING_PASSWORD"] = "sesame"
    (runner.folder / "pages").write_text('{"build_type": "workflow"}')
    (runner.folder / "result").write_text("0")
    return runner.github.add_repository("ada/claims")


@pytest.fixture
def used(runner: Runner, tmp_path: Path) -> list[str]:
    """The actions that are used; an artifact goes from one job to another."""
    used: list[str] = []

    def stub(name: str, inputs: dict[str, Any]) -> dict[str, str]:
        used.append(name)
        if name == "upload-artifact" and (runner.folder / inputs["path"]).exists():
            shutil.copytree(runner.folder / inputs["path"], tmp_path / inputs["name"])
        elif name == "download-artifact":
            assert (tmp_path / inputs["name"] / "index.html").is_file()
        return {"page_url": "https://ada.github.io/claims/"} if name == "deploy-pages" else {}

    runner.stubs |= {f"actions/{name}": functools.partial(stub, name) for name in ACTIONS}
    return used


@pytest.mark.rule("C1", "C4")
@pytest.mark.parametrize("event", ["push", "schedule", "workflow_dispatch"])
def test_what_is_merged_is_published(
    runner: Runner, claims: Repository, used: list[str], tmp_path: Path, event: str
) -> None:
    payload = {
        "push": payloads.push(claims, "main"),
        "schedule": payloads.payload(claims, "ada"),
        "workflow_dispatch": payloads.workflow_dispatch(claims, "main"),
    }[event]
    outcome = runner.run("site.yml", event, payload)
    assert outcome.conclusions == dict.fromkeys(("build", "pages", "deploy"), "success"), outcome
    assert used == ACTIONS
    assert [job.rights for job in outcome.jobs.values()] == [BUILD, {"pages": "read"}, DEPLOY]
    assert [job.environment for job in outcome.jobs.values()] == ["", "", "github-pages"]
    assert (tmp_path / "site" / "index.html").read_text() == "sesame\n"


@pytest.mark.parametrize("pages", ['{"status": "404"}', '{"build_type": "legacy"}'])
def test_without_pages_of_this_kind_the_artifact_remains_and_that_is_said(
    runner: Runner, claims: Repository, used: list[str], pages: str
) -> None:
    (runner.folder / "pages").write_text(pages)
    outcome = runner.run("site.yml", "push", payloads.push(claims, "main"))
    ended = {"build": "success", "pages": "success", "deploy": "skipped"}
    assert (outcome.conclusions, used) == (ended, ACTIONS[:2]), outcome
    assert "It is not on GitHub Pages" in outcome.jobs["pages"].summary


@pytest.mark.parametrize(("fork", "secret"), [("", "sesame"), ("eve", "nothing")])
def test_a_pull_request_has_a_preview_without_what_a_stranger_may_not_read(
    runner: Runner, claims: Repository, used: list[str], tmp_path: Path, fork: str, secret: str
) -> None:
    pull = claims.add_pull("1-docs", fork=claims.fork(fork) if fork else None, user=fork or "ada")
    outcome = runner.run("site.yml", "pull_request", payloads.pull_request(claims, pull))
    ended = {"build": "success", "pages": "skipped", "deploy": "skipped"}
    assert (outcome.conclusions, used) == (ended, ACTIONS[:2]), outcome
    assert "/ada/claims/actions/runs/" in outcome.jobs["build"].summary
    assert (tmp_path / "site" / "index.html").read_text() == f"{secret}\n"
    assert ("write" in outcome.jobs["build"].rights.values()) == (not fork)


def test_a_site_that_is_not_built_is_not_published(
    runner: Runner, claims: Repository, used: list[str]
) -> None:
    (runner.folder / "result").write_text("1")
    outcome = runner.run("site.yml", "push", payloads.push(claims, "main"))
    assert list(outcome.conclusions.values()) == ["failure", "skipped", "skipped"], outcome
