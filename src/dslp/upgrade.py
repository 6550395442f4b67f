"""`dslp upgrade`: files of a project are moved from an older format to the one of this library.

A move keeps what a file means. It edits the text in place, and knows nothing of the models that
read the files today, so that it stays right when they change again. A file that means the same in
both formats is left alone, also without a number of its format.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from dslp.core.console import say, try_each
from dslp.core.errors import DslpError, Refused
from dslp.core.files import parse_yaml, read_text, read_yaml, write_text
from dslp.core.formats import FORMATS, FRONT_MATTER, read_format
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.yaml_edits import insert_entry

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and stop.")]


Content = dict[str, Any]
Field = tuple[str, str, str, str]  # the mapping that it is written into, name, value, what to know


def attach(app: typer.Typer) -> None:
    """Give the command line its command."""
    app.command()(upgrade)


def upgrade(dry_run: DryRun = False) -> None:
    """Move datasheets, params.yml, gates.yml and others on from older formats.

    Exit codes: 0 done or nothing to do, 1 a file could not be moved, 2 cannot run.
    """
    project, moved = Project.find(dotenv=False), list[Path]()

    def move_file(path: Path) -> None:
        try:
            text, notes = _move(path)
            if notes and not dry_run:
                if git_output(project, "status", "--porcelain", "--ignored", "--", str(path)) != "":
                    raise DslpError(f"{path} has changes that no commit has; commit it first")
                write_text(path, text)
        except DslpError as error:
            raise Refused(str(error)) from None
        if notes:
            name = path.relative_to(project.root).as_posix()
            say("\n  ".join([f"{'would move' if dry_run else 'moved'} {name}", *notes]))
            moved.append(path)

    try_each(_files(project), move_file)
    if not moved:
        say("nothing to do: every file means the same in the newest format")


def _move(path: Path) -> tuple[str, list[str]]:
    """The text of the file after the moves, and what they do; nothing where nothing changes.

    Raises:
        DslpError: it cannot be read, has a newer format, or cannot be edited.
    """
    text, notes, newest = read_text(path), list[str](), FORMATS[path.name]
    front = FRONT_MATTER.match(text) if path.suffix == ".md" else None
    begin, end = front.span(1) if front else (0, len(text))
    part = text[begin:end]
    content: Any = parse_yaml(part, path)
    if not isinstance(content, dict):
        return text, []
    for old in range(read_format(content, path.name, path), newest):
        for mapping, name, value, note in MOVES[path.name, old](content, path):
            part = _with_field(part, mapping, f"{name}: {value}")
            content |= {mapping: content[mapping] | {name: value}} if mapping else {name: value}
            notes.append(f"{mapping or path.name} has {name}: {value} now, {note}")
    if notes:
        part, content = _with_format(part, newest), content | {"format": newest}
        actual: Any = parse_yaml(part, path)
        if sorted(map(repr, actual.items())) != sorted(map(repr, content.items())):
            todo = f"write by hand: format: {newest}; {'; '.join(notes)}"
            raise DslpError(f"{path} is written in a way that cannot be edited; {todo}")
    return text[:begin] + part + text[end:], notes


def _files(project: Project) -> list[Path]:
    """The files of datasets and models that have a format."""
    names = FORMATS if project.package else ()
    return [path for name in names for path in sorted(project.source.glob(f"*/*/{name}"))]


def _with_field(text: str, mapping: str, entry: str) -> str:
    """The text with an entry at the end of a mapping."""
    newline = "\r\n" if "\r\n" in text else "\n"
    text += "" if text.endswith("\n") else newline
    root: Any = yaml.compose(text)
    (whole,) = [value for key, value in root.value if key.value == mapping] or [root]
    place, _, line = insert_entry(text, whole, whole.value[-1][1], entry, newline)
    return text[:place] + line + text[place:]


def _with_format(text: str, number: int) -> str:
    """The text with the number of its format, above its first field where it had none."""
    line, newline = f"format: {number}", "\r\n" if "\r\n" in text else "\n"
    text, count = re.subn(r"^format[ \t]*:[ \t]*\d+", line, text, count=1, flags=re.MULTILINE)
    return text if count else re.sub(r"^(?=\w)", line + newline, text, count=1, flags=re.MULTILINE)


def _name_by(
    mapping: str, amount: str, other: str, content: Content, path: Path
) -> Iterator[Field]:
    """Format 2: `by` says of a metric that is to rise whether the amount is a share.

    Without it, that was a share for each metric at first, and later a difference for this one. An
    amount of 0 is both.
    """
    part = content.get(mapping)
    if not isinstance(part, dict) or "by" in part or not part.get(amount):
        return
    params = content if "metric" in content else read_yaml(path.with_name("params.yml"))
    metric = params.get("metric")
    if isinstance(metric, dict) and metric.get("better") == "higher":
        note = f"as {amount}: {part[amount]} is read without it; write share if"
        yield mapping, "by", "difference", f"{note} a share of the {other}'s figure is meant"


# By the name of the file and its format, what the move to the next format writes.
MOVES: dict[tuple[str, int], Callable[[Content, Path], Iterator[Field]]] = {
    ("params.yml", 1): partial(_name_by, "criterion", "improvement", "baseline"),
    ("gates.yml", 1): partial(_name_by, "champion", "margin", "champion"),
}
