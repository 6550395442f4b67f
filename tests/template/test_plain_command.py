"""`copier copy gh:dslp/template myproject` works exactly as it stands, here offline."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import yaml

from tests.template_copy import ROOT, Template

pytestmark = pytest.mark.slow

COPIER = Path(sys.executable).with_name("copier")
COMMAND = [str(COPIER), "copy", "gh:dslp/template", "myproject"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
COLUMNS = 80  # what a terminal has unless somebody makes it wider
WHERE = b"\x1b[6n"  # a program asks the terminal where the cursor is
PATIENCE = 30.0  # seconds until a question that does not come is given up

CUSTOMISED = ["python_versions", "collaboration_branch", "tracking", "engine", "example"]
SETTINGS = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = {name: value for name, value in SETTINGS.items() if not name.startswith("_")}
NEW = (True, "{{ not existing }}")  # of a question that a new project is asked
ASKED = [n for n, one in QUESTIONS.items() if one.get("ask", True) in NEW and one.get("when", True)]
NONE = "a\r"  # with all chosen, `a` takes every choice away

# What somebody types who errs (ctrl-u takes the default away), what is said, and what is right.
MISTAKES = {
    "project_name": ("\x15mlflow\r", "try mlflow-project: name is taken", "\x15claims\r"),
    "package_name": ("\x15jsonpickle\r", "try claim_frequency: a dependency", "\x15claims\r"),
    "description": ("\x15" + "d" * 201 + "\r", "try Find fraud: over 200 characters", "\x15Why\r"),
    "owner": ("\x15" + "o" * 40 + "\r", "try octo-org or empty: over 39 characters", "\x15\r"),
    "components": (NONE, "try [process, data]: none chosen", NONE),
    "python_versions": ("aa\r", "try ['3.12']: none chosen", NONE),
}


@pytest.fixture
def machine(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub's copy of the template is the one under test, and nothing else can be reached."""
    for name, value in template.served_at("https://github.com/dslp/template.git").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.mark.rule("G1")
@pytest.mark.usefixtures("machine")
def test_with_defaults_in_seconds_and_without_a_terminal_it_says_what_to_do(tmp_path: Path) -> None:
    def copy(*options: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *options]
        return subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    copied = copy()
    assert copied.returncode == 1
    assert "Use `--defaults` and/or `--data`/`--data-file`" in copied.stderr
    assert "Traceback" not in copied.stderr
    start = time.monotonic()
    copied = copy("--defaults")
    assert copied.returncode == 0, copied.stderr
    assert time.monotonic() - start < 20
    assert answers(tmp_path)["project_name"] == answers(tmp_path)["package_name"] == "myproject"
    assert "python3 hooks/post_generate.py" in copied.stderr


@pytest.mark.usefixtures("machine")
def test_questions_and_what_is_wrong_with_an_answer_are_on_the_screen_whole(tmp_path: Path) -> None:
    """A line that is too long is cut or wrapped, so its words do not come in one piece."""
    terminal = Terminal(tmp_path)
    for question in [*ASKED, *CUSTOMISED]:
        terminal.wait_for(help_of(question))
        for choice in QUESTIONS[question].get("choices", []):
            terminal.wait_for(choice)
        if question in MISTAKES:
            bad, said, good = MISTAKES[question]
            terminal.type(bad)
            terminal.wait_for(f"Validation error for question '{question}': {said}")
            terminal.type(good)
        else:
            terminal.type("y" if question == "customise" else "\r")
    assert terminal.wait_for_end() == 0, terminal.text
    expected = {"project_name": "claims", "package_name": "claims", "description": "Why"}
    assert answers(tmp_path).items() >= expected.items()


@pytest.mark.usefixtures("machine")
def test_what_a_chosen_component_does_not_need_is_not_asked(tmp_path: Path) -> None:
    """The example is not offered without data: copier checks no yes or no where it is typed."""
    keys = {"components": "a \r", "customise": "y"}
    terminal = Terminal(tmp_path)
    for question in [*ASKED, *CUSTOMISED[:-1]]:
        terminal.wait_for(help_of(question))
        terminal.type(keys.get(question, "\r"))
    assert terminal.wait_for_end() == 0, terminal.text
    assert answers(tmp_path)["components"] == ["process"]
    assert answers(tmp_path)["example"] is False


def test_at_most_seven_questions_are_asked_and_copier_needs_no_trust() -> None:
    assert len(ASKED) <= 7
    assert not SETTINGS.keys() & {"_tasks", "_migrations", "_jinja_extensions"}


def answers(folder: Path) -> dict[str, object]:
    recorded = (folder / "myproject" / ".copier-answers.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(recorded))


def help_of(question: str) -> str:
    return str(QUESTIONS[question]["help"]).strip()


class Terminal:
    """The plain command, run by somebody at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.shown = b""
        self.seen = 0  # how much of the text was waited for
        self.screen, stdin = pty.openpty()
        termios.tcsetwinsize(self.screen, (50, COLUMNS))
        self.command = subprocess.Popen(
            COMMAND,
            cwd=folder,
            stdin=stdin,
            stdout=stdin,
            stderr=stdin,
            env=os.environ | {"TERM": "xterm"},
            start_new_session=True,
        )
        os.close(stdin)

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.shown.decode(errors="replace"))

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := self.text.find(words, self.seen)) < 0:
            assert self.read(deadline), f"{words!r} never came:\n{self.text}"
        self.seen = found + len(words)

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def wait_for_end(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self.read(deadline):
            pass
        return self.command.wait()

    def read(self, deadline: float) -> bool:
        """Read what there is; false when the command has ended, or the patience."""
        if not select.select([self.screen], [], [], max(0, deadline - time.monotonic()))[0]:
            self.command.kill()
            return False
        try:
            shown = os.read(self.screen, 65536)
        except OSError:  # what Linux says of a terminal whose other end is closed
            return False
        self.shown += shown
        for _ in range(shown.count(WHERE)):
            self.type("\x1b[1;1R")
        return bool(shown)
