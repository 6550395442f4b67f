"""What experiments and training work on: the dataset, divided, with nothing known beforehand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError, Refused
from dslp.data.fingerprint import digest
from dslp.data.reading import read_frame
from dslp.data.schema import key_columns
from dslp.experiments import splitting
from dslp.experiments.model import Model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ModelData:
    """The rows of a dataset version, and which of them no experiment may look at."""

    rows: "pd.DataFrame"
    held: "NDArray[np.bool_]"
    version: str
    digest: str

    @property
    def development(self) -> "pd.DataFrame":
        """The rows that experiments see."""
        return self.rows[~self.held]

    @property
    def holdout(self) -> "pd.DataFrame":
        """The rows that only the evaluation of a trained model sees."""
        return self.rows[self.held]


def read_model_data(model: Model) -> ModelData:
    """The model's dataset, divided by its policy.

    Raises:
        Refused: the division leaks.
        DslpError: the data is not built, or lacks a column.
    """
    params, dataset = model.params, model.dataset
    rows = read_frame(dataset)
    absent = [name for name in (*model.inputs, params.target) if name not in rows]
    if absent:
        raise DslpError(
            f"{dataset.processed} has no column {', '.join(absent)}, which params.yml (target) "
            f"or schema.py (Request) of {model.folder} names"
        )
    held = splitting.holdout(rows, params.split, key_columns(dataset))
    found = splitting.leaks(
        rows, held, params.split, key_columns(dataset), model.inputs, params.target
    )
    if found:
        raise Refused(f"{model.name} leaks: {'; '.join(found)}")
    return ModelData(rows, held, dataset.version, digest(dataset))
