"""A project that people worked in takes the template's improvements and keeps what is theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.template_copy import Answers, Template, git, publish, tree

PACKAGE = "src/claims"
CONFLICT = b"<<<<<<< before updating"
COPIER = str(Path(sys.executable).with_name("copier"))

# Where the next release improves something, by the path in a project, and the words it brings.
IMPROVED = {
    ".gitignore": "# Improved.",
    "CONTRIBUTING.md": "| `uv run improved` | Improves |",
    "docs/process.md": "Improved.",
    "pyproject.toml": "# Improved.",
    "tools/dslp/src/dslp/__init__.py": "# Improved.",
    "tools/dslp/src/dslp/improved.py": '"""Improved."""',
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The releases there are, what the working tree holds, and a next one with improvements."""
    published = publish(tmp_path_factory.mktemp("updated") / "template")
    files = published.path / "template"
    ignored = (files / ".gitignore").read_text(encoding="utf-8")
    settings = (files / "pyproject.toml.jinja").read_text(encoding="utf-8")
    contributing = (files / "CONTRIBUTING.md.jinja").read_text(encoding="utf-8")
    commands = "## Commands\n\n| command | does |\n| --- | --- |\n"
    assert commands in contributing
    rules = (files / "docs" / "process.md.jinja").read_text(encoding="utf-8")
    tool = "tools/dslp/src/dslp"
    docstring = (files / tool / "__init__.py").read_text(encoding="utf-8")
    assert "[tool.mypy]\n" in settings
    return published.release(
        {
            "template/.gitignore": "# Improved.\n" + ignored,
            "template/CONTRIBUTING.md.jinja": contributing.replace(
                commands, commands + IMPROVED["CONTRIBUTING.md"] + "\n"
            ),
            "template/docs/process.md.jinja": rules + "\nImproved.\n",
            "template/pyproject.toml.jinja": settings.replace(
                "[tool.mypy]\n", "# Improved.\n[tool.mypy]\n"
            ),
            f"template/{tool}/__init__.py": docstring + "# Improved.\n",
            f"template/{tool}/improved.py": '"""Improved."""\n',
        }
    )


@pytest.fixture
def project(template: Template, tmp_path: Path) -> Path:
    """A project of the first release there is, in git, as the hook leaves it."""
    return start(template, tmp_path / "claims", release=template.releases[0])


def start(
    template: Template, folder: Path, answers: Answers | None = None, release: str | None = None
) -> Path:
    """A new project with its first commit."""
    project = template.copy(folder, answers, release)
    git("init", "--quiet", cwd=project)
    commit(project)
    return project


def commit(project: Path) -> None:
    """Commit everything, as an update asks for."""
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message", "Work", cwd=project)


def add(project: Path, name: str, text: str) -> None:
    """Write at the end of a file, which may be new."""
    with (project / name).open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def conflicts(project: Path) -> list[str]:
    """Whatever an update could not bring together; copier itself ends well all the same."""
    unmerged = git("ls-files", "--unmerged", cwd=project).splitlines()
    rejected = [str(path) for path in project.rglob("*.rej")]
    marked = [name for name, content in tree(project).items() if CONFLICT in content]
    return unmerged + rejected + marked


def answers(project: Path) -> Answers:
    """The answers that the project remembers."""
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in recorded.items() if not name.startswith("_")}


def test_what_a_user_wrote_stays_as_it_is(template: Template, project: Path) -> None:
    add(project, f"{PACKAGE}/models/claim_frequency/params.yml", "# Mine.\n")
    add(project, f"{PACKAGE}/datasets/claims/suite.yml", "# Mine.\n")
    add(project, f"{PACKAGE}/features/mine.py", '"""Mine."""\n')
    add(project, "docs/index.md", "\nMine.\n")
    add(project, "CONTRIBUTING.md", "\nMine.\n")
    add(project, ".gitignore", "mine/\n")
    (project / "README.md").write_text("# Mine\n", encoding="utf-8")
    (project / "notebooks" / "template.ipynb").unlink()
    commit(project)
    before = tree(project)

    after = tree(template.update(project))

    assert conflicts(project) == []
    for name, content in before.items():
        if name.startswith((PACKAGE, "docs/", "README.md")) and name not in IMPROVED:
            assert after[name] == content, name
    assert "notebooks/template.ipynb" not in after
    for name, words in IMPROVED.items():
        assert words.encode() in after[name], name
    assert after[".gitignore"].endswith(b"\nmine/\n")
    assert after["CONTRIBUTING.md"].endswith(b"\nMine.\n")


def test_a_dependency_of_theirs_and_an_improvement_of_ours_meet_in_one_file(
    template: Template, project: Path
) -> None:
    settings = (project / "pyproject.toml").read_text(encoding="utf-8")
    with_theirs = settings.replace("\ndependencies = [\n", '\ndependencies = [\n  "mine>=1",\n')
    assert with_theirs != settings
    (project / "pyproject.toml").write_text(with_theirs, encoding="utf-8", newline="\n")
    commit(project)
    template.update(project)
    assert conflicts(project) == []
    updated = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert '  "mine>=1",\n' in updated
    assert IMPROVED["pyproject.toml"] in updated


def test_an_untouched_project_becomes_what_a_new_one_is(
    template: Template, project: Path, tmp_path: Path
) -> None:
    template.update(project)
    fresh = template.copy(tmp_path / "fresh" / "claims", answers(project))
    assert conflicts(project) == []
    assert_same_but_prose(project, fresh)


def test_a_real_conflict_is_seen(template: Template, project: Path) -> None:
    """The control of these tests: were it not seen, none of the others would mean anything."""
    text = (project / ".gitignore").read_text(encoding="utf-8")
    (project / ".gitignore").write_text("# Mine.\n" + text, encoding="utf-8", newline="\n")
    commit(project)
    template.update(project)
    assert any(".gitignore" in conflict for conflict in conflicts(project))


@pytest.mark.slow
def test_updating_again_changes_nothing(template: Template, project: Path) -> None:
    once = tree(template.update(project))
    commit(project)
    assert tree(template.update(project)) == once


def test_recopying_ends_what_has_drifted(template: Template, tmp_path: Path) -> None:
    project = start(template, tmp_path / "claims")
    fresh = tree(project)
    add(project, "tools/dslp/src/dslp/__init__.py", "# Drifted.\n")
    commit(project)
    assert tree(template.recopy(project)) == fresh


ALL = ["process", "data", "experiments", "models", "site"]
COMPONENTS = [
    (["process"], ALL),
    (ALL, ["process", "site"]),
    pytest.param(["process"], ["process", "data"], marks=pytest.mark.slow),
    pytest.param(["data"], ["data", "experiments", "models"], marks=pytest.mark.slow),
    pytest.param(ALL, ["process", "data", "experiments"], marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("before", "after"), COMPONENTS, ids=" ".join)
def test_components_come_and_go(
    template: Template, tmp_path: Path, before: list[str], after: list[str]
) -> None:
    project = start(template, tmp_path / "claims", {"components": before})
    template.update(project, {"components": after})
    assert conflicts(project) == []
    assert answers(project)["components"] == after
    fresh = template.copy(tmp_path / "fresh" / "claims", answers(project))
    assert_same_but_prose(project, fresh)


@pytest.mark.slow
def test_a_component_that_went_leaves_a_tool_that_works(template: Template, tmp_path: Path) -> None:
    """Python's caches are ignored by git, so an update leaves their folders behind."""
    project = start(template, tmp_path / "claims")
    tool = project / "tools" / "dslp" / "src"
    for stage in ("data", "experiments", "models"):
        (tool / "dslp" / stage / "__pycache__").mkdir()
        (tool / "dslp" / stage / "__pycache__" / "commands.cpython-311.pyc").touch()
    template.update(project, {"components": ["process"]})
    said = subprocess.run(
        [sys.executable, "-m", "dslp", "--help"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(tool)},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert "check-files" in said.stdout
    assert "experiment" not in said.stdout


@pytest.mark.slow
def test_an_answer_that_was_never_asked_for_changes_and_stays(
    template: Template, tmp_path: Path
) -> None:
    project = start(template, tmp_path / "claims")
    update(project, "engine=spark", "components=[process, data]")
    commit(project)
    template.update(project)
    recorded = answers(project)
    assert recorded["engine"] == "spark"
    assert recorded["components"] == ["process", "data"]
    assert recorded["customise"] is False
    fresh = template.copy(tmp_path / "fresh" / "claims", recorded)
    assert_same_but_prose(project, fresh)


@pytest.mark.slow
def test_an_answer_changes_with_the_update_or_alone(template: Template, project: Path) -> None:
    said = update(project, "engine=sql", options=("--vcs-ref", ":current:"))
    assert "\n    python3 hooks/post_generate.py\n" in said  # locks, and installs what is locked
    assert "uv lock" not in said
    assert answers(project)["engine"] == "sql"
    assert release(project) == template.releases[0]
    commit(project)
    update(project, "engine=spark")
    assert answers(project)["engine"] == "spark"
    assert release(project) == template.releases[-1]


def release(project: Path) -> str:
    """The release of the template that the project has."""
    recorded = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return str(recorded["_commit"])


def update(project: Path, *changed: str, options: tuple[str, ...] = ()) -> str:
    """The command that a user types, and what it says."""
    command = [COPIER, "update", "--defaults", *options]
    for answer in changed:
        command += ["-d", answer]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def assert_same_but_prose(project: Path, fresh: Path) -> None:
    """The same files; and the same text in all but those that are written once."""
    updated, expected = tree(project), tree(fresh)
    assert updated.keys() == expected.keys()
    differing = {name for name in expected if updated[name] != expected[name]}
    prose = {name for name in differing if name.startswith(("README.md", "docs/"))}
    assert differing <= prose - {"docs/process.md"}
