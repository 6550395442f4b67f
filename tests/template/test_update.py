"""A project that people worked in takes the template's improvements and keeps what is theirs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.template_copy import Answers, Template, commit, git, publish, tree

pytestmark = pytest.mark.slow

PACKAGE = "src/claims"
COPIER = str(Path(sys.executable).with_name("copier"))
# Where the next release improves a file of the template: before these words.
IMPROVED = {
    ".editorconfig": "",
    ".gitignore": "",
    "CONTRIBUTING.md.jinja": "\n## ",
    "pyproject.toml.jinja": "[tool.mypy]\n",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The releases, what the working tree holds, and a next one with improvements."""
    published = publish(tmp_path_factory.mktemp("updated") / "template")
    changes = {"template/.github/improved.yml": "# Improved.\n"}
    for name, words in IMPROVED.items():
        text = (published.path / "template" / name).read_text(encoding="utf-8")
        improvement = "\nImproved.\n" if words == "\n## " else "# Improved.\n"
        changes[f"template/{name}"] = text.replace(words, improvement + words, 1)
    return published.release(changes)


def start(template: Template, folder: Path, answers: Answers, release: str | None = None) -> Path:
    project = template.copy(folder, answers, release)
    commit(project)
    return project


def recorded(project: Path) -> Answers:
    return dict(yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8")))


def assert_no_conflict(project: Path) -> None:
    """Copier itself exits 0 even if an update could not bring files together."""
    assert git("ls-files", "--unmerged", cwd=project) == ""
    assert list(project.rglob("*.rej")) == []
    files = tree(project).items()
    assert [name for name, content in files if b"<<<<<<< before updating" in content] == []


def assert_same_but_prose(project: Path, fresh: Path) -> None:
    """The same files; and the same text in all but those that are written once."""
    updated, expected = tree(project), tree(fresh)
    assert updated.keys() == expected.keys()
    differing = [name for name in expected if updated[name] != expected[name]]
    assert [name for name in differing if not name.startswith(("README.md", "docs/"))] == []


def test_what_a_user_wrote_stays_and_what_is_improved_comes(
    template: Template, tmp_path: Path
) -> None:
    project = start(template, tmp_path / "claims", {}, release=template.releases[-2])
    for name, text in {
        f"{PACKAGE}/models/claim_frequency/params.yml": "# Mine.\n",
        f"{PACKAGE}/datasets/claims/suite.yml": "# Mine.\n",
        f"{PACKAGE}/features/mine.py": '"""Mine."""\n',
        "docs/index.md": "\nMine.\n",
        "CONTRIBUTING.md": "\nMine.\n",
        ".gitignore": "mine/\n",
    }.items():
        (project / name).parent.mkdir(exist_ok=True)
        with (project / name).open("a", encoding="utf-8") as file:
            file.write(text)
    (project / "README.md").write_text("# Mine\n", encoding="utf-8")
    (project / "tests" / "unit" / "test_claims.py").unlink()
    settings = project / "pyproject.toml"
    old, new = "\ndependencies = [\n", '\ndependencies = [\n  "mine>=1",\n'
    settings.write_text(settings.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    commit(project)
    before = tree(project)

    updated = subprocess.run(
        [COPIER, "update", "--defaults"], cwd=project, capture_output=True, text=True
    )

    assert updated.returncode == 0, updated.stderr
    assert "python3 hooks/post_generate.py" in updated.stderr
    assert_no_conflict(project)
    assert git("status", "--short", "-uall", cwd=project).split() == [
        *("M", ".copier-answers.yml", "M", ".editorconfig", "M", ".gitignore"),
        *("M", "CONTRIBUTING.md", "M", "pyproject.toml", "??", ".github/improved.yml"),
    ]
    after = tree(project)
    for name, content in before.items():
        if name.startswith((PACKAGE, "docs/", "README.md")):
            assert after[name] == content, name
    assert "tests/unit/test_claims.py" not in after
    for name in (*IMPROVED, ".github/improved.yml"):
        assert b"Improved." in after[name.removesuffix(".jinja")], name
    assert b'  "mine>=1",\n' in after["pyproject.toml"]
    assert after[".gitignore"].endswith(b"\nmine/\n")
    assert after["CONTRIBUTING.md"].endswith(b"\nMine.\n")


def test_the_oldest_project_that_remembers_its_names_alone_becomes_what_a_new_one_is(
    template: Template, tmp_path: Path
) -> None:
    """As if every question were newer than the project: all take their defaults."""
    project = start(template, tmp_path / "claims", {}, release=template.releases[0])
    names = ("_commit", "_src_path", "project_name", "package_name")
    answers = {name: recorded(project)[name] for name in names}
    (project / ".copier-answers.yml").write_text(yaml.safe_dump(answers), encoding="utf-8")
    commit(project)
    template.update(project)
    assert_no_conflict(project)
    assert_same_but_prose(project, template.copy(tmp_path / "fresh" / "claims"))
    commit(project)
    once = tree(project)
    assert tree(template.update(project)) == once, "a second update changes something"


@pytest.mark.rule("B8")
@pytest.mark.parametrize("branch", ["master", "develop"])
def test_a_repository_keeps_its_branch_and_an_update_finds_its_own_text(
    template: Template, tmp_path: Path, branch: str
) -> None:
    project, release = tmp_path / "claims", template.releases[-2]
    (project / ".github" / "workflows").mkdir(parents=True)
    (project / "theirs.txt").write_text("Theirs.\n", encoding="utf-8")
    commit(project)
    git("branch", "--move", branch, cwd=project)
    template.copy(project, release=release)
    command = [sys.executable, "-m", "dslp", "setup"]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert f"branch: {branch}, as in this repository; files that say so now: 11" in run.stdout
    (project / "theirs.txt").unlink()
    (project / ".git" / "hooks" / "pre-commit").unlink()
    answers = {"collaboration_branch": branch, "release_branch": ""}
    assert tree(project) == tree(template.copy(tmp_path / "new" / "claims", answers, release))
    commit(project)
    template.update(project)
    assert_no_conflict(project)
    assert recorded(project).items() >= answers.items()


ALL = ["process", "data", "experiments", "models", "site"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"components": ["process"]}, {"components": ALL}),
        pytest.param(
            {},
            {"components": ["process", "site"], "engine": "spark"},
            marks=pytest.mark.campaign,
        ),
    ],
    ids=str,
)
def test_components_come_and_go(
    template: Template, tmp_path: Path, before: Answers, after: Answers
) -> None:
    project = start(template, tmp_path / "claims", before)
    template.update(project, after)
    assert_no_conflict(project)
    assert recorded(project).items() >= after.items()
    answers = {name: value for name, value in recorded(project).items() if name[0] != "_"}
    assert_same_but_prose(project, template.copy(tmp_path / "fresh" / "claims", answers))
