"""What git and other programs answer; nothing of a repository is run by a shell."""

import os
import subprocess
from typing import Any

from dslp.core.settings import Project


def git_output(project: Project, *arguments: str) -> str | None:
    """What git answers in the project's folder; nothing where it has no answer."""
    return command_output("git", "-C", str(project.root), *arguments)


def command_output(*command: str, timeout: float | None = None, **variables: str) -> str | None:
    """What a command prints, in an environment with these variables; nothing where it fails."""
    options: dict[str, Any] = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    environment = {**variables, **os.environ}
    try:
        done = subprocess.run(command, env=environment, timeout=timeout, check=True, **options)
    except (OSError, subprocess.SubprocessError):
        return None
    return str(done.stdout).strip()


def changed_paths(project: Project, commit: str | None) -> list[str] | None:
    """Paths in `src/`, from the project's root, that differ from what a commit held.

    Nothing is known (None) where the commit is not here: where there was none before, or where a
    push has replaced the history that it was in.
    """
    asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"]
    found = git_output(project, *asked)
    options = ("--name-only", "-z", "--no-renames", "--relative")
    said = git_output(project, "diff", *options, found, "--", "src") if found else None
    return None if said is None else said.split("\0")[:-1]
