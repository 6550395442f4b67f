"""`dslp setup`: the branch, the commit hooks, a commit that they check, and the labels on GitHub.

Each step says done, skipped (why), or could not (why, and the command for later), like the script
`hooks/post_generate.py`, which runs this last. Commits, and what somebody staged or changed, are
left alone.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import typer
import yaml
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.files import read_text, write_text
from dslp.core.git import git_output, subfolder_problem
from dslp.core.settings import BRANCH, Project
from dslp.core.text import error_line
from dslp.core.updates import conflicts, lost_edits

HOOKS = ".pre-commit-config.yaml"
# Usual names of a collaboration branch; the first two are merged into main later.
USUAL = ("develop", "development", "master", "trunk")
# Files that name the collaboration branch; the settings last, so that a stopped run is repeated.
NAMING = (
    *(
        f".github/workflows/{name}.yml"
        for name in ("data", "labels", "release", "site", "template", "tests")
    ),
    *(".github/dependabot.yml", "AGENTS.md", "CONTRIBUTING.md", "docs/solution-architecture.md"),
    *(".copier-answers.yml", "pyproject.toml"),
)
# The same in a repository that adopted the process.
ADOPTED_NAMING = (
    *(f".github/workflows/dslp-{name}.yml" for name in ("data", "labels", "release", "template")),
    *(".copier-answers.yml", ".copier-answers.dslp.yml", "dslp.toml"),
)
# Where the template writes the name; all else that is called main is not the branch.
NAMED = "|".join(
    rf"(?<={before})main(?={after})"
    for before, after in {
        r'branches: \["': r'"\]$',
        'ref: "': '" }$',
        r"\|\| '": r"'\) ",
        '^branch = "': '"$',
        "merged into `": "`",
        "Commit to `": "`",
        'checkout "': '"$',
        "mainBranchName': '": "'",
    }.items()
)


class Result(NamedTuple):
    """How a step ended: `done`, `skipped` or `could not`; what or why; the command for later."""

    status: str
    text: str
    later: str = ""


def attach(app: typer.Typer) -> None:
    """Give the command line its command."""
    app.command()(setup)


def setup() -> None:
    """Install the commit hooks, make the first commit, register the labels; safe to run again.

    Exit codes: 0 nothing is left to do, 1 a step could not be done, 2 cannot run, 130 stopped.
    """
    project = Project.find(dotenv=False)
    _require_repository(project)
    unfinished = []
    if (branch := _existing_branch(project)) is not None:
        unfinished += _report("branch", _adopt_branch(project, branch))
        project = Project.find(dotenv=False)
    revision, names = lost_edits(project)
    if names:
        why = f"files that the template has no longer, and you had edited: {', '.join(names)}"
        unfinished += _report(
            "update", Result("done", why, f"git restore --source={revision} -- PATH")
        )
    hooks = _install_hooks(project)
    unfinished += _report("commit hooks", hooks)
    unfinished += _report("first commit", _commit(project, checked=hooks.status != "could not"))
    unfinished += _report("labels", _register_labels(project))
    if unfinished:
        steps = ", ".join(unfinished)
        say(f"\nLeft to do: {steps}. After that, go on with:\n  uv run dslp setup")
        raise typer.Exit(1)
    say("\n  ".join([f"\nReady. Next, in {project.root}:", *_next_commands(project)]))


def _report(step: str, result: Result) -> list[str]:
    """Print how a step ended; its name, if it could not be done."""
    say(f"{result.status:<11}{step}: {result.text}")
    if result.later:
        say(f"{'':11}later: {result.later}")
    return [step] if result.status == "could not" else []


def _require_repository(project: Project) -> None:
    """Require that the project is the top of a git repository.

    Raises:
        DslpError: it is no repository, or part of another one, or git is missing.
    """
    if not shutil.which("git"):
        raise DslpError("git is not on PATH: see https://git-scm.com/downloads")
    if git_output(project, "rev-parse", "--show-prefix") is None:
        why = "git status says why, and git init makes one where there is none"
        raise DslpError(f"git reads no repository in {project.root}: {why}")
    if problem := subfolder_problem(project):
        raise DslpError(f"{project.root} is {problem}")


def _existing_branch(project: Project) -> str | None:
    """The branch of an existing repository, where the settings say `main` and it is not (B8).

    It is GitHub's default branch, else the only one with a usual name, else the only one; empty
    where that is open. None where nothing has to change, or a clone of one branch does not show it.
    """
    options = ("--format=%(refname)", "refs/heads", "refs/remotes/origin")
    refs = git_output(project, "for-each-ref", *options) or ""
    names = set(re.findall(r"^refs/(?:heads|remotes/origin)/(.+)$", refs, re.MULTILINE))
    head = git_output(project, "symbolic-ref", "--short", "refs/remotes/origin/HEAD") or ""
    default, is_new = (
        head.removeprefix("origin/"),
        project.answers_file.name not in _committed(project),
    )
    is_main = "main" in names and not (is_new and default not in ("", "main"))
    if not names or project.branch != "main" or is_main:
        return None
    if default:
        return default
    if "refs/remotes/" in refs and not is_new:
        return None
    usual = [name for name in USUAL if name in names]
    only = usual or list(names)  # a branch that is checked out may be anybody's work
    return only[0] if len(only) == 1 else ""


def _adopt_branch(project: Project, branch: str) -> Result:
    """Write the branch where the template wrote `main`, so that an update finds its own text."""
    why = f"there is no main; say in {project.settings} which branch work is merged into"
    if not re.fullmatch(BRANCH, branch):
        name = f", and {branch} has characters that workflows read otherwise" if branch else ""
        return Result("could not", why + name, 'branch = "NAME"')
    texts: dict[Path, str] = {}
    committed = _committed(project)
    answer = yaml.safe_dump({"collaboration_branch": branch}, allow_unicode=True).strip()
    names = ADOPTED_NAMING if project.is_adopted else NAMING
    is_new = project.answers_file.name not in committed
    for name in names:
        path, is_theirs = project.root / name, is_new and name in committed
        if not path.is_file() or (is_theirs and name != names[-1]):
            continue
        text = read_text(path)
        new = re.sub(NAMED, branch, text, flags=re.MULTILINE)
        new = re.sub("^collaboration_branch: main$", answer, new, flags=re.MULTILINE)
        if name.endswith("dependabot.yml") and "target-branch" not in new:
            new = new.replace("    schedule: ", f'    target-branch: "{branch}"\n    schedule: ')
        texts |= {path: new} if new != text else {}
    if project.root / names[-1] not in texts:
        return Result("could not", why, f'branch = "{branch}"')
    for path, text in texts.items():
        write_text(path, text)
    return Result("done", f"{branch}, as in this repository; files that say so now: {len(texts)}")


def _committed(project: Project) -> list[str]:
    """Paths of the files in the last commit."""
    return (git_output(project, "ls-tree", "-r", "--name-only", "HEAD") or "").splitlines()


def _install_hooks(project: Project) -> Result:
    """Let pre-commit put its hook into the repository."""
    if project.is_adopted:
        return Result("skipped", "yours are left alone; .github/dslp/README.md has the one to add")
    if not (project.root / HOOKS).is_file():
        return Result("skipped", f"there is no {HOOKS} (component process)")
    hooks_path = git_output(project, "config", "core.hooksPath")
    if hooks_path:
        why = f"git's core.hooksPath is {hooks_path}, and pre-commit does not install beside it. "
        why += "Unset that, or check by hand before each commit"
        return Result("could not", why, "uv run pre-commit run --all-files")
    hook = project.root / (git_output(project, "rev-parse", "--git-path", "hooks/pre-commit") or "")
    before = hook.read_bytes() if hook.is_file() else b""
    code, output = _run(project, _pre_commit(), "install")
    if code:
        return Result("could not", error_line(output), "uv run pre-commit install")
    if hook.is_file() and hook.read_bytes() == before:
        return Result("skipped", "already installed")
    legacy = hook.with_name("pre-commit.legacy").is_file()
    own = "; your own hook is kept, and runs first" if before and legacy else ""
    return Result("done", f"installed{own}")


def _commit(project: Project, checked: bool) -> Result:
    """Make the first commit, checked by the hooks, unless somebody has begun one."""
    if git_output(project, "rev-list", "--all", "--max-count=1"):
        return _describe_commits(project)
    if git_output(project, "ls-files"):
        return Result("skipped", "what you staged is left as it is", "git commit")
    if project.is_adopted or not any(project.root.glob(".copier-answers*.yml")):
        why = "some of these files may not be the template's: look at them first"
        return Result("skipped", why, "git add --all && git commit")
    for person in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        if git_output(project, "-c", "user.useConfigOnly=true", "var", person) is None:
            why = "git does not know who you are: set user.email too, and user.name by"
            return Result("could not", why, 'git config --global user.name "Your Name"')
    message = f"Generate {project.root.name} from the life-cycle template"
    commands = [["git", "add", "--all"], ["git", "commit", "--quiet", "--message", message]]
    if not checked:  # then the commit itself runs no checks
        commands.insert(1, [_pre_commit(), "run", "--all-files"])
    if (project.root / "uv.lock").is_file():  # somebody's global ignore file may name *.lock
        commands.insert(1, ["git", "add", "--force", "uv.lock"])
    try:
        for command in commands:
            if _run(project, *command, show=True)[0]:
                why = f"{' '.join(command[:2])} did not succeed (see above); nothing is staged now"
                return Result("could not", why, "uv run dslp setup")
    finally:
        if not git_output(project, "rev-list", "--all", "--max-count=1"):
            git_output(project, "read-tree", "--empty")  # nothing was staged before: begin anew
    files = (git_output(project, "ls-files") or "").splitlines()
    checks = ", checked by the commit hooks" if (project.root / HOOKS).is_file() else ""
    return Result("done", f"{len(files)} files{checks}{_point_main(project)}")


def _describe_commits(project: Project) -> Result:
    """The result where there are commits: conflicts of an update, or the number of changes."""
    if names := conflicts(project):
        why = f"an update left conflicts; resolve {', '.join(names)}"
        return Result("could not", why, "git status")
    if main := _point_main(project):
        return Result("done", f"there is one{main}")
    options = ("--no-optional-locks", "status", "--porcelain", "--untracked-files=all")
    status = git_output(project, *options) or ""
    changed = len(status.splitlines())
    later = "git add --all && git commit" if changed else ""
    return Result("skipped", f"there are commits; files changed since: {changed}", later)


def _point_main(project: Project) -> str:
    """Point `main` at the first commit of a team on develop(ment), which merges to it (B8)."""
    head = git_output(project, "symbolic-ref", "--short", "HEAD")
    only = git_output(project, "rev-list", "--all", "--count") == "1"
    existing = git_output(project, "for-each-ref", "refs/heads/main", "refs/remotes/*/main")
    if existing or not only or head != project.branch or head not in USUAL[:2]:
        return ""
    return "" if git_output(project, "branch", "main") is None else "; main points at it too"


def _register_labels(project: Project) -> Result:
    """Make GitHub's labels those of the file, where there are a remote and a token."""
    from dslp.github.client import Unavailable, connect
    from dslp.github.labels import read_labels, register_labels

    later = "uv run dslp labels register"
    if not project.labels_file.is_file():
        name = project.labels_file.relative_to(project.github.parent)
        return Result("skipped", f"there is no {name} (component process)")
    if not git_output(project, "remote"):
        why = "there is no remote origin on GitHub yet; the first push registers them. Make one by"
        return Result("skipped", why, "gh repo create --source=. --private --push")
    try:
        repository = connect(project, {**os.environ, "GITHUB_REPOSITORY": ""})
    except Unavailable as error:
        return Result("could not", str(error), later)
    except DslpError as error:  # another forge, or no token
        return Result("skipped", f"{error}; the first push registers them too", later)
    try:
        changes = register_labels(repository, read_labels(project.labels_file), prune=False)
    except DslpError as error:
        return Result("could not", str(error), later)
    what = f"{repository.name}: {len(changes)} changed. To let GitHub require the policy"
    return Result("done", what, "uv run dslp protect")


def _next_commands(project: Project) -> list[str]:
    """The commands that a project which is set up goes on with."""
    commands = ["dslp doctor"] if project.is_adopted else []
    if any(project.code_root.glob("*/datasets/*/suite.yml")):
        commands += ["dslp data build", "dslp data validate"]
    if any(project.code_root.glob("*/models/*/params.yml")):
        commands += ["dslp experiment run"]
        commands += [f"dslp model {step}" for step in ("train", "register", "promote")]
    has_tests = not project.is_adopted and (project.root / "tests").is_dir()
    commands += ["pytest"] if has_tests else []
    return [f"uv run {command}" for command in commands or ["dslp --help"]]


def _pre_commit() -> str:
    """The pre-commit of this environment, or the one on PATH."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("pre-commit", path=places) or "pre-commit"


def _run(project: Project, *command: str, show: bool = False) -> tuple[int, str]:
    """Run a command in the project: its exit code, and what it wrote unless that was shown."""
    output, errors = (None, None) if show else (subprocess.PIPE, subprocess.STDOUT)
    try:
        done = subprocess.run(command, cwd=project.root, stdout=output, stderr=errors, check=False)
    except OSError as error:
        return 127, f"{command[0]} does not start: {error.strerror}"
    return done.returncode, (done.stdout or b"").decode(errors="replace")
