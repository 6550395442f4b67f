"""What every run records of its origin: issue, code, data, environment (E1, B10, V1)."""

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

MOST = 4000  # characters that every tracking server takes in a tag


def settings_tag(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings as a tag in JSON, since MLflow keeps each parameter as text, and 1 is not "1".

    No tag where they are too long, or JSON would change them, such as a date into text.
    """
    text = json.dumps(settings, default=str)
    if len(text) > MOST or json.loads(text) != settings:
        return {}
    return {"dslp.settings": text}


def code_tags(project: Project) -> dict[str, str]:
    """Tags of the code: commit, branch, clean or not (B10), environment.

    Commit and branch are `none` in a folder without git, and in a repository without a commit.
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
    """SHA-256 of the project's `uv.lock`, or `not locked` where the file is missing."""
    lock = project.root / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "not locked"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as MLflow keeps them: text by name, with levels joined by dots."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def issue_note(project: Project, issue: int) -> dict[str, str]:
    """The description on the run's page in MLflow: a link to the issue (E2)."""
    remote = redact(git_output(project, "remote", "get-url", "origin") or "")
    match = re.fullmatch(r"(?:https?://|ssh://|git@)([^/:]+)[/:](.+?)(?:\.git)?/?", remote)
    link = f"[#{issue}](https://{match[1]}/{match[2]}/issues/{issue})" if match else f"#{issue}"
    return {"mlflow.note.content": f"Issue {link}"}


def code_digest(source: str) -> str:
    """SHA-256 of Python code without its comments, docstrings and layout."""
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
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()  # `dump` differs by Python
