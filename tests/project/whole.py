"""Whole projects: generated, set up by the printed command, and worked in as people do."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.template_copy import Answers, Template

WHOLE: dict[str, Answers] = {
    "defaults": {"licence": "MIT", "owner": "octo-org"},
    "no-example": {"example": False},
    "sql": {"engine": "sql"},
    "process-only": {"components": ["process"], "collaboration_branch": "development"},
}

# Nothing is reached: uv takes what it has, and every other request meets a closed door.
CLOSED = "http://127.0.0.1:9"
OFFLINE = {"UV_OFFLINE": "1", "NO_PROXY": "", "no_proxy": ""} | dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), CLOSED
)


@dataclass(frozen=True)
class Done:
    """How a command ended, and all that it said."""

    code: int
    text: str


@dataclass(frozen=True)
class Project:
    """A generated project, and the machine that it is on."""

    path: Path
    environment: dict[str, str]
    setting_up: Done = field(default_factory=lambda: Done(0, ""))

    def run(self, *command: str, **variables: str) -> Done:
        """Run a command in the project's folder, offline."""
        return run(self.path, command, self.environment | OFFLINE | variables)

    def dslp(self, *arguments: str, **variables: str) -> str:
        """What a command of the tool says; it must end well."""
        return self.succeed("uv", "run", "dslp", *arguments, **variables)

    def succeed(self, *command: str, **variables: str) -> str:
        """What a command says; it must end well."""
        done = self.run(*command, **variables)
        assert done.code == 0, f"{' '.join(command)} ended with {done.code}:\n{done.text}"
        return done.text


def generate(
    template: Template, folder: Path, answers: Answers, machine: dict[str, str]
) -> Project:
    """Copy, and run the one command that the copy prints."""
    path = template.copy(folder, answers)
    done = run(path, ("python3", "hooks/post_generate.py"), machine)
    return Project(path, machine, done)


def run(folder: Path, command: tuple[str, ...], environment: dict[str, str]) -> Done:
    """Run a command to its end; nobody answers questions."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Done(done.returncode, done.stdout)
