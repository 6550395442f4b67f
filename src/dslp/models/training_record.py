"""The record of a training, which is stored beside the model.

It holds what people wrote and what was counted, and no row of data. The model card (M11) and the
monitoring (M9) read it, long after the data itself has changed.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.experiments.model import Model
from dslp.experiments.model_data import ModelData

if TYPE_CHECKING:
    from dslp.tracking.registry import Registry, Release

FILE = "record.json"


def describe_training(model: Model, data: ModelData, estimator: Any) -> dict[str, Any]:
    """The record of a model that was just trained."""
    from dslp.models import drift
    from dslp.models.api import Api
    from dslp.models.persistence import model_requirements
    from dslp.models.web_api import openapi_document

    params, sheet = model.params, model.dataset.sheet
    rows, holdout, target = data.development, data.holdout, params.target
    predicted, api = model.predict(estimator, holdout), Api(model)
    return {
        "question": params.ask.question,
        "metric": params.metric.model_dump(),
        "criterion": params.criterion.model_dump(),
        "target": target,
        "population": model.dataset.yaml("schema.yml").get("population") or "",
        "personal_data": sheet.personal_data,
        "known_issues": sheet.known_issues,
        "assumptions": _assumptions(model),
        "rows": len(rows),
        "holdout": len(holdout),
        "example": api.example and api.example.model_dump(mode="json", by_alias=True),
        "openapi": openapi_document(api),
        "packages": model_requirements(model.project, ()),
        "features": {name: drift.reference_bins(rows[name]) for name in model.inputs},
        "predictions": {name: drift.reference_bins(predicted[name]) for name in predicted},
        "deciles": _deciles(predicted, holdout[target]),
    }


def read_record(registry: "Registry", release: "Release") -> dict[str, Any]:
    """The record of a version.

    Raises:
        DslpError: it is missing, or the storage does not give it.
    """
    import mlflow

    try:
        path = mlflow.artifacts.download_artifacts(run_id=release.run, artifact_path=FILE)
        content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # whatever the storage raises
        problem = f"the record of {release.label} cannot be read ({error_line(error)})"
        todo = f"train, register and promote {registry.name} again"
        raise DslpError(f"{problem}; {todo}") from error
    return content


def _assumptions(model: Model) -> list[str]:
    from dslp.core.files import read_yaml
    from dslp.experiments.assumptions import FILE

    path = model.folder / FILE
    content: Any = read_yaml(path) if path.is_file() else {}
    return [one["description"] for one in content.get("expectations") or () if "description" in one]


def _deciles(predicted: Any, actual: Any) -> list[list[float]]:
    """Means of predicted and observed values, by tenths of the sorted predictions."""
    import numpy as np
    from pandas.api.types import is_numeric_dtype

    if predicted.shape[1] != 1 or not all(map(is_numeric_dtype, (predicted.iloc[:, 0], actual))):
        return []
    values, truth = predicted.iloc[:, 0].to_numpy(float), actual.astype(float).to_numpy()
    parts = np.array_split(np.argsort(values, kind="stable"), min(10, len(values)))
    return [[float(f"{side[part].mean():.6g}") for side in (values, truth)] for part in parts]
