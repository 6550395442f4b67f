"""What `hooks/post_generate.py` promises, kept by the real script with real git and uv.

Each test makes a small project by hand, in a home of its own. Executables are replaced only to be
missing, failing or slow.
"""

import ast
import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pytest

SCRIPT = Path(__file__).parents[2] / "hooks" / "post_generate.py"
NOBODY = 65534
STEPS = ["repository", "environment", "pre-commit", "first commit"]

PYPROJECT = """\
[project]
name = "small-project"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = []

[tool.dslp]
package = "small_project"
branch = "{branch}"
"""

PACKAGED = """
[build-system]
requires = ["uv_build>=0.13,<1"]
build-backend = "uv_build"

[dependency-groups]
dev = ["pre-commit>=4.5,<5"]
"""

PRE_COMMIT_CONFIG = """\
repos:
  - repo: local
    hooks:
      - {{id: good, name: a good check, language: system, entry: 'true'}}
      - {{id: other, name: another check, language: system, entry: '{entry}'}}
"""


@dataclass
class Run:
    """How one run of the script ended."""

    code: int
    out: str
    err: str

    @property
    def outcomes(self) -> dict[str, str]:
        """The status of each step but the labels', in the order in which they were reported."""
        found = re.findall(r"^(done|skipped|could not) +([a-z -]+):", self.out, re.MULTILINE)
        return {step: status for status, step in found if step != "labels"}

    def reason(self, step: str) -> str:
        """What was said of a step, on one line, its command for later included."""
        said = re.search(rf"^[a-z ]+ {step}: (.*(?:\n +.*)*)", self.out, re.MULTILINE)
        assert said, self.out
        return " ".join(said.group(1).split())


@dataclass
class Place:
    """A project in a home of its own, and the environment in which people work there."""

    project: Path
    env: dict[str, str]
    tools: Path
    user: int | None = None

    def set_up(
        self, *options: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> Run:
        """Run the script as people do; no run may end in a traceback."""
        done = subprocess.run(
            [self.env["UV_PYTHON"], self.project / "hooks" / "post_generate.py", *options],
            cwd=cwd or self.project,
            env=self.env | (env or {}),
            capture_output=True,
            text=True,
            timeout=120,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )
        assert "Traceback" not in done.stdout + done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def start(self) -> "subprocess.Popen[str]":
        """Start the script as the leader of a process group, as a shell does."""
        return subprocess.Popen(
            [self.env["UV_PYTHON"], "hooks/post_generate.py"],
            cwd=self.project,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def git(self, *options: str, cwd: Path | None = None) -> str:
        """What git answers in the project."""
        command = ["git", *options]
        where = cwd or self.project
        return subprocess.run(
            command, cwd=where, env=self.env, capture_output=True, text=True, check=True
        ).stdout.strip()

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def replace(self, tool: str, script: str) -> Path:
        """Put a shell script in the place of a tool; `$REAL` is the tool itself."""
        file = self.tools / tool
        real = file.resolve()
        file.unlink()
        file.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return real

    def restore(self, tool: str, real: Path) -> None:
        """Put the tool itself back."""
        (self.tools / tool).unlink()
        (self.tools / tool).symlink_to(real)

    def without(self, tool: str) -> dict[str, str]:
        """An environment in which there is no such tool."""
        others = self.tools.parent / f"without-{tool}"
        others.mkdir()
        for name in {"git", "uv", "sh", "true"} - {tool}:
            (others / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is missing"))
        return {"PATH": str(others)}


def make_place(root: Path, python: str, branch: str = "main") -> Place:
    """A project, a home with a git identity, and a folder of tools, below a folder."""
    home, tools, project = root / "home", root / "tools", root / "kleines Projekt ü"
    for folder in (home, tools, project / "hooks"):
        folder.mkdir(parents=True)
    for tool in ("git", "uv"):
        real = shutil.which(tool)
        assert real, f"these tests need {tool} on PATH"
        (tools / tool).symlink_to(real)
    asked = ["uv", "cache", "dir"]
    cache = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "UV_PROJECT"))}
    env = kept | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "UV_CACHE_DIR": cache,
        "UV_PYTHON": python,
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
    }
    env.pop("XDG_CONFIG_HOME", None)
    (home / "gitconfig").write_text("[user]\nname = A Person\nemail = person@example.org\n")
    shutil.copy(SCRIPT, project / "hooks")
    place = Place(project, env, tools)
    place.write("pyproject.toml", PYPROJECT.format(branch=branch))
    place.write(".gitignore", ".venv/\n")
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A project that was just generated."""
    return make_place(tmp_path, sys.executable)


@pytest.fixture
def finished(place: Place) -> Place:
    """A project that was set up."""
    assert place.set_up().code == 0
    return place


def with_pre_commit(place: Place, entry: str = "true") -> Place:
    """The project, installed beside pre-commit, with two checks of its own: the second is given."""
    place.write("pyproject.toml", PYPROJECT.format(branch="main") + PACKAGED)
    place.write("src/small_project/__init__.py", "")
    place.write(".pre-commit-config.yaml", PRE_COMMIT_CONFIG.format(entry=entry))
    return place


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def old_pythons() -> list[str]:
    """Interpreters from 3.6 to 3.10 that are installed here."""
    names = [f"python3.{minor}" for minor in range(6, 11)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(f) for name in names for f in sorted(pyenv.glob(f"*/bin/{name}"))]
    found += [path for name in names if (path := shutil.which(name)) and "shims" not in path]
    return found


# The file itself


def test_source_is_unchanged_by_the_include_that_renders_it() -> None:
    source = SCRIPT.read_text(encoding="utf-8")
    template = jinja2.Environment(
        loader=jinja2.DictLoader({"s": source}), keep_trailing_newline=True, autoescape=True
    )
    assert template.from_string('{% include "s" %}').render() == source


def test_source_parses_as_python_3_6() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("python", old_pythons() or [None])
def test_older_python_gets_a_sentence(place: Place, python: str | None) -> None:
    if python is None:
        pytest.skip("there is no Python older than 3.11 here")
    before = contents(place.project)
    place.env["UV_PYTHON"] = python
    run = place.set_up()
    assert run.code == 2
    assert re.search(r"needs Python 3\.11 or newer, and this is Python 3\.\d+\.\d+", run.err)
    assert "uv run --no-project --python '>=3.11' hooks/post_generate.py" in run.err
    assert contents(place.project) == before


def test_help_is_shown_and_does_nothing(place: Place) -> None:
    run = place.set_up("--help")
    assert run.code == 0
    assert "python3 hooks/post_generate.py" in run.out
    assert place.set_up("--force").code == 2
    assert not (place.project / ".git").exists()


# A fresh project


@pytest.mark.rule("V1")
def test_fresh_project_is_set_up_and_its_lock_is_in_the_first_commit(place: Place) -> None:
    run = place.set_up()
    assert run.code == 0, run.out
    assert list(run.outcomes) == STEPS
    assert list(run.outcomes.values()) == ["done", "done", "skipped", "done"]
    assert "component process" in run.reason("pre-commit")
    committed = place.git("ls-files").splitlines()
    assert committed == [".gitignore", "hooks/post_generate.py", "pyproject.toml", "uv.lock"]
    assert place.git("status", "--porcelain") == ""
    assert place.git("log", "--format=%an: %s") == (
        "A Person: Generate small-project from the life-cycle template"
    )


def test_second_run_is_harmless_and_says_skipped(finished: Place) -> None:
    before = contents(finished.project / ".git")
    run = finished.set_up()
    assert run.code == 0
    assert set(run.outcomes.values()) == {"skipped"}
    assert contents(finished.project / ".git") == before


@pytest.mark.rule("V1")
def test_second_person_gets_the_environment_of_the_lock(finished: Place, tmp_path: Path) -> None:
    finished.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    lock = (finished.project / "uv.lock").read_bytes()
    clone = Place(tmp_path / "clone", finished.env, finished.tools)
    run = clone.set_up()
    assert run.code == 0
    assert list(run.outcomes.values()) == ["skipped", "done", "skipped", "skipped"]
    assert (clone.project / "uv.lock").read_bytes() == lock
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.rule("B8")
@pytest.mark.parametrize("branch", ["main", "development"])
def test_first_commit_is_on_the_collaboration_branch(tmp_path: Path, branch: str) -> None:
    place = make_place(tmp_path, sys.executable, branch)
    place.git("config", "--global", "init.defaultBranch", "trunk", cwd=tmp_path)
    assert place.set_up().code == 0
    assert place.git("symbolic-ref", "--short", "HEAD") == branch
    branches = place.git("for-each-ref", "--format=%(refname:short) %(objectname)")
    head = place.git("rev-parse", "HEAD")
    assert branches.splitlines() == [f"{name} {head}" for name in sorted({branch, "main"})]
    assert set(place.set_up().outcomes.values()) == {"skipped"}


@pytest.mark.rule("B8")
def test_main_that_an_interrupted_run_owes_is_made_by_the_next(tmp_path: Path) -> None:
    place = make_place(tmp_path, sys.executable, "development")
    place.set_up()
    place.git("branch", "--delete", "main")
    assert "main points at it too" in place.set_up().reason("first commit")
    assert place.git("rev-parse", "main") == place.git("rev-parse", "development")


def test_git_older_than_initial_branch_will_do(place: Place) -> None:
    refuse = 'for a; do case "$a" in -b|--initial-branch*) exit 129;; esac; done; exec $REAL "$@"'
    place.replace("git", refuse)
    assert place.set_up().outcomes["repository"] == "done"
    assert place.git("symbolic-ref", "--short", "HEAD") == "main"


def test_works_from_any_folder(place: Place, tmp_path: Path) -> None:
    run = place.set_up(cwd=tmp_path)
    assert run.code == 0
    assert f"cd '{place.project}'" in run.out
    assert place.git("rev-parse", "--show-toplevel") == str(place.project)
    assert not (tmp_path / ".git").exists()


def test_variables_of_a_git_hook_lead_nowhere_else(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    place.git("init", "--quiet", str(other), cwd=tmp_path)
    before = contents(other)
    index = str(other / ".git" / "index")
    led = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": index}
    run = place.set_up(env=led)
    assert run.code == 0
    assert contents(other) == before
    assert "uv.lock" in place.git("ls-files")


def test_lock_is_committed_though_a_person_ignores_locks(place: Place) -> None:
    ignore = place.project.parent / "ignore"
    ignore.write_text("*.lock\n")
    place.git("config", "--global", "core.excludesFile", str(ignore))
    assert place.set_up().code == 0
    assert "uv.lock" in place.git("ls-files")


def test_next_commands_are_those_of_the_project(place: Place) -> None:
    place.write("src/small_project/datasets/claims/suite.yml", "")
    place.write("src/small_project/models/claim_frequency/params.yml", "")
    experiments = [
        "uv run dslp data build",
        "uv run dslp data validate",
        "uv run dslp experiment run",
    ]
    models = [f"uv run dslp model {word}" for word in ("train", "register", "promote")]
    assert following(place.set_up()) == [*experiments, "uv run pytest"]
    place.write("tools/dslp/src/dslp/models/__init__.py", "")
    assert following(place.set_up()) == [*experiments, *models, "uv run pytest"]


def following(run: Run) -> list[str]:
    """The commands that a finished run goes on with."""
    return [line.strip() for line in run.out.partition("Next:\n")[2].splitlines()]


def test_progress_is_shown_without_the_list_of_packages(place: Place) -> None:
    run = with_pre_commit(place).set_up()
    assert re.search(r"^Resolved \d+ packages", run.out, re.MULTILINE)
    assert re.search(r"^Installed \d+ packages", run.out, re.MULTILINE)
    assert re.findall(r"^ [-+~] .*", run.out + run.err, re.MULTILINE) == []


# The project's own checks


def test_first_commit_passes_the_projects_own_checks(place: Place) -> None:
    run = with_pre_commit(place).set_up()
    assert run.code == 0, run.out
    assert set(run.outcomes.values()) == {"done"}
    assert "another check....." in run.out
    assert "past the project's checks" in run.reason("first commit")
    assert set(place.set_up().outcomes.values()) == {"skipped"}


def test_refusing_check_is_named_and_the_next_run_finishes(place: Place) -> None:
    run = with_pre_commit(place, "false").set_up()
    assert run.code == 1
    assert run.outcomes["first commit"] == "could not"
    assert "checks (see above): another check later: " in run.reason("first commit")
    assert place.git("ls-files") == ""
    with_pre_commit(place)
    assert place.set_up().outcomes["first commit"] == "done"


def test_hook_of_the_person_is_kept(place: Place) -> None:
    place.git("init", "--quiet")
    hook = place.write(".git/hooks/pre-commit", "#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    assert "is kept" in with_pre_commit(place).set_up().reason("pre-commit")
    assert (place.project / "ran").exists()


def test_hooks_path_of_the_person_is_left_alone(place: Place) -> None:
    place.git("config", "--global", "core.hooksPath", "/nowhere/hooks")
    run = with_pre_commit(place).set_up()
    assert run.code == 1
    assert "core.hooksPath is /nowhere/hooks" in run.reason("pre-commit")
    assert run.reason("pre-commit").endswith("later: uv run pre-commit run --all-files")
    assert "another check....." in run.out
    assert "past the project's checks" in run.reason("first commit")


@pytest.mark.parametrize("broken", ["install", "run"])
def test_nothing_is_committed_past_checks_that_did_not_run(place: Place, broken: str) -> None:
    # Where the checks do not become git's hook, they are run before the first commit all the same.
    stub = f"""case "$*" in *"pre-commit install") echo 'error: no moon' >&2; exit 1;;
    *"pre-commit {broken} --all-files") echo 'error: no stars' >&2; exit 1;; esac; exec $REAL "$@"
    """
    real = place.replace("uv", stub)
    run = with_pre_commit(place, "false").set_up()
    assert run.code == 1
    assert "no moon" in run.reason("pre-commit")
    assert run.outcomes["first commit"] == "could not"
    why = {"install": "checks (see above): another check", "run": "no stars"}[broken]
    assert why in run.reason("first commit")
    assert place.git("rev-list", "--all") == place.git("ls-files") == ""
    place.restore("uv", real)
    assert with_pre_commit(place).set_up().outcomes["first commit"] == "done"


# Something is missing


def test_without_an_identity_nothing_is_made_up_and_the_next_run_finishes(place: Place) -> None:
    (place.project.parent / "home" / "gitconfig").unlink()
    run = place.set_up()
    assert run.code == 1
    assert run.outcomes["first commit"] == "could not"
    assert "user.name and user.email" in run.reason("first commit")
    assert place.git("ls-files") == ""
    for name, value in (("user.name", "Somebody"), ("user.email", "some@example.org")):
        place.git("config", "--global", name, value)
    assert place.set_up().code == 0
    assert place.git("log", "--format=%an") == "Somebody"


def test_without_uv_the_repository_is_made_and_the_next_run_finishes(place: Place) -> None:
    run = place.set_up(env=place.without("uv"))
    assert run.code == 1
    assert list(run.outcomes.values()) == ["done", "could not", "skipped", "skipped"]
    assert run.reason("environment").endswith("later: uv sync")
    assert "uv.lock with it, is not there yet" in run.reason("first commit")
    assert place.set_up().code == 0


def test_without_git_the_environment_is_made_and_the_next_run_finishes(place: Place) -> None:
    run = place.set_up(env=place.without("git"))
    assert run.code == 1
    assert list(run.outcomes.values()) == ["could not", "done", "skipped", "skipped"]
    assert "https://git-scm.com/downloads" in run.reason("repository")
    assert place.set_up().code == 0


@pytest.mark.parametrize("tool", ["git", "uv"])
def test_failing_tool_is_quoted(place: Place, tool: str) -> None:
    place.replace(tool, "echo 'error: the moon is in the wrong phase' >&2; exit 1")
    run = place.set_up()
    assert run.code == 1
    step = {"git": "repository", "uv": "environment"}[tool]
    assert run.outcomes[step] == "could not"
    assert "the moon is in the wrong phase" in run.reason(step)


@pytest.mark.parametrize("offline", [True, False], ids=["offline", "registry out of reach"])
def test_without_a_network_uv_is_quoted_and_the_next_run_finishes(
    place: Place, tmp_path: Path, offline: bool
) -> None:
    needing = PYPROJECT.format(branch="main").replace("[]", '["iniconfig>=2"]')
    place.write("pyproject.toml", needing)
    with socket.socket() as closed:  # bound, and not listening
        closed.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        away = {"UV_OFFLINE": "1"} if offline else {"UV_DEFAULT_INDEX": index}
        cache = str(tmp_path / "cache")
        run = place.set_up(env={"UV_CACHE_DIR": cache, "UV_HTTP_RETRIES": "0"} | away)
    assert run.code == 1
    assert list(run.outcomes.values()) == ["done", "could not", "skipped", "skipped"]
    assert ("iniconfig was not found in the cache" if offline else index) in run.reason(
        "environment"
    )
    assert run.reason("environment").endswith("later: uv sync")
    place.write("pyproject.toml", PYPROJECT.format(branch="main"))
    assert place.set_up().code == 0


def test_signature_that_fails_is_quoted(place: Place) -> None:
    place.git("config", "--global", "commit.gpgSign", "true")
    place.git("config", "--global", "gpg.program", "false")
    run = place.set_up()
    assert run.code == 1
    assert run.outcomes["first commit"] == "could not"
    assert "failed to write commit object" in run.reason("first commit")
    assert place.git("ls-files") == ""


# Something is there already


def test_repository_with_changes_is_left_as_it_is(finished: Place) -> None:
    finished.write("staged.txt", "staged")
    finished.git("add", "staged.txt")
    finished.write("staged.txt", "staged, then changed")
    finished.write("new.txt", "new")
    (finished.project / ".gitignore").touch()  # so that git would like to refresh its index
    before = contents(finished.project)
    run = finished.set_up()
    assert run.code == 0
    assert "files changed since: 2" in run.reason("first commit")
    assert "git add --all && git commit" in run.reason("first commit")
    assert contents(finished.project) == before


def test_what_was_staged_for_a_first_commit_is_left_as_it_is(place: Place) -> None:
    place.git("init", "--quiet", "--initial-branch", "main")
    place.git("add", "pyproject.toml")
    index = (place.project / ".git" / "index").read_bytes()
    run = place.set_up()
    assert run.code == 0
    assert "what you staged is left as it is" in run.reason("first commit")
    assert (place.project / ".git" / "index").read_bytes() == index


def test_repository_without_commits_is_finished(place: Place) -> None:
    place.git("init", "--quiet", "--initial-branch", "master")
    assert "now on branch main, not master" in place.set_up().reason("repository")
    assert place.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_branch_of_the_person_is_left_alone(finished: Place) -> None:
    finished.git("switch", "--quiet", "--create", "14-mine")
    assert "on branch 14-mine" in finished.set_up().reason("repository")
    assert finished.git("symbolic-ref", "--short", "HEAD") == "14-mine"


def test_project_inside_another_repository_is_not_nested(place: Place, tmp_path: Path) -> None:
    place.git("init", "--quiet", cwd=tmp_path)
    before = contents(tmp_path / ".git")
    run = with_pre_commit(place).set_up()
    assert run.code == 0
    assert list(run.outcomes.values()) == ["skipped", "done", "skipped", "skipped"]
    assert str(tmp_path) in run.reason("repository")
    assert contents(tmp_path / ".git") == before
    assert not (place.project / ".git").exists()


def test_folder_that_the_outer_repository_ignores_is_a_project_of_its_own(
    place: Place, tmp_path: Path
) -> None:
    place.git("init", "--quiet", cwd=tmp_path)
    (tmp_path / ".gitignore").write_text(f"{place.project.name}/\n", encoding="utf-8")
    assert place.set_up().code == 0
    assert place.git("rev-parse", "--show-toplevel") == str(place.project)


@pytest.mark.parametrize(
    ("pyproject", "words"),
    [
        (None, "No such file"),
        ("<<<<<<< before updating\n", "line 1"),
        ('[project]\nname = "another"\n', "it has no 'tool'"),
        (PYPROJECT.format(branch="trunk"), "branch must be main or development"),
        ("[project]\nname = 'p'\n[tool]\ndslp = 3\n", "is not that of a generated project"),
    ],
    ids=["missing", "in conflict", "of another project", "another branch", "nonsense"],
)
def test_wrong_pyproject_gets_a_sentence(place: Place, pyproject: str | None, words: str) -> None:
    if pyproject is None:
        (place.project / "pyproject.toml").unlink()
    else:
        place.write("pyproject.toml", pyproject)
    run = place.set_up()
    assert run.code == 2
    assert run.err.startswith("Cannot run: ")
    assert words in " ".join(run.err.split())
    assert not (place.project / ".git").exists()


@pytest.fixture
def of_nobody() -> Iterator[Place]:
    """A project of a person who is not the superuser, for whom nothing is read-only."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser needs another person here")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        pythons = [sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]
        for number, python in enumerate(pythons):
            place = make_place(root / str(number), python)
            place.env["UV_CACHE_DIR"] = str(place.project.parent / "home" / "cache")
            place.user = NOBODY
            for path in [place.project.parent, *place.project.parent.rglob("*")]:
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            question = "import sys; sys.exit(sys.version_info < (3, 11))"
            try:
                for command in ([python, "-c", question], ["uv", "--version"]):
                    subprocess.run(
                        command,
                        env=place.env,
                        check=True,
                        capture_output=True,
                        user=NOBODY,
                        group=NOBODY,
                        extra_groups=[],
                    )
            except (OSError, subprocess.CalledProcessError):
                shutil.rmtree(place.project.parent)
                continue
            yield place
            return
        pytest.skip("no Python 3.11 and uv here that another person may run")


@pytest.fixture
def restricted(request: pytest.FixtureRequest) -> Place:
    """A project in which permissions count."""
    name = "of_nobody" if os.geteuid() == 0 else "place"
    found = request.getfixturevalue(name)
    assert isinstance(found, Place)
    return found


def test_read_only_folder_gets_sentences_and_the_next_run_finishes(restricted: Place) -> None:
    restricted.project.chmod(0o555)
    run = restricted.set_up()
    assert run.code == 1
    assert list(run.outcomes.values()) == ["could not", "could not", "skipped", "skipped"]
    assert "Permission denied" in run.reason("repository")
    assert "Permission denied" in run.reason("environment")
    restricted.project.chmod(0o755)
    assert restricted.set_up().code == 0


# Labels


@pytest.fixture
def labelled(finished: Place) -> Place:
    """A project with labels and a remote on GitHub, whose tool is a stub that registers."""
    finished.write(".github/labels.yml", "[]\n")
    finished.git("remote", "add", "origin", "https://github.com/ada/small.git")
    finished.env["GH_TOKEN"] = "a-token"
    finished.replace(
        "uv",
        'case "$*" in *"labels register") echo "ada/small: 11 changed";;'
        ' *) exec "$REAL" "$@";; esac',
    )
    return finished


def test_labels_are_registered_where_there_is_a_remote_and_a_token(labelled: Place) -> None:
    run = labelled.set_up()
    assert run.code == 0
    assert "ada/small: 11 changed" in run.reason("labels")


def test_without_labels_there_is_nothing_to_register(finished: Place) -> None:
    assert "component process" in finished.set_up().reason("labels")


def test_without_a_remote_the_command_that_makes_one_is_said(labelled: Place) -> None:
    labelled.git("remote", "remove", "origin")
    run = labelled.set_up()
    assert run.code == 0
    assert "gh repo create --source=. --private --push" in run.reason("labels")


def test_without_a_token_the_first_push_registers_the_labels(labelled: Place) -> None:
    labelled.env |= {"GH_TOKEN": "", "GITHUB_TOKEN": "", "GH_CONFIG_DIR": "/nonexistent"}
    run = labelled.set_up()
    assert run.code == 0
    assert "no token" in run.reason("labels")
    assert "later: uv run dslp labels register" in run.reason("labels")


def test_what_github_refuses_is_quoted_with_the_command_for_later(labelled: Place) -> None:
    (labelled.tools / "uv").write_text(
        (labelled.tools / "uv")
        .read_text()
        .replace('echo "ada/small: 11 changed"', 'echo "error: the token has no right" >&2; exit 2')
    )
    run = labelled.set_up()
    assert run.code == 1
    assert "the token has no right" in run.reason("labels")
    assert "later: uv run dslp labels register" in run.reason("labels")


# Ctrl-C


def wait_for(file: Path) -> None:
    """Wait until a stub has said that it runs."""
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} did not appear"
        time.sleep(0.02)


def is_running(group: int) -> bool:
    """Whether a process of the group runs; one that ended and nobody has asked after does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, member = file.read_text().rpartition(")")[2].split()[:3]
            states += [state] if int(member) == group else []
    return not states or any(state != "Z" for state in states)


def interrupt(running: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C: the whole group is signalled; return what was printed, and see all ended."""
    time.sleep(0.5)  # a stub that begins its sleep just now would pass the signal by
    os.killpg(running.pid, signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    assert running.returncode == 130, out
    assert "Traceback" not in out
    assert "safe to run this again" in out
    deadline = time.monotonic() + 10
    while is_running(running.pid):
        assert time.monotonic() < deadline, "a child process is still running"
        time.sleep(0.05)
    return out


def test_ctrl_c_while_uv_works_leaves_nothing_running_and_the_next_run_finishes(
    place: Place, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    real = place.replace("uv", f"touch '{began}'; sleep 60; exit 1")
    running = place.start()
    wait_for(began)
    interrupt(running)
    place.restore("uv", real)
    assert place.set_up().code == 0


def test_ctrl_c_removes_the_environment_that_uv_left_half_made(
    place: Place, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    half = "mkdir -p .venv/bin; ln -s /nowhere/python .venv/bin/python"
    real = place.replace("uv", f"{half}; touch '{began}'; sleep 60")
    running = place.start()
    wait_for(began)
    interrupt(running)
    assert not (place.project / ".venv").exists()
    place.restore("uv", real)
    assert place.set_up().code == 0


def test_half_made_environment_never_reaches_uv(place: Place, tmp_path: Path) -> None:
    # uv would take it for the Python that it links to, and uninstall the packages of that one.
    called = tmp_path / "called"
    place.replace("uv", f"touch '{called}'")
    (place.project / ".venv" / "bin").mkdir(parents=True)
    (place.project / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
    run = place.set_up()
    assert run.code == 1
    assert "no pyvenv.cfg" in run.reason("environment")
    assert not called.exists()
    assert (place.project / ".venv" / "bin" / "python").is_symlink()


@pytest.mark.slow
def test_ctrl_c_ends_a_command_that_ignores_it(place: Place, tmp_path: Path) -> None:
    began = tmp_path / "began"
    place.replace("uv", f"trap '' INT; touch '{began}'; exec sleep 60")
    running = place.start()
    wait_for(began)
    interrupt(running)


def test_ctrl_c_during_the_checks_unstages_and_the_next_run_finishes(
    place: Place, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    place.git("init", "--quiet", "--initial-branch", "main")
    hook = place.write(".git/hooks/pre-commit", f"#!/bin/sh\ntouch '{began}'\nsleep 60\n")
    hook.chmod(0o755)
    running = place.start()
    wait_for(began)
    interrupt(running)
    assert place.git("ls-files") == ""
    hook.unlink()
    assert place.set_up().code == 0
    assert "uv.lock" in place.git("ls-files")


# What people see


def on_terminal(place: Place, **env: str) -> str:
    """What the script writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "hooks/post_generate.py"]
    running = subprocess.Popen(
        command, cwd=place.project, env=place.env | env, stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # how Linux tells that the other end was closed
        pass
    running.wait(timeout=30)
    os.close(ours)
    return seen.decode()


def test_colour_is_for_terminals_only(finished: Place) -> None:
    finished.env.pop("NO_COLOR", None)
    finished.env["TERM"] = "xterm"
    assert "\033[33mskipped" in on_terminal(finished)
    assert "\033" not in on_terminal(finished, NO_COLOR="1")
    assert "\033" not in finished.set_up().out


def test_everything_fits_into_80_columns_but_paths_and_commands(place: Place) -> None:
    (place.project.parent / "home" / "gitconfig").unlink()
    place.git("config", "--global", "core.hooksPath", "/nowhere/hooks")
    lines = with_pre_commit(place).set_up().out.splitlines()[1:]
    assert [line for line in lines if len(line) > 80 and not re.search("later:|://", line)] == []


def test_closed_pipe_gets_a_sentence(finished: Place) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as closed:
        done = subprocess.run(
            [sys.executable, "hooks/post_generate.py"],
            cwd=finished.project,
            env=finished.env,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == "Stopped: [Errno 32] Broken pipe. It is safe to run this again.\n"
