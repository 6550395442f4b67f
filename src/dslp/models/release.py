"""Registering a trained model as a version, and promoting it past its gates (M5, M6, M7)."""

from dslp.core.errors import DslpError, Refused
from dslp.core.semver import next_version
from dslp.core.semver import parse_version as parts
from dslp.core.text import error_line
from dslp.experiments.model import Model
from dslp.models.api import Api
from dslp.models.gate_checks import check_gates
from dslp.models.gates import GateResult, failed_gates, gates_tag
from dslp.models.persistence import FILES, files_digest
from dslp.models.trained_model import TrainedModel
from dslp.models.training import ARTIFACT, training_run
from dslp.models.versioning import Proposal, choose_version, propose_version
from dslp.tracking.connection import Tracking, mlflow_errors
from dslp.tracking.registry import ROLE, SEMANTIC, Registry, Release


class GatesFailed(Refused):
    """The challenger did not pass its gates.

    Attributes:
        verdicts: what each gate said.
    """

    def __init__(self, what: str, found: list[GateResult]) -> None:
        """Name the version and the gates that it did not pass."""
        super().__init__(f"{what}: {failed_gates(found)}")
        self.verdicts = found


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
        version: semantic version; by default what is proposed from what changed.
        why: the reason, kept in the audit trail.
        issue: number of the issue that it is done for.
        run: of the training; by default the last one.

    Returns:
        The version; what was proposed, if there was an earlier one; and whether it is new: the same
        training is registered once.

    Raises:
        Refused: the version is too small for what changed, or `schema.py` is not the one that the
            model was trained under, or the training has another version already.
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
                raise Refused(
                    f"{model.name} {release.label} is this very training, so it is not {version}; "
                    f"first: uv run dslp model train {model.name}"
                )
            return release, None, False
    address = f"runs:/{number}/{ARTIFACT}"
    folder = TrainedModel(f"run {number[:8]}", address, "").folder
    try:
        Api(model).check(folder)
    except DslpError as error:
        raise Refused(f"{error}; first: uv run dslp model train {model.name}") from None
    tags = {name: value for name, value in trained.data.tags.items() if name.startswith("dslp.")}
    last = max(
        (one for one in registry.releases if one.semantic),
        key=lambda one: parts(one.semantic),
        default=None,
    )
    proposal = propose_version(last.semantic, last.tags, tags) if last else None
    semantic = choose_version(version, last.semantic if last else None, proposal)
    tags |= {name: f"{value:.6g}" for name, value in trained.data.metrics.items()}
    entry = registry.new_entry(
        "register", "0", why, issue
    )  # on the version itself, whose number it is
    tags |= {SEMANTIC: semantic, ROLE: "challenger", FILES: files_digest(folder), **entry.tag()}
    del tags["dslp.kind"]
    try:
        made = mlflow.register_model(address, registry.name, tags=tags)
    except Exception as error:  # whatever the registry's own plugin raises
        reason = error_line(error)
        raise DslpError(f"{model.name} cannot be registered: {reason}") from error
    registry.write_roles()
    return _alone(registry, str(made.version)), proposal, True


def _alone(registry: Registry, number: str) -> Release:
    """The new version, under a later semantic one where another got the same at the same time."""
    while True:
        release, *before = [
            one for one in registry.reload().releases if int(one.version) <= int(number)
        ]
        if release.semantic not in [one.semantic for one in before]:
            return release
        later = next_version(parts(release.semantic), "patch")
        registry.set_tags(number, {SEMANTIC: ".".join(map(str, later))})


@mlflow_errors()
def run_gates(model: Model, version: str | None, run: str | None) -> tuple[str, list[GateResult]]:
    """Judge a version, or the model of a run, by default the last training, by the gates.

    Returns:
        What was judged, and what each gate said.

    Raises:
        DslpError: there is no such version, or nothing was trained.
    """
    registry = Registry.read(model.project, model.name)
    champion = registry.in_role("champion")
    if version is not None:
        subject = TrainedModel.of(model.project, registry.release(version))
    else:
        trained = training_run(model, registry.tracking, run)
        candidate, number = trained.data.tags.get("dslp.candidate", ""), trained.info.run_id
        label = f"{'' if run else 'trained last, '}run {number[:8]}"
        address = f"runs:/{number}/{ARTIFACT}"
        known = [
            TrainedModel.of(model.project, one) for one in registry.releases if one.run == number
        ]
        subject = known[0] if known else TrainedModel(label, address, candidate)
    other = TrainedModel.of(model.project, champion) if champion else None
    return subject.label, check_gates(model, subject, other if other != subject else None)


@mlflow_errors()
def promote(
    model: Model, why: str = "", issue: int | None = None
) -> tuple[Release, list[GateResult]]:
    """Make the challenger the champion, if it passes its gates.

    Returns:
        The version, and what each gate said.

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
        raise DslpError(f"{model.name} has no challenger{state}; first: uv run dslp model register")
    found = check_gates(
        model,
        TrainedModel.of(model.project, challenger),
        TrainedModel.of(model.project, champion) if champion else None,
    )
    if failed_gates(found):
        raise GatesFailed(f"{model.name} {challenger.label} stays the challenger", found)
    now = registry.reload()
    if now.roles != registry.roles:
        raise Refused(
            f"{model.name} was registered or promoted by somebody else meanwhile; nothing was "
            "changed; look at it: uv run dslp model history"
        )
    now.set_tags(challenger.version, gates_tag(found))
    now.append(now.new_entry("promote", challenger.version, why, issue))
    return now.reload().release(challenger.version), found
