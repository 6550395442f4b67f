"""What has arrived since a model was trained: served predictions, new rows, and what came true."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.data.catalogue import Dataset, datasets, names
from lifecycle.data.kept import Kept
from lifecycle.data.report import Finding
from lifecycle.data.source import identifier, quoted
from lifecycle.data.validate import validate
from lifecycle.errors import LifecycleError
from lifecycle.experiments.model import Model
from lifecycle.project import redacted

if TYPE_CHECKING:
    import pandas as pd
    from lifecycle.models.registry import Release

VERSION = "lifecycle.dataset_version"  # a version's tag
MOST = 1_000_000  # logged predictions that are looked at; of more, a sample that is always the same
READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".jsonl": "read_json"}
LINE = "{request_id: 'VARCHAR', time: 'VARCHAR', version: 'VARCHAR', row: 'BIGINT', inputs: 'JSON'"


class Unknown(LifecycleError):
    """Nothing can be said of what has arrived from one source; another may tell."""


class TooFew(Unknown):
    """That is so because too little has arrived yet."""


@dataclass(frozen=True)
class Arrived:
    """Rows that a model is asked about, row by row the same in each part.

    Attributes:
        where: what they come from, for people.
        rows: at least the model's inputs; `request_id` and `row` where they were served.
        predicted: a column for each field of `Response`.
        versions: the version that predicted each, by MLflow's number.
        truth: what came true; missing where it is not known yet.
        checks: of the dataset's suite and schema, how many were made.
        findings: what does not hold of these.
    """

    where: str
    rows: "pd.DataFrame"
    predicted: "pd.DataFrame"
    versions: "pd.Series[Any]"
    truth: "pd.Series[Any] | None" = None
    checks: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Given(Dataset):
    """Rows of a dataset in a file somewhere else, such as those of one more month."""

    path: Path = Path()

    @property
    def built(self) -> Path:
        """That file."""
        return self.path


def place(model: Model) -> str:
    """Where the server's log is: `data/interim/predictions`, or what LIFECYCLE_PREDICTIONS says."""
    usual = str(model.project.data / "interim" / "predictions")
    return f"{os.environ.get('LIFECYCLE_PREDICTIONS') or usual}/{model.name}"


def served(model: Model, where: str, days: int, truth: Path | None) -> Arrived:
    """The predictions of the last days from the server's log: a folder, or an address of fsspec's.

    Raises:
        TooFew: there are none.
        LifecycleError: they cannot be read.
    """
    import duckdb
    from lifecycle.models.api import Api

    form = Api(model).form
    parts = [
        f"{side} ->> {quoted(_path(one['name']))} AS {identifier(mark + one['name'])}"
        for side, mark, columns in (
            ("inputs", "", form["inputs"]),
            ("prediction", "predicted ", form["outputs"]),
        )
        for one in columns
    ]
    with _local(where) as folder:
        files = quoted(str(folder / "*.jsonl"))
        query = (
            f'SELECT request_id AS "request id", "row" AS "request row", version AS "by version", '
            f"{', '.join(parts)} FROM read_json({files}, format = 'newline_delimited', "
            f"columns = {LINE}, prediction: 'JSON'}}, ignore_errors = true) "
            f"WHERE time::TIMESTAMPTZ > now() - INTERVAL {int(days)} DAY ORDER BY time, 1, 2"
        )
        try:
            with duckdb.connect() as connection:
                sample = f"USING SAMPLE reservoir({MOST} ROWS) REPEATABLE (1)"
                rows = connection.sql(f"SELECT * FROM ({query}) {sample}").df()
        except duckdb.Error as error:
            reason = " ".join(str(error).split())[:160]
            raise LifecycleError(f"predictions in {redacted(where)}: {reason}") from None
    if rows.empty:
        raise TooFew(f"no prediction of the last {days} days is in {redacted(where)}")
    outputs = {
        one["name"]: _typed(rows["predicted " + one["name"]], one["type"])
        for one in form["outputs"]
    }
    known = None
    if truth is not None:
        keys = {"request_id": rows["request id"], "row": rows["request row"]}
        known = _joined(model, truth, rows.assign(**keys))
    import pandas as pd

    return Arrived("served", rows, pd.DataFrame(outputs), rows["by version"], known)


def new(model: Model, champion: "Release", source: str, truth: Path | None) -> Arrived:
    """New rows, in a file or a dataset of the project, with what the champion predicts for them.

    Of the dataset that it was trained on, these are the rows that are not in that version.

    Raises:
        Unknown: they cannot be told from the old ones.
        LifecycleError: there are none, or they cannot be read or predicted for.
    """
    import pandas as pd
    from lifecycle.models.copies import copy
    from lifecycle.models.flavours import load

    project, target = model.project, model.params.target
    (dataset,) = datasets(
        project, [source if source in names(project) else model.params.dataset.name]
    )
    whole = source in names(project)
    if not whole:
        path = Path(source)
        if path.suffix not in (".parquet", ".csv") or not path.exists():
            raise LifecycleError(f"{source} is no dataset of the project, no .parquet and no .csv")
        dataset = Given(project, dataset.name, path.absolute())
    rows = dataset.read()
    report = validate(dataset, "embedded" if not whole else None, part=not whole)
    findings = [one for one in report.findings if one.severe]
    if target not in rows:  # it has not come true yet
        findings = [one for one in findings if not _about(one, target)]
    if whole and dataset.name == model.params.dataset.name:
        rows = _since(rows, dataset, champion)
    absent = [name for name in model.inputs if name not in rows]
    if absent:
        raise LifecycleError(f"{source} has no column {', '.join(absent)}, which Request has")
    predicted = model.predict(load(copy(project, champion)), rows)
    known = rows.get(target)
    if truth is not None:
        known = _joined(model, truth, rows.drop(columns=target, errors="ignore"))
    versions = pd.Series(champion.version, index=rows.index)
    return Arrived(source, rows, predicted, versions, known, report.checks, findings)


def _since(rows: "pd.DataFrame", dataset: Dataset, champion: "Release") -> "pd.DataFrame":
    """The rows whose key is not in the version that the champion was trained on.

    All rows, where each has a key of then: it is the same things that are looked at again. The
    version is brought from the team's store if it is not here.

    Raises:
        Unknown: it cannot be had, or the rows have no key.
    """
    import pandas as pd
    from lifecycle.data.schema import key
    from lifecycle.data.store import pull

    version, keys = champion.tags.get(VERSION, "none"), key(dataset)
    unknown = f"which rows of {dataset.name} are new is not known without"
    if not keys or not set(keys) <= set(rows):
        raise Unknown(f"{unknown} a key in schema.yml; or say --data FILE")
    trained = Kept(dataset.project, dataset.name, version)
    if not trained.is_built:
        if version == dataset.version:  # a pull would replace what is looked at
            raise Unknown(
                f"{unknown} a version of their own, after {version}: "
                f"uv run lifecycle data version {dataset.name}"
            )
        try:
            pull(dataset, version)
        except LifecycleError as error:
            raise Unknown(f"{unknown} {dataset.name} {version}: {error}") from None
    before = pd.MultiIndex.from_frame(trained.read(keys))
    later = rows[~pd.MultiIndex.from_frame(rows[keys]).isin(before)]
    return later if len(later) else rows


def _joined(model: Model, path: Path, rows: "pd.DataFrame") -> "pd.Series[Any]":
    """What came true for each row, by request (and its row), else by the dataset's key."""
    import duckdb
    from lifecycle.data.schema import key

    target, reader = model.params.target, READERS.get(path.suffix)
    try:
        if reader is None:
            raise LifecycleError(f"{path} is none of {', '.join(READERS)}")
        with duckdb.connect() as connection:
            known = connection.sql(f"FROM {reader}({quoted(str(path))})").df()
    except duckdb.Error as error:
        raise LifecycleError(f"{path} cannot be read: {str(error).splitlines()[0][:160]}") from None
    by = [name for name in ("request_id", "row") if name in known and name in rows]
    (dataset,) = datasets(model.project, [model.params.dataset.name])
    by = by if "request_id" in by else [name for name in key(dataset) if name in known]
    if target not in known or not by or not set(by) <= set(rows):
        raise LifecycleError(
            f"{path} must have {target}, and request_id (and row) of the log or the key of "
            f"{dataset.name}, whichever the rows have"
        )
    if by == ["request_id"]:  # of a request with several rows, it can be about the first only
        known, by = known.assign(row=0), ["request_id", "row"]
    known = known.drop_duplicates(by, keep="last").set_index(by)[target]
    found = rows[by].join(known, on=by)[target]
    return found


def _about(finding: Finding, target: str) -> bool:
    missing = finding.observed.startswith(f"column {target} of schema.yml is missing")
    return target in finding.subject.split(", ") or missing


def _path(name: str) -> str:
    return '$."' + name.replace('"', '\\"') + '"'


def _typed(told: "pd.Series[Any]", kind: str) -> "pd.Series[Any]":
    """What was logged, in the type of its field."""
    if kind == "boolean":
        return told == "true"
    if kind == "double":
        return told.astype("float64")
    return told.astype("int64") if kind == "long" else told


@contextmanager
def _local(where: str) -> Iterator[Path]:
    """The folder itself, or what is at the address, fetched.

    Raises:
        TooFew: there is no log.
        LifecycleError: it cannot be fetched.
    """
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(where)
        if "://" in where:
            import fsspec

            folder = Path(aside)
            try:
                store, root = fsspec.url_to_fs(where)
                for number, name in enumerate(sorted(store.glob(f"{root}/*.jsonl"))):
                    store.get_file(name, str(folder / f"{number}.jsonl"))
            except Exception as error:  # drivers pass on whatever their transport raises
                reason = redacted(" ".join(f"{type(error).__name__}: {error}".split()))[:160]
                raise LifecycleError(f"predictions at {redacted(where)}: {reason}") from error
        if not any(folder.glob("*.jsonl")):
            raise TooFew(
                f"no predictions are logged in {redacted(where)}; serve the model, or say "
                "--predictions FOLDER, or --data FILE"
            )
        yield folder
