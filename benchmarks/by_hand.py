"""The example's model behind FastAPI, as one writes it by hand: what `dslp model serve` is beside.

    MODEL=FOLDER uvicorn benchmarks.by_hand:app

One asynchronous worker; the body is a pydantic model; the model is loaded once, and asked with a
numpy array. So the features are computed here as `features.py` does: without a data frame, a
prediction costs a fifth.
"""

import os
from pathlib import Path
from typing import Literal

import numpy as np
import skops.io
from fastapi import FastAPI
from pydantic import BaseModel, Field

HEALTH = ("poor", "fair", "good", "excellent")
FILE = next(Path(os.environ["MODEL"]).glob("*.skops"))
REGRESSOR = skops.io.load(FILE, trusted=skops.io.get_untrusted_types(file=FILE))["regressor"]

app = FastAPI()


class Request(BaseModel):
    """An insured person and their plan."""

    coinsurance: float = Field(ge=0, le=100)
    individual_deductible: bool
    incentive_payment: float = Field(ge=0)
    expenditure_ceiling: float = Field(ge=0)
    physical_limitation: float = Field(ge=0, le=1)
    chronic_diseases: float = Field(ge=0)
    health: Literal["poor", "fair", "good", "excellent"]


class Response(BaseModel):
    """The expected number of visits."""

    visits: float


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Predict for one person."""
    row = [
        HEALTH.index(request.health),
        np.log1p(request.incentive_payment),
        np.log1p(request.expenditure_ceiling),
        request.coinsurance,
        request.individual_deductible,
        request.physical_limitation,
        request.chronic_diseases,
    ]
    return Response(visits=REGRESSOR.predict(np.array([row], dtype=float))[0])
