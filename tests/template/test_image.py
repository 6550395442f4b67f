"""The image of a server holds what serving needs, and nobody's data.

There is no Docker where these run; what can be told without it is told: each file that is copied is
there and not ignored, and the command that is started is one.
"""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from dslp.models import commands
from typer.main import get_command

from tests.template_copy import Template

LATER = "uv.lock"  # comes when the project is made ready


def lines(project: Path) -> list[list[str]]:
    """The instructions of the Dockerfile, in words."""
    text = (project / "Dockerfile").read_text()
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("licence", ["none", "MIT"])
def test_what_is_copied_into_the_image_is_there(
    files: Template, tmp_path: Path, licence: str
) -> None:
    project = files.copy(tmp_path / "project", {"licence": licence})
    ignored = (project / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        name
        for instruction, *words in lines(project)
        if instruction == "COPY" and not words[0].startswith("--")
        for name in words[:-1]
    }
    assert copied <= allowed
    assert allowed - copied == ({"LICENSE"} if licence == "none" else set())
    assert all((project / name).exists() for name in copied - {LATER})
    assert "*" in ignored
    assert not any(fnmatch(".env", name) for name in allowed)


def test_the_server_in_the_image_is_nobody_and_starts(files: Template, tmp_path: Path) -> None:
    project = files.copy(tmp_path / "project", {"python_versions": ["3.13", "3.12"]})
    found = lines(project)
    assert {words[1] for words in found if words[0] == "FROM"} == {"python:3.12-slim"}
    assert [words[1] for words in found if words[0] == "USER"] == ["10001"]
    (start,) = [json.loads(" ".join(words[1:])) for words in found if words[0] == "ENTRYPOINT"]
    assert start[:3] == ["dslp", "model", "serve"]
    options = get_command(commands.app).commands["serve"].params  # type: ignore[attr-defined]
    known = {name for option in options for name in option.opts}
    assert {word for word in start if word.startswith("--")} <= known
    (group,) = set(re.findall(r"--group (\w+)", (project / "Dockerfile").read_text()))
    assert f"\n{group} = [" in (project / "pyproject.toml").read_text()


def test_a_project_without_models_has_no_image(files: Template, tmp_path: Path) -> None:
    project = files.copy(tmp_path / "project", {"components": ["data", "experiments"]})
    assert not (project / "Dockerfile").exists()
    assert not (project / ".dockerignore").exists()
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert "models" not in answers["components"]
