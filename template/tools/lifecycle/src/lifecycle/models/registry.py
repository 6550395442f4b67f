"""The registry: versions of a model, one of them the champion and one its challenger (M5, M7).

Roles are aliases where the server has them, and tags everywhere.
"""

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.errors import LifecycleError, Refused
from lifecycle.experiments.model import Model
from lifecycle.experiments.tracking import Tracking, answering
from lifecycle.models.gates import Verdict, verdicts
from lifecycle.models.signature import signature
from lifecycle.models.train import ARTIFACT
from lifecycle.project import git

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ROLE = "lifecycle.role"
CARRIED = (  # what a version repeats of its run, so that the registry answers by itself
    "lifecycle.ask",
    "lifecycle.candidate",
    "lifecycle.clean",
    "lifecycle.commit",
    "lifecycle.dataset",
    "lifecycle.dataset_digest",
    "lifecycle.environment",
)


@answering()
def register(model: Model) -> tuple[str, bool]:
    """Register the last trained model as a version, and make it the challenger.

    Returns:
        The version, and whether it is new; the same training is registered once.

    Raises:
        Refused: `schema.py` is not the one that the model was trained under.
        LifecycleError: nothing was trained.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    tracking = Tracking.open(model.project)
    runs = tracking.client.search_runs(
        [tracking.experiment(model.name)],
        filter_string="tags.`lifecycle.kind` = 'training' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not runs:
        raise LifecycleError(
            f"nothing to register; first: uv run lifecycle model train {model.name}"
        )
    run = runs[0]
    for known in versions(model, tracking):
        if known.run_id == run.info.run_id:
            return str(known.version), False
    address = f"runs:/{run.info.run_id}/{ARTIFACT}"
    if mlflow.models.get_model_info(address).signature != signature(model):
        raise Refused(
            f"{model.folder / 'schema.py'} has changed since {model.name} was trained; "
            f"train it again: uv run lifecycle model train {model.name}"
        )
    tags = {name: run.data.tags[name] for name in CARRIED if name in run.data.tags}
    tags |= {name: f"{value:.6g}" for name, value in run.data.metrics.items()}
    former = holder(model, tracking, "challenger")
    try:
        made = mlflow.register_model(address, model.name, tags=tags | {ROLE: "challenger"})
    except MlflowException as error:
        raise LifecycleError(f"{model.name} cannot be registered: {error}") from error
    if former is not None:
        tag(model, tracking, former, {ROLE: "superseded"})
    alias(model, tracking, "challenger", str(made.version))
    return str(made.version), True


@answering()
def promote(model: Model, why: str = "") -> tuple[str, list[Verdict]]:
    """Make the challenger the champion, if it passes its gates.

    Returns:
        The version, and what each gate said.

    Raises:
        GatesFailed: a gate is not passed; nothing was changed.
        LifecycleError: there is no challenger.
    """
    tracking = Tracking.open(model.project)
    challenger = holder(model, tracking, "challenger")
    champion = holder(model, tracking, "champion")
    if challenger is None:
        state = f"; version {champion} is the champion" if champion else ""
        raise LifecycleError(
            f"{model.name} has no challenger{state}; first: uv run lifecycle model register"
        )
    found = verdicts(model, challenger, champion)
    if not all(verdict.passed for verdict in found):
        raise GatesFailed(model, challenger, found)
    audit = {
        "lifecycle.promoted_by": _who(model),
        "lifecycle.promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lifecycle.promoted_why": why or "not said",
    }
    tag(model, tracking, challenger, audit | {ROLE: "champion"})
    alias(model, tracking, "champion", challenger)
    if champion is not None:
        tag(model, tracking, champion, {ROLE: "former champion"})
    alias(model, tracking, "challenger", None)
    return challenger, found


def _who(model: Model) -> str:
    """Who promotes, as git knows them, else as the system does."""
    asked = git(model.project, "config", "user.name")
    if asked:
        return asked
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user may have no name
        return "unknown"


class GatesFailed(Refused):
    """The challenger did not pass its gates.

    Attributes:
        verdicts: what each gate said.
    """

    def __init__(self, model: Model, version: str, found: list[Verdict]) -> None:
        """Name the version and the gates that it did not pass."""
        failed = ", ".join(verdict.gate for verdict in found if not verdict.passed)
        super().__init__(f"{model.name} version {version} stays the challenger: {failed}")
        self.verdicts = found


def versions(model: Model, tracking: Tracking) -> "list[ModelVersion]":
    """All versions of the model, newest first."""
    found = tracking.client.search_model_versions(f"name = '{model.name}'")
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def holder(model: Model, tracking: Tracking, role: str) -> str | None:
    """The version that has the role, if one has."""
    for version in versions(model, tracking):
        if version.tags.get(ROLE) == role:
            return str(version.version)
    return None


def tag(model: Model, tracking: Tracking, version: str, values: Mapping[str, str]) -> None:
    """Write facts to a version."""
    for name, value in values.items():
        tracking.client.set_model_version_tag(model.name, version, name, value)


def alias(model: Model, tracking: Tracking, role: str, version: str | None) -> None:
    """Point the role's alias to a version, or nowhere; a server without aliases has the tags."""
    from mlflow.exceptions import MlflowException

    try:
        if version is None:
            tracking.client.delete_registered_model_alias(model.name, role)
        else:
            tracking.client.set_registered_model_alias(model.name, role, version)
    except (MlflowException, NotImplementedError):
        pass
