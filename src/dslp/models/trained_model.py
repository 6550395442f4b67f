"""A trained model that is tested, and the split it was trained on (M7)."""

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
from dslp.models.training import ARTIFACT
from dslp.models.versioning import TAG
from dslp.tracking.connection import mlflow_errors

if TYPE_CHECKING:
    from dslp.tracking.registry import Release


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that is tested.

    Attributes:
        label: its name in messages.
        run: that it was trained in.
        candidate: the candidate of `params.yml` that it is.
        project: whose registry it is in, if it is registered.
        release: its version, if it is registered.
    """

    label: str
    run: str
    candidate: str
    project: Project | None = None
    release: "Release | None" = None

    @classmethod
    def of(cls, project: Project, release: "Release") -> "TrainedModel":
        """A version of the registry."""
        candidate = release.tags.get("dslp.candidate", "")
        return cls(release.label, release.run, candidate, project, release)

    @cached_property
    def _data(self) -> Any:
        """Parameters and tags of its run.

        Raises:
            DslpError: the run was deleted.
        """
        import mlflow

        with mlflow_errors():
            return mlflow.MlflowClient().get_run(self.run).data

    @property
    def suite_held(self) -> bool:
        """Whether the data that it was trained on passed its own suite."""
        return bool(self._data.tags.get("dslp.suite") != "does not hold")

    @property
    def split(self) -> tuple[dict[str, str], str]:
        """What decides which rows it was not trained on, and its target (`training_split`).

        Raises:
            DslpError: its run was deleted.
        """
        return training_split(self._data.params, self._data.tags)

    @cached_property
    def folder(self) -> Path:
        """Its files, on this machine.

        Raises:
            DslpError: they are missing, or are not those that were registered.
        """
        if self.project and self.release:
            return fetch_model(self.project, self.release)
        import mlflow

        try:
            download = mlflow.artifacts.download_artifacts
            return Path(download(run_id=self.run, artifact_path=ARTIFACT))
        except Exception as error:  # whatever the storage raises
            raise DslpError(f"{self.label} cannot be loaded: {error_line(error)}") from error

    @cached_property
    def estimator(self) -> Any:
        """The model, loaded."""
        return load_model(self.folder)


def training_split(
    params: Mapping[str, str], tags: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Of a run: the split with the name and the key of the dataset; and the target."""
    split = {name: value for name, value in params.items() if name.startswith("split.")}
    population = json.loads(tags.get(f"{TAG}population", "{}"))
    dataset = {name: str(population.get(name, "")) for name in ("dataset", "key")}
    return split | dataset, tags.get(f"{TAG}target", "")
