"""Labels: registered from one file, again and again, whatever is there and whatever fails."""

from pathlib import Path

import pytest
import yaml
from dslp.github.entities import TYPES
from dslp.github.labels import DEFAULTS

from tests.github.scene import Scene, make
from tests.github.standin import faults
from tests.github.standin.server import Standin

FILE = Path(__file__).parents[2] / "template" / ".github" / "{{ place }}labels.yml"
RIGHTS = {"contents": "read", "issues": "write"}  # what the setup workflow has, and nothing more
COLOURS = {
    **{"Ask": "c9ecff", "Explore": "f0f29b", "Experiment": "8569c6", "Data": "1c587c"},
    **{"Model": "0b4e82", "Deploy": "f79499", "Communicate": "f9f345", "succeeded": "67d157"},
    **{"failed": "c2021c", "on hold": "ffd04f", "blocked - need access": "ed9a53"},
    **{"priority: high": "d93f0b", "priority: normal": "fbca04", "priority: low": "e6e6e6"},
}
NAMES = [label["name"] for label in yaml.safe_load(FILE.read_text(encoding="utf-8"))]


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    scene = make(tmp_path / "project", github)
    scene.token = github.add_workflow_token(scene.repository, RIGHTS)
    (scene.folder / ".github").mkdir()
    (scene.folder / ".github" / "labels.yml").write_bytes(FILE.read_bytes())
    return scene


def write(scene: Scene, text: str) -> None:
    (scene.folder / ".github" / "labels.yml").write_text(text, encoding="utf-8")


def labels(scene: Scene) -> dict[str, tuple[str, str | None]]:
    return {label.name: (label.color, label.description) for label in scene.repository.labels}


@pytest.mark.rule("L1", "L2", "L3", "I3")
@pytest.mark.parametrize("file", [True, False], ids=["a file", "none"])
def test_labels_are_those_of_the_file_or_of_the_process(scene: Scene, file: bool) -> None:
    assert DEFAULTS.read_bytes() == FILE.read_bytes(), "what a new project receives is the default"
    if not file:
        (scene.folder / ".github" / "labels.yml").unlink()
    ended = scene.run("labels", "register")
    assert ended.code == 0
    assert set(TYPES) < COLOURS.keys()
    assert {name: labels(scene)[name][0] for name in NAMES} == COLOURS
    assert all(labels(scene)[name][1] for name in NAMES)
    assert "bug" in labels(scene), "a label of the team stays"
    assert "14 changed\n14 labels" in ended.out
    assert ("by default (there is no .github/labels.yml)" in ended.out) != file


@pytest.mark.rule("L4")
def test_only_what_differs_is_changed_and_case_does_not_make_another_label(scene: Scene) -> None:
    scene.run("labels", "register")
    scene.github.forget()
    assert "nothing is changed" in scene.run("labels", "register").out
    assert [str(request) for request in scene.github.requests] == [
        "GET /repos/ada/claims",
        "GET /repos/ada/claims/labels",
    ]
    scene.repository.label("Model").name = "MODEL"  # type: ignore[union-attr]
    scene.repository.label("Data").color = "000000"  # type: ignore[union-attr]
    scene.github.forget()
    scene.run("labels", "register")
    assert [str(request) for request in scene.github.writes] == [
        "PATCH /repos/ada/claims/labels/Data",
        "PATCH /repos/ada/claims/labels/MODEL",
    ]


@pytest.mark.rule("L4")
def test_renamed_labels_keep_their_issues_and_the_teams_are_deleted_only_on_request(
    scene: Scene,
) -> None:
    write(scene, FILE.read_text("utf-8").replace("name: Ask", "name: Ask\n  aliases: [OLD]"))
    issue = scene.repository.add_issue("Old", None, ["old"], state="closed")
    before = labels(scene)
    ended = scene.run("labels", "register", "--dry-run", "--prune")
    assert labels(scene) == before
    assert all(words in ended.out for words in ("create", "delete", "wontfix", "to change"))
    scene.run("labels", "register", "--prune")
    assert sorted(labels(scene)) == sorted(NAMES)
    assert [label.name for label in issue.labels] == ["Ask"]


@pytest.mark.campaign
@pytest.mark.rule("L4")
def test_killed_after_any_change_the_next_run_ends_in_the_same_state(
    scene: Scene, github: Standin, tmp_path: Path
) -> None:
    newer = "- {name: newer, color: '123456', description: x, aliases: [bug]}\n"
    write(scene, FILE.read_text(encoding="utf-8") + newer)

    def begin() -> None:
        scene.repository = make(tmp_path / "project", github).repository
        scene.token = github.add_workflow_token(scene.repository, RIGHTS)
        scene.repository.add_issue("A bug", None, ["bug"])
        github.forget()

    begin()
    assert scene.run("labels", "register").code == 0
    expected = labels(scene)
    github.repositories.clear()
    number = 0
    for number in scene.stop_anywhere(begin, "labels", "register"):
        assert scene.run("labels", "register").code == 0, number
        assert labels(scene) == expected, number
        for issue in scene.repository.issues.values():
            assert [label.name for label in issue.labels] == ["newer"], number
    assert number > 11


def test_a_short_failure_is_waited_for(scene: Scene) -> None:
    scene.github.at(2, faults.secondary_limit(1))
    scene.github.at(3, faults.status(502, "Bad Gateway"))
    assert scene.run("labels", "register").code == 0
    assert set(NAMES) < set(labels(scene))


REFUSALS = {
    "no right": faults.status(403, "Resource not accessible by integration"),
    "GitHub has no ada/claims": faults.status(404, "Not Found"),
    "make a new one: gh auth login": faults.status(401, "Bad credentials"),
    "rate limit is used up": faults.primary_limit(3600),
}
MISSING = {
    "gh repo create": {"GITHUB_REPOSITORY": ""},
    "log in (gh auth login)": {"GITHUB_TOKEN": "", "PATH": "/nonexistent"},
}


@pytest.mark.parametrize("words", [*REFUSALS, *MISSING])
def test_what_github_refuses_or_is_missing_is_one_line(scene: Scene, words: str) -> None:
    if words in REFUSALS:
        scene.github.on("*", REFUSALS[words])
    ended = scene.run("labels", "register", **MISSING.get(words, {}))
    assert (ended.code, words in ended.err, ended.err.count("\n")) == (2, True, 1), ended


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {name: Ask, color: #c9ecff}", "is not valid YAML"),
        ("- {name: Ask, color: 123456}", "six lower-case hexadecimal digits"),
        ("- {name: Ask, color: 'c9ecff', colour: x}", "label 1 must have a name of at most 50"),
        (f"- {{name: A, color: 'c9ecff', description: {'x' * 101}}}", "at most 100"),
        ("- {name: A, color: 'c9ecff'}\n- {name: a, color: 'c9ecff'}", "a occurs twice"),
        ("- {name: A, color: 'c9ecff', aliases: b}", "a list of aliases"),
    ],
)
def test_a_file_that_github_would_refuse_is_refused_before(
    scene: Scene, text: str, problem: str
) -> None:
    write(scene, text)
    ended = scene.run("labels", "register")
    assert (ended.code, problem in ended.err) == (2, True), ended
    assert scene.github.requests == []
