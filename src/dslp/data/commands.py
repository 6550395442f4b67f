"""`dslp data`: build datasets, validate them, and share their versions."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dslp.core.console import notice, say, step, table, try_each
from dslp.core.errors import DslpError, Refused
from dslp.core.report import Finding, Report, as_json, unwritten_findings
from dslp.core.settings import CHOICES, Project

if TYPE_CHECKING:
    from dslp.data.dataset import Dataset
    from dslp.data.versioning import Comparison

app = typer.Typer(help="Build datasets, validate them, share their versions.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Datasets; all when none is named.")]
Name = Annotated[str, typer.Argument(help="The dataset.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder with raw/ and processed/ in it: test, dev, prod.",
        show_default="DSLP_DATA_DIR, else data",
    ),
]
Write = Annotated[bool, typer.Option("--write", help="Write it: schema.yml, or datasheet.md.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def build(
    names: Names = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Fetch the raw data again.")] = False,
    data: Data = None,
) -> None:
    """Build the processed data from the raw data, which is extracted where that has changed."""
    from dslp.data.build import build as build_dataset
    from dslp.data.build import build_order

    results = {}
    for dataset in build_order(_datasets(names, data)):
        if not dataset.has_pipeline:
            say(f"{dataset.name}: nothing to build; another program writes {dataset.processed}")
            continue
        with step(f"building {dataset.name}"):
            results[dataset] = build_dataset(dataset, refresh)
    rows = [[d.name, f"{r.rows:,}", str(r.columns), r.digest[:12]] for d, r in results.items()]
    if rows:
        table(["dataset", "rows", "columns", "digest"], rows)
    for dataset in results:
        say(f"written: {dataset.processed}")


@app.command()
def validate(
    names: Names = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help=f"What the suite runs on: {', '.join(CHOICES['engine'])}.",
            show_default="DSLP_ENGINE, else the project's",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the suite again, though nothing has changed.")
    ] = False,
    built: Annotated[
        bool, typer.Option("--built", help="Leave out data that is missing or must be built again.")
    ] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Run the suites: exit code 1 if a dataset fails, and a line for each finding."""
    from dslp.data.dataset import stale_reason
    from dslp.data.proposal import proposed_findings
    from dslp.data.verdict import KEPT, check_suite

    reports = []
    for dataset in _datasets(names, data):
        name, stale = dataset.name, stale_reason(dataset)
        if built and (stale or not dataset.is_built):
            notice(f"{name} is not checked; build it: uv run dslp data build {name}")
            continue
        with step(f"validating {name}"):
            report = check_suite(dataset, engine, fresh)
            unwritten = unwritten_findings(
                dataset.folder / f for f in ("datasheet.md", "schema.yml")
            )
            proposed = proposed_findings(dataset)
            report = replace(report, findings=[*report.findings, *unwritten, *proposed])
        if when := report.details.get(KEPT):
            notice(f"{name}: nothing has changed since {when}; --fresh runs the suite again")
        if stale:
            notice(stale)
        if not json:
            say(str(report), style="green" if report.ok else "red")
        reports.append(report)
    if json:
        typer.echo(as_json(reports))
    raise typer.Exit(0 if all(report.ok for report in reports) else 1)


@app.command()
def schema(name: Name, write: Write = False, data: Data = None) -> None:
    """Compare schema.yml with the processed data: exit code 1, and what differs, if anything."""
    from dslp.data import schema, schema_file
    from dslp.data.dataset import Dataset, dataset_names, find_dataset, stale_reason

    project = Project.find(data=data)
    # It may lack schema.yml, which `find_dataset` refuses.
    exists = name in dataset_names(project)
    dataset = Dataset(project, name) if exists else find_dataset(project, name)
    path = dataset.folder / "schema.yml"
    if write:
        say(f"{'written' if schema_file.write_schema(dataset) else 'unchanged'}: {path}")
    elif not path.is_file():
        raise DslpError(f"{path} is missing; write it: uv run dslp data schema {name} --write")
    lines = schema.differences(dataset)
    if reason := stale_reason(dataset):
        notice(reason)
    for line in lines:
        say(line, "red")
    if unwritten := schema.unwritten_columns(dataset):
        say(f"descriptions to be written: {', '.join(map(schema.show_column, unwritten))}")
    if not lines and not write:
        say(f"{name} is as schema.yml states")
    raise typer.Exit(1 if lines else 0)


@app.command()
def version(
    names: Names = None,
    since: Annotated[
        str | None, typer.Option(help="Only datasets that changed since that branch or commit.")
    ] = None,
    write: Write = False,
    issue: Annotated[
        int | None, typer.Option(help="The version's issue.", min=1, show_default="the branch's")
    ] = None,
    change: Annotated[
        str | None, typer.Option(help="What changed, in words.", show_default="the reasons")
    ] = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """Propose the next version by what changed.

    Exit code 1 if the datasheet's version is smaller, or its history has no line for it.
    """
    from dslp.data import dataset, versioning

    reports: list[Report] = []

    def compare(name: str) -> None:
        each = dataset.find_dataset(project, name)
        result = versioning.compare_versions(each)
        if not json:
            _show_version(name, result)
        findings, stated = [], result.stated
        try:
            if write:
                written = versioning.write_version(each, result, issue, change)
                text = f"written: {written}" if written else "nothing to write: it is there already"
                (notice if json else say)(text)
                stated = written or stated
            else:
                versioning.check_version(each, result)
        except Refused as error:
            if not json:
                raise
            problem, _, todo = str(error).partition("; write it: ")
            findings = [Finding("D8", problem, todo, subject="datasheet.md")]
        reports.append(Report(name, 1, findings, details=asdict(result) | {"stated": stated}))

    project = Project.find(data=data)
    for name in names or ():
        dataset.find_dataset(project, name)
    chosen = names or dataset.dataset_names(project)
    if since is not None:
        changed = versioning.changed_datasets(project, since)
        chosen = [name for name in chosen if name in changed]
        if not chosen:
            notice(f"no dataset has changed since {since}")
    if not json:
        try_each(chosen, compare)
    else:
        for name in chosen:
            compare(name)
        typer.echo(as_json(reports))
        raise typer.Exit(0 if all(report.ok for report in reports) else 1)


@app.command()
def profile(names: Names = None, data: Data = None) -> None:
    """Write each dataset's page, docs/data/NAME.md, and the table of columns in its datasheet."""
    from dslp.data.dataset import stale_reason
    from dslp.data.profile import profile as profile_dataset
    from dslp.data.profile_page import write_profile

    for dataset in _datasets(names, data):
        with step(f"profiling {dataset.name}"):
            paths = write_profile(dataset, profile_dataset(dataset))
        if reason := stale_reason(dataset):
            notice(reason)
        for path in paths:
            say(f"written: {path}")


@app.command()
def register(
    names: Names = None,
    record: Annotated[
        Path | None, typer.Option(help="Folder that gets a file NAME-VERSION.json as well.")
    ] = None,
    build: Annotated[
        bool, typer.Option("--build", help="Build first; leave out what CI does not build (ci).")
    ] = False,
    data: Data = None,
) -> None:
    """Register the version in the datasheet, with its content, on the tracking server."""
    from dslp.core.actions import add_summary_line
    from dslp.data.build import build_order, ensure_built, unbuildable_reason
    from dslp.data.registration import register as register_dataset

    def act(dataset: "Dataset") -> None:
        result = unbuildable_reason(dataset, "register") if build else ""
        try:
            if build and not result:
                with step(f"building {dataset.name}"):
                    ensure_built(dataset)
            if not result:
                with step(f"registering {dataset.name}"):
                    result = register_dataset(dataset, record)
        except DslpError as error:
            add_summary_line(str(error))
            raise
        say(result)
        add_summary_line(result)

    try_each(build_order(_datasets(names, data)), act)


@app.command()
def push(name: Name, data: Data = None) -> None:
    """Share the built version with the team: in its run on the server, or at DSLP_DATA_STORE."""
    from dslp.data.sharing import push as push_dataset

    say(push_dataset(_datasets([name], data)[0]))


@app.command()
def pull(
    name: Name,
    version: Annotated[
        str | None, typer.Option(help="Such as 1.2.0.", show_default="the datasheet's")
    ] = None,
    data: Data = None,
) -> None:
    """Fetch a version that a colleague has shared, and verify it byte for byte."""
    from dslp.data.sharing import pull as pull_dataset

    say(f"fetched: {pull_dataset(_datasets([name], data)[0], version)}")


def _show_version(name: str, result: "Comparison") -> None:
    say(name, "bold")
    if result.reasons:
        table(["what changed", "level"], [[each.text, each.level] for each in result.reasons])
    say(f"last version: {result.last or 'none, this is the first'} ({result.origin})")
    say(f"proposed: {result.proposed} ({result.level})")
    say(f"stated in datasheet.md: {result.stated}")


def _datasets(names: list[str] | None, data: Path | None) -> "list[Dataset]":
    from dslp.data.dataset import find_datasets

    return find_datasets(Project.find(data=data), names)
