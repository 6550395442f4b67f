"""Set this project up in one command, after it was generated or cloned.

    python3 hooks/post_generate.py

It needs Python 3.11 or newer and no package. Step by step it says what it did, skipped (and why)
or could not do (and the command that does it later):

1. repository    a git repository here, on the branch that pyproject.toml names
2. environment   `uv sync`: packages resolved into uv.lock and installed into .venv
3. pre-commit    the project's own checks, run by git before each commit
4. first commit  the generated files and uv.lock, past those checks

Run it again whenever you like: commits, and what you staged or changed, are left alone. Nothing
outside this folder changes but uv's cache; only uv uses the network, to fetch packages.

Exit codes: 0 nothing is left to do, 1 a step could not be done, 2 cannot run, 130 stopped.
"""

# An older Python must still parse this file to say that it is too old: neither syntax nor a
# module-level import that Python 3.6 does not know.
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

AGAIN = "python3 hooks/post_generate.py"
WIDTH, INDENT = 80, 11

# Set by git for its hooks, or by a shell: each would lead git or uv to another place.
ELSEWHERE = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_QUARANTINE_PATH"),
    *("UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "VIRTUAL_ENV"),
}


class CannotRun(Exception):
    """There is nothing to set up here; the message says why."""


class Project(NamedTuple):
    """The folder that holds `hooks/`, and what its pyproject.toml says."""

    path: Path
    name: str
    package: str
    branch: str


class Result(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class Outcome(NamedTuple):
    """What became of a step: `done`, `skipped` or `could not`, why, and the command for later."""

    status: str
    text: str
    later: str = ""


def read_project(path: Path) -> Project:
    """Read pyproject.toml; raise CannotRun where it is not a generated project's."""
    import tomllib

    try:
        with (path / "pyproject.toml").open("rb") as file:
            content = tomllib.load(file)
        ours = content["tool"]["lifecycle"]
        project = Project(path, content["project"]["name"], ours["package"], ours["branch"])
        if project.branch not in ("main", "development"):
            raise ValueError("[tool.lifecycle] branch must be main or development")
    except (OSError, KeyError, TypeError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise CannotRun(
            f"{path / 'pyproject.toml'} is not that of a generated project ({why}). This script "
            "works from the hooks folder of one."
        ) from error
    return project


def repository(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Make the folder a repository whose first commit will be on the collaboration branch."""
    if not shutil.which("git"):
        return Outcome("could not", "git is not on PATH: see https://git-scm.com/downloads", AGAIN)
    place, words = place_of(project)
    if place == "inside":
        return Outcome("skipped", f"this folder is part of the repository {words}")
    if place == "unclear":
        trust = re.search(r"git config --global --add safe\.directory .*", words)
        return Outcome("could not", last_words(words), trust.group() if trust else "git status")
    done = git(project, "init", "--quiet") if place == "none" else Result(0, "", "")
    head = git(project, "symbolic-ref", "--short", "HEAD").out.strip()
    moves = done.code == 0 and head != project.branch and not has_commits(project)
    if moves:  # nothing is lost without commits; `git init --initial-branch` needs git 2.28
        done = git(project, "symbolic-ref", "HEAD", "refs/heads/" + project.branch)
    if done.code:
        return Outcome("could not", last_words(done.err), AGAIN)
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
    folder = project.path / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    before = folder.is_dir() and any(folder.iterdir())
    if before and not is_whole(folder):
        words = f"{folder.name} is no whole environment (it has no pyvenv.cfg); remove that folder"
        return Outcome("could not", words, AGAIN)
    if before and run(project, "uv", "sync", "--locked", "--check").code == 0:
        return Outcome("skipped", "already as uv.lock says")
    if sync(project, folder, "shown").code:
        # The first time uv drew its progress on the terminal; now it says only what is wrong.
        failed = sync(project, folder, "kept", UV_HTTP_RETRIES="0")
        if failed.code:
            return Outcome("could not", last_words(failed.err), "uv sync")
    return Outcome("done", f"locked in uv.lock, installed in {folder.name}")


def pre_commit(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Let pre-commit put its hook into the repository."""
    if not (project.path / ".pre-commit-config.yaml").is_file():
        return Outcome("skipped", "there is no .pre-commit-config.yaml (component process)")
    if place_of(project)[0] != "own":
        return Outcome("skipped", "this folder is no repository of its own")
    if earlier["environment"].status == "could not":
        return Outcome("skipped", "it is part of the environment, which is not there yet")
    elsewhere = git(project, "config", "core.hooksPath").out.strip()
    if elsewhere:
        words = f"git's core.hooksPath is {elsewhere}, and pre-commit does not install beside it. "
        words += "Unset that and run this again, or check by hand before each commit"
        return Outcome("could not", words, "uv run pre-commit run --all-files")
    before = pre_commit_hook(project)
    made = run(project, "uv", "run", "--no-sync", "pre-commit", "install")
    if made.code:
        return Outcome("could not", last_words(made.err + made.out), "uv run pre-commit install")
    if pre_commit_hook(project) == before:
        return Outcome("skipped", "already installed")
    kept = "; the hook that was there is kept, and runs first" if before else ""
    return Outcome("done", f"installed{kept}")


def first_commit(project: Project, earlier: Dict[str, Outcome]) -> Outcome:
    """Commit everything once, where nobody has begun to."""
    if place_of(project)[0] != "own":
        return Outcome("skipped", "this folder is no repository of its own")
    if has_commits(project):
        beside = main_beside(project)
        if beside:
            return Outcome("done", f"there is one{beside}")
        waiting = count(git(project, "status", "--porcelain", "--untracked-files=all").out)
        words = f"there are commits, and {waiting} changed since"
        later = "" if waiting.startswith("0") else "git add --all && git commit"
        return Outcome("skipped", words, later)
    staged = git(project, "ls-files").out
    if staged:
        return Outcome("skipped", f"you staged {count(staged)}, left as it is", "git commit")
    if earlier["environment"].status == "could not":
        return Outcome("skipped", "uv.lock belongs in it, and the environment is not there yet")
    for person in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        if git(project, "-c", "user.useConfigOnly=true", "var", person).code:
            words = "git does not know who you are: set user.name and user.email, each as in "
            words += 'git config --global user.name "Your Name"'
            return Outcome("could not", words, AGAIN)
    message = f"Generate {project.name} from the life-cycle template"
    body = "The files as they were generated, and the environment locked in uv.lock."
    try:
        made = git(project, "add", "--all")
        if made.code == 0:  # by force, as somebody's global ignore file may name *.lock
            made = git(project, "add", "--force", "uv.lock")
        if made.code == 0:
            commit = ["commit", "--quiet", "--message", message, "--message", body]
            made = run(project, "git", *commit, output="both")
    finally:
        if not has_commits(project):  # nothing was staged before: a second run can begin anew
            git(project, "read-tree", "--empty")
    if made.code:
        checks = re.findall(r"^(.+?)\.{2,}.*Failed\r?$", made.out, re.MULTILINE)
        words = f"refused by the project's checks (see above): {', '.join(checks)}"
        return Outcome("could not", words if checks else last_words(made.out + made.err), AGAIN)
    checked = ", past the project's checks" if b"pre-commit" in pre_commit_hook(project) else ""
    words = f"{count(git(project, 'ls-files').out)}, on branch {project.branch}{checked}"
    return Outcome("done", words + main_beside(project))


# A step looks at the project, and at what became of the steps before it.
STEPS = (
    ("repository", repository),
    ("environment", environment),
    ("pre-commit", pre_commit),
    ("first commit", first_commit),
)


def place_of(project: Project) -> Tuple[str, str]:
    """Say where the repository is: own, inside (of which), none, or unclear (git's words)."""
    asked = git(project, "rev-parse", "--show-toplevel")
    if asked.code == 0:
        top = asked.out.rstrip("\r\n")
        if project.path.samefile(top):
            return "own", top
        # A folder that the repository around it ignores, such as build/, is no part of it.
        ignored = git(project, "check-ignore", "--quiet", ".").code == 0
        return ("none", "") if ignored and not git(project, "ls-files").out else ("inside", top)
    # `git init` completes a .git folder that was left half made; a .git file points elsewhere.
    if "not a git repository" in asked.err and not (project.path / ".git").is_file():
        return "none", ""
    return "unclear", asked.err


def is_whole(folder: Path) -> bool:
    """Say whether uv may work in an environment.

    One that was left half made, with a link to Python and no pyvenv.cfg yet, passes for the Python
    that it links to: `uv sync` would uninstall that one's packages. A folder that somebody named
    in UV_PROJECT_ENVIRONMENT is their choice, and may be a whole Python.
    """
    return "UV_PROJECT_ENVIRONMENT" in os.environ or (folder / "pyvenv.cfg").is_file()


def sync(project: Project, folder: Path, output: str, **variables: str) -> Result:
    """Run `uv sync`; an environment that it began and left half made is removed again."""
    try:
        options = ["--quiet"] if output == "kept" else []
        return run(project, "uv", "sync", *options, output=output, **variables)
    finally:
        if not is_whole(folder):
            shutil.rmtree(str(folder), ignore_errors=True)


def has_commits(project: Project) -> bool:
    """Say whether any branch has a commit."""
    return bool(git(project, "rev-list", "--all", "--max-count=1").out)


def main_beside(project: Project) -> str:
    """Point `main` at the first commit of a team on development, which merges to main later."""
    head = git(project, "symbolic-ref", "--short", "HEAD").out.strip()
    only = git(project, "rev-list", "--all", "--count").out.strip() == "1"
    there = git(project, "for-each-ref", "refs/heads/main", "refs/remotes/*/main").out
    if there or not only or not head == project.branch == "development":
        return ""
    return "" if git(project, "branch", "main").code else "; main points at it too"


def pre_commit_hook(project: Project) -> bytes:
    """Return the repository's pre-commit hook; nothing where there is none."""
    name = git(project, "rev-parse", "--git-path", "hooks/pre-commit").out.rstrip("\r\n")
    file = project.path / name
    return file.read_bytes() if file.is_file() else b""


def git(project: Project, *options: str) -> Result:
    """Ask git something, or have it do something that takes no time."""
    return run(project, "git", *options)


def run(project: Project, *command: str, output: str = "kept", **variables: str) -> Result:
    """Run a command in the project's folder, without a shell.

    Args:
        project: Where to run it.
        command: The program and its arguments.
        output: What it writes is `kept`, `shown` on the terminal, or `both` (kept in `out`).
        variables: What to set in its environment.
    """
    values = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    if output == "kept":  # words that can be recognised, and an index that is not even refreshed
        values.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0")
    pipe = None if output == "shown" else subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            cwd=str(project.path),
            env=dict(values, **variables),
            stdin=subprocess.DEVNULL if output == "kept" else None,
            stdout=pipe,
            stderr=subprocess.STDOUT if output == "both" else pipe,
        )
    except OSError as error:
        return Result(127, "", f"{command[0]} does not start: {error.strerror}")
    try:
        out = ""
        for line in process.stdout or () if output == "both" else ():
            out += os.fsdecode(line)
            print(os.fsdecode(line), end="", flush=True)
        rest, err = process.communicate()
    except BaseException:
        stop(process)
        raise
    return Result(process.returncode, out + os.fsdecode(rest or b""), os.fsdecode(err or b""))


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a command that Ctrl-C reached as well, and end it where that did not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave it running
    for end in (None, process.terminate, process.kill):
        if end:
            end()
        try:
            process.communicate(timeout=5)
            return
        except subprocess.TimeoutExpired:
            continue


def last_words(text: str) -> str:
    """Return what git or uv said was wrong, with the last cause; or else the last line."""
    text = re.sub(r":\s*\n\s*", ": ", text.strip())
    errors = re.findall(r"^\s*(?:error|fatal): *(.+)", text, re.MULTILINE)
    causes = re.findall(r"^\s*(?:cause|Caused by): *(.+)", text, re.MULTILINE)
    return ": ".join((errors[-2:] or text.split("\n")[-1:]) + causes[-1:]) or "it said nothing"


def count(lines: str) -> str:
    """Say how many files are listed, one a line."""
    number = len(lines.splitlines())
    return f"{number} file" if number == 1 else f"{number} files"


def report(name: str, outcome: Outcome) -> None:
    """Print what became of a step; a command for later stays in one piece."""
    indent = " " * INDENT
    text = textwrap.fill(
        f"{outcome.status:<{INDENT}}{name}: {outcome.text}",
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        colour = {"done": 32, "skipped": 33, "could not": 31}[outcome.status]
        text = f"\033[{colour}m{text[:INDENT]}\033[0m{text[INDENT:]}"
    print(text + (f"\n{indent}later: {outcome.later}" if outcome.later else ""), flush=True)


def summarise(project: Project, outcomes: Dict[str, Outcome]) -> int:
    """Print what comes next; return the exit code."""
    left = [name for name, outcome in outcomes.items() if outcome.status == "could not"]
    commands = []
    if not project.path.samefile("."):
        commands.append("cd " + shlex.quote(str(project.path)))
    if left:
        print(f"\nLeft to do: {', '.join(left)}. When what is missing is there, go on with:")
        commands.append(AGAIN)
    else:
        print("\nReady. Next:")
        package = project.path / "src" / project.package
        if any(package.glob("datasets/*/suite.yml")):
            commands += ["uv run lifecycle data build", "uv run lifecycle data validate"]
        if any(package.glob("models/*/params.yml")):
            commands.append("uv run lifecycle experiment run")
        commands.append("uv run pytest")
    print("".join(f"  {command}\n" for command in commands), end="", flush=True)
    return 1 if left else 0


def main() -> int:
    """Set the project up; return the exit code."""
    if sys.version_info < (3, 11):
        found = "{}.{}.{}".format(*sys.version_info)
        sys.stderr.write(
            f"Cannot run: this needs Python 3.11 or newer, and this is Python {found}.\n"
            "Nothing was changed. Let uv find or fetch a newer one:\n"
            "  uv run --no-project --python '>=3.11' hooks/post_generate.py\n"
        )
        return 2
    if sys.argv[1:]:
        print((__doc__ or "").strip())
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # whatever a path or a message holds
        project = read_project(Path(__file__).resolve().parent.parent)
        print(f"Setting up {project.name} in {project.path}\n", flush=True)
        outcomes: Dict[str, Outcome] = {}
        for name, step in STEPS:
            outcomes[name] = step(project, outcomes)
            report(name, outcomes[name])
        return summarise(project, outcomes)
    except CannotRun as error:
        sys.stderr.write(textwrap.fill(f"Cannot run: {error}", WIDTH) + "\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. It is safe to run this again: it goes on from here.\n")
        return 130
    except OSError as error:  # such as a closed pipe, or a folder that vanished meanwhile
        sys.stderr.write(f"Stopped: {error}. It is safe to run this again.\n")
        os._exit(1)  # as Python would try, and fail, to write out the rest


if __name__ == "__main__":
    sys.exit(main())
