"""The registry: versions of a model, one of them the champion and one its challenger (M5, M7).

The audit trail is the truth. Roles are also written as tags, and as aliases where the server has
them, for people and other tools; every command that writes corrects them.
"""

import getpass
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dslp.core.errors import DslpError
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
    """A registered version of a model.

    Attributes:
        name: of the model.
        version: MLflow's number.
        semantic: the semantic version.
        role: the present role.
        run: the run that it was trained in.
        tags: all tags of the version.
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
    def uri(self) -> str:
        """Its address in MLflow."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class Registry:
    """One model in the registry, as it was when it was read.

    Attributes:
        tracking: the server.
        name: of the model.
        history: the entries of the audit trail, oldest first.
        roles: the roles that follow from it.
        releases: the versions, newest first.
    """

    tracking: Tracking
    name: str
    history: list[Entry]
    roles: Roles
    releases: list[Release]

    @classmethod
    def read(cls, project: Project, name: str, tracking: Tracking | None = None) -> "Registry":
        """Read the server; a model that was never registered has no versions."""
        tracking = tracking or Tracking.open(project)
        name, client = registered_name(project, name), tracking.client
        with mlflow_errors():
            versions: list[ModelVersion] = [
                # Unity Catalog's search gives no tags, but a method that raises.
                one if isinstance(one.tags, dict) else client.get_model_version(name, one.version)
                for one in client.search_model_versions(f"name = '{name}'")
            ]
        versions.sort(key=lambda version: int(version.version), reverse=True)
        history = read_entries((str(version.version), version.tags) for version in versions)
        roles, in_history = roles_after(history), {entry.version for entry in history}
        releases = []
        for version in versions:
            number, tags = str(version.version), dict(version.tags)
            role = roles.role(number) if number in in_history else ""
            semantic, run = tags.get(SEMANTIC, ""), version.run_id or ""
            releases.append(Release(name, number, semantic, role, run, tags))
        return cls(tracking, name, history, roles, releases)

    def reload(self) -> "Registry":
        """The same model, read anew."""
        return Registry.read(self.tracking.project, self.name, self.tracking)

    def release(self, version: str) -> Release:
        """The version with this number or semantic version.

        Raises:
            DslpError: there is none.
        """
        for release in self.releases:
            if version in (release.version, release.semantic):
                return release
        labels = ", ".join(release.label for release in self.releases[:9]) or "none"
        raise DslpError(f"{self.name} has no version {version}; there are: {labels}")

    def in_role(self, role: Literal["champion", "challenger"]) -> Release | None:
        """The version that has the role, if one has."""
        number = getattr(self.roles, role)
        return self.release(number) if number else None

    def new_entry(self, action: Action, version: str, why: str, issue: int | None) -> Entry:
        """A new entry of the audit trail, not yet written."""
        who = _user_name(self.tracking.project)
        return Entry(next_time(self.history), version, action, who, why, issue)

    def append(self, entry: Entry) -> None:
        """Write an entry, and the roles that follow from it."""
        self.set_tags(entry.version, entry.tag())
        self.write_roles()

    def write_roles(self) -> None:
        """Make tags and aliases agree with the audit trail, also while others write."""
        for _ in range(9):
            read = self.reload()
            wrong = {r.version: r.role for r in read.releases if r.role != r.tags.get(ROLE, "")}
            aliases = self._copy_history(read.history) if read.releases else {}
            moved = {role: getattr(read.roles, role) for role in CURRENT}
            moved = {role: number for role, number in moved.items() if number != aliases.get(role)}
            if not wrong and not any(self._set_alias(*pair) for pair in moved.items()):
                return
            for version in sorted(wrong, key=lambda version: wrong[version] == "champion"):
                self.set_tags(version, {ROLE: wrong[version]})

    def set_tags(self, version: str, tags: dict[str, str]) -> None:
        """Write tags of a version."""
        with mlflow_errors():
            for name, value in tags.items():
                self.tracking.client.set_model_version_tag(self.name, version, name, value)

    def full_history(self) -> list[Entry]:
        """The audit trail with the entries of versions that were deleted since."""
        from mlflow.exceptions import MlflowException

        try:
            tags = self.tracking.client.get_registered_model(self.name).tags
        except MlflowException:  # nothing was registered
            return self.history
        copies = read_entries((key.rpartition(".")[2], {key: text}) for key, text in tags.items())
        return sorted({*self.history, *copies}, key=lambda entry: entry.at)

    def _copy_history(self, history: list[Entry]) -> dict[str, str]:
        """Copy the audit trail to the model, since versions can be deleted; return the aliases."""
        from mlflow.exceptions import MlflowException

        with mlflow_errors():
            model = self.tracking.client.get_registered_model(self.name)
        for entry in history:
            ((key, text),) = entry.tag().items()
            if (key := f"{key}.{entry.version}") not in model.tags:
                with suppress(MlflowException):  # a server may limit the number of tags
                    self.tracking.client.set_registered_model_tag(self.name, key, text)
        return {role: str(version) for role, version in (model.aliases or {}).items()}

    def _set_alias(self, role: str, version: str | None) -> bool:
        """Set or delete the role's alias; False where the server has no aliases."""
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
    return {role: registry.in_role(role) for role in ("champion", "challenger")}


def _user_name(project: Project) -> str:
    """The person: in a workflow by GitHub's name, else by git's, else by the system's."""
    name = os.environ.get("GITHUB_ACTOR") or git_output(project, "config", "user.name")
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user may have no name
        return "unknown"
