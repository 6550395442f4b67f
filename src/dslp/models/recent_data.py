"""Data since a model was trained: predictions, new rows, observed outcomes."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError, nearest
from dslp.core.report import Finding
from dslp.core.text import error_line, redact
from dslp.data.dataset import DataAt, Dataset, dataset_names, find_dataset
from dslp.data.fingerprint import digest
from dslp.data.loading import StoredVersion
from dslp.data.reading import quote_identifier, quote_literal, read_frame, to_frame
from dslp.data.suite import validate
from dslp.data.verdict import check_suite
from dslp.experiments.model import Model
from dslp.models.outcomes import fetch_logs, join_outcomes

if TYPE_CHECKING:
    import pandas as pd
    from dslp.tracking.registry import Release

VERSION, DIGEST = "dslp.dataset_version", "dslp.dataset_digest"  # tags of a version
MOST = 1_000_000  # logged predictions that are read; of more, a sample that is always the same
TYPES = {"double": "DOUBLE", "long": "BIGINT", "boolean": "BOOLEAN"}  # of SQL, of predictions
LINE = "{request_id: 'VARCHAR', time: 'VARCHAR', version: 'VARCHAR', row: 'BIGINT', inputs: 'JSON'"


class Unknown(DslpError):
    """One source cannot be compared; another one may still be."""


class TooFew(Unknown):
    """There are too few new rows yet."""


@dataclass(frozen=True)
class RecentData:
    """Rows that a model predicted, row by row the same in each part.

    Attributes:
        source: where they come from, for people.
        rows: at least the model's inputs; `request_id` and `row` if they were served.
        predicted: a column for each field of `Response`.
        versions: the version that predicted each row, by MLflow's number.
        truth: the observed outcome; missing where it is not known yet.
        checks: how many checks of the dataset's suite and schema were made.
        findings: of these checks.
    """

    source: str
    rows: "pd.DataFrame"
    predicted: "pd.DataFrame"
    versions: "pd.Series[Any]"
    truth: "pd.Series[Any] | None" = None
    checks: int = 0
    findings: list[Finding] = field(default_factory=list)


def check_sources(
    model: Model, predictions: str | None, data: str | None, truth: str | None
) -> None:
    """Check that the named sources exist, before anything is read.

    Raises:
        DslpError: one does not.
    """
    names = dataset_names(model.project)
    if data and data not in names and not (_is_table(data) and Path(data).exists()):
        problem = f"{data} is no dataset of the project, and no .parquet or .csv file"
        raise DslpError(f"{problem}{nearest(data, names)}")
    for option, path in (("--predictions", predictions), ("--truth", truth)):
        if path and "://" not in path and not Path(path).exists():
            raise DslpError(f"{option}: {path} is missing")


def predictions_address(model: Model) -> str:
    """Where the server's log is: `data/interim/predictions`, or what DSLP_PREDICTIONS says."""
    usual = str(model.project.data / "interim" / "predictions")
    return f"{os.environ.get('DSLP_PREDICTIONS') or usual}/{model.name}"


def served_rows(model: Model, address: str, days: int, truth: str | None) -> RecentData:
    """The predictions of the last days from the server's log: a folder, or an address for fsspec.

    Observed outcomes are in the file `truth`, or the model's in `data/interim/truth`, or at
    DSLP_TRUTH.

    Raises:
        TooFew: there are none.
        DslpError: they cannot be read.
    """
    import duckdb
    import pandas as pd
    from dslp.models.api import Api

    form = Api(model).form
    parts = [_column("inputs", one["name"], "VARCHAR", one["name"]) for one in form["inputs"]]
    for one in form["outputs"]:
        kind, alias = TYPES.get(one["type"], "VARCHAR"), f"predicted {one['name']}"
        parts.append(_column("prediction", one["name"], kind, alias))
    where = redact(address)
    with fetch_logs(address, "*.jsonl") as files:
        if not files:
            todo = "serve the model, or say --predictions FOLDER, or --data FILE"
            raise TooFew(f"no predictions are logged in {where}; {todo}")
        query = (
            f'SELECT request_id AS "request id", "row" AS "request row", version AS "by version", '
            f"{', '.join(parts)} FROM read_json([{', '.join(map(quote_literal, map(str, files)))}],"
            f" format = 'newline_delimited', columns = {LINE}, prediction: 'JSON'}}, "
            f"ignore_errors = true) WHERE time::TIMESTAMPTZ > now() - INTERVAL {int(days)} DAY "
            "ORDER BY time, 1, 2"
        )
        try:
            with duckdb.connect() as connection:
                sample = f"USING SAMPLE reservoir({MOST} ROWS) REPEATABLE (1)"
                result = connection.sql(f"SELECT * FROM ({query}) {sample}")
                rows = to_frame(result.to_arrow_table())
        except duckdb.Error as error:
            raise DslpError(f"predictions in {where}: {error_line(error)}") from None
    if rows.empty:
        raise TooFew(f"no prediction of the last {days} days is in {where}")
    outputs = {one["name"]: rows[f"predicted {one['name']}"] for one in form["outputs"]}
    keys = {"request_id": rows["request id"], "row": rows["request row"]}
    observed = join_outcomes(model, truth, rows.assign(**keys))
    return RecentData("served", rows, pd.DataFrame(outputs), rows["by version"], observed)


def new_rows(model: Model, champion: "Release", source: str, truth: str | None) -> RecentData:
    """New rows, in a file or a dataset of the project, with the champion's predictions.

    Of the dataset that it was trained on, these are the rows that are not in that version.

    Raises:
        Unknown: new rows cannot be told from old ones.
        DslpError: there are none, or they cannot be read or predicted.
    """
    import pandas as pd
    from dslp.models.model_files import fetch_model
    from dslp.models.persistence import load_model

    project, target, own = model.project, model.params.target, model.params.dataset.name
    whole = source in dataset_names(project)
    dataset = find_dataset(project, source if whole else own)
    if not whole:
        dataset = DataAt(project, dataset.name, Path(source).absolute())
    rows = read_frame(dataset)
    report = check_suite(dataset) if whole else validate(dataset, "embedded", part=True)
    findings = [finding for finding in report.findings if finding.severe]
    if target not in rows:  # it is not observed yet
        findings = [finding for finding in findings if not _is_about(finding, target)]
    if source == own:
        rows = _rows_since(rows, dataset, champion)
    missing = [name for name in model.inputs if name not in rows]
    if missing:
        raise DslpError(f"{source} has no column {', '.join(missing)}, which Request has")
    predicted = model.predict(load_model(fetch_model(project, champion)), rows)
    observed = rows.get(target)
    if truth is not None:
        observed = join_outcomes(model, truth, rows.drop(columns=target, errors="ignore"))
    versions = pd.Series(champion.version, index=rows.index)
    return RecentData(source, rows, predicted, versions, observed, report.checks, findings)


def _is_table(path: str) -> bool:
    return Path(path).suffix in (".parquet", ".csv")


def _rows_since(rows: "pd.DataFrame", dataset: Dataset, champion: "Release") -> "pd.DataFrame":
    """The rows whose key is not in the version that the champion was trained on.

    If every key is in it, all rows: the same things were measured again. The old version is
    fetched if it is not on this machine.

    Raises:
        TooFew: the content is that of the old version.
        Unknown: the old version cannot be fetched, or the rows have no key.
    """
    import pandas as pd
    from dslp.data.schema import key_columns
    from dslp.data.sharing import fetch

    if digest(dataset) == champion.tags.get(DIGEST):
        raise TooFew(f"nothing is new in {dataset.name} since {champion.label} was trained")
    version, keys = champion.tags.get(VERSION, "none"), key_columns(dataset)
    unknown = f"the new rows of {dataset.name} are not known without"
    if not keys or not set(keys) <= set(rows):
        raise Unknown(f"{unknown} a key in schema.yml; or say --data FILE")
    trained = StoredVersion(dataset.project, dataset.name, version)
    if not trained.is_built:
        try:
            fetch(dataset, version)
        except DslpError as error:
            raise Unknown(f"{unknown} {dataset.name} {version}: {error}") from None
    before = pd.MultiIndex.from_frame(read_frame(trained, keys))
    later = rows[~pd.MultiIndex.from_frame(rows[keys]).isin(before)]
    return later if len(later) else rows


def _is_about(finding: Finding, column: str) -> bool:
    missing = finding.problem.startswith(f"column {column} of schema.yml is missing")
    return column in finding.subject.split(", ") or missing


def _column(side: str, name: str, kind: str, alias: str) -> str:
    """A field of a logged object as a column of SQL."""
    path = quote_literal('$."' + name.replace('"', '\\"') + '"')
    return f"({side} ->> {path})::{kind} AS {quote_identifier(alias)}"
