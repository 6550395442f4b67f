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


@dataclass(frozen=True)
class RecordedRun:
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
        address = tracking_uri(project)
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
                reason = error_line(error, 2_000)
                reason = reason.partition("(Caused by ")[2] or reason
                raise DslpError(
                    f"tracking at {redact(address)} does not answer: {reason[:160]}"
                ) from error
        return cls(project, client)

    def named(self, name: str) -> str:
        """The name that the experiment `name` has in MLflow.

        What stands before it is `DSLP_EXPERIMENT_PREFIX`. Databricks takes only the path of a
        place in its workspace, which is `/Shared/` and the project's package by default.
        """
        prefix = os.environ.get("DSLP_EXPERIMENT_PREFIX", "")
        if not prefix and tracking_uri(self.project).startswith("databricks"):
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
        if tracking_uri(self.project).startswith("sqlite:///"):
            folder = (self.project.root / "mlruns" / "artifacts" / name).as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=folder))
        except MlflowException:  # somebody else made it a moment ago, or it is an error
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)


@contextmanager
def ended_on_error(record: RecordedRun) -> Iterator[None]:
    """End the run as failed or killed when the block does not come to its end."""
    try:
        yield
    except BaseException as error:
        record.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn what MLflow refuses, or a server that went away, into one line.

    Raises:
        DslpError: in place of MLflow's own error.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = error_line(error)
        raise DslpError(f"the tracking server says no: {reason}") from error


def tracking_uri(project: Project) -> str:
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


def tracking_address(project: Project) -> str:
    """Address of the tracking, or nothing where there is none, or none is known here."""
    if not find_spec("mlflow"):
        return ""
    try:
        return tracking_uri(project)
    except DslpError:
        return ""


def unshared_reason(project: Project) -> str:
    """Why nothing that is registered here would be seen elsewhere, if so."""
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
    stated = os.environ.get("MLFLOW_REGISTRY_URI")
    if stated:
        return stated
    if address == "databricks" or address.startswith("databricks://"):
        return address.replace("databricks", "databricks-uc", 1)
    return address


def registered_name(project: Project, name: str) -> str:
    """The name that a model has in the registry.

    Unity Catalog wants three parts: `DSLP_REGISTRY_PREFIX`, which is a catalog and a
    schema such as `main.pricing`, and the model's own name.

    Raises:
        DslpError: the prefix is not set, and the registry needs it.
    """
    prefix = os.environ.get("DSLP_REGISTRY_PREFIX", "")
    if registry_uri(tracking_uri(project)).startswith("databricks-uc") and prefix.count(".") != 1:
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
            f"tracking at {redact(address)[:60]} needs the package azureml-mlflow; the answer "
            "tracking: azureml brings it: uvx copier update --data tracking=azureml, then uv sync"
        )


def _asked(address: str) -> None:
    """Connect to a database once, and raise what it says: MLflow asks for a minute and a half."""
    if address.startswith(("postgresql", "mysql")):
        from sqlalchemy import create_engine

        create_engine(address, connect_args={"connect_timeout": 5}).connect().close()


def viewing_command(project: Project) -> str:
    """The command or the address that shows the runs to a person."""
    address = tracking_uri(project)
    if address.startswith("sqlite:///"):
        file = Path(address.removeprefix("sqlite:///"))
        if file.is_relative_to(project.root):
            file = file.relative_to(project.root)
        return f"uv run mlflow ui --backend-store-uri sqlite:///{file.as_posix()}"
    return redact(address)
