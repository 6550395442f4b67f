"""What the model sees of a person: the columns of the request, made numeric."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

HEALTH = ["poor", "fair", "good", "excellent"]
AMOUNTS = ["incentive_payment", "expenditure_ceiling"]


def features() -> ColumnTransformer:
    """Health as an ordered number, amounts on a logarithmic scale, the rest as it is."""
    return ColumnTransformer(
        [
            ("health", OrdinalEncoder(categories=[HEALTH]), ["health"]),
            ("amounts", FunctionTransformer(np.log1p, feature_names_out="one-to-one"), AMOUNTS),
        ],
        remainder="passthrough",
    )
