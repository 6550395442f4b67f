"""A project that people worked in takes the template's improvements and keeps what is theirs."""

import re
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
    ".editorconfig": "# Improved.",
    ".github/improved.yml": "# Improved.",
    ".gitignore": "# Improved.",
    "CONTRIBUTING.md": "Improved.",
    "pyproject.toml": "# Improved.",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The releases there are, what the working tree holds, and a next one with improvements."""
    published = publish(tmp_path_factory.mktemp("updated") / "template")
    files = published.path / "template"
    old = {
        name: (files / name).read_text(encoding="utf-8")
        for name in (".editorconfig", ".gitignore", "CONTRIBUTING.md.jinja", "pyproject.toml.jinja")
    }
    new = {
        ".editorconfig": "# Improved.\n" + old[".editorconfig"],
        ".github/improved.yml": "# Improved.\n",
        ".gitignore": "# Improved.\n" + old[".gitignore"],
        "CONTRIBUTING.md.jinja": re.sub(
            r"^(# .*\n)", r"\1\nImproved.\n", old["CONTRIBUTING.md.jinja"], count=1, flags=re.M
        ),
        "pyproject.toml.jinja": old["pyproject.toml.jinja"].replace(
            "[tool.mypy]\n", "# Improved.\n[tool.mypy]\n"
        ),
    }
    return published.release({f"template/{name}": text for name, text in new.items()})


@pytest.fixture
def project(template: Template, tmp_path: Path) -> Path:
    """A project of what the working tree holds, in git, as the hook leaves it."""
    return start(template, tmp_path / "claims", release=template.releases[-2])


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
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    with (project / name).open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def replace(project: Path, name: str, old: str, new: str) -> None:
    """Put other text in place of what stands once in a file."""
    text = (project / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    (project / name).write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def conflicts(project: Path) -> list[str]:
    """Whatever an update could not bring together; copier itself ends well all the same."""
    unmerged = git("ls-files", "--unmerged", cwd=project).splitlines()
    rejected = [str(path) for path in project.rglob("*.rej")]
    marked = [name for name, content in tree(project).items() if CONFLICT in content]
    return unmerged + rejected + marked


def recorded(project: Path) -> Answers:
    """What the project remembers: its answers, and the release and address of the template."""
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def answers(project: Path) -> Answers:
    """The answers that the project remembers."""
    return {name: value for name, value in recorded(project).items() if not name.startswith("_")}


def update(project: Path, *arguments: str) -> str:
    """The command that a user types, and what it says."""
    done = subprocess.run(
        [COPIER, "update", "--defaults", *arguments], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def assert_same_but_prose(project: Path, fresh: Path) -> None:
    """The same files; and the same text in all but those that are written once."""
    updated, expected = tree(project), tree(fresh)
    assert updated.keys() == expected.keys()
    differing = {name for name in expected if updated[name] != expected[name]}
    assert differing <= {name for name in expected if name.startswith(("README.md", "docs/"))}


def test_what_a_user_wrote_stays_and_what_is_improved_comes(project: Path) -> None:
    add(project, f"{PACKAGE}/models/claim_frequency/params.yml", "# Mine.\n")
    add(project, f"{PACKAGE}/datasets/claims/suite.yml", "# Mine.\n")
    add(project, f"{PACKAGE}/features/mine.py", '"""Mine."""\n')
    add(project, "docs/index.md", "\nMine.\n")
    add(project, "CONTRIBUTING.md", "\nMine.\n")
    add(project, ".gitignore", "mine/\n")
    (project / "README.md").write_text("# Mine\n", encoding="utf-8")
    (project / "tests" / "unit" / "test_claims.py").unlink()
    replace(project, "pyproject.toml", "\ndependencies = [\n", '\ndependencies = [\n  "mine>=1",\n')
    commit(project)
    before = tree(project)

    said = update(project)

    assert conflicts(project) == []
    assert "python3 hooks/post_generate.py" in said
    assert git("status", "--short", "-uall", cwd=project).split() == [
        *("M", ".copier-answers.yml", "M", ".editorconfig", "M", ".gitignore"),
        *("M", "CONTRIBUTING.md", "M", "pyproject.toml", "??", ".github/improved.yml"),
    ]
    after = tree(project)
    for name, content in before.items():
        if name.startswith((PACKAGE, "docs/", "README.md")):
            assert after[name] == content, name
    assert "tests/unit/test_claims.py" not in after
    for name, words in IMPROVED.items():
        assert words.encode() in after[name], name
    assert b'  "mine>=1",\n' in after["pyproject.toml"]
    assert after[".gitignore"].endswith(b"\nmine/\n")
    assert after["CONTRIBUTING.md"].endswith(b"\nMine.\n")


def test_the_oldest_project_that_remembers_its_names_alone_becomes_what_a_new_one_is(
    template: Template, tmp_path: Path
) -> None:
    """As if every question were newer than the project: all take their defaults."""
    project = start(template, tmp_path / "claims", release=template.releases[0])
    names = ("_commit", "_src_path", "project_name", "package_name")
    kept = {name: recorded(project)[name] for name in names}
    (project / ".copier-answers.yml").write_text(yaml.safe_dump(kept), encoding="utf-8")
    commit(project)
    template.update(project)
    fresh = template.copy(tmp_path / "fresh" / "claims")
    assert conflicts(project) == []
    assert_same_but_prose(project, fresh)
    commit(project)
    once = tree(project)
    assert tree(template.update(project)) == once, "a second update changes something"
    add(project, "hooks/post_generate.py", "# Drifted.\n")
    commit(project)
    assert tree(template.recopy(project)) == once, "a recopy does not end what has drifted"


ALL = ["process", "data", "experiments", "models", "site"]
COMPONENTS = [
    (["process"], ALL),
    (ALL, ["process", "site"]),
    pytest.param(["process"], ["process", "data"], marks=pytest.mark.campaign),
    pytest.param(["data"], ["data", "experiments", "models"], marks=pytest.mark.campaign),
    pytest.param(ALL, ["process", "data", "experiments"], marks=pytest.mark.campaign),
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


@pytest.mark.campaign
def test_an_answer_that_was_never_asked_for_changes_with_the_update_or_alone(
    template: Template, project: Path, tmp_path: Path
) -> None:
    update(project, "--vcs-ref", ":current:", "--data", "engine=sql")
    assert recorded(project).items() >= {"engine": "sql", "_commit": template.releases[-2]}.items()
    commit(project)
    update(project, "--data", "engine=spark", "--data", "components=[process, data]")
    asked = {"engine": "spark", "components": ["process", "data"], "customise": False}
    assert recorded(project).items() >= (asked | {"_commit": template.releases[-1]}).items()
    fresh = template.copy(tmp_path / "fresh" / "claims", answers(project))
    assert_same_but_prose(project, fresh)
