"""What a person sees: tables within 80 columns, and progress while something takes long.

Results go to standard output and progress to standard error, so a command can be piped.
Colours and spinners are off when the output is not a terminal, and with `NO_COLOR`.
"""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dslp.core.errors import DslpError
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80
# Whether the library runs from the small project of a repository that adopted the process.
IS_ADOPTED = Path(sys.prefix).parent.parts[-2:] == (".github", "dslp")
OFTEN = 2  # seconds between two lines about progress
T = TypeVar("T")

out = Console(width=WIDTH, highlight=False)
err = Console(width=WIDTH, highlight=False, stderr=True)


@contextmanager
def step(text: str) -> Iterator[Callable[[str], None]]:
    """Show `text` while the block runs, and how long it took once it is done.

    The block receives a function that shows how far the work is; where there is no terminal, it
    prints a line now and then.
    When the block raises, nothing is added: the error message follows.
    """
    started = time.monotonic()
    if err.is_terminal:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task(text, total=None)
            yield lambda state: progress.update(task, description=f"{text}: {state}")
    else:
        err.print(Text(f"{text} ..."))
        shown = started

        def report(state: str) -> None:
            nonlocal shown
            if time.monotonic() - shown > OFTEN:
                shown = time.monotonic()
                err.print(Text(f"{text}: {state}"), style="dim")

        yield report
    err.print(Text(f"{text}: done in {time.monotonic() - started:.1f} s"), style="dim")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> None:
    """Print rows under headers; the first column, or so many, is text, the others are figures."""
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for number, header in enumerate(headers):
        grid.add_column(header, justify="left" if number < texts else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    out.print(grid)


def as_typed(text: str) -> str:
    """Text whose commands are those that the user of this environment types."""
    command = r"\buv (run(?= (?:--group \w+ )?(?:dslp|mlflow)\b)|add|sync)\b"
    return re.sub(command, r"uv \1 --project .github/dslp", text) if IS_ADOPTED else text


def say(text: str, style: str = "") -> None:
    """Print a result; no part of `text` is read as markup."""
    out.print(Text(as_typed(text)), style=style or None, soft_wrap=True)


def notice(text: str) -> None:
    """Print a remark to standard error, apart from the results."""
    err.print(Text(as_typed(text)), style="yellow", soft_wrap=True)


def try_each(items: Iterable[T], act: Callable[[T], object]) -> None:
    """Do something with each item, and go on with the others where it fails for one.

    Raises:
        DslpError: the last of the errors with the highest exit code; the others were printed.
    """
    errors: list[DslpError] = []
    for item in items:
        try:
            act(item)
        except DslpError as error:
            errors.append(error)
    errors.sort(key=lambda each: each.exit_code)
    for other in errors[:-1]:
        say(str(other), "red")
    if errors:
        raise errors[-1]
