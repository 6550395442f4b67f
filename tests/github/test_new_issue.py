"""`dslp new issue`: the forms of a project in a terminal, and what GitHub receives."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.github.scene import Scene, make
from tests.github.standin.server import Standin
from tests.template_copy import ROOT

EXPERIMENT = ("new", "issue", "experiment", "--title", "Boosting")
GOAL, METRIC = "--set=Goal=5 % better", "--set=metric=Deviance"
OWN = """\
name: Bug
description: Ours.
title: "[Bug]: "
labels: bug, help wanted
assignees: ada
body:
  - {type: input, id: goal, attributes: {label: What}, validations: {required: true}}
  - {type: dropdown, attributes: {label: Goal, options: [fast, "slow, or not"]}}
"""


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """A project with the forms, an Ask, and the token of a person who owns it."""
    scene = make(tmp_path / "project", github)
    shutil.copytree(ROOT / "template" / ".github", scene.folder / ".github")
    scene.token = github.add_token()
    scene.issue("Ask")
    github.forget()
    return scene


@pytest.mark.rule("I1", "I3", "I8")
def test_the_issue_is_what_the_form_makes_on_github(scene: Scene) -> None:
    options = ("--set=Ask=#1", "--set=GOAL=old", GOAL, METRIC, "--set", "Approach=a\r\nb = c")
    ended = scene.run(*EXPERIMENT, *options, "--priority=high", "--assign=ada")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split("\n")[0] == "#2 https://github.com/ada/claims/issues/2"
    issue = scene.repository.issues[2]
    answers = {"Ask": "#1", "Goal": "5 % better", "Metric": "Deviance", "Approach": "a\nb = c"}
    empty = dict.fromkeys(("Assumptions", "Runs", "Pull request", "Summary"), "_No response_")
    expected = (f"### {label}\n\n{answer}" for label, answer in {**answers, **empty}.items())
    assert issue.body == "\n\n".join(expected)
    assert (issue.title, issue.assignees) == ("Boosting", ["ada"])
    assert {label.name for label in issue.labels} == {"Experiment", "priority: high"}
    again = scene.run(*EXPERIMENT, *options, "--priority=high", "--json")
    (result,) = json.loads(again.out)["results"]
    assert (again.code, result["details"]["number"]) == (0, 2), "it is not opened twice"
    assert [str(one) for one in scene.github.writes] == ["POST /repos/ada/claims/issues"]
    model = ("new", "issue", "model", "--title=Frequency", "--set=Ask=#1", "--set=Experiment=#2")
    assert scene.run(*model).code == 0
    assert str(scene.repository.issues[3].body).count("\n- [ ] ") == 10


@pytest.mark.rule("I11")
def test_what_is_missing_or_linked_wrongly_is_said_before_anything_is_sent(scene: Scene) -> None:
    ended = scene.run(*EXPERIMENT, "--set=Ask=#7", METRIC, "--json")
    (result,) = json.loads(ended.out)["results"]
    problems = [one["problem"] for one in result["findings"]]
    assert ended.code == 1
    assert "it names #7, which is no issue, in the field “Ask”" in problems[0]
    assert problems[1] == "it leaves empty: “Goal”"
    dry = scene.run(*EXPERIMENT, "--set=Ask=#1", GOAL, METRIC, "--dry-run")
    assert (dry.code, "### Goal\n\n5 % better" in dry.out) == (0, True)
    assert scene.github.writes == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("experimnet",), "there is no form 'experimnet'; do you mean experiment?"),
        (("../ask",), "there is no form '../ask'; do you mean ask? Known are ask, "),
        (("ask",), "required are Problem, Desired outcome; fields are Problem, Desired"),
        (("ask", "--set=Problme=x"), "no field 'Problme'; do you mean Problem?"),
        (("ask", "--set=Problem=x"), "a title has 1 to 256 characters"),
        (("ask", "--title", "x" * 257, "--set=Problem=x"), "here they have 257 and"),
        (("ask", "--title=x", f"--set=Problem={'x' * 65_536}"), "here they have 1 and 65,"),
        (("ask", "--title=x", "--set=Problem=a\n### Impact\nb"), "“Problem” has a heading of"),
        (("ask", "--title=x", "--set=Problem=```\nfor ever"), "“Problem” has a heading of"),
        (
            ("explore", "--title=x", "--set=time-box=one dya"),
            "no option 'one dya'; do you mean one",
        ),
        (("ask", "--from=gone.md"), "gone.md is missing"),
    ],
)
def test_a_wrong_word_is_answered_with_what_is_right(
    scene: Scene, arguments: tuple[str, ...], words: str
) -> None:
    ended = scene.run("new", "issue", *arguments)
    assert (ended.code, ended.err.count("\n"), scene.github.requests) == (2, 1, [])
    assert words in ended.err


def test_a_form_of_the_teams_own_and_a_file_make_an_issue_and_hostile_text_stays_text(
    scene: Scene,
) -> None:
    (scene.folder / ".github" / "ISSUE_TEMPLATE" / "Bug.yaml").write_text(OWN, encoding="utf-8")
    text = "# $(touch x) <!-- ? kept\r\n\r\n### What\r\n\r\n\0 $(x)\ud800\r\n### Goal\r\nfast\r\n"
    file = scene.folder / "bug.md"
    file.write_bytes(text.encode("utf-8", "replace"))
    bug = ("new", "issue", "bug", "--from=bug.md")
    ended = scene.run(*bug, "--set=goal=slow, or not")  # a label comes before another field's id
    assert ended.code == 0, ended
    issue = scene.repository.issues[2]
    assert issue.title == "$(touch x) <!-- ? kept"
    assert issue.body == "### What\n\n\ufffd $(x)?\n\n### Goal\n\nslow, or not"
    assert issue.assignees == ["ada"]
    for wrong in ("more\n\n" + text, text + "### What\n\nagain"):
        file.write_bytes(wrong.encode("utf-8", "replace"))
        assert "must have one line as title, then each heading once" in scene.run(*bug).err
    assert len(scene.github.writes) == 1


def test_a_reader_may_open_an_issue_and_hears_what_github_left_out(
    scene: Scene, github: Standin
) -> None:
    scene.token = github.add_token("eve")
    ended = scene.run("new", "issue", "task", "--title=x", "--set=what=y", "--priority=low")
    assert (ended.code, "GitHub left labels or people out" in ended.err) == (0, True)
    scene.github.forget()
    scene.github.kill_at(3)
    task = ("new", "issue", "task", "--title=z", "--set=what=y")
    assert scene.run(*task).code == 2
    scene.github.forget()
    assert scene.run(*task).code == 0
    assert len(scene.repository.issues) == 3, "the first request had been carried out"


TITLE, PROBLEM = r"s/^# $/# Slow/", r"s/^### Problem/&\n\nIt lasts/"


@pytest.mark.parametrize(
    ("editor", "code", "words"),
    [
        (rf"sed -i '{TITLE};{PROBLEM};s/^### Desired.*/&\n\nx/'", 0, "next: "),
        (f"sed -i '{PROBLEM}'", 2, "your text is kept"),
        ("true", 1, "nothing was written"),
        ("truncate -s0", 1, "nothing was written"),
        ("false", 2, "the editor fails"),
        ("no-such-editor", 2, "the editor fails"),
    ],
)
def test_the_editor_of_git_fills_the_form_in(
    scene: Scene, editor: str, code: int, words: str
) -> None:
    main, terminal = os.openpty()
    command = [sys.executable, "-m", "dslp", "new", "issue", "ask"]
    env = {"GIT_EDITOR": editor, "TMPDIR": str(scene.folder)} | scene.env
    ended = subprocess.run(
        command, cwd=scene.folder, env=env, stdin=terminal, capture_output=True, text=True
    )
    os.close(main)
    os.close(terminal)
    assert (ended.returncode, words in ended.stdout + ended.stderr) == (code, True), ended
    drafts = list(scene.folder.glob("dslp-*.md"))
    assert len(drafts) == (code == 2)
    if code == 0:
        issue = scene.repository.issues[2]
        assert issue.title == "Slow"
        assert str(issue.body).startswith("### Problem\n\nIt lasts\n\n### Desired outcome\n\nx\n\n")
        assert "<!--" not in str(issue.body)
