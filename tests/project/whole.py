"""Whole projects: generated, set up by the printed command, and worked in as people do."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.template_copy import ROOT, Answers, Template

WHOLE: dict[str, Answers] = {
    "defaults": {"licence": "MIT", "owner": "octo-org"},
    "process-only": {"components": ["process"], "collaboration_branch": "development"},
    "no-example": {"example": False},
    "sql": {"engine": "sql"},
}

QUESTIONS = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
RUNNING = "{}.{}".format(*sys.version_info)
OTHER_PYTHONS = [v for v in QUESTIONS["python_versions"]["default"] if v != RUNNING]

# Nothing is reached: uv takes what it has, and every other request meets a closed door.
OFFLINE = {"UV_OFFLINE": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    OFFLINE |= {_name: "http://127.0.0.1:9", _name.lower(): "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Done:
    """How a command ended, and all that it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Project:
    """A generated project, and the machine that it is on; `done` has each command that was run."""

    path: Path
    environment: dict[str, str]
    done: dict[str, Done] = field(default_factory=dict)

    def run(self, command: str, *arguments: str, **variables: str) -> Done:
        """Run a command in the project's folder; nobody answers questions."""
        done = subprocess.run(
            [*command.split(), *arguments],
            cwd=self.path,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.done[command] = Done(done.returncode, done.stdout)
        return self.done[command]

    def succeed(self, command: str, *arguments: str, **variables: str) -> str:
        """What a command prints; it must succeed."""
        done = self.run(command, *arguments, **variables)
        assert done.code == 0, f"{command} ended with {done.code}:\n{done.text}"
        return done.text

    def commit(self, message: str) -> None:
        """Commit everything, without the hooks."""
        self.succeed("git add --all")
        self.succeed("git commit --quiet --no-verify --message", message)


def generate(
    template: Template, folder: Path, answers: Answers, machine: dict[str, str]
) -> Project:
    """Copy the template, and run the one command that the copy prints; go on offline."""
    path = template.copy(folder, answers)
    Project(path, machine).succeed("python3 hooks/post_generate.py")
    return Project(path, machine | OFFLINE)


def commands(page: Path, heading: str = "") -> list[str]:
    """The commands in the blocks of a page: all, or those below a heading until the next one."""
    text = page.read_text(encoding="utf-8")
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "".join(blocks).splitlines()


def find_python(version: str, machine: dict[str, str]) -> str | None:
    """Where uv finds that Python, without fetching it."""
    # pyenv's shims run only the version of the day, and uv takes what they print for an error.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    path = [folder for folder in machine["PATH"].split(os.pathsep) if "shims" not in folder]
    path += [str(folder) for folder in sorted(pyenv.glob(f"versions/{version}.*/bin"))]
    env = machine | {"UV_PYTHON_DOWNLOADS": "never", "PATH": os.pathsep.join(path)}
    command = ["uv", "python", "find", "--system", "--no-project", version]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    return done.stdout.strip() or None
