"""Judging the branch that one is on, before there is a pull request or where there is none."""

from dataclasses import replace

from dslp.core.branch_names import parse_branch
from dslp.core.errors import DslpError
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.github.client import Repository
from dslp.github.entities import Issue, PullRequest
from dslp.github.policy import Verdict, decide
from dslp.github.pull_request import check_pull_request, gather_facts


def check_branch(project: Project, repository: Repository) -> Verdict:
    """The verdict on the branch that is checked out: of its open pull request, or of one to come.

    Raises:
        DslpError: no branch is checked out, or it is the collaboration branch itself.
    """
    name = git_output(project, "branch", "--show-current")
    if not name or name in ("main", project.branch):
        raise DslpError(
            f"{name or 'no branch'} is checked out; switch to the branch of an issue "
            "(dslp start NUMBER), or say --pull-request NUMBER"
        )
    owner = repository.name.split("/")[0]
    for found in repository.pages("/pulls", state="open", head=f"{owner}:{name}"):
        return check_pull_request(repository, int(found["number"]), project.branch).verdict
    branch = parse_branch(name)
    base = "model/…" if branch and branch.kind == "Experiment" else project.branch
    pull = PullRequest(
        0, name, base, git_output(project, "rev-parse", "HEAD") or "", "", False, False, ""
    )
    known: dict[int, Issue | None] = {}
    seen = gather_facts(repository, pull, project.branch, known, files=_changed(project))
    return decide(replace(seen, blocks=True))


def _changed(project: Project) -> list[tuple[str, str]]:
    """Files that differ from the collaboration branch, in GitHub's words for how.

    Raises:
        DslpError: that branch does not exist here, nor as it is on GitHub.
    """
    words = {"A": "added", "D": "removed"}
    for base in (f"origin/{project.branch}", project.branch):
        listed = git_output(
            project, "diff", "--name-status", "--no-renames", "-z", f"{base}...HEAD"
        )
        if listed is not None:
            parts = listed.split("\0")
            return [
                (path, words.get(change, "modified"))
                for change, path in zip(parts[::2], parts[1::2], strict=False)
            ]
    raise DslpError(
        f"there is no branch {project.branch} to compare with; fetch it, or say in "
        f'{project.settings} which one is for collaboration: branch = "development"'
    )
