"""For the tests of a project: the model that they are about."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from dslp.experiments.model import Model


def predictor(model: "Model", candidate: str, rows: "pd.DataFrame") -> Any:
    """The candidate trained on `rows`, or the very version that `dslp model test` asks about.

    The gate `behaviour` runs a model's tests with the environment variable DSLP_MODEL_FOLDER,
    so that what is tested is what would be in use, not its like (M4).

    Returns:
        What `train` returned; `Model.predict` asks it, whatever it is.
    """
    folder = os.environ.get("DSLP_MODEL_FOLDER")
    if not folder:
        return model.fit(candidate, rows)
    from dslp.models.flavours import load

    return load(Path(folder))
