"""Monitoring a model in use (M9): have its inputs moved, its predictions, or its quality?

`monitor.yml` has the thresholds. The reference was recorded when the champion was trained, so the
training data is not needed. A signal moved if its figure is beyond the threshold and chance does
not explain that, and holds if chance could not hide such a change; else the answer is "not known".
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dslp.core.errors import DslpError
from dslp.core.text import format_share
from dslp.experiments.gains import Gain, format_metric
from dslp.experiments.model import Model
from dslp.experiments.params import Strict, read_checked
from dslp.experiments.uncertainty import Measured, measure
from dslp.models import drift
from dslp.models.drift import Signal
from dslp.models.recent_data import RecentData, TooFew, Unknown, read_recent, source_name
from dslp.models.training_record import read_record
from dslp.tracking.connection import mlflow_errors
from dslp.tracking.registry import Registry, Release
from pydantic import Field


class MonitorSettings(Strict):
    """What stands in `monitor.yml`: how large a change must be to matter.

    Attributes:
        days: the age up to which logged predictions count.
        minimum_rows: fewer rows are not compared.
        features: population stability index of each feature.
        prediction: population stability index of the prediction.
        missing: by how much the share of missing values of a feature may differ.
        quality: by how much the Ask's metric may be worse than on the holdout: a share, or a
            difference where the criterion in `params.yml` is one.
    """

    days: int = Field(default=30, ge=1)
    minimum_rows: int = Field(default=200, ge=1)
    features: float = Field(default=0.25, gt=0)
    prediction: float = Field(default=0.25, gt=0)
    missing: float = Field(default=0.1, gt=0, le=1)
    quality: float = Field(default=0.1, gt=0)


@dataclass(frozen=True)
class MonitoringResult:
    """The champion's signals, and sentences about both sides if a challenger was served (M12)."""

    model: Model
    champion: Release
    rows: dict[str, int]
    signals: list[Signal]
    sides: list[str]

    @property
    def moved(self) -> list[str]:
        """The subjects that moved."""
        return list(dict.fromkeys(s.subject for s in self.signals if s.moved))


@mlflow_errors()
def monitor_model(
    model: Model, sources: Sequence[str], truth: str | None = None
) -> MonitoringResult:
    """Compare recent data with the data that the champion was trained on.

    Args:
        model: of the project.
        sources: datasets of the project, files of new rows, logs of a server.
        truth: a file of observed outcomes, by request or by key, for the last source.

    Raises:
        TooFew: there are too few rows.
        DslpError: there is no champion, or the data cannot be read.
    """
    settings = read_checked(MonitorSettings, model.folder / "monitor.yml")
    registry = Registry.read(model.project, model.name)
    champion = registry.in_role("champion")
    if champion is None:
        todo = f"first: uv run dslp model promote {model.name}"
        raise DslpError(f"{model.name} has no champion; {todo}")
    record, metric = read_record(registry, champion), model.params.metric.name
    if "quality" not in record or record["metric"]["name"] != metric:
        todo = f"train, register and promote {model.name} again"
        raise DslpError(f"{champion.label} was not measured by {metric} for monitoring; {todo}")
    monitor = _Monitor(model, registry, champion, record, settings)
    recent, signals, unknown = list[RecentData](), list[Signal](), list[Unknown]()
    for source in sources:
        outcomes = truth if source == sources[-1] else None
        try:
            rows = read_recent(model, champion, source, settings.days, outcomes)
            if (count := len(rows.rows)) < settings.minimum_rows:
                limit = f"monitor.yml requires {settings.minimum_rows:,} (minimum_rows)"
                raise TooFew(f"{rows.source}: {count:,} rows are too few to compare; {limit}")
            recent.append(rows)
        except Unknown as error:
            unknown.append(error)
            name = source_name(model, source)
            signals.append(Signal(name, name, "rows", "not known", "", None, str(error)))
    if not recent:
        raise next((error for error in unknown if not isinstance(error, TooFew)), unknown[0])
    for rows in recent:
        signals += monitor.signals(rows, len(recent))
    signals.sort(key=lambda signal: (not signal.moved, signal.moved is False))
    counts = {rows.source: len(rows.rows) for rows in recent}
    sides = [side for rows in recent for side in monitor.sides(rows)]
    return MonitoringResult(model, champion, counts, signals, sides)


@dataclass(frozen=True)
class _Monitor:
    """What recent data is compared with."""

    model: Model
    registry: Registry
    champion: Release
    record: dict[str, Any]
    settings: MonitorSettings

    def signals(self, recent: RecentData, sources: int) -> Iterator[Signal]:
        """Each comparison of the rows of one of several sources."""
        record, settings, source = self.record, self.settings, recent.source
        for finding in recent.findings:
            rows = "does not hold" if finding.count is None else f"{finding.count:,} rows"
            measure = finding.rule.removeprefix("expect_").replace("_", " ")
            note = "" if record["personal_data"] else finding.problem
            yield Signal(source, finding.subject, measure, rows, "to hold", True, note)
        if recent.checks and not recent.findings:
            yield Signal(source, "table", "suite and schema", f"{recent.checks} hold", "all", False)
        own, size = recent.versions == self.champion.version, record["rows_per_unit"]
        split = self.model.params.split
        sizes = size, drift.rows_per_unit(recent.rows, split, size)
        sides = (
            ("", recent.rows, "features", (settings.features, settings.missing)),
            ("predicted ", recent.predicted[own], "predictions", (settings.prediction, 1)),
        )
        columns = [
            (prefix + name, bins, rows[name], limits)
            for prefix, rows, part, limits in sides
            for name, bins in record[part].items()
            if name in rows and len(rows)
        ]
        for subject, bins, column, limits in columns:
            count, goes_on = sources * len(columns), split.policy == "time" and subject == split.by
            yield from drift.compare(source, subject, bins, column, limits, count, sizes, goes_on)
        if recent.truth is not None:
            yield self.quality(recent)

    def quality(self, recent: RecentData) -> Signal:
        """The Ask's metric against the holdout's; its whole interval is beyond the limit or not."""
        metric, by = self.model.params.metric, self.model.params.criterion.by
        (observed, now), subject = self.measure(recent, self.champion), (recent.source, metric.name)
        if now is None:
            least = f"≥ {self.settings.minimum_rows:,}"
            note = "too few outcomes are observed yet"
            return Signal(*subject, "quality", f"{observed:,} rows", least, None, note)
        facts, limit = self.record["quality"], -self.settings.quality
        before = Measured(facts["value"], np.array(facts["draws"]), facts["units"])
        gain, threshold = self.gain(now, before), format_metric(limit, by)
        note = f"{now.value:.4g} now, {before.value:.4g} on the holdout; "
        note += f"{observed:,} outcomes are observed, {self._units(recent)}"
        if by == "share" and np.nanmin(before.draws) <= 0 <= np.nanmax(before.draws):
            note += "; a metric around 0 has no shares: write `by: difference` in params.yml"
            return Signal(*subject, "quality", f"{now.value:.4g}", threshold, None, note)
        moved = gain.high < limit or (False if gain.low >= limit else None)
        note += (
            "; more outcomes are needed: the interval reaches the limit" if moved is None else ""
        )
        return Signal(*subject, "quality", f"{gain} ({gain.interval})", threshold, moved, note)

    def _units(self, recent: RecentData) -> str:
        """What is taken as independent, in words."""
        by = self.model.params.split.by
        if by and by in recent.rows:
            return f"those of one {by} count together"
        if by:
            return f"without {by}, so the interval is made as much wider as it is on the holdout"
        return "each counts as independent"

    def gain(self, now: Measured, before: Measured) -> Gain:
        """How much better one is than the other, which is of other rows."""
        return now.gain(before, self.model.params.metric, self.model.params.criterion.by)

    def measure(self, recent: RecentData, release: Release) -> tuple[int, Measured | None]:
        """How many outcomes of its predictions are observed, and the metric if these are enough."""
        if recent.truth is None:
            return 0, None
        rows = np.flatnonzero((recent.versions == release.version) & recent.truth.notna())
        if len(rows) < self.settings.minimum_rows:
            return len(rows), None
        target, predicted = recent.truth.iloc[rows], recent.predicted.iloc[rows]
        (measured,) = measure(self.model, recent.rows.iloc[rows], target, predicted)
        by = self.model.params.split.by
        if by and by not in recent.rows:
            effect = self.record["quality"]["design_effect"]
            draws = measured.value + (measured.draws - measured.value) * math.sqrt(effect)
            measured = Measured(measured.value, draws, int(measured.units / effect))
        return len(rows), measured

    def sides(self, recent: RecentData) -> list[str]:
        """Champion and challenger, if both have predicted, in words."""
        counts, metric, sides = recent.versions.value_counts(), self.model.params.metric.name, []
        figures: list[Measured | None] = []
        for role in ("champion", "challenger"):
            release = self.registry.in_role(role)
            if release is None or release.version not in counts:
                return []
            (observed, now), rows = self.measure(recent, release), counts[release.version]
            figure = f"{metric} {now.value:.4g}" if now else f"{metric} not known yet"
            share = f"{rows:,} rows ({format_share(rows, len(recent.rows))})"
            sides.append(f"{role} {release.label}: {share}, {figure} ({observed:,} outcomes)")
            figures.append(now)
        champion, challenger = figures
        if not (champion and challenger):
            return [*sides, "not compared: too few outcomes are observed (--truth)"]
        gain = self.gain(challenger, champion)
        verdict = (
            "better" if gain.low > 0 else "worse" if gain.high < 0 else "chance may explain it"
        )
        difference = f"{gain}, {gain.interval} (95 % interval): {verdict}"
        return [*sides, f"the challenger against the champion in {metric}: {difference}"]
