"""Registering a trained model as a version, and promoting it past its gates (M5, M6, M7)."""

from dslp.core.errors import DslpError, Refused
from dslp.core.semver import next_version, parse_version
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.experiments.model import Model
from dslp.models.api import Api
from dslp.models.gate_checks import check_gates, dataset_gate
from dslp.models.gates import GateResult, failed_gates, gates_tag, override_tag
from dslp.models.persistence import FILES, files_digest
from dslp.models.trained_model import TrainedModel
from dslp.models.training import ARTIFACT, training_run
from dslp.models.versioning import Proposal, choose_version, propose_version
from dslp.tracking.connection import Tracking, mlflow_errors
from dslp.tracking.registry import ROLE, SEMANTIC, Registry, Release


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
        why: the reason, kept in the audit trail.
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
    import mlflow

    tracking = Tracking.open(model.project)
    trained = training_run(model, tracking, run)
    number = str(trained.info.run_id)
    registry = Registry.read(model.project, model.name, tracking)
    registry.write_roles()
    for release in registry.releases:
        if release.run == number:
            if version not in (None, release.semantic):
                problem = f"{release.label} is this very training, so it is not {version}"
                raise Refused(
                    f"{model.name} {problem}; first: uv run dslp model train {model.name}"
                )
            return release, None, False
    subject = TrainedModel(f"run {number[:8]}", number, "")
    gate = dataset_gate(model, subject)
    if not gate.passed:
        raise Refused(f"{model.name} is not registered: {gate.note}")
    folder = subject.folder
    try:
        Api(model).check(folder)
    except DslpError as error:
        raise Refused(f"{error}; first: uv run dslp model train {model.name}") from None
    tags = {name: value for name, value in trained.data.tags.items() if name.startswith("dslp.")}
    versions = [one for one in registry.releases if one.semantic]
    last = max(versions, key=lambda one: parse_version(one.semantic), default=None)
    proposal = propose_version(last.semantic, last.tags, tags) if last else None
    semantic = choose_version(version, last.semantic if last else None, proposal)
    tags |= {name: f"{value:.6g}" for name, value in trained.data.metrics.items()}
    # The entry is on the version itself, whose number it is.
    entry = registry.new_entry("register", "0", why, issue)
    tags |= {SEMANTIC: semantic, ROLE: "challenger", FILES: files_digest(folder), **entry.tag()}
    tags |= override_tag([gate])
    del tags["dslp.kind"]
    try:
        registered = mlflow.register_model(f"runs:/{number}/{ARTIFACT}", registry.name, tags=tags)
    except Exception as error:  # whatever the registry's own plugin raises
        raise DslpError(f"{model.name} cannot be registered: {error_line(error)}") from error
    registry.write_roles()
    return _with_own_version(registry, str(registered.version)), proposal, True


def _with_own_version(registry: Registry, number: str) -> Release:
    """The new version; its semantic version is raised if another got the same at the same time."""
    while True:
        release, *before = [
            one for one in registry.reload().releases if int(one.version) <= int(number)
        ]
        if release.semantic not in [one.semantic for one in before]:
            return release
        later = next_version(parse_version(release.semantic), "patch")
        registry.set_tags(number, {SEMANTIC: ".".join(map(str, later))})


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
    if version is not None:
        subject = TrainedModel.of(model.project, registry.release(version))
    else:
        trained = training_run(model, registry.tracking, run)
        number = trained.info.run_id
        label = f"{'' if run else 'trained last, '}run {number[:8]}"
        candidate = trained.data.tags.get("dslp.candidate", "")
        subject = TrainedModel(label, number, candidate)
        for release in registry.releases:
            if release.run == number:
                subject = TrainedModel.of(model.project, release)
    champion = registry.in_role("champion")
    other = TrainedModel.of(model.project, champion) if champion else None
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
    registry.write_roles()
    challenger, champion = registry.in_role("challenger"), registry.in_role("champion")
    if challenger is None:
        state = f"; {champion.label} is the champion" if champion else ""
        todo = f"first: uv run dslp model register {model.name}"
        raise DslpError(f"{model.name} has no challenger{state}; {todo}")
    other = TrainedModel.of(model.project, champion) if champion else None
    results = check_gates(model, TrainedModel.of(model.project, challenger), other)
    if failed_gates(results):
        raise GatesFailed(f"{model.name} {challenger.label} stays the challenger", results)
    latest = registry.reload()
    if latest.roles != registry.roles:
        problem = f"somebody else has registered or promoted a version of {model.name} meanwhile"
        todo = f"uv run dslp model history {model.name}"
        raise Refused(f"{problem}; nothing was changed; next: {todo}")
    latest.set_tags(challenger.version, gates_tag(results) | override_tag(results))
    latest.append(latest.new_entry("promote", challenger.version, why, issue))
    return latest.reload().release(challenger.version), results


def rollback(
    name: str, project: Project, to: str | None = None, why: str = "", issue: int | None = None
) -> tuple[Release, Release]:
    """Make a former champion the champion again. No model is loaded, so none needs to load.

    Args:
        name: of the model.
        project: whose registry it is in.
        to: the version to return to; by default the champion before the present one.
        why: the reason, kept in the audit trail.
        issue: number of the issue that it is done for.

    Returns:
        The new champion, and the one before.

    Raises:
        Refused: the version was never the champion, or is the champion already.
        DslpError: there is no champion, none before it, or no such version.
    """
    registry = Registry.read(project, name)
    registry.write_roles()
    champion, roles = registry.in_role("champion"), registry.roles
    if champion is None:
        raise DslpError(f"{name} has no champion, so there is nothing to roll back")
    if to is None and roles.former is None:
        state = f"{champion.label} stays the champion"
        raise DslpError(f"{name} has no former champion to go back to; {state}")
    target = registry.release(to or str(roles.former))
    if target == champion:
        raise Refused(f"{name} {target.label} is the champion already")
    if target.version not in (*roles.champions, *roles.taken_back):
        todo = f"a version becomes it past its gates: uv run dslp model promote {name}"
        raise Refused(f"{name} {target.label} was never the champion; {todo}")
    registry.append(registry.new_entry("rollback", target.version, why, issue))
    return target, champion
