"""One trial of a sweep, on any machine: it needs nothing but a bundle of the model and its rows.

A process on this machine, a Dask worker and a Spark executor run the same function. A worker needs
the project's locked environment, but neither its files nor its data.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.experiments.model import Model
from dslp.experiments.params import Params
from dslp.experiments.runs import Experiment, Scores, cross_validate

if TYPE_CHECKING:
    import pandas as pd

_LOCK = Lock()
_UNPACKED: dict[str, tempfile.TemporaryDirectory[str]] = {}  # by digest of the bundle; at most one


@dataclass(frozen=True)
class Bundle:
    """A model's code as it is now, its parameters, and the rows that experiments see."""

    package: str
    name: str
    params: Params
    files: dict[str, bytes]
    rows: "pd.DataFrame"
    digest: str


@dataclass(frozen=True)
class TrialResult:
    """The metrics of each fold; or the reason why the trial failed."""

    scores: Scores = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0

    @classmethod
    def failed(cls, error: object, seconds: float = 0.0) -> "TrialResult":
        """The result of a trial that ended with an error."""
        kind = "" if isinstance(error, DslpError | str) else f"{type(error).__name__}: "
        return cls(reason=error_line(f"{kind}{error}"), seconds=seconds)


def bundle_model(experiment: Experiment) -> Bundle:
    """All that a worker needs for trials of the experiment's model."""
    model, source = experiment.model, experiment.model.project.source
    files = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    digest = hashlib.sha256(f"{experiment.data.digest}{model.params}".encode())
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    rows = experiment.data.development
    return Bundle(model.project.package, model.name, model.params, files, rows, digest.hexdigest())


def run_trial(bundle: Bundle, candidate: str, settings: Mapping[str, Any]) -> TrialResult:
    """Cross-validate the candidate with these settings; an error becomes a failed result."""
    from threadpoolctl import threadpool_limits

    started = time.monotonic()
    try:
        model = _unpack(bundle)
        with threadpool_limits(1):  # there is a worker for each core
            scores = cross_validate(model, bundle.rows, candidate, settings)
    except Exception as error:  # the model's own code raises anything
        return TrialResult.failed(error, time.monotonic() - started)
    return TrialResult(scores, seconds=time.monotonic() - started)


def _unpack(bundle: Bundle) -> Model:
    """The model in a folder of this process; modules of an earlier bundle are removed."""
    with _LOCK:
        if bundle.digest not in _UNPACKED:
            for old in _UNPACKED.values():
                source = str(Path(old.name) / "src")
                sys.path[:] = [path for path in sys.path if path != source]
                old.cleanup()
            _UNPACKED.clear()
            for name in [name for name in sys.modules if name.split(".")[0] == bundle.package]:
                del sys.modules[name]
            folder = tempfile.TemporaryDirectory(prefix="dslp-sweep-")
            for file, content in bundle.files.items():
                path = Path(folder.name) / "src" / bundle.package / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _UNPACKED[bundle.digest] = folder
        root = Path(_UNPACKED[bundle.digest].name)
        project = Project(root=root, package=bundle.package, data=root / "data")
        model = Model(project, bundle.name, bundle.params)
        model.function("train"), model.function("evaluate")  # imported before threads may race
        return model
