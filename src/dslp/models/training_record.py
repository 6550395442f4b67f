"""What a training writes down beside its model, so that it can be watched and described later.

It holds what people wrote and what was counted, and no row: from it alone come the model card (M11)
and what new data is compared with (M9), long after the data itself has moved on.
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
    """The record of a model that was trained a moment ago."""
    from dslp.models import drift
    from dslp.models.api import Api
    from dslp.models.persistence import model_requirements

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
        "example": api.example and api.example.model_dump(mode="json"),
        "openapi": api.openapi(),
        "packages": model_requirements(model.project, ()),
        "features": {name: drift.bins(rows[name]) for name in model.inputs},
        "predictions": {name: drift.bins(predicted[name]) for name in predicted},
        "deciles": _deciles(predicted, holdout[target]),
    }


def read_record(registry: "Registry", release: "Release") -> dict[str, Any]:
    """The record of a version; empty where it was trained before there were any.

    Raises:
        DslpError: the storage does not give it.
    """
    import mlflow

    try:
        there = registry.tracking.client.list_artifacts(release.run)
        if FILE not in [file.path for file in there]:
            return {}
        path = mlflow.artifacts.download_artifacts(run_id=release.run, artifact_path=FILE)
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # whatever the storage raises
        reason = error_line(error)
        raise DslpError(f"the record of {release.label} cannot be read: {reason}") from error
    return content if isinstance(content, dict) else {}


def _assumptions(model: Model) -> list[str]:
    from dslp.core.files import read_yaml
    from dslp.experiments.assumptions import FILE

    path = model.folder / FILE
    stated = read_yaml(path).get("expectations") if path.is_file() else None
    return [str(one["description"]) for one in stated or () if one.get("description")]  # type: ignore[attr-defined]


def _deciles(predicted: Any, actual: Any) -> list[list[float]]:
    """By tenths of the holdout in order of the prediction: mean of it, and of what was observed."""
    import numpy as np
    from pandas.api.types import is_numeric_dtype

    if predicted.shape[1] != 1 or not all(map(is_numeric_dtype, (predicted.iloc[:, 0], actual))):
        return []
    values, truth = predicted.iloc[:, 0].to_numpy(float), actual.to_numpy(float)
    parts = np.array_split(np.argsort(values, kind="stable"), min(10, len(values)))
    return [[float(f"{side[part].mean():.6g}") for side in (values, truth)] for part in parts]
