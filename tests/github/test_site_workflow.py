"""The workflow that builds the project's site, shows it in pull requests, and publishes it."""

import functools
import shutil
import sys
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
# The command itself, and what it could read; and what the API answers of Pages.
UV = f"""\
#!/bin/sh
[ "$1 $3 $4 $5" = "run dslp logbook build" ] || exit 0
{sys.executable} -m dslp logbook build || exit 1
echo "${{MLFLOW_TRACKING_PASSWORD:-nothing}}" > site/read
"""
CURL = """#!/bin/sh
case "$*" in *"Authorization: Bearer "*/repos/ada/claims/pages) cat pages ;; *) exit 2 ;; esac
"""


@pytest.fixture
def claims(runner: Runner, default_project: Path, tmp_path: Path) -> Repository:
    """A project with an Ask, whose Pages have its site from workflows."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"uv": UV, "curl": CURL}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    runner.env["PATH"] = f"{tools}:/usr/bin:/bin"
    runner.secrets["MLFLOW_TRACKING_PASSWORD"] = "sesame"
    (runner.folder / "pages").write_text('{"build_type": "workflow"}')
    shutil.copytree(default_project, runner.folder, dirs_exist_ok=True)
    claims = runner.github.add_repository("ada/claims")
    claims.add_issue("Fewer <b>forms</b>", "", ["Ask"])
    return claims


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
@pytest.mark.parametrize("event", ["push", "schedule"])
def test_what_is_merged_is_published(
    runner: Runner, claims: Repository, used: list[str], tmp_path: Path, event: str
) -> None:
    happened = {"push": payloads.push(claims, "main"), "schedule": payloads.payload(claims, "ada")}
    outcome = runner.run("site.yml", event, happened[event])
    assert outcome.conclusions == dict.fromkeys(("build", "pages", "deploy"), "success"), outcome
    assert used == ACTIONS
    assert [job.rights for job in outcome.jobs.values()] == [BUILD, {"pages": "read"}, DEPLOY]
    assert [job.environment for job in outcome.jobs.values()] == ["", "", "github-pages"]
    page = (tmp_path / "site" / "logbook" / "asks" / "1.html").read_text(encoding="utf-8")
    assert "Fewer &#60;b&#62;forms" in page


def test_without_pages_of_this_kind_the_artifact_remains_and_that_is_said(
    runner: Runner, claims: Repository, used: list[str]
) -> None:
    (runner.folder / "pages").write_text('{"status": "404"}')
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
    assert (tmp_path / "site" / "read").read_text() == f"{secret}\n"
    assert ("write" in outcome.jobs["build"].rights.values()) == (not fork)


def test_a_site_that_is_not_built_is_not_published(
    runner: Runner, claims: Repository, used: list[str]
) -> None:
    (runner.folder / "docs" / "index.md").write_text("# Start\n\n[Gone](gone.md)\n")
    outcome = runner.run("site.yml", "push", payloads.push(claims, "main"))
    assert list(outcome.conclusions.values()) == ["failure", "skipped", "skipped"], outcome
