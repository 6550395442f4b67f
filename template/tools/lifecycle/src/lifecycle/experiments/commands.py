"""`lifecycle experiment`: try approaches and record them."""

from typing import Annotated

import typer

app = typer.Typer(help="Try approaches, and record every run.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep the group a group while it has one command."""


@app.command()
def run(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="May be left out if there is only one.")
    ] = None,
    candidate: Annotated[
        list[str] | None, typer.Option(help="Candidates of params.yml; all when none is named.")
    ] = None,
    issue: Annotated[
        int | None, typer.Option(help="Number of the Experiment issue.", min=1)
    ] = None,
) -> None:
    """Cross-validate the candidates of params.yml on the same folds, baseline first."""
    from lifecycle.console import say, step, table
    from lifecycle.experiments.model import model as find
    from lifecycle.experiments.run import Experiment
    from lifecycle.experiments.tracking import look
    from lifecycle.project import Project

    project = Project.find()
    model = find(project, name)
    params, metric = model.params, model.params.metric
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
        gain = metric.improvement(value, baseline)
        met = "met" if gain >= params.criterion.improvement else "not met"
        against = ["", ""] if attempt is attempts[0] else [f"{gain:+.1%}", met]
        rows.append([attempt.candidate, f"{value:.4g} ± {attempt.deviation:.2g}", *against])
    say(f"Ask #{params.ask.issue}: {params.ask.question}")
    criterion = f"criterion {params.criterion.improvement:+.0%}"
    table(["candidate", metric.name, "against baseline", criterion], rows)
    say(f"{metric.better} is better; mean and deviation of {params.split.folds} folds")
    say(f"look at the runs: {look(project)}")
