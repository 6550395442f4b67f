"""Monitoring a model in use (M9): have its inputs moved, its predictions, or its quality?

`monitor.yml` has the thresholds. The reference was recorded when the champion was trained, so the
training data is not needed.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dslp.core.errors import DslpError
from dslp.experiments.model import Model
from dslp.experiments.params import Strict, read_checked
from dslp.models import drift, recent_data
from dslp.models.recent_data import RecentData, TooFew
from dslp.models.training_record import read_record
from dslp.tracking.connection import mlflow_errors
from dslp.tracking.registry import Registry, Release
from pydantic import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 200  # bootstrap samples for the interval of the metric


class MonitorSettings(Strict):
    """What stands in `monitor.yml`: a signal moved if its figure is beyond the threshold.

    Attributes:
        days: the age up to which logged predictions count.
        minimum_rows: fewer rows are not compared. With 200, and 200 in the reference, an index
            of ten bins is over 0.17 once in twenty times by chance alone.
        features: population stability index of each feature.
        prediction: population stability index of the prediction.
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
    """One comparison of new rows with the reference.

    Attributes:
        source: where the rows come from.
        subject: a feature, a prediction, a metric, or columns of the suite.
        measure: what was measured.
        figure: the measured value.
        threshold: of the figure.
        moved: whether the figure is beyond the threshold; None where that is not known.
        note: an explanation.
        shares: of each bin, its name and its shares in training and in the new rows.
    """

    source: str
    subject: str
    measure: str
    figure: str
    threshold: str
    moved: bool | None
    note: str = ""
    shares: tuple[tuple[str, float, float], ...] = ()

    @property
    def status(self) -> str:
        """Whether it moved, in words."""
        return "not known" if self.moved is None else "moved" if self.moved else "holds"


@dataclass(frozen=True)
class Side:
    """One of two versions that were served (M12): its share of the rows, and its metric."""

    role: str
    label: str
    rows: int
    share: float
    observed: int
    metric: float | None


@dataclass(frozen=True)
class MonitoringResult:
    """The champion's signals, and both sides if a challenger was served too."""

    model: Model
    champion: Release
    rows: dict[str, int]
    signals: list[Signal]
    sides: list[Side]

    @property
    def moved(self) -> list[str]:
        """The subjects that moved."""
        return list(dict.fromkeys(s.subject for s in self.signals if s.moved))


@mlflow_errors()
def monitor_model(
    model: Model, predictions: str | None = None, data: str | None = None, truth: str | None = None
) -> MonitoringResult:
    """Compare recent data with the data that the champion was trained on.

    Args:
        model: of the project.
        predictions: folder or address of the server's log; without `data`, the usual one.
        data: a dataset of the project, or a file of new rows.
        truth: a file of observed outcomes, by request or by key: of the served requests if these
            are monitored, else of the new rows.

    Raises:
        TooFew: there are too few rows.
        DslpError: there is no champion, or the data cannot be read.
    """
    settings = read_checked(MonitorSettings, model.folder / "monitor.yml")
    registry = Registry.read(model.project, model.name)
    champion = registry.in_role("champion")
    name = model.name
    if champion is None:
        raise DslpError(f"{name} has no champion; first: uv run dslp model promote {name}")
    reference = read_record(registry, champion)
    log = predictions or (None if data else recent_data.predictions_address(model))
    sources: list[RecentData] = []
    signals: list[Signal] = []
    unknown: list[recent_data.Unknown] = []
    for source in filter(None, (data, log)):
        name = "served" if source == log else source
        try:
            if source == log:
                recent = recent_data.served_rows(model, source, settings.days, truth)
            else:
                recent = recent_data.new_rows(model, champion, source, None if log else truth)
            if (rows := len(recent.rows)) < settings.minimum_rows:
                limit = f"monitor.yml requires {settings.minimum_rows:,} (minimum_rows)"
                raise TooFew(f"{name}: {rows:,} rows are too few to compare; {limit}")
        except recent_data.Unknown as error:
            unknown.append(error)
            signals.append(Signal(name, name, "rows", "not known", "", None, str(error)))
        else:
            sources.append(recent)
            signals += _signals(model, champion, reference, settings, recent)
    if not sources:
        raise next((error for error in unknown if not isinstance(error, TooFew)), unknown[0])
    signals.sort(key=lambda signal: not signal.moved)
    counts = {recent.source: len(recent.rows) for recent in sources}
    sides = [side for recent in sources for side in _sides(model, registry, settings, recent)]
    return MonitoringResult(model, champion, counts, signals, sides)


def _signals(
    model: Model,
    champion: Release,
    reference: dict[str, Any],
    settings: MonitorSettings,
    recent: RecentData,
) -> Iterator[Signal]:
    source = recent.source
    for finding in recent.findings:
        rows = "does not hold" if finding.count is None else f"{finding.count:,} rows"
        limit = "holds" if finding.count is None else "0 rows"
        measure = finding.rule.removeprefix("expect_").replace("_", " ")
        note = "" if reference["personal_data"] else finding.problem
        yield Signal(source, finding.subject, measure, rows, limit, True, note)
    if recent.checks and not recent.findings:
        yield Signal(source, "table", "suite and schema", f"{recent.checks} hold", "all", False)
    for name, bins in reference["features"].items():
        if name in recent.rows:
            column, limits = recent.rows[name], (settings.features, settings.missing)
            yield from _drift(source, name, bins, column, *limits)
    own = recent.versions == champion.version
    for name, bins in reference["predictions"].items():
        if name in recent.predicted and own.any():
            column = recent.predicted[name][own]
            yield from _drift(source, f"predicted {name}", bins, column, settings.prediction, 1)
    yield from _quality(model, champion, settings, recent)


def _drift(
    source: str, name: str, bins: drift.Bins, column: Any, threshold: float, missing: float
) -> Iterator[Signal]:
    expected, actual = np.array(bins["counts"]), drift.count_values(column, bins)
    index = drift.stability(expected, actual)
    before, after = expected / expected.sum(), actual / actual.sum()
    names, most = drift.bin_names(bins), int(np.argmax(np.abs(after - before)))
    note = f"{names[most]}: {before[most]:.1%} in training, {after[most]:.1%} now"
    shares = tuple(zip(names, before.tolist(), after.tolist(), strict=True))
    moved = index > threshold
    yield Signal(source, name, "drift", f"{index:.3f}", f"{threshold:g}", moved, note, shares)
    if abs(after[-1] - before[-1]) > missing:
        figure = f"{before[-1]:.1%}, now {after[-1]:.1%}"
        yield Signal(source, name, "missing", figure, f"± {missing:.1%}", True)


def _quality(
    model: Model, champion: Release, settings: MonitorSettings, recent: RecentData
) -> Iterator[Signal]:
    """The Ask's metric against the holdout's; it moved only if chance does not explain it."""
    metric, subject = model.params.metric, (recent.source, model.params.metric.name, "quality")
    if recent.truth is None:
        return
    observed = _observed_rows(recent, champion.version)
    if len(observed) < settings.minimum_rows:
        figure, threshold = f"{len(observed):,} rows", f"≥ {settings.minimum_rows:,}"
        yield Signal(*subject, figure, threshold, None, "too few outcomes are observed yet")
        return
    recorded = champion.tags.get(f"holdout_{metric.name}")
    if recorded is None:
        todo = f"train, register and promote {model.name} again"
        raise DslpError(f"{champion.label} was not measured by {metric.name}; {todo}")
    reference, random = float(recorded), np.random.default_rng(0)
    gain = metric.improvement(_metric(model, recent, observed), reference)
    gains = [gain]
    for _ in range(DRAWS):
        with suppress(DslpError):  # some metrics are not defined for every sample
            sample = random.choice(observed, len(observed))
            gains.append(metric.improvement(_metric(model, recent, sample), reference))
    low, high = np.quantile(gains, [0.025, 0.975])
    note = f"{low:+.1%} to {high:+.1%} (95 % interval) against {reference:.4g} on the holdout; "
    note += f"{len(observed):,} outcomes are observed"
    moved = bool(high < -settings.quality)
    yield Signal(*subject, f"{gain:+.1%}", f"{-settings.quality:+.1%}", moved, note)


def _observed_rows(recent: RecentData, version: str) -> "NDArray[np.intp]":
    """Positions of the rows that a version predicted and whose outcome was observed."""
    if recent.truth is None:
        return np.array([], dtype=np.intp)
    return np.flatnonzero((recent.versions == version) & recent.truth.notna())


def _metric(model: Model, recent: RecentData, rows: "NDArray[np.intp]") -> float:
    """The Ask's metric of these rows."""
    assert recent.truth is not None
    metrics = model.evaluate(recent.truth.iloc[rows], recent.predicted.iloc[rows])
    return metrics[model.params.metric.name]


def _sides(
    model: Model, registry: Registry, settings: MonitorSettings, recent: RecentData
) -> Iterator[Side]:
    """Champion and challenger, if both have predicted; the metric if enough was observed."""
    counts = recent.versions.value_counts()
    champion, challenger = registry.in_role("champion"), registry.in_role("challenger")
    both = [one for one in (champion, challenger) if one and one.version in counts]
    if len(both) < 2:
        return
    for release in both:
        rows, observed = int(counts[release.version]), _observed_rows(recent, release.version)
        enough = len(observed) >= settings.minimum_rows
        metric = _metric(model, recent, observed) if enough else None
        share = rows / len(recent.rows)
        yield Side(release.role, release.label, rows, share, len(observed), metric)
