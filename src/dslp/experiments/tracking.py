"""Where runs are recorded: a file, a server or a workspace, by configuration alone (E1, G3)."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.errors import DslpError
from dslp.experiments.material import Material
from dslp.experiments.model import Model
from dslp.experiments.provenance import facts, parameters
from dslp.project import Project, redacted

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

    def end(self, status: str) -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.identifier, status)


@dataclass(frozen=True)
class Tracking:
    """The tracking server of a project, with MLflow's own client for all that is not here."""

    project: Project
    client: "MlflowClient"

    @classmethod
    def open(cls, project: Project) -> "Tracking":
        """Reach the tracking server, quietly, and without minutes of retries.

        Raises:
            DslpError: its address is not known, or it does not answer.
        """
        address = uri(project)
        _plugged(address)
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
        registry = registry_uri(address)
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(registry)
        for left in (2, 1, 0):
            try:
                if local:
                    (project.root / "mlruns").mkdir(exist_ok=True)
                _asked(address)
                client = mlflow.MlflowClient(address, registry)
                client.search_experiments(max_results=1)
                break
            except Exception as error:  # the client passes on whatever its transport raises
                if local and left:  # two that begin at once may both be making the tables
                    time.sleep(1)
                    continue
                reason = redacted(" ".join(str(error).split()))  # redacted before it is cut
                reason = reason.partition("(Caused by ")[2] or reason
                raise DslpError(
                    f"tracking at {redacted(address)} does not answer: {reason[:160]}"
                ) from error
        return cls(project, client)

    def named(self, name: str) -> str:
        """The name that the experiment `name` has in MLflow.

        What stands before it is `DSLP_EXPERIMENT_PREFIX`. Databricks takes only the path of a
        place in its workspace, which is `/Shared/` and the project's package by default.
        """
        prefix = os.environ.get("DSLP_EXPERIMENT_PREFIX", "")
        if not prefix and uri(self.project).startswith("databricks"):
            prefix = f"/Shared/{self.project.package}-"
        return prefix + name

    def experiment(self, name: str) -> str:
        """Identifier of the MLflow experiment that is `named` so, made if there is none."""
        from mlflow.exceptions import MlflowException

        name = self.named(name)
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        folder = None
        if uri(self.project).startswith("sqlite:///"):
            folder = (self.project.root / "mlruns" / "artifacts" / name).as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=folder))
        except MlflowException:  # somebody else made it a moment ago, or it is an error
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def begin(
        self,
        model: Model,
        data: Material,
        candidate: str,
        tags: Mapping[str, str],
        *,
        settings: Mapping[str, Any] | None = None,
        issue: int | None = None,
        name: str | None = None,
    ) -> Record:
        """A new run that says what it is made from; whoever begins it ends it.

        Args:
            model: what is tried or trained.
            data: what it is made from.
            candidate: of `params.yml`.
            tags: more facts, `dslp.kind` among them.
            settings: of the candidate, where they are others than in `params.yml`.
            issue: number of the run's issue, where the branch is not named for it.
            name: of the run, the candidate's by default.
        """
        from dslp.experiments.assumptions import outcome
        from dslp.experiments.environment import version
        from mlflow.entities import Dataset, DatasetInput, Param

        chosen = model.params.candidates[candidate] if settings is None else settings
        stated = {
            **facts(model, data, candidate, chosen, issue),
            "dslp.environment_version": version(self),
            **tags,
        }
        if "dslp.assumptions" not in stated:
            stated["dslp.assumptions"] = outcome(model).tag
        experiment = self.experiment(model.name)
        started = self.client.create_run(experiment, run_name=name or candidate, tags=stated)
        record = Record(self.client, str(started.info.run_id))
        dataset = Dataset(
            name=model.params.dataset.name,
            digest=data.digest[:DIGEST],
            source_type="local",
            source=str(model.dataset.processed),
        )
        with ending(record):
            given = [Param(*pair) for pair in parameters(model, candidate, settings).items()]
            self.client.log_batch(record.identifier, params=given)
            self.client.log_inputs(record.identifier, [DatasetInput(dataset, [])])
        return record

    @contextmanager
    def run(
        self, model: Model, data: Material, candidate: str, tags: Mapping[str, str], **more: Any
    ) -> Iterator[Record]:
        """Record a run from its beginning (`begin`) to its end, whatever happens."""
        with answering():
            record = self.begin(model, data, candidate, tags, **more)
            with ending(record):
                yield record
            record.end("FINISHED")


@contextmanager
def ending(record: Record) -> Iterator[None]:
    """End the run as failed or killed when the block does not come to its end."""
    try:
        yield
    except BaseException as error:
        record.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


@contextmanager
def answering() -> Iterator[None]:
    """Turn what MLflow refuses, or a server that went away, into one line.

    Raises:
        DslpError: in place of MLflow's own error.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = redacted(" ".join(str(error).split()))[:240]
        raise DslpError(f"the tracking server says no: {reason}") from error


def uri(project: Project) -> str:
    """Address of the tracking server: `MLFLOW_TRACKING_URI`, or what the project answered.

    Raises:
        DslpError: the project's answer needs the address, and it is not set.
    """
    stated = os.environ.get("MLFLOW_TRACKING_URI")
    if stated:
        return stated
    if project.tracking == "local":
        return f"sqlite:///{project.root / 'mlruns' / 'mlflow.db'}"
    if project.tracking == "databricks":
        return "databricks"
    raise DslpError(
        f"tracking is {project.tracking}, and MLFLOW_TRACKING_URI is not set; write it in .env"
    )


def registry_uri(address: str) -> str:
    """Where models are registered: beside the runs; with Databricks, in its Unity Catalog."""
    stated = os.environ.get("MLFLOW_REGISTRY_URI")
    if stated:
        return stated
    if address == "databricks" or address.startswith("databricks://"):
        return address.replace("databricks", "databricks-uc", 1)
    return address


def registered(project: Project, name: str) -> str:
    """The name that a model has in the registry.

    Unity Catalog wants three parts: `DSLP_REGISTRY_PREFIX`, which is a catalog and a
    schema such as `main.pricing`, and the model's own name.

    Raises:
        DslpError: the prefix is not set, and the registry needs it.
    """
    prefix = os.environ.get("DSLP_REGISTRY_PREFIX", "")
    if registry_uri(uri(project)).startswith("databricks-uc") and prefix.count(".") != 1:
        raise DslpError(
            f"{name} needs a catalog and a schema in Unity Catalog; write them in .env: "
            "DSLP_REGISTRY_PREFIX=catalog.schema"
        )
    return f"{prefix}.{name}" if prefix and not name.startswith(f"{prefix}.") else name


def _plugged(address: str) -> None:
    """Say which package brings the scheme of an address to MLflow, if it is not there.

    Raises:
        DslpError: it is AzureML's, and its package is not installed.
    """
    if address.startswith("azureml:") and not entry_points(
        group="mlflow.tracking_store", name="azureml"
    ):
        raise DslpError(
            f"tracking at {redacted(address)[:60]} needs the package azureml-mlflow; the answer "
            "tracking: azureml brings it: uvx copier update --data tracking=azureml, then uv sync"
        )


def _asked(address: str) -> None:
    """Connect to a database once, and raise what it says: MLflow asks for a minute and a half."""
    if address.startswith(("postgresql", "mysql")):
        from sqlalchemy import create_engine

        create_engine(address, connect_args={"connect_timeout": 5}).connect().close()


def look(project: Project) -> str:
    """The command or the address that shows the runs to a person."""
    address = uri(project)
    if address.startswith("sqlite:///"):
        file = Path(address.removeprefix("sqlite:///"))
        if file.is_relative_to(project.root):
            file = file.relative_to(project.root)
        return f"uv run mlflow ui --backend-store-uri sqlite:///{file.as_posix()}"
    return redacted(address)
