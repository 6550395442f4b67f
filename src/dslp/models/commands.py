"""`dslp model`: train, test, register, promote, and the way back."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from dslp.core.console import say, step, table, try_each
from dslp.core.errors import DslpError, Refused
from dslp.core.settings import Project

if TYPE_CHECKING:
    from dslp.experiments.model import Model
    from dslp.models.gates import GateResult
    from dslp.tracking.registry import Registry, Release

app = typer.Typer(help="Train a model, register it, make it the champion.", no_args_is_help=True)

Name = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="May be left out if there is only one.")
]

Why = Annotated[str, typer.Option(help="The reason, kept in the audit trail.")]
Issue = Annotated[int | None, typer.Option(help="Number of the issue it is done for.", min=1)]


@app.command()
def train(
    name: Name = None,
    candidate: Annotated[
        str | None, typer.Option(help="A candidate of params.yml; the best one by default.")
    ] = None,
    issue: Issue = None,
) -> None:
    """Train on everything but the holdout, judge on the holdout, and record both."""
    from dslp.experiments.params import format_metric
    from dslp.models.training import train as train_model

    model = _model(name)
    metric = model.params.metric
    with step(f"training {model.name}"):
        trained = train_model(model, candidate, issue)
    rows = [[figure, f"{value:.4g}"] for figure, value in trained.metrics.items()]
    table([f"{model.name} ({trained.candidate})", "on the holdout"], rows)
    gain = format_metric(trained.improvement, model.params.criterion.by)
    say(f"{gain} against the baseline; {metric.better} {metric.name} is better")
    say(f"run {trained.run}; next: uv run dslp model register {model.name}")


@app.command("test")
def judge(
    name: Name = None,
    version: Annotated[
        str | None, typer.Option(help="A registered version; what was trained last by default.")
    ] = None,
) -> None:
    """Measure each gate of gates.yml; exit code 1 if one is not passed."""
    from dslp.models.gates import failed_gates
    from dslp.models.release import run_gates

    model = _model(name)
    with step(f"judging {model.name}"):
        label, verdicts = run_gates(model, version, None)
    say(f"{model.name}, {label}")
    _show(verdicts)
    if failed_gates(verdicts):
        raise Refused(f"{model.name} does not pass: {failed_gates(verdicts)}")
    say("every gate is passed" if verdicts else "gates.yml asks for nothing", style="green")


@app.command()
def register(
    name: Name = None,
    version: Annotated[
        str | None, typer.Option(help="Such as 1.2.0; proposed from what changed by default.")
    ] = None,
    why: Why = "",
    issue: Issue = None,
) -> None:
    """Register the last trained model as a new version, and make it the challenger."""
    from dslp.models.release import register as register_model

    model = _model(name)
    with step(f"registering {model.name}"):
        release, proposal, new = register_model(model, version, why, issue)
    if not new:
        say(f"{model.name} {release.label} is this very training; nothing to do")
        return
    state = {"true": "clean", "false": "with changes"}.get(release.tags.get("dslp.clean", ""), "")
    made = f"run {release.run[:8]}, commit {release.tags.get('dslp.commit', 'none')[:12]} {state}"
    say(f"{model.name} {release.label} is registered, as the challenger ({made.strip()})")
    if proposal:
        say(f"{proposal.level}: {'; '.join(proposal.reasons)}")
    say(f"next: uv run dslp model promote {model.name}")


@app.command()
def promote(name: Name = None, why: Why = "", issue: Issue = None) -> None:
    """Make the challenger the champion, if it passes its gates; exit code 1 if it does not."""
    from dslp.models.release import GatesFailed
    from dslp.models.release import promote as promote_model

    model = _model(name)
    try:
        with step(f"judging {model.name}"):
            release, verdicts = promote_model(model, why, issue)
    except GatesFailed as refusal:
        _show(refusal.verdicts)
        raise
    _show(verdicts)
    say(f"{model.name} {release.label} is the champion", style="green")


@app.command()
def rollback(
    name: Name = None,
    to: Annotated[
        str | None, typer.Option(help="A former champion; the one before by default.")
    ] = None,
    why: Why = "",
    issue: Issue = None,
) -> None:
    """Make a former champion the champion again, at once: nothing is loaded or judged."""
    from dslp.tracking.registry import rollback as roll_back

    project, found = _found(name)
    release, former = roll_back(found, project, to, why, issue)
    say(f"{found} {release.label} is the champion again, after {former.label}", style="green")


@app.command()
def history(name: Name = None) -> None:
    """Show the versions, and what was done with them, newest first."""
    from dslp.tracking.registry import Registry

    project, found = _found(name)
    registry = Registry.read(project, found)
    trail = registry.full_history()
    if not trail:
        say(f"{found} was never registered")
        return
    rows = []
    for one in registry.releases:
        tags = [one.tags.get(f"dslp.{n}", "") for n in ("candidate", "dataset_version")]
        rows.append([one.semantic or "none", one.version, one.role or "none", *tags])
    table(["version", "number", "role", "candidate", "dataset"], rows)
    say("")
    known = {one.version: one.semantic or one.version for one in registry.releases}
    for entry in reversed(trail):
        issue = f" (#{entry.issue})" if entry.issue else ""
        why = f": {' '.join(entry.why.split())}" if entry.why else ""
        done = f"{entry.action:<8}  {known.get(entry.version, f'{entry.version} (deleted)'):<6}"
        say(f"{entry.time}  {done}  {entry.who}{why}{issue}")


def _found(name: str | None) -> "tuple[Project, str]":
    """The project, and the model's name; nothing else of it need be in order."""
    from dslp.experiments.model import model_names

    project = Project.find()
    here = model_names(project)
    if name is None and len(here) != 1:
        raise DslpError(f"say which model: {', '.join(here) or 'none is here'}")
    return project, name or here[0]


@app.command()
def serve(
    name: Name = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 is everybody.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 8000,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Of the requests, for the challenger.")
    ] = 0.0,
    log: Annotated[
        Path | None, typer.Option(help="Folder of the predictions; data/interim/predictions/MODEL.")
    ] = None,
    poll: Annotated[
        float, typer.Option(min=0.05, help="Seconds between looks at the registry.")
    ] = 5,
) -> None:
    """Answer requests with the champion, and a share of them with the challenger."""
    # More threads for one small prediction cost more than they bring, and starve the server.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from dslp.models.api import Api
    from dslp.models.serving import serve as serve_model

    model = _model(name)
    place = log or model.project.data / "interim" / "predictions" / model.name
    serve_model(
        Api(model),
        host,
        port,
        share,
        place,
        poll,
        lambda address: say(f"{model.name} at {address}"),
    )


@app.command()
def score(
    source: Annotated[str, typer.Option("--input", help="A dataset, or a file.")],
    output: Annotated[Path, typer.Option(help="Parquet file; on Spark a folder of parts.")],
    name: Name = None,
    version: Annotated[
        str | None, typer.Option(help="The champion by default, or the challenger.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Parquet file for rows that Request does not allow.")
    ] = None,
    engine: Annotated[
        Literal["embedded", "spark"], typer.Option(help="What the rows are read with.")
    ] = "embedded",
) -> None:
    """Predict for all rows of a dataset or file, by the same schema as requests."""
    # Threads that have nothing to do between two trees sleep: where cores are shared, to spin
    # costs as much as all the rest.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from dslp.models.api import Api
    from dslp.models.batch import Scorer, score_rows
    from dslp.models.model_files import fetch_model
    from dslp.tracking.registry import Registry

    model = _model(name)
    with step(f"scoring {source} with {model.name}"):
        release = _release(Registry.read(model.project, model.name), version)
        stated = release.semantic or release.version
        scorer = Scorer(Api(model), fetch_model(model.project, release), stated)
        if engine == "spark":
            from dslp.models.batch_spark import score_with_spark as write
        done = score_rows(scorer, source, output, rejects, write if engine == "spark" else None)
    say(f"{done.rows:,} rows scored by {model.name} {release.label}: {output}")
    if done.rejected:
        say(f"{done.rejected:,} rows are not what Request allows: {rejects}", style="yellow")


@app.command("profile")
def measure(
    name: Name = None,
    version: Annotated[
        str | None, typer.Option(help="The champion by default, or the challenger.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure what a version costs to use, and record it with the version."""
    from dslp.models.model_files import fetch_model
    from dslp.models.performance import FIGURES, measure, performance_tags
    from dslp.tracking.registry import Registry

    model = _model(name)
    with step(f"measuring {model.name}"):
        registry = Registry.read(model.project, model.name)
        release = _release(registry, version)
        found = measure(model, fetch_model(model.project, release))
        registry.set_tags(release.version, performance_tags(found))
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [[FIGURES[figure], f"{value:,.4g}"] for figure, value in found.items()]
    table([f"{model.name} {release.label}", ""], rows)
    say("recorded with the version")


@app.command()
def monitor(
    name: Name = None,
    predictions: Annotated[
        str | None,
        typer.Option(help="Folder of the server's log.", show_default="data/interim/predictions"),
    ] = None,
    data: Annotated[str | None, typer.Option(help="New rows: a dataset, or a file.")] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            help="File of observed outcomes, by request_id or by the dataset's key.",
            show_default="data/interim/truth/MODEL.*",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page: a Markdown file.")] = None,
    proposal: Annotated[
        Path | None, typer.Option(help="Write what moved for `propose`: a JSON file.")
    ] = None,
) -> None:
    """Compare new data and predictions with the training data; exit code 1 if something moved."""
    from dslp.models import monitoring_page
    from dslp.models.monitoring import monitor_model as look
    from dslp.models.scheduled_monitoring import write_observation

    model = _model(name)
    with step(f"watching {model.name}"):
        seen = look(model, predictions, data, truth)
    rows = [[s.subject, s.what, s.figure, s.limit, s.word] for s in seen.signals]
    table(["", "looked at", "figure", "limit", ""], rows)
    for signal in seen.signals:
        if signal.moved is not False and signal.note:
            say(f"{signal.subject}: {signal.note}")
    for side in seen.sides:
        value = "not known yet" if side.metric is None else f"{side.metric:.4g}"
        metric = f"{model.params.metric.name} {value}"
        say(f"{side.role} {side.label}: {side.rows:,} rows ({side.share:.1%}), {metric}")
    if seen.sides:
        say(monitoring_page.difference(seen))
    write_observation(seen, report, proposal)
    if seen.moved:
        raise Refused(monitoring_page.summary_sentence(seen))
    say(monitoring_page.summary_sentence(seen), style="green")


@app.command()
def card(
    name: Name = None,
    version: Annotated[
        str | None, typer.Option(help="The champion by default, or the newest.")
    ] = None,
) -> None:
    """Write docs/models/NAME.md, which says what is recorded of a model."""
    from dslp.models.model_card import write_card

    project, found = _found(name)
    say(f"written: {write_card(project, found, version)}")


@app.command(hidden=True)
def watch(folder: Annotated[Path, typer.Argument(help="Where reports go.")]) -> None:
    """Watch every model that has a champion, as the monitor workflow does."""
    from dslp.models.scheduled_monitoring import monitor_all as watch_all

    if not watch_all(Project.find(), folder):
        raise typer.Exit(2)


@app.command(hidden=True)
def release(
    folder: Annotated[Path, typer.Argument(help="Where the records, and the wheel, go.")],
    since: Annotated[str, typer.Option(help="The commit before what was pushed.")],
    issue: Annotated[int, typer.Option(help="The Model issue that was merged; 0 is none.")] = 0,
) -> None:
    """Train, test and register the models that a push changed, as the release workflow does (M8).

    The code that models share changes each of them, where it comes with a Model issue.
    """
    from dslp.models.deployment import build_wheel, changed_models
    from dslp.models.deployment import release as deliver

    project = Project.find()
    names = changed_models(project, since, shared=issue > 0)
    if not names:
        say(f"no model has changed since {since}")
        return
    try_each(names, lambda name: say(deliver(_model(name), folder, issue or None)))
    build_wheel(project, folder / "dist")


@app.command(hidden=True)
def deploy(
    folder: Annotated[Path, typer.Argument(help="Where the record goes.")],
    issue: Annotated[int, typer.Option(help="The Model issue that was labelled.", min=1)],
) -> None:
    """Promote the challenger that an issue asks for, as the release workflow does (L5)."""
    from dslp.models.deployment import deploy as promote_asked

    say(promote_asked(Project.find(), folder, issue))


@app.command(hidden=True)
def current(name: str, roles: list[str]) -> None:
    """Print the versions in use as JSON, their files brought to this machine, or why not."""
    from dslp.models.model_files import fetch_model
    from dslp.models.persistence import FILES
    from dslp.tracking.registry import versions_in_use as in_use

    model = _model(name)
    found: dict[str, dict[str, str] | None] = dict.fromkeys(roles)
    for role, release in in_use(model.name, model.project).items():
        if release is None or role not in roles:
            continue
        try:
            found[role] = {
                "version": release.version,
                "semantic": release.semantic,
                "run": release.run,
                "files": release.tags.get(FILES, ""),
                "folder": str(fetch_model(model.project, release)),
            }
        except DslpError as error:  # of one role; the other one is served all the same
            found[role] = {"version": release.version, "error": str(error)}
    typer.echo(json.dumps(found))


def _release(registry: "Registry", version: str | None) -> "Release":
    if version:
        return registry.release(version)
    release = registry.in_role("champion") or registry.in_role("challenger")
    if release is None:
        raise DslpError(f"{registry.name} has no version in use; first: uv run dslp model register")
    return release


def _model(name: str | None) -> "Model":
    from dslp.experiments.model import find_model

    return find_model(Project.find(), name)


def _show(verdicts: "list[GateResult]") -> None:

    rows = [[v.gate, v.figure, v.limit, "passed" if v.passed else "failed"] for v in verdicts]
    table(["gate", "figure", "limit", ""], rows)
    for verdict in verdicts:
        if verdict.note:
            say(f"{verdict.gate}: {verdict.note}")
