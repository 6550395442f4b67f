"""What has arrived since a model was trained: predictions, new rows, observed outcomes."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslp.core.errors import DslpError
from dslp.core.report import Finding
from dslp.core.text import error_line, redact
from dslp.data.dataset import Dataset, dataset_names, find_dataset
from dslp.data.fingerprint import digest
from dslp.data.loading import StoredVersion
from dslp.data.reading import quote_identifier, quote_literal, read_frame
from dslp.data.suite import validate
from dslp.experiments.model import Model
from dslp.models.outcomes import fetch_logs, join_outcomes

if TYPE_CHECKING:
    import pandas as pd
    from dslp.tracking.registry import Release

VERSION, DIGEST = "dslp.dataset_version", "dslp.dataset_digest"  # a version's tags
MOST = 1_000_000  # logged predictions that are looked at; of more, a sample that is always the same
LINE = "{request_id: 'VARCHAR', time: 'VARCHAR', version: 'VARCHAR', row: 'BIGINT', inputs: 'JSON'"


class Unknown(DslpError):
    """Nothing can be said of what has arrived from one source; another may tell."""


class TooFew(Unknown):
    """That is so because too little has arrived yet."""


@dataclass(frozen=True)
class RecentData:
    """Rows that a model is asked about, row by row the same in each part.

    Attributes:
        where: what they come from, for people.
        rows: at least the model's inputs; `request_id` and `row` where they were served.
        predicted: a column for each field of `Response`.
        versions: the version that predicted each, by MLflow's number.
        truth: the observed outcome; missing where it is not known yet.
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
class DataAt(Dataset):
    """Rows of a dataset in a file somewhere else, such as those of one more month."""

    path: Path = Path()

    @property
    def built(self) -> Path:
        """That file."""
        return self.path


def predictions_address(model: Model) -> str:
    """Where the server's log is: `data/interim/predictions`, or what DSLP_PREDICTIONS says."""
    usual = str(model.project.data / "interim" / "predictions")
    return f"{os.environ.get('DSLP_PREDICTIONS') or usual}/{model.name}"


def served_rows(model: Model, where: str, days: int, truth: str | None) -> RecentData:
    """The predictions of the last days from the server's log: a folder, or an address of fsspec's.

    Observed outcomes are in the file `truth`, or the model's in `data/interim/truth`, or where
    DSLP_TRUTH says.

    Raises:
        TooFew: there are none.
        DslpError: they cannot be read.
    """
    import duckdb
    from dslp.models.api import Api

    form = Api(model).form
    parts = [
        f"{side} ->> {quote_literal(_path(one['name']))} AS {quote_identifier(mark + one['name'])}"
        for side, mark, columns in (
            ("inputs", "", form["inputs"]),
            ("prediction", "predicted ", form["outputs"]),
        )
        for one in columns
    ]
    with fetch_logs(where, "*.jsonl") as found:
        if not found:
            raise TooFew(
                f"no predictions are logged in {redact(where)}; serve the model, or say "
                "--predictions FOLDER, or --data FILE"
            )
        files = f"[{', '.join(quote_literal(str(file)) for file in found)}]"
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
            reason = error_line(error)
            raise DslpError(f"predictions in {redact(where)}: {reason}") from None
    if rows.empty:
        raise TooFew(f"no prediction of the last {days} days is in {redact(where)}")
    outputs = {
        one["name"]: _typed(rows["predicted " + one["name"]], one["type"])
        for one in form["outputs"]
    }
    import pandas as pd

    keys = {"request_id": rows["request id"], "row": rows["request row"]}
    known = join_outcomes(model, truth, rows.assign(**keys))
    return RecentData("served", rows, pd.DataFrame(outputs), rows["by version"], known)


def new_rows(model: Model, champion: "Release", source: str, truth: str | None) -> RecentData:
    """New rows, in a file or a dataset of the project, with what the champion predicts for them.

    Of the dataset that it was trained on, these are the rows that are not in that version.

    Raises:
        Unknown: they cannot be told from the old ones.
        DslpError: there are none, or they cannot be read or predicted for.
    """
    import pandas as pd
    from dslp.models.model_files import fetch_model
    from dslp.models.persistence import load_model

    project, target = model.project, model.params.target
    dataset = find_dataset(
        project, source if source in dataset_names(project) else model.params.dataset.name
    )
    whole = source in dataset_names(project)
    if not whole:
        path = Path(source)
        if path.suffix not in (".parquet", ".csv") or not path.exists():
            raise DslpError(f"{source} is no dataset of the project, no .parquet and no .csv")
        dataset = DataAt(project, dataset.name, path.absolute())
    rows = read_frame(dataset)
    report = validate(dataset, "embedded" if not whole else None, part=not whole)
    findings = [one for one in report.findings if one.severe]
    if target not in rows:  # it has not come true yet
        findings = [one for one in findings if not _about(one, target)]
    if whole and dataset.name == model.params.dataset.name:
        rows = _since(rows, dataset, champion)
    absent = [name for name in model.inputs if name not in rows]
    if absent:
        raise DslpError(f"{source} has no column {', '.join(absent)}, which Request has")
    predicted = model.predict(load_model(fetch_model(project, champion)), rows)
    known = rows.get(target)
    if truth is not None:
        known = join_outcomes(model, truth, rows.drop(columns=target, errors="ignore"))
    versions = pd.Series(champion.version, index=rows.index)
    return RecentData(source, rows, predicted, versions, known, report.checks, findings)


def _since(rows: "pd.DataFrame", dataset: Dataset, champion: "Release") -> "pd.DataFrame":
    """The rows whose key is not in the version that the champion was trained on.

    All rows, where each has a key of then: it is the same things that are looked at again. The
    version is brought from the team's store if it is not here.

    Raises:
        TooFew: it is the present content.
        Unknown: it cannot be had, or the rows have no key.
    """
    import pandas as pd
    from dslp.data.schema import key_columns
    from dslp.data.store import pull

    if digest(dataset) == champion.tags.get(DIGEST):
        raise TooFew(f"nothing is new in {dataset.name} since {champion.label} was trained")
    version, keys = champion.tags.get(VERSION, "none"), key_columns(dataset)
    unknown = f"which rows of {dataset.name} are new is not known without"
    if not keys or not set(keys) <= set(rows):
        raise Unknown(f"{unknown} a key in schema.yml; or say --data FILE")
    trained = StoredVersion(dataset.project, dataset.name, version)
    if not trained.is_built:
        if version == dataset.version:  # a pull would replace what is looked at
            raise Unknown(
                f"{unknown} a version of their own, after {version}: "
                f"uv run dslp data version {dataset.name}"
            )
        try:
            pull(dataset, version)
        except DslpError as error:
            raise Unknown(f"{unknown} {dataset.name} {version}: {error}") from None
    before = pd.MultiIndex.from_frame(read_frame(trained, keys))
    later = rows[~pd.MultiIndex.from_frame(rows[keys]).isin(before)]
    return later if len(later) else rows


def _about(finding: Finding, target: str) -> bool:
    missing = finding.problem.startswith(f"column {target} of schema.yml is missing")
    return target in finding.subject.split(", ") or missing


def _path(name: str) -> str:
    return '$."' + name.replace('"', '\\"') + '"'


def _typed(told: "pd.Series[Any]", kind: str) -> "pd.Series[Any]":
    """What was logged, in the type of its field, or one that a missing value allows."""
    gaps = bool(told.isna().any())
    if kind == "boolean":
        told = told.map({"true": True, "false": False})
        return told if gaps else told.astype("bool")
    if kind in ("double", "long"):
        return told.astype("int64" if kind == "long" and not gaps else "float64")
    return told
