"""Watching a model in use (M9): has what it is asked moved, what it answers, or its quality?

`monitor.yml` beside `params.yml` says how far is too far. What is compared with was recorded when
the champion was trained, so the training data need not be there.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dslp.core.errors import DslpError
from dslp.experiments.model import Model
from dslp.experiments.params import Strict, read_checked
from dslp.models import drift, recent_data, training_record
from dslp.models.recent_data import RecentData, TooFew
from dslp.tracking.connection import mlflow_errors
from dslp.tracking.registry import Registry, Release
from pydantic import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 200  # of the rows whose outcome was observed, for an interval


class MonitorSettings(Strict):
    """What stands in `monitor.yml`: the limits, each of which is passed only if it is exceeded.

    Attributes:
        days: how long ago a logged prediction may have been made.
        minimum_rows: of fewer rows nothing is said. With 200, and 200 in the reference, an index
            of ten bins is over 0.17 once in twenty times by chance alone.
        features: population stability index of each feature.
        prediction: that of what is predicted.
        missing: by how much the share of missing values of a feature may differ.
        quality: by how much the Ask's metric may be worse than on the holdout, as a share.
    """

    days: int = Field(default=30, ge=1)
    minimum_rows: int = Field(default=200, ge=1)
    features: float = Field(default=0.25, gt=0)
    prediction: float = Field(default=0.25, gt=0)
    missing: float = Field(default=0.1, gt=0, le=1)
    quality: float = Field(default=0.1, gt=0)


@dataclass(frozen=True)
class Signal:
    """One thing that was looked at.

    Attributes:
        where: the rows that it is about.
        subject: a feature, what is predicted, a metric, or columns of the suite.
        what: what was measured.
        figure: what it is.
        limit: what it may be.
        moved: whether it is beyond that; nothing where that is not known.
        note: what to know.
        shares: by bin in words, the share before and now.
    """

    where: str
    subject: str
    what: str
    figure: str
    limit: str
    moved: bool | None
    note: str = ""
    shares: tuple[tuple[str, float, float], ...] = ()

    @property
    def word(self) -> str:
        """What came of it."""
        return "not known" if self.moved is None else "moved" if self.moved else "holds"


@dataclass(frozen=True)
class Side:
    """How one of two versions that were served did (M12): its share of all rows, and its metric."""

    role: str
    label: str
    rows: int
    share: float
    known: int
    metric: float | None


@dataclass(frozen=True)
class Observation:
    """A model as it was seen: the champion, each signal, and both sides where two were served."""

    model: Model
    champion: Release
    rows: dict[str, int]
    signals: list[Signal]
    sides: list[Side]

    @property
    def moved(self) -> list[str]:
        """What moved, in words."""
        return list(dict.fromkeys(s.subject for s in self.signals if s.moved))


@mlflow_errors()
def monitor_model(
    model: Model, predictions: str | None = None, data: str | None = None, truth: str | None = None
) -> Observation:
    """Compare what has arrived with what the champion was trained on.

    Args:
        model: of the project.
        predictions: folder or address of the server's log; the usual one where there is no `data`.
        data: a dataset of the project, or a file of new rows.
        truth: a file of observed outcomes, by request or by key: of what was served, if that is
            looked at, or else of the new rows.

    Raises:
        TooFew: too little has arrived.
        DslpError: there is no champion, or what has arrived cannot be looked at.
    """
    watch = read_checked(MonitorSettings, model.folder / "monitor.yml")
    registry = Registry.read(model.project, model.name)
    champion = registry.in_role("champion")
    if champion is None:
        raise DslpError(f"{model.name} has no champion to watch; first: uv run dslp model promote")
    then = training_record.read_record(registry, champion)
    if not then:
        raise DslpError(
            f"{champion.label} was trained before figures to compare with were recorded; "
            f"train, register and promote {model.name} again"
        )
    served = predictions or (None if data else recent_data.predictions_address(model))
    found: list[RecentData] = []
    signals: list[Signal] = []
    unknown: list[recent_data.Unknown] = []
    for source in filter(None, (data, served)):
        where = "served" if source == served else source
        try:
            if source == served:
                arrived = recent_data.served_rows(model, source, watch.days, truth)
            else:
                arrived = recent_data.new_rows(model, champion, source, None if served else truth)
            if len(arrived.rows) < watch.minimum_rows:
                raise TooFew(
                    f"{where}: {len(arrived.rows):,} rows are too few to say anything; "
                    f"monitor.yml asks for {watch.minimum_rows:,} (minimum_rows)"
                )
        except recent_data.Unknown as error:
            unknown.append(error)
            signals.append(Signal(where, where, "rows", "not known", "", None, str(error)))
        else:
            found.append(arrived)
            signals += _signals(model, champion, then, watch, arrived)
    if not found:
        raise next((error for error in unknown if not isinstance(error, TooFew)), unknown[0])
    signals.sort(key=lambda signal: not signal.moved)
    rows = {arrived.where: len(arrived.rows) for arrived in found}
    sides = [side for arrived in found for side in _sides(model, registry, watch, arrived)]
    return Observation(model, champion, rows, signals, sides)


def _signals(
    model: Model,
    champion: Release,
    then: dict[str, Any],
    watch: MonitorSettings,
    arrived: RecentData,
) -> Iterator[Signal]:
    where = arrived.where
    for finding in arrived.findings:
        rows = "does not hold" if finding.count is None else f"{finding.count:,} rows"
        what = finding.rule.removeprefix("expect_").replace("_", " ")
        note = "" if then["personal_data"] else finding.problem
        yield Signal(where, finding.subject, what, rows, "holds", True, note)
    if arrived.checks and not arrived.findings:
        yield Signal(where, "table", "suite and schema", f"{arrived.checks} hold", "all", False)
    for name, bins in then["features"].items():
        if name in arrived.rows:
            yield from _drift(where, name, bins, arrived.rows[name], watch.features, watch.missing)
    own = arrived.versions == champion.version
    for name, bins in then["predictions"].items():
        if name in arrived.predicted and own.any():
            column = arrived.predicted[name][own]
            yield from _drift(where, f"predicted {name}", bins, column, watch.prediction, 1)
    yield from _quality(model, champion, watch, arrived)


def _drift(
    where: str, name: str, bins: drift.Bins, column: Any, limit: float, missing: float
) -> Iterator[Signal]:
    then, now = np.array(bins["counts"]), drift.count_values(column, bins)
    index = drift.stability(then, now)
    before, after = then / then.sum(), now / now.sum()
    words = drift.bin_names(bins)
    most = int(np.argmax(np.abs(after - before)))
    note = f"{words[most]}: {before[most]:.1%} in training, {after[most]:.1%} now"
    shares = tuple(zip(words, before.tolist(), after.tolist(), strict=True))
    moved = index > limit
    yield Signal(where, name, "drift", f"{index:.3f}", f"{limit:g}", moved, note, shares)
    gap = abs(after[-1] - before[-1])
    if gap > missing:
        figure = f"{before[-1]:.1%}, now {after[-1]:.1%}"
        yield Signal(where, name, "missing", figure, f"± {missing:.1%}", True)


def _quality(
    model: Model, champion: Release, watch: MonitorSettings, arrived: RecentData
) -> Iterator[Signal]:
    """The Ask's metric against the holdout's; worse only if chance does not explain it."""
    metric, subject = model.params.metric, (arrived.where, model.params.metric.name, "quality")
    known = _known(arrived, champion.version)
    if arrived.truth is None:
        return
    if len(known) < watch.minimum_rows:
        what = f"{len(known):,} rows", f"≥ {watch.minimum_rows:,}"
        yield Signal(*subject, *what, None, "too few outcomes are observed yet")
        return
    stated = champion.tags.get(f"holdout_{metric.name}")
    if stated is None:
        raise DslpError(
            f"{champion.label} was not measured by {metric.name}; train, register and promote "
            f"{model.name} again"
        )
    reference = float(stated)
    gain = metric.improvement(_metric(model, arrived, known), reference)
    draw = np.random.default_rng(0)
    gains = [gain]
    for _ in range(DRAWS):
        with suppress(DslpError):  # some metrics are not defined for every draw
            again = _metric(model, arrived, draw.choice(known, len(known)))
            gains.append(metric.improvement(again, reference))
    low, high = np.quantile(gains, [0.025, 0.975])
    note = f"{low:+.1%} to {high:+.1%} (95 % interval) against {reference:.4g} on the holdout; "
    note += f"{len(known):,} outcomes are observed"
    worse = bool(high < -watch.quality)
    yield Signal(*subject, f"{gain:+.1%}", f"{-watch.quality:+.1%}", worse, note)


def _known(arrived: RecentData, version: str) -> "NDArray[np.intp]":
    """Positions of the rows that a version predicted and whose outcome was observed."""
    if arrived.truth is None:
        return np.array([], dtype=np.intp)
    return np.flatnonzero((arrived.versions == version) & arrived.truth.notna())


def _metric(model: Model, arrived: RecentData, rows: "NDArray[np.intp]") -> float:
    """The Ask's metric of these rows."""
    assert arrived.truth is not None
    found = model.evaluate(arrived.truth.iloc[rows], arrived.predicted.iloc[rows])
    return found[model.params.metric.name]


def _sides(
    model: Model, registry: Registry, watch: MonitorSettings, arrived: RecentData
) -> Iterator[Side]:
    """Champion and challenger, where both have answered; the metric where enough was observed."""
    roles = {role: registry.in_role(role) for role in ("champion", "challenger")}
    counts = arrived.versions.value_counts()
    if not all(one and one.version in counts for one in roles.values()):
        return
    for role, one in roles.items():
        if one is not None:
            rows, known = int(counts[one.version]), _known(arrived, one.version)
            enough = len(known) >= watch.minimum_rows
            value = _metric(model, arrived, known) if enough else None
            yield Side(role, one.label, rows, rows / len(arrived.rows), len(known), value)
