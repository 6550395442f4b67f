"""`dslp setup` in real repositories with real commit hooks; a second run always does no harm."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.setting_up import Place, contents

STEPS = ["commit hooks", "first commit", "labels"]
ORIGIN = (
    "update-ref refs/remotes/origin/live HEAD",
    "symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/live",
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A repository without commits, with two quick commit hooks, a lock and labels."""
    place = Place(tmp_path / "kleines Projekt ü", sys.executable, "-m", "dslp", "setup")
    place.write("pyproject.toml", '[tool.dslp]\npackage = "small"\n')
    place.write("uv.lock", "version = 1\n")
    place.write(".copier-answers.yml", "{}\n")
    place.write(".github/labels.yml", "- { name: Ask, color: c9ecff, description: A question }\n")
    place.check()
    place.git("init", "--quiet")
    place.git("symbolic-ref", "HEAD", "refs/heads/main")
    return place


@pytest.fixture
def finished(place: Place) -> Place:
    """A repository that was set up."""
    assert place.set_up().code == 0
    return place


@pytest.mark.rule("V1")
def test_first_commit_is_past_the_hooks_and_a_second_run_changes_nothing(place: Place) -> None:
    place.write("src/small/datasets/claims/suite.yml", "")
    place.write("src/small/models/claim_frequency/params.yml", "")
    place.write(".git/hooks/pre-commit", "#!/bin/sh\ntouch ../ran\n").chmod(0o755)
    ignore = place.config.with_name("ignore")
    ignore.write_text("*.lock\n")
    place.git("config", "--global", "core.excludesFile", str(ignore))
    run = place.set_up()
    assert run.code == 0
    assert run.outcomes == dict(zip(STEPS, ("done", "done", "skipped"), strict=True))
    assert "another check....." in run.text
    assert "your own hook is kept" in run.reason("commit hooks")
    assert (place.project.parent / "ran").exists()
    assert f"Ready. Next, in {place.project}:\n  uv run dslp data build\n" in run.text
    assert "\n  uv run dslp experiment run\n  uv run dslp model train\n" in run.text
    assert place.git("log", "--format=%an") == "A Person"
    assert place.git("status", "--porcelain") == ""
    assert "uv.lock" in place.git("ls-files"), "though the person ignores locks"
    before = contents(place.project)
    second = place.set_up()
    assert second.code == 0
    assert second.outcomes == dict.fromkeys(STEPS, "skipped")
    assert contents(place.project) == before


def test_without_the_component_process_only_the_commit_is_made(place: Place) -> None:
    (place.project / ".pre-commit-config.yaml").unlink()
    (place.project / ".github" / "labels.yml").unlink()
    answers = place.project / ".copier-answers.yml"
    answers.rename(answers.with_suffix(".away"))
    assert "may not be the template's" in place.set_up().reason("first commit")
    answers.with_suffix(".away").rename(answers)
    run = place.set_up()
    assert run.code == 0
    assert list(run.outcomes.values()) == ["skipped", "done", "skipped"]
    assert "checked by the commit hooks" not in run.text


@pytest.mark.parametrize("fault", ["hook", "identity"])
def test_a_commit_that_is_refused_leaves_nothing_and_the_next_run_finishes(
    place: Place, fault: str
) -> None:
    config = place.config.read_text()
    if fault == "hook":
        place.check("'false'")
    else:
        place.config.write_text("")
    run = place.set_up()
    assert run.code == 1
    assert "Left to do: first commit." in run.text
    todo = (
        "later: uv run dslp setup"
        if fault == "hook"
        else 'later: git config --global user.name "Your Name"'
    )
    assert run.reason("first commit").endswith(todo)
    assert place.git("ls-files") == place.git("rev-list", "--all") == ""
    place.config.write_text(config)
    place.check()
    assert place.set_up().outcomes["first commit"] == "done"


def test_beside_hooks_elsewhere_the_checks_run_before_the_commit(place: Place) -> None:
    place.git("config", "--global", "core.hooksPath", "/nowhere/hooks")
    for entry, commits in (("'false'", 0), ("'true'", 1)):
        place.check(entry)
        run = place.set_up()
        assert run.code == 1
        assert "core.hooksPath is /nowhere/hooks" in run.reason("commit hooks")
        assert run.reason("commit hooks").endswith("later: uv run pre-commit run --all-files")
        assert "another check....." in run.text
        assert "Ready" not in run.text
        assert len(place.git("rev-list", "--all").split()) == commits


def test_what_the_person_staged_and_changed_is_left_as_it_is(place: Place) -> None:
    place.git("add", "pyproject.toml")
    index = (place.project / ".git" / "index").read_bytes()
    run = place.set_up()
    assert run.code == 0
    assert "what you staged is left as it is" in run.reason("first commit")
    assert (place.project / ".git" / "index").read_bytes() == index
    place.git("commit", "--quiet", "--message", "mine")
    place.write("staged.txt", "staged")
    place.git("add", "staged.txt")
    place.write("staged.txt", "staged, then changed")
    (place.project / "pyproject.toml").touch()  # git would like to refresh its index
    before = contents(place.project)
    run = place.set_up()
    assert run.code == 0
    assert "files changed since: 5 later: git add --all" in run.reason("first commit")
    assert contents(place.project) == before


def test_conflicts_that_an_update_left_are_not_ready(finished: Place) -> None:
    finished.write("docs/page.md.rej", "--- a\n+++ b\n")
    assert "resolve docs/page.md.rej" in finished.set_up().reason("first commit")
    (finished.project / "docs" / "page.md.rej").unlink()
    blob = finished.git("rev-parse", "HEAD:uv.lock")
    entries = "".join(f"100644 {blob} {stage}\tuv.lock\n" for stage in (1, 2, 3))
    command = ["git", "update-index", "--index-info"]
    subprocess.run(
        command, cwd=finished.project, env=finished.env, input=entries.encode(), check=True
    )
    run = finished.set_up()
    assert run.code == 1
    assert "an update left conflicts; resolve uv.lock" in run.reason("first commit")
    assert "Ready" not in run.text


@pytest.mark.rule("B8")
@pytest.mark.parametrize(
    ("commands", "branch"),
    [
        ([], ""),
        (["branch 3-work"], ""),
        (["branch --move trunk", "checkout -b 3-work"], "trunk"),
        (["branch develop", "branch --move stable"], "develop"),
        (["branch develop", "branch --move master", "checkout -b mine"], None),
        (["branch --move team#1"], None),
        (["branch live", *ORIGIN, "branch --move master"], "live"),
        (["update-ref refs/remotes/origin/3-work HEAD", "branch --move 3-work"], ""),
    ],
)
def test_the_branch_of_an_existing_repository_is_taken(
    finished: Place, commands: list[str], branch: str | None
) -> None:
    other = '[tool.team]\ncontext = "main"\n'
    finished.write("pyproject.toml", f'{other}[tool.dslp]\npackage = "small"\nbranch = "main"\n')
    for command in commands:
        finished.git(*command.split())
    run = finished.set_up()
    assert run.reason("branch").startswith(f"{branch}, as in this repository" if branch else "")
    expected = {"": None, None: "could not"}.get(branch, "done")
    assert run.outcomes.get("branch") == expected
    settings = (finished.project / "pyproject.toml").read_text()
    assert (f'branch = "{branch or "main"}"' in settings, other in settings) == (True, True)
    if branch is not None:
        assert "branch" not in finished.set_up().outcomes


def test_where_there_is_no_repository_it_says_so_in_one_line(place: Place) -> None:
    (place.project / ".git").rename(place.project.parent / "away")
    no_git, no_repository = place.set_up(**place.only("sh")), place.set_up()
    place.git("init", "--quiet", cwd=place.project.parent)
    within = place.set_up()
    words = {"not on PATH": no_git, "git init": no_repository, "is part of": within}
    for word, run in words.items():
        assert (run.code, word in run.text, run.text.count("\n")) == (2, True, 1), run.text


@pytest.mark.rule("L3")
def test_labels_are_registered_where_there_are_a_remote_and_a_token(
    finished: Place, github: Standin
) -> None:
    assert "gh repo create --source=. --private --push" in finished.set_up().reason("labels")
    finished.git("remote", "add", "origin", "https://github.com/ada/small.git")
    finished.env |= {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "ada/other"}
    run = finished.set_up(GH_TOKEN="of-nobody")
    assert run.code == 1
    assert "GitHub does not accept the token" in run.reason("labels")
    assert "Left to do: labels." in run.text
    run = finished.set_up(GH_TOKEN=github.add_token())
    assert run.code == 0
    assert run.reason("labels").startswith("ada/small: 1 changed.")
    assert "Ask" in [label.name for label in github.repositories["ada/small"].labels]


@pytest.fixture
def github() -> Iterator[Standin]:
    """GitHub, with a repository."""
    standin = Standin()
    server = serve(standin)
    standin.add_repository("ada/small")
    yield standin
    server.shutdown()
    server.server_close()
    assert standin.violations == []
