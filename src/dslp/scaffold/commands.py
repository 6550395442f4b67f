"""`dslp new`: begin an issue, a dataset, a model, an exploration or a report."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from dslp.core.console import say
from dslp.core.settings import Project
from dslp.github.new_issue import new_issue

app = typer.Typer(
    help="Begin an issue; or a dataset, model, exploration or report, which work as they are.",
    no_args_is_help=True,
)

app.command("issue")(new_issue)

NEXT, WRITTEN = "next: uv run dslp ", "written: "
Notebook = StrEnum("Notebook", "jupyter marimo")
Kind = StrEnum("Kind", "regression classification counts forecast text function")


@app.command()
def dataset(
    name: Annotated[str, typer.Argument(help="Lower-case words; by default the source's.")] = "",
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A .csv or .parquet, or a folder of .parquet."),
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Read it where it is.")] = False,
    personal: Annotated[bool | None, typer.Option(help="By default, if it looks so.")] = None,
) -> None:
    """Write a dataset for data that exists (--from, or data/raw/NAME), or else of made-up rows."""
    from dslp.scaffold.dataset import new_dataset

    project = Project.find()
    paths, notes = new_dataset(project, name, source, in_place, personal)
    _say_each(WRITTEN, *paths)
    _say_each("", *notes)
    is_built = (project.root / paths[0] / "pipeline.py").is_file()
    verbs = ("build", "validate") if is_built else ("validate",)
    _say_each(NEXT, *(f"data {verb} {Path(paths[0]).name}" for verb in verbs))


@app.command()
def model(
    name: Annotated[str, typer.Argument(help="Lower-case words joined by _.")],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What it is made from; may be left out if there is only one.")
    ] = None,
    ask: Annotated[int, typer.Option(help="Number of the Ask that it serves.", min=1)] = 1,
    time: Annotated[
        str | None, typer.Option(help="The column of the time, which makes it a forecast.")
    ] = None,
    kind: Annotated[
        list[Kind] | None,
        typer.Option(
            help="By default what the target's values propose; text and function say how."
        ),
    ] = None,
) -> None:
    """Write a model that predicts a column from the others: a baseline, and a better one."""
    from dslp.scaffold.model import new_model

    paths, notes = new_model(Project.find(), name, dataset, target, ask, time, kind or ())
    _say_each(WRITTEN, *paths)
    _say_each("", *notes)
    _say_each(NEXT, f"experiment run {name}")


@app.command()
def exploration(
    name: Annotated[str, typer.Argument(help="Such as 14-visits-by-plan.")] = "",
    issue: Annotated[int | None, typer.Option(help="Number of the issue.", min=1)] = None,
    title: Annotated[str, typer.Option(help="What it asks; the name's words by default.")] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="A notebook that it continues, outputs aside.")
    ] = None,
    kind: Annotated[
        Notebook, typer.Option(help="A .ipynb, or a .py of marimo.")
    ] = Notebook.jupyter,
) -> None:
    """Write a notebook: from notebooks/template.ipynb, if the project has its own."""
    from dslp.scaffold.exploration import new_exploration

    _say_each(WRITTEN, new_exploration(Project.find(), name, issue, title, source, kind))


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="Name of the report, such as october-contracts.")],
    issue: Annotated[int, typer.Option(help="Number of the Communicate issue.", min=1)],
    ask: Annotated[int | None, typer.Option(help="By default the one of the issue.", min=1)] = None,
) -> None:
    """Write a report for the audience and the decision of its issue, with figures by reference."""
    from dslp.scaffold.report import new_report

    _say_each(WRITTEN, new_report(name, issue, ask))
    _say_each(NEXT, "logbook build")


def _say_each(words: str, *items: str) -> None:
    for item in items:
        say(f"{words}{item}")
