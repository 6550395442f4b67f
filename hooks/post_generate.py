"""Set this project up in one command, after it was generated or cloned.

    python3 hooks/post_generate.py

It needs Python 3.11 or newer and no package. It says of each step what it did, skipped (and why)
or could not do (and the command that does it later):

1. repository    a git repository here, on the branch that pyproject.toml names
2. environment   `uv sync`: packages resolved into uv.lock and installed into .venv
3. pre-commit    the project's own checks, run by git before each commit
4. first commit  the generated files and uv.lock, past those checks
5. labels        those of .github/labels.yml, on GitHub where the repository is there already

Run it again whenever you like: commits, and what you staged or changed, are left alone. Nothing
outside this folder changes but uv's cache and the labels on GitHub; only these use the network.

Exit codes: 0 nothing is left to do, 1 a step could not be done, 2 cannot run, 130 stopped.
"""

# An older Python must still parse this file to say that it is too old: neither syntax nor a
# module-level import that Python 3.6 does not know.
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
AGAIN = "python3 hooks/post_generate.py"
CHECKS, LABELS = ".pre-commit-config.yaml", ".github/labels.yml"
WIDTH, INDENT = 80, 11
PROGRESS = r"(?! +(Downloaded|Built|[-+~]) )"  # uv's lines, without its list of packages

# Set by git for its hooks, or by a shell: each would lead git or uv to another place.
ELSEWHERE = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
    *(
        "GIT_PREFIX",
        "UV_PROJECT",
        "UV_WORKING_DIR",
        "UV_WORKING_DIRECTORY",
        "VIRTUAL_ENV",
        "GITHUB_REPOSITORY",
    ),
}


class Project(NamedTuple):
    """What pyproject.toml says of the project."""

    name: str
    package: str
    branch: str


class Outcome(NamedTuple):
    """What became of a step: `done`, `skipped` or `could not`, why, and the command for later."""

    status: str
    text: str
    later: str = ""


def repository(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Make the folder a repository whose first commit will be on the collaboration branch."""
    if not shutil.which("git"):
        return Outcome("could not", "git is not on PATH: see https://git-scm.com/downloads", AGAIN)
    place, words = place_of_repository()
    if place == "inside":
        return Outcome("skipped", f"this folder is part of the repository {words}")
    if place == "unclear":
        trust = re.search(r"git config --global --add safe\.directory .*", words)
        return Outcome("could not", last_words(words), trust.group() if trust else "git status")
    done = run("git", "init", "--quiet") if place == "none" else None
    head = run("git", "symbolic-ref", "--short", "HEAD").stdout.strip()
    moves = not (done and done.returncode) and head != project.branch and not has_commits()
    if moves:  # nothing is lost without commits; `git init --initial-branch` needs git 2.28
        done = run("git", "symbolic-ref", "HEAD", "refs/heads/" + project.branch)
    if done and done.returncode:
        return Outcome("could not", last_words(done.stderr), AGAIN)
    if place == "none":
        return Outcome("done", f"made, on branch {project.branch}")
    if moves:
        return Outcome("done", f"had no commits: now on branch {project.branch}, not {head}")
    return Outcome("skipped", f"already one, on {'branch ' + head if head else 'no branch'}")


def environment(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Let uv lock and install what pyproject.toml asks for."""
    if not shutil.which("uv"):
        where = "https://docs.astral.sh/uv/getting-started/installation"
        return Outcome("could not", f"uv is not on PATH; install it ({where}), then", "uv sync")
    folder = ROOT / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    if is_half_made(folder):
        words = f"{folder.name} is no whole environment (it has no pyvenv.cfg); remove that folder"
        return Outcome("could not", words, AGAIN)
    if folder.is_dir() and run("uv", "sync", "--locked", "--check").returncode == 0:
        return Outcome("skipped", "already as uv.lock says")
    try:
        made = run("uv", "sync", show=PROGRESS)
    finally:
        if is_half_made(folder):
            shutil.rmtree(str(folder), ignore_errors=True)
    if made.returncode:
        return Outcome("could not", last_words(made.stdout), "uv sync")
    return Outcome("done", f"locked in uv.lock, installed in {folder.name}")


def pre_commit(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Let pre-commit put its hook into the repository."""
    elsewhere = run("git", "config", "core.hooksPath").stdout.strip()
    if elsewhere:
        words = f"git's core.hooksPath is {elsewhere}, and pre-commit does not install beside it. "
        words += "Unset that and run this again, or check by hand before each commit"
        return Outcome("could not", words, "uv run pre-commit run --all-files")
    hook = ROOT / run("git", "rev-parse", "--git-path", "hooks/pre-commit").stdout.rstrip("\r\n")
    before = hook.read_bytes() if hook.is_file() else b""
    made = run("uv", "run", "--no-sync", "pre-commit", "install")
    if made.returncode:
        return Outcome(
            "could not", last_words(made.stderr + made.stdout), "uv run pre-commit install"
        )
    if before and hook.read_bytes() == before:
        return Outcome("skipped", "already installed")
    kept = "; the hook that was there is kept, and runs first" if before else ""
    return Outcome("done", f"installed{kept}")


def first_commit(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Commit everything once, past the checks, where nobody has begun to."""
    if has_commits():
        beside = main_beside(project)
        if beside:
            return Outcome("done", f"there is one{beside}")
        waiting = run("git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
        words = f"there are commits; files changed since: {len(waiting)}"
        return Outcome("skipped", words, "git add --all && git commit" if waiting else "")
    if run("git", "ls-files").stdout:
        return Outcome("skipped", "what you staged is left as it is", "git commit")
    for person in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        if run("git", "-c", "user.useConfigOnly=true", "var", person).returncode:
            words = "git does not know who you are: set user.name and user.email, each as in "
            words += 'git config --global user.name "Your Name"'
            return Outcome("could not", words, AGAIN)
    message = f"Generate {project.name} from the life-cycle template"
    commands = [
        ("git", "add", "--all"),
        ("git", "add", "--force", "uv.lock"),  # somebody's global ignore file may name *.lock
        ("git", "commit", "--quiet", "--message", message),
    ]
    if earlier["pre-commit"].status == "could not":  # then the commit itself runs no checks
        commands.insert(2, ("uv", "run", "--no-sync", "pre-commit", "run", "--all-files"))
    try:
        for command in commands:
            made = run(*command, show="")
            if made.returncode:
                checks = ", ".join(re.findall(r"(?m)^(.+?)\.{2,}.*Failed\r?$", made.stdout))
                words = f"refused by the project's checks (see above): {checks}"
                return Outcome("could not", words if checks else last_words(made.stdout), AGAIN)
    finally:
        if not has_commits():  # nothing was staged before: a second run can begin anew
            run("git", "read-tree", "--empty")
    checked = ", past the project's checks" if (ROOT / CHECKS).is_file() else ""
    files = run("git", "ls-files").stdout.splitlines()
    words = f"{len(files)} files, on branch {project.branch}{checked}{main_beside(project)}"
    return Outcome("done", words)


def labels(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Let the project's own tool register its labels on GitHub."""
    later = "uv run dslp labels register"
    if "github.com" not in run("git", "remote", "-v").stdout:
        words = "there is no remote on GitHub yet; the first push registers them. Make one by"
        return Outcome("skipped", words, "gh repo create --source=. --private --push")
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    if not token and run("gh", "auth", "token").returncode:
        words = "there is no token here (gh auth login), but the first push registers them too"
        return Outcome("skipped", words, later)
    made = run("uv", "run", "--no-sync", "dslp", "labels", "register")
    if made.returncode:
        return Outcome("could not", last_words(made.stderr), later)
    words = made.stdout.strip().split("\n")[-1]
    return Outcome("done", f"{words}. To let GitHub require the policy", "uv run dslp protect")


# Each with the file that it is about, once there are a repository and an environment.
STEPS = (
    ("repository", repository, ""),
    ("environment", environment, ""),
    ("pre-commit", pre_commit, CHECKS),
    ("first commit", first_commit, "pyproject.toml"),
    ("labels", labels, LABELS),
)


def place_of_repository() -> Tuple[str, str]:
    """Say where the repository is: own, inside (of which), none, or unclear (git's words)."""
    asked = run("git", "rev-parse", "--show-toplevel")
    if asked.returncode == 0:
        top = asked.stdout.rstrip("\r\n")
        if ROOT.samefile(top):
            return "own", top
        # A folder that the repository around it ignores, such as build/, is no part of it.
        ignored = run("git", "check-ignore", "--quiet", ".").returncode == 0
        return ("none", "") if ignored and not run("git", "ls-files").stdout else ("inside", top)
    # `git init` completes a .git folder that was left half made; a .git file points elsewhere.
    unmade = "not a git repository" in asked.stderr and not (ROOT / ".git").is_file()
    return ("none", "") if unmade else ("unclear", asked.stderr)


def is_half_made(folder: Path) -> bool:
    """Say whether an environment was begun and left, with a link to Python and no pyvenv.cfg yet.

    uv takes it for the Python that it links to, and `uv sync` would uninstall that one's packages.
    What UV_PROJECT_ENVIRONMENT names is somebody's choice, and may be a whole Python.
    """
    fine = "UV_PROJECT_ENVIRONMENT" in os.environ or (folder / "pyvenv.cfg").is_file()
    return not fine and folder.is_dir() and any(folder.iterdir())


def has_commits() -> bool:
    """Say whether any branch has a commit."""
    return bool(run("git", "rev-list", "--all", "--max-count=1").stdout)


def main_beside(project: Project) -> str:
    """Point `main` at the first commit of a team on development, which merges to main later."""
    head = run("git", "symbolic-ref", "--short", "HEAD").stdout.strip()
    only = run("git", "rev-list", "--all", "--count").stdout.strip() == "1"
    there = run("git", "for-each-ref", "refs/heads/main", "refs/remotes/*/main").stdout
    if there or not only or not head == project.branch == "development":
        return ""
    return "" if run("git", "branch", "main").returncode else "; main points at it too"


def run(*command: str, show: Optional[str] = None) -> "subprocess.CompletedProcess[str]":
    """Run a command in the project's folder, without a shell, and keep what it writes.

    With a pattern to `show`, lines that match it are printed as they come, and `stdout` holds all.
    """
    values = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    if command[0] == "git" and show is None:
        # Words that can be recognised, and an index that is not even refreshed. For git alone: in
        # this locale Python 3.11 and 3.12 cannot read an environment in a folder such as `Ä`.
        values.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0")
    keep, pipe = show is None, subprocess.PIPE
    stdin, stderr = (subprocess.DEVNULL, pipe) if keep else (None, subprocess.STDOUT)
    out = ""
    try:
        process = subprocess.Popen(command, 0, None, stdin, pipe, stderr, cwd=str(ROOT), env=values)
    except OSError as error:
        words = f"{command[0]} does not start: {error.strerror}"
        return subprocess.CompletedProcess(command, 127, "", words)
    try:
        for line in map(os.fsdecode, () if keep else process.stdout or ()):
            out += line
            if re.match(show or "", line):
                print(line, end="", flush=True)
        rest, err = process.communicate()
    except BaseException:
        process.terminate()  # Ctrl-C reached it as well, and it may not listen to that
        process.wait()
        raise
    texts = out + os.fsdecode(rest), os.fsdecode(err or b"")
    return subprocess.CompletedProcess(command, process.returncode, *texts)


def last_words(text: str) -> str:
    """Return what git or uv said was wrong, with the last cause; or else the last line."""
    text = re.sub(r":\s*\n\s*", ": ", text.strip())
    errors = re.findall(r"^\s*(?:error|fatal): *(.+)", text, re.MULTILINE)
    causes = re.findall(r"^\s*(?:cause|Caused by): *(.+)", text, re.MULTILINE)
    return ": ".join((errors[-2:] or text.split("\n")[-1:]) + causes[-1:]) or "it said nothing"


def report(name: str, outcome: Outcome) -> None:
    """Print what became of a step; a command for later stays in one piece."""
    lines = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * INDENT, break_on_hyphens=False)
    lines.break_long_words = False
    text = lines.fill(f"{outcome.status:<{INDENT}}{name}: {outcome.text}")
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        colour = {"done": 32, "skipped": 33, "could not": 31}[outcome.status]
        text = f"\033[{colour}m{text[:INDENT]}\033[0m{text[INDENT:]}"
    text += "\n" + " " * INDENT + f"later: {outcome.later}" if outcome.later else ""
    print(text, flush=True)


def following(project: Project) -> List[str]:
    """Return the commands that a project which is set up goes on with."""
    commands, package = [], ROOT / "src" / project.package
    if any(package.glob("datasets/*/suite.yml")):
        commands += ["data build", "data validate"]
    if any(package.glob("models/*/params.yml")):
        commands.append("experiment run")
        if (ROOT / "tools" / "dslp" / "src" / "dslp" / "models").is_dir():
            commands += ["model train", "model register", "model promote"]
    return [*("uv run dslp " + command for command in commands), "uv run pytest"]


def set_up(project: Project) -> int:
    """Go through the steps, and print what comes next; return the exit code."""
    print(f"Setting up {project.name} in {ROOT}\n", flush=True)
    outcomes: Dict[str, Outcome] = {}
    for name, step, file in STEPS:
        if file and not (ROOT / file).is_file():
            outcome = Outcome("skipped", f"there is no {file} (component process)")
        elif file and place_of_repository()[0] != "own":
            outcome = Outcome("skipped", "this folder is no repository of its own")
        elif file and outcomes["environment"].status == "could not":
            outcome = Outcome("skipped", "the environment, and uv.lock with it, is not there yet")
        else:
            outcome = step(project, outcomes)
        outcomes[name] = outcome
        report(name, outcome)
    left = ", ".join(name for name, outcome in outcomes.items() if outcome.status == "could not")
    go_on = f"Left to do: {left}. When what is missing is there, go on with:"
    commands = [] if ROOT.samefile(".") else ["cd " + shlex.quote(str(ROOT))]
    commands += [AGAIN] if left else following(project)
    print("\n  ".join(["\n" + (go_on if left else "Ready. Next:"), *commands]), flush=True)
    return 1 if left else 0


def main() -> int:
    """Set the project up, or say in a sentence what stops that; return the exit code."""
    if sys.version_info < (3, 11):
        found = "{}.{}.{}".format(*sys.version_info)
        sys.stderr.write(
            f"Cannot run: this needs Python 3.11 or newer, and this is Python {found}.\n"
            "Nothing was changed. Let uv find or fetch a newer one:\n"
            "  uv run --no-project --python '>=3.11' hooks/post_generate.py\n"
        )
        return 2
    import tomllib

    if sys.argv[1:]:
        print((__doc__ or "").strip())
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    try:
        content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        ours = content["tool"]["dslp"]
        project = Project(content["project"]["name"], ours["package"], ours["branch"])
        if project.branch not in ("main", "development"):
            raise ValueError("[tool.dslp] branch must be main or development")
    except (OSError, KeyError, TypeError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        words = f"Cannot run: {ROOT / 'pyproject.toml'} is not that of a generated project ({why})."
        sys.stderr.write(textwrap.fill(words, WIDTH) + "\n")
        return 2
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # whatever a path or a message holds
        return set_up(project)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. It is safe to run this again: it goes on from here.\n")
        return 130
    except OSError as error:  # such as a closed pipe, or a folder that vanished meanwhile
        sys.stderr.write(f"Stopped: {error}. It is safe to run this again.\n")
        os._exit(1)  # as Python would try, and fail, to write out the rest


if __name__ == "__main__":
    sys.exit(main())
