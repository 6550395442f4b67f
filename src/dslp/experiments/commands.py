"""`dslp experiment`: try candidates, record, compare and reproduce their runs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dslp.core.console import say, step, table
from dslp.core.settings import Project
from dslp.core.text import redact

if TYPE_CHECKING:
    from dslp.experiments.model import Model
    from dslp.experiments.runs import CandidateRun, Experiment

app = typer.Typer(help="Try approaches, record and compare every run.", no_args_is_help=True)

ONE = "May be left out if there is only one."
ADDRESS = "tcp://HOST:8786 (Dask), spark://HOST:7077, or local: this machine's cores."
Name = Annotated[str | None, typer.Argument(metavar="MODEL", help=ONE)]
Issue = Annotated[int | None, typer.Option(help="By default, as the branch is named.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def run(
    name: Name = None,
    candidate: Annotated[list[str] | None, typer.Option(help="By default, all.")] = None,
    issue: Issue = None,
) -> None:
    """Cross-validate the candidates of params.yml on the same folds, baseline first."""
    model = _find_model(name)
    params, names = model.params, model.choose_candidates(candidate)
    from dslp.experiments.runs import Experiment

    with step(f"{model.name}: reading and dividing {params.dataset.name}"):
        experiment = Experiment.prepare(model, issue)
    runs = []
    for each in names:
        with step(f"{model.name}: {each}, {params.split.folds} folds") as report:
            runs.append(experiment.run(each, report))
    _show(experiment, runs)


@app.command()
def compare(
    name: Name = None,
    issue: Issue = None,
    page: Annotated[Path | None, typer.Option(help="By default in data/interim.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the candidates of an issue with the baseline, on the Ask's metric and criterion.

    The page shows the gains and, of the baseline and the best candidate, what fits the kind.
    Where the branch is named for no issue, all candidates of the model are
    compared.
    """
    from dslp.core import report
    from dslp.tracking.connection import require_records

    model = _find_model(name, own_script=True)
    issue = issue or model.branch_issue
    first = "the training script" if model.has_own_script else model.run_command(issue)
    require_records(model.project, first)
    from dslp.experiments.comparison import compare_candidates, comparison_page

    with step(f"{model.name}: reading the recorded runs"):
        comparison = compare_candidates(model, issue)
    path = page or model.project.data / "interim" / f"compare-{issue or model.name}.md"
    report.save_page(path, *comparison_page(comparison, path.stem))
    if as_json:
        typer.echo(report.as_json([comparison.report]))
        return
    say(f"Ask #{model.params.ask.issue}: {model.params.ask.question}")
    rows = []
    for one in comparison.runs:
        gain = [str(one.gain), one.gain.interval] if one.gain else ["", ""]
        rows.append([one.name, f"{one.mean:.4g}", *gain, one.run_id[:8]])
    table(["candidate", model.params.metric.name, "gain", "95 % interval", "run"], rows)
    for sentence in comparison.verdicts:
        say(sentence)
    for sentence in comparison.notes:
        say(sentence, style="dim")
    say(f"page: {path}" + ("" if page else "; to publish it: --page docs/experiments/NAME.md"))


@app.command()
def sweep(
    name: Name = None,
    issue: Issue = None,
    trials: Annotated[int | None, typer.Option(help="By default as in params.yml.", min=1)] = None,
    on: Annotated[str | None, typer.Option(envvar="DSLP_CLUSTER", help=ADDRESS)] = None,
) -> None:
    """Try a candidate with many settings, as `sweep` in params.yml says; the best is shown."""
    model = _find_model(name)
    params, plan = model.params, model.sweep
    from dslp.experiments import sweep as sweeping
    from dslp.experiments.runs import Experiment

    sweeping.cluster_kind(on)
    sweeping.merged(params.candidates[plan.candidate], dict.fromkeys(plan.parameters))
    with step(f"{model.name}: reading and dividing {params.dataset.name}"):
        experiment = Experiment.prepare(model, issue)
    with step(f"{model.name}: {params.baseline}, the baseline") as report:
        baseline = experiment.run(params.baseline, report)
    with step(f"{model.name}: trials on {redact(on or 'this machine')}") as report:
        result = sweeping.sweep(experiment, trials, on, report)
    best = [replace(run, name=f"trial {n}") for n, run in list(result.finished.items())[:5]]
    _show(experiment, [baseline, *best])
    say(f"{len(result.finished)} of {len(result.settings)} trials ended")
    say("the best as a candidate, in candidates of params.yml:")
    say(sweeping.snippet(model, result))
    for number, reason in result.failed.items():
        say(f"trial {number} failed: {reason}", style="red")
    say(f"the run of the sweep is {result.run_id}")


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its identifier, or its beginning.")],
) -> None:
    """Compute a run again from its record alone; exit code 1 if its metrics are not the same."""
    from dslp.tracking.connection import require_records

    project = Project.find()
    require_records(project, "uv run dslp experiment run")
    from dslp.experiments import reproduction

    with step(f"run {run[:8]}: its commit, data and environment, and its metrics"):
        result = reproduction.reproduce(project, run)
    for sentence in result.doubts:
        say(sentence, style="yellow")
    count, differing = len(result.recorded), result.differing
    if not differing:
        say(f"equal: {count} metrics of run {result.run_id} came out again", style="green")
        return
    recomputed = {name: f"{value:.9g}" for name, value in result.recomputed.items()}
    rows = [[n, f"{value:.9g}", recomputed.get(n, "none")] for n, value in differing.items()]
    table(["metric", "recorded", "recomputed"], rows)
    say(f"{len(rows)} of {count} metrics of run {result.run_id} differ", style="red")
    raise typer.Exit(1)


def _show(experiment: "Experiment", runs: "list[CandidateRun]") -> None:
    """The gain of each run over the first, the baseline's, and what to know of the data."""
    from dslp.experiments.comparison import compare_runs
    from dslp.experiments.runs import WITHOUT_ISSUE
    from dslp.tracking.connection import viewing_command

    model, data, rows = experiment.model, experiment.data, []
    params, comparison = model.params, compare_runs(experiment, runs)
    for run in comparison.runs:
        gain = [str(run.gain), run.gain.interval] if run.gain else ["", ""]
        rows.append([run.name, str(run), *gain])
    if experiment.assumptions.report:
        say(str(experiment.assumptions))
    if data.warning:
        say(data.warning, style="red")
    say(f"Ask #{params.ask.issue}: {params.ask.question}")
    table(["candidate", params.metric.name, "gain", "95 % interval"], rows)
    for sentence in comparison.verdicts:
        say(sentence)
    if experiment.issue is None:
        todo = "or compare the runs by model: uv run dslp experiment compare"
        say(f"{WITHOUT_ISSUE}, {todo}", style="yellow")
    average = f"mean and standard deviation over {params.split.folds} folds"
    say(f"{average}; {params.metric.better} is better")
    say(f"look at the runs: {viewing_command(model.project)}")


def _find_model(name: str | None, own_script: bool = False) -> "Model":
    from dslp.experiments.model import find_model

    model = find_model(Project.find(), name, own_script)
    if not model.has_own_script:
        model.dataset  # noqa: B018 - a dataset that is missing is an error before anything is read
    return model
