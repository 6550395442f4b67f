"""How the model is made: a regressor of a count on the features of the request."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from .features import features


def train(inputs: pd.DataFrame, target: pd.Series, params: Mapping[str, Any]) -> Pipeline:
    """Fit the regressor that `params` names.

    Args:
        inputs: one row a person and year, the columns of `schema.Request`.
        target: visits of each row.
        params: a candidate of `params.yml`: `regressor`, and what it is built with.
    """
    settings = dict(params)
    regressors = {"mean": mean, "boosting": boosting}
    return Pipeline(
        [("features", features()), ("regressor", regressors[settings.pop("regressor")](**settings))]
    ).fit(inputs, target)


def mean() -> DummyRegressor:
    """The mean of the training data for everyone: what there is without a model."""
    return DummyRegressor(strategy="mean")


def boosting(**settings: float) -> HistGradientBoostingRegressor:
    """Boosted trees under Poisson loss: counts are predicted as positive rates."""
    return HistGradientBoostingRegressor(loss="poisson", random_state=0, **settings)
