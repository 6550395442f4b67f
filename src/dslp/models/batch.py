"""Scoring rows by the batch, by the same schema as requests (M2), as many as there are.

Rows stream through DuckDB, or are worked on where Spark has them; never all of them are in memory.
A column that certainly fits `Request` is checked as a whole; what may not fit is asked of pydantic,
row by row, so that it alone decides.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from dslp.core.errors import DslpError, Refused
from dslp.core.text import error_line
from dslp.data.dataset import dataset_names, find_dataset
from dslp.data.reading import open_rows, quote_literal
from dslp.models.api import Api, validation_message
from dslp.models.persistence import load_model
from pydantic import BaseModel, TypeAdapter, ValidationError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    # Scores a source into an output and a place for rejected rows: rows, rejected rows, examples.
    Write = Callable[["Scorer", str, Path, Path], tuple[int, int, list[str]]]

AT_ONCE = 100_000  # rows in memory
EXAMPLES = 3  # wrong rows that are shown
OF_SPARK = ("part-", ".part-", "_", "._")  # how the names begin of what it writes into a folder
PROBLEM = "problem"  # the column of rejected rows that says what is wrong
PREFIX, VERSION = "predicted_", "model_version"
ARROW = {"double": "float64", "long": "int64", "boolean": "bool", "string": "string"}
HARMLESS = {"allow_inf_nan", "extra", "frozen", "json_schema_extra", "title"}  # of a model's config


@dataclass(frozen=True)
class Scored:
    """How many rows were scored, and how many were rejected."""

    rows: int
    rejected: int


def score_rows(
    scorer: "Scorer",
    source: str,
    output: Path,
    rejects: Path | None,
    write: "Write | None" = None,
) -> Scored:
    """Score all rows of a dataset or file into a Parquet file, or a folder of parts on Spark.

    Args:
        scorer: the version of the model that scores.
        source: name of a dataset of the project, or a file.
        output: where the rows go, with their predictions.
        rejects: where the rows go that `Request` does not allow.
        write: what scores and writes; by default, DuckDB streams the rows through this process.

    Raises:
        Refused: rows are not allowed, and there is no place for them; nothing is written.
        DslpError: the input cannot be read, or the output not written, or something else is
            in its place.
    """
    _free(output, rejects)
    with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=".score-") as aside:
        made, wrong = Path(aside) / "output", Path(aside) / "rejects"
        rows, rejected, examples = (write or _write)(scorer, source, made, wrong)
        if rejected and rejects is None:
            raise Refused(
                f"{rejected:,} of {rows + rejected:,} rows are not what Request allows, such as "
                f"{'; '.join(examples)}; keep them apart: --rejects FILE"
            )
        _move(made, output)
        if rejects is not None:
            _move(wrong, rejects)
    return Scored(rows, rejected)


class Scorer:
    """A version of a model that scores tables."""

    def __init__(self, api: Api, folder: Path, version: str) -> None:
        """Load it; `version` is written beside each prediction.

        Raises:
            DslpError: it cannot be loaded, or has another API.
        """
        api.check(folder)
        self.api, self.folder, self.version = api, folder, version
        self.estimator = load_model(folder)

    def schema(self, given: "pa.Schema") -> "pa.Schema":
        """The columns of the output: those of the input, the prediction's, and the version.

        Raises:
            DslpError: a column is missing from the input, or is in the way.
        """
        import pyarrow as pa

        absent = [name for name in self.api.request.model_fields if name not in given.names]
        if absent:
            raise DslpError(f"the input has no column {', '.join(absent)}, which Request has")
        for column in self.api.form["outputs"]:
            kind = ARROW.get(column["type"])
            given = given.append(
                pa.field(PREFIX + column["name"], pa.type_for_alias(kind or "timestamp[us]"))
            )
        given = given.append(pa.field(VERSION, pa.string()))
        twice = sorted({name for name in given.names if given.names.count(name) > 1})
        if twice:
            raise DslpError(f"the input already has a column {', '.join(twice)}; rename it")
        return given.remove_metadata()

    def rejected(self, rows: "pa.Table") -> "tuple[pa.Table, pa.Table, pd.DataFrame]":
        """The rows that `Request` does not allow and why, the others, and these as inputs."""
        import numpy as np
        import pyarrow as pa

        frame, problems = fitting_schema(self.api.request, self.api, rows)
        wrong = np.zeros(len(rows), dtype=bool)
        wrong[list(problems)] = True
        bad = rows.filter(pa.array(wrong)).append_column(
            PROBLEM, pa.array([problems[place] for place in sorted(problems)], pa.string())
        )
        return bad, rows.filter(pa.array(~wrong)), frame

    def score(self, rows: "pa.Table") -> "tuple[pa.Table, pa.Table]":
        """The rows with predictions and the version, and those that `Request` does not allow."""
        import pyarrow as pa

        bad, good, frame = self.rejected(rows)
        schema = self.schema(rows.schema)
        if not len(good):
            return schema.empty_table(), bad
        predicted = self.api.model.predict(self.estimator, frame)
        asked = pa.Table.from_pandas(predicted, preserve_index=False)
        answered, unfit = fitting_schema(self.api.response, self.api, asked)
        if unfit:
            raise DslpError(
                f"{len(unfit):,} predictions do not fit Response: {next(iter(unfit.values()))}"
            )
        answers = pa.Table.from_pandas(answered, preserve_index=False)
        columns = [*good.columns, *answers.columns, pa.array([self.version] * len(good))]
        return pa.table(columns, names=schema.names).cast(schema), bad


def fitting_schema(
    kind: type[BaseModel], api: Api, rows: "pa.Table"
) -> "tuple[pd.DataFrame, dict[int, str]]":
    """The rows that a schema allows, as a data frame of its columns, and what is wrong with others.

    Args:
        kind: `Request` or `Response`.
        api: whose they are.
        rows: a table with at least the schema's columns.
    """
    import numpy as np

    asked = rows.select(list(kind.model_fields))
    frame = asked.to_pandas()
    sure = _plain(kind)
    certain = np.full(len(frame), bool(sure))
    for name, field in kind.model_fields.items() if sure else ():
        column, allowed = _certain(field, frame[name])
        frame[name], certain = column, certain & allowed
    if certain.all():
        return frame, {}
    places, one = np.flatnonzero(~certain), TypeAdapter(kind)
    records, problems = [], {}
    for place, record in zip(places.tolist(), asked.take(places).to_pylist(), strict=True):
        try:
            read = one.validate_python(record)
            large = api.beyond(read) if kind is api.request else []
            if large:
                problems[place] = f"{', '.join(large)}: the number is too large"
            else:
                records.append(read)
        except ValidationError as error:
            problems[place] = validation_message(error, values=True)
    if len(places) == len(frame):  # pydantic may have made other types of them
        side = "inputs" if kind is api.request else "outputs"
        return api.frame(records, side) if records else frame[:0], problems
    certain[[place for place in places.tolist() if place not in problems]] = True
    return frame[certain], problems


def _plain(kind: type[BaseModel]) -> bool:
    """Whether nothing but its fields' types and bounds decides what the schema allows."""
    rules = kind.__pydantic_decorators__
    own = rules.validators or rules.field_validators or rules.root_validators
    return not (own or rules.model_validators or set(kind.model_config) - HARMLESS)


def _certain(field: Any, column: "pd.Series[Any]") -> "tuple[pd.Series[Any], NDArray[np.bool_]]":
    """The column in the field's type, and which of its values are certainly allowed."""
    import numpy as np

    kind, values = field.annotation, column.to_numpy()
    numbers = column.dtype.kind
    allowed = np.zeros(len(column), dtype=bool)
    if any(not isinstance(rule, Ge | Gt | Le | Lt) for rule in field.metadata):
        return column, allowed
    if str(column.dtype) in ("str", "string") and not field.metadata:
        if get_origin(kind) is Literal:
            return column, column.isin(get_args(kind)).to_numpy(dtype=bool)
        return column, column.notna().to_numpy(dtype=bool) if kind is str else allowed
    if kind is bool and numbers == "b" and not field.metadata:
        return column, ~allowed
    if not ((kind is float and numbers in "fiu") or (kind is int and numbers == "i")):
        return column, allowed
    allowed = np.isfinite(values)
    for rule in field.metadata:
        allowed &= {
            Ge: lambda rule: values >= rule.ge,
            Gt: lambda rule: values > rule.gt,
            Le: lambda rule: values <= rule.le,
            Lt: lambda rule: values < rule.lt,
        }[type(rule)](rule)
    return column.astype("float64" if kind is float else "int64"), allowed


def _free(output: Path, rejects: Path | None) -> None:
    """See that nothing is lost by what will be written.

    Raises:
        DslpError: one place is in the other, has no folder, or is a folder of other things.
    """
    places = [place.resolve() for place in (output, rejects) if place]
    if rejects and (places[0].is_relative_to(places[1]) or places[1].is_relative_to(places[0])):
        raise DslpError(f"--output and --rejects are both {rejects}; say two places")
    for place in places:
        if not place.parent.is_dir():
            raise DslpError(f"there is no folder {place.parent}")
        inside = place.iterdir() if place.is_dir() else ()
        if other := [one.name for one in inside if not one.name.startswith(OF_SPARK)]:
            raise DslpError(f"{place} is a folder with {other[0]} in it; say another place")


def _move(made: Path, place: Path) -> None:
    """Put a file or a folder of parts in its place, whatever was there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    made.replace(place)


def _write(scorer: Scorer, source: str, output: Path, rejects: Path) -> tuple[int, int, list[str]]:
    """Write rows with predictions, and rejected ones; how many of each, and some of the latter."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, rejected = 0, 0
    examples: list[str] = []
    with _reader(scorer.api, source) as reader:
        schema = scorer.schema(reader.schema)
        wrong = reader.schema.append(pa.field(PROBLEM, pa.string()))
        with pq.ParquetWriter(output, schema) as good, pq.ParquetWriter(rejects, wrong) as bad:
            for batch in reader:
                scored, refused = scorer.score(pa.Table.from_batches([batch]))
                examples += refused[PROBLEM].to_pylist()[: EXAMPLES - len(examples)]
                rows, rejected = rows + len(scored), rejected + len(refused)
                good.write_table(scored)
                if len(refused):
                    bad.write_table(refused.cast(wrong))
    return rows, rejected, examples


@contextmanager
def _reader(api: Api, source: str) -> "Iterator[pa.RecordBatchReader]":
    """The rows of a dataset or a file, so many at a time.

    Raises:
        DslpError: there is none, or it cannot be read.
    """
    import duckdb

    project, path = api.model.project, Path(source)
    try:
        if source in dataset_names(project):
            dataset = find_dataset(project, source)
            with open_rows(dataset) as connection:
                yield connection.sql("FROM rows").to_arrow_reader(AT_ONCE)
            return
        known = {".parquet": "read_parquet", ".csv": "read_csv", ".jsonl": "read_json"}
        function = "read_parquet" if path.is_dir() else known.get(path.suffix)
        if not path.exists() or function is None:
            raise DslpError(
                f"{source} is no dataset of the project and no file of {', '.join(known)}"
            )
        place = str(path / "**/*.parquet") if path.is_dir() else str(path)
        with duckdb.connect() as connection:
            yield connection.sql(f"FROM {function}({quote_literal(place)})").to_arrow_reader(
                AT_ONCE
            )
    except (duckdb.Error, OSError) as error:
        reason = error_line(error)
        raise DslpError(f"{source} cannot be scored: {reason}") from None
