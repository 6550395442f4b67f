"""Labels: registered from one file, again and again, whatever is there and whatever fails."""

from pathlib import Path

import pytest
import yaml
from dslp.github.labels import DEFAULTS

from tests.github.scene import Scene, make
from tests.github.standin import faults
from tests.github.standin.server import Standin

FILE = Path(__file__).parents[2] / "template" / ".github" / "labels.yml"
RIGHTS = {"contents": "read", "issues": "write"}  # what the setup workflow has, and nothing more
COLOURS = {
    **{"Ask": "c9ecff", "Explore": "f0f29b", "Experiment": "8569c6", "Data": "1c587c"},
    **{"Model": "0b4e82", "Deploy": "f79499", "Communicate": "f9f345", "succeeded": "67d157"},
    **{"failed": "c2021c", "on hold": "ffd04f", "blocked - need access": "ed9a53"},
}
NAMES = [label["name"] for label in yaml.safe_load(FILE.read_text(encoding="utf-8"))]


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    made = make(tmp_path / "project", github)
    made.token = github.add_workflow_token(made.repository, RIGHTS)
    (made.folder / ".github").mkdir()
    (made.folder / ".github" / "labels.yml").write_bytes(FILE.read_bytes())
    return made


def write(scene: Scene, text: str) -> None:
    (scene.folder / ".github" / "labels.yml").write_text(text, encoding="utf-8")


def labels(scene: Scene) -> dict[str, tuple[str, str | None]]:
    return {label.name: (label.color, label.description) for label in scene.repository.labels}


@pytest.mark.rule("L3", "I3")
def test_labels_are_those_of_the_file_and_others_stay(scene: Scene) -> None:
    said = scene.run("labels", "register")
    assert said.code == 0
    assert set(NAMES) < set(labels(scene))
    assert "bug" in labels(scene)
    assert "11 changed, 11 labels" in said.out


@pytest.mark.rule("L1", "L2", "L3")
def test_without_a_file_the_labels_are_those_of_the_process(scene: Scene) -> None:
    assert DEFAULTS.read_bytes() == FILE.read_bytes(), "what a new project receives is the default"
    (scene.folder / ".github" / "labels.yml").unlink()
    said = scene.run("labels", "register")
    assert said.code == 0
    assert "11 labels by default (there is no .github/labels.yml)" in said.out
    assert {name: labels(scene)[name][0] for name in NAMES} == COLOURS


@pytest.mark.rule("L4")
def test_a_second_run_asks_once_and_changes_nothing(scene: Scene) -> None:
    scene.run("labels", "register")
    scene.github.forget()
    assert "0 changed" in scene.run("labels", "register").out
    assert [str(request) for request in scene.github.requests] == ["GET /repos/ada/claims/labels"]


@pytest.mark.rule("L4")
def test_a_rename_keeps_the_issues(scene: Scene) -> None:
    scene.repository.add_issue("Old", None, ["Question of the business"])
    write(
        scene,
        "- {name: Ask, color: 'c9ecff', description: x, aliases: [question OF the business]}\n",
    )
    said = scene.run("labels", "register")
    assert "rename" in said.out
    assert [label.name for label in scene.repository.issues[1].labels] == ["Ask"]


@pytest.mark.rule("L4")
def test_issues_keep_their_label_where_old_and_new_name_both_exist(scene: Scene) -> None:
    scene.repository.add_issue("Old", None, ["question"])
    scene.repository.add_issue("Both", None, ["question", "ask"])
    scene.repository.add_issue("Closed", None, ["question"], state="closed")
    write(scene, "- {name: Ask, color: 'c9ecff', description: x, aliases: [question]}\n")
    assert scene.run("labels", "register").code == 0
    found = [[label.name for label in i.labels] for i in scene.repository.issues.values()]
    assert found == [["Ask"]] * 3
    assert "question" not in labels(scene)


@pytest.mark.rule("L4")
def test_only_what_differs_is_changed_and_case_does_not_make_another_label(scene: Scene) -> None:
    scene.run("labels", "register")
    scene.repository.label("Model").name = "MODEL"  # type: ignore[union-attr]
    scene.repository.label("Data").color = "000000"  # type: ignore[union-attr]
    scene.github.forget()
    scene.run("labels", "register")
    assert [str(request) for request in scene.github.writes] == [
        "PATCH /repos/ada/claims/labels/Data",
        "PATCH /repos/ada/claims/labels/MODEL",
    ]


def test_a_dry_run_shows_the_plan_and_changes_nothing(scene: Scene) -> None:
    before = labels(scene)
    said = scene.run("labels", "register", "--dry-run", "--prune")
    assert said.code == 0
    assert labels(scene) == before
    for words in ("create", "delete", "wontfix", "to change"):
        assert words in said.out
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.rule("L4")
def test_labels_of_the_team_go_only_when_pruning_is_asked_for(scene: Scene) -> None:
    scene.run("labels", "register", "--prune")
    assert sorted(labels(scene)) == sorted(NAMES)


@pytest.mark.slow
@pytest.mark.rule("L4")
@pytest.mark.parametrize("effective", [True, False])
def test_killed_at_any_request_the_next_run_ends_in_the_same_state(
    scene: Scene, github: Standin, tmp_path: Path, effective: bool
) -> None:
    aliases = FILE.read_text(encoding="utf-8") + (
        "- {name: newer, color: '123456', description: x, aliases: [bug, question]}\n"
    )
    write(scene, aliases)
    scene.repository.add_issue("A bug", None, ["bug"])
    scene.repository.add_issue("A question", None, ["question"])
    scene.run("labels", "register")
    wanted = labels(scene)
    requests = len(github.requests)
    assert requests > 11
    for number in range(1, requests + 1):
        github.repositories.clear()
        again = make(tmp_path / "project", github)
        scene.repository = again.repository
        scene.token = github.add_workflow_token(again.repository, RIGHTS)
        again.repository.add_issue("A bug", None, ["bug"])
        again.repository.add_issue("A question", None, ["question"])
        github.forget()
        github.kill_at(number, effective)
        killed = scene.run("labels", "register")
        github.forget()
        finished = scene.run("labels", "register")
        assert (finished.code, killed.code in (0, 2)) == (0, True), (number, killed, finished)
        assert labels(scene) == wanted, number
        for issue in again.repository.issues.values():
            assert [label.name for label in issue.labels] == ["newer"], number


def test_two_writers_at_once_end_in_the_same_state(scene: Scene) -> None:
    scene.github.at(2, faults.call(lambda: scene.repository.add_label(NAMES[0], "ffffff", "other")))
    said = scene.run("labels", "register")
    assert said.code == 0, said
    assert len([n for n in labels(scene) if n.lower() == NAMES[0].lower()]) == 1
    assert labels(scene)[NAMES[0]][0] != "ffffff"


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (faults.status(403, "Resource not accessible by integration"), "no right"),
        (faults.status(404, "Not Found"), "GitHub has no ada/claims"),
        (faults.status(401, "Bad credentials"), "gh auth login"),
        (faults.primary_limit(3600), "rate limit is used up"),
        (faults.status(500, "Server Error"), "GitHub says 500"),
    ],
)
def test_what_github_refuses_is_said_in_words(scene: Scene, effect: object, words: str) -> None:
    scene.github.on("*", "*", effect, times=None)  # type: ignore[arg-type]
    said = scene.run("labels", "register")
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("limit", [faults.primary_limit(1), faults.secondary_limit(1)])
def test_a_short_rate_limit_is_waited_for(scene: Scene, limit: object) -> None:
    scene.github.at(3, limit)  # type: ignore[arg-type]
    assert scene.run("labels", "register").code == 0
    assert set(NAMES) < set(labels(scene))


def test_a_server_error_while_reading_is_tried_again(scene: Scene) -> None:
    scene.github.at(1, faults.status(502, "Bad Gateway"))
    assert scene.run("labels", "register").code == 0


def test_without_a_network_it_says_so(scene: Scene) -> None:
    said = scene.run("labels", "register", GITHUB_API_URL="http://127.0.0.1:9")
    assert said.code == 2
    assert "GitHub does not answer" in said.err


def test_without_remote_or_token_the_next_command_is_said(scene: Scene) -> None:
    assert "gh repo create" in scene.run("labels", "register", GITHUB_REPOSITORY="").err
    said = scene.run("labels", "register", GITHUB_TOKEN="", PATH="/nonexistent")
    assert (said.code, "gh auth login" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {name: Ask, color: #c9ecff}", "cannot be read"),
        ("- {name: Ask, color: '#c9ecff'}", "six lower-case hexadecimal digits"),
        ("- {name: Ask, color: 123456}", "six lower-case hexadecimal digits"),
        ("- {name: Ask, color: 'c9ecff', colour: x}", "colour is not known"),
        ("- {name: '', color: 'c9ecff'}", "name must have"),
        (f"- {{name: A, color: 'c9ecff', description: {'x' * 101}}}", "at most 100"),
        ("- {name: A, color: 'c9ecff'}\n- {name: a, color: 'c9ecff'}", "a is there twice"),
        ("- {name: A, color: 'c9ecff', aliases: b}", "aliases must be a list"),
        ("- {name: A, color: 'c9ecff', aliases: ['b, c']}", "without a comma"),
        ("labels: []", "must hold a list"),
        ("- name: [", "cannot be read"),
    ],
)
def test_a_file_that_github_would_refuse_is_refused_before(
    scene: Scene, text: str, problem: str
) -> None:
    write(scene, text)
    said = scene.run("labels", "register")
    assert said.code == 2
    assert problem in said.err
    assert scene.github.requests == []
