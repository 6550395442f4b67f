"""A project as people set it up: with a home of its own, and tools that can be missing or slow."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CHECKS = """\
repos:
  - repo: local
    hooks:
      - {{ id: one, name: a good check, language: unsupported, entry: 'true' }}
      - {{ id: two, name: another check, language: unsupported, entry: {entry} }}
"""


@dataclass(frozen=True)
class Run:
    code: int
    text: str

    @property
    def outcomes(self) -> dict[str, str]:
        lines = re.findall(r"^(done|skipped|could not) +([a-z ]+):", self.text, re.MULTILINE)
        return {step: status for status, step in lines}

    def reason(self, step: str) -> str:
        """What was said of a step, its command for later included."""
        pattern = rf"^[a-z ]+ {step}: (.*(?:\n {{11}}.*)*)"
        return " ".join(" ".join(re.findall(pattern, self.text, re.MULTILINE)).split())


class Place:
    """A project's folder, and what its user types there."""

    def __init__(self, project: Path, *command: str) -> None:
        self.project, self.command = project, command
        home = project.parent / "home"
        self.config, self.tools = home / "gitconfig", home / "bin"
        self.tools.mkdir(parents=True, exist_ok=True)
        self.config.write_text("[user]\nname = A Person\nemail = person@example.org\n")
        unset = "(GIT|GITHUB|GH)_|UV_(?!CACHE_DIR|DEFAULT_INDEX|INDEX)"
        self.env = {name: os.environ[name] for name in os.environ if not re.match(unset, name)} | {
            "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": str(self.config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GH_CONFIG_DIR": str(home / "gh"),
            "PRE_COMMIT_HOME": str(home / "pre-commit"),
            "UV_PYTHON": sys.executable,
        }

    def start(self, cwd: Path | None = None, /, **env: str) -> "subprocess.Popen[str]":
        """Type the command, as the leader of a process group, which a terminal makes of it."""
        return subprocess.Popen(
            self.command,
            cwd=cwd or self.project,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def set_up(self, cwd: Path | None = None, /, **env: str) -> Run:
        """Type the command, and wait; no run may end in a traceback."""
        running = self.start(cwd, **env)
        text, _ = running.communicate(timeout=120)
        assert "Traceback" not in text, text
        return Run(running.returncode, text)

    def interrupt(self, began: Path) -> str:
        """Type the command, and Ctrl-C once the file is there: one sentence, nothing runs on."""
        running, deadline = self.start(), time.monotonic() + 60
        while not began.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)  # a stub that begins its sleep just now would pass the signal by
        os.killpg(running.pid, signal.SIGINT)
        text, _ = running.communicate(timeout=30)
        assert (running.returncode, text.count("safe to run this again")) == (130, 1), text
        assert "Traceback" not in text
        command = ["ps", "-o", "stat=", "-g", str(running.pid)]
        while re.search(
            "^[^Z]", subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout, re.M
        ):
            assert time.monotonic() < deadline, "a child process is still running"
        return text

    def git(self, *options: str, cwd: Path | None = None) -> str:
        command, where = ["git", *options], cwd or self.project
        return subprocess.check_output(command, cwd=where, env=self.env, text=True).strip()

    def write(self, name: str, text: str) -> Path:
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def check(self, entry: str = "'true'") -> None:
        """Let the commit hooks be two quick ones, of which the second is this."""
        self.write(".pre-commit-config.yaml", CHECKS.format(entry=entry))

    def replace(self, tool: str, script: str) -> Path:
        file = self.tools / tool
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return file

    def only(self, *tools: str) -> dict[str, str]:
        folder = self.tools.with_name("-".join(("only", *tools)))
        folder.mkdir()
        for tool in tools:
            (folder / tool).symlink_to(shutil.which(tool) or tool)
        return {"PATH": str(folder)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
