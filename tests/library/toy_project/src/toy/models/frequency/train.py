"""A mean or a line."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from .features import features


def train(inputs: pd.DataFrame, target: pd.Series, params: Mapping[str, Any]) -> Pipeline:
    """Fit the regressor that the candidate names."""
    regressors = {"mean": DummyRegressor, "linear": LinearRegression}
    regressor = regressors[params["regressor"]](**params.get("settings", {}))
    return Pipeline([("features", features()), ("regressor", regressor)]).fit(inputs, target)
