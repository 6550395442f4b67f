"""What the project's hooks keep out of a commit."""

import json
from collections.abc import Iterator

import pytest

from tests.project.whole import Done, Project

pytestmark = [pytest.mark.slow, pytest.mark.only("no-example")]

# Put together here, so that no scanner of this repository takes them for real.
SECRETS = {
    "an AWS key": "AKIA" + "IOSFODNN7EXAMPLE",
    "a GitHub token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "a private key": "-----BEGIN RSA PRIVATE " + "KEY-----",
    "a password in an address": "postgresql://analyst:hunter2hunter@db.example.org/claims",
}


@pytest.fixture
def clean(project: Project) -> Iterator[Project]:
    """The project with nothing to commit, before and after the test."""
    head = project.succeed("git", "rev-parse", "HEAD").strip()
    assert project.succeed("git", "status", "--porcelain") == ""
    yield project
    project.succeed("git", "reset", "--quiet", "--hard", head)
    project.succeed("git", "clean", "--quiet", "--force", "-d")


def commit(project: Project, name: str, content: str | bytes) -> Done:
    """Write one file, and try to commit it."""
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    project.succeed("git", "add", "--force", name)
    return project.run("git", "commit", "--message", "Work")


@pytest.mark.rule("D1")
def test_what_is_in_the_data_folders_is_ignored(project: Project) -> None:
    for stage in ("raw", "interim", "processed"):
        for name in ("claims.parquet", "deep/claims.csv", "notes.txt"):
            assert project.run("git", "check-ignore", f"data/{stage}/{name}").code == 0


@pytest.mark.rule("D1")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data/raw/people.txt", "1\n"),
        ("src/people.csv", "a,b\n1,2\n"),
        ("people.parquet", "PAR1\n"),
        ("docs/large.txt", "many words\n" * 50_000),
    ],
)
def test_data_and_large_files_are_refused(clean: Project, name: str, content: str) -> None:
    done = commit(clean, name, content)
    assert done.code == 1, done.text
    assert name in done.text
    assert "(D1)" in done.text


@pytest.mark.parametrize("name", ["notebooks/Untitled3.ipynb", "notebooks/claims-final-V2.ipynb"])
def test_sprawl_is_refused_by_name(clean: Project, name: str) -> None:
    done = commit(clean, name, notebook())
    assert done.code == 1, done.text
    assert name in done.text


@pytest.mark.rule("X1")
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_refused(clean: Project, secret: str) -> None:
    done = commit(clean, "notebooks/visits.ipynb", notebook(f"key = '{SECRETS[secret]}'"))
    assert done.code == 1, done.text
    assert "Potential secrets" in done.text


@pytest.mark.rule("X1")
def test_notebook_outputs_are_taken_off(clean: Project) -> None:
    done = commit(clean, "notebooks/visits.ipynb", notebook("1 + 1", output="4242"))
    assert done.code == 1, done.text
    kept = (clean.path / "notebooks" / "visits.ipynb").read_text(encoding="utf-8")
    assert "4242" not in kept
    assert "1 + 1" in kept
    again = commit(clean, "notebooks/visits.ipynb", kept)
    assert again.code == 0, again.text


@pytest.mark.parametrize("name", ["docs/page.md", "docs/page.md.rej", "docs/page.md.orig"])
def test_what_an_update_left_in_conflict_is_refused(clean: Project, name: str) -> None:
    text = "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n"
    done = commit(clean, name, text if name.endswith(".md") else "--- ours\n+++ theirs\n")
    assert done.code == 1, done.text
    assert name in done.text
    assert clean.run("git", "check-ignore", name).code == 1, "what is left is seen"


def notebook(source: str = "1 + 1", output: str = "") -> str:
    """A notebook with one cell, as Jupyter saves it."""
    shown = {
        "data": {"text/plain": [output]},
        "execution_count": 1,
        "metadata": {},
        "output_type": "execute_result",
    }
    cell: dict[str, object] = {
        "cell_type": "code",
        "execution_count": 1 if output else None,
        "id": "0",
        "metadata": {},
        "outputs": [shown] if output else [],
        "source": [source],
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1) + "\n"
