"""The data of experiments and training: the dataset, divided, and checked for leaks."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dslp.core.errors import DslpError, Refused
from dslp.data.dataset import Dataset, stale_reason
from dslp.data.fingerprint import digest
from dslp.data.reading import read_frame
from dslp.data.schema import key_columns
from dslp.data.verdict import check_suite
from dslp.experiments import splitting
from dslp.experiments.leaks import LeakCheck
from dslp.experiments.model import Model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from dslp.core.report import Report
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ModelData:
    """The rows of a dataset version; `held` marks those that no experiment may see."""

    rows: "pd.DataFrame"
    held: "NDArray[np.bool_]"
    version: str
    digest: str
    dataset: Dataset
    check: LeakCheck

    @cached_property
    def suite(self) -> "Report":
        """What the dataset's own schema and suite say of it."""
        return check_suite(self.dataset)

    @property
    def warning(self) -> str:
        """Lines: the data is stale, does not pass its own suite, or may leak; mostly empty."""
        name, findings = self.dataset.name, len(self.suite.findings)
        failure = (
            f"{name} does not pass its own suite ({findings} of {self.suite.checks} checks), so a "
            f"model of it is not registered; see: uv run dslp data validate {name}"
        )
        leaks = [f"{name} may leak: {suspicion}" for suspicion in self.check.suspicions]
        reasons = [
            f"params.yml says that input {column} of {name} is known before: {reason}"
            for column, reason in self.check.known_before.items()
        ]
        lines = [stale_reason(self.dataset), "" if self.suite.ok else failure, *leaks, *reasons]
        return "\n".join(filter(None, lines))

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
        DslpError: the data is not built, or a column is missing.
    """
    params, dataset = model.params, model.dataset
    rows, inputs, key = read_frame(dataset), model.inputs, key_columns(dataset)
    if missing := [name for name in (*inputs, params.target) if name not in rows]:
        raise DslpError(
            f"{dataset.processed} has no column {', '.join(missing)}, which params.yml (target) "
            f"or schema.py (Request) of {model.folder} names"
        )
    held = splitting.holdout(rows, params.split, key)
    if others := {*params.known_before} - {*inputs}:
        raise DslpError(
            f"{model.folder / 'params.yml'}: known_before names {', '.join(sorted(others))}, which "
            "is no input of schema.py (Request)"
        )
    check = LeakCheck(rows, held, params.split, key, inputs, params.target, params.known_before)
    if check.leaks:
        raise Refused(f"{model.name} leaks: {'; '.join(check.leaks)}")
    return ModelData(rows, held, dataset.version, digest(dataset), dataset, check)
