"""The template's newest version as one pull request, with its notes and its conflicts (G3).

Copier runs with what the template may read, and without the token of this repository. What it could
not bring together is committed with its markers, and said in a comment: nothing is lost, and
nothing is decided here.
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dslp.core.console import say, step
from dslp.core.errors import DslpError
from dslp.core.files import parse_yaml, read_text, read_yaml
from dslp.core.git import git_output
from dslp.core.semver import VERSION, parse_version
from dslp.core.settings import Project
from dslp.core.text import error_line, escape_markdown
from dslp.core.updates import conflicts, lost_edits
from dslp.github.client import Repository, Unavailable, find_repository
from dslp.github.entities import Issue
from dslp.github.flow import LONGEST, start_checks
from dslp.github.issue import is_from_team, update_comment

BRANCH = "template/update"
ISSUE = "<!-- dslp: update of the template -->"
NAME, EMAIL = "github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com"
# Git asks this for a password, and finds the token in the environment.
HELPER = '!printf "username=x-access-token\\npassword=%s\\n" "$GITHUB_TOKEN" #'
PRIVATE = ("GITHUB_TOKEN", "GH_TOKEN")  # of this repository: not for what the template brings


def update_template() -> None:
    """Open one pull request with the template's newest version: with its notes and conflicts."""
    project, repository = find_repository()
    if not find_spec("copier"):
        raise DslpError("this needs dslp[update]: uv run --group template dslp update-template")
    old, source = _recorded(project)
    if ":" not in source and not Path(source).exists():
        say(f"the template is a folder of another machine: {source}")
        return
    before = git_output(project, "rev-parse", "HEAD") or ""
    try:
        with step(f"copier update, from {old}"):
            options = ("update", "--defaults", "--answers-file", project.answers_file.name)
            _run(project, sys.executable, "-P", "-m", "copier", *options)
    except DslpError as error:
        if "downgrading" not in str(error):
            raise
        say(f"{old} is newer than the newest release of the template")
        return
    new, _ = _recorded(project)
    if new == old:
        say(f"{old} is the newest version of the template")
        if issue := _find_issue(repository, ISSUE, "open"):
            repository.ask("PATCH", f"/issues/{issue.number}", {"state": "closed"})
        return
    mark, title = f"<!-- dslp: template {new} -->", f"Update the template from {old} to {new}"
    head = f"{repository.name.partition('/')[0]}:{BRANCH}"
    pulls = list(repository.pages("/pulls", most=1, state="all", head=head))
    names = conflicts(project)
    comment = _describe_problems(project, before, names)
    for pull in pulls:
        if (pull["body"] or "").startswith(mark) and not pull.get("merged_at"):
            is_open = pull["state"] == "open"
            if is_open:  # an earlier run may have been stopped before it
                _comment(repository, pull["number"], comment)
            state = "is open already" if is_open else "was closed, and is not opened again"
            say(f"#{pull['number']} with {new} {state}")
            return
    issue = _find_issue(repository, f"{ISSUE}\n{mark}", "all")
    if issue and issue.state == "closed":
        say(f"#{issue.number} with {new} was closed, and is not opened again")
        return
    current = next((pull for pull in pulls if pull["state"] == "open"), None)
    is_merged = current is None and bool(pulls and pulls[0].get("merged_at"))
    if not is_merged and _has_work_of_people(project):
        if current and _version_of_branch(project) != new:
            why = "This branch has commits of yours, so it is left alone: merge this"
            text = f"{mark}\nThe template has {new} by now. {why}, and the next run brings {new}."
            update_comment(repository, current["number"], mark, text)
        say(f"the branch {BRANCH} has commits of people: {new} waits")
        return
    notes = _read_notes(source, old, new)
    body = f"{mark}\nFrom `{old}` to `{new}`.{_closing(repository)}\n\n{notes}"[:LONGEST]
    values = {"title": title, "body": body, "draft": bool(names)}
    _commit(project, title)
    if not _push(project):
        text = "It changes workflows, which this token may not push. In a clone, type:"
        text += _commands(project)
        text += "The variable `DSLP_APP_ID` and the secret `DSLP_APP_KEY` of a GitHub App with the "
        text += f"right to write workflows let the next run do it.\n\n{comment}\n\n{notes}"
        _keep_issue(repository, title, f"{mark}\n{text}")
        return
    number = current and current["number"]
    if number:
        repository.ask("PATCH", f"/pulls/{number}", {"title": title, "body": body})
    else:
        number = _open(project, repository, values, f"{comment}\n\n{notes}")
    if number:
        _comment(repository, number, comment)
        say(f"#{number}: {title}")
        start_checks(project, repository, number, BRANCH)


def _recorded(project: Project) -> tuple[str, str]:
    """The template's version, and its address, as copier recorded them.

    Raises:
        DslpError: nothing is recorded, or not where an update finds it.
    """
    if not project.answers_file.is_file():
        raise DslpError(f"there is no {project.answers_file.name}: nothing is known to update from")
    answers = read_yaml(project.answers_file)
    version, source = answers.get("_commit"), answers.get("_src_path")
    if not isinstance(version, str) or not isinstance(source, str):
        file = project.answers_file.name
        raise DslpError(f"{file} has no _commit of a template in git; an update needs one")
    return version, source


def _run(project: Project, *command: str, secret: bool = False) -> str:
    """Run a command in the project: what it prints.

    Raises:
        DslpError: it ends with an error; its last line is the reason.
    """
    hidden = () if secret else PRIVATE
    variables = {name: text for name, text in os.environ.items() if name not in hidden}
    if secret and "GITHUB_TOKEN" in variables:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        variables |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"credential.{server}.helper"}
        variables["GIT_CONFIG_VALUE_0"] = HELPER
    done = subprocess.run(
        command, cwd=project.root, env=variables, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        name = " ".join(Path(part).name for part in command[:1])
        text = lines[-1] if "copier" in command else " ".join(lines)
        raise DslpError(f"{'copier' if 'copier' in command else name}: {error_line(text, 1_000)}")
    return done.stdout.strip()


def _has_work_of_people(project: Project) -> bool:
    """Whether anybody else has committed to the branch since it was made."""
    names = git_output(project, "log", "--format=%ae%n%ce", f"HEAD..refs/remotes/origin/{BRANCH}")
    return bool({*(names or "").splitlines()} - {EMAIL})


def _version_of_branch(project: Project) -> object:
    """The version that the branch has on GitHub."""
    name = f"refs/remotes/origin/{BRANCH}:{project.answers_file.name}"
    content = parse_yaml(git_output(project, "show", name) or "", name)
    return content.get("_commit") if isinstance(content, dict) else None


def _comment(repository: Repository, number: int, text: str) -> None:
    """Keep one comment with what people have to look at, if there is anything."""
    update_comment(repository, number, ISSUE, text and f"{ISSUE}\n{text}")


def _describe_problems(project: Project, before: str, names: list[str]) -> str:
    """What people have to look at, in words; empty where there is nothing."""
    lines = []
    for name in names:
        file = project.root / name
        text = file.read_text("utf-8", "replace") if file.is_file() else ""
        marks = [n for n, line in enumerate(text.splitlines(), 1) if re.match("[<>]{7} ", line)]
        spans = [f"{a} to {b}" for a, b in zip(marks[::2], marks[1::2], strict=False)]
        where = f", lines {', '.join(spans)}" if spans else ""
        lines.append(f"- {escape_markdown(name, 200)}{where}")
    if lines:
        text = "Your lines and the template's meet in these files. Between `<<<<<<<` and `=======` "
        lines = [f"{text}are yours, from there to `>>>>>>>` the template's:\n", *lines, ""]
    if deleted := lost_edits(project)[1]:
        lines.append("The template has these files no longer, and you had edited them:\n")
        lines += [f"- {escape_markdown(name, 200)}" for name in deleted]
        lines.append(f"\n`git restore --source={before[:12]} -- PATH` gives one back.\n")
    if (project.environment / "uv.lock").is_file():
        try:
            with step("uv lock"):
                _run(project, "uv", "lock", "--project", str(project.environment))
        except DslpError as error:
            lines.append(f"`uv.lock` is as before: {escape_markdown(error, 300)}\n")
    return "\n".join(lines)


def _read_notes(source: str, old: str, new: str) -> str:
    """What the template's changelog says of the versions after `old`, up to `new`."""
    address = re.sub(r"^gh:/?(.*?)(\.git)?$", r"https://github.com/\1.git", source)
    address = re.sub(r"^gl:/?(.*?)(\.git)?$", r"https://gitlab.com/\1.git", address)
    branch = ("--branch", new) if re.fullmatch(f"v?{VERSION}", new) else ()
    command = ["git", "clone", "--quiet", "--depth=1", *branch, "--", address.removeprefix("git+")]
    variables = {name: text for name, text in os.environ.items() if name not in PRIVATE}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, folder], env=variables, capture_output=True, check=False)
        file = Path(folder) / "CHANGELOG.md"
        parts = re.split(r"(?m)^## (.+)$", read_text(file) if file.is_file() else "")
    sections = []
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        version = re.search(VERSION, title)
        is_next = version is None and not branch
        if is_next or (version and _number(old) < parse_version(version[0]) <= _number(new)):
            sections.append(f"## {title}\n{text}")
    # No person is notified, no issue is linked or closed, and no mark of this program is written.
    special = r"[@#](?=\w)|\bGH-(?=\d)|/(?:issues|pull)/(?=\d)|<!-"
    notes = re.sub(special, lambda match: f"{match[0]}\u200b", "\n".join(sections).strip())
    return notes or "The template's changelog says nothing of this version."


def _number(version: str) -> tuple[int, int, int]:
    match = re.search(VERSION, version)
    return parse_version(match[0]) if match else (0, 0, 0)


def _commit(project: Project, title: str) -> None:
    """Commit everything on the branch: markers too, so no hook is run."""
    identity = (
        "-c",
        f"user.name={NAME}",
        "-c",
        f"user.email={EMAIL}",
        "-c",
        "commit.gpgsign=false",
    )
    _run(project, "git", "add", "--all")
    _run(project, "git", "checkout", "--quiet", "-B", BRANCH)
    _run(project, "git", *identity, "commit", "--quiet", "--no-verify", "--message", title)


def _push(project: Project) -> bool:
    """Push the branch, unless somebody else did; False where the token may not."""
    ref = ("rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{BRANCH}")
    lease = f"--force-with-lease={BRANCH}:{git_output(project, *ref) or ''}"
    try:
        _run(project, "git", "push", "--quiet", lease, "origin", BRANCH, secret=True)
    except DslpError as error:
        if "refusing to allow" not in str(error):
            raise
        return False
    return True


def _open(
    project: Project, repository: Repository, values: dict[str, Any], more: str
) -> int | None:
    """Open the pull request; where that is not allowed, an issue says where a person does."""
    body = {**values, "head": BRANCH, "base": project.branch}
    try:
        pull = repository.ask("POST", "/pulls", body, unless=(403,))
    except Unavailable as error:
        if "draft" not in str(error).lower():  # not every plan has drafts
            raise
        pull = repository.ask("POST", "/pulls", {**body, "draft": False}, unless=(403,))
    if pull:
        return int(pull["number"])
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    page = f"{server}/{repository.name}/compare/{project.branch}...{BRANCH}?expand=1"
    text = f"Actions may not open pull requests here. The update is on a branch: [open]({page})."
    mark = values["body"].partition("\n")[0]
    _keep_issue(repository, values["title"], f"{mark}\n{text}\n\n{more}")
    return None


def _commands(project: Project) -> str:
    """What a person types instead."""
    answers = project.answers_file.name
    option = "" if answers == ".copier-answers.yml" else f" --answers-file {answers}"
    setup = "uv run --project .github/dslp dslp setup"
    last = setup if project.is_adopted else "python3 hooks/post_generate.py"
    lines = [f"git switch -c {BRANCH}", f"uvx copier update --defaults{option}", last]
    return "\n\n```console\n" + "\n".join(lines) + "\n```\n\n"


def _find_issue(repository: Repository, mark: str, state: str) -> Issue | None:
    """The newest issue about an update, or about one of its versions, if there is one."""
    issues = repository.issues(state=state, most=3)
    return next((one for one in issues if is_from_team(one.native, mark)), None)


def _closing(repository: Repository) -> str:
    issue = _find_issue(repository, ISSUE, "open")
    return f"\n\nCloses #{issue.number}." if issue else ""


def _keep_issue(repository: Repository, title: str, text: str) -> None:
    """Keep one issue about the update, with the newest version in its title."""
    issue = _find_issue(repository, ISSUE, "open")
    content = {"title": title, "body": f"{ISSUE}\n{text}"[:LONGEST].strip()}
    if issue is None:
        issue = repository.open_issue(title, content["body"], [])
    elif (issue.title, (issue.body or "").strip()) != (title, content["body"]):
        repository.ask("PATCH", f"/issues/{issue.number}", content)
    say(f"#{issue.number}: {title}")
