"""What every run records of its origin: issue, code, data, environment (E1, B10, V1)."""

import ast
import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
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
    """SHA-256 of the environment's `uv.lock`, or `not locked` where the file is missing."""
    lock = project.environment / "uv.lock"
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


def source_tags(project: Project, folder: Path) -> dict[str, str]:
    """MLflow's own tags of the source: its pages show person, folder, branch and commit."""
    repository, path = repository_address(project), folder.relative_to(project.root).as_posix()
    tags = {
        "user": user_name(project),
        "source.type": "PROJECT" if repository else "LOCAL",
        "source.name": f"{repository}#{path}" if repository else path,
        "source.git.branch": git_output(project, "branch", "--show-current"),
        "source.git.commit": git_output(project, "rev-parse", "HEAD"),
    }
    return {f"mlflow.{name}": value for name, value in tags.items() if value}


def repository_address(project: Project) -> str:
    """Address of the repository's page, by the remote `origin`; empty where it has none."""
    remote = redact(git_output(project, "remote", "get-url", "origin") or "")
    match = re.fullmatch(r"(?:https?://|ssh://|git@)([^/:]+)[/:](.+?)(?:\.git)?/?", remote)
    return f"https://{match[1]}/{match[2]}" if match else ""


def describe_origin(project: Project, question: str, **issues: int | None) -> str:
    """The description of a run or a version in MLflow: the question, and links to issues (E2)."""
    address = repository_address(project)
    form = f"{{}} [#{{}}]({address}/issues/{{}})" if address else "{} #{}"
    links = [form.format(name.capitalize(), n, n) for name, n in issues.items() if n]
    return f"{question}\n\n{', '.join(links)}"


def user_name(project: Project) -> str:
    """The person: in a workflow by GitHub's name, else by git's, else by the system's."""
    name = os.environ.get("GITHUB_ACTOR") or git_output(project, "config", "user.name")
    return name or os.environ.get("USER") or "unknown"


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
