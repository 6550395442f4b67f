"""A recorded run computed again from its record alone, and the metrics compared (E6).

In the run's commit and environment, `python -m dslp.experiments.reproduction RECORD ANSWER` is
started, with two JSON files.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.data.build import RawMissing, ensure_built
from dslp.data.dataset import Dataset, find_dataset
from dslp.data.fingerprint import digest
from dslp.data.loading import StoredVersion
from dslp.experiments.model import Model, find_model, model_names
from dslp.experiments.params import Split
from dslp.experiments.runs import cross_validate, fold_metrics, score_on_holdout
from dslp.experiments.splitting import read_model_data
from dslp.tracking.connection import Tracking, mlflow_errors
from dslp.tracking.provenance import lock_digest

if TYPE_CHECKING:
    from mlflow.entities import Run


KINDS = ("experiment", "trial", "training")
TOLERANCE = 1e-9  # relative: sums of floats differ so much by their order
NOT_RESULTS = ("seconds", "system/")  # metrics of what a run took


@dataclass(frozen=True)
class Reproduction:
    """The metrics of a run, as recorded and as recomputed, and doubts about them."""

    run_id: str
    recorded: dict[str, float]
    recomputed: dict[str, float]
    doubts: list[str]

    @property
    def differing(self) -> dict[str, float]:
        """The recorded metrics that were recomputed otherwise, or not at all."""
        return {
            name: value
            for name, value in self.recorded.items()
            if name not in self.recomputed
            or not math.isclose(value, self.recomputed[name], rel_tol=TOLERANCE, abs_tol=1e-12)
        }


def reproduce(project: Project, identifier: str) -> Reproduction:
    """Check out the run's commit aside, find or build its data, and compute the run again.

    That is done in the present environment if its lock is the run's, and otherwise in one that uv
    makes from the run's lock.

    Args:
        project: that recorded the run.
        identifier: of the run, or its first 8 characters or more.

    Raises:
        Refused: the record is not enough to compute the run again.
        DslpError: there is no such run, or its code or data cannot be had.
    """
    with mlflow_errors():
        tracking = Tracking.open(project)
        run = _find_run(tracking, identifier)
        run_id, tags = str(run.info.run_id), run.data.tags
        kind, status = tags.get("dslp.kind", "of no kind"), run.info.status
        if kind not in KINDS or status != "FINISHED":
            kinds = f"a finished run of {', '.join(KINDS)} can be made again"
            raise DslpError(f"run {run_id} is {kind} and {status}; {kinds}")
        commit = tags["dslp.commit"]
        if commit == "none":
            raise Refused(f"run {run_id} cannot be made again: it was made from no commit (B10)")
        doubts = []
        if tags["dslp.clean"] != "true":
            problem = f"the run was made from uncommitted changes to {commit[:12]}"
            doubts.append(f"{problem}, which were not kept: it may not be reproducible (B10)")
        if kind == "trial" and "dslp.settings" not in tags:
            problem = "its settings are too long, or of kinds that a tag does not hold"
            raise Refused(f"run {run_id} cannot be made again: {problem}; run the sweep again")
        record = {"tags": tags, "params": run.data.params, "data": str(project.data)}
        recorded = _recorded_metrics(tracking, run)
    with _worktree(project, commit) as folder:
        result = _recompute(project, folder, record, tags["dslp.environment"], doubts)
    if "error" in result:
        raise DslpError(f"run {run_id} cannot be made again: {result['error']}")
    return Reproduction(run_id, recorded, result["metrics"], doubts + result["doubts"])


def _find_run(tracking: Tracking, identifier: str) -> "Run":
    """The run with this identifier, or the only one whose identifier begins so."""
    from mlflow.exceptions import MlflowException

    try:
        return tracking.client.get_run(identifier)
    except MlflowException:  # a beginning, or no run
        pass
    names = map(tracking.experiment_name, model_names(tracking.project))
    experiments = [tracking.client.get_experiment_by_name(name) for name in names]
    folders = [one.experiment_id for one in experiments if one]
    runs = tracking.client.search_runs(folders, max_results=5000) if folders else []
    matches = [run for run in runs if run.info.run_id.startswith(identifier)]
    if len(matches) != 1:
        newest = [run.info.run_id for run in runs[:5]]
        raise DslpError(f"no run {identifier!r} is recorded{nearest(identifier, newest)}")
    return matches[0]


def _recorded_metrics(tracking: Tracking, run: "Run") -> dict[str, float]:
    """The results of the run; the metric of a fold is named with its number, as `NAME.2`.

    Raises:
        DslpError: there are none.
    """
    metrics = {n: value for n, value in run.data.metrics.items() if not n.startswith(NOT_RESULTS)}
    if not metrics:
        raise DslpError(f"run {run.info.run_id} recorded no metrics, so nothing can be compared")
    for name in [name for name in metrics if name.startswith("fold_")]:
        del metrics[name]
        for one in tracking.client.get_metric_history(run.info.run_id, name):
            metrics[f"{name}.{one.step}"] = one.value
    return metrics


@contextmanager
def _worktree(project: Project, commit: str) -> Iterator[Path]:
    """The project as it was at a commit, in a temporary folder."""
    if git_output(project, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        todo = f"fetch it: git fetch origin {commit}"
        raise DslpError(f"commit {commit} is not in this repository; {todo}")
    subfolder = git_output(project, "rev-parse", "--show-prefix") or ""
    with tempfile.TemporaryDirectory(prefix="dslp-") as aside:
        place = str(Path(aside) / "worktree")
        no_hooks = ("-c", "core.hooksPath=/dev/null")
        if git_output(project, *no_hooks, "worktree", "add", "--detach", place, commit) is None:
            raise DslpError(f"git cannot check out {commit} in {place}; see: git worktree list")
        try:
            yield Path(place) / subfolder
        finally:
            git_output(project, "worktree", "remove", "--force", place)


def _recompute(
    project: Project, folder: Path, record: dict[str, Any], lock: str, doubts: list[str]
) -> dict[str, Any]:
    """The result of `recompute`, in the environment of the run if it can be made."""
    question, answer = folder.parent / "record.json", folder.parent / "answer.json"
    question.write_text(json.dumps(record), encoding="utf-8")
    module = ["-m", "dslp.experiments.reproduction", str(question), str(answer)]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}

    def start(*python: str) -> str:
        options: dict[str, Any] = {"cwd": folder, "env": environment, "capture_output": True}
        done = subprocess.run([*python, *module], **options, text=True, check=False)
        return error_line(done.stderr[-2_000:])[-160:] if done.returncode else ""

    failure, uv = "", shutil.which("uv")
    if lock != lock_digest(project):
        if uv and lock == lock_digest(replace(project, root=folder)):
            place = str(replace(project, root=folder).environment)
            failure = start(uv, "run", "--quiet", "--frozen", "--project", place, "python")
        if not answer.is_file():
            why = f" (uv cannot make it: {failure})" if failure else ""
            commit = record["tags"]["dslp.commit"]
            path = (project.environment / "uv.lock").relative_to(project.root).as_posix()
            todo = f"see what differs: git diff {commit} -- {path}"
            doubts.append(f"this environment is not that of the run{why}; {todo}")
    if not answer.is_file():
        failure = start(sys.executable)
    return json.loads(answer.read_text("utf-8")) if answer.is_file() else {"error": failure}


def recompute(record: dict[str, Any]) -> dict[str, Any]:
    """The run's metrics, by the code of the working directory; and `doubts` about its origin.

    Args:
        record: `tags` and `params` of the run, as MLflow keeps them, and `data`, the project's
            data folder.
    """
    doubts, tags = [], record["tags"]
    with tempfile.TemporaryDirectory() as aside:
        data = _data_folder(record, Path(aside))
        model = find_model(Project.find(data=data), tags["dslp.model"])
        if not _has_digest(model.dataset, tags["dslp.dataset_digest"]):
            content = f"other content of {model.dataset.name} {model.dataset.version}"
            problem = f"the pipeline of its commit makes {content}"
            doubts.append(f"the data is not that of the run: {problem}")
        if model.code_digest != tags["dslp.code"]:
            doubts.append("the model's files are not those of the run: they were not committed")
        candidate, params = tags["dslp.candidate"], record["params"].items()
        if "dslp.settings" in tags:
            settings = json.loads(tags["dslp.settings"])
        else:
            model.check_candidate(candidate)
            settings = model.params.candidates[candidate]
        split = {n.removeprefix("split."): v for n, v in params if n.startswith("split.")}
        update = {"split": Split.model_validate(split)}  # from text
        model = replace(model, params=model.params.model_copy(update=update))
        metrics = _metrics(model, tags["dslp.kind"], candidate, settings)
        return {"doubts": doubts, "metrics": metrics}


def _metrics(model: Model, kind: str, candidate: str, settings: dict[str, Any]) -> dict[str, float]:
    """What a run of that kind records; the metric of fold 2 is `fold_NAME.2`."""
    data, metric = read_model_data(model), model.params.metric.name
    if kind == "training":
        return score_on_holdout(model, data, candidate, settings).figures
    scores = cross_validate(model, data.development, candidate, settings)
    folds = {f"fold_{metric}.{fold}": score[metric] for fold, score in enumerate(scores)}
    return fold_metrics(scores, metric) | folds


def _data_folder(record: dict[str, Any], aside: Path) -> Path:
    """A data folder with the run's dataset: the first whose content is that of the run.

    Tried in turn: the project's, the version that was kept, a build from the project's raw data,
    and a build from newly extracted raw data. The last that could be built, if none agrees.
    """
    tags, project = record["tags"], Project.find(data=Path(record["data"]))
    wanted = find_model(project, tags["dslp.model"]).params.dataset
    expected = tags["dslp.dataset_digest"]
    if _has_digest(find_dataset(project, wanted.name), expected):
        return project.data
    kept = StoredVersion(project, wanted.name, wanted.version)
    if _has_digest(kept, expected):
        _link(kept.built, aside / "processed" / f"{wanted.name}{kept.built.suffix}")
        return aside
    best = aside / "raw kept"
    for folder in (best, aside / "raw new"):
        if folder == best and (project.data / "raw").is_dir():
            for path in (project.data / "raw").iterdir():  # one by one: nothing is written there
                _link(path, folder / "raw" / path.name)
        dataset = find_dataset(Project.find(data=folder), wanted.name)
        with suppress(RawMissing):  # raw data that a person put there cannot be extracted
            ensure_built(dataset)
            best = folder
        if _has_digest(dataset, expected):
            return folder
    return best


def _has_digest(dataset: Dataset, expected: str) -> bool:
    return dataset.is_built and digest(dataset) == expected


def _link(source: Path, target: Path) -> None:
    """Link to a file or folder; copy it where links are not allowed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)


if __name__ == "__main__":
    os.environ["DSLP_ENGINE"] = "embedded"  # no table of a database is replaced
    question, answer = map(Path, sys.argv[1:])
    try:
        result = recompute(json.loads(question.read_text(encoding="utf-8")))
    except DslpError as error:
        result = {"error": str(error)}
    answer.write_text(json.dumps(result), encoding="utf-8")
