"""A project takes the library from the very commit of its template, wherever that came from.

Each case is what somebody types. Hosts are met through git's own settings (https) and through a
program in place of ssh; nothing else is replaced.
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
SECRET = "a-secret"
HOSTED = "https://git.example.org/team/template.git"
MIRROR = "https://mirror.example.org/dslp"


@dataclass(frozen=True)
class Machine:
    """A machine, its working folder, and the template under test, which its hosts serve."""

    folder: Path
    template: Template
    environment: dict[str, str]

    def run(self, *command: str, cwd: str = "") -> subprocess.CompletedProcess[str]:
        """How a command ended, and what it printed."""
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
        """What a command prints; it must succeed."""
        ended = self.run(*command, cwd=cwd)
        assert ended.returncode == 0, f"{shlex.join(command)}:\n{ended.stdout}"
        return ended.stdout

    def copy(self, typed: str, *options: str) -> Path:
        """A new project, by the command that somebody types."""
        components = ("--data", "components=[process]")
        command = ("copier", "copy", "--quiet", "--defaults", *components, *options)
        self.succeed(*command, typed, "project")
        return self.folder / "project"

    def install(self) -> str:
        """Lock and install the project's library, use it, and return the place of its code."""
        self.succeed("uv", "lock", cwd="project")
        self.succeed("uv", "sync", "--frozen", "--only-group", "process", cwd="project")
        assert "check-files" in self.succeed(".venv/bin/dslp", "--help", cwd="project")
        code = "import dslp; print(dslp.__file__, hasattr(dslp, 'CHANGED'))"
        return self.succeed(".venv/bin/python", "-c", code, cwd="project").strip()

    def clone(self, name: str, *options: str) -> Path:
        """The template in the working folder."""
        git("clone", "--quiet", *options, str(self.template.path), name, cwd=self.folder)
        return self.folder / name


@pytest.fixture
def machine(template: Template, tmp_path: Path) -> Machine:
    """Each https host that the cases name serves the template, and so does each one over ssh."""
    hosts = ["https://github.com/dslp/template.git", "https://github.com/fork/template.git"]
    hosts += ["https://gitlab.com/team/template.git", HOSTED, MIRROR]
    hosts += [HOSTED.replace("https://", f"https://{SECRET}@")]
    settings = {"GIT_CONFIG_COUNT": str(len(hosts)), "GIT_ALLOW_PROTOCOL": "file:ssh"}
    for number, host in enumerate(hosts):
        settings[f"GIT_CONFIG_KEY_{number}"] = f"url.file://{template.path}/.git.insteadOf"
        settings[f"GIT_CONFIG_VALUE_{number}"] = host
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
    return dict(yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8")))


def checkout(machine: Machine) -> None:
    machine.clone("checkout of #1")


def changed(machine: Machine) -> None:
    """A checkout with work that is not committed."""
    with (machine.clone("changed") / "src" / "dslp" / "__init__.py").open("a") as file:
        file.write("CHANGED = True\n")


def without_git(machine: Machine) -> None:
    shutil.rmtree(machine.clone("files") / ".git")


def bare(machine: Machine) -> None:
    machine.clone("all of #1.git", "--bare")


def wheels(machine: Machine) -> None:
    folder = str(machine.folder / "wheels")
    machine.succeed("uv", "build", "--wheel", "--out-dir", folder, str(machine.template.path))
    machine.environment["UV_FIND_LINKS"] = folder


def nothing(machine: Machine) -> None:
    """The template is on a host."""


Prepare = Callable[[Machine], None]
# What is typed, what has to exist before, the options, and the source that is pinned: an address,
# a path (of a local folder), or nothing (an index). REV is the commit of the newest release.
CASES: dict[str, tuple[str, Prepare, tuple[str, ...], dict[str, object]]] = {
    typed: (typed, nothing, (), {"git": address, "rev": "REV"})
    for typed, address in {
        "gh:dslp/template": "https://github.com/dslp/template.git",
        "https://github.com/fork/template": "https://github.com/fork/template.git",
        "gl:team/template.git": "https://gitlab.com/team/template.git",
        f"git+{HOSTED}": HOSTED,
        "git@git.example.org:team/template.git": "ssh://git@git.example.org/team/template.git",
        "git+ssh://git@git.example.org:2222/a/b": "ssh://git@git.example.org:2222/a/b",
        HOSTED.replace("https://", f"https://{SECRET}@"): HOSTED,
    }.items()
} | {
    "a tag": ("gh:dslp/template", nothing, ("--vcs-ref", "OLD"), {"rev": "OLD"}),
    "a checkout": ("./checkout of #1", checkout, (), {"path": "checkout of #1"}),
    "a changed one": ("~/work/changed", changed, ("--vcs-ref", "HEAD"), {"path": "changed"}),
    "files": ("files", without_git, (), {"path": "files"}),
    "a bare one": ("all of #1.git", bare, (), {"git": "all%20of%20%231.git", "rev": "REV"}),
    "a mirror": ("gh:dslp/template", nothing, (f"git+{MIRROR}",), {"git": MIRROR, "rev": "REV"}),
    "a mirror of files": ("files", without_git, (f"git+{MIRROR}",), {"git": MIRROR}),
    "an index": ("gh:dslp/template", wheels, ("dslp>=0,<2",), {}),
}


def copy(machine: Machine, case: str) -> tuple[Path, str]:
    """The project of a case, which is pinned as it should be, and the commit to be locked."""
    typed, prepare, options, source = CASES[case]
    prepare(machine)
    old, newest = machine.template.releases[0], machine.template.releases[-1]
    if len(options) == 1:
        options = ("--data", f"library={options[0]}")
    project = machine.copy(typed, *(old if option == "OLD" else option for option in options))
    release = old if source.get("rev") == "OLD" else newest
    commit = git("rev-parse", f"{release}^{{commit}}", cwd=machine.template.path).strip()
    expected = {**source, **({"rev": commit} if "rev" in source else {})}
    if "path" in source:
        expected = {"path": str(machine.folder / str(source["path"])), "editable": True}
    if case == "a bare one":
        expected["git"] = f"file://{machine.folder}/{source['git']}"
    if case == "a tag":
        expected["git"] = "https://github.com/dslp/template.git"
    assert pin(project) == expected
    return project, commit


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("an index", "a checkout")])
def test_the_library_is_pinned_to_the_commit_of_the_template(machine: Machine, case: str) -> None:
    project, _ = copy(machine, case)
    assert recorded(project)["_src_path"].endswith(CASES[case][0].rpartition("@")[2].strip("~./"))
    for path in project.rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(encoding="utf-8"), path


IN_EACH_RUN = ("gh:dslp/template", "a checkout", "an index")


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=() if c in IN_EACH_RUN else pytest.mark.campaign) for c in CASES],
)
def test_what_is_pinned_is_locked_and_installed(machine: Machine, case: str) -> None:
    project, commit = copy(machine, case)
    place, is_changed = machine.install().rsplit(" ", 1)
    assert (is_changed == "True") == (case == "a changed one")
    if "path" in CASES[case][3]:
        folder = machine.folder / str(CASES[case][3]["path"])
        assert place == str(folder / "src" / "dslp" / "__init__.py")
    elif case == "an index":
        assert locked(project) == {"registry": str(machine.folder / "wheels")}
    else:
        assert "site-packages" in place
        assert locked(project)["git"].endswith(f"#{commit}")


def commit_all(project: Path) -> None:
    """Commit everything, as an update asks for."""
    git("init", "--quiet", cwd=project)
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message", "Work", cwd=project)


def test_an_update_moves_the_pin_beside_a_source_of_theirs(machine: Machine) -> None:
    """From one release to the next that changes the library alone: two lines, and no conflict."""
    upstream = machine.clone("upstream.git", "--bare")
    release = machine.template.releases[-1]
    project = machine.copy(f"file://{upstream}", "--vcs-ref", release)
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.uv.sources.theirs]\npath = "../theirs"\n')
    commit_all(project)
    tree = git("rev-parse", "HEAD^{tree}", cwd=upstream).strip()
    newer = git("commit-tree", "-p", "HEAD", "-m", "Newer", tree, cwd=upstream).strip()
    git("tag", "v99.0.0", newer, cwd=upstream)

    said = machine.succeed("copier", "update", "--defaults", cwd="project")

    assert "python3 hooks/post_generate.py" in said
    assert git("diff", "--numstat", cwd=project).split() == [
        *("1", "1", ".copier-answers.yml"),
        *("1", "1", "pyproject.toml"),
    ]
    assert git("ls-files", "--unmerged", cwd=project) == ""
    assert recorded(project)["_commit"] == "v99.0.0"
    assert pin(project)["rev"] == newer


def test_what_cannot_work_ends_in_one_clear_line(machine: Machine) -> None:
    options = ("--defaults", "--data", "library=nonsense")
    ended = machine.run("copier", "copy", *options, "gh:dslp/template", "new")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1].endswith(
        "Validation error for question 'library': try dslp>=1 or git+https://…: unclear"
    )
    assert not (machine.folder / "new").exists()
    machine.copy("gh:dslp/template")
    (machine.folder / "bin").mkdir()
    (machine.folder / "bin" / "uv").symlink_to(BIN / "uv")
    machine.environment["PATH"] = str(machine.folder / "bin")
    ended = machine.run("uv", "lock", cwd="project")
    assert (ended.returncode != 0, "Git executable not found" in ended.stdout) == (True, True)


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
        metadata = archive.read(name).decode()
    headers = ("Requires-Dist:", "Provides-Extra:")
    required = [line for line in metadata.splitlines() if line.startswith(headers)]
    assert len(required) >= 3
    assert "dslp" not in "".join(required)
