"""Where runs are recorded, and what every run records of how it was made (E1, G3, V1)."""

import hashlib
import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError
from lifecycle.experiments.material import Material
from lifecycle.experiments.model import Model
from lifecycle.project import Project, git, redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST = 36  # characters that MLflow keeps of a dataset's digest; the whole one is a tag


@dataclass(frozen=True)
class Record:
    """A run that is being recorded."""

    client: "MlflowClient"
    identifier: str

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Add figures to the run."""
        for name, value in values.items():
            self.client.log_metric(self.identifier, name, value, step=step)

    def tags(self, values: Mapping[str, str]) -> None:
        """Add facts to the run."""
        for name, value in values.items():
            self.client.set_tag(self.identifier, name, value)


@dataclass(frozen=True)
class Tracking:
    """The tracking server of a project, with MLflow's own client for all that is not here."""

    project: Project
    client: "MlflowClient"

    @classmethod
    def open(cls, project: Project) -> "Tracking":
        """Reach the tracking server, quietly, and without minutes of retries.

        Raises:
            LifecycleError: its address is not known, or it does not answer.
        """
        address = uri(project)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
        import mlflow
        from mlflow.utils.logging_utils import disable_logging

        disable_logging()  # how MLflow makes its tables is no news; errors are raised all the same
        for chatty in ("alembic", "mlflow.utils.environment"):  # uv's environments have no pip
            logging.getLogger(chatty).setLevel(logging.ERROR)
        local = address.startswith("sqlite:///")
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(address)
        for left in (2, 1, 0):
            try:
                if local:
                    (project.root / "mlruns").mkdir(exist_ok=True)
                client = mlflow.MlflowClient(address, address)
                client.search_experiments(max_results=1)
                break
            except Exception as error:  # the client passes on whatever its transport raises
                if local and left:  # two that begin at once may both be making the tables
                    time.sleep(1)
                    continue
                reason = redacted(" ".join(str(error).split()))[:160]  # redacted before it is cut
                raise LifecycleError(
                    f"tracking at {redacted(address)} does not answer: {reason}"
                ) from error
        return cls(project, client)

    def experiment(self, name: str) -> str:
        """Identifier of the MLflow experiment called `name`, made if there is none."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        folder = None
        if uri(self.project).startswith("sqlite:///"):
            folder = (self.project.root / "mlruns" / "artifacts" / name).as_uri()
        return str(self.client.create_experiment(name, artifact_location=folder))

    @contextmanager
    def run(
        self, model: Model, data: Material, candidate: str, tags: Mapping[str, str]
    ) -> Iterator[Record]:
        """Record a candidate's run: what it is made from first, its end whatever happens."""
        from mlflow.entities import Dataset, DatasetInput, Param

        facts = {
            "lifecycle.model": model.name,
            "lifecycle.candidate": candidate,
            "lifecycle.dataset": f"{model.params.dataset.name} {data.version}",
            "lifecycle.dataset_digest": data.digest,
            "lifecycle.code": model.code,
            **provenance(self.project),
            **tags,
        }
        with answering():
            started = self.client.create_run(
                self.experiment(model.name), run_name=candidate, tags=facts
            )
            identifier = str(started.info.run_id)
            try:
                self.client.log_batch(
                    identifier,
                    params=[Param(*pair) for pair in parameters(model, candidate).items()],
                )
                dataset = Dataset(
                    name=model.params.dataset.name,
                    digest=data.digest[:DIGEST],
                    source_type="local",
                    source=str(model.dataset.processed),
                )
                self.client.log_inputs(identifier, [DatasetInput(dataset, [])])
                yield Record(self.client, identifier)
            except BaseException as error:
                interrupted = isinstance(error, KeyboardInterrupt)
                self.client.set_terminated(identifier, "KILLED" if interrupted else "FAILED")
                raise
            self.client.set_terminated(identifier, "FINISHED")


@contextmanager
def answering() -> Iterator[None]:
    """Turn what MLflow refuses, or a server that went away, into one line.

    Raises:
        LifecycleError: in place of MLflow's own error.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = redacted(" ".join(str(error).split()))[:240]
        raise LifecycleError(f"the tracking server says no: {reason}") from error


def uri(project: Project) -> str:
    """Address of the tracking server: `MLFLOW_TRACKING_URI`, or what the project answered.

    Raises:
        LifecycleError: the project's answer needs the address, and it is not set.
    """
    stated = os.environ.get("MLFLOW_TRACKING_URI")
    if stated:
        return stated
    if project.tracking == "local":
        return f"sqlite:///{project.root / 'mlruns' / 'mlflow.db'}"
    if project.tracking == "databricks":
        return "databricks"
    raise LifecycleError(
        f"tracking is {project.tracking}, and MLFLOW_TRACKING_URI is not set; write it in .env"
    )


def look(project: Project) -> str:
    """The command or the address that shows the runs to a person."""
    address = uri(project)
    if address.startswith("sqlite:///"):
        file = Path(address.removeprefix("sqlite:///"))
        if file.is_relative_to(project.root):
            file = file.relative_to(project.root)
        return f"uv run mlflow ui --backend-store-uri sqlite:///{file.as_posix()}"
    return redacted(address)


def provenance(project: Project) -> dict[str, str]:
    """Tags that say what a run was made from: commit, branch, clean or not (B10), environment.

    A folder without git, or a repository without a commit, is said to be that.
    """
    commit = git(project, "rev-parse", "HEAD")
    changes = git(project, "status", "--porcelain")
    lock = project.root / "uv.lock"
    return {
        "lifecycle.commit": commit or "none",
        "lifecycle.branch": git(project, "branch", "--show-current") or "none",
        "lifecycle.clean": "true" if commit and changes == "" else "false",
        "lifecycle.environment": (
            hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "not locked"
        ),
        "lifecycle.python": platform.python_version(),
    }


def parameters(model: Model, candidate: str) -> dict[str, str]:
    """What a run of the candidate records of `params.yml`: its own part, and the split."""
    return flattened(
        {
            "candidate": model.params.candidates[candidate],
            "split": model.params.split.model_dump(exclude_none=True),
        }
    )


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as MLflow keeps them: one text a name, levels joined by dots."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat
