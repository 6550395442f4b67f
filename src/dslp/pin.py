"""Where a project's library comes from, and whether that is the template's own commit.

Three things can differ: the source in `pyproject.toml`, what is installed, and the commit of the
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
from dslp.core.report import Finding, Report
from dslp.core.settings import Project
from dslp.core.text import redact

PATIENCE = 5.0  # seconds for each place
SYNC = "uv sync, then uv run dslp doctor"


@dataclass(frozen=True)
class Place:
    """A tool or a place that the process needs.

    Attributes:
        name: what it is for, such as `library` or `tracking`.
        where: its path or address, without a password.
        state: what was found out about it.
        works: whether it can be used.
        doubtful: whether it works, but may surprise somebody.
    """

    name: str
    where: str
    state: str
    works: bool = True
    doubtful: bool = False

    @property
    def report(self) -> Report:
        """The same as what a check says; what is doubtful is a warning."""
        finding = Finding(self.name, self.state, subject=self.where, severe=not self.works)
        findings = [finding] if self.doubtful or not self.works else []
        return Report(self.name, 1, findings, details={"where": self.where, "state": self.state})


def examine_pin(project: Project) -> Place:
    """Compare the source in `pyproject.toml` with what is installed, and with the template."""
    home = project.tool if project.is_adopted else project.root
    source, (installed, path, commit) = _read_source(home), _read_installed()
    if source is None:
        return Place("library", installed, "this project pins no library; this one runs")
    revision = str(source.get("rev") or source.get("tag") or source.get("branch") or "HEAD")
    if "git" in source:
        where = f"{redact(str(source['git']))} at {revision[:12]}"
        differs = not commit or _same_commit(commit, revision) is False
    elif "path" in source:
        folder = (home / str(source["path"])).resolve()
        where, differs = str(folder), path != folder
    else:
        where = f"by {', '.join(source)}" if source.keys() - {"index"} else "an index"
        differs = where == "an index" and bool(path or commit)
    if differs:
        return Place("library", where, f"installed is {installed}: {SYNC}", works=False)
    if "git" in source:
        return _compare(where, str(source["git"]), revision, commit, project.answers_file)
    if "path" in source:
        kind = "folder" if folder.is_dir() else "file"
        state = f"not pinned: a {kind}, whose changes count at once"
        return Place("library", where, state, doubtful=True)
    return Place("library", where, f"{installed}; its commit is unknown, so it is not compared")


def _compare(where: str, repository: str, revision: str, commit: str, file: Path) -> Place:
    """Whether the commit that is installed is the one that copier recorded."""
    template = str((read_yaml(file) if file.is_file() else {}).get("_commit") or "")
    if not template:
        return Place("library", where, "installed; no commit of a template is recorded")
    described = re.search(r"-\d+-g([0-9a-f]{7,40})$", template)
    recorded = described[1] if described else template
    if not described and _same_commit(commit, recorded) is None:
        recorded = _tagged_commit(repository, template)
    if not recorded:
        state = f"installed; not compared with the template's {template}: its commit is unknown"
        return Place("library", where, state, doubtful=True)
    if commit.startswith(recorded):
        return Place("library", where, "installed, and the template's own commit")
    todo = f'uvx copier update, or rev = "{recorded}" in [tool.uv.sources.dslp]; then uv sync'
    todo = f"another commit: {SYNC if revision == template else todo}"
    return Place("library", where, f"the template is at {template}, {todo}", works=False)


def _read_source(root: Path) -> Mapping[str, Any] | None:
    """The project's source for the library, empty for an index; None where it asks for none."""
    file = root / "pyproject.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    uv = tomllib.loads(text).get("tool", {}).get("uv", {})
    if source := uv.get("sources", {}).get("dslp"):
        return source if isinstance(source, dict) else {"several sources": source}
    return {} if re.search(r"""["']dslp(?![\w.-])[^"'/]*["']""", text) else None


def _read_installed() -> tuple[str, Path | None, str]:
    """What is installed: in words, its path, and its commit, where it has them (PEP 610)."""
    version = f"dslp {importlib.metadata.version('dslp')}"
    text = importlib.metadata.distribution("dslp").read_text("direct_url.json")
    if not text:
        return f"{version} from an index", None, ""
    origin = json.loads(text)
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    if commit:
        return f"{version} of commit {commit[:12]}", None, commit
    path = Path(url2pathname(urlsplit(origin["url"]).path)).resolve()
    return f"{version} from {redact(origin['url'])}", path, ""


def _same_commit(commit: str, other: str) -> bool | None:
    """Whether both are one commit; None where `other` may be a tag.

    A word of digits alone may be a short hash, or a tag such as 20261126.
    """
    if len(other) >= 7 and commit.startswith(other):
        return True
    return False if re.fullmatch(r"(?=.*[a-f])[0-9a-f]{7,40}|\d{40}", other) else None


def _tagged_commit(repository: str, tag: str) -> str:
    """The commit of a tag, if its repository answers soon and without asking anybody."""
    names = [f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}"]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    command = ("git", "ls-remote", "--", repository, *names)
    lines = (command_output(*command, timeout=PATIENCE, **quiet) or "").splitlines()
    # An annotated tag has a second, longer line, of the commit.
    return max(lines, key=len).split("\t")[0] if lines else ""
