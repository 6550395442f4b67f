"""`dslp logbook`: build the pages, serve them, search, answer for one issue, and export (C1)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dslp.core.console import notice, say, step, table
from dslp.core.errors import DslpError
from dslp.core.report import Finding, save_page
from dslp.core.settings import Project
from dslp.core.text import visible

if TYPE_CHECKING:
    from dslp.logbook.events import Logbook

app = typer.Typer(
    help="Every question from idea to value: pages, search, measures, and open files.",
    no_args_is_help=True,
)

From = Annotated[
    Path | None,
    typer.Option("--from", help="A folder that was exported, instead of GitHub, git and MLflow."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Read all again, not only what changed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@app.command()
def build(source: From = None, fresh: Fresh = False) -> None:
    """Write the pages, and build the site; exit code 1 if a figure in a report has no record."""
    from dslp.logbook.site import build_site

    config, findings = _write_pages(source, fresh)
    with step("building the site"):
        page = build_site(config)
    say(f"open {page}")
    if findings:
        raise typer.Exit(1)


@app.command()
def serve(
    source: From = None,
    fresh: Fresh = False,
    port: Annotated[int, typer.Option(help="On this machine.", min=1, max=65_535)] = 8000,
) -> None:
    """Write the pages, and serve the site on this machine until Ctrl+C."""
    from dslp.logbook.site import serve_site

    serve_site(_write_pages(source, fresh)[0], port)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Is made, or its files are replaced.")],
    source: From = None,
    fresh: Fresh = False,
) -> None:
    """Write everything as open files: logbook.json, and tables in Parquet."""
    from dslp.logbook.export import export

    for path in export(_read(Project.find(), source, fresh), folder):
        say(str(path))


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Words, or the number of an issue (#16).")],
    source: From = None,
    as_json: AsJson = False,
) -> None:
    """List the explorations, experiments and models with these words, failed ones too (E5)."""
    from dslp.logbook.search import show_attempts

    show_attempts(_read(Project.find(), source), text, as_json)


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="Of an Ask, or of its work.", min=1)],
    source: From = None,
    as_json: AsJson = False,
) -> None:
    """Say what was tried for an Ask, and how it ended."""
    from dslp.logbook.export import to_json
    from dslp.logbook.story import build_stories, stories_of

    stories = stories_of(build_stories(_read(Project.find(), source)), number)
    if not stories:
        raise DslpError(f"no Ask has #{number} on its way; see: uv run dslp logbook search TEXT")
    if as_json:
        typer.echo(to_json(stories))
        return
    for story in stories:
        say(f"#{story.ask.issue.number} {visible(story.ask.issue.title)}: {story.sentence}")
        rows = [
            [f"{one.start:%Y-%m-%d}", one.stage, one.state, visible(one.title)]
            for one in story.steps[1:]
        ]
        table(["begun", "stage", "state", "title"], rows, texts=4)
        for one in story.steps:
            for result in one.results:
                words = result.sentence or f"{result.metric} {result.value:.4g}"
                words += ", the baseline" * result.is_baseline
                say(f"{visible(one.title)}: {visible(result.candidate)}: {words}")


def _read(project: Project, source: Path | None, fresh: bool = False) -> "Logbook":
    from dslp.logbook.export import read_export
    from dslp.logbook.sources import read_logbook

    with step("reading GitHub, git and MLflow" if source is None else f"reading {source}"):
        logbook = read_logbook(project, fresh) if source is None else read_export(source)
    for note in logbook.notes:
        notice(visible(note, 1_000))
    return logbook


def _write_pages(source: Path | None, fresh: bool) -> tuple[Path, list[Finding]]:
    """Write the pages into the site's sources; return its file, and what is wrong in reports."""
    from dslp.logbook.measures import measure, measures_page
    from dslp.logbook.pages import write_pages
    from dslp.logbook.reports import render_reports
    from dslp.logbook.site import find_site, pages_folder
    from dslp.logbook.story import build_stories

    project = Project.find()
    logbook = _read(project, source, fresh)
    folder = pages_folder(config := find_site(project))
    with step("writing the pages"):
        stories = build_stories(logbook)
        findings = render_reports(project, logbook, stories, folder)
        save_page(folder / "measures.md", *measures_page(measure(logbook, stories)))
        write_pages(project, logbook, stories, folder)
    for finding in findings:
        line = f"{finding.subject}: {finding.problem} ({finding.rule})"
        say(visible(line, 1_000), style="red" if finding.severe else "yellow")
    say(f"{len(stories)} Asks, {len(logbook.works)} issues, {len(logbook.runs)} runs: {folder}")
    return config, [finding for finding in findings if finding.severe]
