"""Pull requests, and the statuses of commits."""

from tests.github.standin import history, views
from tests.github.standin.issues import check_length
from tests.github.standin.model import Status
from tests.github.standin.routing import Answer, Call, Refused, invalid, route

PULL = "/pulls/{pull_number}"


@route("GET", "/pulls", "pull_requests")
def list_pulls(call: Call) -> Answer:
    state, head, base = call.get("state", "open"), call.get("head"), call.get("base")
    matches = [
        one
        for one in call.newest_issues()
        if one.pull
        and state in (one.state, "all")
        and head in ("", f"{one.pull.source.owner}:{one.pull.head_ref}")
        and base in ("", one.pull.base)
    ]
    return [views.pull(call.repository, one, whole=False) for one in call.page(matches)]


@route("POST", "/pulls", "pull_requests", "anyone")
def create_pull(call: Call) -> Answer:
    body, repository = call.body, call.repository
    head, base = body["head"], body["base"]
    for side, branch in (("head", head), ("base", base)):
        if branch not in repository.branches:
            raise invalid("PullRequest", side, "invalid")
    reason = ""
    if not history.between(repository, repository.branches[base], repository.branches[head]):
        reason = f"No commits between {base} and {head}"
    for other in repository.issues.values():
        pull = other.pull if other.state == "open" else None
        if pull and (pull.source, pull.head_ref, pull.base) == (repository, head, base):
            reason = f"A pull request already exists for {repository.owner}:{head}."
    if reason:
        raise invalid("PullRequest", "head", "custom", reason)
    opened = repository.add_pull(
        *(head, base, body["title"], body.get("body")),
        user=call.token.login,
        draft=body.get("draft", False),
    )
    return 201, views.pull(repository, opened)


@route("GET", PULL, "pull_requests")
def get_pull(call: Call) -> Answer:
    return views.pull(call.repository, call.issue("pull_number"))


@route("PATCH", PULL, "pull_requests")
def update_pull(call: Call) -> Answer:
    issue = call.issue("pull_number")
    assert issue.pull
    base = call.body.get("base", issue.pull.base)
    if base not in call.repository.branches:
        raise invalid("PullRequest", "base", "invalid")
    issue.pull.base, issue.state = base, call.body.get("state", issue.state)
    issue.title, issue.body = call.body.get("title", issue.title), call.body.get("body", issue.body)
    return views.pull(call.repository, issue)


@route("GET", f"{PULL}/files", "pull_requests")
def list_files(call: Call) -> Answer:
    files = history.changes(call.repository, call.issue("pull_number"))
    lines = {"added": (1, 0), "modified": (1, 1), "removed": (0, 1)}  # each text is one line
    names = ("filename", "status", "additions", "deletions")
    pages = [(path, how, *lines[how]) for path, how in call.page(files.items())]
    return [dict(zip(names, one, strict=True)) for one in pages]


def named_commit(call: Call, name: str) -> str:
    sha = call.names[name]
    if sha not in call.repository.commits:
        raise Refused(422, f"No commit found for SHA: {sha}")
    return sha


@route("GET", "/commits/{commit_sha}/pulls", "pull_requests")
def list_pulls_of_commit(call: Call) -> Answer:
    sha, repository = named_commit(call, "commit_sha"), call.repository
    matches = []
    for one in repository.issues.values():
        if one.pull and (one.state == "open" or one.pull.merged_at):
            commits = history.between(repository, *history.ends(repository, one))
            if sha in {one.pull.merge_commit_sha, *(each.sha for each in commits)}:
                matches.append(one)
    return [views.pull(repository, one, whole=False) for one in call.page(matches)]


@route("POST", "/statuses/{sha}", "statuses")
def create_status(call: Call) -> Answer:
    sha, body = named_commit(call, "sha"), call.body
    check_length("Status", "description", body.get("description"), 140)
    values = {"description": None, "target_url": None, **body, "creator": call.token.login}
    status = Status(next(call.repository.ids), **values)
    call.repository.statuses.setdefault(sha, []).insert(0, status)
    return 201, views.status(status)
