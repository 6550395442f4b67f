"""How far off."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BETTER = {"absolute_error": "lower", "bias": "zero"}


def evaluate(target: pd.Series, predicted: NDArray[np.float64]) -> dict[str, float]:
    """Mean distance, and mean difference."""
    return {
        "absolute_error": float((target - predicted).abs().mean()),
        "bias": float((predicted - target).mean()),
    }
