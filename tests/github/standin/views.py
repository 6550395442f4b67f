"""How GitHub shows what the stand-in remembers; required properties left out here are completed."""

import base64
import zlib
from typing import Any

from tests.github.standin.history import between, blob, changes, ends
from tests.github.standin.model import Comment, Commit, Issue, Label, Repository, Status

View = dict[str, Any]
SITE = "https://github.com"


def user(login: str) -> View:
    """A person, an organisation or a bot."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "id": zlib.crc32(login.encode()) % 10_000_000, "type": kind}


def repository(one: Repository) -> View:
    """A repository."""
    parent = repository(one.parent) if one.parent else None
    return {
        "id": one.id,
        "name": one.name,
        "full_name": one.full_name,
        "owner": user(one.owner),
        "private": one.private,
        "visibility": "private" if one.private else "public",
        "fork": one.parent is not None,
        "html_url": f"{SITE}/{one.full_name}",
        "default_branch": one.default_branch,
        "pushed_at": "2026-01-05T09:00:00Z",
        **dict.fromkeys(("allow_merge_commit", "allow_squash_merge", "allow_rebase_merge"), True),
        **({"parent": parent, "source": parent} if parent else {}),
        **one.settings,
    }


def label(one: Label) -> View:
    """A label."""
    return dict(vars(one))


def author(owner: Repository, login: str) -> View:
    """Who wrote something, and what they are to the repository."""
    role = "COLLABORATOR" if login in owner.collaborators else "NONE"
    return {
        "user": user(login),
        "author_association": "OWNER" if login == owner.owner else role,
    }


def comment(owner: Repository, one: Comment) -> View:
    """A comment on an issue."""
    return vars(one) | author(owner, one.user)


def _common(owner: Repository, one: Issue) -> View:
    kind = "pull" if one.pull else "issues"
    return {
        **author(owner, one.user),
        "id": one.id,
        "number": one.number,
        "title": one.title,
        "body": one.body,
        "state": one.state,
        "labels": [label(each) for each in one.labels],
        "html_url": f"{SITE}/{owner.full_name}/{kind}/{one.number}",
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "closed_at": one.closed_at,
        "comments": len(one.comments),
    }


def issue(owner: Repository, one: Issue) -> View:
    """An issue, or a pull request seen as one."""
    pull = {"pull_request": {"merged_at": one.pull.merged_at}} if one.pull else {}
    return {**_common(owner, one), "state_reason": one.state_reason, **pull}


def pull(owner: Repository, one: Issue, whole: bool = True) -> View:
    """A pull request; lists show less than the `whole`."""
    assert one.pull
    half, (base, head) = one.pull, ends(owner, one)
    view = {
        **_common(owner, one),
        "draft": half.draft,
        "merged_at": half.merged_at,
        "merge_commit_sha": half.merge_commit_sha,
        "head": side(half.source, half.head_ref, head),
        "base": side(owner, half.base, base),
    }
    if not whole:
        return view
    return view | {
        "merged": half.merged_at is not None,
        "merged_by": user(half.merged_by) if half.merged_by else None,
        "mergeable": None if half.merged_at else one.state == "open",
        "commits": len(between(owner, base, head)),
        "changed_files": len(changes(owner, one)),
    }


def side(owner: Repository, ref: str, sha: str) -> View:
    """One end of a pull request."""
    return {"ref": ref, "sha": sha, "user": user(owner.owner), "repo": repository(owner)}


def status(one: Status) -> View:
    """A commit status."""
    return vars(one) | {"updated_at": one.created_at, "creator": user(one.creator)}


def changed_file(owner: Repository, sha: str, path: str, change: tuple[str, str]) -> View:
    """A file that a pull request changes."""
    how, source = change
    text = owner.commits[sha].files.get(path, "")
    view = {"sha": blob(text), "filename": path, "status": how}
    return view | ({"previous_filename": source} if source else {})


def commit(one: Commit) -> View:
    """A commit, as the answer to a changed file has it."""
    author = {"name": one.author, "email": f"{one.author}@example.org", "date": one.date}
    return {"sha": one.sha, "message": one.message, "author": author}


def ref(branch: str, sha: str) -> View:
    """A branch as a git reference."""
    return {"ref": f"refs/heads/{branch}", "object": {"type": "commit", "sha": sha}}


def file(path: str, text: str) -> View:
    """A file with its text."""
    content = base64.encodebytes(text.encode()).decode()
    view = {"type": "file", "name": path.rpartition("/")[2], "path": path, "sha": blob(text)}
    return view | {"size": len(text.encode()), "encoding": "base64", "content": content}
