"""What `gates.yml` asks of a model (M7): every listed gate must pass."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from dslp.core.report import Finding, Report
from dslp.experiments.gains import Measure
from dslp.experiments.params import Strict
from pydantic import Field, StringConstraints

TAG = "dslp.gates"  # of a version: the results of its gates when it became champion
OVERRIDE = "dslp.suite_override"  # of a version: why the suite of its dataset did not count
LONGEST = 4000  # characters of it, of which a server keeps 5,000
NOTE = 120  # characters of a note


class Champion(Strict):
    """How much worse than the champion a challenger may be.

    Attributes:
        margin: how much.
        by: whether that is a share of the champion's figure, or a difference from it; by default
            as `Metric.measure` says.
    """

    margin: float = Field(ge=0)
    by: Measure | None = None


class Subgroups(Strict):
    """How much worse than on the whole holdout a model may be on a part of it.

    Attributes:
        by: columns of the dataset, whether they are inputs of the model or not.
        metric: what is compared, the Ask's metric by default.
        gap: a share of the whole's figure; for a metric that is best at 0, in the metric's unit.
        minimum_rows: smaller parts are not measured.
    """

    by: list[str] = Field(min_length=1)
    metric: str | None = None
    gap: float = Field(default=0.2, ge=0)
    minimum_rows: int = Field(default=100, ge=1)


class Latency(Strict):
    """How long one row may take on a quiet machine: 95th percentile, in milliseconds."""

    p95_ms: float = Field(gt=0)


class Size(Strict):
    """How large the model's files may be, in megabytes (10⁶ bytes)."""

    megabytes: float = Field(gt=0)


class Gates(Strict):
    """What stands in `gates.yml`: a gate that is left out is not asked for, but for `dataset`.

    Attributes:
        dataset: the dataset passes its own suite; a sentence in place of `true` is the reason why
            a model is registered and promoted though it does not. The version records it.
        must_pass: whether the estimate of a metric must reach its limit, or both ends of its 95 %
            interval: for the criterion, the champion, minimum and subgroups.
    """

    dataset: (
        Literal[True] | Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"\w \w")]
    ) = True
    must_pass: Literal["estimate", "interval"] = "estimate"
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
    """One gate: the measured figure, its limit, whether it is passed, and a note.

    A metric has its 95 % interval as well.
    """

    gate: str
    figure: str
    limit: str
    passed: bool
    note: str = ""
    interval: str = ""


def gates_tag(results: list[GateResult]) -> dict[str, str]:
    """The results as a tag of the version that passed."""
    content = [asdict(replace(result, note=result.note[:NOTE])) for result in results]
    text = json.dumps(content, ensure_ascii=False)
    return {TAG: text} if len(text) <= LONGEST else {}


def override_tag(results: list[GateResult]) -> dict[str, str]:
    """The reason why the suite of the dataset does not count, as a tag; none where it holds."""
    notes = [each.note for each in results if each.gate == "dataset" and each.passed and each.note]
    return dict(zip([OVERRIDE], notes, strict=False))


def gates_report(subject: str, results: list[GateResult]) -> Report:
    """The results as `dslp model test --json` prints them: a finding for each gate not passed."""
    findings = [
        Finding(result.gate, f"{result.figure}; the limit is {result.limit}", why=result.note)
        for result in results
        if not result.passed
    ]
    gates = [asdict(result) for result in results]
    return Report(subject, len(results), findings, details={"gates": gates})


def failed_gates(results: list[GateResult]) -> str:
    """The names of the gates that were not passed."""
    return ", ".join(result.gate for result in results if not result.passed)
