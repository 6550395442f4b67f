"""Experiments: approaches compared on the Ask's metric, each run tracked with its origins."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before anything imports mlflow
