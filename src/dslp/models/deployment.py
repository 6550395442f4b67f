"""From a merged model to a challenger, and from a label to the champion (M8, L5).

What is done is written down as a comment for the issue; another job, which runs none of the
project's own code, has the right to say it there.
"""

import os
import shutil
import subprocess
from pathlib import Path, PurePath
from typing import Any

from dslp.core.actions import add_summary_line
from dslp.core.console import say
from dslp.core.errors import DslpError, Refused
from dslp.core.git import changed_paths
from dslp.core.report import render_page, save_page
from dslp.core.settings import Project
from dslp.data.build import ensure_data
from dslp.experiments.model import Model, find_model, model_names
from dslp.experiments.model_data import read_model_data
from dslp.experiments.params import format_metric
from dslp.experiments.runs import Experiment
from dslp.models.gates import failed_gates
from dslp.models.model_files import fetch_model
from dslp.models.performance import FIGURES, measure, performance_tags
from dslp.models.release import GatesFailed, promote, register, run_gates
from dslp.models.trained_model import TrainedModel
from dslp.models.training import ARTIFACT, best_candidate, train
from dslp.tracking.connection import Tracking, unshared_reason
from dslp.tracking.registry import Registry


def changed_models(project: Project, since: str, shared: bool) -> list[str]:
    """Names of the models that differ from a commit; all of them where git does not know it.

    Args:
        project: whose models.
        since: a commit.
        shared: whether code in src/ that no model and no dataset has for itself counts for each.
    """
    here, paths = model_names(project), changed_paths(project, since)
    if paths is None:
        say(f"git does not know {since}: every model counts as changed", "yellow")
        return here
    place = (project.source / "models").relative_to(project.root).as_posix()
    if shared and any(_is_shared(path) for path in paths):
        return here
    return [n for n in here if any(path.startswith(f"{place}/{n}/") for path in paths)]


def build_wheel(project: Project, folder: Path) -> None:
    """Build the project's own package.

    Raises:
        DslpError: uv is missing, or cannot build it.
    """
    command = ["uv", "build", "--wheel", "--out-dir", str(folder)]
    try:
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    except OSError as error:
        raise DslpError(f"the wheel cannot be built: uv: {error.strerror}") from None
    if done.returncode:
        raise DslpError(f"the wheel cannot be built: {' '.join(done.stderr.split())}")


def release(model: Model, folder: Path, issue: int | None = None) -> str:
    """Train the best candidate, test it, and register it as the challenger.

    The experiments are run where none is recorded for what was merged. All rows of the dataset
    version but the holdout are trained on: the gates would have nothing to judge by without it.

    Args:
        model: what was merged.
        folder: gets the model's files and the comment.
        issue: the Model issue.

    Returns:
        What became of it, in a sentence.

    Raises:
        Refused: a gate is not passed; nothing was registered.
        DslpError: the data, the tracking or the model's own code does not work.
    """
    project, branch = model.project, os.environ.get("GITHUB_REF_NAME")
    if os.environ.get("GITHUB_ACTIONS") and branch != project.branch:
        return f"nothing is released from {branch}: work comes together on {project.branch}"
    ensure_data(model.dataset)
    trained = train(model, _chosen(model, issue), issue)
    _, verdicts = run_gates(model, None, trained.run)
    wrong, reason = failed_gates(verdicts), unshared_reason(project)
    subject = TrainedModel("what was trained", f"runs:/{trained.run}/{ARTIFACT}", trained.candidate)
    shutil.copytree(subject.folder, folder / model.name / "model", dirs_exist_ok=True)
    costs: dict[str, float] = {}
    if wrong:
        said = f"{model.name} is not registered, since it does not pass: {wrong}"
    elif reason:
        said = f"{model.name} is NOT registered: {reason}"
    else:
        made, _, _ = register(model, why="merged", issue=issue, run=trained.run)
        registry = Registry.read(project, model.name)
        costs = measure(model, fetch_model(project, made))
        registry.set_tags(made.version, performance_tags(costs))
        said = f"{model.name} {made.label} is registered, as the challenger"
    gain = format_metric(trained.improvement, model.params.criterion.by)
    gain = f"{gain} against the baseline in {model.params.metric.name}"
    found = {"verdicts": verdicts, "trained": trained, "gain": gain, "costs": costs}
    _note(folder, "merged", model.name, said, **found)
    if wrong:
        raise Refused(said)
    return said


def deploy(project: Project, folder: Path, issue: int) -> str:
    """Promote the challenger that was registered for an issue, past its gates.

    One that was registered for no issue counts where it is the only challenger of the project.

    Raises:
        Refused: a gate is not passed; the champion stays.
        DslpError: there is no such challenger, or it cannot be judged.
    """
    name = f"issue-{issue}"
    try:
        name = _asked(project, issue)
        challenger = find_model(project, name)
        ensure_data(challenger.dataset)
        made, verdicts = promote(challenger, "labelled Deploy", issue)
    except DslpError as error:
        verdicts = error.verdicts if isinstance(error, GatesFailed) else []
        _note(folder, "deploy", name, f"Nothing was promoted: {error}", verdicts=verdicts)
        raise
    said = f"{name} {made.label} is the champion"
    _note(folder, "deploy", name, said, verdicts=verdicts)
    return said


def _is_shared(path: str) -> bool:
    """Whether a path is code of no single model and of no dataset, such as src/PACKAGE/features."""
    inside = PurePath(path).parts[2:]
    own = inside[:1] == ("datasets",) or (inside[:1] == ("models",) and len(inside) > 2)
    return path.endswith(".py") and not own


def _chosen(model: Model, issue: int | None) -> str:
    """The best candidate; tried now where no experiment was recorded on this data and code."""
    tracking, digest = Tracking.open(model.project), read_model_data(model).digest
    try:
        return best_candidate(model, tracking, digest)
    except DslpError:
        experiment = Experiment.prepare(model, issue)
        for candidate in model.params.candidates:
            experiment.run(candidate)
        return best_candidate(model, tracking, digest)


def _asked(project: Project, issue: int) -> str:
    """The model whose challenger was registered for the issue."""
    reason = unshared_reason(project)
    if reason:
        raise DslpError(reason)
    known: dict[str, int | None] = {}
    for name in model_names(project):
        registry = Registry.read(project, name)
        number = registry.roles.challenger
        for entry in registry.history:
            if entry.version == number and entry.action == "register":
                known[name] = entry.issue
    found = [name for name, number in known.items() if number == issue]
    if not found and len(known) == 1:
        found = [name for name, number in known.items() if number is None]
    if len(found) != 1:
        there = ", ".join(f"{n} (for {f'#{i}' if i else 'no issue'})" for n, i in known.items())
        raise DslpError(f"no challenger was registered for #{issue}; there are: {there or 'none'}")
    return found[0]


def _note(folder: Path, action: str, name: str, said: str, **found: Any) -> None:
    """Write the comment, and the same to the summary of the job."""
    add_summary_line(said)
    known = ("SERVER_URL", "REPOSITORY", "RUN_ID", "SHA")
    found["github"] = {each: os.environ.get(f"GITHUB_{each}", "") for each in known}
    text = render_page(
        "release.md.jinja", action=action, name=name, said=said, labels=FIGURES, **found
    )
    save_page(folder / f"{name}.md", text)
