"""A release of this repository: what is refused, what is proven first, and what it leaves.

Git, uv, pytest and copier are the real ones, in a clone; only the tests of updates are small ones.
"""

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from tests.template_copy import Template, git

pytestmark = pytest.mark.slow

SEARCH_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
UPDATES = "tests/template/test_update.py"
PROOF = """import pytest
from tests.template_copy import ROOT

@pytest.mark.campaign
def test_what_is_long_sees_the_candidate() -> None:
    assert 'version = "{}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
"""
CHANGES = "# Changelog\n\n## Unreleased\n\n### {}\n\n- {}\n\n## 0.0.1 - 2026-01-01\n\n- Words.\n"


@dataclass(frozen=True)
class Repository:
    """A clone of this one, on the branch main, and its newest release."""

    path: Path
    newest: Version

    def commit(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.path / name).write_text(text, encoding="utf-8")
        git("add", "--all", cwd=self.path)
        git("commit", "--quiet", "--allow-empty", "--message", "Work", cwd=self.path)

    def release(self, version: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.path / ".ci/release.py"), version, *options],
            env=os.environ | {"PATH": SEARCH_PATH},
            capture_output=True,
            text=True,
        )

    def state(self) -> list[str]:
        """What a release changes, and what one that is refused must leave."""
        commands = ("rev-parse HEAD", "status --porcelain", "tag", "worktree list")
        return [git(*command.split(), cwd=self.path) for command in commands]


@pytest.fixture
def repository(template: Template, tmp_path: Path) -> Repository:
    git("clone", "--quiet", str(template.path), "clone", cwd=tmp_path)
    git("checkout", "--quiet", "-B", "main", template.releases[-1], cwd=tmp_path / "clone")
    repository = Repository(tmp_path / "clone", Version(template.releases[-1]))
    repository.commit({"CHANGELOG.md": CHANGES.format("Fixed", "Words.")})
    return repository


def test_what_is_not_ready_is_refused_with_each_reason(repository: Repository) -> None:
    path, (x, y, z) = repository.path, repository.newest.release
    newest, patch = f"{x}.{y}.{z}", f"{x}.{y}.{z + 1}"
    minor, major = f"{x}.{y + 1}.0", f"{x + 1}.0.0"

    def refuses(version: str, *expected: str, code: int = 1) -> None:
        before = repository.state()
        ended = repository.release(version)
        assert (ended.returncode, ended.stdout) == (code, "")
        lines = ended.stderr.splitlines()
        assert len(lines) == len(expected), ended.stderr
        assert [e for e, line in zip(expected, lines, strict=True) if e not in line] == []
        assert repository.state() == before

    for version in (f"v{minor}", "1.2", "1.2.0rc1", "01.2.0", ""):
        refuses(version, "three numbers", code=2)
    refuses(newest, f"the tag v{newest} exists")
    refuses("0.0.1", f"after v{newest} with Fixed in CHANGELOG.md, the smallest version is {patch}")
    repository.commit({"CHANGELOG.md": CHANGES.format("Added", "Words.")})
    refuses(patch, f"the smallest version is {minor}")
    git("tag", f"v{major}", cwd=path)
    repository.commit({"CHANGELOG.md": CHANGES.format("Breaking", "Words.")})
    refuses(f"{x + 1}.1.0", f"the smallest version is {x + 2}.0.0")
    git("tag", "--delete", f"v{major}", cwd=path)
    git("mv", "template/CLAUDE.md", "template/GEMINI.md", cwd=path)
    questions = (path / "copier.yml").read_text(encoding="utf-8")
    gates = "template/src/{{ package_name }}/models/claim_frequency/gates.yml"
    git("mv", gates, f"{gates}.jinja", cwd=path)  # a project has it under the same name
    repository.commit({"copier.yml": questions.replace("\nlicence:\n", "\nlicense:\n")})
    refuses(minor, "`CLAUDE.md` is gone", "`licence` is gone")
    git("switch", "--quiet", "--create", "later", cwd=path)
    (path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 0.0.1\n")
    refuses(minor, "the branch is later", "(git status)", "has nothing", "`CLAUDE.md`", "`licence`")


def test_a_release_is_proven_committed_tagged_and_copied(
    repository: Repository, tmp_path: Path
) -> None:
    path, newest = repository.path, repository.newest
    version = f"{newest.major}.{newest.minor + 1}.0"
    git("mv", "template/CLAUDE.md", "template/GEMINI.md", cwd=path)
    changes = CHANGES.format("Added", "`GEMINI.md` takes the place of `CLAUDE.md`.")
    repository.commit({"CHANGELOG.md": changes, "tests/conftest.py": ""})  # which takes seconds
    for proof in (PROOF.format("another"), "# No test\n"):
        repository.commit({UPDATES: proof})
        before = repository.state()
        ended = repository.release(version)
        assert ended.returncode == 1
        assert "release: the update of projects to this release is not proven" in ended.stderr
        assert repository.state() == before

    repository.commit({UPDATES: PROOF.format(version)})
    before = repository.state()
    assert repository.release(version, "--dry-run").returncode == 0
    assert repository.state() == before
    ended = repository.release(version)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith(f"git push --atomic origin main v{version}\n")
    changed = git("diff", "--name-only", before[0].strip(), f"v{version}", cwd=path).split()
    assert changed == ["CHANGELOG.md", "pyproject.toml", "uv.lock"]
    text = (path / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## Unreleased\n\n## {version} - 20" in text

    addresses = Template(path, ()).served_at("https://github.com/dslp/template.git")
    command = "copier copy --quiet --defaults --data components=[process] gh:dslp/template project"
    subprocess.run(command.split(), cwd=tmp_path, env=os.environ | addresses, check=True)
    settings = tomllib.loads((tmp_path / "project/pyproject.toml").read_text(encoding="utf-8"))
    commit = git("rev-parse", "HEAD", cwd=path).strip()
    assert settings["tool"]["uv"]["sources"]["dslp"]["rev"] == commit

    # What the workflow does with the tag, up to what only GitHub and PyPI can.
    git("clone", "--quiet", "--branch", f"v{version}", str(path), "runner", cwd=tmp_path)
    workflow = yaml.safe_load((path / ".github/workflows/publish.yml").read_text("utf-8"))
    check, *steps = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    outcomes = [("v99.0.0", check, 1), *((f"v{version}", step, 0) for step in (check, *steps))]
    for tag, step, code in outcomes:
        variables = os.environ | {"PATH": SEARCH_PATH, "GITHUB_REF_NAME": tag}
        run = subprocess.run(["bash", "-ec", step], cwd=tmp_path / "runner", env=variables)
        assert run.returncode == code, step
    assert len([*(tmp_path / "runner/dist").glob(f"dslp-{version}*")]) == 2
