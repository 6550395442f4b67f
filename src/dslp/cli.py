"""The command line: one group of commands per stage; each stage parses and prints its own.

Heavy libraries are imported inside the commands that need them, so that `--help` and the checks
before a commit answer at once.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from dslp.errors import DslpError

GROUPS = {"data": "data", "experiment": "experiments", "model": "models", "new": "scaffold"}
EXTRAS = {"data": "data", "experiment": "experiments", "model": "models", "new": "experiments"}
MARKS = {"data": "duckdb", "experiments": "mlflow", "models": "mlflow"}  # what an extra brings

app = typer.Typer(
    help="The Data Science Life Cycle Process of this repository.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error arose.")
    ] = False,
) -> None:
    """Options of every command; `main` reads them."""


@app.command()
def check_files(files: Annotated[list[str], typer.Argument(help="Files to commit.")]) -> None:
    """Say which files should not be committed: data, large files, sprawl by name."""
    from dslp.hygiene import findings

    found = findings(files, Path.cwd())
    for line in found:
        typer.echo(line)
    raise typer.Exit(1 if found else 0)


for _name, _package in GROUPS.items():
    app.add_typer(import_module(f"dslp.{_package}.commands").app, name=_name)
for _module in ("doctor", "github.commands", "setup"):
    import_module(f"dslp.{_module}").attach(app)


def main() -> None:
    """Run the command; a mistake of the user's ends in one line, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):  # a value that the terminal cannot show is spelt out
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except DslpError as error:
        if "--traceback" in sys.argv:
            raise
        missing = error.__cause__ if isinstance(error.__cause__, ModuleNotFoundError) else None
        typer.secho(f"error: {(missing and _extra(missing)) or error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if "--traceback" in sys.argv:
            raise
        todo = _extra(error) or f"{error}; install what this project locks: uv sync"
        typer.secho(f"error: {todo}", fg="red", err=True)
        sys.exit(2)


def _extra(error: ModuleNotFoundError) -> str | None:
    """Which extra the command needs, if that is why a module is missing."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    extra = EXTRAS.get(command)
    if command == "data" and error.name == "mlflow":
        extra = "experiments"
    if extra is None or find_spec(MARKS[extra]):
        return None
    return f"dslp {command} needs dslp[{extra}] ({error}): uv add --dev 'dslp[{extra}]'"
