"""A model of the project: its folder of plain functions, and its parameters, checked (M1)."""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

from dslp.core.branch_names import issue_of_branch
from dslp.core.errors import DslpError, nearest
from dslp.core.git import git_output
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.data.dataset import Dataset, find_dataset
from dslp.experiments.params import Direction, Kind, Params, ScriptParams, Sweep, read_checked
from dslp.tracking.provenance import code_digest
from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas as pd
    from pydantic.fields import FieldInfo

FILES = ("params.yml", "features.py", "train.py", "evaluate.py", "schema.py", "gates.yml")
FEW = 1_000_000  # values of a table; benchmarks/threads.py shows where threads pay


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
    def has_own_script(self) -> bool:
        """Whether a script of the team's own trains it: its folder has `params.yml` alone."""
        return is_own_script(self.folder)

    @property
    def dataset(self) -> Dataset:
        """The dataset that it is made from.

        Raises:
            DslpError: there is no such dataset, or it has another version than `params.yml` says.
        """
        where, wanted = self.folder / "params.yml", self.params.dataset
        try:
            dataset = find_dataset(self.project, wanted.name)
        except DslpError as error:
            raise DslpError(f"{where}: dataset.name: {error}") from None
        if dataset.version != wanted.version:
            problem = f"{where} uses {dataset.name} {wanted.version}"
            todo = "look at what changed, then write that version"
            raise DslpError(f"{problem}, and the current version is {dataset.version}; {todo}")
        return dataset

    @property
    def files(self) -> dict[str, Path]:
        """The Python files that it is made of: its own, and the package's shared ones.

        Its own are named by their path in its folder, the others by their path from the package.
        """
        files, source = {}, self.project.source
        for path in sorted(source.rglob("*.py")):
            place = path.relative_to(source)
            if path.is_relative_to(self.folder):
                files[path.relative_to(self.folder).as_posix()] = path
            elif place.parts[0] not in ("datasets", "models", "tests") or place.parent == Path(
                "models"
            ):
                files[f"{source.name}/{place.as_posix()}"] = path
        return files

    @property
    def code_digest(self) -> str:
        """SHA-256 of its Python files, so that a run names the code that it was made with."""
        digest = hashlib.sha256()
        for name, path in self.files.items():
            digest.update(f"{name}\0{len(content := path.read_bytes())}\0".encode() + content)
        return digest.hexdigest()

    @property
    def evaluate_digest(self) -> str:
        """SHA-256 of the code of `evaluate.py`: metrics of another one cannot be compared."""
        return code_digest((self.folder / "evaluate.py").read_text(encoding="utf-8"))

    def check_candidate(self, name: str) -> None:
        """Check that `params.yml` has a candidate called `name`.

        Raises:
            DslpError: it has none.
        """
        if name not in self.params.candidates:
            where, names = self.folder / "params.yml", self.params.candidates
            raise DslpError(f"{where} has no candidate {name!r}{nearest(name, names)}")

    def choose_candidates(self, names: Sequence[str] | None = None) -> list[str]:
        """The candidates called `names`, or all, in their order; the baseline is always the first.

        Raises:
            DslpError: `params.yml` has no candidate of that name.
        """
        for name in names or ():
            self.check_candidate(name)
        chosen = (self.params.baseline, *names) if names else self.params.candidates
        return [name for name in self.params.candidates if name in chosen]

    @property
    def sweep(self) -> Sweep:
        """The section `sweep` of `params.yml`.

        Raises:
            DslpError: it is missing.
        """
        if self.params.sweep is None:
            candidate, file = list(self.params.candidates)[-1], self.folder / "params.yml"
            example = "trials: 20, seed: 1, parameters: {NAME: {low: 0.01, high: 1, log: true}}"
            example = f"sweep: {{candidate: {candidate}, {example}}}"
            raise DslpError(f"{file} has no sweep; write, for example, {example}")
        return self.params.sweep

    @property
    def branch_issue(self) -> int | None:
        """The issue that the present branch is named for, if it is named for one (B1)."""
        return issue_of_branch(git_output(self.project, "branch", "--show-current") or "")

    def run_command(self, issue: int | None) -> str:
        """The command that records runs to compare."""
        return f"uv run dslp experiment run {self.name}" + (f" --issue {issue}" if issue else "")

    def module(self, file: str) -> ModuleType:
        """One of its Python files, imported."""
        return self.project.module(f"models.{self.name}.{file}")

    def function(self, file: str) -> Callable[..., Any]:
        """The function of the same name in one of its files, such as `train` in `train.py`."""
        function = getattr(self.module(file), file, None)
        if not callable(function):
            raise DslpError(f"{self.folder / file}.py has no function {file}")
        return function  # type: ignore[no-any-return]

    @property
    def inputs(self) -> list[str]:
        """Columns that the model predicts from: the fields of `Request` in `schema.py` (M2)."""
        return list(self.fields("Request"))

    @property
    def outputs(self) -> list[str]:
        """What it predicts: the fields of `Response` in `schema.py` (M2)."""
        return list(self.fields("Response"))

    def fields(self, name: str) -> dict[str, "FieldInfo"]:
        """The fields of `Request` or `Response` by their columns (`field_columns`)."""
        return field_columns(self.side(name))

    def side(self, name: str) -> type[BaseModel]:
        """`Request` or `Response` of `schema.py`.

        Raises:
            DslpError: there is none, or a field has several names, or one that another has.
        """
        kind, where = getattr(self.module("schema"), name, None), self.folder / "schema.py"
        if not (isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_fields):
            raise DslpError(f"{where}: {name} is not a pydantic model")
        for field, info in kind.model_fields.items():
            if len({info.alias, info.validation_alias, info.serialization_alias}) > 1:
                problem = "has several names; write one: Field(alias='the column')"
                raise DslpError(f"{where}: {name}.{field} {problem}")
        if len(field_columns(kind)) < len(kind.model_fields):
            raise DslpError(f"{where}: two fields of {name} are the same column")
        return kind

    def request_frame(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """The inputs in the types that a request has, whatever the types in the file are (M2).

        Integers that may be missing become float64, in training as in serving.
        """
        import pandas as pd

        fields = self.fields("Request").items()
        columns = {name: as_requested(rows[name], field.annotation) for name, field in fields}
        return pd.DataFrame(columns, index=rows.index, copy=False)

    @property
    def directions(self) -> dict[str, Direction]:
        """Which way each metric is better: `BETTER` in `evaluate.py`, and the Ask's own metric.

        Raises:
            DslpError: a direction is unknown, or another one than `params.yml` says.
        """
        where, metric = f"{self.folder / 'evaluate.py'}: BETTER", self.params.metric
        directions = getattr(self.module("evaluate"), "BETTER", {})
        choices = ", ".join(get_args(Direction))
        if not isinstance(directions, Mapping):
            raise DslpError(f"{where} must be a dict of metrics to {choices}")
        for name, direction in directions.items():
            if direction not in get_args(Direction):
                raise DslpError(f"{where} says {direction!r:.40} of {name}; it can be {choices}")
        if directions.get(metric.name, metric.better) != metric.better:
            problem = f"{where} says that {directions[metric.name]} {metric.name} is better"
            raise DslpError(f"{problem}, params.yml that {metric.better} is; make them agree")
        return {**directions, metric.name: metric.better}

    def kind(self, target: "pd.Series[Any]") -> Kind:
        """What is predicted: what `params.yml` says, or else what the target and the split say.

        Text and truth values are classes; numbers are a forecast where the split is by time.
        """
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        if self.params.kind:
            return self.params.kind
        if not is_numeric_dtype(target) or is_bool_dtype(target):
            return "classification"
        return "forecast" if self.params.split.policy == "time" else "regression"

    def fit(
        self, candidate: str, rows: "pd.DataFrame", settings: Mapping[str, Any] | None = None
    ) -> Any:
        """Train a candidate on `rows`, with `settings` in place of those in `params.yml`.

        Returns:
            What `train` returns: an object with a method `predict`, or a function of a data frame.
        """
        chosen = self.params.candidates[candidate] if settings is None else settings
        with self.project.running(f"{self.name}: train {candidate}"):
            train = self.function("train")  # first: only libraries that are loaded can be limited
            with self.threads(rows):
                return train(self.request_frame(rows), rows[self.params.target], chosen)

    def threads(self, rows: "pd.DataFrame") -> AbstractContextManager[object]:
        """Limit few rows to one thread: several would wait for each other longer than they compute.

        OMP_NUM_THREADS in the environment overrules this.
        """
        from threadpoolctl import threadpool_limits

        few = len(rows) * len(self.inputs) < FEW and not os.environ.get("OMP_NUM_THREADS")
        return threadpool_limits(1) if few else nullcontext()

    def predict(
        self, estimator: Any, rows: "pd.DataFrame", inputs: "pd.DataFrame | None" = None
    ) -> "pd.DataFrame":
        """What the estimator predicts for `rows`: a column for each field of `Response`.

        The field `probability` is filled from `predict_proba` (`predict_fields`).

        Args:
            estimator: what `fit` returned.
            rows: the rows of the dataset.
            inputs: what the estimator receives; by default the fields of `Request`.

        Raises:
            DslpError: it cannot predict, or the prediction does not fit `Response`.
        """
        import pandas as pd

        fields, kind = self.outputs, type(estimator).__name__
        if not callable(getattr(estimator, "predict", estimator)):
            problem = f"train returned {kind}, which has no predict(frame) and is no function"
            raise DslpError(f"{self.folder / 'train.py'}: {problem}")
        with self.project.running(f"{self.name}: predict"), self.threads(rows):
            frame = self.request_frame(rows) if inputs is None else inputs
            prediction = predict_fields(estimator, frame, fields)
        where = f"{self.name}: {kind} predicts"
        if isinstance(prediction, pd.DataFrame):
            if missing := [name for name in fields if name not in prediction]:
                raise DslpError(f"{where} no {', '.join(missing)}, which Response in schema.py has")
            prediction = prediction[fields]
        try:
            frame = pd.DataFrame(prediction)
        except (TypeError, ValueError) as error:
            raise DslpError(f"{where} no table: {error_line(error)}") from None
        if frame.shape != (len(rows), len(fields)):
            problem = f"{frame.shape[0]:,} rows of {frame.shape[1]} for {len(rows):,} rows"
            raise DslpError(f"{where} {problem}; Response in schema.py has {', '.join(fields)}")
        return frame.set_axis(fields, axis=1).set_axis(rows.index, axis=0)

    def score(self, estimator: Any, rows: "pd.DataFrame") -> dict[str, float]:
        """The metrics of its predictions on `rows`."""
        return self.evaluate(rows[self.params.target], self.predict(estimator, rows))

    def evaluate(self, target: "pd.Series[Any]", predicted: "pd.DataFrame") -> dict[str, float]:
        """The metrics that `evaluate` returns for predictions, as `predict` gives them.

        Where `Response` has one field, `evaluate` receives its values, otherwise the data frame.

        Raises:
            DslpError: the Ask's metric is missing, or a metric is not a finite number.
        """
        directions = self.directions  # a contradiction to params.yml is said first
        values = predicted.iloc[:, 0].to_numpy() if predicted.shape[1] == 1 else predicted
        with self.project.running(f"{self.name}: evaluate"):
            metrics = self.function("evaluate")(target, values)
        where = f"{self.folder / 'evaluate.py'}: evaluate"
        if not isinstance(metrics, Mapping):
            metrics = {}
        if missing := [name for name in directions if name not in metrics]:
            raise DslpError(f"{where} must return a dict with the metric {', '.join(missing)}")
        try:
            numbers = {str(name): float(value) for name, value in metrics.items()}
        except (TypeError, ValueError) as error:
            raise DslpError(f"{where} returned a metric that is no number: {error}") from None
        if wrong := [name for name, value in numbers.items() if not math.isfinite(value)]:
            raise DslpError(f"{where} returned no finite number for {', '.join(wrong)}")
        return numbers


def predict_fields(estimator: Any, inputs: "pd.DataFrame", fields: Sequence[str]) -> Any:
    """What an estimator predicts; of a classifier, class and probability if the latter is a field.

    The probability is that of the positive class where there are two classes (the last in sorted
    order, such as 1 or True), and that of the predicted class where there are more.

    Raises:
        ValueError: the classifier was trained on one class only.
    """
    import pandas as pd

    prediction = getattr(estimator, "predict", estimator)(inputs)
    classifies = hasattr(estimator, "predict_proba") and not isinstance(prediction, pd.DataFrame)
    if not classifies or "probability" not in fields or len(fields) != 2:
        return prediction
    classes, shares = list(estimator.classes_), estimator.predict_proba(inputs).astype(float)
    if len(classes) < 2:
        raise ValueError(f"the training rows have one class only ({classes[0]}): no probability")
    if len(classes) == 2:
        probability = shares[:, classes.index(max(classes))]
    else:
        places = [classes.index(label) for label in prediction]
        probability = shares[range(len(places)), places]
    names = {name: probability if name == "probability" else prediction for name in fields}
    return pd.DataFrame(names)


def field_columns(kind: type[BaseModel]) -> dict[str, "FieldInfo"]:
    """The fields of a schema by their columns, in order: the alias, where a field has one.

    A column whose name is no name in Python is stated so: `Field(alias="Total Charges")`. The
    column's name is the one in data, requests, logs and documents; the field's name is Python's.
    """
    return {info.alias or name: info for name, info in kind.model_fields.items()}


def plain_times(values: Any) -> "pd.Series[Any]":
    """Dates and times as one column without a time zone: where they have one, it is UTC."""
    import pandas as pd

    return pd.to_datetime(pd.Series(values), utc=True).dt.tz_localize(None).dt.as_unit("us")


def is_time(column: "pd.Series[Any]") -> bool:
    """Whether a column has times or dates."""
    from pandas.api.types import infer_dtype, is_datetime64_any_dtype

    return is_datetime64_any_dtype(column) or infer_dtype(column) == "date"


def as_requested(column: "pd.Series[Any]", annotation: Any) -> "pd.Series[Any]":
    """A column in the type that a field with this annotation has in a request."""
    import pandas as pd

    kinds = (annotation, *get_args(annotation))
    optional = type(None) in kinds
    if any(isinstance(kind, type) and issubclass(kind, date) for kind in kinds):
        return plain_times(column)
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object:
        column = column.astype(object).infer_objects()
    kind = column.dtype.kind
    if kind == "f" or (kind in "iu" and (optional or float in kinds or column.hasnans)):
        return column.astype("float64")
    if kind in "iu":
        return column.astype("int64")
    if kind == "b":
        return (
            column.astype(object).where(column.notna(), None) if optional else column.astype(bool)
        )
    text = isinstance(column.dtype, pd.StringDtype) or (str in kinds and column.isna().all())
    return column.astype("str") if text else column


def model_names(project: Project, own_script: bool = False) -> list[str]:
    """Names of the project's models, in order; with those of `is_own_script` if `own_script`."""
    folders = [path.parent for path in project.source.glob("models/*/params.yml")]
    return sorted(one.name for one in folders if own_script or not is_own_script(one))


def is_own_script(folder: Path) -> bool:
    """Whether a model's folder has `params.yml` alone, since a script of the team's trains it."""
    return [file for file in FILES if (folder / file).is_file()] == ["params.yml"]


def find_model(project: Project, name: str | None = None, own_script: bool = False) -> Model:
    """The model called `name`, or the project's only one.

    Args:
        project: the project of the model.
        name: of the model; may be left out if there is only one.
        own_script: whether a model may be one that a script of the team's own trains.

    Raises:
        DslpError: there is none, there are several, or a file is missing or wrong.
    """
    folder, names = project.source / "models", model_names(project, own_script=True)
    if not names:
        todo = "make one: uv run dslp new model NAME --target COLUMN"
        raise DslpError(f"{folder} has no model; {todo}")
    if name is None and len(names) > 1:
        raise DslpError(f"say which model: {', '.join(names)}")
    name = name or names[0]
    if name not in names:
        raise DslpError(f"{folder} has no model {name!r}{nearest(name, names)}")
    if is_own_script(folder / name):
        if own_script:
            return Model(project, name, read_checked(ScriptParams, folder / name / "params.yml"))
        todo = f"run that script, then: uv run dslp experiment compare {name}"
        problem = f"{name} is trained by a script of its own, since its folder has params.yml alone"
        raise DslpError(f"{problem}; {todo}")
    if missing := [file for file in FILES if not (folder / name / file).is_file()]:
        raise DslpError(f"{folder / name} has no {', '.join(missing)}")
    return Model(project, name, read_checked(Params, folder / name / "params.yml"))
