"""A run made again from its record alone, and its metrics compared (E6)."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError, Refused
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.tracking.connection import Tracking, mlflow_errors
from dslp.tracking.environment import locked_packages
from dslp.tracking.provenance import lock_digest

if TYPE_CHECKING:
    from mlflow.entities import Run

KINDS = ("experiment", "trial", "training")
CLOSE = 1e-9  # relative: what another order of additions leaves in a sum of floats


@dataclass(frozen=True)
class Reproduction:
    """What a run recorded, what came out again, and what speaks against either."""

    recorded: dict[str, float]
    again: dict[str, float]
    doubts: list[str] = field(default_factory=list)

    @property
    def differing(self) -> dict[str, float]:
        """The recorded metrics that did not come out again."""
        return {
            name: value
            for name, value in self.recorded.items()
            if name not in self.again
            or not math.isclose(value, self.again[name], rel_tol=CLOSE, abs_tol=1e-12)
        }

    @property
    def equal(self) -> bool:
        """Whether all came out again."""
        return not self.differing


@mlflow_errors()
def reproduce(project: Project, identifier: str) -> Reproduction:
    """Check out the run's commit aside, find or build its data, and make the run again.

    It is made in this environment if the lock is the run's, and otherwise, where uv is there, in
    one that uv makes from the run's lock.

    Raises:
        Refused: the record does not say which commit the run was made from.
        DslpError: there is no such run, or what it was made from cannot be had.
    """
    from mlflow.exceptions import MlflowException

    tracking = Tracking.open(project)
    try:
        run = tracking.client.get_run(identifier)
    except MlflowException as error:
        reason = error_line(error)
        raise DslpError(f"no run {identifier!a:.60} is recorded: {reason}") from None
    tags = run.data.tags
    kind = tags.get("dslp.kind", "none of ours")
    if kind not in KINDS or run.info.status != "FINISHED":
        raise DslpError(
            f"run {identifier} is {kind} and {run.info.status}; a finished run of "
            f"{', '.join(KINDS)} can be made again"
        )
    commit = tags["dslp.commit"]
    if commit == "none":
        raise Refused(f"run {identifier} cannot be made again: it was made from no commit (B10)")
    doubts = []
    if tags["dslp.clean"] != "true":
        doubts.append(
            f"the run was made from uncommitted changes to {commit[:12]}, which nobody has kept: "
            "it is not reproducible for sure (B10)"
        )
    with _worktree(project, commit) as folder:
        found = _made(project, folder, _record(project, run), tags["dslp.environment"], doubts)
    if "error" in found:
        raise DslpError(f"run {identifier} cannot be made again: {found['error']}")
    doubts += found["doubts"]
    return Reproduction(_recorded(tracking, run), found["metrics"], doubts)


def _record(project: Project, run: "Run") -> dict[str, Any]:
    """What `again` needs to know of the run."""
    tags, params = run.data.tags, run.data.params
    exact = tags.get("dslp.settings")
    if exact is None and tags["dslp.kind"] == "trial":
        raise Refused(
            f"run {run.info.run_id} cannot be made again: its settings are too long, or of kinds "
            "that a tag does not hold; run the sweep again, its seed draws the same"
        )
    return {
        "name": tags["dslp.model"],
        "kind": tags["dslp.kind"],
        "candidate": tags["dslp.candidate"],
        "settings": json.loads(exact) if exact else None,
        "split": {n.removeprefix("split."): v for n, v in params.items() if n.startswith("split.")},
        "digest": tags["dslp.dataset_digest"],
        "code": tags["dslp.code"],
        "data": str(project.data),
    }


def _recorded(tracking: Tracking, run: "Run") -> dict[str, float]:
    """The run's metrics but what it took; one that has steps is there with each, as `NAME.2`.

    Raises:
        DslpError: there are none.
    """
    took = ("seconds", "system/")
    found = {name: value for name, value in run.data.metrics.items() if not name.startswith(took)}
    if not found:
        raise DslpError(f"run {run.info.run_id} recorded no metrics, so nothing can be equal")
    for name in [name for name in found if name.startswith("fold_")]:
        del found[name]
        for one in tracking.client.get_metric_history(run.info.run_id, name):
            found[f"{name}.{one.step}"] = one.value
    return found


@contextmanager
def _worktree(project: Project, commit: str) -> Iterator[Path]:
    """The project as it was at a commit, in a folder aside that is gone afterwards."""
    if git_output(project, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise DslpError(
            f"commit {commit} is not in this repository; fetch it: git fetch origin {commit}"
        )
    within = git_output(project, "rev-parse", "--show-prefix") or ""
    with tempfile.TemporaryDirectory(prefix="dslp-") as aside:
        place = str(Path(aside) / "worktree")
        quiet = ("-c", "core.hooksPath=/dev/null")
        if git_output(project, *quiet, "worktree", "add", "--detach", place, commit) is None:
            raise DslpError(f"git cannot check out {commit} in {place}; see: git worktree list")
        try:
            yield Path(place) / within
        finally:
            git_output(project, "worktree", "remove", "--force", place)


def _made(
    project: Project, folder: Path, record: dict[str, Any], lock: str, doubts: list[str]
) -> dict[str, Any]:
    """What `again` found, in the environment of the run if that can be had."""
    question, answer = folder.parent / "record.json", folder.parent / "answer.json"
    question.write_text(json.dumps(record), encoding="utf-8")
    work = ["python", "-m", "dslp.experiments.recomputation", str(question), str(answer)]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    said = ""
    if lock != lock_digest(project):
        uv = shutil.which("uv")
        if uv and lock == lock_digest(Project(folder, project.package, project.data)):
            command = [uv, "run", "--quiet", "--frozen", "--directory", str(folder), *work]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return _read(answer)
            said = f" (uv cannot make its environment: {' '.join(done.stderr.split())[-160:]})"
        doubts.append(f"this environment is not that of the run: {_changed(project, folder)}{said}")
    done = subprocess.run(
        [sys.executable, *work[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"error": " ".join(done.stderr.split())[-240:]}
    return _read(answer)


def _read(answer: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _changed(project: Project, folder: Path) -> str:
    """In what this lock differs from that of the run's commit."""
    mine, its = project.root / "uv.lock", folder / "uv.lock"
    if not (mine.is_file() and its.is_file()):
        return "there is no uv.lock to compare with"
    now, then = locked_packages(mine), locked_packages(its)
    names = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    shown = [
        f"{name} {'|'.join(then.get(name, ['none']))} is {'|'.join(now.get(name, ['gone']))}"
        for name in names[:5]
    ]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(shown) + more if names else "the locks differ, but in no version"
