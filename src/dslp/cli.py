"""The command line: one group of commands per stage; each stage parses and prints its own.

Heavy libraries are imported inside the commands that need them, so that `--help` and the checks
before a commit answer at once.
"""

import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from dslp.core.console import as_typed
from dslp.core.errors import DslpError

GROUPS = {"data": "data", "experiment": "experiments", "model": "models", "new": "scaffold"}
GROUPS |= {"logbook": "logbook"}
# The extra that a group or a command needs, and a module that only this extra brings.
EXTRAS = {"data": "data", "experiment": "experiments", "model": "models", "logbook": "logbook"}
EXTRAS |= {"new dataset": "data", "new model": "experiments", "model serve": "serving"}
EXTRAS |= {"new report": "logbook"}
MODULES = {
    "data": "duckdb",
    "logbook": "zensical",
    "serving": "prometheus_client",
}  # the other extras bring MLflow

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

    problems = file_problems(files, Path.cwd())
    for problem in problems:
        typer.echo(problem)
    raise typer.Exit(1 if problems else 0)


def _require_extra(context: typer.Context) -> None:
    """Refuse a command whose extra is not installed, before it reads anything."""
    group, command = context.info_name or "", f"{context.info_name} {context.invoked_subcommand}"
    extra = EXTRAS.get(command) or EXTRAS.get(group)
    if extra and not find_spec(MODULES.get(extra, "mlflow")) and "--help" not in sys.argv:
        add = f"uv add --dev 'dslp[{extra}]'"
        todo = f"uv run --group serving dslp {command}" if extra == "serving" else add
        raise DslpError(f"dslp {command} needs dslp[{extra}]: {todo}")


for _name, _package in GROUPS.items():
    _group = import_module(f"dslp.{_package}.commands").app
    app.add_typer(_group, name=_name, callback=_require_extra)
for _module in ("doctor", "github.commands", "logbook.search", "setup", "upgrade"):
    import_module(f"dslp.{_module}").attach(app)


def main() -> None:
    """Run the command; a mistake of the user's ends in one line, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):  # only what the terminal cannot show is spelt out
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (DslpError, ModuleNotFoundError) as error:
        if "--traceback" in sys.argv:
            traceback.print_exc()
        message, code = str(error), 2
        if isinstance(error, DslpError):
            code = error.exit_code
        else:
            todo = "uv add --dev 'dslp[experiments]'" if error.name == "mlflow" else "uv sync"
            message += f"; install it: {todo}"
        typer.secho(f"error: {as_typed(message)}", fg="red", err=True)
        sys.exit(code)
