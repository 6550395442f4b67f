"""Pull requests, commits and their statuses."""

import re

from tests.github.standin import history, views
from tests.github.standin.addresses import api
from tests.github.standin.model import Issue, Repository, Status
from tests.github.standin.routing import NOT_FOUND, Answer, Call, Refused, invalid, route
from tests.github.standin.rulesets import missing_checks

PULL = "{repository}/pulls/{pull_number}"
CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)", re.IGNORECASE)


def numbered_pull(call: Call) -> Issue:
    """The pull request that the path names."""
    issue = call.issue("pull_number")
    if issue.pull is None:
        raise Refused(404, NOT_FOUND)
    return issue


@route("GET", "{repository}/pulls", "pull_requests")
def list_pulls(call: Call) -> Answer:
    state, head, base = call.get("state", "open"), call.get("head"), call.get("base")
    found = [
        one
        for one in call.repository.issues.values()
        if one.pull
        and state in (one.state, "all")
        and head in ("", f"{one.pull.head_owner}:{one.pull.head_ref}")
        and base in ("", one.pull.base)
    ]
    newest = call.get("direction", "desc" if call.get("sort", "created") == "created" else "asc")
    key = "updated_at" if call.get("sort") == "updated" else "created_at"
    found.sort(key=lambda one: (str(getattr(one, key)), one.number), reverse=newest == "desc")
    return [views.pull(call.repository, one, whole=False) for one in call.page(found)]


@route("POST", "{repository}/pulls", "pull_requests", "anyone")
def create_pull(call: Call) -> Answer:
    body, repository = call.body, call.repository
    owner, _, ref = body["head"].rpartition(":")
    source = call.repositories.get(f"{owner or repository.owner}/{repository.name}".lower())
    if source is None or ref not in source.branches:
        raise invalid("PullRequest", "head", "invalid")
    if body["base"] not in repository.branches:
        raise invalid("PullRequest", "base", "invalid")
    base, head = repository.branches[body["base"]], source.branches[ref]
    if not history.between(repository, base, head):
        text = f"No commits between {body['base']} and {body['head']}"
        raise Refused(422, "Validation Failed", custom(text))
    same = (source, ref, body["base"])
    for other in repository.issues.values():
        pull = other.pull if other.state == "open" else None
        if pull and (pull.source, pull.head_ref, pull.base) == same:
            text = f"A pull request already exists for {source.owner}:{ref}."
            raise Refused(422, "Validation Failed", custom(text))
    made = repository.add_pull(
        ref,
        body["base"],
        body.get("title", ref),
        body.get("body"),
        fork=source if source is not repository else None,
        user=call.login,
        draft=body.get("draft", False),
    )
    return 201, views.pull(repository, made)


def custom(message: str) -> dict[str, str]:
    """A reason that GitHub gives in words."""
    return {"resource": "PullRequest", "code": "custom", "message": message}


@route("GET", PULL, "pull_requests")
def get_pull(call: Call) -> Answer:
    return views.pull(call.repository, numbered_pull(call))


@route("PATCH", PULL, "pull_requests")
def update_pull(call: Call) -> Answer:
    issue, body = numbered_pull(call), call.body or {}
    assert issue.pull
    if body.get("base", issue.pull.base) not in call.repository.branches:
        raise invalid("PullRequest", "base", "invalid")
    if body.get("state") == "open" and issue.pull.merged_at:
        raise Refused(422, "Validation Failed", custom("state cannot be changed. It is merged."))
    issue.title = body.get("title", issue.title)
    issue.body = body.get("body", issue.body)
    issue.pull.base = body.get("base", issue.pull.base)
    call.repository.head_sha(issue)  # a closed pull request keeps the head it had
    issue.touch(call.clock, body.get("state"))
    return views.pull(call.repository, issue)


@route("GET", f"{PULL}/files", "pull_requests")
def list_files(call: Call) -> Answer:
    files = history.changes(call.repository, numbered_pull(call))
    return call.page(files[:3000])  # GitHub shows no more


@route("GET", f"{PULL}/commits", "pull_requests")
def list_commits(call: Call) -> Answer:
    found = history.between(call.repository, *history.ends(call.repository, numbered_pull(call)))
    return [history.commit(call.repository, one) for one in call.page(found[:250])]


@route("GET", f"{PULL}/merge", "contents")
def is_merged(call: Call) -> Answer:
    pull = numbered_pull(call).pull
    if pull and pull.merged_at:
        return 204, None
    raise Refused(404, NOT_FOUND)


@route("PUT", f"{PULL}/merge", "contents")
def merge_pull(call: Call) -> Answer:
    issue, repository, body = numbered_pull(call), call.repository, call.body or {}
    head = repository.head_sha(issue)
    if body.get("sha", head) != head:
        raise Refused(409, "Head branch was modified. Review and try the merge again.")
    assert issue.pull
    if issue.state == "closed" or issue.pull.draft:
        raise Refused(405, "Pull Request is not mergeable")
    missing = missing_checks(repository, issue.pull.base, head)
    if missing:
        text = f'Required status check "{missing[0]}" is expected.'
        raise Refused(405, f"Repository rule violations found\n\n{text}\n\n")
    sha = merge(repository, issue, body.get("merge_method", "merge"), call.login)
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


def merge(repository: Repository, issue: Issue, method: str, login: str) -> str:
    """Merge a pull request, which closes the issues that its body says it closes."""
    assert issue.pull
    pull, head = issue.pull, repository.head_sha(issue)
    pull.base_sha = repository.branches[pull.base]
    changed = {str(one["filename"]): one for one in history.changes(repository, issue)}
    files = {path: repository.commits[head].files.get(path) for path in changed}
    files |= {
        one["previous_filename"]: None for one in changed.values() if "previous_filename" in one
    }
    parent = head if method == "merge" else None
    made = repository.commit(pull.base, files, f"Merge #{issue.number}", login, merge=parent)
    pull.merge_commit_sha, pull.merged_by = made.sha, login
    issue.touch(repository.clock, "closed")
    pull.merged_at = issue.closed_at
    if pull.base == repository.default_branch:
        for number in CLOSES.findall(issue.body or ""):
            if closed := repository.issues.get(int(number)):
                closed.touch(repository.clock, "closed")
    return made.sha


def named_commit(call: Call, name: str) -> str:
    """The commit that the path names."""
    found = history.resolve(call.repository, call.names[name])
    if found is None:
        raise Refused(422, f"No commit found for SHA: {call.names[name]}")
    return found


@route("GET", "{repository}/commits/{ref}", "contents")
def get_commit(call: Call) -> Answer:
    sha = named_commit(call, "ref")
    one = call.repository.commits[sha]
    base = one.parents[0] if one.parents else sha
    files = history.difference(call.repository, base, sha)
    return history.commit(call.repository, one) | {"files": files}


@route("GET", "{repository}/commits/{commit_sha}/pulls", "pull_requests")
def list_pulls_of_commit(call: Call) -> Answer:
    sha, repository = named_commit(call, "commit_sha"), call.repository
    found = [
        one
        for one in repository.issues.values()
        if one.pull
        and (one.state == "open" or one.pull.merged_at)
        and sha
        in {
            one.pull.merge_commit_sha,
            *(each.sha for each in history.between(repository, *history.ends(repository, one))),
        }
    ]
    return [views.pull(repository, one, whole=False) for one in call.page(found)]


@route("POST", "{repository}/statuses/{sha}", "statuses")
def create_status(call: Call) -> Answer:
    sha, body = named_commit(call, "sha"), call.body
    if len(body.get("description") or "") > 140:
        text = "description is too long (maximum is 140 characters)"
        raise invalid("Status", "description", "custom", text)
    if not re.match(r"https?://", body.get("target_url") or "https://"):
        raise invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
    context = body.get("context", "default")
    kept = call.repository.statuses.setdefault(sha, [])
    if sum(one.context == context for one in kept) >= 1000:
        raise Refused(422, "This SHA and context has reached the maximum number of statuses.")
    made = Status(
        next(call.clock.ids),
        body["state"],
        context,
        body.get("description"),
        body.get("target_url"),
        call.login,
        call.clock.now(),
    )
    kept.insert(0, made)
    return 201, views.status(call.repository, sha, made)


@route("GET", "{repository}/commits/{ref}/statuses", "statuses")
def list_statuses(call: Call) -> Answer:
    sha = named_commit(call, "ref")
    kept = call.page(call.repository.statuses.get(sha, []))
    return [views.status(call.repository, sha, one) for one in kept]


@route("GET", "{repository}/commits/{ref}/status", "statuses")
def combined_status(call: Call) -> Answer:
    sha, repository = named_commit(call, "ref"), call.repository
    latest = {one.context: one for one in reversed(repository.statuses.get(sha, []))}
    states = {one.state for one in latest.values()}
    bad, good = states & {"failure", "error"}, states == {"success"}
    return {
        "state": "failure" if bad else "success" if good else "pending",
        "sha": sha,
        "total_count": len(latest),
        "statuses": [views.status(repository, sha, one) for one in call.page(latest.values())],
        "repository": views.repository(repository),
        "commit_url": api(repository, f"/commits/{sha}"),
        "url": api(repository, f"/commits/{sha}/status"),
    }
