"""`lifecycle model`: train, register and promote."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lifecycle.experiments.model import Model
    from lifecycle.models.gates import Verdict

app = typer.Typer(help="Train a model, register it, make it the champion.", no_args_is_help=True)

Name = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="May be left out if there is only one.")
]


@app.command()
def train(
    name: Name = None,
    candidate: Annotated[
        str | None, typer.Option(help="A candidate of params.yml; the best one by default.")
    ] = None,
) -> None:
    """Train on everything but the holdout, judge on the holdout, and record both."""
    from lifecycle.console import say, step, table
    from lifecycle.models.train import train as train_model

    model = _model(name)
    metric = model.params.metric
    with step(f"training {model.name}"):
        trained = train_model(model, candidate)
    rows = [[figure, f"{value:.4g}"] for figure, value in trained.metrics.items()]
    table([f"{model.name} ({trained.candidate})", "on the holdout"], rows)
    say(f"{trained.improvement:+.1%} against the baseline; {metric.better} {metric.name} is better")
    say(f"run {trained.run}; next: uv run lifecycle model register {model.name}")


@app.command()
def register(name: Name = None) -> None:
    """Register the last trained model as a new version, and make it the challenger."""
    from lifecycle.console import say, step
    from lifecycle.models.registry import register as register_model

    model = _model(name)
    with step(f"registering {model.name}"):
        version, new = register_model(model)
    if new:
        say(f"{model.name} version {version} is registered, as the challenger")
        say(f"next: uv run lifecycle model promote {model.name}")
    else:
        say(f"{model.name} version {version} is this very training; nothing to do")


@app.command()
def promote(
    name: Name = None,
    why: Annotated[str, typer.Option(help="The reason, kept with the version.")] = "",
) -> None:
    """Make the challenger the champion, if it passes its gates; exit code 1 if it does not."""
    from lifecycle.console import say, step
    from lifecycle.models.registry import GatesFailed
    from lifecycle.models.registry import promote as promote_model

    model = _model(name)
    try:
        with step(f"judging {model.name}"):
            version, verdicts = promote_model(model, why)
    except GatesFailed as refusal:
        _show(refusal.verdicts)
        raise
    _show(verdicts)
    say(f"{model.name} version {version} is the champion", style="green")


def _model(name: str | None) -> "Model":
    from lifecycle.experiments.model import model
    from lifecycle.project import Project

    return model(Project.find(), name)


def _show(verdicts: "list[Verdict]") -> None:
    from lifecycle.console import table

    rows = [[v.gate, v.figure, v.limit, "passed" if v.passed else "failed"] for v in verdicts]
    table(["gate", "figure", "limit", ""], rows)
