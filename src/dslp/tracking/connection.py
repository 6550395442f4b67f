"""Where runs are recorded: a file, a server or a workspace, by configuration alone (E1, G3)."""

import json
import logging
import os
import platform
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dslp.core.console import notice
from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line, redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DIGEST_LENGTH = 36  # characters that MLflow keeps of a dataset's digest; the whole one is a tag
LOCAL = "sqlite:///"  # begins the address of a database file
PROCESS = "dslp.process"  # a tag: the machine and the process that a run is recorded from
OWN = re.compile("(file:.*?)/mlruns/artifacts/.+")  # address of an experiment of local tracking
# Tables and columns of MLflow's database that hold addresses of artifacts.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("logged_models", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


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

    def log_dataset(
        self, name: str, digest: str, source: str, columns: Mapping[str, str], rows: int
    ) -> None:
        """Add the dataset that the run used or registers, with the type of each column."""
        from mlflow.entities import Dataset, DatasetInput

        schema = [{"name": column, "type": kind} for column, kind in columns.items()]
        dataset = Dataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps({"mlflow_colspec": schema}),
            profile=json.dumps({"num_rows": rows}),
        )
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, [])])

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

        mlflow.set_tracking_uri(address)
        mlflow.set_registry_uri(registry_uri(address))
        return cls(project, _connect(address, registry_uri(address), project.root))

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

        name, folder = self.experiment_name(name), None
        if local_database(self.project):
            folder = (self.project.root / "mlruns" / "artifacts" / name).as_uri()
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self.client.create_experiment(name, artifact_location=folder))
            except MlflowException:  # another command may have created it a moment ago
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        self._end_killed_runs(str(experiment.experiment_id))
        return str(experiment.experiment_id)

    def _end_killed_runs(self, experiment: str) -> None:
        """End the runs of this machine whose process ended without a chance to say so."""
        from mlflow.exceptions import MlflowException

        for run in self.client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            if _process_lives(run) is False:
                info = self.client.get_run(run.info.run_id).info
                if info.status == "RUNNING":  # it has not ended itself meanwhile
                    with suppress(MlflowException):  # a database that can only be read
                        self.client.set_terminated(info.run_id, "KILLED")


def _process_lives(run: "Run") -> bool | None:
    """Whether the process that records a run still exists; None where that cannot be seen."""
    machine, _, process = run.data.tags.get(PROCESS, "").rpartition(":")
    if machine != platform.node() or os.name != "posix" or not process.isdecimal():
        return None
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another person's process; no number of a process
        return True
    return True


def process_tag() -> dict[str, str]:
    """The tag by which a later command sees that the process of a run was killed."""
    return {PROCESS: f"{platform.node()}:{os.getpid()}"}


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


@contextmanager
def artifact_errors(run_id: str) -> Iterator[None]:
    """Turn an error of the disk that artifacts are written to, such as a full one, into one line.

    Raises:
        DslpError: in place of the system's error.
    """
    try:
        yield
    except OSError as error:
        problem = f"the artifacts of run {run_id} cannot be written"
        raise DslpError(f"{problem}: {error_line(error)}") from error


def tracking_uri(project: Project) -> str:
    """Address of the tracking server: MLFLOW_TRACKING_URI, or what the project's setting means.

    Raises:
        DslpError: the setting needs an address, and MLFLOW_TRACKING_URI is not set.
    """
    defaults = {"local": local_address(project.root), "databricks": "databricks"}
    address = os.environ.get("MLFLOW_TRACKING_URI") or defaults.get(project.tracking)
    if not address:
        problem = f"tracking is {project.tracking}, and MLFLOW_TRACKING_URI is not set"
        raise DslpError(f"{problem}; write it in .env")
    return address


def local_address(root: Path) -> str:
    """Address of the database of local tracking, in the project itself."""
    return f"{LOCAL}{root / 'mlruns' / 'mlflow.db'}"


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


@cache
def _connect(address: str, registry: str, root: Path) -> "MlflowClient":
    """MLflow's client for a server that answers."""
    import mlflow
    from mlflow.utils.logging_utils import disable_logging

    disable_logging()  # messages only; errors are raised all the same
    for name in ("alembic", "mlflow.utils.environment"):  # uv's environments have no pip
        logging.getLogger(name).setLevel(logging.ERROR)
    local = address.startswith(LOCAL)
    for retries_left in (2, 1, 0):
        try:
            if local:
                (root / "mlruns").mkdir(exist_ok=True)
            _connect_to_database(address)
            client = mlflow.MlflowClient(address, registry)
            experiments = client.search_experiments(max_results=1_000 if local else 1)
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
    if address == local_address(root):
        # The project's own experiments: others may have a place of their own, such as a bucket.
        places = {
            match[1] for each in experiments if (match := OWN.fullmatch(each.artifact_location))
        }
        if moved := places - {root.as_uri()}:
            running = client.search_runs(
                [each.experiment_id for each in experiments], "attributes.status = 'RUNNING'"
            )
            if any(map(_process_lives, running)):
                raise DslpError(
                    f"this project was moved from {min(moved)} while a run is being recorded; "
                    "wait until it has ended"
                )
        for place in moved:
            _correct_addresses(root, place)
    return client


def _correct_addresses(root: Path, before: str) -> None:
    """Let the records of a project that was moved or copied name its present folder.

    MLflow keeps absolute addresses of artifacts, its own default as a path, and has no method that
    changes them (mlflow/mlflow#3144).

    Raises:
        DslpError: the database cannot be changed, for another reason than that it is read-only.
    """
    folders = ((before, root.as_uri()), (unquote(urlsplit(before).path), root.as_posix()))
    moved = f"this project was moved from {before}: the addresses of its artifacts"
    try:
        with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as database, database:
            for table, column in ADDRESSES:
                change = f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1)"
                where = f"WHERE substr({column}, 1, length(?)) = ?"
                for old, new in folders:
                    begin = f"{old}/mlruns/"
                    after = (f"{new}/mlruns/", begin, begin, begin)
                    database.execute(f"{change} {where}", after)
    except sqlite3.Error as error:
        problem = f"{moved} cannot be corrected: {error_line(error)}"
        if error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return notice(problem)
        raise DslpError(problem) from error
    notice(f"{moved} were corrected")


def _connect_to_database(address: str) -> None:
    """Connect once and raise the database's own error; MLflow would retry for 90 seconds."""
    if address.startswith(("postgresql", "mysql")):
        from sqlalchemy import create_engine

        create_engine(address, connect_args={"connect_timeout": 5}).connect().close()
