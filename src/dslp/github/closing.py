"""What work leaves when it ends: a tag, and one comment that asks for what was learnt (B4, B5)."""

import re
from collections.abc import Sequence

from dslp.core.console import say
from dslp.core.settings import Project
from dslp.github.client import Repository, Unavailable
from dslp.github.entities import Issue, PullRequest
from dslp.github.forms import form_fields
from dslp.github.issue import is_from_team, update_comment
from dslp.github.policy import Facts, issue_of
from dslp.github.pull_request import publish_check
from dslp.github.running_log import update_logs

MARK = "<!-- dslp: ended -->"
# The field that is filled in at the end, by the type of an issue, and what belongs there.
LESSONS = {
    "Ask": ("Value", "what came of it, compared with its success criteria"),
    "Explore": ("Insights", "what was found, each with a link; what all must know, in `docs/`"),
    "Experiment": ("Summary", "what was tried, what came out, and what follows"),
}
QUESTION = "Its field “{}” is empty. Please edit the issue and write there {}."
ENDED = "- #{0.number}, unmerged at {0.sha}: `git fetch origin {1} && git switch -d FETCH_HEAD`"
RUNS = "Its runs: the field “Runs” above, or `uv run dslp experiment compare --issue {}`."


def check_closed(project: Project, repository: Repository, number: int) -> None:
    """Note how a closed pull request ended, and check the open ones that share its commit."""
    pull = repository.pull_request(number)
    for other in repository.open_pull_requests_at(pull)[:1]:  # one status for all of them
        publish_check(project, repository, other.number)
    if pull.state != "open":  # it may be open again
        note_end(project, repository, [pull])


def note_end(project: Project, repository: Repository, pulls: Sequence[PullRequest]) -> None:
    """Note on their issue how pull requests of one branch's issue ended, or are about to.

    What an unmerged exploration or experiment held is kept as a tag, and the issue says how to get
    it back (B4). An experiment that was merged into a model's branch is closed (B6), which GitHub
    does for the default branch only. A stranger's fork is left out, and a branch whose name is not
    that of its issue: anybody can choose it.
    """
    pull, number = pulls[0], issue_of(pulls[0], repository.name)
    issues = repository.find_issues([number] if number else ())
    branch = Facts(pull, project, repository.name, issues=issues).branch
    issue = issues[branch.issue] if branch else None
    if branch is None or issue is None or issue.is_pull_request or branch.kind != issue.kind:
        return
    if pull.merged and branch.kind == "Experiment" and pull.base.startswith("model/"):
        repository.ask("PATCH", f"/issues/{issue.number}", {"state": "closed"})
        say(f"#{issue.number} is closed: {pull.head} was merged into {pull.base}")
        update_logs(repository, issue.number)
    elif not (pull.merged or pull.is_stranger) and branch.kind in ("Explore", "Experiment"):
        _keep_note(repository, issue, [ENDED.format(p, keep_commit(repository, p)) for p in pulls])
        for one in pulls:
            say(f"#{issue.number}: {one.head} ended at {one.sha}")


def keep_commit(repository: Repository, pull: PullRequest) -> str:
    """Keep the head of a pull request as a tag, and return the name by which git fetches it.

    GitHub keeps the head of each pull request too, which is that name for a fork's, and where the
    token has no right to make a tag.
    """
    is_plain = re.fullmatch(r"[\w./-]+", pull.head) and not pull.fork
    for ending in ("", "-2", "-3", "-4", "-5") if is_plain else ():
        tag = f"tags/archive/{pull.head}{ending}"
        try:
            if repository.make_ref(tag, pull.sha) == pull.sha:
                return f"refs/{tag}"
        except Unavailable as error:
            if error.status not in (403, 404, 422):
                raise
            break
    return f"refs/pull/{pull.number}/head"


def ask_for_lessons(repository: Repository, number: int) -> None:
    """Ask for what was learnt, on an issue that was closed without it, until it has it (B5, X3)."""
    issue = repository.find_issue(number)
    if issue and issue.kind in LESSONS and not issue.is_pull_request:
        _keep_note(repository, issue)


def _keep_note(repository: Repository, issue: Issue, ends: Sequence[str] = ()) -> None:
    """Keep one comment on how an issue ended: what it lacks, and what was kept of its branches.

    Args:
        repository: on GitHub.
        issue: it is asked for what it lacks once it is closed, or was asked or has a line before.
        ends: a line on each pull request that ended; it replaces another line on the same one.
    """
    comments = repository.comments(issue.number)
    old = next((one["body"] for one in comments if is_from_team(one, MARK)), "")
    items, pulls = (
        re.findall(r"^- #\d+, unmerged at .*", old, re.M),
        [e.split(",")[0] for e in ends],
    )
    items = [*(one.strip() for one in items if one.split(",")[0] not in pulls), *ends]
    field, words = LESSONS.get(issue.kind, ("", ""))
    reason = issue.native.get("state_reason")
    is_void = reason == "duplicate" or (reason, issue.kind) == ("not_planned", "Ask")
    is_due = field and not is_void and (ends or old or issue.state == "closed")
    is_empty = not form_fields(issue.body).get(field)
    parts = [QUESTION.format(field, words)] if is_due and is_empty else []
    if parts and not old:
        say(f"#{issue.number}: {parts[0]}")
    parts += ["\n".join(items)] if items else []
    parts += [RUNS.format(issue.number)] if items and issue.kind == "Experiment" else []
    update_comment(repository, issue.number, MARK, "\n\n".join([MARK, *parts]) if parts else "")
