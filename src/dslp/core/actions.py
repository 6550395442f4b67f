"""What a command tells GitHub Actions, by the files that it names; elsewhere nothing is written."""

import os
from pathlib import Path

from dslp.core.text import SENTENCE, escape_markdown


def add_summary(text: str) -> None:
    """Add Markdown to the summary that GitHub shows of a job."""
    _append("GITHUB_STEP_SUMMARY", text)


def add_summary_line(line: str) -> None:
    """Add a line to the summary that GitHub shows of a job; elsewhere, do nothing."""
    add_summary(f"- {escape_markdown(line, SENTENCE)}\n")


def add_output(name: str, value: object) -> None:
    """Give the step that runs an output, a value of one line."""
    _append("GITHUB_OUTPUT", f"{name}={value}\n")


def _append(variable: str, text: str) -> None:
    if file := os.environ.get(variable):
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(text)
