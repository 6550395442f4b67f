"""Set up a project that was generated, cloned or updated: `python3 hooks/post_generate.py`.

It needs Python 3.11 or newer, git and uv. Run it again whenever you like: your work is left alone.
Exit codes: 0 nothing is left to do, 1 a step could not be done, 2 cannot run, 130 stopped.
"""

# An older Python must parse this file to say that it is too old: only what Python 3.6 knows.
import os
import re
import shutil
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen, run
from typing import Any, Dict, Tuple

ROOT, AGAIN = Path(__file__).resolve().parent.parent, "python3 hooks/post_generate.py"
# Set by git for its hooks, or by a shell: they lead to another place, or make each import slow.
UNWANTED = "PYTHONDONTWRITEBYTECODE|VIRTUAL_ENV|UV_(PROJECT|WORKING_DIR)|GITHUB_REPOSITORY"
UNWANTED += "|GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|PREFIX)"
VARIABLES = {name: os.environ[name] for name in os.environ if not re.fullmatch(UNWANTED, name)}
CALL: Dict[str, Any] = {"cwd": str(ROOT), "env": VARIABLES, "errors": "replace"}


def repository(branch: str) -> Tuple[str, str, str]:
    """Make the folder a repository whose first commit will be on the collaboration branch."""
    place = git("rev-parse", "--show-toplevel", "--show-prefix")
    exists, (top, _, inside) = place.returncode == 0, place.stdout.strip().partition("\n")
    # A folder that the repository around it ignores, such as build/, is no part of it.
    if inside and (git("check-ignore", "--quiet", ".").returncode or git("ls-files").stdout):
        why = "hooks and .github work at its top only: move this folder out, or .github up"
        return "could not", f"part of {top}: {why} (dslp doctor says how)", AGAIN
    # `git init` completes a .git folder that was left half made; a .git file points elsewhere.
    if not exists and ("not a git repository" not in place.stderr or (ROOT / ".git").is_file()):
        trust = re.search(r"git config --global --add safe\.directory .*", place.stderr)
        return "could not", " ".join(place.stderr.split()), trust.group() if trust else "git status"
    place = git("init", "--quiet") if inside or not exists else place
    if not place.returncode and git("rev-list", "--all", "--max-count=1").stdout:
        return "skipped", "already one, with commits", ""
    # Nothing is lost without commits; `git init --initial-branch` needs git 2.28.
    place = place if place.returncode else git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    if place.returncode:
        return "could not", " ".join(place.stderr.split()), AGAIN
    return "done", f"on branch {branch}, without commits yet", ""


def environment(branch: str) -> Tuple[str, str, str]:
    """Let uv lock and install what pyproject.toml asks for, and show how far it is."""
    folder = ROOT / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    whole = "UV_PROJECT_ENVIRONMENT" in os.environ or (folder / "pyvenv.cfg").is_file()
    if not whole and folder.is_dir() and any(folder.iterdir()):  # uv might empty its Python
        return "could not", ".venv is left half made (no pyvenv.cfg): remove that folder", AGAIN
    if whole and not run(["uv", "sync", "--locked", "--check"], stderr=DEVNULL, **CALL).returncode:
        return "skipped", "already as uv.lock says", ""
    errors = ""
    with Popen(["uv", "sync"], stderr=PIPE, **CALL) as process:
        for line in process.stderr or ():
            errors += line
            if not re.match(" +(Downloaded|Built|[-+~]) ", line):  # the list of packages is long
                print(line, end="", flush=True)
    if process.returncode == 0:
        return "done", f"locked in uv.lock, installed in {folder.name}", ""
    if re.search("interpreter|/cpython-", errors[errors.rfind("error:") :]):
        why = "uv has no Python as requires-python in pyproject.toml, or .python-version, asks for"
        return "could not", why + " (see above)", "uv python install"
    return "could not", f"uv stopped with exit code {process.returncode} (see above)", "uv sync"


def git(*arguments: str) -> "CompletedProcess[str]":
    """Ask git, for words that can be recognised, and without a change to its index."""
    options = dict(CALL, env=dict(VARIABLES, LC_ALL="C", GIT_OPTIONAL_LOCKS="0"))
    return run(["git", *arguments], capture_output=True, **options)


def main() -> int:
    """Go through the steps, and hand over; return the exit code."""
    import tomllib

    ArgumentParser(usage=__doc__).parse_args()
    pyproject, left = (ROOT / "pyproject.toml").read_text(encoding="utf-8", errors="replace"), []
    if re.search(r"(?m)^([<>|=])\1{6}( |$)", pyproject) or (ROOT / "pyproject.toml.rej").exists():
        raise ValueError("pyproject.toml has conflict markers, or a .rej beside it: resolve them")
    try:
        settings: Any = tomllib.loads(pyproject)
        name, tools = settings["project"]["name"], settings.get("tool", {})
        branch = tools.get("dslp", {}).get("branch", "main")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"pyproject.toml is not valid: {error!r}") from None
    print(f"Setting up {name} in {ROOT}\n", flush=True)
    sites = {"git": "git-scm.com/downloads", "uv": "docs.astral.sh/uv"}
    for tool, step in zip(sites, (repository, environment)):
        missing = ("could not", f"{tool} is not on PATH: see https://{sites[tool]}", AGAIN)
        status, text, later = step(branch) if shutil.which(tool) else missing
        print(f"{status:<11}{step.__name__}: {text}", flush=True)
        print(f"{'':11}later: {later}\n" if later else "", end="", flush=True)
        left += [step.__name__] if status == "could not" else []
    if left:
        print(f"\nLeft to do: {', '.join(left)}. After that, go on with:\n  {AGAIN}")
        return 1
    process = Popen(["uv", "run", "--no-sync", "dslp", "setup"], **CALL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it says itself that it was stopped
    if process.wait() < 0:  # but not before it began
        raise KeyboardInterrupt
    return process.returncode


if __name__ == "__main__":
    newer = "this needs Python 3.11 or newer, and is run by {}.{}. Let uv find or fetch one:\n{}"
    retry = "  uv run --no-project --python '>=3.11' hooks/post_generate.py"
    try:
        if sys.version_info < (3, 11):
            raise ValueError(newer.format(sys.version_info[0], sys.version_info[1], retry))
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. It is safe to run this again.\n")
        sys.exit(130)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Cannot run: {error}\n")
        sys.exit(2)
