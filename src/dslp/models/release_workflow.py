"""From a merged model to a challenger, and from a label to the champion (M8, L5).

The result is written as a comment for the issue. Another job, which runs no code of the project,
has the right to post it.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from dslp.core.actions import add_summary_line
from dslp.core.console import say
from dslp.core.errors import DslpError, Refused
from dslp.core.git import changed_paths, git_output
from dslp.core.report import render_page, save_page
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.data.build import ensure_data
from dslp.experiments.model import Model, find_model, model_names
from dslp.experiments.runs import Experiment
from dslp.experiments.splitting import read_model_data
from dslp.models.gates import failed_gates
from dslp.models.performance import FIGURES, measure, performance_tags
from dslp.models.persistence import fetch_model
from dslp.models.release import GatesFailed, promote, register, run_gates
from dslp.models.training import TrainedModel, best_candidate, train
from dslp.tracking.connection import Tracking, unshared_reason
from dslp.tracking.registry import Registry


def changed_models(project: Project, since: str, shared: bool) -> list[str]:
    """Names of the models that changed since a commit; all of them if git does not have it.

    Args:
        project: the project of the models.
        since: a commit; GitHub writes zeros for the first push of a branch, which changes none.
        shared: whether the package's code outside of models and datasets changes every model.
    """
    if set(since) == {"0"}:
        say("this is the first push of the branch, which releases nothing")
        return []
    names, paths = model_names(project), changed_paths(project, since)
    if paths is None:
        say(f"git does not have the commit {since}: every model counts as changed", "yellow")
        return names
    files = git_output(project, "ls-tree", "--name-only", since, "./") or ""
    settings = git_output(project, "show", f"{since}:./pyproject.toml") or ""
    if "dslp.toml" not in files.split() and "[tool.dslp]" not in settings:
        say(f"the project is not in {since} yet: its first push releases nothing")
        return []
    if shared and any(_is_shared(project, path) for path in paths):
        return names
    folder = (project.source / "models").relative_to(project.root).as_posix()
    return [n for n in names if any(path.startswith(f"{folder}/{n}/") for path in paths)]


def build_wheel(project: Project, folder: Path) -> None:
    """Build the project's own package; of an adopted repository, copy the package's folder.

    Raises:
        DslpError: uv is missing, or cannot build it.
    """
    if project.is_adopted:  # which need not be a Python package
        target, unwanted = folder / project.source.name, shutil.ignore_patterns("__pycache__")
        shutil.copytree(project.source, target, ignore=unwanted, dirs_exist_ok=True)
        return
    command = ["uv", "build", "--wheel", "--out-dir", str(folder)]
    try:
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    except OSError as error:
        raise DslpError(f"the wheel cannot be built: uv: {error.strerror}") from None
    if done.returncode:
        raise DslpError(f"the wheel cannot be built: {error_line(done.stderr, 1_000)}")


def release_model(model: Model, folder: Path, issue: int | None = None) -> str:
    """Train the best candidate, test it, and register it as the challenger.

    Experiments are run if none is recorded for this code and data. The model is trained on all rows
    but the holdout, which the gates need.

    Args:
        model: the merged model.
        folder: gets the model's files and the comment.
        issue: the Model issue.

    Returns:
        The result in a sentence.

    Raises:
        Refused: a gate is not passed; nothing was registered.
        DslpError: the data, the tracking or the model's own code does not work.
    """
    project, branch = model.project, os.environ.get("GITHUB_REF_NAME")
    if os.environ.get("GITHUB_ACTIONS") and branch != project.branch:
        return f"nothing is released from {branch}; models are released from {project.branch}"
    ensure_data(model.dataset)
    trained = train(model, _best_candidate(model, issue), issue)
    _, results = run_gates(model, None, trained.run)
    saved = TrainedModel(project, trained.run).folder
    shutil.copytree(saved, folder / model.name / "model", dirs_exist_ok=True)
    costs: dict[str, float] = {}
    failed, reason = failed_gates(results), unshared_reason(project)
    if failed:
        summary = f"{model.name} is not registered, since it does not pass: {failed}"
    elif reason:
        summary = f"{model.name} is NOT registered: {reason}"
    else:
        registered, _, _ = register(model, why="merged", issue=issue, run=trained.run)
        costs = measure(model, fetch_model(project, registered))
        registry = Registry.read(project, model.name)
        registry.set_tags(registered.version, performance_tags(costs))
        summary = f"{model.name} {registered.label} is registered, as the challenger"
    facts = {"results": results, "trained": trained, "costs": costs}
    _write_comment(folder, "merged", model.name, summary, **facts)
    if failed:
        raise Refused(summary)
    return summary


def deploy_model(project: Project, folder: Path, issue: int) -> str:
    """Promote the challenger that was registered for an issue, past its gates.

    A challenger that was registered without an issue counts if the project has no other.

    Raises:
        Refused: a gate is not passed; the champion stays.
        DslpError: there is no such challenger, or it cannot be tested.
    """
    name = f"issue-{issue}"
    try:
        name = _challenger_of(project, issue)
        model = find_model(project, name)
        ensure_data(model.dataset)
        champion, results = promote(model, "labelled Deploy", issue)
    except DslpError as error:
        results = error.results if isinstance(error, GatesFailed) else []
        _write_comment(folder, "deploy", name, f"Nothing was promoted: {error}", results=results)
        raise
    summary = f"{name} {champion.label} is the champion"
    _write_comment(folder, "deploy", name, summary, results=results)
    return summary


def _is_shared(project: Project, path: str) -> bool:
    """Whether a path is code that belongs to no single model or dataset: src/PACKAGE/features."""
    inside = (project.root / path).relative_to(project.source).parts
    own = inside[:1] in (("datasets",), ("tests",)) or (
        inside[:1] == ("models",) and len(inside) > 2
    )
    return path.endswith(".py") and not own


def _best_candidate(model: Model, issue: int | None) -> str:
    """The best candidate; experiments are run if none was recorded on this data and code."""
    tracking, digest = Tracking.open(model.project), read_model_data(model).digest
    try:
        return best_candidate(model, tracking, digest)
    except DslpError:
        experiment = Experiment.prepare(model, issue)
        for candidate in model.params.candidates:
            experiment.run(candidate)
        return best_candidate(model, tracking, digest)


def _challenger_of(project: Project, issue: int) -> str:
    """The model whose challenger was registered for the issue."""
    if reason := unshared_reason(project):
        raise DslpError(reason)
    issues: dict[str, int | None] = {}
    for name in model_names(project):
        registry = Registry.read(project, name)
        if challenger := registry.in_role("challenger"):
            issues[name] = challenger.issue
    names = [name for name, number in issues.items() if number == issue]
    if not names and list(issues.values()) == [None]:
        names = list(issues)
    if len(names) != 1:
        pairs = [f"{each} (for {f'#{n}' if n else 'no issue'})" for each, n in issues.items()]
        problem = f"no challenger was registered for #{issue}"
        raise DslpError(f"{problem}; challengers are: {', '.join(pairs) or 'none'}")
    return names[0]


def _write_comment(folder: Path, action: str, name: str, summary: str, **facts: Any) -> None:
    """Write the comment, and its first line to the summary of the job."""
    add_summary_line(summary)
    variables = ("SERVER_URL", "REPOSITORY", "RUN_ID", "SHA")
    facts["github"] = {each: os.environ.get(f"GITHUB_{each}", "") for each in variables}
    facts |= {"action": action, "name": name, "summary": summary, "labels": FIGURES}
    save_page(folder / f"{name}.md", render_page("release.md.jinja", **facts))
