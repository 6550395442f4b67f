"""Where a project's library comes from, and whether that is the template's own commit.

Three things can differ: what `pyproject.toml` asks for, what is installed, and the commit of the
template that `.copier-answers.yml` records: a hash, a tag, or both as `git describe` writes them.
"""

import importlib.metadata
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dslp.core.files import read_yaml
from dslp.core.git import command_output
from dslp.core.settings import Project
from dslp.core.text import redact

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
    source, (runs, path, commit) = _source(project.root), _installed()
    if source is None:
        return Pin(runs, "this project pins no library; this is the one that runs here")
    wanted = str(source.get("rev") or source.get("tag") or source.get("branch") or "HEAD")
    if "git" in source:
        asked = f"{redact(str(source['git']))} at {wanted[:12]}"
        differs = not commit or _same(commit, wanted) is False
    elif "path" in source:
        place = (project.root / str(source["path"])).resolve()
        asked, differs = str(place), path != place
    else:
        asked = f"by {', '.join(source)}" if source.keys() - {"index"} else "an index"
        differs = asked == "an index" and bool(path or commit)
    if differs:
        return Pin(asked, f"what runs is {runs}: {SYNC}", works=False)
    if "git" in source:
        return _compare(asked, str(source["git"]), wanted, commit, project.root)
    if "path" in source:
        kind = "folder" if place.is_dir() else "file"
        return Pin(asked, f"not pinned: a {kind}, whose changes count here", doubtful=True)
    return Pin(asked, f"{runs}; its commit is not known, so it is not compared with the template's")


def _compare(asked: str, repository: str, wanted: str, commit: str, root: Path) -> Pin:
    """Whether the commit that is asked for, and installed, is the one that copier recorded."""
    file = root / ".copier-answers.yml"
    template = str((read_yaml(file) if file.is_file() else {}).get("_commit") or "")
    if not template:
        return Pin(asked, "installed; no commit of a template is recorded to compare it with")
    described = re.search(r"-\d+-g([0-9a-f]{7,40})$", template)
    known = described[1] if described else template
    if not described and _same(commit, known) is None:
        known = _tagged(repository, template)
    if not known:
        state = f"installed; not compared with the template's {template}: its commit is not known"
        return Pin(asked, state, doubtful=True)
    if commit.startswith(known):
        return Pin(asked, "installed, and the template's own commit")
    todo = f'uvx copier update, or rev = "{known}" in [tool.uv.sources.dslp]; then uv sync'
    state = f"the template is at {template}, another commit: {SYNC if wanted == template else todo}"
    return Pin(asked, state, works=False)


def _source(root: Path) -> Mapping[str, Any] | None:
    """The project's source for the library, empty for an index; None where it asks for none."""
    file = root / "pyproject.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found: Any = tomllib.loads(text)
    for name in ("tool", "uv", "sources", "dslp"):
        found = found.get(name) if isinstance(found, dict) else None
    if found:
        return found if isinstance(found, dict) else {"several sources": found}
    return {} if re.search(r"""["']dslp(?![\w.-])[^"'/]*["']""", text) else None


def _installed() -> tuple[str, Path | None, str]:
    """The library that runs: in words, its path, and its commit, where it has them (PEP 610)."""
    version = f"dslp {importlib.metadata.version('dslp')}"
    text = importlib.metadata.distribution("dslp").read_text("direct_url.json")
    if not text:
        return f"{version} from an index", None, ""
    found = json.loads(text)
    commit = found.get("vcs_info", {}).get("commit_id", "")
    if commit:
        return f"{version} of commit {commit[:12]}", None, commit
    path = Path(url2pathname(urlsplit(found["url"]).path)).resolve()
    return f"{version} from {redact(found['url'])}", path, ""


def _same(commit: str, other: str) -> bool | None:
    """Whether both are one commit; None where that cannot be told, as for a tag.

    A word of digits alone may be a short hash, or a tag such as 20261126.
    """
    if len(other) >= 7 and commit.startswith(other):
        return True
    return False if re.fullmatch(r"(?=.*[a-f])[0-9a-f]{7,40}|\d{40}", other) else None


def _tagged(repository: str, tag: str) -> str:
    """The commit of a tag, if its repository answers soon and without asking anybody."""
    names = [f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"]  # the second is of an annotated one
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    lines = (
        command_output("git", "ls-remote", "--", repository, *names, timeout=PATIENCE, **quiet)
        or ""
    )
    found = dict(line.split("\t")[::-1] for line in lines.splitlines())
    return str(found.get(names[1]) or found.get(names[0]) or "")
