"""The record of a training, which is stored beside the model.

It holds what people wrote and what was counted, and no row of data. The model card (M11) and the
monitoring (M9) read it, long after the data itself has changed.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.experiments.evaluation import evaluate_pairs, truth_pairs
from dslp.experiments.model import Model
from dslp.experiments.runs import HoldoutResult
from dslp.experiments.splitting import ModelData

if TYPE_CHECKING:
    import pandas as pd
    from dslp.tracking.registry import Registry, Release

FILE = "record.json"


def describe_training(model: Model, data: ModelData, result: HoldoutResult) -> dict[str, Any]:
    """The record of a model that was just trained."""
    import pandas as pd
    from dslp.models import drift
    from dslp.models.api import Api
    from dslp.models.persistence import model_requirements
    from dslp.models.web_api import openapi_document

    params, sheet = model.params, model.dataset.sheet
    rows, holdout = data.development, data.holdout
    predicted, api, personal = result.predicted, Api(model), sheet.personal_data
    units = rows[params.split.by] if params.split.by else None
    observed = pd.concat([rows, holdout])[params.target]
    return {
        "question": params.ask.question,
        "metric": params.metric.model_dump(),
        "criterion": params.criterion.model_dump(),
        "target": params.target,
        "population": model.dataset.yaml("schema.yml").get("population") or "",
        "personal_data": personal,
        "known_issues": sheet.known_issues,
        "assumptions": _assumptions(model),
        "rows": len(rows),
        "holdout": len(holdout),
        "example": api.example and api.example.model_dump(mode="json", by_alias=True),
        "openapi": openapi_document(api),
        "packages": model_requirements(model.project, ()),
        "features": {n: drift.reference_bins(rows[n], personal, units) for n in model.inputs},
        "predictions": {n: drift.reference_bins(predicted[n], personal) for n in predicted},
        "rows_per_unit": drift.rows_per_unit(rows, params.split),
        "quality": _quality(model, holdout, result),
        "evaluation": evaluate_pairs(model, truth_pairs(model, rows, holdout, predicted), observed),
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
    from dslp.experiments.runs import ASSUMPTIONS

    path = model.folder / ASSUMPTIONS
    content: Any = read_yaml(path) if path.is_file() else {}
    return [one["description"] for one in content.get("expectations") or () if "description" in one]


def _quality(model: Model, holdout: "pd.DataFrame", result: HoldoutResult) -> dict[str, Any]:
    """The Ask's metric on the holdout, and how sure it is.

    The design effect is by how much groups, or times, add to its variance (L. Kish, Survey
    Sampling, 1965).
    """
    import numpy as np
    from dslp.experiments.uncertainty import measure

    by, measured, effect = model.params.split.by, result.measured, 1.0
    if by:
        rows, target = holdout.drop(columns=by), holdout[model.params.target]
        (single,) = measure(model, rows, target, result.predicted)
        effect = float(np.nanvar(measured.draws) / (np.nanvar(single.draws) or np.inf))
    figures = {"value": measured.value, "draws": measured.draws.tolist(), "units": measured.units}
    return {**figures, "design_effect": max(1.0, effect)}
