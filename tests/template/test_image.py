"""The image of a server holds what serving needs, and nobody's data; git only where it is built.

There is no Docker where these run. What can be tested without it is tested: each file that is
copied is there and not ignored, the steps of the build run in an empty environment, and the command
that is started is one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from copier import run_copy
from dslp.models import commands
from typer.main import get_command

from tests.template_copy import Template

LATER = "uv.lock"  # comes when the project is made ready


def lines(project: Path) -> list[list[str]]:
    text = (project / "Dockerfile").read_text()
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_has_what_it_needs_and_its_server_is_nobody(
    files: Template, tmp_path: Path
) -> None:
    answers = {"licence": "MIT", "python_versions": ["3.13", "3.12"]}
    project = files.copy(tmp_path / "project", answers)
    ignored = (project / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    steps = lines(project)
    copies = [words[1:-1] for words in steps if words[0] == "COPY" and words[1][:2] != "--"]
    copied = {name for names in copies for name in names}
    assert allowed == copied
    assert all((project / name).exists() for name in copied - {LATER})
    assert "*" in ignored
    assert ".env" not in allowed
    assert {words[1] for words in steps if words[0] == "FROM"} == {"python:3.12-slim"}
    assert [words[1] for words in steps if words[0] == "USER"] == ["10001"]
    (start,) = [json.loads(" ".join(words[1:])) for words in steps if words[0] == "ENTRYPOINT"]
    assert start[:3] == ["dslp", "model", "serve"]
    options = get_command(commands.app).commands["serve"].params  # type: ignore[attr-defined]
    names = {name for option in options for name in option.opts}
    assert {word for word in start if word.startswith("--")} <= names
    (group,) = set(re.findall(r"--group (\w+)", (project / "Dockerfile").read_text()))
    assert f"\n{group} = [" in (project / "pyproject.toml").read_text()


@pytest.mark.campaign
def test_the_image_is_built_with_git_and_serves_without_it(
    template: Template, tmp_path: Path
) -> None:
    """The steps of the Dockerfile, in a folder that holds what it copies and nothing else."""
    project, image, tools = (tmp_path / name for name in ("project", "image", "tools"))
    run_copy(f"git+file://{template.path}", project, defaults=True, quiet=True)
    done = subprocess.run(["uv", "lock"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for folder in (image, tools):
        folder.mkdir()
    (tools / "uv").symlink_to(str(shutil.which("uv")))
    slim = {name: value for name, value in os.environ.items() if name.startswith(("SSL_", "UV_"))}
    slim |= {"PATH": str(tools), "HOME": str(tmp_path), "UV_PYTHON": sys.executable}
    slim["UV_CACHE_DIR"] = subprocess.check_output(["uv", "cache", "dir"], text=True).strip()

    def build(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=image, env=slim, capture_output=True, text=True)

    shutil.copy(project / "README.md", image)
    without_git = tmp_path / "empty cache"
    for instruction, *words in lines(project):
        if instruction == "COPY" and not words[0].startswith("--"):
            for name in words[:-1]:
                (shutil.copytree if (project / name).is_dir() else shutil.copy)(
                    project / name, image / name
                )
        elif instruction == "RUN" and "uv" in words[1:3]:
            command = words[words.index("uv") :]
            if without_git.name:
                refused = build(*command, "--cache-dir", str(without_git))
                assert refused.returncode != 0
                assert "Git executable not found" in refused.stderr
                without_git = Path()
                (tools / "git").symlink_to(str(shutil.which("git")))
            done = build(*command)
            assert done.returncode == 0, done.stderr
    (tools / "git").unlink()
    served = build(str(image / ".venv/bin/dslp"), "model", "serve", "claim_frequency")
    assert re.fullmatch(r"error: there is no .*mlflow\.db\n", served.stderr), served.stderr
    installed = build("uv", "pip", "list", "--python", ".venv").stdout
    assert re.search(r"^fastapi ", installed, re.M)
    assert not re.search(r"^(great-expectations|mlflow|pytest) ", installed, re.M)
