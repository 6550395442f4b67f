"""A trained model that is judged, and what it was trained on (M7)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.models.model_files import fetch_model
from dslp.models.persistence import load_model
from dslp.models.versioning import TAG
from dslp.tracking.connection import mlflow_errors

if TYPE_CHECKING:
    from dslp.tracking.registry import Release


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that is judged.

    Attributes:
        label: what it is called.
        address: where MLflow finds its files.
        candidate: the candidate of `params.yml` that it is.
        project: whose it is, where it is registered.
        release: the version that it is, if it is registered.
    """

    label: str
    address: str
    candidate: str
    project: Project | None = None
    release: "Release | None" = None

    @classmethod
    def of(cls, project: Project, release: "Release") -> "TrainedModel":
        """A version of the registry."""
        candidate = release.tags.get("dslp.candidate", "")
        return cls(release.label, release.uri, candidate, project, release)

    @cached_property
    def origin(self) -> tuple[dict[str, str], str]:
        """What decides which rows it was not trained on (`origin`), and its target.

        Raises:
            DslpError: its run is gone.
        """
        import mlflow

        number = self.release.run if self.release else self.address.split("/")[1]
        with mlflow_errors():
            data = mlflow.MlflowClient().get_run(number).data
        return training_split(data.params, data.tags)

    @cached_property
    def folder(self) -> Path:
        """Its files, fetched if they are elsewhere.

        Raises:
            DslpError: they are not there, or not those that were registered.
        """
        if self.project and self.release:
            return fetch_model(self.project, self.release)
        import mlflow

        try:
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=self.address))
        except Exception as error:  # whatever the storage raises
            reason = error_line(error)
            raise DslpError(f"{self.label} cannot be loaded: {reason}") from error

    @cached_property
    def estimator(self) -> Any:
        """The model, loaded."""
        return load_model(self.folder)


def training_split(
    params: Mapping[str, str], tags: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Of a run: the split, and the name and key of the dataset that is divided; and the target."""
    split = {name: value for name, value in params.items() if name.startswith("split.")}
    rows = json.loads(tags.get(f"{TAG}population", "{}"))
    kept = {name: str(rows.get(name, "")) for name in ("dataset", "key")}
    return split | kept, tags.get(f"{TAG}target", "")
