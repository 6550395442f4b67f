"""Spark as an engine of suites: one session for all of them (G3)."""

import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from dslp.core.errors import DslpError
from dslp.core.text import error_line
from dslp.data.batch import normalized_columns
from dslp.data.dataset import Dataset
from dslp.data.engines import Engine, Rows, as_type
from dslp.data.reading import ROWS, open_rows, partition_columns, reading_errors
from sqlglot import exp

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ZONE = "spark.sql.session.timeZone"
NAME = "dslp"  # of our sessions; a session that was started before keeps its settings
PART = 8_000_000  # bytes of a file whose rows one task sorts by their keys
ANSWER = 5  # seconds within which a master must answer
WORKERS = 60  # seconds within which a worker of it must run a first job
TYPES = {  # Spark's names of DuckDB's types
    "VARCHAR": "STRING",
    **{"UTINYINT": "SMALLINT", "USMALLINT": "INT", "UINTEGER": "BIGINT", "UBIGINT": "DECIMAL(20)"},
    **dict.fromkeys(["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"], "TIMESTAMP_NTZ"),
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
UNREADABLE = ("TIME", "TIMESTAMP_NS")


@contextmanager
def open_spark(dataset: Dataset) -> "Iterator[Engine]":
    """The dataset's files, open in Spark at SPARK_MASTER, or in this process.

    All suites of this process share one session. Each worker must find the files at the same path.

    Raises:
        DslpError: Spark is not installed or does not start, or cannot read the data.
    """
    session = spark_session()
    from pyspark.errors import AnalysisException

    if session.sparkContext.appName == NAME:  # Spark's own number is for hundreds of cores
        size = sum(file.stat().st_size for file in dataset.files)
        parts = max(session.sparkContext.defaultParallelism, size // PART)
        session.conf.set("spark.sql.shuffle.partitions", str(parts))
    with _reading(dataset):
        frame = _read(session, dataset)
        view = f"dslp_{uuid4().hex}"
        frame.createOrReplaceTempView(view)
        types = {name: as_type(kind, "spark") for name, kind in frame.dtypes}

    def create(other: Dataset) -> None:
        with _reading(other):
            rows = _read(session, other)
            types = {name: as_type(kind, "spark") for name, kind in rows.dtypes}
            rows = rows.selectExpr(*normalized_columns(types, "spark"))
            rows.createOrReplaceTempView(other.name)

    def run(statement: str) -> Rows:
        with _reading(dataset):
            try:
                result = session.sql(statement)
            except AnalysisException as error:  # of a query
                raise DslpError(_reason(str(error))) from None
            return result.columns, result.collect()

    zone = session.conf.get(ZONE)
    session.conf.set(ZONE, "UTC")
    try:
        yield Engine(types, "spark", dataset, view, run, create, session.catalog.tableExists)
    finally:
        session.conf.set(ZONE, zone)
        session.catalog.dropTempView(view)


def spark_session() -> "SparkSession":
    """The session of this process, or a new one.

    Raises:
        DslpError: Spark is not installed, Java is missing or too old, or no master answers.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.logger import PySparkLogger
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise DslpError(
            "the engine spark needs dslp[spark]: copier update --defaults -d engine=spark"
        ) from None
    for kind in ("DataFrame", "SQL"):  # they print what the exceptions say
        PySparkLogger.getLogger(f"{kind}QueryContextLogger").setLevel("CRITICAL")
    master = os.environ.get("SPARK_MASTER")
    session = SparkSession.getActiveSession()
    if session is not None:
        if master and session.sparkContext.master != master:
            raise DslpError(
                f"SPARK_MASTER is {master}, but this process has a session at "
                f"{session.sparkContext.master}; stop that one, or unset SPARK_MASTER"
            )
        return session
    master = master or "local[*]"
    _check_answer(master)
    with _java_log() as log:
        try:
            session = _start_session(master)
        except (PySparkException, OSError) as error:
            log.seek(0)
            raise DslpError(
                f"Spark does not start ({_reason(log.read()) or _reason(str(error))}); "
                "it needs Java 17 or newer on PATH or in JAVA_HOME"
            ) from None
        except Exception as error:  # Java raises anything
            raise DslpError(f"no Spark session at {master}: {_reason(str(error))}") from None
        _require_workers(session, master)
    return session


@contextmanager
def _java_log() -> Iterator[IO[str]]:
    """A file that receives what Java, once started here, prints to standard error."""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        terminal = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _start_session(master: str) -> "SparkSession":
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    settings = {
        "spark.log.level": "ERROR",
        "spark.sql.adaptive.enabled": "false",  # it makes a job of each stage
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if re.match(r"local|spark://(localhost|127\.)", master):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf(loadDefaults=False).setAppName(NAME).setMaster(master)
    conf.setAll(list(settings.items()))
    return SparkSession.builder.config(conf=conf).getOrCreate()


def _require_workers(session: "SparkSession", master: str) -> None:
    """Run a job of one row, for which a master without workers would wait for ever.

    Raises:
        DslpError: no worker ran it in time.
    """
    if not master.startswith("spark://"):
        return
    context = session.sparkContext
    job = Thread(target=context.parallelize([0], 1).count, daemon=True)
    job.start()
    job.join(WORKERS)
    if job.is_alive():
        context.cancelAllJobs()
        session.stop()
        raise DslpError(f"the Spark master at {master} has no worker that answers; start one")


def _check_answer(master: str) -> None:
    """Check that a standalone master answers, for which Spark would wait for minutes.

    Raises:
        DslpError: it does not.
    """
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER):
                return
        except (OSError, ValueError):
            continue
    raise DslpError(
        f"no Spark master answers at {master}; start it, or set SPARK_MASTER to where it is"
    )


def _read(session: "SparkSession", dataset: Dataset) -> "DataFrame":
    path = dataset.built
    with open_rows(dataset) as connection, reading_errors(dataset):
        columns = connection.execute(f"DESCRIBE {ROWS}").fetchall()
        rows = connection.sql(f"FROM {ROWS}").to_arrow_table() if path.suffix == ".csv" else None
    for name, kind, *_ in columns:
        if kind in UNREADABLE:
            raise DslpError(
                f"Spark has no type for column {name} of {path} ({kind}); let the pipeline make "
                "text or a timestamp of it, or choose another engine with --engine"
            )
    if rows is not None:  # Spark's own reader has other types, and drops the time of a date
        schema = ", ".join(
            f"{exp.to_identifier(name, quoted=True).sql('spark')} {TYPES.get(kind, kind)}"
            for name, kind, *_ in columns
        )
        return session.createDataFrame(rows, schema)
    # Without the scheme, Spark may look in HDFS; without the escapes, it reads a pattern.
    place = "file://" + re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))
    deep = str(not partition_columns(dataset)).lower()  # it ignores the names of folders
    return session.read.option("recursiveFileLookup", deep).parquet(place)


@contextmanager
def _reading(dataset: Dataset) -> Iterator[None]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        personal = dataset.sheet.personal_data  # the message may show a value
        reason = type(error).__name__ if personal else _reason(str(error))
        raise DslpError(
            f"Spark cannot read {dataset.built}, or not compute the suite ({reason}); each worker "
            f"must find the file there; build it again: uv run dslp data build {dataset.name}"
        ) from None


def _reason(text: str) -> str:
    """The line of a message with the reason, without the stack that follows it."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\[[A-Z_.]+\]|JAVA_HOME|Error|Exception", line)]
    return error_line((errors or lines or [""])[0], 160)
