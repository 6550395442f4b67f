"""Print what MLflow recorded, as JSON. Run by a generated project's own Python, in the project."""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow


def version(client: Any, name: str, number: str) -> dict[str, Any]:
    """One version of a registered model."""
    found = client.get_model_version(name, number)
    signature = mlflow.models.get_model_info(f"models:/{name}/{number}").signature
    return {
        "aliases": list(found.aliases),
        "tags": dict(found.tags),
        "run": found.run_id,
        "inputs": signature.inputs.input_names(),
        "outputs": signature.outputs.input_names(),
    }


def run(found: Any) -> dict[str, Any]:
    """One run."""
    return {
        "id": found.info.run_id,
        "status": found.info.status,
        "tags": dict(found.data.tags),
        "metrics": dict(found.data.metrics),
        "params": dict(found.data.params),
        "datasets": [given.dataset.name for given in found.inputs.dataset_inputs],
    }


def main() -> None:
    """Print all runs and all versions of all models."""
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd() / 'mlruns' / 'mlflow.db'}")
    client = mlflow.MlflowClient()
    experiments = [each.experiment_id for each in client.search_experiments()]
    json.dump(
        {
            "runs": [run(each) for each in client.search_runs(experiments)],
            "models": {
                model.name: {
                    found.version: version(client, model.name, found.version)
                    for found in client.search_model_versions(f"name = '{model.name}'")
                }
                for model in client.search_registered_models()
            },
        },
        sys.stdout,
        default=str,
    )


if __name__ == "__main__":
    main()
