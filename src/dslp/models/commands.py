"""`dslp model`: train, test, register, promote, roll back, serve, score and monitor a model."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from dslp.core.console import say, step, table, try_each
from dslp.core.errors import DslpError, Refused
from dslp.core.semver import parse_version
from dslp.core.settings import Project
from dslp.experiments.commands import AsJson, Name

if TYPE_CHECKING:
    from dslp.core.report import Report
    from dslp.experiments.model import Model
    from dslp.models.gates import GateResult
    from dslp.tracking.registry import Registry, Release

app = typer.Typer(help="Train a model, register it, make it the champion.", no_args_is_help=True)


def _check_version(version: str | None) -> str | None:
    if version and not version.isdecimal():
        parse_version(version)
    return version


SUCH = "Such as 1.2.0, or MLflow's number."
Version = Annotated[str | None, typer.Option(callback=_check_version, help=SUCH)]
Why = Annotated[str, typer.Option(help="The reason, kept in the audit trail.")]
Issue = Annotated[int | None, typer.Option(help="Number of the issue that this is for.", min=1)]


@app.command()
def train(
    name: Name = None,
    candidate: Annotated[str | None, typer.Option(help="By default, the best one.")] = None,
    issue: Issue = None,
    register: Annotated[bool, typer.Option("--register", help="Register it as well.")] = False,
) -> None:
    """Train on the development rows, evaluate on the holdout, and record both."""
    model = _model(name)
    if candidate:
        model.check_candidate(candidate)
    from dslp.experiments.gains import optimism
    from dslp.experiments.runs import WITHOUT_ISSUE
    from dslp.models.training import train as train_model

    with step(f"training {model.name}"):
        trained = train_model(model, candidate, issue)
    rows = [[figure, f"{value:.4g}"] for figure, value in trained.result.metrics.items()]
    table([f"{model.name} ({trained.candidate})", "on the holdout"], rows)
    metric = model.params.metric
    say(str(trained.result))
    say(f"{metric.better} {metric.name} is better")
    if trained.trials:
        say(f"in the experiments it is {optimism(trained.trials)}")
    if trained.warning:
        say(trained.warning, style="red")
    if not (issue or model.branch_issue):
        say(WITHOUT_ISSUE, style="yellow")
    if register:
        _register(model, issue=issue, run=trained.run)
    else:
        say(f"run {trained.run}; next: uv run dslp model register {model.name}")


@app.command("test")
def run_test(name: Name = None, version: Version = None, as_json: AsJson = False) -> None:
    """Measure each gate of gates.yml; exit code 1 if one is not passed.

    Without a version, the model that was trained last is tested.
    """
    from dslp.models.gates import failed_gates, gates_report
    from dslp.models.release import run_gates

    model = _model(name)
    with step(f"testing {model.name}"):
        label, results = run_gates(model, version)
    if as_json:
        _print_json(gates_report(f"{model.name} {label}", results))
    say(f"{model.name}, {label}")
    _show(results)
    if failed_gates(results):
        raise Refused(f"{model.name} does not pass: {failed_gates(results)}")
    say("every gate is passed", style="green")


@app.command()
def register(
    name: Name = None, version: Version = None, why: Why = "", issue: Issue = None
) -> None:
    """Register the last trained model as a new version, and make it the challenger.

    Without a version, the next one is proposed from what changed.
    """
    _register(_model(name), version, why, issue)


@app.command()
def promote(name: Name = None, why: Why = "", issue: Issue = None) -> None:
    """Make the challenger the champion, if it passes its gates; exit code 1 if it does not."""
    from dslp.models.release import GatesFailed
    from dslp.models.release import promote as promote_model

    model = _model(name)
    try:
        with step(f"testing {model.name}"):
            release, results = promote_model(model, why, issue)
    except GatesFailed as error:
        _show(error.results)
        raise
    _show(results)
    say(f"{model.name} {release.label} is the champion", style="green")


@app.command()
def rollback(name: Name = None, to: Version = None, why: Why = "", issue: Issue = None) -> None:
    """Make a former champion the champion again, at once: nothing is loaded or tested.

    Without a version, it is the champion before the present one.
    """
    project, name = _project_and_name(name)
    from dslp.models.release import rollback as roll_back

    release, former = roll_back(name, project, to, why, issue)
    if former != release:
        after = f", after {former.label}" if former else ""
        say(f"{name} {release.label} is the champion again{after}", style="green")
    else:
        say(f"{name} {release.label} is the champion already; nothing to do")
        say(f"to go further back: uv run dslp model rollback {name} --to VERSION")


@app.command()
def history(name: Name = None) -> None:
    """Show the versions, and what was done with them, newest first."""
    project, name = _project_and_name(name)
    from dslp.tracking.registry import Registry

    registry = Registry.read(project, name)
    if not registry.releases and not registry.history.changes:
        raise DslpError(f"{name} was never registered; first: uv run dslp model register {name}")
    rows = []
    for release in registry.releases:
        tags = [release.tags.get(f"dslp.{tag}", "") for tag in ("candidate", "dataset_version")]
        rows.append([release.semantic or "none", release.version, release.role, *tags])
    table(["version", "number", "role", "candidate", "dataset"], rows)
    say("")
    for change in reversed(registry.history.changes):
        why = f": {' '.join(change.why.split())}" if change.why else ""
        issue = f" (#{change.issue})" if change.issue else ""
        undone = change.action != "register" and change not in registry.history.completed
        state = " [interrupted, or undone by another program]" if undone else ""
        label = registry.short_label(change.version)
        say(f"{change.time}  {change.action:<8}  {label:<6}  {change.who}{why}{issue}{state}")


@app.command()
def serve(
    name: Name = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 is for all machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 8000,
    share: Annotated[float, typer.Option(min=0, max=1, help="What the challenger answers.")] = 0.0,
    log: Annotated[Path | None, typer.Option(help="Folder of the predictions.")] = None,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between two checks.")] = 5,
) -> None:
    """Answer requests with the champion, and a share of them with the challenger.

    Predictions are logged in data/interim/predictions/MODEL. Every few
    seconds the server reads the registry, and follows a promotion or a
    rollback.
    """
    # More threads for one small prediction cost more than they bring, and starve the server.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from dslp.models.api import Api
    from dslp.models.serving import serve

    model = _model(name)
    folder = log or model.project.data / "interim" / "predictions" / model.name
    serve(Api(model), host, port, share, folder, poll)


@app.command()
def score(
    source: Annotated[str, typer.Option("--input", help="A dataset, or a file.")],
    output: Annotated[Path, typer.Option(help="Parquet file; on Spark a folder of parts.")],
    name: Name = None,
    version: Version = None,
    rejects: Annotated[Path | None, typer.Option(help="File for rows that do not fit.")] = None,
    engine: Annotated[Literal["embedded", "spark"], typer.Option()] = "embedded",
) -> None:
    """Predict for all rows of a dataset or file, by the same schema as requests.

    Without a version, the champion predicts, or else the challenger. Rows
    that `Request` does not allow, or that the model cannot answer, go to
    the Parquet file of --rejects.
    """
    # Threads that wait sleep: where cores are shared, spinning costs as much as all the rest.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from dslp.models.api import Api
    from dslp.models.batch import Scorer, check_paths, score_rows
    from dslp.models.persistence import fetch_model

    model = _model(name)
    check_paths(model.project, source, output, rejects)
    with step(f"scoring {source} with {model.name}"):
        _, release = _release(model, version)
        folder = fetch_model(model.project, release)
        scorer = Scorer(Api(model), folder, release.semantic or release.version)
        rows, rejected = score_rows(scorer, source, output, rejects, spark=engine == "spark")
    say(f"{rows:,} rows scored by {model.name} {release.label}: {output}")
    if rejected:
        say(f"{rejected:,} rows cannot be scored: {rejects}", style="yellow")


@app.command("profile")
def measure(name: Name = None, version: Version = None, as_json: AsJson = False) -> None:
    """Measure what a version costs to use, and record it with the version.

    Without a version, the champion is measured, or else the challenger.
    """
    from dslp.models.performance import FIGURES, measure, performance_tags
    from dslp.models.persistence import fetch_model

    model = _model(name)
    with step(f"measuring {model.name}"):
        registry, release = _release(model, version)
        figures = measure(model, fetch_model(model.project, release))
        registry.set_tags(release.version, performance_tags(figures))
    if as_json:
        typer.echo(json.dumps(figures))
        return
    rows = [[FIGURES[figure], f"{value:,.4g}"] for figure, value in figures.items()]
    table([f"{model.name} {release.label}", ""], rows)
    say("recorded with the version")


@app.command()
def monitor(
    name: Name = None,
    predictions: Annotated[str | None, typer.Option(help="Folder of the server's log.")] = None,
    data: Annotated[str | None, typer.Option(help="New rows: a dataset, or a file.")] = None,
    truth: Annotated[str | None, typer.Option(help="File of observed outcomes.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page: a Markdown file.")] = None,
    proposal: Annotated[Path | None, typer.Option(help="Write a JSON file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare new data and predictions with the training data; exit code 1 if something moved.

    Without options, the log in data/interim/predictions is read. Observed
    outcomes are found by request_id or by the dataset's key, by default in
    data/interim/truth/MODEL.*. The proposal is what `dslp propose` reads.
    """
    from dslp.models import monitoring_page as pages
    from dslp.models.monitoring import monitor_model
    from dslp.models.recent_data import check_sources, predictions_address

    model = _model(name)
    check_sources(model, predictions, data, truth)
    with step(f"monitoring {model.name}"):
        sources = list(filter(None, (data, predictions))) or [predictions_address(model)]
        result = monitor_model(model, sources, truth)
    pages.write_result(result, report, proposal)
    if as_json:
        _print_json(pages.monitoring_report(result))
    rows = [[s.subject, s.measure, s.figure, s.threshold, s.status] for s in result.signals]
    table(["", "measured", "figure", "threshold", ""], rows)
    for signal in result.signals:
        if signal.moved is not False and signal.note:
            say(f"{signal.subject}: {signal.note}")
    for sentence in result.sides:
        say(sentence)
    if result.moved:
        raise Refused(pages.summary_sentence(result))
    say(pages.summary_sentence(result), style="green")


@app.command()
def card(name: Name = None, version: Version = None) -> None:
    """Write docs/models/NAME.md, which says what is recorded of a model.

    Without a version it is about the champion, or else the newest.
    """
    project, name = _project_and_name(name)
    from dslp.models.model_card import write_card

    path, unwritten = write_card(project, name, version)
    say(f"written: {path}")
    if unwritten:
        todo = "write them in params.yml, datasheet.md and schema.yml, and train again"
        say(f"texts on it that nobody has written yet: {'; '.join(unwritten)}; {todo}", "yellow")


@app.command(hidden=True)
def watch(folder: Annotated[Path, typer.Argument(help="Where reports go.")]) -> None:
    """Monitor every model that has a champion, as the monitor workflow does."""
    from dslp.models.monitoring_page import monitor_all

    if not monitor_all(Project.find(), folder):
        raise typer.Exit(2)


@app.command(hidden=True)
def release(
    folder: Annotated[Path, typer.Argument(help="Where the records, and the wheel, go.")],
    since: Annotated[str, typer.Option(help="The commit before what was pushed.")],
    issue: Annotated[int, typer.Option(help="The Model issue that was merged; 0 is none.")] = 0,
) -> None:
    """Train, test and register the models that a push changed, as the release workflow does (M8).

    The code that models share changes each of them, where it comes with a
    Model issue.
    """
    from dslp.models.release_workflow import build_wheel, changed_models, release_model

    project = Project.find()
    names = changed_models(project, since, shared=issue > 0)
    if not names:
        say(f"no model has changed since {since}")
        return
    try_each(names, lambda name: say(release_model(_model(name), folder, issue or None)))
    build_wheel(project, folder / "dist")


@app.command(hidden=True)
def deploy(
    folder: Annotated[Path, typer.Argument(help="Where the record goes.")],
    issue: Annotated[int, typer.Option(help="The Model issue that was labelled.", min=1)],
) -> None:
    """Promote the challenger that an issue asks for, as the release workflow does (L5)."""
    from dslp.models.release_workflow import deploy_model

    say(deploy_model(Project.find(), folder, issue))


@app.command(hidden=True)
def current(name: str, roles: list[str]) -> None:
    """Print the versions in use as JSON, their files brought to this machine, or why not."""
    from dslp.models.persistence import fetch_in_use

    typer.echo(json.dumps(fetch_in_use(Project.find(), name, roles)))


def _project_and_name(name: str | None) -> tuple[Project, str]:
    """The project, and the model's name; its files need not be in order."""
    from dslp.experiments.model import find_model, model_names

    project = Project.find()
    names = model_names(project)
    if name in names or (name is None and len(names) == 1):
        return project, name or names[0]
    return project, find_model(project, name).name  # which raises the error


def _model(name: str | None) -> "Model":
    from dslp.experiments.model import find_model

    return find_model(Project.find(), name)


def _register(
    model: "Model",
    version: str | None = None,
    why: str = "",
    issue: int | None = None,
    run: str | None = None,
) -> None:
    """Register a training, by default the last one, and print which version it is."""
    from dslp.models.gates import OVERRIDE
    from dslp.models.release import register as register_model

    with step(f"registering {model.name}"):
        release, proposal, new = register_model(model, version, why, issue, run)
    if not new:
        say(f"{model.name} {release.label} is this very training; nothing to do")
        return
    changes = " with changes" if release.tags.get("dslp.clean") == "false" else ""
    say(f"{model.name} {release.label} is registered, as the challenger")
    say(f"run {release.run[:8]}, commit {release.tags.get('dslp.commit', 'none')[:12]}{changes}")
    if reason := release.tags.get(OVERRIDE):
        say(f"the dataset's own suite does not hold; {reason}", style="red")
    if proposal:
        say(f"{proposal.level}: {'; '.join(proposal.reasons)}")
    say(f"next: uv run dslp model promote {model.name}")


def _release(model: "Model", version: str | None) -> "tuple[Registry, Release]":
    """The registry, and the version; by default the champion, or else the challenger."""
    from dslp.tracking.registry import Registry

    registry = Registry.read(model.project, model.name)
    if version:
        return registry, registry.release(version)
    release = registry.in_role("champion") or registry.in_role("challenger")
    if release is None:
        name = model.name
        raise DslpError(f"{name} has no version in use; first: uv run dslp model register {name}")
    return registry, release


def _show(results: "list[GateResult]") -> None:
    rows = [
        [one.gate, one.figure, one.interval, one.limit, "passed" if one.passed else "failed"]
        for one in results
    ]
    table(["gate", "figure", "95 % interval", "limit", ""], rows)
    for result in results:
        if result.note:
            say(f"{result.gate}: {result.note}")


def _print_json(report: "Report") -> NoReturn:
    """Print nothing but the report, and end with its exit code."""
    from dslp.core.report import as_json

    typer.echo(as_json([report]))
    raise typer.Exit(0 if report.ok else 1)
