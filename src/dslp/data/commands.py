"""`dslp data`: build datasets and validate them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dslp.core.console import say, step, table, try_each
from dslp.core.errors import DslpError
from dslp.core.settings import Project

if TYPE_CHECKING:
    from dslp.data.dataset import Dataset

app = typer.Typer(help="Build datasets and validate them.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Datasets; all when none is named.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder with raw/ and processed/ in it: test, dev, prod.",
        show_default="DSLP_DATA_DIR, else data",
    ),
]

STORE = "DSLP_DATA_STORE"


@app.command()
def build(
    names: Names = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Fetch the raw data again, though it is there.")
    ] = False,
    data: Data = None,
) -> None:
    """Extract the raw data where it is not there yet, and build the processed data from it."""
    from dslp.data.build import build as build_dataset
    from dslp.data.build import build_order

    made = {}
    for dataset in build_order(_datasets(names, data)):
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
        str | None,
        typer.Option(
            help="What to run on: embedded, sql or spark.",
            show_default="DSLP_ENGINE, else the project's",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            help="Run on so many rows, the same each time, and leave out what they cannot say.",
            min=1,
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Run the suites: exit code 1, and what does not hold in words, if a dataset fails."""
    from dslp.data.suite import validate as validate_dataset

    failed = False
    for dataset in _datasets(names, data):
        with step(f"validating {dataset.name}"):
            report = validate_dataset(dataset, engine, sample)
        if dataset.is_built and dataset.stale:
            say(
                f"{dataset.name}: older than its pipeline.py, or what that takes; build it again",
                "yellow",
            )
        say(str(report), style="green" if report.ok else "red")
        failed = failed or not report.ok
    raise typer.Exit(1 if failed else 0)


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    write: Annotated[
        bool, typer.Option("--write", help="Bring schema.yml in line with the data.")
    ] = False,
    data: Data = None,
) -> None:
    """Compare schema.yml with the processed data: exit code 1, and what differs, if anything."""
    from dslp.data import schema, schema_file
    from dslp.data.dataset import Dataset, dataset_names

    project = Project.find(data=data)
    dataset = Dataset(project, name)
    if name not in dataset_names(project):
        (dataset,) = _datasets([name], data)  # says which there are
    path = dataset.folder / "schema.yml"
    if write:
        say(f"{'written' if schema_file.write_schema(dataset) else 'unchanged'}: {path}")
    elif not path.is_file():
        raise DslpError(f"{path} is missing; write it: uv run dslp data schema {name} --write")
    found = schema.differences(dataset)
    for line in found:
        say(line, "red")
    if waiting := schema.unwritten_parts(dataset):
        say(f"descriptions to be written: {', '.join(map(schema.show_column, waiting))}", "yellow")
    if not found and not write:
        say(f"{name} is as schema.yml states")
    raise typer.Exit(1 if found else 0)


@app.command()
def version(
    names: Names = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only datasets that changed since a branch or commit was left."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the version and its history into datasheet.md.")
    ] = False,
    issue: Annotated[
        int | None, typer.Option(help="The version's issue.", min=1, show_default="the branch's")
    ] = None,
    change: Annotated[
        str | None, typer.Option(help="What changed, in words.", show_default="the reasons")
    ] = None,
    data: Data = None,
) -> None:
    """Propose the next version by what changed.

    Exit code 1 if a datasheet's is smaller, or its history has no line for it.
    """
    from dslp.data import dataset, versioning

    def judge(name: str) -> None:
        (dataset,) = _datasets([name], data)
        found = versioning.compare_versions(dataset)
        if len(chosen) > 1 or not names:
            say(name, "bold")
        if found.proposal.reasons:
            table(["what changed", "level"], [[c.text, c.level] for c in found.proposal.reasons])
        say(f"last version: {found.last or 'none, this is the first'} ({found.origin})")
        say(f"proposed: {found.proposal.version} ({found.proposal.level})")
        say(f"stated in datasheet.md: {found.stated}")
        if write:
            made = versioning.write_version(dataset, found, issue, change)
            say(f"written: {made}" if made else "nothing to write: it stands there already")
        else:
            versioning.check_version(dataset, found)

    project = Project.find(data=data)
    chosen = names or dataset.dataset_names(project)
    if since is not None:
        differ = versioning.changed_datasets(project, since)
        chosen = [name for name in chosen if name in differ]
        if not chosen:
            say(f"no dataset has changed since {since}")
    try_each(chosen, judge)


@app.command()
def profile(names: Names = None, data: Data = None) -> None:
    """Write each dataset's page, docs/data/NAME.md, and the table of columns in its datasheet."""
    from dslp.data.profile import profile as profile_dataset
    from dslp.data.profile_page import write_profile

    for dataset in _datasets(names, data):
        with step(f"profiling {dataset.name}"):
            written = write_profile(dataset, profile_dataset(dataset))
        for path in written:
            say(f"written: {path}")


@app.command()
def register(
    names: Names = None,
    record: Annotated[
        Path | None, typer.Option(help="Folder that gets a file NAME-VERSION.json as well.")
    ] = None,
    build: Annotated[
        bool,
        typer.Option(
            "--build", help="Build first, and leave out what the datasheet says is not built in CI."
        ),
    ] = False,
    data: Data = None,
) -> None:
    """Record the version that the datasheet states, with its content, where runs are recorded."""
    from dslp.core.actions import add_summary_line
    from dslp.data.build import build_order, ensure_built
    from dslp.data.ci import unbuildable_reason
    from dslp.data.registration import register as register_dataset

    def act(dataset: "Dataset") -> None:
        said = unbuildable_reason(dataset, "register") if build else ""
        try:
            if build and not said:
                with step(f"building {dataset.name}"):
                    ensure_built(dataset)
            if not said:
                with step(f"registering {dataset.name}"):
                    said = register_dataset(dataset, record)
        except DslpError as error:
            add_summary_line(str(error))
            raise
        say(said)
        add_summary_line(said)

    try_each(build_order(_datasets(names, data)), act)


@app.command()
def push(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    to: Annotated[
        str | None,
        typer.Option(help="Folder or address, such as s3://bucket/data.", show_default=STORE),
    ] = None,
    data: Data = None,
) -> None:
    """Send the version that is built here to the store that a team shares."""
    from dslp.data.store import push as push_dataset

    (dataset,) = _datasets([name], data)
    say(push_dataset(dataset, to))


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    version: Annotated[
        str | None, typer.Option(help="Such as 1.2.0.", show_default="the datasheet's")
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from", help="Folder or address, such as s3://bucket/data.", show_default=STORE
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Fetch a version from the store that a team shares, and see that it is the very one."""
    from dslp.data.store import pull as pull_dataset

    (dataset,) = _datasets([name], data)
    say(f"fetched: {pull_dataset(dataset, version, origin)}")


def _datasets(names: list[str] | None, data: Path | None) -> "list[Dataset]":
    from dslp.data.dataset import find_datasets

    return find_datasets(Project.find(data=data), names)
