"""`dslp new issue`: the forms of a project in a terminal, and what GitHub receives."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from dslp.core.errors import DslpError
from dslp.github.forms import EMPTY, form_fields, read_form
from dslp.github.new_issue import make_body
from hypothesis import given
from hypothesis import strategies as st

from tests.github.scene import Scene, make
from tests.github.standin.server import Standin
from tests.template_copy import copy_github, issue_form

EXPERIMENT = ("new", "issue", "experiment", "--title=Boosting", "--set=metric=Deviance")
GOAL, TASK = "--set=Goal=5 % better", ("new", "issue", "task", "--set=what=y")
OWN = """\
name: Bug
description: Ours.
title: "[Bug]: "
labels: bug, help wanted
assignees: ada
body:
  - {type: input, id: goal, attributes: {label: What}, validations: {required: true}}
  - {type: dropdown, attributes: {label: Goal, options: [fast, "slow, or not"]}}
  - {type: textarea, attributes: {label: Log, render: shell}}
  - {type: dropdown, attributes: {label: Many, multiple: true, options: [a, "b, c"]}}
  - type: checkboxes
    attributes: {label: Terms, options: [{label: I do, required: true}, {label: Not}]}
"""
TITLE, PROBLEM = r"s/^# $/# Slow/", r"s/^### Problem/&\n\nIt lasts/"


@pytest.fixture
def scene(tmp_path: Path, github: Standin) -> Scene:
    """A project with the forms, an Ask, and the token of a person who owns it."""
    scene = make(tmp_path / "project", github)
    copy_github(scene.folder / ".github")
    scene.token = github.add_token()
    scene.issue("Ask")
    return scene


@pytest.mark.rule("I1", "I3", "I8")
def test_the_issue_is_what_the_form_makes_on_github(scene: Scene) -> None:
    options = ("--set=Ask=#1", "--set=GOAL=old", GOAL, "--set", "Approach=a\r\nb = c")
    ended = scene.run(*EXPERIMENT, *options, "--priority=high", "--assign=ada")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("#2 https://github.com/ada/claims/issues/2\n")
    issue = scene.repository.issues[2]
    answers = {"Ask": "#1", "Goal": "5 % better", "Metric": "Deviance", "Approach": "a\nb = c"}
    answers |= dict.fromkeys(("Assumptions", "Runs", "Pull request", "Summary"), "_No response_")
    assert issue.body == "\n\n".join(f"### {name}\n\n{text}" for name, text in answers.items())
    assert (issue.title, issue.assignees) == ("Boosting", ["ada"])
    assert {label.name for label in issue.labels} == {"Experiment", "priority: high"}
    model = ("new", "issue", "model", "--title=Frequency", "--set=Ask=#1", "--set=Experiment=#2")
    assert scene.run(*model).code == 0
    assert str(scene.repository.issues[3].body).count("\n- [ ] ") == 10


@pytest.mark.rule("I11")
def test_what_is_missing_or_linked_wrongly_is_said_before_anything_is_sent(scene: Scene) -> None:
    ended = scene.run(*EXPERIMENT, "--set=Ask=#7", "--json")
    (result,) = json.loads(ended.out)["results"]
    link, field = (one["problem"] for one in result["findings"])
    assert (ended.code, field) == (1, "it leaves empty: “Goal”")
    assert "it names #7, which is no issue, in the field “Ask”" in link
    dry = scene.run(*EXPERIMENT, "--set=Ask=#1", GOAL, "--dry-run")
    assert (dry.code, "### Goal\n\n5 % better" in dry.out) == (0, True)
    assert scene.github.writes == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("experimnet",), ".github has no form 'experimnet'; do you mean experiment?"),
        (("ask",), "required are Problem, Desired outcome of Problem, Desired outcome, Cu"),
        (("ask", "--set=Problme=x"), "no field 'Problme'; do you mean Problem?"),
        (("ask", "--set=Problem=x"), "the title has 0 and the text"),
        (("ask", "--title=x", f"--set=Problem={'x' * 65_536}"), "the title has 1 and the text 65,"),
        (("ask", "--title=x", "--set=Problem=a\n### Impact\nb"), "“Problem”: write #### for"),
        (("ask", "--title=x", "--set=Problem=### ."), "“Problem”: write #### for"),
        (("explore", "--title=x", "--set=time-box=one dya"), "'one dya'; do you mean one day?"),
    ],
)
def test_a_wrong_word_is_answered_with_what_is_right(
    scene: Scene, arguments: tuple[str, ...], words: str
) -> None:
    ended = scene.run("new", "issue", *arguments)
    assert (ended.code, ended.err.count("\n"), scene.github.requests) == (2, 1, [])
    assert words in ended.err


def test_a_form_of_the_teams_own_and_a_file_make_an_issue(scene: Scene) -> None:
    (scene.folder / ".github" / "ISSUE_TEMPLATE" / "Bug.yaml").write_text(OWN, encoding="utf-8")
    file, bug = scene.folder / "bug.md", ("new", "issue", "bug", "--from=bug.md")
    text = b"# $(x) <!-- ? kept\r\n\r\n### What\r\n\r\n\0 $(x)\r\n### Goal\r\nfast\r\n"
    text += b"### Log\n~~~\n### Many\n~~~\n### Terms\n- [X] I do\n- [ ] Not\n"
    for wrong in (b"more\n\n" + text, text + b"### What\n\nagain"):
        file.write_bytes(wrong)
        assert "must have a title in one line, then each ### field once" in scene.run(*bug).err
    file.write_bytes(text)
    for answer in ("many=b", "many=a, b", "terms=yes", "terms=", "terms=Not", "terms=- [ ] I do"):
        assert scene.run(*bug, f"--set={answer}").code == 2, answer
    ended = scene.run(
        *bug, "--set=many=a, b, c", "--set=goal=slow, or not"
    )  # a label comes before another field's id
    assert ended.code == 0, ended
    issue = scene.repository.issues[2]
    assert (issue.title, issue.assignees) == ("$(x) <!-- ? kept", ["ada"])
    assert issue.body == (
        "### What\n\n\ufffd $(x)\n\n### Goal\n\nslow, or not\n\n### Log\n\n```shell\n~~~\n"
        "### Many\n~~~\n```\n\n### Many\n\na, b, c\n\n### Terms\n\n- [x] I do\n- [ ] Not"
    )


@given(st.text(alphabet="#`~<!->[x] \n\tabDone when"), st.text(alphabet="#`-> \n"))
def test_an_answer_is_read_back_or_refused(what: str, done: str) -> None:
    answers = {"What and why": what.strip(), "Done when": done.strip()}
    with suppress(DslpError):
        body = make_body(read_form(issue_form("task.yml")).fields, answers)
        assert form_fields(body) == {
            n: "" if text in EMPTY else text for n, text in answers.items()
        }


def test_it_opens_once_though_github_did_not_answer_and_says_what_github_left_out(
    scene: Scene, github: Standin
) -> None:
    scene.token = github.add_token("eve")  # who may read
    github.kill_at(3)
    assert scene.run(*TASK, "--title=z").code == 2
    github.forget()
    assert scene.run(*TASK, "--title=z").out.startswith("#2 ")
    low = (*TASK, "--title=x", "--priority=low")
    assert "permission to create labels" in scene.run(*low).err
    scene.repository.add_label("priority: low")
    assert "GitHub left labels or people out" in scene.run(*low).err
    assert len(scene.repository.issues) == 3


@pytest.mark.parametrize(
    ("editor", "code", "words"),
    [
        (rf"sed -i '{TITLE};{PROBLEM};s/^### Desired.*/&\n\nx/'", 0, "next: "),
        (f"sed -i '{PROBLEM}'", 2, "your text is kept: dslp new issue ask --from"),
        ("true", 1, "nothing was written"),
        ("truncate -s0", 1, "nothing was written"),
        ("no-such-editor", 2, "the editor fails"),
        ("sh -c 'kill -INT $PPID; sleep 9'", 2, "interrupted); your text is kept in"),
    ],
)
def test_the_editor_of_git_fills_the_form_in(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, editor: str, code: int, words: str
) -> None:
    terminal, end = os.openpty()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("sys.stdin", os.fdopen(end))
    monkeypatch.setattr("tempfile.tempdir", str(scene.folder))
    ended = scene.run("new", "issue", "ask", GIT_EDITOR=editor)
    os.close(terminal)
    assert (ended.code, words in ended.out + ended.err) == (code, True), ended
    assert len(list(scene.folder.glob("tmp*.md"))) == (code == 2)
    if code == 0:
        body = "### Problem\n\nIt lasts\n\n### Desired outcome\n\nx\n\n### Current state\n\n_No "
        assert body in str(scene.repository.issues[2].body)
