"""The content of a model's `params.yml`, checked when a command reads it (M1)."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from dslp.core.errors import DslpError
from dslp.core.files import read_yaml
from dslp.core.formats import without_format
from dslp.experiments.gains import Better, Measure, improvement
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

Content = TypeVar("Content", bound=BaseModel)
Direction = Literal["lower", "higher", "zero"]
NAME = r"[/\w.\- :]{1,240}"  # of a parameter or a metric, as MLflow allows it
Kind = Literal["regression", "classification", "counts", "forecast"]  # of what is predicted


def _check_name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        allowed = "letters, digits, spaces, and _ - . : /"
        raise ValueError(f"MLflow keeps no name {name!r:.60}; a name has {allowed}")
    return name


Name = Annotated[str, AfterValidator(_check_name)]


class Strict(BaseModel):
    """A part of a file; a misspelt name in it is an error, not an ignored line."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ask(Strict):
    """The Ask that the model serves: the number of its issue, and its question."""

    issue: int = Field(ge=1)
    question: str = Field(min_length=1)


class Metric(Strict):
    """What the Ask measures success by; `evaluate` returns it among others."""

    name: Name
    better: Better

    @property
    def measure(self) -> Measure:
        """How a gain is measured by default: a share of a metric that cannot fall below 0.

        A share of what is to rise says little: from an accuracy of 0.5, more than 100 % is no gain
        at all. It is the difference there.
        """
        return "share" if self.better == "lower" else "difference"

    def improvement(self, value: float, reference: float, by: Measure = "share") -> float:
        """How much better `value` is than `reference`, as a share of `reference` (0.05 is 5 %).

        With a reference of 0, the share is infinite. By `difference`, the gain is in the metric's
        own unit.
        """
        return improvement(value, reference, self.better, by)


class Criterion(Strict):
    """How much better than the baseline is enough to be valuable.

    Attributes:
        improvement: how much.
        by: whether that is a share of the baseline's figure, or a difference in the metric's own
            unit; by default as `Metric.measure` says.
    """

    improvement: float = Field(gt=0)
    by: Measure = "share"


class DatasetVersion(Strict):
    """The dataset that the model is made from, and its version."""

    name: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")


class Split(Strict):
    """How records are divided: a policy, not code.

    Attributes:
        policy: `random` by the dataset's key; `group` keeps a group in one part; `time` trains on
            the past only.
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


class ParameterRange(Strict):
    """The values that a sweep tries for a parameter: `low` to `high`, or one of `choices`.

    A range of integers gives integers; both ends belong to it. With `log`, each order of magnitude
    is equally likely.
    """

    low: StrictInt | StrictFloat | None = None
    high: StrictInt | StrictFloat | None = None
    log: bool = False
    choices: list[Any] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _is_a_range_or_a_choice(self) -> "ParameterRange":
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("takes choices, or low and high, not both")
        elif self.low is None or self.high is None:
            raise ValueError("needs low and high, or choices")
        elif not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError("needs a low that is less than high")
        elif self.log and self.low <= 0:
            raise ValueError("needs a low above 0 where log is true")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether it is a range of integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[float, float]:
        """Between which numbers one is drawn; of an integer, the fraction is cut off then."""
        low, high = self.low or 0, self.high or 0  # they are None only where there are choices
        return low, high + self.is_whole

    def cut(self, value: Any) -> Any:
        """A value that was drawn, without its fraction if it is to be an integer."""
        if self.choices is None:
            return min(math.floor(value), self.high) if self.is_whole else float(value)
        return value


class Sweep(Strict):
    """A candidate that is tried with random values of some parameters.

    A dot in a parameter's name stands for a parameter within a parameter.
    """

    candidate: str
    trials: int = Field(ge=1, le=100_000)
    seed: int = Field(ge=0, lt=2**32)
    parameters: dict[Name, ParameterRange] = Field(min_length=1)


class Params(Strict):
    """The content of `params.yml`. The first candidate is the baseline.

    `known_before` has the inputs that tell the target, but are known before it is: they are no
    leak. The reasons are shown, and recorded with each run.
    """

    kind: Kind | None = None  # by default as the target says, see `Model.kind`
    ask: Ask
    metric: Metric
    criterion: Criterion
    dataset: DatasetVersion
    target: str
    split: Split
    known_before: dict[str, Annotated[str, Field(min_length=1)]] = {}  # of an input, the reason
    candidates: dict[str, dict[Name, Any]] = Field(min_length=1)
    sweep: Sweep | None = None

    @field_validator("criterion")
    @classmethod
    def _has_a_measure(cls, criterion: Criterion, info: ValidationInfo) -> Criterion:
        metric = info.data.get("metric")  # missing where it is wrong itself
        if metric is None or "by" in criterion.model_fields_set:
            return criterion
        return criterion.model_copy(update={"by": metric.measure})

    @model_validator(mode="after")
    def _sweeps_a_candidate(self) -> "Params":
        if self.sweep and self.sweep.candidate not in self.candidates:
            raise ValueError(f"sweep.candidate {self.sweep.candidate!r} is none of the candidates")
        return self

    @property
    def baseline(self) -> str:
        """Name of the candidate that the others are compared with."""
        return next(iter(self.candidates))


class ScriptParams(Params):
    """The content of `params.yml` of a model whose training is a script of the team's own.

    The script reads the data and divides it; the dataset and the number of folds may be said.
    """

    dataset: DatasetVersion = DatasetVersion(name="none", version="0.0.0")
    target: str = ""
    split: Split = Split(policy="random", holdout=0.2, folds=5, seed=0)


def share_problem(metric: Metric, references: Iterable[float], by: Measure) -> str:
    """Why a share of these figures of the baseline or the champion says little; empty if not so."""
    if by == "difference" or min(references) > 0:
        return ""
    return (
        f"{metric.name} to compare with is not above 0, so a share of it says little; "
        "write by: difference"
    )


def read_checked(kind: type[Content], path: Path) -> Content:
    """The content of a YAML file as `kind`.

    Raises:
        DslpError: one line for each value that is not what it should be.
    """
    try:
        return kind.model_validate(without_format(read_yaml(path), path.name, path))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}, "
            f"not {problem['input']!r:.40}"
            for problem in error.errors()
        )
        raise DslpError(f"{path}: {problems}") from None
