"""A project takes the library from the very commit of its template, wherever that came from.

Each case is what somebody types. Hosts are met through git's own settings (https) and through a
program in place of ssh; nothing else is replaced.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

from tests.template_copy import Template, commit, git

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
SECRET = "a-secret"
HOSTED = "https://git.example.org/team/template.git"
MIRROR = "https://mirror.example.org/dslp"


@dataclass(frozen=True)
class Machine:
    """A machine, its working folder, and the template under test, which its hosts serve."""

    folder: Path
    template: Template
    environment: dict[str, str]

    def succeed(self, *command: str, cwd: str = "") -> str:
        ended = subprocess.run(
            command,
            cwd=self.folder / cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert ended.returncode == 0, f"{shlex.join(command)}:\n{ended.stdout}"
        return ended.stdout

    def copy(self, typed: str, *options: str) -> Path:
        components = ("--data", "components=[process]")
        command = ("copier", "copy", "--quiet", "--defaults", *components, *options)
        self.succeed(*command, typed, "project")
        return self.folder / "project"

    def clone(self, name: str, *options: str) -> Path:
        git("clone", "--quiet", *options, str(self.template.path), name, cwd=self.folder)
        return self.folder / name


@pytest.fixture
def machine(template: Template, tmp_path: Path) -> Machine:
    """Each https host that the cases name serves the template, and so does each one over ssh."""
    hosts = ["https://github.com/dslp/template.git", "https://github.com/fork/template.git"]
    hosts += ["https://gitlab.com/team/template.git", HOSTED, MIRROR]
    settings = template.served_at(*hosts, HOSTED.replace("https://", f"https://{SECRET}@"))
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\nexec git upload-pack {shlex.quote(str(template.path))}\n")
    ssh.chmod(0o755)
    # The person's own cache, so that a case takes seconds.
    cache = subprocess.check_output([BIN / "uv", "cache", "dir"], text=True).strip()
    settings |= {"GIT_SSH_COMMAND": shlex.quote(str(ssh)), "GIT_SSH_VARIANT": "ssh"}
    settings |= {"HOME": str(tmp_path), "UV_CACHE_DIR": cache}
    settings |= {"UV_PYTHON": os.path.realpath(sys.executable)}
    settings |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    (tmp_path / "work").mkdir()
    return Machine(tmp_path / "work", template, os.environ | settings)


def pin(project: Path) -> dict[str, object]:
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["tool"]["uv"].get("sources", {}).get("dslp", {}))


def changed(machine: Machine) -> None:
    with (machine.clone("changed") / "src" / "dslp" / "__init__.py").open("a") as file:
        file.write("CHANGED = True\n")


def without_git(machine: Machine) -> None:
    shutil.rmtree(machine.clone("files") / ".git")


def wheels(machine: Machine) -> None:
    folder = str(machine.folder / "wheels")
    machine.succeed("uv", "build", "--wheel", "--out-dir", folder, str(machine.template.path))
    machine.environment["UV_FIND_LINKS"] = folder


@dataclass(frozen=True)
class Case:
    """What is typed, what has to exist before, and the source that is pinned.

    REV, OLDEST and FOLDER stand for the newest release, the oldest one, and the working folder.
    """

    typed: str
    source: dict[str, object]
    prepare: Callable[[Machine], object] = str
    options: tuple[str, ...] = ()


GH, GIT = "gh:dslp/template", "https://github.com/dslp/template.git"
ADDRESSES = {
    GH: GIT,
    "https://github.com/fork/template": "https://github.com/fork/template.git",
    "gl:team/template.git": "https://gitlab.com/team/template.git",
    f"git+{HOSTED}": HOSTED,
    "git@git.example.org:team/template.git": "ssh://git@git.example.org/team/template.git",
    "git+ssh://git@git.example.org:2222/a/b": "ssh://git@git.example.org:2222/a/b",
    HOSTED.replace("https://", f"https://{SECRET}@"): HOSTED,
}
CASES = {typed: Case(typed, {"git": url, "rev": "REV"}) for typed, url in ADDRESSES.items()}
FILES = {"path": "FOLDER/files", "editable": True}
CASES |= {
    "a tag": Case(GH, {"git": GIT, "rev": "OLDEST"}, options=("--vcs-ref", "OLDEST")),
    "files": Case("files", FILES, without_git),
    "a checkout": Case(
        "./a of #1", FILES | {"path": "FOLDER/a of #1"}, lambda on: on.clone("a of #1")
    ),
    "a changed one": Case(
        "~/work/changed", FILES | {"path": "FOLDER/changed"}, changed, ("--vcs-ref", "HEAD")
    ),
    "a bare one": Case(
        "a #1.git",
        {"git": "file://FOLDER/a%20%231.git", "rev": "REV"},
        lambda on: on.clone("a #1.git", "--bare"),
    ),
    "a mirror": Case(
        GH, {"git": MIRROR, "rev": "REV"}, options=("--data", f"library=git+{MIRROR}")
    ),
    "an index": Case(GH, {}, wheels, ("--data", "library=dslp>=0,<2")),
}


# The others' addresses are read by the same few lines of includes/dslp.jinja.
IN_EACH_RUN = (GH, "git@git.example.org:team/template.git", "a checkout", "an index")


@pytest.mark.parametrize(
    "name",
    [pytest.param(c, marks=() if c in IN_EACH_RUN else pytest.mark.campaign) for c in CASES],
)
def test_the_commit_of_the_template_is_pinned_locked_and_installed(
    machine: Machine, name: str
) -> None:
    case = CASES[name]
    case.prepare(machine)
    old, newest = machine.template.releases[0], machine.template.releases[-1]
    project = machine.copy(case.typed, *(old if one == "OLDEST" else one for one in case.options))
    release = old if case.source.get("rev") == "OLDEST" else newest
    commit = git("rev-parse", f"{release}^{{commit}}", cwd=machine.template.path).strip()
    expected = json.dumps(case.source).replace("FOLDER", str(machine.folder))
    source = json.loads(expected.replace("REV", commit).replace("OLDEST", commit))
    assert pin(project) == source
    for path in project.rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(encoding="utf-8"), path

    machine.succeed("uv", "lock", cwd="project")
    machine.succeed("uv", "sync", "--frozen", "--only-group", "process", cwd="project")
    assert "check-files" in machine.succeed(".venv/bin/dslp", "--help", cwd="project")
    code = "import dslp; print(dslp.__file__, hasattr(dslp, 'CHANGED'))"
    printed = machine.succeed(".venv/bin/python", "-c", code, cwd="project")
    place, is_changed = printed.strip().rsplit(" ", 1)
    assert (is_changed == "True") == (name == "a changed one")
    lock = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))
    (locked,) = [each["source"] for each in lock["package"] if each["name"] == "dslp"]
    if "path" in source:
        assert place == str(Path(source["path"]) / "src" / "dslp" / "__init__.py")
    elif name == "an index":
        assert locked == {"registry": str(machine.folder / "wheels")}
    else:
        assert "site-packages" in place
        assert locked["git"].endswith(f"#{commit}")


def test_an_update_moves_the_pin_beside_a_source_of_theirs(machine: Machine) -> None:
    """From one release to the next that changes the library alone: two lines, and no conflict."""
    upstream = machine.clone("upstream.git", "--bare")
    release = machine.template.releases[-1]
    project = machine.copy(f"file://{upstream}", "--vcs-ref", release)
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.uv.sources.theirs]\npath = "../theirs"\n')
    commit(project)
    tree = git("rev-parse", "HEAD^{tree}", cwd=upstream).strip()
    newer = git("commit-tree", "-p", "HEAD", "-m", "Newer", tree, cwd=upstream).strip()
    git("tag", "v99.0.0", newer, cwd=upstream)

    printed = machine.succeed("copier", "update", "--defaults", cwd="project")

    assert "python3 hooks/post_generate.py" in printed
    assert git("diff", "--numstat", cwd=project).split() == [
        *("1", "1", ".copier-answers.yml"),
        *("1", "1", "pyproject.toml"),
    ]
    assert git("ls-files", "--unmerged", cwd=project) == ""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["_commit"] == "v99.0.0"
    assert pin(project)["rev"] == newer


def test_the_library_is_no_part_of_what_a_project_gives_to_others(machine: Machine) -> None:
    """Its source is not in a wheel's metadata, and its name on an index may be a stranger's."""
    project = machine.copy("gh:dslp/template", "--data", "components=[data, experiments, models]")
    machine.succeed("uv", "build", "--wheel", cwd="project")
    (wheel,) = (project / "dist").glob("*.whl")
    (distribution,) = distributions(path=[str(wheel)])
    assert len(distribution.requires or []) >= 3
    assert "dslp" not in str(distribution.requires)
