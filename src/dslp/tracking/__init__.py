"""MLflow as the record of runs and models; it knows no dataset and no model of the project."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before anything imports mlflow
