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
        items = [ENDED.format(one, keep_commit(repository, one)) for one in pulls]
        numbers = "|".join(str(one.number) for one in pulls)
        old = rf"^- (?!#(?:{numbers}),).*"
        others = re.findall(old, _comment(repository, issue), re.MULTILINE)
        runs = [RUNS.format(issue.number)] * (branch.kind == "Experiment")
        parts = [MARK, *_question(issue), "\n".join([*others, *items]), *runs]
        update_comment(repository, issue.number, MARK, "\n\n".join(parts))
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
    """Ask once for what was learnt, on an issue that was closed without it (B5, X3, X4)."""
    issue = repository.find_issue(number)
    if issue is None or issue.state == "open" or not (question := _question(issue)):
        return
    if not _comment(repository, issue):
        update_comment(repository, number, MARK, "\n\n".join([MARK, *question]))
        say(f"#{number}: {question[0]}")


def _question(issue: Issue) -> list[str]:
    """What to ask for, unless the issue has it."""
    field, words = LESSONS.get(issue.kind, ("", ""))
    has_it = issue.is_pull_request or form_fields(issue.body).get(field)
    return [] if not field or has_it else [QUESTION.format(field, words)]


def _comment(repository: Repository, issue: Issue) -> str:
    """The comment on how the issue ended, if there is one."""
    comments = repository.comments(issue.number)
    return next((one["body"] for one in comments if is_from_team(one, MARK)), "")
