"""Measuring a trained model by the gates between challenger and champion (M4, M7)."""

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.text import error_line
from dslp.data.verdict import check_suite
from dslp.experiments.model import Model, as_requested
from dslp.experiments.model_data import ModelData, read_model_data
from dslp.experiments.params import Direction, Measure, format_metric, read_checked
from dslp.experiments.recording import recorded_parameters
from dslp.models.api import RECORDS, Api
from dslp.models.gates import Champion, GateResult, Gates, Latency, Subgroups
from dslp.models.performance import measure_latency, model_size
from dslp.models.signature import KINDS
from dslp.models.trained_model import TrainedModel, training_split
from dslp.models.versioning import part_tags

if TYPE_CHECKING:
    import pandas as pd

FEW = 10  # different numbers that are groups by themselves; more are divided into four
OUTCOMES = "passed|failed|errors?|skipped|deselected|xfailed|xpassed"  # of tests, in pytest's words
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
    return list(_Checks(model, subject, champion, read_model_data(model)).results(gates))


def dataset_gate(model: Model, subject: TrainedModel) -> GateResult:
    """Whether the dataset passes its own suite, now and when the model was trained."""
    reason = read_checked(Gates, model.folder / "gates.yml").dataset
    name, problem = model.dataset.name, ""
    if not check_suite(model.dataset, fresh=True).ok:
        problem = f"{name} does not pass its own suite; see: uv run dslp data validate {name}"
    elif not subject.suite_held:
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

    def results(self, gates: Gates) -> Iterator[GateResult]:
        """The result of each gate, the quick ones first."""
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
    def metrics(self) -> dict[str, float]:
        """On the holdout."""
        return self.model.score(self.subject.estimator, self.data.holdout)

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
        if metric not in self.metrics or metric not in directions:
            problem = f"{where}: {metric} is no metric of evaluate.py with a direction in BETTER"
            raise DslpError(f"{self.file}: {problem}{nearest(metric, directions)}")
        return directions[metric]

    def _criterion(self) -> GateResult:
        params = self.model.params
        name, baseline = params.metric.name, self.model.fit(params.baseline, self.data.development)
        reference = self.model.score(baseline, self.data.holdout)[name]
        limit, by = params.criterion.improvement, params.criterion.by
        return self._gain("success criterion", reference, limit, by)

    def _gain(self, gate: str, reference: float, limit: float, by: Measure) -> GateResult:
        metric = self.model.params.metric
        gain = metric.improvement(self.metrics[metric.name], reference, by)
        return GateResult(gate, format_metric(gain, by), format_metric(limit, by), gain >= limit)

    def _minimum(self, metric: str, limit: float) -> GateResult:
        better = self._direction(metric, "minimum")
        value = self.metrics[metric]
        passed, sign = {
            "higher": (value >= limit, "≥"),
            "lower": (value <= limit, "≤"),
            "zero": (abs(value) <= limit, "±"),
        }[better]
        return GateResult(metric, f"{value:.4g}", f"{sign} {limit:g}", passed)

    def _champion(self, gate: Champion, champion: TrainedModel) -> GateResult:
        name, limit = f"against {champion.label}", 0.0 - gate.margin
        try:
            reference = self._reference(champion)
        except DslpError as error:
            note = f"not comparable: {error}; or leave champion out of gates.yml this time"
            return GateResult(name, "unknown", format_metric(limit, gate.by), False, note)
        return self._gain(name, reference, limit, gate.by)

    def _reference(self, champion: TrainedModel) -> float:
        """The champion's figure on the same holdout, from the inputs that it was made for.

        Raises:
            DslpError: it cannot have one, or cannot be loaded.
        """
        import pandas as pd
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
        predicted = self.model.predict(champion.estimator, rows, inputs)
        truth = rows[self.model.params.target]
        return self.model.evaluate(truth, predicted)[self.model.params.metric.name]

    def _subgroups(self, gate: Subgroups) -> GateResult:
        metric = gate.metric or self.model.params.metric.name
        better = self._direction(metric, "subgroups.metric")
        by: Measure = "difference" if better == "zero" else "share"
        whole, worst, where = self.metrics[metric], -math.inf, ""
        unmeasured = dict.fromkeys(gate.by)
        for column, name, rows in self._groups(gate):
            unmeasured.pop(column, None)
            value = self.model.score(self.subject.estimator, rows)[metric]
            gap = value - whole if better == "lower" else whole - value
            if better == "zero":
                gap = abs(value) - abs(whole)
            elif gap:
                gap = gap / abs(whole) if whole else math.copysign(math.inf, gap)
            if gap > worst:
                worst, where = gap, f"{name} ({len(rows):,} rows)"
        limit, figure = f"≤ {format_metric(gate.gap, by, '')}", format_metric(max(worst, 0), by, "")
        if unmeasured:
            note = f"no subgroup by {', '.join(unmeasured)} has {gate.minimum_rows:,} rows or more"
            return GateResult("subgroups", "none" if not where else figure, limit, False, note)
        note = f"{metric} is worst where {where}"
        return GateResult("subgroups", figure, limit, worst <= gate.gap, note)

    def _groups(self, gate: Subgroups) -> Iterator[tuple[str, str, "pd.DataFrame"]]:
        """Parts of the holdout that are large enough, each with its column and its name."""
        import pandas as pd
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        rows = self.data.holdout
        for column in gate.by:
            if column not in rows:
                dataset = self.model.params.dataset.name
                raise DslpError(f"{self.file}: subgroups.by: {dataset} has no column {column}")
            values = rows[column]
            number = is_numeric_dtype(values) and not is_bool_dtype(values)
            if number and values.nunique() > FEW:
                values = pd.qcut(values, 4, duplicates="drop")
            for value, part in rows.groupby(values, observed=True, dropna=False):
                if len(part) >= gate.minimum_rows:
                    yield column, f"{column} is {value!s:.40}", part

    def _latency(self, gate: Latency) -> GateResult:
        inputs = self.model.request_frame(self.data.holdout)
        value, limit = measure_latency(self.subject.estimator, inputs)["p95_ms"], gate.p95_ms
        return GateResult("latency (p95)", f"{value:.3g} ms", f"{limit:g} ms", value <= limit)

    def _determinism(self) -> GateResult:
        """Trained twice, predicting twice, and answering requests, it predicts the same."""
        model, own, rows = self.model, self.subject.estimator, self.data.holdout
        name, first_rows = self.subject.candidate, rows.head(RECORDS)
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
        test = root / "tests" / "model" / f"test_{self.model.name}.py"
        if not test.is_file():
            note = f"there is no {test.relative_to(root)}"
            return GateResult("behaviour", "no tests", "all pass", False, note)
        path = os.pathsep.join([str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
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
