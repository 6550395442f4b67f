"""Commits, files and references: what differs, what was there, and how GitHub shows it."""

import base64
import difflib
import hashlib
import zlib

from tests.github.standin.addresses import SITE, View, api, node, user
from tests.github.standin.model import Commit, Issue, Repository


def ancestors(repository: Repository, sha: str) -> dict[str, None]:
    """A commit and all before it, newest first."""
    seen: dict[str, None] = {}
    todo = [sha]
    while todo:
        todo.sort(key=lambda one: repository.commits[one].date)
        one = todo.pop()
        if one not in seen:
            seen[one] = None
            todo += repository.commits[one].parents
    return seen


def merge_base(repository: Repository, base: str, head: str) -> str:
    """The newest commit that both have."""
    known = ancestors(repository, base)
    return next((sha for sha in ancestors(repository, head) if sha in known), base)


def between(repository: Repository, base: str, head: str) -> list[Commit]:
    """The commits that `head` has and `base` has not, oldest first."""
    known = ancestors(repository, base) if base in repository.commits else {}
    new = [sha for sha in ancestors(repository, head) if sha not in known]
    return [repository.commits[sha] for sha in reversed(new)]


def changes(repository: Repository, issue: Issue) -> list[View]:
    """The files that a pull request changes."""
    base, head = ends(repository, issue)
    return difference(repository, merge_base(repository, base, head), head)


def ends(repository: Repository, issue: Issue) -> tuple[str, str]:
    """The commits at the base and at the head of a pull request."""
    assert issue.pull
    head = repository.head_sha(issue)
    return issue.pull.base_sha or repository.branches.get(issue.pull.base, head), head


def is_head(repository: Repository, issue: Issue, branch: str) -> bool:
    """Whether a pull request comes from this branch."""
    pull = issue.pull
    return pull is not None and (pull.source, pull.head_ref) == (repository, branch)


def difference(owner: Repository, base: str, head: str) -> list[View]:
    """The files that differ between two commits; a file moved unchanged is a rename."""
    old, new = owner.commits[base].files, owner.commits[head].files
    gone = {path: text for path, text in old.items() if path not in new}
    entries = []
    for path in sorted(new):
        if path in old and old[path] != new[path]:
            entries.append(entry(owner, head, path, "modified", old[path], new[path]))
        elif path not in old:
            source = next((one for one, text in gone.items() if text == new[path] and text), None)
            if source:
                del gone[source]
                moved = entry(owner, head, path, "renamed", new[path], new[path])
                entries.append(moved | {"previous_filename": source})
            else:
                entries.append(entry(owner, head, path, "added", "", new[path]))
    entries += [entry(owner, head, path, "removed", text, "") for path, text in gone.items()]
    return sorted(entries, key=lambda one: str(one["filename"]))


def entry(owner: Repository, sha: str, path: str, how: str, old: str, new: str) -> View:
    """A changed file."""
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3))[2:]
    added = sum(line.startswith("+") for line in lines)
    deleted = sum(line.startswith("-") for line in lines)
    return {
        "sha": blob(new or old),
        "filename": path,
        "status": how,
        "additions": added,
        "deletions": deleted,
        "changes": added + deleted,
        "contents_url": api(owner, f"/contents/{path}?ref={sha}"),
        **({"patch": "\n".join(lines)} if lines else {}),
    }


def resolve(owner: Repository, ref: str) -> str | None:
    """The commit that a branch, a reference or a (short) sha names."""
    name = ref.removeprefix("refs/").removeprefix("heads/")
    if name in owner.branches:
        return owner.branches[name]
    whole = [sha for sha in owner.commits if len(ref) >= 7 and sha.startswith(ref)]
    return whole[0] if len(whole) == 1 else None


def commit(owner: Repository, one: Commit) -> View:
    """A commit."""
    who = {"name": one.author, "email": f"{one.author}@example.org", "date": one.date}
    tree = hashlib.sha1(one.sha.encode()).hexdigest()
    return {
        "sha": one.sha,
        "node_id": node("C", int(one.sha[:6], 16)),
        "url": api(owner, f"/commits/{one.sha}"),
        "html_url": f"{SITE}/{owner.full_name}/commit/{one.sha}",
        "comments_url": api(owner, f"/commits/{one.sha}/comments"),
        "commit": {
            "url": api(owner, f"/git/commits/{one.sha}"),
            "message": one.message,
            "author": who,
            "committer": who,
            "comment_count": 0,
            "tree": {"sha": tree, "url": api(owner, f"/git/trees/{tree}")},
        },
        "author": user(one.author),
        "committer": user(one.author),
        "parents": [{"sha": sha, "url": api(owner, f"/commits/{sha}")} for sha in one.parents],
    }


def ref(owner: Repository, name: str, sha: str) -> View:
    """A git reference by its full name, without `refs/`."""
    return {
        "ref": f"refs/{name}",
        "node_id": node("REF", zlib.crc32(name.encode())),
        "url": api(owner, f"/git/refs/{name}"),
        "object": {"type": "commit", "sha": sha, "url": api(owner, f"/git/commits/{sha}")},
    }


def blob(text: str) -> str:
    """The name that git gives to a file's content."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def content(owner: Repository, at: str, path: str, text: str | None) -> View:
    """A file with its text, or a folder (None)."""
    url = api(owner, f"/contents/{path}?ref={at}")
    page = f"{SITE}/{owner.full_name}/blob/{at}/{path}"
    return {
        "type": "dir" if text is None else "file",
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": blob(text or path),
        "size": len((text or "").encode()),
        "url": url,
        "git_url": api(owner, f"/git/blobs/{blob(text or path)}"),
        "html_url": page,
        "download_url": None if text is None else page.replace("/blob/", "/raw/"),
        "_links": {"self": url, "git": url, "html": page},
    }


def file(owner: Repository, at: str, path: str, text: str) -> View:
    """A file with its text."""
    encoded = base64.encodebytes(text.encode()).decode()
    return content(owner, at, path, text) | {"encoding": "base64", "content": encoded}
