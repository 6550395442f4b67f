"""Commits and files: which commits a branch has, which files differ, what a merge does."""

import hashlib
import re

from tests.github.standin.model import Commit, Issue, Repository

CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)", re.IGNORECASE)


def ancestors(repository: Repository, sha: str) -> list[str]:
    """A commit and all before it, newest first."""
    commits = repository.commits
    reached, todo = {sha}, [sha]
    while todo:
        parents = commits[todo.pop()].parents
        todo += [parent for parent in parents if parent not in reached]
        reached.update(parents)
    return sorted(reached, key=lambda one: commits[one].date, reverse=True)


def between(repository: Repository, base: str, head: str) -> list[Commit]:
    """The commits that `head` has and `base` has not, oldest first."""
    old = set(ancestors(repository, base))
    return [repository.commits[s] for s in reversed(ancestors(repository, head)) if s not in old]


def ends(repository: Repository, issue: Issue) -> tuple[str, str]:
    """The commits at the base and at the head of a pull request."""
    assert issue.pull
    head = repository.head_sha(issue)
    return issue.pull.base_sha or repository.branches.get(issue.pull.base, head), head


def changes(repository: Repository, issue: Issue) -> dict[str, tuple[str, str]]:
    """The files that a pull request changes, since its branch left the base."""
    base, head = ends(repository, issue)
    old = set(ancestors(repository, base))
    common = next((sha for sha in ancestors(repository, head) if sha in old), base)
    return difference(repository, common, head)


def difference(repository: Repository, base: str, head: str) -> dict[str, tuple[str, str]]:
    """Each file that differs between two commits: how (`added`, …), and its name before a rename.

    A file that moved unchanged is a rename.
    """
    old, new = repository.commits[base].files, repository.commits[head].files
    removed = {path: text for path, text in old.items() if path not in new}
    files = {}
    for path, text in new.items():
        source = next((one for one, other in removed.items() if other == text and text), "")
        if path in old and old[path] != text:
            files[path] = "modified", ""
        elif path not in old:
            files[path] = ("renamed", source) if source else ("added", "")
            removed.pop(source, None)
    return dict(sorted((files | dict.fromkeys(removed, ("removed", ""))).items()))


def merge(repository: Repository, issue: Issue, login: str) -> str:
    """Merge a pull request, which closes the issues that its body says it closes."""
    assert issue.pull
    pull, head = issue.pull, repository.head_sha(issue)
    pull.base_sha = repository.branches[pull.base]
    changed = changes(repository, issue)
    files = {path: repository.commits[head].files.get(path) for path in changed}
    files |= {source: None for _, source in changed.values() if source}
    commit = repository.commit(pull.base, files, f"Merge #{issue.number}", login, merge=head)
    pull.merge_commit_sha, pull.merged_by = commit.sha, login
    issue.touch(repository.clock, "closed")
    pull.merged_at = issue.closed_at
    if pull.base == repository.default_branch:
        for number in CLOSES.findall(issue.body or ""):
            if closed := repository.issues.get(int(number)):
                closed.touch(repository.clock, "closed")
    return commit.sha


def blob(text: str) -> str:
    """The name that git gives to a file's content."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
