"""Commits and files: which commits a branch has, which files differ, what a merge does."""

import hashlib

from tests.github.standin.model import Commit, Issue, Repository


def ancestors(repository: Repository, sha: str) -> list[str]:
    """A commit and all before it, newest first."""
    commits = repository.commits
    reached, todo = {sha}, [sha]
    while todo:
        parents = commits[todo.pop()].parents
        todo += [parent for parent in parents if parent not in reached]
        reached.update(parents)
    return sorted(reached, key=lambda one: commits[one].number, reverse=True)


def between(repository: Repository, base: str, head: str) -> list[Commit]:
    """The commits that `head` has and `base` has not, oldest first."""
    old = set(ancestors(repository, base))
    return [repository.commits[s] for s in reversed(ancestors(repository, head)) if s not in old]


def ends(repository: Repository, issue: Issue) -> tuple[str, str]:
    """The commits at the base and at the head of a pull request."""
    assert issue.pull
    head = repository.head_sha(issue)
    return issue.pull.base_sha or repository.branches.get(issue.pull.base, head), head


def changes(repository: Repository, issue: Issue) -> dict[str, str]:
    """The files that a pull request changes, since its branch left the base."""
    base, head = ends(repository, issue)
    return difference(repository, merge_base(repository, base, head), head)


def merge_base(repository: Repository, base: str, head: str) -> str:
    """The newest commit that both have."""
    old = set(ancestors(repository, base))
    return next((sha for sha in ancestors(repository, head) if sha in old), base)


def difference(repository: Repository, base: str, head: str) -> dict[str, str]:
    """Each file that differs between two commits, and how: `added`, `modified` or `removed`."""
    old, new = repository.commits[base].files, repository.commits[head].files
    changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    return {
        path: "added" if path not in old else "modified" if path in new else "removed"
        for path in sorted(changed)
    }


def merge(repository: Repository, issue: Issue, login: str) -> str:
    assert issue.pull
    pull, head = issue.pull, repository.head_sha(issue)
    pull.base_sha = repository.branches[pull.base]
    files = {p: repository.commits[head].files.get(p) for p in changes(repository, issue)}
    pull.merge_commit_sha = repository.commit(pull.base, files, login, merge=head).sha
    issue.state, pull.merged_at = "closed", issue.clock.now or "2026-01-05T10:00:00Z"
    return pull.merge_commit_sha


def blob(text: str) -> str:
    """The name that git gives to a file's content."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
