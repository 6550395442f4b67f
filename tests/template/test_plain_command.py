"""`copier copy gh:dslp/template myproject` works exactly as it stands, here offline."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template_copy import ROOT, Template

COPIER = Path(sys.executable).with_name("copier")
COMMAND = [str(COPIER), "copy", "gh:dslp/template", "myproject"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
COLUMNS = 80  # what a terminal has unless somebody makes it wider
WHERE = b"\x1b[6n"  # a program asks the terminal where the cursor is
PATIENCE = 30.0  # seconds until a question that does not come is given up

ASKED = [
    "project_name",
    "package_name",
    "description",
    "owner",
    "licence",
    "components",
    "customise",
]
CUSTOMISED = ["python_versions", "collaboration_branch", "tracking", "engine", "example"]
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
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{template.path}/.git.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/dslp/template.git")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.mark.rule("G1")
@pytest.mark.usefixtures("machine")
def test_with_defaults_in_seconds_and_without_a_terminal_it_says_what_to_do(tmp_path: Path) -> None:
    start = time.monotonic()
    options = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    copied: Any = subprocess.run([*COMMAND, "--defaults"], **options)  # type: ignore[call-overload]
    assert copied.returncode == 0, copied.stderr
    assert time.monotonic() - start < 20
    assert answers(tmp_path)["project_name"] == answers(tmp_path)["package_name"] == "myproject"
    assert "python3 hooks/post_generate.py" in copied.stderr
    assert (tmp_path / "myproject" / "hooks" / "post_generate.py").is_file()
    shutil.rmtree(tmp_path / "myproject")
    copied = subprocess.run(COMMAND, **options)  # type: ignore[call-overload]
    assert copied.returncode == 1
    assert "Use `--defaults` and/or `--data`/`--data-file`" in copied.stderr
    assert "Traceback" not in copied.stderr


@pytest.mark.usefixtures("machine")
def test_questions_and_what_is_wrong_with_an_answer_are_on_the_screen_whole(tmp_path: Path) -> None:
    """A line that is too long is cut or wrapped, so its words do not come in one piece."""
    terminal = Terminal(tmp_path)
    for question in [*ASKED, *CUSTOMISED]:
        terminal.wait_for(help_of(question))
        for choice in choices_of(question):
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
@pytest.mark.parametrize(
    "keys", [{}, {"components": "a \r", "customise": "y"}], ids=["enter", "few"]
)
def test_answering_with_enter_or_with_few_components(tmp_path: Path, keys: dict[str, str]) -> None:
    """The example is not offered without data: copier checks no yes or no where it is typed."""
    terminal = Terminal(tmp_path)
    for question in [*ASKED, *CUSTOMISED[:-1]] if keys else ASKED:
        terminal.wait_for(help_of(question))
        terminal.type(keys.get(question, "\r"))
    assert terminal.wait_for_end() == 0, terminal.text
    assert "python3 hooks/post_generate.py" in terminal.text
    assert (answers(tmp_path)["components"] == ["process"]) == bool(keys)
    assert answers(tmp_path)["example"] is not bool(keys)
    assert answers(tmp_path)["customise"] is bool(keys)


def test_at_most_seven_questions_are_asked_and_copier_needs_no_trust() -> None:
    by_default = [
        name for name, question in questions().items() if question.get("ask", True) is True
    ]
    assert by_default == ASKED
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    assert not settings.keys() & {"_tasks", "_migrations", "_jinja_extensions"}


def answers(folder: Path) -> dict[str, object]:
    """What the new project in the folder remembers of the answers."""
    recorded = (folder / "myproject" / ".copier-answers.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(recorded))


def questions() -> dict[str, dict[str, object]]:
    """The questions as copier.yml has them."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in settings.items() if not name.startswith("_")}


def help_of(question: str) -> str:
    """What a question asks; none of it depends on an answer."""
    return str(questions()[question]["help"]).strip()


def choices_of(question: str) -> list[str]:
    """What a question offers, as it is shown."""
    choices = questions()[question].get("choices", [])
    assert isinstance(choices, dict | list)
    return list(choices)


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
        """All that was shown, as plain text."""
        return ESCAPES.sub("", self.shown.decode(errors="replace"))

    def wait_for(self, words: str) -> None:
        """Read on until the words are shown."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.text.find(words, self.seen)) < 0:
            assert self.read(deadline), f"{words!r} never came:\n{self.text}"
        self.seen = found + len(words)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.screen, keys.encode())

    def wait_for_end(self) -> int:
        """Read until the command ends, and give its exit code."""
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
