"""How GitHub shows what the stand-in remembers: the properties that the library may read."""

import base64
import zlib
from typing import Any

from tests.github.standin.history import blob, changes, ends
from tests.github.standin.model import Comment, Issue, Repository, Status

View = dict[str, Any]
SITE = "https://github.com"


def user(login: str) -> View:
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "id": zlib.crc32(login.encode()) % 10_000_000, "type": kind}


def repository(one: Repository, whole: bool = False) -> View:
    """A repository; only the `whole` names its parent."""
    view = {
        "id": one.id,
        "name": one.name,
        "full_name": one.full_name,
        "owner": user(one.owner),
        "private": one.private,
        "fork": one.parent is not None,
        "has_issues": True,
        "html_url": f"{SITE}/{one.full_name}",
        "default_branch": one.default_branch,
        **dict.fromkeys(("allow_merge_commit", "allow_squash_merge", "allow_rebase_merge"), True),
        **one.settings,
    }
    return view | ({"parent": repository(one.parent)} if whole and one.parent else {})


def author(owner: Repository, login: str) -> View:
    """Who wrote something, and what they are to the repository."""
    return {
        "user": user(login),
        "author_association": "OWNER" if login == owner.owner else "NONE",
    }


def comment(owner: Repository, one: Comment) -> View:
    return {"id": one.id, "body": one.body, **author(owner, one.user)}


def issue(owner: Repository, one: Issue) -> View:
    """An issue, or a pull request seen as one."""
    kind = "pull" if one.pull else "issues"
    view = {
        **author(owner, one.user),
        **({} if owner.is_server or one.pull else relations(owner, one)),
        "id": one.id,
        "number": one.number,
        "title": one.title,
        "body": one.body,
        "state": one.state,
        "state_reason": (one.reason or "completed").lower() if one.state == "closed" else None,
        "labels": [vars(each) for each in one.labels],
        "assignees": list(map(user, one.assignees)),
        "html_url": f"{SITE}/{owner.full_name}/{kind}/{one.number}",
    }
    merged = {"merged_at": one.pull.merged_at} if one.pull and one.pull.merged_at else {}
    return view | ({"pull_request": merged} if one.pull else {})


def relations(owner: Repository, one: Issue) -> View:
    """What an issue has to do with others, which only github.com says."""
    children = [each for each in owner.issues.values() if each.parent is one]
    done = sum(child.state == "closed" for child in children)
    view: View = {
        "sub_issues_summary": {"total": len(children), "completed": done},
        "issue_dependencies_summary": {"total_blocked_by": len(one.blockers)},
        "type": {"id": 1, "node_id": "IT_1", "name": one.type} if one.type else None,
    }
    if one.parent:
        path = f"repos/{owner.full_name}/issues/{one.parent.number}"
        view["parent_issue_url"] = f"https://api.github.com/{path}"
    return view


def pull(owner: Repository, one: Issue, whole: bool = True) -> View:
    """A pull request; lists show less than the `whole`."""
    assert one.pull
    view, (base, head) = issue(owner, one), ends(owner, one)
    del view["pull_request"]
    view |= {
        "draft": one.pull.draft,
        "merged_at": one.pull.merged_at,
        "merge_commit_sha": one.pull.merge_commit_sha,
        "head": side(one.pull.source, one.pull.head_ref, head),
        "base": side(owner, one.pull.base, base),
    }
    merged = one.pull.merged_at is not None
    facts = {"changed_files": len(changes(owner, one)), "mergeable": not one.pull.conflicts}
    return view | ({"merged": merged, **facts} if whole else {})


def side(owner: Repository, ref: str, sha: str) -> View:
    return {"ref": ref, "sha": sha, "user": user(owner.owner), "repo": repository(owner)}


def status(one: Status) -> View:
    return {**vars(one), "creator": user(one.creator)}


def ref(kind: str, name: str, sha: str) -> View:
    return {"ref": f"refs/{kind}/{name}", "object": {"type": "commit", "sha": sha}}


def file(path: str, text: str) -> View:
    content = base64.encodebytes(text.encode()).decode()
    return {"type": "file", "path": path, "sha": blob(text), "content": content}
