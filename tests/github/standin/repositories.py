"""Repositories, their branches and files, and who is asking."""

import base64
import binascii
import time

from tests.github.standin import history, views
from tests.github.standin.addresses import SITE, api, user
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, invalid, route
from tests.github.standin.rulesets import check_creation

CONTENTS = "{repository}/contents/{path}"


@route("GET", "{repository}")
def get_repository(call: Call) -> Answer:
    return views.repository(call.repository)


@route("PATCH", "{repository}", "administration")
def update_repository(call: Call) -> Answer:
    settings = dict(call.body)
    branch = settings.pop("default_branch", call.repository.default_branch)
    if branch not in call.repository.branches:
        text = f"The branch {branch} was not found. Please push that ref first or create it."
        raise invalid("Repository", "default_branch", "invalid", text)
    call.repository.default_branch = branch
    call.repository.private = settings.pop("private", call.repository.private)
    settings.pop("name", None)
    call.repository.settings |= settings
    return views.repository(call.repository)


@route("GET", "{repository}/collaborators/{username}/permission")
def get_permission(call: Call) -> Answer:
    login = call.names["username"]
    role = call.repository.collaborators.get(login, "none" if call.repository.private else "read")
    permission = {"triage": "read", "maintain": "write"}.get(role, role)
    return {"permission": permission, "role_name": role, "user": user(login)}


@route("GET", "{repository}/branches", "contents")
def list_branches(call: Call) -> Answer:
    return [
        {
            "name": name,
            "protected": False,
            "commit": {"sha": sha, "url": api(call.repository)},
        }
        for name, sha in call.page(sorted(call.repository.branches.items()))
    ]


@route("GET", "{repository}/branches/{branch}", "contents")
def get_branch(call: Call) -> Answer:
    name = call.names["branch"]
    if name not in call.repository.branches:
        raise Refused(404, "Branch not found")
    commit = call.repository.commits[call.repository.branches[name]]
    url = api(call.repository, f"/branches/{name}")
    return {
        "name": name,
        "commit": history.commit(call.repository, commit),
        "_links": {"self": url, "html": f"{SITE}/{call.repository.full_name}/tree/{name}"},
        "protected": False,
        "protection_url": f"{url}/protection",
    }


@route("GET", "{repository}/git/ref/{ref}", "contents")
def get_ref(call: Call) -> Answer:
    name = call.names["ref"]
    sha = call.repository.branches.get(name.removeprefix("heads/"))
    if sha is None or not name.startswith("heads/"):
        raise Refused(404, NOT_FOUND)
    return history.ref(call.repository, name, sha)


@route("GET", "{repository}/git/matching-refs/{ref}", "contents")
def list_refs(call: Call) -> Answer:
    return [
        history.ref(call.repository, f"heads/{name}", sha)
        for name, sha in sorted(call.repository.branches.items())
        if f"heads/{name}".startswith(call.names["ref"])
    ]


@route("POST", "{repository}/git/refs", "contents")
def create_ref(call: Call) -> Answer:
    name, sha = call.body["ref"].removeprefix("refs/heads/"), call.body["sha"]
    if name == call.body["ref"]:
        raise Refused(422, "Reference name must start with 'refs/heads/' here")
    if sha not in call.repository.commits:
        raise Refused(422, "Object does not exist")
    if name in call.repository.branches:
        raise Refused(422, "Reference already exists")
    check_creation(call.repository, name, call.token)
    call.repository.branches[name] = sha
    return 201, history.ref(call.repository, f"heads/{name}", sha)


@route("PATCH", "{repository}/git/refs/{ref}", "contents")
def update_ref(call: Call) -> Answer:
    name, sha = call.names["ref"].removeprefix("heads/"), call.body["sha"]
    old = call.repository.branches.get(name)
    if old is None or sha not in call.repository.commits:
        raise Refused(422, "Reference does not exist" if old is None else "Object does not exist")
    if not call.body.get("force") and old not in history.ancestors(call.repository, sha):
        raise Refused(422, "Update is not a fast forward")
    call.repository.branches[name] = sha
    return history.ref(call.repository, f"heads/{name}", sha)


@route("DELETE", "{repository}/git/refs/{ref}", "contents")
def delete_ref(call: Call) -> Answer:
    name = call.names["ref"].removeprefix("heads/")
    if name not in call.repository.branches:
        raise Refused(422, "Reference does not exist")
    for issue in call.repository.issues.values():  # their heads stay, and they close
        if issue.pull and issue.state == "open" and history.is_head(call.repository, issue, name):
            call.repository.head_sha(issue)
            issue.touch(call.clock, "closed")
    del call.repository.branches[name]
    return 204, None


@route("GET", "{repository}/compare/{basehead}", "contents")
def compare(call: Call) -> Answer:
    names = call.names["basehead"].split("...")
    found = [history.resolve(call.repository, name.rpartition(":")[2]) for name in names]
    if len(found) != 2 or found[0] is None or found[1] is None:
        raise Refused(404, NOT_FOUND)
    repository, base, head = call.repository, found[0], found[1]
    ahead = history.between(repository, base, head)
    behind = history.between(repository, head, base)
    common = history.merge_base(repository, base, head)
    status = ("diverged" if behind else "ahead") if ahead else "behind" if behind else "identical"
    return {
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": history.commit(repository, repository.commits[base]),
        "merge_base_commit": history.commit(repository, repository.commits[common]),
        "commits": [history.commit(repository, one) for one in call.page(ahead)],
        "files": history.difference(repository, common, head),
    }


@route("GET", CONTENTS, "contents")
def get_contents(call: Call) -> Answer:
    at = call.get("ref", call.repository.default_branch)
    sha, path = history.resolve(call.repository, at), call.names["path"].strip("/")
    if sha is None:
        raise Refused(404, f"No commit found for the ref {at}")
    files = call.repository.commits[sha].files
    if path in files:
        return history.file(call.repository, at, path, files[path])
    prefix = f"{path}/" if path else ""
    inside = sorted(
        {name.removeprefix(prefix).split("/")[0] for name in files if name.startswith(prefix)}
    )
    if not inside:
        raise Refused(404, NOT_FOUND)
    return [
        history.content(call.repository, at, prefix + name, files.get(prefix + name))
        for name in inside
    ]


@route("PUT", CONTENTS, "contents")
def put_contents(call: Call) -> Answer:
    try:
        text = base64.b64decode(call.body["content"], validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(422, "content is not valid Base64") from None
    return change(call, text)


@route("DELETE", CONTENTS, "contents")
def delete_contents(call: Call) -> Answer:
    return change(call, None)


def change(call: Call, text: str | None) -> Answer:
    """Commit one file, if the caller knows what it replaces."""
    branch, path = call.body.get("branch", call.repository.default_branch), call.names["path"]
    if branch not in call.repository.branches:
        raise Refused(404, f"Branch {branch} not found")
    old = call.repository.commits[call.repository.branches[branch]].files.get(path)
    if old is None and text is None:
        raise Refused(404, NOT_FOUND)
    if old is not None and "sha" not in call.body:
        raise Refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if old is not None and call.body["sha"] != history.blob(old):
        raise Refused(409, f"{path} does not match {call.body['sha']}")
    made = call.repository.commit(branch, {path: text}, call.body["message"], call.login)
    shown = history.content(call.repository, branch, path, text) if text is not None else None
    commit = history.commit(call.repository, made)
    answer = {"content": shown, "commit": {**commit["commit"], "sha": made.sha}}
    return (201 if old is None else 200), answer


@route("GET", "/user")
def get_user(call: Call) -> Answer:
    if call.token is None:
        raise Refused(401, "Requires authentication")
    if call.token.repository:
        raise Refused(403, "Resource not accessible by integration")
    return user(call.login) | {"user_view_type": "public"}


@route("GET", "/meta")
def get_meta(_: Call) -> Answer:
    return {"verifiable_password_authentication": False}


@route("GET", "/rate_limit")
def get_rate_limit(call: Call) -> Answer:
    core = dict(call.limits)
    search = {"limit": 30, "remaining": 30, "used": 0, "reset": int(time.time()) + 60}
    return {"rate": core, "resources": {"core": core, "search": search}}
