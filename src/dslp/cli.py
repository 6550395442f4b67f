"""The command line: one group of commands per stage; each stage parses and prints its own.

Heavy libraries are imported inside the commands that need them, so that `--help` and the checks
before a commit answer at once.
"""

import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from dslp.errors import DslpError

STAGES = {"data": "data", "experiments": "experiment", "models": "model", "scaffold": "new"}

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


for _stage, _name in STAGES.items():  # a component that was left out has no commands
    if (Path(__file__).parent / _stage / "commands.py").is_file():
        app.add_typer(import_module(f"dslp.{_stage}.commands").app, name=_name)


for _module in ("doctor", "github.commands", "setup"):
    if Path(__file__).parent.joinpath(*_module.split(".")).with_suffix(".py").is_file():
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
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        typer.secho(f"error: {error}; install what this project locks: uv sync", err=True)
        sys.exit(2)
