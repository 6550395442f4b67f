"""What an update of the template leaves to a person: conflicts, and edits of deleted files."""

import re

from dslp.core.git import git_output
from dslp.core.settings import Project

# An entry of `git status -z` about a file that is unmerged, or holds what did not apply.
_UNMERGED = r"(?:U.|.U|AA|DD|\?\?(?=.*\.rej$)) (.+)"
_MARKER = "^(<<<<<<< before updating|>>>>>>> after updating)$"


def conflicts(project: Project) -> list[str]:
    """Paths of files in which the team's lines and the template's have not been brought together.

    They are unmerged, hold copier's conflict markers, or lie beside a change that did not apply.
    """
    status = _git(project, "status", "--porcelain", "-z", "--untracked-files=all") or ""
    entries = (re.fullmatch(_UNMERGED, entry, re.DOTALL) for entry in status.split("\0"))
    names = [entry[1] for entry in entries if entry]
    marked = _git(project, "grep", "-lzE", _MARKER) or ""
    return sorted({*names, *marked.split("\0")} - {""})


def lost_edits(project: Project) -> tuple[str, list[str]]:
    """The commit before the update at hand, and the files of it that were edited and are deleted.

    An update is at hand until it is committed, and while its commit is the last one. An edit is a
    commit that touches a file, and not the answers that copier records with each of its own.
    """
    answers = project.answers_file.name
    own = set((_git(project, "log", "--format=%H", "--", answers) or "").split())
    if own and _git(project, "status", "--porcelain", "--", answers):
        before = "HEAD"
    elif len(own) > 1 and _git(project, "diff", "--name-only", "HEAD~1", "HEAD", "--", answers):
        before = "HEAD~1"
    else:
        return "HEAD", []
    options = ("--name-only", "-z", "--no-renames", "--relative", "--diff-filter=D")
    names = (_git(project, "diff-index", *options, before) or "").split("\0")[:-1]
    deleted = [name for name in names if not (project.root / name).exists()]
    return before, [name for name in deleted if _is_edited(project, before, name, own)]


def _is_edited(project: Project, revision: str, name: str, own: set[str]) -> bool:
    """Whether the template wrote a file, and a person changed it, up to a revision."""
    log = _git(project, "log", "--format=%H", revision, "--", f":(literal){name}") or ""
    commits = set(log.split())
    return bool(commits & own) and bool(commits - own)


def _git(project: Project, *arguments: str) -> str | None:
    """What git prints; its index is left as it is."""
    return git_output(project, "--no-optional-locks", *arguments)
