"""What `gates.yml` asks of a model (M7): each gate that stands there is to be passed."""

import json
from dataclasses import asdict, dataclass, replace

from dslp.experiments.params import Measure, Strict
from pydantic import Field

TAG = "dslp.gates"  # of a version: what each gate said when it became champion
LONGEST = 4000  # characters of it, of which a server keeps 5,000
NOTE = 120  # characters of what is to be known of a gate


class Champion(Strict):
    """How much worse than the champion a challenger may be.

    Attributes:
        margin: how much.
        by: whether that is a share of the champion's figure, or a difference from it.
    """

    margin: float = Field(ge=0)
    by: Measure = "share"


class Subgroups(Strict):
    """How much worse than on the whole holdout a model may be on a part of it.

    Attributes:
        by: columns of the dataset, whether the model is told them or not.
        metric: what is compared, the Ask's metric by default.
        gap: a share of the whole's figure; for a metric that is best at 0, in the metric's unit.
        minimum_rows: smaller parts are not looked at.
    """

    by: list[str] = Field(min_length=1)
    metric: str | None = None
    gap: float = Field(default=0.2, ge=0)
    minimum_rows: int = Field(default=100, ge=1)


class Latency(Strict):
    """How long a prediction of one row may take, in milliseconds, at the 95th percentile."""

    p95_ms: float = Field(gt=0)


class Size(Strict):
    """How large the model's files may be, in millions of bytes."""

    megabytes: float = Field(gt=0)


class Gates(Strict):
    """What stands in `gates.yml`: a gate that is left out is not asked for."""

    criterion: bool = True
    minimum: dict[str, float] = Field(default_factory=dict)
    champion: Champion | None = None
    subgroups: Subgroups | None = None
    latency: Latency | None = None
    size: Size | None = None
    behaviour: bool = False
    determinism: bool = False


@dataclass(frozen=True)
class GateResult:
    """One gate: what was measured, what was asked for, whether it is passed, and what to know."""

    gate: str
    figure: str
    limit: str
    passed: bool
    note: str = ""


def gates_tag(verdicts: list[GateResult]) -> dict[str, str]:
    """What the gates said, as a tag of the version that they let through."""
    for most in (NOTE, 0):
        told = [asdict(replace(verdict, note=verdict.note[:most])) for verdict in verdicts]
        text = json.dumps(told, ensure_ascii=False)
        if len(text) <= LONGEST:
            return {TAG: text}
    return {}


def failed_gates(verdicts: list[GateResult]) -> str:
    """The gates that were not passed, in words."""
    return ", ".join(verdict.gate for verdict in verdicts if not verdict.passed)
