"""`dslp experiment`: try approaches, record, compare and repeat them."""

from pathlib import Path
from typing import Annotated

import typer
from dslp.core.console import say, step, table
from dslp.core.settings import Project
from dslp.core.text import redact

app = typer.Typer(help="Try approaches, record and compare every run.", no_args_is_help=True)

Name = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="May be left out if there is only one.")
]
Issue = Annotated[
    int | None,
    typer.Option(help="Number of the Experiment issue, if the branch does not say it.", min=1),
]


@app.command()
def run(
    name: Name = None,
    candidate: Annotated[
        list[str] | None, typer.Option(help="Candidates of params.yml; all when none is named.")
    ] = None,
    issue: Issue = None,
) -> None:
    """Cross-validate the candidates of params.yml on the same folds, baseline first."""
    from dslp.experiments.model import find_model as find
    from dslp.experiments.params import format_metric
    from dslp.experiments.runs import Experiment
    from dslp.tracking.connection import viewing_command

    project = Project.find()
    model = find(project, name)
    params, metric, by = model.params, model.params.metric, model.params.criterion.by
    with step(f"{model.name}: reading and dividing {params.dataset.name}"):
        experiment = Experiment.prepare(model, issue)
    attempts = []
    for tried in experiment.candidates(candidate):
        with step(f"{model.name}: {tried}, {params.split.folds} folds"):
            attempts.append(experiment.attempt(tried))
    baseline = attempts[0].metrics[metric.name]
    rows = []
    for attempt in attempts:
        value = attempt.metrics[metric.name]
        gain = metric.improvement(value, baseline, by)
        met = "met" if gain >= params.criterion.improvement else "not met"
        against = ["", ""] if attempt is attempts[0] else [format_metric(gain, by), met]
        rows.append([attempt.candidate, f"{value:.4g} ± {attempt.deviation:.2g}", *against])
    if experiment.assumptions.report is not None:
        say(str(experiment.assumptions))
    say(f"Ask #{params.ask.issue}: {params.ask.question}")
    criterion = f"criterion {format_metric(params.criterion.improvement, by)}"
    table(["candidate", metric.name, "against baseline", criterion], rows)
    say(f"{metric.better} is better; mean and deviation of {params.split.folds} folds")
    say(f"look at the runs: {viewing_command(project)}")


@app.command()
def compare(
    name: Name = None,
    issue: Issue = None,
    plot: Annotated[
        Path | None, typer.Option(help="Where to draw it: an SVG file; data/interim by default.")
    ] = None,
) -> None:
    """Compare the attempts of an issue with the baseline, on the Ask's metric and criterion."""
    from dslp.core.report import save_page
    from dslp.experiments.comparison import compare_candidates as compare_attempts
    from dslp.experiments.comparison import draw_comparison
    from dslp.experiments.model import find_model as find

    project = Project.find()
    model = find(project, name)
    with step(f"{model.name}: reading what was recorded"):
        found = compare_attempts(model, issue)
    params, metric = model.params, model.params.metric
    say(f"Ask #{params.ask.issue}: {params.ask.question}")
    rows = [
        [one.name, f"{one.mean:.4g}", one.gain_shown, one.interval_shown, one.run[:8]]
        for one in found.attempts
    ]
    table(["attempt", metric.name, "against baseline", "95 % interval", "run"], rows)
    for sentence in found.sentences:
        say(sentence)
    for sentence in found.apart:
        say(sentence, style="dim")
    path = plot or project.data / "interim" / f"compare-{found.issue}.svg"
    save_page(path, draw_comparison(found))
    say(f"plot: {path}" + ("" if plot else "; to publish it: --plot docs/media/NAME.svg"))


@app.command()
def sweep(
    name: Name = None,
    issue: Issue = None,
    trials: Annotated[
        int | None, typer.Option(help="How many, instead of as params.yml says.", min=1)
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="DSLP_CLUSTER",
            help="tcp://HOST:8786 (Dask), spark://HOST:7077, or local: this machine's cores.",
        ),
    ] = None,
) -> None:
    """Try a candidate with many settings, as `sweep` in params.yml says; the best is shown."""
    from dslp.experiments.model import find_model as find
    from dslp.experiments.params import format_metric
    from dslp.experiments.runs import Experiment
    from dslp.experiments.sweep import snippet
    from dslp.experiments.sweep import sweep as sweep_model
    from dslp.tracking.connection import viewing_command

    project = Project.find()
    model = find(project, name)
    params, metric, by = model.params, model.params.metric, model.params.criterion.by
    with step(f"{model.name}: reading and dividing {params.dataset.name}"):
        experiment = Experiment.prepare(model, issue)
    with step(f"{model.name}: {params.baseline}, to compare with"):
        reference = experiment.attempt(params.baseline)
    with step(f"{model.name}: trials on {redact(on or 'this machine')}") as far:
        swept = sweep_model(experiment, trials, on, far)
    baseline = reference.metrics[metric.name]
    rows = [[params.baseline, f"{baseline:.4g} ± {reference.deviation:.2g}", ""]]
    for number, attempt in list(swept.finished.items())[:5]:
        value = attempt.metrics[metric.name]
        gain = format_metric(metric.improvement(value, baseline, by), by)
        rows.append([f"trial {number}", f"{value:.4g} ± {attempt.deviation:.2g}", gain])
    if experiment.assumptions.report is not None:
        say(str(experiment.assumptions))
    table(["the best", metric.name, "against baseline"], rows)
    say(f"{len(swept.finished)} of {len(swept.settings)} trials ended; the best of many looks")
    say("better than it is: try it as a candidate, in candidates of params.yml:")
    say(snippet(model, swept))
    for number, reason in swept.failed.items():
        say(f"trial {number} failed: {reason}", style="red")
    say(f"look at the runs: {viewing_command(project)} (sweep {swept.run})")


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Identifier of a recorded run.")],
) -> None:
    """Make a run again from its record alone; exit code 1 if its metrics do not come out."""
    from dslp.experiments.reproduction import reproduce as reproduce_run

    with step(f"run {run[:8]}: commit, data, environment, and the same again"):
        found = reproduce_run(Project.find(), run)
    for sentence in found.doubts:
        say(sentence, style="yellow")
    if found.equal:
        say(f"equal: {len(found.recorded)} metrics of run {run} came out again", style="green")
        return
    rows = [
        [name, f"{value:.9g}", f"{found.again[name]:.9g}" if name in found.again else "none"]
        for name, value in found.differing.items()
    ]
    table(["metric", "recorded", "again"], rows)
    say(f"{len(rows)} of {len(found.recorded)} metrics of run {run} differ", style="red")
    raise typer.Exit(1)
