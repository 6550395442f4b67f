"""The registry: versions of a model, one of them the champion and one its challenger (M5, M7).

The audit trail is the truth. Roles are written as tags, and as aliases where the server has them,
for people and other tools; every command that writes puts them right.
"""

import getpass
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dslp.core.errors import DslpError, Refused
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.tracking.connection import Tracking, mlflow_errors, registered_name
from dslp.tracking.history import Action, Entry, Roles, next_time, read_entries, roles_after

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ROLE = "dslp.role"
SEMANTIC = "dslp.version"
CURRENT = ("champion", "challenger")


@dataclass(frozen=True)
class Release:
    """A version of a model.

    Attributes:
        name: of the model.
        version: MLflow's number.
        semantic: the semantic version.
        role: what it is at present.
        run: the run that it was trained in.
        tags: what else the registry says about it.
    """

    name: str
    version: str
    semantic: str
    role: str
    run: str
    tags: dict[str, str]

    @property
    def label(self) -> str:
        """The version for people: the semantic one, and MLflow's number."""
        return f"{self.semantic} (version {self.version})" if self.semantic else self.version

    @property
    def address(self) -> str:
        """Where MLflow finds it."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class Registry:
    """What the registry holds of one model when it was read.

    Attributes:
        tracking: the server.
        name: of the model.
        trail: what was done, oldest first.
        standing: what follows from it.
        releases: the versions, newest first.
    """

    tracking: Tracking
    name: str
    trail: list[Entry]
    standing: Roles
    releases: list[Release]

    @classmethod
    def read(cls, project: Project, name: str, tracking: Tracking | None = None) -> "Registry":
        """Ask the server; a model that was never registered has no versions."""
        tracking = tracking or Tracking.open(project)
        name, client = registered_name(project, name), tracking.client
        with mlflow_errors():
            found: list[ModelVersion] = [
                # Unity Catalog's search gives no tags, but a method that raises.
                one if isinstance(one.tags, dict) else client.get_model_version(name, one.version)
                for one in client.search_model_versions(f"name = '{name}'")
            ]
        found.sort(key=lambda version: int(version.version), reverse=True)
        trail = read_entries((str(version.version), version.tags) for version in found)
        now, known = roles_after(trail), {entry.version for entry in trail}
        releases = []
        for version in found:
            number, tags = str(version.version), dict(version.tags)
            role = now.role(number) if number in known else ""
            stated, run = tags.get(SEMANTIC, ""), version.run_id or ""
            releases.append(Release(name, number, stated, role, run, tags))
        return cls(tracking, name, trail, now, releases)

    def again(self) -> "Registry":
        """What the registry holds by now."""
        return Registry.read(self.tracking.project, self.name, self.tracking)

    def release(self, version: str) -> Release:
        """The version of this number or semantic version.

        Raises:
            DslpError: there is none.
        """
        for release in self.releases:
            if version in (release.version, release.semantic):
                return release
        known = ", ".join(release.label for release in self.releases[:9]) or "none"
        raise DslpError(f"{self.name} has no version {version}; there are: {known}")

    def holder(self, role: Literal["champion", "challenger"]) -> Release | None:
        """The version that has the role, if one has."""
        number = getattr(self.standing, role)
        return self.release(number) if number else None

    def entry(self, action: Action, version: str, why: str, issue: int | None) -> Entry:
        """A new entry of the trail."""
        who = _who(self.tracking.project)
        return Entry(next_time(self.trail), version, action, who, why, issue)

    def append(self, entry: Entry) -> None:
        """Write an entry, and what follows from it."""
        self.tag(entry.version, entry.tag())
        self.settle()

    def settle(self) -> None:
        """Make tags and aliases say what the trail says, whoever else writes at the same time."""
        for _ in range(9):
            now = self.again()
            wrong = {r.version: r.role for r in now.releases if r.role != r.tags.get(ROLE, "")}
            stated = self._stated(now.trail) if now.releases else {}
            moved = {role: getattr(now.standing, role) for role in CURRENT}
            moved = {
                role: version for role, version in moved.items() if version != stated.get(role)
            }
            if not wrong and not any(self._alias(*pair) for pair in moved.items()):
                return
            for version in sorted(wrong, key=lambda version: wrong[version] == "champion"):
                self.tag(version, {ROLE: wrong[version]})

    def tag(self, version: str, values: dict[str, str]) -> None:
        """Write facts to a version."""
        with mlflow_errors():
            for name, value in values.items():
                self.tracking.client.set_model_version_tag(self.name, version, name, value)

    def whole(self) -> list[Entry]:
        """The trail with what was done with versions that were deleted since."""
        from mlflow.exceptions import MlflowException

        try:
            tags = self.tracking.client.get_registered_model(self.name).tags
        except MlflowException:  # nothing was registered
            return self.trail
        kept = read_entries((key.rpartition(".")[2], {key: text}) for key, text in tags.items())
        return sorted({*self.trail, *kept}, key=lambda entry: entry.at)

    def _stated(self, trail: list[Entry]) -> dict[str, str]:
        """The aliases; and keep a copy of the trail with the model, since a version may go."""
        from mlflow.exceptions import MlflowException

        with mlflow_errors():
            found = self.tracking.client.get_registered_model(self.name)
        for entry in trail:
            ((key, text),) = entry.tag().items()
            if (key := f"{key}.{entry.version}") not in found.tags:
                with suppress(MlflowException):  # a server may have room for so many tags only
                    self.tracking.client.set_registered_model_tag(self.name, key, text)
        return {role: str(version) for role, version in (found.aliases or {}).items()}

    def _alias(self, role: str, version: str | None) -> bool:
        """Point the role's alias to a version, or nowhere; whether the server has aliases."""
        from mlflow.exceptions import MlflowException

        try:
            if version is None:
                self.tracking.client.delete_registered_model_alias(self.name, role)
            else:
                self.tracking.client.set_registered_model_alias(self.name, role, version)
        except (MlflowException, NotImplementedError):
            return False
        return True


def versions_in_use(name: str, project: Project) -> dict[str, Release | None]:
    """The versions of a model that are in use: by `champion` and `challenger`."""
    registry = Registry.read(project, name)
    return {role: registry.holder(role) for role in ("champion", "challenger")}


def rollback(
    name: str, project: Project, to: str | None = None, why: str = "", issue: int | None = None
) -> tuple[Release, Release]:
    """Make a former champion the champion again; nothing is loaded, so nothing need be loadable.

    Args:
        name: of the model.
        project: whose registry it is in.
        to: the version to go back to; by default the champion before the present one.
        why: the reason, kept in the trail.
        issue: number of the issue that it is done for.

    Returns:
        The champion from now on, and the one before.

    Raises:
        Refused: the version was never the champion, or is it already.
        DslpError: there is no champion, none before it, or no such version.
    """
    registry = Registry.read(project, name)
    registry.settle()
    champion = registry.holder("champion")
    if champion is None:
        raise DslpError(f"{name} has no champion, so there is nothing to roll back")
    now = registry.standing
    if to is None and now.former is None:
        raise DslpError(
            f"{name} has no former champion to go back to; {champion.label} stays the champion"
        )
    target = registry.release(to or str(now.former))
    if target == champion:
        raise Refused(f"{name} {target.label} is the champion already")
    if target.version not in (*now.champions, *now.taken_back):
        raise Refused(
            f"{name} {target.label} was never the champion; a version becomes it past its gates: "
            "uv run dslp model promote"
        )
    registry.append(registry.entry("rollback", target.version, why, issue))
    return target, champion


def _who(project: Project) -> str:
    """Who does it, as GitHub knows them in a workflow, else git, else the system."""
    asked = os.environ.get("GITHUB_ACTOR") or git_output(project, "config", "user.name")
    if asked:
        return asked
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user may have no name
        return "unknown"
