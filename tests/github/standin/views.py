"""How GitHub shows what the stand-in remembers; required properties left out here are completed."""

from urllib.parse import quote

from tests.github.standin.addresses import SITE, View, api, node, user
from tests.github.standin.history import between, changes, ends
from tests.github.standin.model import Comment, Issue, Label, Repository, Status


def repository(one: Repository) -> View:
    """A repository."""
    parent = (
        {"parent": repository(one.parent), "source": repository(one.parent)} if one.parent else {}
    )
    return {
        "id": one.id,
        "node_id": node("R", one.id),
        "name": one.name,
        "full_name": one.full_name,
        "owner": user(one.owner),
        "private": one.private,
        "visibility": "private" if one.private else "public",
        "fork": one.parent is not None,
        "html_url": f"{SITE}/{one.full_name}",
        "url": api(one),
        "default_branch": one.default_branch,
        "has_issues": True,
        "allow_merge_commit": True,
        "allow_squash_merge": True,
        "allow_rebase_merge": True,
        "delete_branch_on_merge": False,
        **parent,
        **one.settings,
    }


def label(owner: Repository, one: Label) -> View:
    """A label."""
    return {
        "id": one.id,
        "node_id": node("LA", one.id),
        "url": api(owner, f"/labels/{quote(one.name, safe='')}"),
        "name": one.name,
        "description": one.description,
        "color": one.color,
        "default": one.default,
    }


def comment(owner: Repository, issue_: Issue, one: Comment) -> View:
    """A comment on an issue."""
    return {
        "id": one.id,
        "node_id": node("IC", one.id),
        "url": api(owner, f"/issues/comments/{one.id}"),
        "html_url": f"{SITE}/{owner.full_name}/issues/{issue_.number}#issuecomment-{one.id}",
        "issue_url": api(owner, f"/issues/{issue_.number}"),
        "body": one.body,
        "user": user(one.user),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "author_association": "NONE",
    }


def _common(owner: Repository, one: Issue, kind: str) -> View:
    url = api(owner, f"/issues/{one.number}")
    return {
        "id": one.id,
        "node_id": node("I", one.id),
        "number": one.number,
        "title": one.title,
        "body": one.body,
        "state": one.state,
        "user": user(one.user),
        "labels": [label(owner, each) for each in one.labels],
        "html_url": f"{SITE}/{owner.full_name}/{kind}/{one.number}",
        "comments_url": f"{url}/comments",
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "closed_at": one.closed_at,
        "author_association": "NONE",
    }


def issue(owner: Repository, one: Issue) -> View:
    """An issue, or a pull request seen as one."""
    url = api(owner, f"/issues/{one.number}")
    pull_url = api(owner, f"/pulls/{one.number}")
    page = f"{SITE}/{owner.full_name}/pull/{one.number}"
    done = sum(each.state == "closed" for each in one.sub_issues)
    of_pull = (
        {
            "pull_request": {
                "url": pull_url,
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": one.pull.merged_at,
            }
        }
        if one.pull
        else {}
    )
    return {
        **_common(owner, one, "pull" if one.pull else "issues"),
        "url": url,
        "repository_url": api(owner),
        "labels_url": f"{url}/labels{{/name}}",
        "events_url": f"{url}/events",
        "comments": len(one.comments),
        "state_reason": one.state_reason,
        "sub_issues_summary": {
            "total": len(one.sub_issues),
            "completed": done,
            "percent_completed": 100 * done // max(len(one.sub_issues), 1),
        },
        **of_pull,
    }


def pull(owner: Repository, one: Issue, whole: bool = True) -> View:
    """A pull request; lists show less than the `whole`."""
    assert one.pull
    half, url = one.pull, api(owner, f"/pulls/{one.number}")
    base, head = ends(owner, one)
    shown = {
        **_common(owner, one, "pull"),
        "url": url,
        "issue_url": api(owner, f"/issues/{one.number}"),
        "commits_url": f"{url}/commits",
        "statuses_url": api(owner, f"/statuses/{head}"),
        "draft": half.draft,
        "merged_at": half.merged_at,
        "merge_commit_sha": half.merge_commit_sha,
        "head": side(half.source, half.head_ref, head),
        "base": side(owner, half.base, base),
    }
    if not whole:
        return shown
    files, commits = changes(owner, one), between(owner, base, head)
    return shown | {
        "merged": half.merged_at is not None,
        "merged_by": user(half.merged_by) if half.merged_by else None,
        "mergeable": None if half.merged_at else one.state == "open",
        "mergeable_state": "clean" if one.state == "open" else "unknown",
        "comments": len(one.comments),
        "commits": len(commits),
        "changed_files": len(files),
        "additions": sum(each["additions"] for each in files),
        "deletions": sum(each["deletions"] for each in files),
        "maintainer_can_modify": half.source is not owner,
    }


def side(owner: Repository, ref: str, sha: str) -> View:
    """One end of a pull request."""
    return {
        "label": f"{owner.owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(owner.owner),
        "repo": repository(owner),
    }


def status(owner: Repository, sha: str, one: Status) -> View:
    """A commit status."""
    return {
        "id": one.id,
        "node_id": node("SC", one.id),
        "url": api(owner, f"/statuses/{sha}"),
        "avatar_url": None,
        "state": one.state,
        "context": one.context,
        "description": one.description,
        "target_url": one.target_url,
        "created_at": one.created_at,
        "updated_at": one.created_at,
        "creator": user(one.creator),
    }
