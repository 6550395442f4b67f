"""Kinds of project that people make of a copy, and each way from one release to a later one.

The later releases rename and delete files, ask a new question, and change bounds and lines. What is
compared with is what git says of the person's commit; nothing is taken from an update's own words.
"""

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.project.whole import Project
from tests.template_copy import ROOT, Answers, Template, commit, git, publish, tree

pytestmark = pytest.mark.slow

PACKAGE = Path("src/team")
# Files in which a later release improves a line, by words of it; far from where people edit.
IMPROVED = {
    ".editorconfig": "[*.py]\n",
    ".github/workflows/{{ prefix }}issues.yml": "permissions:",
    ".github/ISSUE_TEMPLATE/{{ prefix }}ask.yml": "body:\n",
    ".gitignore": "# Systems and editors\n",
    "AGENTS.md.jinja": "\n## ",
    "CONTRIBUTING.md.jinja": "\n## ",
    "hooks/post_generate.py.jinja": "{% include",
    "pyproject.toml.jinja": "[tool.mypy]\n",
}
QUESTION = "\nnickname:\n  type: str\n  help: Which nickname?\n  default: ''\n\nlicence:\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The releases, what the working tree holds, and two later ones."""
    published = publish(tmp_path_factory.mktemp("matrix") / "template")
    folder = published.path / "template"
    changes = {"template/.github/improved.yml": "# Improved.\n"}
    for name, words in IMPROVED.items():
        text = (folder / name).read_text(encoding="utf-8")
        comment = "\nImproved.\n" if words == "\n## " else "# Improved.\n"
        assert words in text, name
        changes[f"template/{name}"] = text.replace(words, comment + words, 1)
    for name, old, new in (
        ("template/pyproject.toml.jinja", '"uv_build>=0.13,<1"', '"uv_build>=0.13,<2"'),
        ("pyproject.toml", '"mypy>=2,<3"', '"mypy>=2.0.1,<3"'),
        ("copier.yml", "\nlicence:\n", QUESTION),
    ):
        text = changes.get(name) or (published.path / name).read_text(encoding="utf-8")
        assert old in text, name
        changes[name] = text.replace(old, new, 1)
    later = published.release(changes)
    (folder / "CLAUDE.md").rename(folder / "GEMINI.md")
    (folder / ".dockerignore").unlink()
    seeds = "template/src/{{ package_name }}/models/claim_frequency"
    return later.release(
        {
            "template/docs/data/index.md": "# Data, told anew\n",
            "template/docs/later.md": "# A page of a later release\n",
            f"{seeds}/later.py": '"""A file of the example of a later release."""\n',
        }
    )


@dataclass(frozen=True)
class Kind:
    """What people answer, and what they do in their first hour."""

    edit: Callable[[Path], None]
    answers: Answers


def append(project: Path, texts: dict[str, str]) -> None:
    """Write at the end of files, which need not exist."""
    for name, text in texts.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        with (project / name).open("a", encoding="utf-8") as file:
            file.write(text)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{old!r} in {file}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def delete_example(project: Path) -> None:
    for path in (PACKAGE / "datasets", PACKAGE / "models"):
        shutil.rmtree(project / path)
    for file in project.glob("tests/*/test_claim*"):
        file.unlink()
    append(project, {"tests/unit/test_mine.py": MINE})


def rename_example(project: Path) -> None:
    examples = [project / PACKAGE / "models", project / PACKAGE / "datasets"]
    files = [*project.glob("tests/*/test_claim*"), *(p for e in examples for p in e.rglob("*.*"))]
    for file in files:
        text = file.read_text(encoding="utf-8")
        text = text.replace("claim_frequency", "trip_frequency").replace("claims", "trips")
        file.write_text(text, encoding="utf-8")
        if file.name.startswith("test_claim"):
            file.rename(file.with_name(file.name.replace("claim", "trip")))
    for folder, name in zip(examples, ("claim_frequency", "claims"), strict=True):
        (folder / name).rename(folder / name.replace("claim", "trip"))


def add_own(project: Path) -> None:
    for folder, name in (("datasets", "claims"), ("models", "claim_frequency")):
        source = project / PACKAGE / folder / name
        shutil.copytree(source, source.with_name(f"own_{name}"))
    append(
        project,
        {
            f"{PACKAGE}/models/claim_frequency/params.yml": "# Mine.\n",
            ".github/ISSUE_TEMPLATE/incident.yml": "name: Incident\n",
            ".github/workflows/nightly.yml": "on: workflow_dispatch\n",
            ".github/labels.yml": '- { name: mine, color: "ffffff", description: Mine }\n',
            ".gitignore": "mine/\n",
            "mkdocs.yml": "nav: [{ Home: index.md }]\n",
            "docs/data/index.md": "\nMine.\n",
            "README.md": "\nMine.\n",
            "CONTRIBUTING.md": "\nMine.\n",
            "AGENTS.md": "\nMine.\n",
            "tests/unit/test_mine.py": MINE,
        },
    )
    # As `uv add lightgbm` and `uv add --dev pytest-xdist` write it.
    replace(
        project / "pyproject.toml", "\ndependencies = [\n", '\ndependencies = [\n  "lightgbm>=4",\n'
    )
    replace(project / "pyproject.toml", "\ndev = [\n", '\ndev = [\n  "pytest-xdist>=3",\n')
    replace(
        project / ".github/workflows/tests.yml", "    steps:\n", "    steps:\n      - run: mine\n"
    )


def change_style(project: Path) -> None:
    replace(project / "pyproject.toml", "line-length = 100", "line-length = 79")
    replace(project / "pyproject.toml", 'select = ["B",', 'select = ["A", "B",')
    replace(project / "pyproject.toml", "ignore = [\n", 'ignore = [\n  "E501",\n')
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "format", "--quiet", "src", "tests"], cwd=project, check=True)


def delete_files(project: Path) -> None:
    for name in (
        ".editorconfig",
        "CONTRIBUTING.md",
        "docs/data/index.md",
        "AGENTS.md",
    ):
        (project / name).unlink(missing_ok=True)
    (project / ".github" / "workflows" / "issues.yml").unlink()


def edit_form(project: Path) -> None:
    append(project, {"README.md": "# Theirs\n", "analysis.R": "1 + 1\n"})
    replace(project / ".github/ISSUE_TEMPLATE/dslp-ask.yml", "description: ", "description: Ours: ")


MINE = '"""Mine."""\n\n\ndef test_mine() -> None:\n    assert True\n'
KINDS = {
    "untouched": Kind(lambda _: None, {}),
    "example deleted": Kind(delete_example, {}),
    "example renamed": Kind(rename_example, {}),
    "own": Kind(add_own, {}),
    "other style": Kind(change_style, {}),
    "deleted files": Kind(delete_files, {}),
    "adopted": Kind(edit_form, {"existing": True}),
}
QUICK = ("untouched", "own", "deleted files", "adopted")
# The releases with a tag, or the one that stands for them; the working tree is the next.
TAGS = range(len(git("tag", "--list", "v*", cwd=ROOT).split()))
UNTAGGED = "" if TAGS else "v0.1.0"
PAIRS = [
    pytest.param(
        kind,
        a,
        b,
        id=f"{kind}, {a} to {b}",
        marks=[] if (a, b) == (-3, -1) and kind in QUICK else pytest.mark.campaign,
    )
    for kind in KINDS
    for a, b in itertools.combinations((*(TAGS or (0,)), -3, -2, -1), 2)
    if TAGS or (kind, a) != ("adopted", 0)
]


@dataclass(frozen=True)
class Edited:
    """A project in which a person worked, and what git says that the person did."""

    path: Path

    @property
    def added(self) -> dict[str, list[str]]:
        """Lines that the person wrote, by file."""
        lines: dict[str, list[str]] = {}
        for line in git(
            "diff", "--unified=0", "--no-renames", "HEAD~1", "HEAD", cwd=self.path
        ).splitlines():
            if line.startswith("+++ "):
                name = line.removeprefix("+++ b/")
            elif line.startswith("+"):
                lines.setdefault(name, []).append(line[1:])
        return lines

    @property
    def deleted(self) -> list[str]:
        """Files that the person deleted or renamed."""
        options = ("--name-only", "--no-renames", "--diff-filter=D", "HEAD~1", "HEAD")
        return git("diff", *options, cwd=self.path).splitlines()

    @property
    def written(self) -> list[str]:
        """Files that the template wrote."""
        return git("ls-tree", "-r", "--name-only", "HEAD~1", cwd=self.path).splitlines()


@pytest.fixture(scope="module")
def edited(
    template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Edited]:
    """Each kind of project from each release, made once; what a test gets is a copy."""
    originals: dict[tuple[str, str], Path] = {}

    def get(kind: str, release: str) -> Edited:
        folder = tmp_path_factory.mktemp("edited")
        if (kind, release) not in originals:
            project = template.copy(folder / "original" / "team", KINDS[kind].answers, release)
            commit(project)
            KINDS[kind].edit(project)
            git("add", "--all", cwd=project)
            git("commit", "--quiet", "--allow-empty", "--message", "An hour of work", cwd=project)
            originals[kind, release] = project
        copy = shutil.copytree(originals[kind, release], folder / "copy" / "team")
        return Edited(copy)

    return get


def is_team_owned(name: str) -> bool:
    """Pages and the example: written once."""
    is_page = name == "README.md" or (name.startswith("docs/") and name.endswith(".md"))
    example = r"src/\w+/(datasets|models)/|tests/\w+/test_claim"
    return is_page or re.match(example, name) is not None


def examine(project: Path) -> list[str]:
    """What `dslp doctor` says of an update."""
    command = [sys.executable, "-m", "dslp", "doctor", "--json"]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True)
    results = [r for r in json.loads(run.stdout)["results"] if r["subject"] == "update"]
    assert all(result["ok"] for result in results) or run.returncode == 1
    return [finding["problem"] for result in results for finding in result["findings"]]


@pytest.mark.rule("G3")
@pytest.mark.parametrize(("kind", "old", "new"), PAIRS)
def test_an_update_keeps_what_is_theirs_and_brings_what_is_new(
    edited: Callable[[str, str], Edited],
    template: Template,
    tmp_path: Path,
    kind: str,
    old: int,
    new: int,
) -> None:
    project = edited(kind, template.releases[old])
    before, written = tree(project.path), project.written
    template.update(project.path, release=template.releases[new])
    after = tree(project.path)

    conflicts = {name for name, text in after.items() if b"<<<<<<< before updating" in text}
    # Since the commit that stands for a release, most files changed at their end, where people add.
    assert conflicts <= (project.added.keys() if template.releases[old] == UNTAGGED else set())
    fresh = tree(template.copy(tmp_path / "team", KINDS[kind].answers, template.releases[new]))
    for name, lines in project.added.items():
        if name in fresh or name in after:  # else a file that the template has no longer
            kept = iter(after[name].decode().splitlines())
            assert all(line in kept for line in lines), f"a line of {name} is lost"
    for name, content in before.items():
        if is_team_owned(name) or name not in {*fresh, *written}:
            assert after[name] == content, f"{name} is changed"
    assert not [name for name in project.deleted if name in after], "deleted, and back"
    expected = {name for name in fresh if not is_team_owned(name)} - {*project.deleted}
    assert expected <= after.keys()
    if kind == "untouched":
        assert {n: after[n] for n in expected} == {n: fresh[n] for n in expected}
        assert {name for name in after if not is_team_owned(name)} == expected
    if new != -3:
        improved = {name.removesuffix(".jinja").replace("{{ prefix }}", "") for name in IMPROVED}
        for name in improved & after.keys():
            assert b"Improved." in after[name], name


def test_lines_that_both_changed_are_conflicts_and_are_named(
    edited: Callable[[str, str], Edited], template: Template
) -> None:
    """A control: the same line, the line before it, and another indentation of the whole file."""
    project = edited("untouched", template.releases[-3]).path
    replace(project / ".editorconfig", "[*.py]\n", "# Mine.\n[*.py]\n")
    replace(project / ".gitignore", "# Systems and editors\n", "# Mine\n")
    form = project / ".github" / "ISSUE_TEMPLATE" / "ask.yml"
    form.write_text(re.sub("(?m)^", " ", form.read_text(encoding="utf-8")), encoding="utf-8")
    git("commit", "--all", "--quiet", "--message", "Changed where the template will", cwd=project)
    names = git("show", "--name-only", "--format=", "HEAD", cwd=project).split()
    assert len(names) == 3
    template.update(project, release=template.releases[-2])
    (problem,) = examine(project)
    assert problem == f"left conflicts; resolve {', '.join(sorted(names))}"
    git("add", "--all", cwd=project)
    git("commit", "--no-verify", "--quiet", "--message", "With the markers in it", cwd=project)
    assert examine(project) == [problem]


@pytest.mark.parametrize("old", [-3, pytest.param(0, marks=pytest.mark.campaign)])
def test_edits_of_files_that_the_template_has_no_longer_are_named_and_come_back(
    edited: Callable[[str, str], Edited], template: Template, old: int
) -> None:
    project = edited("untouched", template.releases[old]).path
    unedited = {".copier-answers.yml", ".dockerignore", "pyproject.toml"}
    names = {*git("ls-files", cwd=project).split()} - unedited
    append(project, dict.fromkeys(names, "# Mine.\n"))
    git("commit", "--all", "--quiet", "--message", "Mine", cwd=project)
    before = tree(project)
    template.update(project)
    gone = {name for name in before if not (project / name).exists()}
    assert gone >= {".dockerignore", *(["CLAUDE.md"] if old else ["notebooks/template.ipynb"])}

    def named() -> tuple[list[str], str]:
        problem = examine(project)[-1].removeprefix("deleted what you had edited: ")
        listed, _, way = problem.removesuffix(" gives one back)").partition(" (")
        return listed.split(", "), way

    deleted, way = named()
    assert deleted == sorted(gone - {".dockerignore"})
    assert way == "git restore --source=HEAD -- PATH"
    if old:  # as a pull request is merged
        git("checkout", "--quiet", "-b", "template/update", cwd=project)
    git("add", "--all", cwd=project)
    git("commit", "--no-verify", "--quiet", "--message", "Update", cwd=project)
    if old:
        git("checkout", "--quiet", "main", cwd=project)
        git("merge", "--quiet", "--no-ff", "--no-edit", "template/update", cwd=project)
    assert named() == (deleted, "git restore --source=HEAD~1 -- PATH")
    for name in deleted:
        git("restore", "--source=HEAD~1", "--", name, cwd=project)
        assert (project / name).read_bytes() == before[name]
    assert not [problem for problem in examine(project) if "deleted" in problem]


@pytest.mark.campaign
def test_another_name_of_the_package_is_refused_and_comes_by_the_recipe(
    template: Template, tmp_path: Path
) -> None:
    project = template.copy(tmp_path / "p", {"package_name": "before"}, template.releases[-3])
    commit(project)
    with pytest.raises(ValueError, match=r"keep before: see docs/start\.md, Rename"):
        template.update(project, {"package_name": "after"})
    assert git("status", "--short", cwd=project) == ""
    git("mv", "src/before", "src/after", cwd=project)
    for name in git("grep", "-lw", "before", cwd=project).split():
        text = (project / name).read_text(encoding="utf-8")
        places = r"(package_name: |src/|name = \"|package = \"|from |import )before\b"
        (project / name).write_text(re.sub(places, r"\1after", text), encoding="utf-8")
    commit(project)
    template.update(project)
    assert git("ls-files", "--unmerged", cwd=project) == ""
    assert_like_fresh(project, template.copy(tmp_path / "fresh" / "p", {"package_name": "after"}))


@pytest.mark.campaign
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "adopted"])
def test_lint_types_and_tests_of_an_updated_project_pass(
    edited: Callable[[str, str], Edited], template: Template, machine: dict[str, str], kind: str
) -> None:
    path = edited(kind, template.releases[-3]).path
    template.update(path)
    project = Project(path, machine)
    project.succeed("python3 hooks/post_generate.py")
    for command in ("ruff check", "ruff format --check src tests", "mypy", "pytest -q"):
        project.succeed(f"uv run {command}")


def start(template: Template, folder: Path, answers: Answers, release: str | None = None) -> Path:
    project = template.copy(folder, answers, release)
    commit(project)
    return project


def recorded(project: Path) -> Answers:
    return dict(yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8")))


def assert_like_fresh(project: Path, fresh: Path) -> None:
    """The same files with the same text, but for what is written once."""
    updated, expected = tree(project), tree(fresh)
    names = {name for name in {*updated, *expected} if not is_team_owned(name)}
    assert {name: updated.get(name) for name in names} == {n: expected.get(n) for n in names}


@pytest.mark.campaign
def test_the_oldest_project_that_remembers_its_names_alone_becomes_what_a_new_one_is(
    template: Template, tmp_path: Path
) -> None:
    """As if every question were newer than the project: all take their defaults."""
    project = start(template, tmp_path / "claims", {}, template.releases[0])
    names = ("_commit", "_src_path", "project_name", "package_name")
    answers = {name: recorded(project)[name] for name in names}
    (project / ".copier-answers.yml").write_text(yaml.safe_dump(answers), encoding="utf-8")
    commit(project)
    template.update(project)
    assert_like_fresh(project, template.copy(tmp_path / "fresh" / "claims"))
    commit(project)
    once = tree(project)
    assert tree(template.update(project)) == once, "a second update changes something"


@pytest.mark.rule("B8")
@pytest.mark.parametrize("branch", ["master", pytest.param("develop", marks=pytest.mark.campaign)])
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
    assert f"branch: {branch}, as in this repository; files that say so now: 12" in run.stdout
    (project / "theirs.txt").unlink()
    (project / ".git" / "hooks" / "pre-commit").unlink()
    answers = {"collaboration_branch": branch, "release_branch": ""}
    assert tree(project) == tree(template.copy(tmp_path / "new" / "claims", answers, release))
    commit(project)
    template.update(project)
    assert git("ls-files", "--unmerged", cwd=project) == ""
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
    added = '\ndev = [\n  "pytest-xdist>=3",\n'  # as `uv add --dev` writes it
    replace(project / "pyproject.toml", "\ndev = [\n", added)
    commit(project)
    template.update(project, after)
    replace(project / "pyproject.toml", added, "\ndev = [\n")
    assert recorded(project).items() >= after.items()
    answers = {name: value for name, value in recorded(project).items() if name[0] != "_"}
    fresh = template.copy(tmp_path / "fresh" / "claims", answers)
    assert_like_fresh(project, fresh)
    assert [*tree(fresh).keys() - tree(project)] == [], "what a new component brings is there"
