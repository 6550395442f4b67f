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
from dslp.tracking.connection import Tracking, mlflow_errors

if TYPE_CHECKING:
    from dslp.tracking.registry import Release
    from mlflow.entities import Run


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that is tested.

    Attributes:
        project: of the model.
        run_id: of the run that it was trained in.
        release: its version, if it is registered.
    """

    project: Project
    run_id: str
    release: "Release | None" = None

    @cached_property
    def run(self) -> "Run":
        """The run.

        Raises:
            DslpError: it was deleted.
        """
        with mlflow_errors():
            return Tracking.open(self.project).client.get_run(self.run_id)

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.release.label if self.release else f"run {self.run_id[:8]}"

    @property
    def candidate(self) -> str:
        """The candidate of `params.yml` that it is."""
        return str(self.run.data.tags.get("dslp.candidate", ""))

    @property
    def suite_held(self) -> bool:
        """Whether the data that it was trained on passed its own suite."""
        return bool(self.run.data.tags.get("dslp.suite") != "does not hold")

    @property
    def split(self) -> tuple[dict[str, str], str]:
        """What decides which rows it was not trained on, and its target (`training_split`)."""
        return training_split(self.run.data.params, self.run.data.tags)

    @cached_property
    def folder(self) -> Path:
        """Its files, on this machine.

        Raises:
            DslpError: they are missing, or are not those that were registered.
        """
        if self.release:
            return fetch_model(self.project, self.release)
        import mlflow

        try:
            download = mlflow.artifacts.download_artifacts
            return Path(download(run_id=self.run_id, artifact_path=ARTIFACT))
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
