"""The output of git and of other programs; no text of a repository reaches a shell."""

import os
import subprocess
from typing import Any

from dslp.core.settings import Project


def git_output(project: Project, *arguments: str) -> str | None:
    """What git prints in the project's folder; None where it fails."""
    return command_output("git", "-C", str(project.root), *arguments)


def command_output(*command: str, timeout: float | None = None, **variables: str) -> str | None:
    """What a command prints, given these environment variables too; None where it fails."""
    options: dict[str, Any] = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    environment = {**variables, **os.environ}
    try:
        done = subprocess.run(command, env=environment, timeout=timeout, check=True, **options)
    except (OSError, subprocess.SubprocessError):
        return None
    return str(done.stdout).strip()


def subfolder_problem(project: Project) -> str | None:
    """What is wrong where the project is a folder of a larger repository, and what to do."""
    folder = git_output(project, "rev-parse", "--show-prefix")
    if not folder:
        return None
    top = git_output(project, "rev-parse", "--show-toplevel")
    return (
        f"part of the repository {top}; .github and commit hooks work at its top only. Move this "
        f"folder out, as a repository of its own; or drop the process in at the top, where "
        f'dslp.toml says code = "{folder}src"; see docs/library.md of the template'
    )


def changed_paths(project: Project, commit: str | None) -> list[str] | None:
    """Paths in the project's package, from its root, that differ from what a commit held.

    None where this repository does not have the commit: a push replaced the history.
    """
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    if not (digest := git_output(project, *verify)):
        return None
    options = ("--name-only", "-z", "--no-renames", "--relative")
    paths = git_output(project, "diff", *options, digest, "--", str(project.source))
    return None if paths is None else paths.split("\0")[:-1]
