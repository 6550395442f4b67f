"""Visits of a hundred people on three days each."""

import numpy as np
import pandas as pd


def extract() -> pd.DataFrame:
    """Made up, and the same each time."""
    draw, number = np.random.default_rng(1), np.arange(300)
    amount = draw.uniform(0, 10, 300).round(2)
    return pd.DataFrame(
        {
            "id": number + 1,
            "person": number // 3 + 1,
            "day": np.datetime64("2024-01-01", "us") + number * np.timedelta64(1, "D"),
            "amount": amount,
            "kind": draw.choice(["home", "office"], 300),
            "visits": draw.poisson(1 + amount),
        }
    )


def build(raw: pd.DataFrame) -> pd.DataFrame:
    """As they are."""
    return raw
