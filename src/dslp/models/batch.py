"""Scoring many rows by the same schema as requests (M2).

Rows stream through DuckDB, or are scored where Spark has them; they are never all in memory.
"""

import operator
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import dslp
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge, Gt, Le, Lt
from dslp.core.errors import DslpError, Refused, nearest
from dslp.core.files import remove_path, written_together
from dslp.core.settings import Project
from dslp.core.text import error_line
from dslp.data.dataset import DataAt, dataset_names, find_dataset
from dslp.data.reading import ROWS, SUFFIXES, open_rows, partition_columns, reading_errors
from dslp.experiments.model import Model, field_columns
from dslp.models.api import Api, validation_message
from dslp.models.persistence import load_model
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

AT_ONCE = 100_000  # rows in memory
EXAMPLES = 3  # rejected rows that an error shows
HOPELESS = 1_000  # rows; a model that fails on each of the first ones is given up
OF_SPARK = ("part-", ".part-", "_", "._")  # how the names begin that it writes into a folder
PROBLEM = "problem"  # the column of rejected rows that says what is wrong
# Bounds of pydantic's fields, in classes that have the name of the comparison and its bound.
BOUNDS = (Ge, Gt, Le, Lt)
HARMLESS = {"allow_inf_nan", "extra", "frozen", "json_schema_extra", "title"}  # of a model's config
PREFIX, VERSION = "predicted_", "model_version"
ARROW = {"double": "double", "long": "int64", "boolean": "bool", "string": "string"}


def check_paths(project: Project, source: str, output: Path, rejects: Path | None) -> None:
    """Check the arguments before anything is read: the input exists, and nothing will be lost.

    Raises:
        DslpError: the input is missing, or an output is inside the other, has no folder, or is a
            folder with other files.
    """
    names, file = dataset_names(project), Path(source)
    if source not in names and not (file.is_dir() or (file.is_file() and file.suffix in SUFFIXES)):
        problem = f"is no dataset of the project, and no file of the kind {', '.join(SUFFIXES)}"
        raise DslpError(f"{source} {problem}{nearest(source, names)}")
    paths = [path.resolve() for path in (output, rejects) if path]
    inputs = [file.resolve(), *(find_dataset(project, name).processed for name in names)]
    if rejects and (paths[0].is_relative_to(paths[1]) or paths[1].is_relative_to(paths[0])):
        raise DslpError(f"--output and --rejects are both {rejects}; give two paths")
    for path in paths:
        if any(path in (each, each.with_suffix(".csv")) for each in inputs):
            raise DslpError(f"{path} is an input, or the data of a dataset; give another path")
        if not path.parent.is_dir():
            raise DslpError(f"there is no folder {path.parent}")
        files = [each.name for each in path.iterdir()] if path.is_dir() else []
        if other := [name for name in files if not name.startswith(OF_SPARK)]:
            raise DslpError(f"{path} is a folder with {other[0]} in it; give another path")


def score_rows(
    scorer: "Scorer", source: str, output: Path, rejects: Path | None, spark: bool = False
) -> tuple[int, int]:
    """Score all rows of a dataset or file into a Parquet file, or a folder of parts on Spark.

    Args:
        scorer: a loaded version of the model.
        source: name of a dataset of the project, or a file.
        output: the file for the rows and their predictions.
        rejects: the file for the rows that `Request` does not allow, or the model cannot answer.
        spark: whether each executor of Spark scores its part, in place of this process.

    Returns:
        How many rows were scored, and how many were rejected.

    Raises:
        Refused: there are such rows, and `rejects` is None; nothing is written.
        DslpError: the input cannot be read, or the output not written.
    """
    with ExitStack() as stack:
        paths = [output, rejects] if rejects else [output]
        scored, *others = stack.enter_context(written_together(*paths))
        wrong = others[0] if others else Path(f"{scored}.rejects")
        if not others:
            stack.callback(remove_path, wrong)
        write = score_with_spark if spark else score_with_duckdb
        rows, rejected, examples = write(scorer, source, scored, wrong)
        if rejected and rejects is None:
            share = f"{rejected:,} of {rows + rejected:,} rows"
            example = f"such as {'; '.join(examples)}; keep them apart: --rejects FILE"
            raise Refused(f"{share} cannot be scored, {example}")
    return rows, rejected


class Scorer:
    """A version of a model that scores tables."""

    def __init__(self, api: Api, folder: Path, version: str) -> None:
        """Load it; `version` is written beside each prediction.

        Raises:
            DslpError: it cannot be loaded, or has another API.
        """
        api.check(folder)
        self.api, self.folder, self.version = api, folder, version
        self.answered = False  # whether a row of the input was predicted
        self.estimator = load_model(folder)

    def schema(self, source: pa.Schema) -> pa.Schema:
        """The columns of the output: those of the input, the predictions, and the version.

        Raises:
            DslpError: the input lacks a column, or has one of the output's.
        """
        missing = [name for name in self.api.model.inputs if name not in source.names]
        if missing:
            raise DslpError(f"the input has no column {', '.join(missing)}, which Request has")
        fields = [*source]
        for column in self.api.form["outputs"]:
            kind = pa.type_for_alias(ARROW.get(column["type"], "timestamp[us]"))
            fields.append(pa.field(PREFIX + column["name"], kind))
        fields.append(pa.field(VERSION, pa.string()))
        twice = {field.name for field in fields[len(source) :]} & set(source.names)
        if twice:
            raise DslpError(f"the input already has a column {', '.join(twice)}; rename it")
        return pa.schema(fields)

    def score(self, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The rows with predictions and the version, and the others with the reason.

        Raises:
            DslpError: none of many rows can be predicted.
        """
        schema = self.schema(rows.schema)
        frame, problems = fitting_rows(self.api.request, self.api, rows)
        allowed = np.setdiff1d(np.arange(len(rows)), list(problems))
        answers = [self.api.frame([], "outputs")]
        for part, reasons, start in self.predictions(frame):
            answers.append(part)
            problems |= {int(allowed[start + place]): why for place, why in reasons.items()}
        places = np.array(sorted(problems), dtype="int64")
        rejected = rows.take(places)
        reasons = pa.array([problems[place] for place in places.tolist()], pa.string())
        scored = rows.take(np.setdiff1d(np.arange(len(rows)), places))
        table = pa.Table.from_pandas(pd.concat(answers[1:] or answers), preserve_index=False)
        columns = [
            *scored.columns,
            *table.columns,
            pa.array([self.version] * len(scored), pa.string()),
        ]
        return (
            pa.table(columns, names=schema.names).cast(schema),
            rejected.append_column(PROBLEM, reasons),
        )

    def predictions(
        self, frame: pd.DataFrame
    ) -> "Iterator[tuple[pd.DataFrame, dict[int, str], int]]":
        """Predictions of parts of the rows, in order; where one raises, its halves are tried.

        Yields:
            The predictions that fit `Response`, why the others of the part do not, and its start.

        Raises:
            DslpError: many rows fail, and none was predicted before.
        """
        parts, failed = [(0, len(frame))], 0
        while parts:
            start, end = parts.pop()
            if start == end:
                continue
            try:
                predicted = self.api.model.predict(self.estimator, frame[start:end])
                table = pa.Table.from_pandas(predicted, preserve_index=False)
                part, problems = fitting_rows(self.api.response, self.api, table)
                reasons = {
                    n: f"the prediction does not fit Response: {why}" for n, why in problems.items()
                }
            except DslpError as error:
                if end - start > 1:
                    middle = (start + end) // 2
                    parts += [(middle, end), (start, middle)]
                    continue
                part, reasons = self.api.frame([], "outputs"), {0: str(error)}
            failed, self.answered = failed + len(reasons), self.answered or bool(len(part))
            if failed >= HOPELESS and not self.answered:
                why = next(iter(reasons.values()))
                raise DslpError(f"none of the first {failed:,} rows can be predicted: {why}")
            yield part, reasons, start


def fitting_rows(
    kind: type[BaseModel], api: Api, rows: pa.Table
) -> tuple[pd.DataFrame, dict[int, str]]:
    """The rows that a schema allows as a data frame of its columns, and the problems of the others.

    Args:
        kind: `Request` or `Response`.
        api: of the model.
        rows: a table with at least the schema's columns.
    """
    fields = field_columns(kind)
    table = rows.select(list(fields))
    frame = table.to_pandas()
    allowed = np.full(len(frame), _has_plain_rules(kind))
    for name, field in fields.items() if allowed.any() else ():
        frame[name], fits = _check_column(field, frame[name])
        allowed &= fits
    if allowed.all():
        return frame, {}
    places, adapter = np.flatnonzero(~allowed), TypeAdapter(kind)
    records, problems = [], {}
    for place, values in zip(places.tolist(), table.take(places).to_pylist(), strict=True):
        try:
            records.append(adapter.validate_python(values))
        except ValidationError as error:
            problems[place] = validation_message(error, values=True)
    if len(places) == len(frame):  # pydantic may have changed their types
        return api.frame(records, "inputs" if kind is api.request else "outputs"), problems
    allowed[[place for place in places.tolist() if place not in problems]] = True
    return frame[allowed], problems


def _has_plain_rules(kind: type[BaseModel]) -> bool:
    """Whether only the types and bounds of its fields decide what the schema allows."""
    rules = kind.__pydantic_decorators__
    own = (rules.validators, rules.field_validators, rules.root_validators, rules.model_validators)
    return not (any(own) or set(kind.model_config) - HARMLESS)


def _check_column(
    field: Any, column: "pd.Series[Any]"
) -> "tuple[pd.Series[Any], NDArray[np.bool_]]":
    """The column in the field's type, and which of its values the field allows for certain.

    Whole columns are checked many times faster than rows. What is not certain, pydantic decides.
    """
    kind, values, dtype = field.annotation, column.to_numpy(), column.dtype.kind
    unsure = np.zeros(len(column), dtype=bool)
    if str(column.dtype) in ("str", "string") and not field.metadata:
        if get_origin(kind) is Literal:
            return column, column.isin(get_args(kind)).to_numpy(dtype=bool)
        return column, column.notna().to_numpy(dtype=bool) if kind is str else unsure
    if kind is bool and dtype == "b" and not field.metadata:
        return column, ~unsure
    if not ((kind is float and dtype in "fiu") or (kind is int and dtype == "i")):
        return column, unsure
    allowed = np.isfinite(values)
    for rule in field.metadata:
        if type(rule) not in BOUNDS:
            return column, unsure
        name = type(rule).__name__.lower()
        allowed &= getattr(operator, name)(values, getattr(rule, name))
    return column.astype("float64" if kind is float else "int64"), allowed


def score_with_duckdb(
    scorer: Scorer, source: str, output: Path, rejects: Path
) -> tuple[int, int, list[str]]:
    """Write rows with predictions, and rejected ones; how many of each, and some reasons."""
    rows, rejected = 0, 0
    examples: list[str] = []
    with _reader(scorer.api, source) as reader:
        schema = scorer.schema(reader.schema)
        wrong = reader.schema.append(pa.field(PROBLEM, pa.string()))
        try:
            with pq.ParquetWriter(output, schema) as good, pq.ParquetWriter(rejects, wrong) as bad:
                for batch in reader:
                    scored, refused = scorer.score(pa.Table.from_batches([batch]))
                    examples += refused[PROBLEM].to_pylist()[: EXAMPLES - len(examples)]
                    rows, rejected = rows + len(scored), rejected + len(refused)
                    good.write_table(scored)
                    if len(refused):
                        bad.write_table(refused.cast(wrong))
        except OSError as error:  # what DuckDB cannot read is an error of its own
            raise DslpError(f"the output cannot be written: {error_line(error)}") from None
    return rows, rejected, examples


@contextmanager
def _reader(api: Api, source: str) -> Iterator[pa.RecordBatchReader]:
    """The rows of a dataset or a file, `AT_ONCE` at a time.

    Raises:
        DslpError: they cannot be read.
    """
    project, own, path = api.model.project, api.model.params.dataset.name, Path(source).absolute()
    types: dict[str, str] | None = None
    if source in dataset_names(project):
        dataset = find_dataset(project, source)
    else:
        dataset = DataAt(project, own, path)
        fields = {one["name"]: one["type"] for one in api.form["inputs"]}
        types = {name: ARROW.get(kind, "timestamp[us]") for name, kind in fields.items()}
        types |= {n: k for n, k in dataset.types.items() if fields.get(n) not in ARROW}
    todo = "correct it: UTF-8, one delimiter, and the types of Request and schema.yml"
    errors = reading_errors(dataset, types=types, todo=todo)
    with open_rows(dataset, types) as connection, errors:
        yield connection.sql(f"FROM {ROWS}").to_arrow_reader(AT_ONCE)


def score_with_spark(
    scorer: Scorer, source: str, output: Path, rejects: Path
) -> tuple[int, int, list[str]]:
    """Score as the embedded engine does, but from Parquet only, and into folders of parts.

    All is scored twice, for the rejected rows and for the others. Each worker must find the input
    at the same path, and write the output there; code and model are sent to it.
    """
    from dslp.data.spark import spark_session
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StringType, StructField, StructType

    model, spark = scorer.api.model, spark_session()
    path, deep = Path(source).absolute(), True
    if source in dataset_names(model.project):
        dataset = find_dataset(model.project, source)
        path, deep = dataset.built, not partition_columns(dataset)  # columns in names of folders
    if path.suffix == ".csv" or not path.exists():
        raise DslpError(f"{source} is no dataset and no Parquet file, which Spark needs")
    try:
        # Without the scheme it may be looked for in HDFS, and without the escapes as a pattern.
        address = "file://" + re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))
        rows = spark.read.option("recursiveFileLookup", str(deep).lower()).parquet(address)
        schema = from_arrow_schema(scorer.schema(to_arrow_schema(rows.schema)))
        with tempfile.TemporaryDirectory(prefix="dslp-") as folder:
            temporary = Path(folder)
            sent = shutil.copytree(scorer.folder, temporary / f"{temporary.name}-model")
            spark.sparkContext.addFile(str(sent), recursive=True)
            for package in (Path(dslp.__file__).parent, model.project.source):
                code = str(temporary / f"{temporary.name}-{package.name}")
                shutil.make_archive(code, "zip", package.parent, package.name)
                spark.sparkContext.addPyFile(f"{code}.zip")
            version = (model, sent.name, scorer.version)
            wrong = StructType([*rows.schema, StructField(PROBLEM, StringType())])
            rows.mapInArrow(_step(*version, 1), wrong).write.parquet(f"file://{rejects}")
            rows.mapInArrow(_step(*version, 0), schema).write.parquet(f"file://{output}")
            rejected = spark.read.parquet(f"file://{rejects}")
            examples = [row[PROBLEM] for row in rejected.select(PROBLEM).take(EXAMPLES)]
            return spark.read.parquet(f"file://{output}").count(), rejected.count(), examples
    except PySparkException as error:
        reason = error_line(error)
        own = re.search(r"DslpError: (.{,300})", reason)
        raise DslpError(f"{source} cannot be scored: {own[1] if own else reason[:200]}") from None


def _step(
    model: Model, folder: str, version: str, which: int
) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """What an executor does with its batches: 0 gives rows with predictions, 1 rejected rows."""

    def step(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa
        from pyspark import SparkFiles

        scorer = Scorer(Api(model), Path(SparkFiles.get(folder)), version)
        for batch in batches:
            rows = pa.Table.from_batches([batch])
            yield from scorer.score(rows)[which].to_batches()

    return step
