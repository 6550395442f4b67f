"""Where a project's library comes from, and whether that is the template's own commit.

Three things can differ: what `pyproject.toml` asks for, what is installed, and the commit of the
template that `.copier-answers.yml` records: a hash, a tag, or both as `git describe` writes them.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dslp.project import Project, read_yaml, redacted

PATIENCE = 5.0  # seconds for the template's repository
SYNC = "uv sync, then uv run dslp doctor"


@dataclass(frozen=True)
class Pin:
    """What is asked for, what is to be said of it, and whether it works or is only doubtful."""

    asked: str
    state: str
    works: bool = True
    doubtful: bool = False


def examine_pin(project: Project) -> Pin:
    """Compare what the project asks for with what runs, and with the template's commit."""
    asked, installed = _asked(project.root), _installed()
    runs = _described(installed)
    if asked is None:
        return Pin(runs, "this project pins no library; this is the one that runs here")
    if "git" in asked:
        return _examine_commit(asked, installed, _template(project.root))
    if "path" in asked:
        path = (project.root / str(asked["path"])).resolve()
        if _path(installed) != path:
            return Pin(str(path), f"what runs is {runs}: {SYNC}", works=False)
        kind = "file" if path.is_file() else "folder"
        return Pin(str(path), f"not pinned: a {kind}, whose changes count here", doubtful=True)
    if asked.keys() <= {"index"} and installed:
        return Pin("an index", f"what runs is {runs}: {SYNC}", works=False)
    where = "an index" if asked.keys() <= {"index"} else f"by {', '.join(asked)}"
    return Pin(where, f"{runs}; its commit is not known, so it is not compared with the template's")


def _examine_commit(
    asked: Mapping[str, Any], installed: Mapping[str, Any], template: str | None
) -> Pin:
    repository = str(asked["git"])
    wanted = str(asked.get("rev") or asked.get("tag") or asked.get("branch") or "HEAD")
    where = f"{redacted(repository)} at {wanted[:12]}"
    commit = _commit(installed)
    if not commit or _same(commit, wanted) is False:
        return Pin(where, f"what runs is {_described(installed)}: {SYNC}", works=False)
    loose = not ("rev" in asked or "tag" in asked)
    said = "not pinned: a branch; " if loose else ""
    if template is None:
        return Pin(where, f"{said}there is no template to compare it with", doubtful=loose)
    known: str | None = _hash(template)
    if _same(commit, _hash(template)) is None:  # a tag
        known = _tagged(repository, template) if template else None
    if known is None:
        said += f"not compared: no commit is known of the template ({template or 'none recorded'})"
        return Pin(where, said, doubtful=True)
    if _same(commit, known):
        return Pin(where, f"{said}the template's own commit, and installed", doubtful=loose)
    todo = f'uvx copier update, or rev = "{known}" in [tool.uv.sources]; then uv sync'
    said = f"the template is at {template}, another commit: {SYNC if template == wanted else todo}"
    return Pin(where, said, works=False)


def _asked(root: Path) -> Mapping[str, Any] | None:
    """The project's source for the library, empty for an index; None where it asks for none."""
    file = root / "pyproject.toml"
    content: Any = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    source = _at(content, "tool", "uv", "sources", "dslp")
    if source:
        return source if isinstance(source, dict) else {"several sources": source}
    listed = [_at(content, "project", "dependencies"), _at(content, "dependency-groups")]
    return {} if any(re.match(r"dslp(?![\w.-])", text) for text in _texts(listed)) else None


def _at(content: Any, *names: str) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _installed() -> dict[str, Any]:
    """Where the library that runs was installed from (PEP 610); empty for an index."""
    text = importlib.metadata.distribution("dslp").read_text("direct_url.json")
    return dict(json.loads(text)) if text else {}


def _commit(installed: Mapping[str, Any]) -> str:
    return str(installed.get("vcs_info", {}).get("commit_id", ""))


def _described(installed: Mapping[str, Any]) -> str:
    version, commit = f"dslp {importlib.metadata.version('dslp')}", _commit(installed)
    if commit:
        return f"{version} of commit {commit[:12]}"
    if installed:
        return f"{version} from {_path(installed) or redacted(str(installed['url']))}"
    return f"{version} from an index"


def _path(installed: Mapping[str, Any]) -> Path | None:
    parts = urlsplit(str(installed.get("url", "")))
    return Path(url2pathname(parts.path)).resolve() if parts.scheme == "file" else None


def _template(root: Path) -> str | None:
    """The commit that copier recorded; empty where it knew none, None without a template."""
    file = root / ".copier-answers.yml"
    return str(read_yaml(file).get("_commit") or "") if file.is_file() else None


def _hash(recorded: str) -> str:
    """The hash in what `git describe` wrote; what was recorded where it has none."""
    found = re.search(r"-\d+-g([0-9a-f]{7,40})$", recorded)
    return found[1] if found else recorded


def _same(commit: str, other: str) -> bool | None:
    """Whether both are one commit; None where that cannot be told, as for a tag.

    A word of digits alone may be a short hash, or a tag such as 20261126.
    """
    if len(other) >= 7 and commit.startswith(other):
        return True
    return False if re.fullmatch(r"(?=.*[a-f])[0-9a-f]{7,40}|\d{40}", other) else None


def _tagged(repository: str, tag: str) -> str | None:
    """The commit of a tag, if its repository answers soon and without asking anybody."""
    names = [f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"]  # the second is of an annotated one
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--", repository, *names],
            env={**quiet, **os.environ},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.split("\t") for line in done.stdout.splitlines())
    found = {name: commit for commit, name in lines}
    return found.get(names[1]) or found.get(names[0])
