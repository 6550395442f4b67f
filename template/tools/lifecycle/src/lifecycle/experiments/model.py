"""A model of the project: its folder of plain functions, and its parameters, checked (M1)."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from lifecycle.data.catalogue import Dataset, datasets
from lifecycle.errors import LifecycleError
from lifecycle.project import Project, read_yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    import pandas as pd

Content = TypeVar("Content", bound=BaseModel)
FILES = ("params.yml", "features.py", "train.py", "evaluate.py", "schema.py", "gates.yml")


class Strict(BaseModel):
    """A part of a file in which a misspelt name is an error, not an ignored line."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ask(Strict):
    """The Ask that the model serves: the number of its issue, and its question."""

    issue: int = Field(ge=1)
    question: str = Field(min_length=1)


class Metric(Strict):
    """What the Ask measures success by; `evaluate` returns it among others."""

    name: str
    better: Literal["lower", "higher"]

    def improvement(self, value: float, reference: float) -> float:
        """How much better `value` is than `reference`, as a share of `reference` (0.05 is 5 %)."""
        gain = value - reference if self.better == "higher" else reference - value
        return gain / abs(reference) if reference else 0.0


class Criterion(Strict):
    """How much is enough to be valuable: a share by which the baseline must be improved on."""

    improvement: float = Field(gt=0)


class DatasetVersion(Strict):
    """The dataset that the model is made from, and the version that this was written for."""

    name: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")


class Split(Strict):
    """How records are divided: the policy, not a line of code.

    Attributes:
        policy: `random` by the dataset's key, `group` so that what belongs together stays
            together, `time` so that the future is never seen.
        by: the column of the group or the time.
        holdout: share of records (or of groups, or the latest) that no experiment sees.
        folds: number of parts that experiments are cross-validated on.
        seed: makes the division repeatable.
    """

    policy: Literal["random", "group", "time"]
    by: str | None = None
    holdout: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2)
    seed: int = Field(ge=0, lt=10**15)

    @model_validator(mode="after")
    def _needs_a_column(self) -> "Split":
        if (self.policy == "random") != (self.by is None):
            needs = "takes no column" if self.by else "needs the column to split"
            raise ValueError(f"policy {self.policy} {needs} by")
        return self


class Params(Strict):
    """What stands in `params.yml`. The first candidate is the baseline."""

    ask: Ask
    metric: Metric
    criterion: Criterion
    dataset: DatasetVersion
    target: str
    split: Split
    candidates: dict[str, dict[str, Any]] = Field(min_length=1)

    @property
    def baseline(self) -> str:
        """Name of the candidate that the others are compared with."""
        return next(iter(self.candidates))


@dataclass(frozen=True)
class Model:
    """One model of the project, its parameters read and checked."""

    project: Project
    name: str
    params: Params

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.project.source / "models" / self.name

    @property
    def dataset(self) -> Dataset:
        """The dataset that it is made from.

        Raises:
            LifecycleError: there is no such dataset, or it has another version by now.
        """
        where, stated = self.folder / "params.yml", self.params.dataset
        try:
            (dataset,) = datasets(self.project, [stated.name])
        except LifecycleError as error:
            raise LifecycleError(f"{where}: dataset.name: {error}") from None
        if dataset.version != stated.version:
            raise LifecycleError(
                f"{where} is for {dataset.name} {stated.version}, which is {dataset.version} by "
                "now; look at what changed, then write that version"
            )
        return dataset

    @property
    def code(self) -> str:
        """SHA-256 of its Python files, so that a run knows the code that it was made with."""
        total = hashlib.sha256()
        for path in sorted(self.folder.glob("*.py")):
            total.update(path.name.encode() + b"\0" + path.read_bytes())
        return total.hexdigest()

    def module(self, file: str) -> ModuleType:
        """One of its Python files, imported."""
        return self.project.module(f"models.{self.name}.{file}")

    def function(self, file: str) -> Callable[..., Any]:
        """The function of the same name in one of its files, such as `train` in `train.py`."""
        found = getattr(self.module(file), file, None)
        if not callable(found):
            raise LifecycleError(f"{self.folder / file}.py has no function {file}")
        return found  # type: ignore[no-any-return]

    @property
    def inputs(self) -> list[str]:
        """Columns that the model predicts from: the fields of `Request` in `schema.py` (M2)."""
        request = getattr(self.module("schema"), "Request", None)
        if not (isinstance(request, type) and issubclass(request, BaseModel)):
            raise LifecycleError(f"{self.folder / 'schema.py'} has no pydantic model Request")
        return list(request.model_fields)

    def fit(self, candidate: str, rows: "pd.DataFrame") -> Any:
        """A candidate trained on `rows`: whatever `train` returns, with a method `predict`."""
        with self.project.running(f"{self.name}: train {candidate}"):
            return self.function("train")(
                rows[self.inputs], rows[self.params.target], self.params.candidates[candidate]
            )

    def score(self, estimator: Any, rows: "pd.DataFrame") -> dict[str, float]:
        """The metrics that `evaluate` returns for predictions on `rows`.

        Raises:
            LifecycleError: the Ask's metric is not among them, or one is not a number.
        """
        with self.project.running(f"{self.name}: evaluate"):
            predicted = estimator.predict(rows[self.inputs])
            metrics = self.function("evaluate")(rows[self.params.target], predicted)
        where = f"{self.folder / 'evaluate.py'}: evaluate"
        if not isinstance(metrics, Mapping) or self.params.metric.name not in metrics:
            raise LifecycleError(
                f"{where} must return a dict with the metric {self.params.metric.name!r}"
            )
        try:
            found = {str(name): float(value) for name, value in metrics.items()}
        except (TypeError, ValueError) as error:
            raise LifecycleError(f"{where} returned a metric that is no number: {error}") from None
        wrong = [name for name, value in found.items() if not math.isfinite(value)]
        if wrong:
            raise LifecycleError(f"{where} returned no finite number for {', '.join(wrong)}")
        return found


def model(project: Project, name: str | None = None) -> Model:
    """The model called `name`, or the only one there is.

    Raises:
        LifecycleError: there is none, several, or its folder or parameters are not complete.
    """
    folder = project.source / "models"
    here = sorted(path.parent.name for path in folder.glob("*/params.yml"))
    if not here:
        raise LifecycleError(
            f"no model in {folder} yet; make a folder there with {', '.join(FILES)}"
        )
    if name is None and len(here) > 1:
        raise LifecycleError(f"say which model: {', '.join(here)}")
    name = name or here[0]
    if name not in here:
        raise LifecycleError(f"no model {name!r} in {folder}; there are: {', '.join(here)}")
    missing = [file for file in FILES if not (folder / name / file).is_file()]
    if missing:
        raise LifecycleError(f"{folder / name} has no {', '.join(missing)}")
    return Model(project, name, checked(Params, folder / name / "params.yml"))


def checked(kind: type[Content], path: Path) -> Content:
    """The content of a YAML file as `kind`.

    Raises:
        LifecycleError: one line for each value that is not what it should be.
    """
    try:
        return kind.model_validate(read_yaml(path))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}, "
            f"not {problem['input']!r:.40}"
            for problem in error.errors()
        )
        raise LifecycleError(f"{path}: {problems}") from None
