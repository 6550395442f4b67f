"""The registry: versions of a model, one of them the champion and one its challenger (M5, M7).

MLflow's aliases `champion` and `challenger` say which. Every version was a challenger first: it is
the newest one, until it becomes the champion.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.tracking.connection import Tracking, mlflow_errors, registered_name
from dslp.tracking.history import Action, Change, History, read_changes
from dslp.tracking.provenance import user_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

SEMANTIC = "dslp.version"
ALIAS = "dslp.alias."  # begins a tag of the model that takes an alias's place
ROLES = ("champion", "challenger")
WAITING = ("challenger", "superseded")  # roles of versions that were never the champion


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
        created: when it was registered, in milliseconds since 1970.
    """

    name: str
    version: str
    semantic: str
    role: str
    run: str
    tags: dict[str, str]
    created: int = 0

    @property
    def label(self) -> str:
        """The version for people: the semantic one, and MLflow's number."""
        return f"{self.semantic} (version {self.version})" if self.semantic else self.version

    @property
    def issue(self) -> int | None:
        """Number of the issue that it was registered for."""
        return next((one.issue for one in read_changes(self.tags, version=self.version)), None)


@dataclass(frozen=True)
class Registry:
    """One model in the registry, as it was when it was read.

    Attributes:
        tracking: the server.
        name: of the model.
        in_use: the version's number by role.
        history: what was done with the versions.
        releases: the versions, newest first.
    """

    tracking: Tracking
    name: str
    in_use: dict[str, str]
    history: History
    releases: list[Release]

    @classmethod
    def read(cls, project: Project, name: str, tracking: Tracking | None = None) -> "Registry":
        """Read the server; a model that was never registered has no versions."""
        from mlflow.exceptions import MlflowException

        tracking = tracking or Tracking.open(project)
        name, client = registered_name(project, name), tracking.client
        with mlflow_errors():
            try:
                model = client.get_registered_model(name)
            except MlflowException as error:
                if error.get_http_status_code() == 404:
                    return cls(tracking, name, {}, History([]), [])
                raise
            versions = client.search_model_versions(f"name = '{name}'")
            versions = sorted(versions, key=lambda version: int(version.version), reverse=True)
            # Unity Catalog's search gives no tags, but a method that raises.
            if versions and not isinstance(versions[0].tags, dict):
                versions = [client.get_model_version(name, one.version) for one in versions]
        tags = {str(one.version): dict(one.tags) for one in versions}
        numbers = _numbers_by_role(model).items()
        in_use = {role: number for role, number in numbers if number in tags}
        changes = [one for n in tags for one in read_changes(tags[n], version=n)]
        changes = sorted(read_changes(model.tags) + changes)
        history, releases = History(changes, in_use.get("champion")), []
        for number, version in zip(tags, versions, strict=True):
            roles = [role for role in ROLES if in_use.get(role) == number]
            roles.append(history.role(number))
            semantic, run = tags[number].get(SEMANTIC, ""), version.run_id or ""
            facts = (semantic, roles[0], run, tags[number], version.creation_timestamp)
            releases.append(Release(name, number, *facts))
        return cls(tracking, name, in_use, history, releases)

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

    def in_role(self, role: str) -> Release | None:
        """The version that has the role, if one has."""
        return next((release for release in self.releases if release.role == role), None)

    def short_label(self, version: str) -> str:
        """The semantic version of a number, which may have been deleted since."""
        labels = {release.version: release.semantic or version for release in self.releases}
        return labels.get(version, f"{version} (deleted)")

    def new_change(
        self, action: Action, version: str, role: str, why: str, issue: int | None
    ) -> Change:
        """A change of who has the role, not yet written."""
        time, who = self.history.next_time(), user_name(self.tracking.project)
        return Change(time, action, version, self.in_use.get(role), who, why, issue)

    @mlflow_errors()
    def make_champion(self, action: Action, version: str, why: str, issue: int | None) -> None:
        """Record the change, then let the version be the champion."""
        change = self.new_change(action, version, "champion", why, issue)
        self.tracking.client.set_registered_model_tag(self.name, *change.tag())
        self._point("champion", version)

    @mlflow_errors()
    def update_challenger(self) -> None:
        """Let the newest version be the challenger, or none if it was the champion.

        It is read anew until it holds, since others may write at the same time.
        """
        for _ in range(9):
            registry = self.reload()
            # A training that was registered twice at the same moment counts by its first version;
            # versions that were made by hand in MLflow do not.
            first = {one.run: one for one in registry.releases if one.semantic}.values()
            newest = sorted(first, key=lambda one: int(one.version))[-1:]
            waiting = [one.version for one in newest if one.role in WAITING]
            if waiting == [n for role, n in registry.in_use.items() if role == "challenger"]:
                return
            with _deleted_meanwhile():
                registry._point("challenger", *waiting)

    @mlflow_errors()
    def release_of(self, run: str) -> Release | None:
        """The version of a training: the first one.

        Others were registered at the same moment, and are deleted.
        """
        versions = [one for one in self.releases if one.run == run and one.semantic]
        for copy in versions[:-1]:
            if copy.role in WAITING:
                with _deleted_meanwhile():
                    self.tracking.client.delete_model_version(self.name, copy.version)
        return versions[-1] if versions else None

    @mlflow_errors()
    def set_tags(self, version: str, tags: dict[str, str]) -> None:
        """Write tags of a version."""
        for name, value in tags.items():
            self.tracking.client.set_model_version_tag(self.name, version, name, value)

    def _point(self, role: str, version: str = "") -> None:
        """Give the role to a version, or to none: as an alias.

        A server that has no aliases, such as AzureML, keeps it in a tag of the model.
        """
        from mlflow.exceptions import MlflowException

        client, name, tag = self.tracking.client, self.name, ALIAS + role
        try:
            if version:
                client.set_registered_model_alias(name, role, version)
            else:
                client.delete_registered_model_alias(name, role)
        except (MlflowException, NotImplementedError) as error:
            if not _lacks_aliases(error):
                raise
            client.set_registered_model_tag(name, tag, version)
        else:
            if tag in client.get_registered_model(name).tags:  # the server had no aliases then
                client.delete_registered_model_tag(name, tag)


def _lacks_aliases(error: Exception) -> bool:
    """Whether the server does not know the request: it has no aliases."""
    if isinstance(error, NotImplementedError):
        return True
    azure = getattr(error, "json", {}).get("error")  # its answers have another form than MLflow's
    code = azure.get("code") if isinstance(azure, dict) else getattr(error, "error_code", "")
    unknown = ("NotFound", "NOT_FOUND", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED")
    return code in unknown or bool(re.search(r"failed with error code (405|501) ", str(error)))


@contextmanager
def _deleted_meanwhile() -> Iterator[None]:
    """Go on where another process has deleted the version."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


@mlflow_errors()
def current_versions(project: Project, name: str) -> dict[str, str]:
    """The numbers of champion and challenger, by one request."""
    client, name = Tracking.open(project).client, registered_name(project, name)
    return _numbers_by_role(client.get_registered_model(name))


def _numbers_by_role(model: "RegisteredModel") -> dict[str, str]:
    """What aliases say, or, on a server without them, tags."""
    tags = {role: model.tags[ALIAS + role] for role in ROLES if model.tags.get(ALIAS + role)}
    aliases = tags | model.aliases
    return {role: str(aliases[role]) for role in ROLES if role in aliases}
