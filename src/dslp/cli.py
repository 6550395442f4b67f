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
from dslp.core.errors import DslpError

GROUPS = {"data": "data", "experiment": "experiments", "model": "models", "new": "scaffold"}
EXTRAS = {"data": "data", "experiment": "experiments", "model": "models"}
EXTRAS |= {"new dataset": "data", "new model": "experiments", "model serve": "serving"}
MARKS = {
    "data": "duckdb",
    "serving": "prometheus_client",
}  # what an extra brings; others bring MLflow

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
    from dslp.core.file_rules import file_problems

    found = file_problems(files, Path.cwd())
    for line in found:
        typer.echo(line)
    raise typer.Exit(1 if found else 0)


def _require_extra(context: typer.Context) -> None:
    """Refuse a command whose extra is not installed, before it reads anything."""
    group, command = context.info_name or "", f"{context.info_name} {context.invoked_subcommand}"
    extra = EXTRAS.get(command) or EXTRAS.get(group)
    if extra and not find_spec(MARKS.get(extra, "mlflow")) and "--help" not in sys.argv:
        add = f"uv add --dev 'dslp[{extra}]'"
        todo = f"uv run --group serving dslp {command}" if extra == "serving" else add
        raise DslpError(f"dslp {command} needs dslp[{extra}]: {todo}")


for _name, _package in GROUPS.items():
    _group = import_module(f"dslp.{_package}.commands").app
    app.add_typer(_group, name=_name, callback=_require_extra)
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
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if "--traceback" in sys.argv:
            raise
        extra = "dslp[experiments]: uv add --dev 'dslp[experiments]'"
        needs = extra if error.name == "mlflow" else "what this project locks: uv sync"
        todo = f"{error}; install {needs}"
        typer.secho(f"error: {todo}", fg="red", err=True)
        sys.exit(2)
