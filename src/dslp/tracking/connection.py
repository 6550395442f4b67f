"""Where runs are recorded: a file, a server or a workspace, by configuration alone (E1, G3)."""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST_LENGTH = 36  # characters that MLflow keeps of a dataset's digest; the whole one is a tag
LOCAL = "sqlite:///"  # begins the address of a database file


@dataclass(frozen=True)
class ActiveRun:
    """A run that is being recorded."""

    client: "MlflowClient"
    run_id: str

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Add metrics to the run."""
        for name, value in metrics.items():
            self.client.log_metric(self.run_id, name, value, step=step)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags to the run."""
        for name, value in tags.items():
            self.client.set_tag(self.run_id, name, value)

    def end(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)


@dataclass(frozen=True)
class Tracking:
    """The tracking server of a project, and MLflow's client for it."""

    project: Project
    client: "MlflowClient"

    @classmethod
    def open(cls, project: Project) -> "Tracking":
        """Connect to the tracking server, without MLflow's messages and minutes of retries.

        Raises:
            DslpError: the address is not set, or the server does not answer.
        """
        address = tracking_uri(project)
        _require_plugin(address)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # by default it takes minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
        import mlflow
        from mlflow.utils.logging_utils import disable_logging

        disable_logging()  # messages only; errors are raised all the same
        for name in ("alembic", "mlflow.utils.environment"):  # uv's environments have no pip
            logging.getLogger(name).setLevel(logging.ERROR)
        local, registry = address.startswith(LOCAL), registry_uri(address)
        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(registry)
        for retries_left in (2, 1, 0):
            try:
                if local:
                    (project.root / "mlruns").mkdir(exist_ok=True)
                _connect_to_database(address)
                client = mlflow.MlflowClient(address, registry)
                client.search_experiments(max_results=1)
                break
            except Exception as error:  # the client passes on whatever its transport raises
                if local and retries_left:  # two commands may create the tables at the same time
                    time.sleep(1)
                    continue
                reason = error_line(error, 2_000)
                reason = reason.partition("(Caused by ")[2] or reason
                raise DslpError(
                    f"tracking at {redact(address)} does not answer: {error_line(reason, 160)}"
                ) from error
        return cls(project, client)

    def experiment_name(self, name: str) -> str:
        """The name in MLflow of an experiment of this project.

        DSLP_EXPERIMENT_PREFIX is put before it. Databricks takes only paths in its workspace:
        without a prefix it is `/Shared/`, the project's package and a hyphen.
        """
        prefix = os.environ.get("DSLP_EXPERIMENT_PREFIX", "")
        if not prefix and tracking_uri(self.project).startswith("databricks"):
            prefix = f"/Shared/{self.project.package}-"
        return prefix + name

    def experiment_id(self, name: str) -> str:
        """The identifier of an experiment of this project, which is created if it is missing."""
        from mlflow.exceptions import MlflowException

        name = self.experiment_name(name)
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            folder = None
            if local_database(self.project):
                folder = (self.project.root / "mlruns" / "artifacts" / name).as_uri()
            try:
                return str(self.client.create_experiment(name, artifact_location=folder))
            except MlflowException:  # another command may have created it a moment ago
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        return str(experiment.experiment_id)


@contextmanager
def ended_on_error(run: ActiveRun) -> Iterator[None]:
    """End the run as FAILED or KILLED when the block raises."""
    try:
        yield
    except BaseException as error:
        run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn an error of MLflow or its server into one line.

    Raises:
        DslpError: in place of MLflow's own error.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise DslpError(f"the tracking server refused: {error_line(error)}") from error


def tracking_uri(project: Project) -> str:
    """Address of the tracking server: MLFLOW_TRACKING_URI, or what the project's setting means.

    Raises:
        DslpError: the setting needs an address, and MLFLOW_TRACKING_URI is not set.
    """
    if address := os.environ.get("MLFLOW_TRACKING_URI"):
        return address
    if project.tracking == "local":
        return f"{LOCAL}{project.root / 'mlruns' / 'mlflow.db'}"
    if project.tracking == "databricks":
        return "databricks"
    raise DslpError(
        f"tracking is {project.tracking}, and MLFLOW_TRACKING_URI is not set; write it in .env"
    )


def tracking_address(project: Project) -> str:
    """Address of the tracking server; empty where MLflow is not installed, or no address is set."""
    try:
        return tracking_uri(project) if find_spec("mlflow") else ""
    except DslpError:
        return ""


def local_database(project: Project) -> Path | None:
    """The database file of local tracking, whether it exists or not; None with a server."""
    address = tracking_uri(project)
    return Path(address.removeprefix(LOCAL)) if address.startswith(LOCAL) else None


def require_records(project: Project, first: str) -> None:
    """Check that something may have been recorded, before MLflow is imported and makes a database.

    Raises:
        DslpError: tracking is local, and its database is missing; `first` is the command to run.
    """
    database = local_database(project)
    if database and not database.exists():
        raise DslpError(f"no run is recorded: {database} is missing; first: {first}")


def unshared_reason(project: Project) -> str:
    """Why nobody else would see what is registered on this machine; empty where they would."""
    if not find_spec("mlflow"):
        return "this project has no tracking; answer components with experiments as well"
    local = re.match(r"(sqlite|file):|(?!databricks)[^:]+$", tracking_address(project))
    if local and (os.environ.get("GITHUB_ACTIONS") or os.environ.get("CI")):
        return (
            "tracking is a file of this machine, which ends with the job; "
            "for a record that lasts, set MLFLOW_TRACKING_URI to a server"
        )
    return ""


def registry_uri(address: str) -> str:
    """Where models are registered: beside the runs; with Databricks, in its Unity Catalog."""
    if registry := os.environ.get("MLFLOW_REGISTRY_URI"):
        return registry
    if address == "databricks" or address.startswith("databricks://"):
        return address.replace("databricks", "databricks-uc", 1)
    return address


def registered_name(project: Project, name: str) -> str:
    """The name that a model has in the registry.

    Unity Catalog needs three parts: DSLP_REGISTRY_PREFIX, which is a catalog and a schema such as
    `main.pricing`, and the model's own name.

    Raises:
        DslpError: the registry needs the prefix, and it is not set.
    """
    prefix = os.environ.get("DSLP_REGISTRY_PREFIX", "")
    if registry_uri(tracking_uri(project)).startswith("databricks-uc") and prefix.count(".") != 1:
        raise DslpError(
            f"{name} needs a catalog and a schema in Unity Catalog; write them in .env: "
            "DSLP_REGISTRY_PREFIX=catalog.schema"
        )
    return f"{prefix}.{name}" if prefix and not name.startswith(f"{prefix}.") else name


def viewing_command(project: Project) -> str:
    """The command, or the address, that shows the runs to a person."""
    file = local_database(project)
    if file is None:
        return redact(tracking_uri(project))
    if file.is_relative_to(project.root):
        file = file.relative_to(project.root)
    return f"uv run mlflow ui --backend-store-uri {LOCAL}{file.as_posix()}"


def _require_plugin(address: str) -> None:
    """Name the package that MLflow needs for AzureML's addresses, where it is not installed."""
    if address.startswith("azureml:") and not entry_points(
        group="mlflow.tracking_store", name="azureml"
    ):
        raise DslpError(
            f"tracking at {redact(address)[:60]} needs the package azureml-mlflow; the answer "
            "tracking: azureml brings it: uvx copier update --data tracking=azureml, then uv sync"
        )


def _connect_to_database(address: str) -> None:
    """Connect once and raise the database's own error; MLflow would retry for 90 seconds."""
    if address.startswith(("postgresql", "mysql")):
        from sqlalchemy import create_engine

        create_engine(address, connect_args={"connect_timeout": 5}).connect().close()
