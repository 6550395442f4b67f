"""What every run records of how it was made: issue, code, data, environment (E1, B10, V1)."""

import ast
import hashlib
import json
import platform
import re
from collections.abc import Mapping
from typing import Any

from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.text import redact

ROOM = 4000  # characters that every tracking server takes in a tag


def settings_tag(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings as a tag, as a parameter is text to MLflow, and 1 is not "1".

    There is none where they are too long, or would come back as others, such as a date as text.
    """
    text = json.dumps(settings, default=str)
    if len(text) > ROOM or json.loads(text) != settings:
        return {}
    return {"dslp.settings": text}


def code_tags(project: Project) -> dict[str, str]:
    """Tags of the code: commit, branch, clean or not (B10), environment.

    A folder without git, or a repository without a commit, is said to be that.
    """
    commit = git_output(project, "rev-parse", "HEAD")
    changes = git_output(project, "status", "--porcelain", "--untracked-files=normal")
    return {
        "dslp.commit": commit or "none",
        "dslp.branch": git_output(project, "branch", "--show-current") or "none",
        "dslp.clean": "true" if commit and changes == "" else "false",
        "dslp.environment": lock_digest(project),
        "dslp.python": platform.python_version(),
    }


def lock_digest(project: Project) -> str:
    """SHA-256 of the project's `uv.lock`, or that there is none."""
    lock = project.root / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "not locked"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as MLflow keeps them: one text a name, levels joined by dots."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def issue_note(project: Project, issue: int) -> dict[str, str]:
    """The description that MLflow shows on the run's page: the way to the issue (E2)."""
    remote = redact(git_output(project, "remote", "get-url", "origin") or "")
    place = re.fullmatch(r"(?:https?://|ssh://|git@)([^/:]+)[/:](.+?)(?:\.git)?/?", remote)
    where = f"https://{place[1]}/{place[2]}/issues/{issue}" if place else ""
    return {"mlflow.note.content": f"Issue [#{issue}]({where})" if where else f"Issue #{issue}"}


def code_digest(source: str) -> str:
    """SHA-256 of what Python code does: without comments, docstrings and its layout."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return hashlib.sha256(source.encode()).hexdigest()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
