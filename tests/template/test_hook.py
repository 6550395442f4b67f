"""`hooks/post_generate.py` in a generated project, with real git and uv; then missing or slow ones.

What comes after it hands over is in tests/library/test_setup.py.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import jinja2
import pytest

from tests.setting_up import Place, contents
from tests.template_copy import Template

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "hooks" / "post_generate.py"
COMMAND = (sys.executable, "hooks/post_generate.py")
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
OLD = sorted(PYENV.glob("versions/3.[6-9].*/bin/python"))
PYPROJECT = """\
[project]
name = "bare"
version = "0"
requires-python = ">=3.11"
dependencies = ["iniconfig>=2"]
[tool.dslp]
package = "bare"
"""
STEPS = ["repository", "environment", "commit hooks", "first commit", "labels"]


@pytest.fixture(scope="session")
def generated(files: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the process alone, whose library is a folder: no network, few packages."""
    return files.copy(tmp_path_factory.mktemp("generated") / "small", {"components": ["process"]})


@pytest.fixture
def place(generated: Path, tmp_path: Path) -> Place:
    """The project with two quick commit hooks, in a folder whose name has a space and an umlaut."""
    place = Place(tmp_path / "kleines Projekt ü", *COMMAND)
    shutil.copytree(generated, place.project)
    place.check()
    return place


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A project without packages, for what ends before they matter."""
    place = Place(tmp_path / "bare", *COMMAND)
    place.write("hooks/post_generate.py", SCRIPT.read_text(encoding="utf-8"))
    place.write("pyproject.toml", PYPROJECT)
    return place


def test_the_source_is_unchanged_by_the_include() -> None:
    source = SCRIPT.read_text(encoding="utf-8")
    environment = jinja2.Environment(keep_trailing_newline=True, autoescape=True)
    assert environment.from_string(source).render() == source


@pytest.mark.skipif(not OLD, reason="there is no Python older than 3.10 here")
def test_an_older_python_gets_a_sentence(bare: Place) -> None:
    bare.command = (str(OLD[0]), COMMAND[1])
    run = bare.set_up()
    assert run.code == 2
    assert run.text.startswith("Cannot run: this needs Python 3.11 or newer, and is run by 3.")
    assert "uv run --no-project --python '>=3.11' hooks/post_generate.py" in run.text
    assert not (bare.project / ".git").exists()


@pytest.mark.rule("V1")
def test_a_generated_project_is_ready_after_one_command(generated: Path, tmp_path: Path) -> None:
    place = Place(tmp_path / "small", *COMMAND)
    shutil.copytree(generated, place.project)
    place.git("config", "--global", "init.defaultBranch", "trunk", cwd=tmp_path)
    run = place.set_up()
    assert run.code == 0, run.text
    assert run.outcomes == {**dict.fromkeys(STEPS, "done"), "labels": "skipped"}
    assert re.search(r"^Installed \d+ packages", run.text, re.MULTILINE)
    assert not re.search(r"^ [-+~] ", run.text, re.MULTILINE), "the list of packages is long"
    assert "no conflict markers...." in run.text
    assert run.text.endswith(f"Ready. Next, in {place.project}:\n  uv run pytest\n")
    assert place.git("symbolic-ref", "--short", "HEAD") == "main"
    assert "uv.lock" in place.git("ls-files").splitlines()
    assert place.git("status", "--porcelain") == ""
    before = contents(place.project / ".git")
    again = place.set_up()
    assert again.code == 0
    assert again.outcomes == dict.fromkeys(STEPS, "skipped")
    assert contents(place.project / ".git") == before

    place.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Place(tmp_path / "clone", *COMMAND)
    assert clone.set_up().outcomes["environment"] == "done"
    assert clone.git("status", "--porcelain") == "", "the second person has the first one's lock"


@pytest.mark.rule("B8")
def test_variables_and_folders_lead_nowhere_else(place: Place, tmp_path: Path) -> None:
    place.check(f"sh -c 'env > \"{tmp_path}/seen\"'")
    pyproject = (place.project / "pyproject.toml").read_text(encoding="utf-8")
    place.write("pyproject.toml", pyproject.replace('"main"', '"development"'))
    place.command = (COMMAND[0], str(place.project / COMMAND[1]))
    other = tmp_path / "other"
    place.git("init", "--quiet", str(other), cwd=tmp_path)
    before = contents(other)
    git = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / ".git" / "index")}
    run = place.set_up(tmp_path, **git, GIT_WORK_TREE=str(other), PYTHONDONTWRITEBYTECODE="1")
    assert run.code == 0, run.text
    assert place.git("symbolic-ref", "--short", "HEAD") == "development"
    assert place.git("rev-parse", "main") == place.git("rev-parse", "HEAD")
    assert contents(other) == before
    assert "PYTHONDONTWRITEBYTECODE" not in (tmp_path / "seen").read_text(encoding="utf-8")


def test_without_a_tool_the_rest_is_done_and_the_next_run_finishes(place: Place) -> None:
    run = place.set_up(**place.only("git"))
    assert (run.code, run.outcomes) == (1, {"environment": "could not", "repository": "done"})
    assert "uv is not on PATH: see https://" in run.reason("environment")
    left = "Left to do: environment. After that, go on with:\n  python3 hooks/post_generate.py\n"
    assert run.text.endswith(left)
    assert place.set_up().code == 0


def test_what_a_failing_tool_says_is_shown(bare: Place, tmp_path: Path) -> None:
    bare.replace("git", "echo 'error: the moon is in the wrong phase' >&2; exit 1")
    run = bare.set_up(UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert run.code == 1
    assert "the moon is in the wrong phase" in run.reason("repository")
    assert "iniconfig was not found in the cache" in run.text
    assert run.reason("environment").endswith("later: uv sync")


def test_a_python_that_is_not_there_is_named_with_what_to_do(bare: Place) -> None:
    bare.write(".python-version", "3.99\n")
    del bare.env["UV_PYTHON"]
    run = bare.set_up()
    assert (run.code, "3.99" in run.text, "Ready" in run.text) == (1, True, False)
    assert run.reason("environment").endswith("later: uv python install")


def test_a_wrong_pyproject_gets_a_sentence(bare: Place) -> None:
    conflict = "<<<<<<< before updating\na = 1\n=======\n>>>>>>> after updating\n"
    half = "a = 1\n=======\na = 2\n"  # the outer markers are gone
    cases = {conflict: "conflict markers", half: "conflict markers", "[project\n": "is not valid: "}
    for text, words in cases.items():
        bare.write("pyproject.toml", text)
        run = bare.set_up()
        assert (run.code, run.text.count("\n")) == (2, 1)
        assert run.text.startswith("Cannot run: ")
        assert words in run.text
    bare.write("pyproject.toml.rej", "@@ -1 +1 @@\n")
    assert "a .rej" in bare.set_up().text
    assert not (bare.project / ".git").exists()


def test_a_half_made_environment_never_reaches_uv(bare: Place, tmp_path: Path) -> None:
    # uv would take it for the Python that it links to, and uninstall the packages of that one.
    bare.replace("uv", f"touch '{tmp_path}/called'")
    (bare.project / ".venv" / "bin").mkdir(parents=True)
    (bare.project / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
    run = bare.set_up()
    assert run.code == 1
    assert "remove that folder" in run.reason("environment")
    assert not (tmp_path / "called").exists()


def test_inside_another_repository_it_is_not_ready(bare: Place, tmp_path: Path) -> None:
    bare.git("init", "--quiet", cwd=tmp_path)
    before = contents(tmp_path / ".git")
    run = bare.set_up()
    assert run.code == 1
    assert run.outcomes == {"repository": "could not", "environment": "done"}
    assert f"part of {tmp_path}: " in run.reason("repository")
    assert "Ready" not in run.text
    assert contents(tmp_path / ".git") == before
    assert not (bare.project / ".git").exists()
    (tmp_path / ".gitignore").write_text("bare/\n")  # such as build/: that is no part of it
    assert bare.set_up().outcomes["repository"] == "done"
    assert bare.git("rev-parse", "--show-toplevel") == str(bare.project)


def test_ctrl_c_while_uv_works_and_the_next_run_finishes(place: Place, tmp_path: Path) -> None:
    began = tmp_path / "began"
    stub = place.replace("uv", f"touch '{began}'; sleep 60; exit 1")
    place.interrupt(began)
    stub.unlink()
    began.unlink()
    place.check(f"sh -c 'touch \"{began}\"; sleep 60'")
    assert "Setting up" in place.interrupt(began), "after it handed over"
    assert place.git("ls-files") == ""
    place.check()
    assert place.set_up().code == 0
