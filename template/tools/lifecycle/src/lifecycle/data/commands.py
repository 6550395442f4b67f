"""`lifecycle data`: build datasets and validate them."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lifecycle.data.catalogue import Dataset

app = typer.Typer(help="Build datasets and validate them.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Datasets; all when none is named.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder with raw/ and processed/ in it: test, dev, prod.",
        show_default="LIFECYCLE_DATA_DIR, else data",
    ),
]


class Engine(StrEnum):
    """What a suite runs on."""

    embedded = "embedded"
    sql = "sql"
    spark = "spark"


@app.command()
def build(
    names: Names = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Fetch the raw data again, though it is there.")
    ] = False,
    data: Data = None,
) -> None:
    """Extract the raw data where it is not there yet, and build the processed data from it."""
    from lifecycle.console import say, step, table
    from lifecycle.data.build import build as build_dataset
    from lifecycle.data.build import ordered

    made = {}
    for dataset in ordered(_datasets(names, data)):
        with step(f"building {dataset.name}"):
            made[dataset] = build_dataset(dataset, refresh)
    rows = [[d.name, f"{b.rows:,}", str(b.columns), b.digest[:12]] for d, b in made.items()]
    table(["dataset", "rows", "columns", "digest"], rows)
    for dataset in made:
        say(f"written: {dataset.processed}")


@app.command()
def validate(
    names: Names = None,
    engine: Annotated[
        Engine | None, typer.Option(help="What to run on; the project's engine by default.")
    ] = None,
    data: Data = None,
) -> None:
    """Run the suites: exit code 1, and what does not hold in words, if a dataset fails."""
    from lifecycle.console import say, step
    from lifecycle.data.validate import validate as validate_dataset

    failed = False
    for dataset in _datasets(names, data):
        with step(f"validating {dataset.name}"):
            report = validate_dataset(dataset, engine)
        if dataset.stale:
            say(
                f"{dataset.name}: pipeline.py is newer than what it built; build it again", "yellow"
            )
        say(str(report), style="green" if report.ok else "red")
        failed = failed or not report.ok
    raise typer.Exit(1 if failed else 0)


def _datasets(names: list[str] | None, data: Path | None) -> "list[Dataset]":
    from lifecycle.data.catalogue import datasets
    from lifecycle.project import Project

    return datasets(Project.find(data=data), names)
