"""One trial of a sweep, wherever it is computed: all that it needs comes in one parcel.

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
_UNPACKED: dict[str, tempfile.TemporaryDirectory[str]] = {}  # by parcel; at most one is kept


@dataclass(frozen=True)
class Parcel:
    """A model's code as it is now, its parameters, and the rows that experiments see."""

    package: str
    name: str
    params: Params
    files: dict[str, bytes]
    rows: "pd.DataFrame"
    identity: str


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: the metrics of each fold, or the reason why there are none."""

    scores: Scores = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0


def pack_trials(experiment: Experiment) -> Parcel:
    """What a worker needs for trials of the experiment's model."""
    model = experiment.model
    source = model.project.source
    files = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    total = hashlib.sha256(f"{experiment.data.digest}{model.params}".encode())
    for name, content in files.items():
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return Parcel(
        model.project.package,
        model.name,
        model.params,
        files,
        experiment.data.development,
        total.hexdigest(),
    )


def run_trial(given: Parcel, candidate: str, settings: Mapping[str, Any]) -> Outcome:
    """Cross-validate the candidate with these settings; a failure is an outcome, not an error."""
    from threadpoolctl import threadpool_limits

    started = time.monotonic()
    try:
        model = _unpacked(given)
        with threadpool_limits(1):  # a worker is there for each core
            scores = cross_validate(model, given.rows, candidate, settings)
    except DslpError as error:
        return Outcome(reason=str(error), seconds=time.monotonic() - started)
    except Exception as error:
        reason = f"{type(error).__name__}: {error_line(error)}"
        return Outcome(reason=reason, seconds=time.monotonic() - started)
    return Outcome(scores, seconds=time.monotonic() - started)


def _unpacked(given: Parcel) -> Model:
    """The model in a folder of this process; what was imported of another parcel is forgotten."""
    with _LOCK:
        if given.identity not in _UNPACKED:
            for old in _UNPACKED.values():
                source = str(Path(old.name) / "src")
                sys.path[:] = [path for path in sys.path if path != source]
                old.cleanup()
            _UNPACKED.clear()
            for name in [name for name in sys.modules if name.split(".")[0] == given.package]:
                del sys.modules[name]
            folder = tempfile.TemporaryDirectory(prefix="dslp-sweep-")
            for file, content in given.files.items():
                path = Path(folder.name) / "src" / given.package / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _UNPACKED[given.identity] = folder
        root = Path(_UNPACKED[given.identity].name)
        project = Project(root=root, package=given.package, data=root / "data")
        model = Model(project, given.name, given.params)
        model.function("train"), model.function("evaluate")  # imported before threads may race
        return model
