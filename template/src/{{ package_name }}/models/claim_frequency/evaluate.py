"""How good predictions are."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance

BETTER = {"poisson_deviance": "lower", "absolute_error": "lower", "bias": "zero"}


def evaluate(visits: pd.Series, predicted: NDArray[np.float64]) -> dict[str, float]:
    """Compare predicted with claimed visits.

    Returns:
        `poisson_deviance`, the Ask's metric: mean over records, 0 for a perfect prediction;
        `absolute_error`: mean, in visits a year; `bias`: mean prediction less mean claim, in
        visits a year, since what is paid for all people together should not be off.
    """
    return {
        "poisson_deviance": mean_poisson_deviance(visits, predicted),
        "absolute_error": mean_absolute_error(visits, predicted),
        "bias": float(np.mean(predicted) - visits.mean()),
    }
