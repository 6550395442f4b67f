"""A project takes the library from the very commit of its template, wherever that came from.

Each case is what somebody types, then a real lock, a real environment and a command. Hosts are met
through git's own settings (https) and through a program in place of ssh; nothing else is replaced.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from tests.template_copy import Template, git

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
PROCESS = ("--data", "components=[process]")
SECRET = "a-secret"
HOSTED = "https://git.example.org/team/template.git"


@dataclass(frozen=True)
class Machine:
    """A machine, its working folder, and the template under test, which its hosts serve."""

    folder: Path
    template: Template
    environment: dict[str, str]

    def run(self, *command: str, cwd: str = "") -> subprocess.CompletedProcess[str]:
        """How a command ended, and what it said."""
        return subprocess.run(
            command,
            cwd=self.folder / cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def succeed(self, *command: str, cwd: str = "") -> str:
        """What a command says; it must end well."""
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, f"{shlex.join(command)} ended with {done.returncode}:\n{done}"
        return done.stdout

    def copy(self, typed: str, *arguments: str) -> Path:
        """A new project, by the command that somebody types."""
        command = ("copier", "copy", "--quiet", "--defaults", *PROCESS, *arguments)
        self.succeed(*command, typed, "project")
        return self.folder / "project"

    def install(self) -> str:
        """Lock and install the project's library, use it, and give the place of its code."""
        self.succeed("uv", "lock", cwd="project")
        self.succeed("uv", "sync", "--frozen", "--only-group", "process", cwd="project")
        help_ = self.succeed(".venv/bin/dslp", "--help", cwd="project")
        assert "check-files" in help_
        code = "import dslp; print(dslp.__file__)"
        return self.succeed(".venv/bin/python", "-c", code, cwd="project").strip()

    def commit_of(self, ref: str) -> str:
        """The commit of a tag or branch of the template."""
        return git("rev-parse", f"{ref}^{{commit}}", cwd=self.template.path).strip()

    def clone(self, name: str, *options: str) -> Path:
        """The template in the working folder."""
        git("clone", "--quiet", *options, str(self.template.path), name, cwd=self.folder)
        return self.folder / name


@pytest.fixture
def machine(template: Template, tmp_path: Path) -> Machine:
    """Each https host that the cases name serves the template, and so does each one over ssh."""
    hosts = ["https://github.com/dslp/template.git", "https://github.com/fork/template.git"]
    hosts += ["https://gitlab.com/team/template.git", HOSTED, "https://mirror.example.org/dslp"]
    settings = {"GIT_CONFIG_COUNT": str(len(hosts)), "GIT_ALLOW_PROTOCOL": "file:ssh"}
    for number, host in enumerate(hosts):
        settings[f"GIT_CONFIG_KEY_{number}"] = f"url.file://{template.path}/.git.insteadOf"
        settings[f"GIT_CONFIG_VALUE_{number}"] = host
    ssh = tmp_path / "ssh"
    served = shlex.quote(str(template.path))
    ssh.write_text(f'#!/bin/sh\necho "$@" >> "$0.log"\nexec git upload-pack {served}\n')
    ssh.chmod(0o755)
    settings |= {"GIT_SSH_COMMAND": shlex.quote(str(ssh)), "GIT_SSH_VARIANT": "ssh"}
    settings |= {"HOME": str(tmp_path), "UV_CACHE_DIR": uv_cache()}
    settings |= {"UV_PYTHON": os.path.realpath(sys.executable)}
    settings |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    (tmp_path / "work").mkdir()
    return Machine(tmp_path / "work", template, os.environ | settings)


def uv_cache() -> str:
    """Where uv keeps what it has, the person's own, so that a case takes seconds."""
    command = [str(BIN / "uv"), "cache", "dir"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def pin(project: Path) -> dict[str, object]:
    """The library's source in the project's settings."""
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    sources: dict[str, dict[str, object]] = settings["tool"]["uv"].get("sources", {})
    return sources.get("dslp", {})


def locked(project: Path) -> dict[str, str]:
    """The library's source in the project's lock."""
    lock = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))
    (source,) = [each["source"] for each in lock["package"] if each["name"] == "dslp"]
    return dict(source)


def recorded(project: Path) -> dict[str, str]:
    """What `copier update` will read."""
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


# What is typed, and the address that git, uv and everybody who clones the project have for it.
ADDRESSES = {
    "gh:dslp/template": "https://github.com/dslp/template.git",
    "https://github.com/fork/template": "https://github.com/fork/template.git",
    "gl:team/template.git": "https://gitlab.com/team/template.git",
    f"git+{HOSTED}": HOSTED,
    "git@git.example.org:team/template.git": "ssh://git@git.example.org/team/template.git",
    "git+ssh://git@git.example.org:2222/team/template": (
        "ssh://git@git.example.org:2222/team/template"
    ),
}


OFTEN = ("gh:dslp/template", "git@git.example.org:team/template.git")


@pytest.mark.parametrize(
    "typed",
    [pytest.param(t, marks=() if t in OFTEN else pytest.mark.campaign) for t in ADDRESSES],
)
def test_an_address_is_pinned_to_the_commit_of_the_newest_release(
    machine: Machine, typed: str
) -> None:
    project = machine.copy(typed)
    commit = machine.commit_of(machine.template.releases[-1])
    assert pin(project) == {"git": ADDRESSES[typed], "rev": commit}
    assert recorded(project)["_src_path"] == typed
    assert "site-packages" in machine.install()
    assert locked(project)["git"] == f"{ADDRESSES[typed]}?rev={commit}#{commit}"


@pytest.mark.campaign
@pytest.mark.parametrize("asked", ["tag", "HEAD"])
def test_a_tag_or_the_newest_commit_is_pinned_when_it_was_asked_for(
    machine: Machine, asked: str
) -> None:
    upstream = machine.clone("upstream.git", "--bare")
    ref = machine.template.releases[0] if asked == "tag" else "HEAD"
    if asked == "HEAD":
        tree = git("rev-parse", "HEAD^{tree}", cwd=upstream).strip()
        newer = git("commit-tree", "-p", "HEAD", "-m", "Newer", tree, cwd=upstream).strip()
        git("update-ref", "HEAD", newer, cwd=upstream)
    project = machine.copy(f"file://{upstream}", "--vcs-ref", ref)
    commit = git("rev-parse", f"{ref}^{{commit}}", cwd=upstream).strip()
    assert commit != machine.commit_of(machine.template.releases[-1])
    assert pin(project) == {"git": f"file://{upstream}", "rev": commit}
    machine.install()
    assert locked(project)["git"].endswith(f"#{commit}")


def clean(machine: Machine) -> str:
    """A checkout, by the path from where somebody stands."""
    machine.clone("checkout of #1")
    return "./checkout of #1"


def changed(machine: Machine) -> str:
    """A checkout with work that is not committed, by the path from home."""
    with (machine.clone("changed") / "src" / "dslp" / "__init__.py").open("a") as file:
        file.write("CHANGED = True\n")
    return "~/work/changed"


def without_git(machine: Machine) -> str:
    """The files alone."""
    shutil.rmtree(machine.clone("files") / ".git")
    return "files"


@pytest.mark.parametrize(
    "folder",
    [clean, *(pytest.param(f, marks=pytest.mark.campaign) for f in (changed, without_git))],
)
def test_a_folder_is_the_source_as_it_is(
    machine: Machine, folder: Callable[[Machine], str]
) -> None:
    typed = folder(machine)
    path = machine.folder / Path(typed).name
    project = machine.copy(typed, *(["--vcs-ref", "HEAD"] if folder is changed else []))
    assert pin(project) == {"path": str(path), "editable": True}
    assert machine.install() == str(path / "src" / "dslp" / "__init__.py")
    if folder is changed:
        machine.succeed(".venv/bin/python", "-c", "import dslp; dslp.CHANGED", cwd="project")
    if folder is clean:  # copier reads a relative path from where the update runs
        git("init", "--quiet", cwd=project)
        commit_all(project)
        machine.succeed("copier", "update", "--defaults", cwd="project")


@pytest.mark.campaign
def test_a_bare_repository_on_this_machine_is_pinned(machine: Machine) -> None:
    machine.clone("all of #1.git", "--bare")
    project = machine.copy("all of #1.git")
    commit = machine.commit_of(machine.template.releases[-1])
    address = f"file://{machine.folder}/all%20of%20%231.git"
    assert pin(project) == {"git": address, "rev": commit}
    machine.install()


@pytest.mark.campaign
@pytest.mark.parametrize("typed", ["gh:dslp/template", "files"])
def test_a_mirror_that_was_asked_for_takes_the_place_of_the_template(
    machine: Machine, typed: str
) -> None:
    without_git(machine)
    mirror = "https://mirror.example.org/dslp"
    project = machine.copy(typed, "--data", f"library=git+{mirror}")
    commit = machine.commit_of(machine.template.releases[-1])
    rev = {"rev": commit} if typed != "files" else {}  # its lock has one all the same
    assert pin(project) == {"git": mirror} | rev
    machine.install()
    assert locked(project)["git"].endswith(f"#{commit}")


def test_an_index_that_was_asked_for_takes_the_place_of_the_template(machine: Machine) -> None:
    wheels = machine.folder / "wheels"
    machine.succeed("uv", "build", "--wheel", "--out-dir", str(wheels), str(machine.template.path))
    machine.environment["UV_FIND_LINKS"] = str(wheels)
    project = machine.copy("gh:dslp/template", "--data", "library=dslp>=0,<2")
    assert pin(project) == {}
    assert "site-packages" in machine.install()
    assert locked(project) == {"registry": str(wheels)}
    settings = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert '"dslp>=0,<2"' in settings


def test_a_secret_in_the_address_is_neither_recorded_nor_pinned(machine: Machine) -> None:
    key = machine.environment["GIT_CONFIG_KEY_0"]
    secret = HOSTED.replace("https://", f"https://{SECRET}@")
    machine.environment.update(
        {"GIT_CONFIG_COUNT": "6", "GIT_CONFIG_KEY_5": key, "GIT_CONFIG_VALUE_5": secret}
    )
    project = machine.copy(secret)
    assert recorded(project)["_src_path"] == pin(project)["git"] == HOSTED
    for path in project.rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(encoding="utf-8"), path


def commit_all(project: Path) -> None:
    """Commit everything, as an update asks for."""
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message", "Work", cwd=project)


def test_an_update_moves_the_pin_beside_a_source_of_theirs(machine: Machine) -> None:
    """From one release to the next that changes the library alone: two lines, and no conflict."""
    upstream = Template(machine.clone("upstream.git", "--bare"), machine.template.releases)
    release = upstream.releases[-1]
    project = machine.copy(f"file://{upstream.path}", "--vcs-ref", release)
    git("init", "--quiet", cwd=project)
    theirs = machine.folder / "theirs"
    machine.succeed("uv", "init", "--quiet", "--no-workspace", "--package", "theirs")
    machine.succeed("uv", "add", "--quiet", "--no-sync", str(theirs), cwd="project")
    commit_all(project)
    tree = git("rev-parse", "HEAD^{tree}", cwd=upstream.path).strip()
    newer = git("commit-tree", "-p", "HEAD", "-m", "Newer", tree, cwd=upstream.path).strip()
    git("tag", "v99.0.0", newer, cwd=upstream.path)

    said = machine.succeed("copier", "update", "--defaults", cwd="project")

    assert "python3 hooks/post_generate.py" in said
    assert git("diff", "--numstat", cwd=project).split() == [
        *("1", "1", ".copier-answers.yml"),
        *("1", "1", "pyproject.toml"),
    ]
    assert git("ls-files", "--unmerged", cwd=project) == ""
    assert recorded(project)["_commit"] == "v99.0.0"
    assert pin(project)["rev"] == newer
    machine.install()
    assert locked(project)["git"].endswith(f"#{newer}")


def test_without_git_uv_says_what_is_missing(machine: Machine) -> None:
    machine.copy("gh:dslp/template")
    tools = machine.folder / "bin"
    tools.mkdir()
    (tools / "uv").symlink_to(BIN / "uv")
    machine.environment["PATH"] = str(tools)
    done = machine.run("uv", "lock", cwd="project")
    assert done.returncode != 0
    assert "Git executable not found" in done.stdout
    assert not (machine.folder / "project" / "uv.lock").exists()


def test_an_answer_that_is_no_source_ends_in_one_clear_line(machine: Machine) -> None:
    done = machine.run(
        *("copier", "copy", "--defaults", "--data", "library=nonsense"), "gh:dslp/template", "new"
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(
        "Validation error for question 'library': try dslp>=1 or git+https://…: unclear"
    )
    assert not (machine.folder / "new").exists()


def test_the_library_is_no_part_of_what_a_project_gives_to_others(machine: Machine) -> None:
    """Its source is not in a wheel's metadata, and its name on an index may be a stranger's."""
    project = machine.copy("gh:dslp/template", "--data", "components=[data, experiments, models]")
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dependencies"]
    assert "dslp" not in str(settings["project"])
    machine.succeed("uv", "build", "--wheel", cwd="project")
    (wheel,) = (project / "dist").glob("*.whl")
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        required = [
            line
            for line in archive.read(name).decode().splitlines()
            if line.startswith(("Requires-Dist:", "Provides-Extra:"))
        ]
    assert len(required) >= 3
    assert "dslp" not in "".join(required)
