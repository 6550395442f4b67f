"""What the project's hooks keep out of a commit."""

import json

import pytest

from tests.project.whole import Project

pytestmark = [pytest.mark.slow, pytest.mark.only("process-only")]

# Put together at run time, so that no scanner of this repository takes them for real.
SECRETS = {
    "AWS Access Key": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub Token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "Private Key": "-----BEGIN RSA PRIVATE " + "KEY-----",
    "Basic Auth Credentials": "postgresql://analyst:hunter2hunter@db.example.org/claims",
}
CONFLICT = "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n"


@pytest.mark.rule("D1", "X1")
def test_what_does_not_belong_in_git_is_refused_with_its_name(project: Project) -> None:
    for stage in ("raw", "interim", "processed"):
        assert project.run(f"git check-ignore data/{stage}/claims.parquet").code == 0
    refused = {
        "data/raw/people.txt": "1\n",
        "src/people.csv": "a,b\n1,2\n",
        "people.parquet": "PAR1\n",
        "docs/large.txt": "many words\n" * 50_000,
        "notebooks/Untitled3.ipynb": notebook(),
        "notebooks/claims-final-V2.ipynb": notebook(),
        "docs/page.md": CONFLICT,
        "docs/page.md.rej": "--- ours\n+++ theirs\n",
        "docs/page.md.orig": "ours\n",
    }
    secret = {
        f"notebooks/s{n}.ipynb": notebook(f"key = '{v}'") for n, v in enumerate(SECRETS.values())
    }
    outputs = "notebooks/visits.ipynb"
    for name, text in (refused | secret | {outputs: notebook(output="4242")}).items():
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text(text, encoding="utf-8")
    listed = project.succeed("git status --porcelain --untracked-files=all")
    assert "docs/page.md.rej" in listed, "what an update left is seen"
    project.succeed("git add --all --force", *refused, *secret, outputs)
    done = project.run("git commit --message Work")
    try:
        assert done.code == 1, done.text
        missing = [name for name in [*refused, *secret, *SECRETS] if name not in done.text]
        assert missing == [], done.text
        assert "(D1)" in done.text
        stripped = (project.path / outputs).read_text(encoding="utf-8")
        assert "4242" not in stripped
        assert "1 + 1" in stripped
        project.succeed("git reset --quiet")
        project.succeed("git add", outputs)
        project.succeed("git commit --quiet --message Work")
    finally:
        project.succeed(
            "git reset --quiet --hard", project.succeed("git rev-list --max-parents=0 HEAD").strip()
        )
        project.succeed("git clean --quiet --force -d -x data docs notebooks src people.parquet")


def notebook(source: str = "1 + 1", output: str = "") -> str:
    """A notebook with one cell, as Jupyter saves it."""
    result = {"name": "stdout", "output_type": "stream", "text": [output]}
    cell: dict[str, object] = {"cell_type": "code", "id": "0", "metadata": {}, "source": [source]}
    cell |= {"execution_count": 1 if output else None, "outputs": [result] if output else []}
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1) + "\n"
