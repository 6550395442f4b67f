"""Scoring on Spark: each executor loads the model and scores its partitions."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dslp
from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.data.dataset import dataset_names, find_dataset
from dslp.data.reading import partition_columns
from dslp.data.spark import spark_session as session
from dslp.experiments.model import Model
from dslp.models.api import Api
from dslp.models.batch import EXAMPLES, PROBLEM, Scorer

if TYPE_CHECKING:
    import pyarrow as pa

    Step = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def score_with_spark(
    scorer: Scorer, source: str, output: Path, rejects: Path
) -> tuple[int, int, list[str]]:
    """Score as the embedded engine does, but from Parquet only, and into folders of parts.

    All is scored twice, for the rejected rows and for the others. Each worker must find the input
    at the same path, and write the output there; code and model are sent to it.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import StringType, StructField, StructType

    model, spark = scorer.api.model, session()
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


def _step(model: Model, folder: str, version: str, which: int) -> "Step":
    """What an executor does with its batches: 0 gives rows with predictions, 1 rejected rows."""

    def step(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa
        from pyspark import SparkFiles

        scorer = Scorer(Api(model), Path(SparkFiles.get(folder)), version)
        for batch in batches:
            rows = pa.Table.from_batches([batch])
            yield from scorer.score(rows)[which].to_batches()

    return step
