"""Measuring a trained model by the gates between challenger and champion (M4, M7)."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from operator import ne
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.text import error_line, format_share
from dslp.data.verdict import check_suite
from dslp.experiments.gains import Gain, Measure, format_interval, format_metric
from dslp.experiments.model import Model, as_requested
from dslp.experiments.params import Direction, Metric, read_checked, share_problem
from dslp.experiments.runs import recorded_parameters
from dslp.experiments.splitting import ModelData, read_model_data
from dslp.experiments.uncertainty import Measured, Samples, draw_samples, measure_all
from dslp.models.api import KINDS, RECORDS, Api
from dslp.models.gates import Champion, GateResult, Gates, Latency, Subgroups
from dslp.models.performance import measure_latency, model_size
from dslp.models.training import TrainedModel, training_split
from dslp.models.versioning import part_tags
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

FEW = 10  # different numbers that are groups by themselves; more are divided into four
OUTCOMES = "passed|failed|errors?|skipped|deselected|xfailed|xpassed"  # of tests, in pytest's words
BUSY = 0.1  # share of time in which a prediction waits for a processor that is worth a note
FOLDER = "DSLP_MODEL_FOLDER"  # the model that the behaviour tests load
SEEN = "so it may have seen rows of the holdout"


def check_gates(
    model: Model, subject: TrainedModel, champion: TrainedModel | None
) -> list[GateResult]:
    """The results of the gates of `gates.yml`, against the champion if there is one.

    Both predict the same holdout anew, so that figures of different data are never compared.

    Raises:
        Refused: the model was trained on another split, so it has seen rows of the holdout.
        DslpError: one of them cannot be loaded, or a gate cannot be measured.
    """
    gates, baseline = read_checked(Gates, model.folder / "gates.yml"), model.params.baseline
    split = training_split(recorded_parameters(model, baseline), part_tags(model, baseline))
    if subject.split != split:
        raise Refused(
            f"{model.name} {subject.label} was trained with another split, target, dataset or key, "
            f"{SEEN}; train it again: uv run dslp model train {model.name}"
        )
    return list(_Checks(model, subject, champion, read_model_data(model), gates).results())


def dataset_gate(model: Model, subject: TrainedModel) -> GateResult:
    """Whether the dataset passes its own suite, now and when the model was trained."""
    reason = read_checked(Gates, model.folder / "gates.yml").dataset
    name, problem = model.dataset.name, ""
    if not check_suite(model.dataset, fresh=True).ok:
        problem = f"{name} does not pass its own suite; see: uv run dslp data validate {name}"
    elif subject.run.data.tags.get("dslp.suite") == "does not hold":
        todo = f"train it again: uv run dslp model train {model.name}"
        problem = f"{name} did not pass its own suite when the model was trained; {todo}"
    figure, allowed = "does not hold" if problem else "holds", isinstance(reason, str)
    note = f"gates.yml says why it does not count: {reason}" if problem and allowed else problem
    return GateResult("dataset", figure, "suite holds", allowed or not problem, note)


@dataclass
class _Checks:
    model: Model
    subject: TrainedModel
    champion: TrainedModel | None
    data: ModelData
    gates: Gates

    def results(self) -> Iterator[GateResult]:
        """The result of each gate, the quick ones first."""
        gates = self.gates
        yield dataset_gate(self.model, self.subject)
        if gates.criterion:
            yield self._criterion()
        for metric, limit in gates.minimum.items():
            yield self._minimum(metric, limit)
        if gates.champion and self.champion:
            yield self._champion(gates.champion, self.champion)
        if gates.subgroups:
            yield self._subgroups(gates.subgroups)
        if gates.size:
            size, limit = model_size(self.subject.folder), gates.size.megabytes
            yield GateResult("size", f"{size:.3g} MB", f"{limit:g} MB", size <= limit)
        if gates.latency:
            yield self._latency(gates.latency)
        if gates.determinism:
            yield self._determinism()
        if gates.behaviour:
            yield self._behaviour()

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """The predictions of the holdout."""
        return self.model.predict(self.subject.estimator, self.data.holdout)

    @cached_property
    def target(self) -> "pd.Series[Any]":
        """The observed values of the holdout."""
        return self.data.holdout[self.model.params.target]

    @cached_property
    def samples(self) -> Samples:
        """Of the holdout: the same for all that is compared."""
        return draw_samples(self.data.holdout, self.model.params.split)

    @cached_property
    def metrics(self) -> dict[str, Measured]:
        """On the holdout."""
        return self.measure(self.predicted)

    def measure(self, predicted: pd.DataFrame) -> dict[str, Measured]:
        """The metrics of predictions of the holdout, on the same samples for each."""
        return measure_all(self.model, self.target, predicted, self.samples)

    @property
    def file(self) -> Path:
        """Where the gates stand."""
        return self.model.folder / "gates.yml"

    def _direction(self, metric: str, where: str) -> Direction:
        """Which way a metric is better.

        Raises:
            DslpError: there is no such metric, or `BETTER` does not have it.
        """
        directions = self.model.directions
        if metric not in directions:
            problem = f"{where}: {metric} is no metric of evaluate.py with a direction in BETTER"
            raise DslpError(f"{self.file}: {problem}{nearest(metric, directions)}")
        return directions[metric]

    def _result(
        self,
        gate: str,
        gain: Gain,
        limit: str,
        allows: Callable[[float], bool],
        write: Callable[[float], str],
        note: str = "",
    ) -> GateResult:
        """The result of a gate about a metric; `allows` says which figures pass the limit."""
        passes, doubt = allows(gain.estimate), gain.doubt(allows)
        passed = passes and (not doubt or self.gates.must_pass == "estimate")
        interval = format_interval(gain.low, gain.high, write)
        if doubt:
            first = "passed" if passed else "the estimate passes" if passes else "failed"
            note = "; ".join(filter(None, (f"{first}, but {doubt}", note)))
        return GateResult(gate, write(gain.estimate), limit, passed, note, interval)

    def _gain(self, gate: str, gain: Gain, least: float, note: str) -> GateResult:
        write = partial(format_metric, by=gain.by)
        return self._result(gate, gain, write(least), lambda value: value >= least, write, note)

    def _against(self, gate: str, other: pd.DataFrame, least: float, by: Measure) -> GateResult:
        """The gain over other predictions of the same rows, sample by sample."""
        metric = self.model.params.metric
        own, reference = self.metrics[metric.name], self.measure(other)[metric.name]
        values = f"{metric.name} {reference.value:.4g} → {own.value:.4g}"
        note = "; ".join(filter(None, (values, share_problem(metric, [reference.value], by))))
        return self._gain(gate, own.gain(reference, metric, by), least, note)

    def _criterion(self) -> GateResult:
        params = self.model.params
        baseline = self.model.fit(params.baseline, self.data.development)
        predicted, criterion = self.model.predict(baseline, self.data.holdout), params.criterion
        return self._against("success criterion", predicted, criterion.improvement, criterion.by)

    def _minimum(self, metric: str, limit: float) -> GateResult:
        sign, allows = {
            "higher": ("≥", lambda value: value >= limit),
            "lower": ("≤", lambda value: value <= limit),
            "zero": ("±", lambda value: abs(value) <= limit),
        }[self._direction(metric, "minimum")]
        own = self.metrics[metric]
        zero, plain = Measured(0.0, own.draws * 0, own.units), Metric(name=metric, better="higher")
        figure = own.gain(zero, plain, "difference")
        return self._result(metric, figure, f"{sign} {limit:g}", allows, "{:.4g}".format)

    def _champion(self, gate: Champion, champion: TrainedModel) -> GateResult:
        name, least = f"against {champion.label}", 0.0 - gate.margin
        by = gate.by or self.model.params.metric.measure
        try:
            predicted = self._champion_predictions(champion)
        except DslpError as error:
            note = f"not comparable: {error}; or leave champion out of gates.yml this time"
            return GateResult(name, "unknown", format_metric(least, by), False, note)
        return self._against(name, predicted, least, by)

    def _champion_predictions(self, champion: TrainedModel) -> pd.DataFrame:
        """The champion's predictions of the same holdout, from the inputs that it was made for.

        Raises:
            DslpError: it cannot have them, or cannot be loaded.
        """
        from mlflow.models import Model as Saved

        rows, (split, target) = self.data.holdout, self.subject.split
        if champion.split[0] != split:
            problem = f"trained with another split, dataset or key, {SEEN}"
            raise DslpError(f"{problem}; write its split in params.yml and train again")
        signature = Saved.load(champion.folder).signature
        missing = [column.name for column in signature.inputs if column.name not in rows]
        answers = [column.name for column in signature.outputs]
        if champion.split[1] != target or answers != self.model.outputs or missing:
            other = f"inputs that the dataset lacks ({', '.join(missing)})" if missing else ""
            other = other or "other outputs or another target"
            raise DslpError(f"the champion has {other}; use minimum")
        kinds: dict[str, Any] = {column: kind for kind, column in KINDS.items()}
        inputs = pd.DataFrame()
        for column in signature.inputs:
            kind = kinds[column.type.name]
            kind = kind if column.required else kind | None
            inputs[column.name] = as_requested(rows[column.name], kind)
        return self.model.predict(champion.estimator, rows, inputs)

    def _subgroups(self, gate: Subgroups) -> GateResult:
        """The gain of the worst part over the whole: a part that is worse has a negative one."""
        name = gate.metric or self.model.params.metric.name
        better = self._direction(name, "subgroups.metric")
        by: Measure = "difference" if better == "zero" else "share"
        metric = Metric(name=name, better="lower" if better == "zero" else better)
        whole, gains = self.metrics[name], dict[str, Gain]()
        unmeasured = dict.fromkeys(gate.by)
        for column, part, mask in self._groups(gate):
            unmeasured.pop(column, None)
            samples = self.samples.part(mask)
            own = measure_all(self.model, self.target[mask], self.predicted[mask], samples)[name]
            sides = [abs(own), abs(whole)] if better == "zero" else [own, whole]
            gains[f"{part} ({mask.sum():,} rows)"] = sides[0].gain(sides[1], metric, by)
        if unmeasured:
            limit = format_metric(-gate.gap, by)
            note = f"no subgroup by {', '.join(unmeasured)} has {gate.minimum_rows:,} rows or more"
            return GateResult("subgroups", "none", limit, False, note)
        end = "estimate" if self.gates.must_pass == "estimate" else "low"
        worst = min(gains, key=lambda part: getattr(gains[part], end))
        note = f"{name} is worst where {worst}, of {len(gains)}"
        return self._gain("subgroups", gains[worst], -gate.gap, note)

    def _groups(self, gate: Subgroups) -> "Iterator[tuple[str, str, NDArray[np.bool_]]]":
        """Parts of the holdout that are large enough: the column, the name, and which rows."""
        rows = self.data.holdout
        for column in gate.by:
            if column not in rows:
                dataset = self.model.params.dataset.name
                raise DslpError(f"{self.file}: subgroups.by: {dataset} has no column {column}")
            values = rows[column]
            number = is_numeric_dtype(values) and not is_bool_dtype(values)
            if number and values.nunique() > FEW:
                values = pd.qcut(values, 4, duplicates="drop")
            groups = rows.groupby(values, observed=True, dropna=False)
            numbers = groups.ngroup().to_numpy()
            for code, (value, part) in enumerate(groups):
                if len(part) >= gate.minimum_rows:
                    yield column, f"{column} is {value!s:.40}", numbers == code

    def _latency(self, gate: Latency) -> GateResult:
        inputs = self.model.request_frame(self.data.holdout)
        figures, limit = measure_latency(self.subject.estimator, inputs), gate.p95_ms
        value, waited = figures["p95_ms"], f"{format_share(figures['waited'], 1)} of the time"
        note = f"the machine is busy; {waited} was waiting for a processor, and does not count"
        note = note if figures["waited"] > BUSY else ""
        return GateResult("latency (p95)", f"{value:.3g} ms", f"{limit:g} ms", value <= limit, note)

    def _determinism(self) -> GateResult:
        """Trained twice, predicting twice, and answering requests, it predicts the same."""
        model, own, rows = self.model, self.subject.estimator, self.data.holdout
        name, first_rows = self.subject.run.data.tags["dslp.candidate"], rows.head(RECORDS)
        if name not in model.params.candidates:
            note = f"params.yml has no candidate {name} by now"
            return GateResult("determinism", "unknown", "0 rows", False, note)
        pairs = [[model.fit(name, self.data.development) for _ in range(2)], [own] * 2]
        differ = 0
        for first, second in pairs:
            one, two = model.predict(first, rows), model.predict(second, rows)
            differ += int(((one != two) & ~(one.isna() & two.isna())).any(axis=1).sum())
        api = Api(model)
        try:
            expected = api.answered(model.predict(own, first_rows))
            served = sum(map(ne, expected, api.predict(own, api.records(first_rows))))
        except DslpError as error:
            return GateResult("determinism", "not served", "0 rows", False, str(error))
        note = f"as a request, {served:,} rows get another prediction" if served else ""
        differ += served
        return GateResult("determinism", f"{differ:,} rows", "0 rows", not differ, note)

    def _behaviour(self) -> GateResult:
        """The model's own tests, run with this very model."""
        root = self.model.project.root
        test = root / self.model.project.test_file("model", self.model.name)
        if not test.is_file():
            note = f"there is no {test.relative_to(root)}"
            return GateResult("behaviour", "no tests", "all pass", False, note)
        path = os.pathsep.join(
            [str(self.model.project.code_root), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        variables = {FOLDER: str(self.subject.folder), "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}
        plain = ["-q", "-o", "addopts=", "--import-mode=importlib", "-p", "no:cacheprovider", "-ra"]
        command = [sys.executable, "-m", "pytest", *plain, str(test)]
        options: Any = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
        done = subprocess.run(command, cwd=root, env=os.environ | variables, **options)
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        counts = re.findall(rf"(\d+) ({OUTCOMES})", lines[-1] if lines else "")
        figure = ", ".join(" ".join(count) for count in counts) or "not run"
        passed = done.returncode == 0 and [kind for _, kind in counts] == ["passed"]
        problems = [line for line in lines if line.startswith(("FAILED", "ERROR", "SKIPPED", "X"))]
        note = error_line((problems or lines or ["pytest printed nothing"])[-1], 200)
        return GateResult("behaviour", figure, "all pass", passed, "" if passed else note)
