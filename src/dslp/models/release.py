"""Registering a trained model as a version, and promoting it past its gates (M5, M6, M7)."""

from contextlib import suppress
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError, Refused
from dslp.core.semver import next_version, parse_version
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.experiments.model import Model
from dslp.models.api import Api
from dslp.models.gate_checks import check_gates, dataset_gate
from dslp.models.gates import GateResult, failed_gates, gates_tag, override_tag
from dslp.models.persistence import FILES, files_digest
from dslp.models.training import ARTIFACT, TrainedModel, training_run
from dslp.models.versioning import Proposal, choose_version, propose_version
from dslp.tracking.connection import PROCESS, Tracking, mlflow_errors
from dslp.tracking.registry import SEMANTIC, WAITING, Registry, Release

if TYPE_CHECKING:
    from mlflow.entities import Run


class GatesFailed(Refused):
    """The challenger did not pass its gates.

    Attributes:
        results: of its gates.
    """

    def __init__(self, subject: str, results: list[GateResult]) -> None:
        """Name the version and the gates that it did not pass."""
        super().__init__(f"{subject}: {failed_gates(results)}")
        self.results = results


@mlflow_errors()
def register(
    model: Model,
    version: str | None = None,
    why: str = "",
    issue: int | None = None,
    run: str | None = None,
) -> tuple[Release, Proposal | None, bool]:
    """Register a trained model as a version, and make it the challenger.

    Args:
        model: of the project.
        version: semantic version; by default the one that is proposed from the changes.
        why: the reason, kept in the history.
        issue: number of the issue that it is done for.
        run: of the training; by default the last one.

    Returns:
        The version; the proposal, if there was an earlier version; and whether it is new: the same
        training is registered once.

    Raises:
        Refused: the version is too small for the changes, `schema.py` was changed after the
            training, the training has another version already, or the dataset does not pass its
            own suite.
        DslpError: nothing was trained, or the registry says no.
    """
    tracking = Tracking.open(model.project)
    trained = training_run(model, tracking, run)
    number = str(trained.info.run_id)
    registry, proposal, created = Registry.read(model.project, model.name, tracking), None, ""
    release = registry.release_of(number)
    if release is None:
        created, proposal = _create_version(model, registry, trained, version, why, issue)
        registry = registry.reload()
        release = registry.release_of(number) or registry.release(created)
    elif version not in (None, release.semantic):
        problem = f"{release.label} is this very training, so it is not {version}"
        raise Refused(f"{model.name} {problem}; first: uv run dslp model train {model.name}")
    _raise_taken_version(registry, release)
    registry.update_challenger()
    return registry.reload().release(release.version), proposal, release.version == created


def _create_version(
    model: Model,
    registry: Registry,
    trained: "Run",
    version: str | None,
    why: str,
    issue: int | None,
) -> tuple[str, Proposal | None]:
    """The number of a new version, and its proposal."""
    from mlflow.exceptions import MlflowException

    project, client, run = model.project, registry.tracking.client, str(trained.info.run_id)
    subject = TrainedModel(project, run)
    gate = dataset_gate(model, subject)
    if not gate.passed:
        raise Refused(f"{model.name} is not registered: {gate.note}")
    try:
        Api(model).check(subject.folder)
    except DslpError as error:
        raise Refused(f"{error}; first: uv run dslp model train {model.name}") from None
    recorded, own = trained.data.tags, ("dslp.kind", PROCESS)
    tags = {n: tag for n, tag in recorded.items() if n.startswith("dslp.") and n not in own}
    versions = [one for one in registry.releases if one.semantic]
    last = max(versions, key=lambda one: parse_version(one.semantic), default=None)
    proposal = propose_version(last.semantic, last.tags, tags) if last else None
    semantic = choose_version(version, last.semantic if last else None, proposal)
    tags |= {name: f"{value:.6g}" for name, value in trained.data.metrics.items()}
    change = registry.new_change("register", "", "challenger", why, issue)
    tags |= dict([(SEMANTIC, semantic), (FILES, files_digest(subject.folder)), change.tag()])
    tags |= override_tag([gate])
    text = recorded["mlflow.note.content"]
    address = f"{trained.info.artifact_uri}/{ARTIFACT}"
    try:
        with suppress(MlflowException):  # there is one, or the next request raises it too
            client.create_registered_model(registry.name, description=text)
        options = {"tags": tags, "description": text}
        created = client.create_model_version(registry.name, address, run, **options)
    except Exception as error:  # whatever the registry's own plugin raises
        raise DslpError(f"{model.name} cannot be registered: {error_line(error)}") from error
    return str(created.version), proposal


def _raise_taken_version(registry: Registry, release: Release) -> None:
    """Raise the semantic version where another was registered with the same at the same time."""
    earlier = [one for one in registry.releases if int(one.version) < int(release.version)]
    semantic = release.semantic
    while semantic in [one.semantic for one in earlier]:
        semantic = ".".join(map(str, next_version(parse_version(semantic), "patch")))
    if semantic != release.semantic:
        registry.set_tags(release.version, {SEMANTIC: semantic})


@mlflow_errors()
def run_gates(
    model: Model, version: str | None, run: str | None = None
) -> tuple[str, list[GateResult]]:
    """Measure the gates of a version, or of the model of a run; by default of the last training.

    Returns:
        The label of the tested model, and the results.

    Raises:
        DslpError: there is no such version, or nothing was trained.
    """
    registry = Registry.read(model.project, model.name)
    if version is None:
        number = str(training_run(model, registry.tracking, run).info.run_id)
        release = next((o for o in registry.releases if o.run == number and o.semantic), None)
    else:
        release = registry.release(version)
        number = release.run
    subject = TrainedModel(model.project, number, release)
    champion = registry.in_role("champion")
    other = TrainedModel(model.project, champion.run, champion) if champion else None
    return subject.label, check_gates(model, subject, other if other != subject else None)


@mlflow_errors()
def promote(
    model: Model, why: str = "", issue: int | None = None
) -> tuple[Release, list[GateResult]]:
    """Make the challenger the champion, if it passes its gates.

    Returns:
        The version, and the results of its gates.

    Raises:
        GatesFailed: a gate is not passed; nothing was changed.
        Refused: somebody else has registered or promoted a version meanwhile.
        DslpError: there is no challenger.
    """
    registry = Registry.read(model.project, model.name)
    challenger, champion = registry.in_role("challenger"), registry.in_role("champion")
    if challenger is None:
        state = f"; {champion.label} is the champion" if champion else ""
        todo = f"first: uv run dslp model register {model.name}"
        raise DslpError(f"{model.name} has no challenger{state}; {todo}")
    other = TrainedModel(model.project, champion.run, champion) if champion else None
    subject = TrainedModel(model.project, challenger.run, challenger)
    results = check_gates(model, subject, other)
    if failed_gates(results):
        raise GatesFailed(f"{model.name} {challenger.label} stays the challenger", results)
    latest = registry.reload()
    if latest.in_use != registry.in_use:
        problem = f"somebody else has registered or promoted a version of {model.name} meanwhile"
        todo = f"uv run dslp model history {model.name}"
        raise Refused(f"{problem}; nothing was changed; next: {todo}")
    latest.set_tags(challenger.version, gates_tag(results) | override_tag(results))
    latest.make_champion("promote", challenger.version, why, issue)
    latest.update_challenger()
    return latest.reload().release(challenger.version), results


def rollback(
    name: str, project: Project, to: str | None = None, why: str = "", issue: int | None = None
) -> tuple[Release, Release | None]:
    """Make a former champion the champion again. No model is loaded, so none needs to load.

    A rollback that is run again, because it was interrupted, goes no further back.

    Args:
        name: of the model.
        project: whose registry it is in.
        to: the version to return to; by default, unless it was done already, the champion before
            the present one.
        why: the reason, kept in the history.
        issue: number of the issue that it is done for.

    Returns:
        The champion, and the one before: the same one where nothing was to do, or None.

    Raises:
        Refused: the version was never the champion.
        DslpError: there is no champion before the present one, or no such version.
    """
    registry = Registry.read(project, name)
    champion, history = registry.in_role("champion"), registry.history
    former = [n for n in history.former if n in [one.version for one in registry.releases]]
    if to:
        target = registry.release(to)
    elif champion and history.rolled_back:
        target = champion
    elif former:
        target = registry.release(former[0])
    else:
        problem = "no former champion to go back to" if champion else "no champion"
        state = f"{champion.label} stays the champion" if champion else "nothing to roll back"
        raise DslpError(f"{name} has {problem}; {state}")
    if target == champion:
        return target, champion
    if target.role in WAITING:
        todo = f"a version becomes it past its gates: uv run dslp model promote {name}"
        raise Refused(f"{name} {target.label} was never the champion; {todo}")
    registry.make_champion("rollback", target.version, why, issue)
    return target, champion
